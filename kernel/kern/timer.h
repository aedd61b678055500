/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines of threads that wait or are depressed. Theory in timer.c. */
#ifndef KERN_TIMER_H
#define KERN_TIMER_H
#include "kern/thread.h"

/* Awaits wait.deadline_ns, which is set: the thread is timed. */
void timer_start(struct thread *thread);
/* No-op for one that is not timed. */
static inline void timer_stop(struct thread *thread)
{
	if (!thread->timed)
		return;
	LIST_REMOVE(thread, timer);
	thread->timed = false;
}
/* Ends the waits and depressions whose deadline has passed. Opens windows. */
void timer_expire(void);
#endif
