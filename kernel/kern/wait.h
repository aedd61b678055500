/* SPDX-License-Identifier: BSD-2-Clause */
/* Wait records: what a blocked thread waits for. It holds this and its saved registers, nothing else. */
#ifndef KERN_WAIT_H
#define KERN_WAIT_H
#include <stdbool.h>
#include <stdint.h>
#include <weir/queue.h>
#include <weir/ring.h>
#include <weir/stack.h>
#include "x86_64/offsets.h"

struct thread;

/* KERN_BLOCKED: internal result of a handler that has made its thread wait. Never seen by users. */

enum wait_reason { WAIT_TIMED_OUT = 1, WAIT_ABORTED, WAIT_KILLED };

/* What a thread can wait for: one constant for each. */
struct wait_kind {
	const char *what;		/* "receive", "send", "gsync", ... */
	/* Runs in the thread's context after thread_wake; NULL: nobody wakes it, such a wait is always cancelled. */
	void (*continuation)(struct thread *thread, int result);
	/* Unlinks the thread from what it waits for and sets its saved rax for the reason; any context.
	   May make it wait for something else (wait_begin), but not when it is killed. */
	void (*cancel)(struct thread *thread, enum wait_reason reason);
	/* No wait, but the pause of a long call: the thread goes on by its continuation when it has the CPU again (kern/pause.c). */
	bool pause;
};

struct wait {
	/* Of its wait or, when it was woken, pauses or is new, of the continuation that is still to run; NULL: none. */
	const struct wait_kind *kind;
	void *object;			/* what it waits on */
	uint64_t deadline_ns;		/* while thread->timed, and while deadline_kept */
	union {
		uint64_t word[3];	/* the waiter's; the last is lost when it is woken: */
		struct { uint64_t kept[2]; int result; }; /* of thread_wake */
	};
	union {
		TAILQ_ENTRY(thread) link;	/* in the queue of object */
		STACK_ENTRY(thread) stack_link;	/* or in its stack */
		RING_ENTRY(thread) sender_link;	/* or among its blocked senders */
		struct { struct thread *left, *right; } node; /* or in the tree of gsync (gsync_tree.c) */
		struct { struct thread *next, *prev; } run; /* no wait: in the ring of its run queue, while it is ready */
	};
};
TAILQ_HEAD(thread_queue, thread);
STACK_HEAD(thread_stack, thread);

/* For a timeout: none; the deadline that the thread's send or receive has had since its first wait (thread->deadline_kept). */
#define WAIT_FOREVER (-1)
#define WAIT_AS_BEFORE (-2)
/* Makes the current thread wait; the caller has linked it (wait.link) and returns KERN_BLOCKED.
   timeout_ms: or one of the two above. A waiting thread is off the run queues. */
void wait_begin(struct thread *thread, const struct wait_kind *kind, void *object, int64_t timeout_ms);
/* Ends the wait with a result: the caller has unlinked the thread. It becomes runnable and its continuation will run. */
void thread_wake(struct thread *thread, int result);
/* The same, and the CPU goes to it as soon as the caller blocks (direct hand-off, on the caller's share). */
void thread_wake_handoff(struct thread *thread, int result);
/* Ends the wait, or pause, by cancel(reason): the thread becomes runnable without a continuation. No-op if it does neither. */
void wait_cancel(struct thread *thread, enum wait_reason reason);

#endif
