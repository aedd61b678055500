/* SPDX-License-Identifier: BSD-2-Clause */
/* What mach_msg tells of its watched calls. */
#ifndef CALLS_PRIVATE_H
#define CALLS_PRIVATE_H

#include <mach/calls.h>

struct thread;

struct call {
	struct call *previous, *next;
	struct thread *thread;
	void *watcher;
	bool aborted;
};

/* In a forked task the calls are those of its parent's threads. */
void calls_forget(void);
/* Between the two this thread is not watched: the lock's own calls must not come here. */
void call_begin(struct call *call);
void call_end(struct call *call);
/* NULL: a call that is not watched. */
bool call_aborted(const struct call *call);

#endif
