/* SPDX-License-Identifier: BSD-2-Clause */
/* Throttled port sets: how many of the threads that serve a set run at once. Theory in throttle.c. */
#ifndef IPC_THROTTLE_H
#define IPC_THROTTLE_H
#include <stdbool.h>
#include <stdint.h>
#include "ipc/port.h"
#include "kern/thread.h"

#define THROTTLE_NEVER	UINT64_MAX

/* Is the object of a receive a set with a target? */
static inline bool throttle_on(const struct port *object)
{
	return object->is_throttled;
}

/* May a message go to a thread that waits at the port or set? */
static inline bool throttle_admits(const struct port *object)
{
	return !throttle_on(object) || object->extra->throttle.running < object->extra->throttle.target;
}

/* Does the thread's receive from the object make it serve a throttled set? */
bool throttle_serves(const struct thread *thread, const struct port *object);
/* May the running thread, about to receive from object, take a message that is there? */
bool throttle_may_take_slow(const struct thread *thread, const struct port *set);
static inline bool throttle_may_take(const struct thread *thread, const struct port *object)
{
	return !throttle_on(object) || throttle_may_take_slow(thread, object);
}

/* For port.c: a new one, all else of which is 0. */
void throttle_init(struct throttle *throttle);
/* The set dies. */
void throttle_end(struct port *set);
void throttle_check(struct port *set);

/* Sets the target, 0: none, all that waits is offered; and the delay in milliseconds. Both at most UINT16_MAX:
   KERN_INVALID_VALUE. The first target costs the set's ledger a kernel page and a port more: KERN_RESOURCE_SHORTAGE. Opens
   windows. */
kern_return_t throttle_set(struct port *set, unsigned target, unsigned delay_ms);
/* Consumes the send-once right notify (NULL: none), which is told once when the throttled set is stalled. The one before is
   released. */
void throttle_request_stall(struct port *set, struct port *notify);

/* The thread is given a message of the throttled set: from now on it serves it. */
void throttle_join(struct thread *thread, struct port *set);
/* It ends, or its set has. */
void throttle_leave(struct thread *thread);
/* A message was received through the throttled set, queued at queued_ns (0: handed over at once). */
void throttle_taken(struct port *set, uint64_t queued_ns);
/* A message was queued for the throttled set, or a sender blocked. */
void throttle_queued(struct port *set);

/* The thread's wait has ended. */
void throttle_wakes_slow(struct thread *thread);
static inline void throttle_wakes(struct thread *thread)
{
	if (thread->serves != NULL && !thread->serves_counted)
		throttle_wakes_slow(thread);
}

/* The thread begins to wait, or was stopped. */
void throttle_sleeps_slow(struct thread *thread);
static inline __attribute__((always_inline)) void throttle_sleeps(struct thread *thread)
{
	if (thread->serves_counted && thread->state != THREAD_READY)
		throttle_sleeps_slow(thread);
}

/* Looks at the sets whose time has come. Where nothing is held: before a return to user mode, and while idle. Opens windows. */
extern uint64_t throttle_first_ns;
void throttle_run_slow(void);
static inline void throttle_run(void)
{
	if (throttle_first_ns != THROTTLE_NEVER)
		throttle_run_slow();
}

#endif
