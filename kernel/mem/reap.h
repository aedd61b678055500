/* SPDX-License-Identifier: BSD-2-Clause */
/* Reaping: long destruction in pieces, from a list linked through the dead objects (DESIGN: long destruction). */
#ifndef MEM_REAP_H
#define MEM_REAP_H
#include <stdbool.h>
#include <stdint.h>
#include <weir/queue.h>

/* Embedded in every object whose dismantling is long. step does a bounded piece of work (about 32 small
   units); true: the object is gone (freed) and must not be touched again. It never allocates. A step may
   defer other objects; nothing recurses. */
struct reap {
	STAILQ_ENTRY(reap) link;
	bool (*step)(struct reap *);
};

/* For dead objects: a step may run in the middle of any handler that allocates, so it may not touch what lives. */
void reap_defer(struct reap *item, bool (*step)(struct reap *));
/* For work on what lives (killing the tasks of a ledger, sending a notification): runs only from reap_one and reap_all, which
   are called where nobody is in the middle of anything. */
void reap_defer_live(struct reap *item, bool (*step)(struct reap *));
bool reap_pending(void);
/* Does one step of the first item, the dead before the living; false when nothing is left. The current thread may be dead
   afterwards. */
bool reap_one(void);
/* The same with the dead only: for allocation under pressure. */
bool reap_dead_one(void);
/* Works everything off without windows: tests, and the audit. */
void reap_all(void);

#endif
