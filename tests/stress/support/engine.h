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
	/* Once, before any task; may be NULL. */
	kern_return_t (*prepare)(const struct flood_options *options);
	/* Gives another task that is to flood the rights it needs; may be NULL. */
	kern_return_t (*equip)(task_t task);
	/* In each task that floods, before its first; may be NULL. */
	kern_return_t (*begin)(const struct flood_options *options);
	/* One more. When it fails, what it has taken all the same is in the record. */
	kern_return_t (*take)(struct flood_record *record, uint64_t index);
	/* When a take has failed: who else may have been denied; may be NULL. */
	void (*stopped)(struct flood_end *end);
	/* Also for the one that failed: its record may be empty. */
	kern_return_t (*give_back)(struct flood_record *record);
	/* Prints what there is to tell "before", "at the peak" and "after"; may be NULL. */
	void (*look)(const char *program, const char *when);
	bool outlives;			/* what is taken stays when its task dies */
	/* After the last was given back; may be NULL. */
	void (*finish)(void);
};

int flood_main(int argc, char **argv, const struct flood *flood);

#endif
