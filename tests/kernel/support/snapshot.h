/* SPDX-License-Identifier: BSD-2-Clause */
/* What a ledger holds at a moment, to be compared with later; and the kernel's audit. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <weir/ledger.h>
#include "tap.h"

struct snapshot {
	ledger_t ledger;
	uint64_t used[LEDGER_RESOURCES];
	unsigned names;			/* of this task */
};

/* What to compare, bits of 1 << LEDGER_...; NAMES_HERE: the names of this task. */
#define SNAPSHOT_NAMES_HERE	(1u << 31)
#define SNAPSHOT_ALL		(((1u << LEDGER_RESOURCES) - 1) | SNAPSHOT_NAMES_HERE)
/* All but what comes and goes with the test's own memory when it is copied or touched. */
#define SNAPSHOT_THINGS	\
	(SNAPSHOT_ALL & ~(1u << LEDGER_OBJECTS | 1u << LEDGER_RESIDENT_PAGES | 1u << LEDGER_NODES | \
			  1u << LEDGER_KPAGES | 1u << LEDGER_FPUS | 1u << LEDGER_KMEM))

/* Fails the test when the ledger cannot be read. */
void snapshot_take(struct snapshot *snapshot, ledger_t ledger);
/* The same, once others have stopped giving back what an earlier program had of them. */
void snapshot_take_quiet(struct snapshot *snapshot, ledger_t ledger);
/* Compares silently. */
bool snapshot_equal(const struct snapshot *before, unsigned what);
/* Claims that the ledger holds what it did, now; shows each difference. */
bool snapshot_same(const struct snapshot *before, unsigned what, const char *claim, ...) PRINTF(3, 4);
/* The same, but waits up to 3 s for what is taken apart in pieces. */
bool snapshot_settles(const struct snapshot *before, unsigned what, const char *claim, ...) PRINTF(3, 4);
/* A new ledger, by its control right; ledger_drop terminates it and gives the right back. */
ledger_t ledger_new(ledger_name_t parent, const char *name);
void ledger_drop(ledger_t ledger);
struct ledger_usage usage_of(ledger_name_t ledger, unsigned resource);
/* What the ledger holds of one resource now. */
uint64_t used_now(ledger_t ledger, unsigned resource);

/* Names in this task's space, dead ones too. */
unsigned names_here(void);

/* The kernel recounts all objects: true when its books agree. books_text: what it said last. */
bool books_agree(void);
const char *books_text(void);

#endif
