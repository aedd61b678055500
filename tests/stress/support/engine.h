/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine of floods that take one thing after another: options, records,
 * pace, several tasks at once, giving back, the lines that are printed.
 */
#ifndef FLOOD_ENGINE_H
#define FLOOD_ENGINE_H

#include <mach/mach_types.h>
#include "flood.h"
#include "options.h"

/* What a flood writes down of one thing; zero at first. */
struct flood_record {
	vm_address_t address;
	mach_port_t port;
	unsigned kind;
};

struct flood {
	const char *noun;		/* "threads" */
	struct flood_syntax syntax;
	/* In each task that floods, before its first; may be NULL. */
	kern_return_t (*begin)(const struct flood_options *options);
	/* One more. When it fails, what it has taken all the same is in the record. */
	kern_return_t (*take)(struct flood_record *record, uint64_t index);
	/* Also for the one that failed: its record may be empty. */
	kern_return_t (*give_back)(struct flood_record *record);
	/* Prints what there is to tell "before", "at the peak" and "after"; may be NULL. */
	void (*look)(const char *program, const char *when);
	/* After the last was given back; may be NULL. */
	void (*finish)(void);
};

int flood_main(int argc, char **argv, const struct flood *flood);

#endif
