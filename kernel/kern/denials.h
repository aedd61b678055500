/* SPDX-License-Identifier: BSD-2-Clause */
/* Denials: what the kernel remembers of them, for the thread and for the machine. */
#ifndef KERN_DENIALS_H
#define KERN_DENIALS_H
#include <stdint.h>
#include <weir/ledger.h>

#define DENIALS_KEPT 64		/* events of the machine */
#define DENIALS_OF_TASK 3	/* records: threads of one task whose last denial is known */

struct alloc_site;
struct thread;

/* A thread's last denial, in short: no names. */
struct denial_record {
	struct thread *thread;		/* NULL: nobody's */
	uint64_t used, limit, wanted;
	const struct alloc_site *site;
	uint64_t when_ns;
	uint32_t ledger_id;
	uint32_t resource : 8;
	uint32_t count : 24;		/* of the same kind in a row, DENIAL_COUNT_MAX: or more */
};
#define DENIAL_COUNT_MAX ((1u << 24) - 1)

/* How many events are kept, at most DENIALS_KEPT. A run of the same denials is one event with a count. */
uint32_t denials_kept(void);
/* Event index < denials_kept(), 0 the oldest, as users are told. */
void denial_of_machine(uint32_t index, struct ledger_denial *denial);
/* The thread's last denial; count 0: none, or as many other threads of its task as the task has records for were denied
   something since. The name of a ledger that is none of its own and not in an event any more is empty. */
void denial_of_thread(const struct thread *thread, struct ledger_denial *denial);
/* The thread ends. */
void denial_forget(struct thread *thread);

#endif
