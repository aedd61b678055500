/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines of waiting threads, in a tree: O(log n) each. */
#ifndef KERN_TIMER_H
#define KERN_TIMER_H
struct thread;
/* wait.deadline_ns is set. */
void timer_start(struct thread *thread);
/* No-op without a deadline. */
void timer_stop(struct thread *thread);
/* Ends the waits whose deadline has passed. */
void timer_expire(void);
#endif
