/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits.
 *
 * Every wait can be ended: by thread_wake (what it waited for happened), by its deadline, by
 * thread_abort and by termination. The last three call its kind's cancel, which unlinks the thread and puts
 * its result into the saved registers at once; no continuation runs then, so the thread is as if it
 * had returned from its call, also while it is suspended.
 *
 * The record is small because what is needed at different times shares its place: the links of a waiting thread and those of
 * a ready one, the last word of the waiter and the result. So a thread is unlinked before it is woken.
 */
#include "kern/wait.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/pause.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "kern/timer.h"
#include "x86_64/machine.h"

void wait_begin(struct thread *thread, const struct wait_kind *kind, void *object, int64_t timeout_ms)
{
	/* The depression's end uses the thread's deadline, as the time-out does. */
	thread_depress_end(thread);
	wait_begin_plain(thread, kind, object);
	throttle_sleeps(thread);
	if (timeout_ms == WAIT_FOREVER)
		return;
	assert(timeout_ms >= 0 || thread->deadline_kept);
	if (timeout_ms >= 0) {
		thread->wait.deadline_ns = clock_uptime_ns() + (uint64_t)timeout_ms * 1000000 + 1;
		thread->deadline_kept = true;
	}
	timer_start(thread);
}

/* The wait is over: what cancel or the continuation needs (kind, object, words) stays readable. */
static void wait_end(struct thread *thread)
{
	assert(thread->state == THREAD_WAITING);
	timer_stop(thread);
	throttle_wakes(thread);
	thread->state = THREAD_STOPPED;
}

void thread_wake(struct thread *thread, int result)
{
	wait_end(thread);
	assert(thread->wait.kind->continuation != NULL);
	thread->wait.result = result;
	sched_ready(thread);
}

void thread_wake_handoff(struct thread *thread, int result)
{
	wait_end(thread);
	assert(thread->wait.kind->continuation != NULL);
	thread->wait.result = result;
	sched_handoff(thread);
}

void wait_cancel(struct thread *thread, enum wait_reason reason)
{
	const struct wait_kind *kind = thread->wait.kind;

	if (thread->state != THREAD_WAITING) {
		pause_cancel(thread, reason);
		return;
	}
	/* Of a dead task: reaping kills it soon, and might in the middle of its cancel, which may allocate. */
	if (thread->task->dead && reason != WAIT_KILLED) {
		timer_stop(thread);
		return;
	}
	wait_end(thread);
	thread->wait.kind = NULL;
	kind->cancel(thread, reason);
	if (thread->state == THREAD_STOPPED && reason != WAIT_KILLED)
		sched_ready(thread);
}
