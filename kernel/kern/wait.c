/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waits and deadlines.
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
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "kern/timer.h"
#include "x86_64/machine.h"

/* Waits ended in one go before interrupts get a window. */
#define TIMER_BATCH 32

static int deadline_compare(const struct thread *a, const struct thread *b)
{
	if (a->wait.deadline_ns != b->wait.deadline_ns)
		return a->wait.deadline_ns < b->wait.deadline_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}
RB_HEAD(deadline_tree, thread);
RB_GENERATE_STATIC(deadline_tree, thread, timer, deadline_compare)
static struct deadline_tree deadlines = RB_INITIALIZER(&deadlines);
static uint64_t first_deadline_ns = ~0ull;

static void first_deadline_update(void)
{
	struct thread *first = RB_MIN(deadline_tree, &deadlines);

	first_deadline_ns = first != NULL ? first->wait.deadline_ns : ~0ull;
}

void timer_start(struct thread *thread)
{
	RB_INSERT(deadline_tree, &deadlines, thread);
	if (thread->wait.deadline_ns < first_deadline_ns)
		first_deadline_ns = thread->wait.deadline_ns;
}

void timer_stop(struct thread *thread)
{
	if (thread->wait.deadline_ns == 0)
		return;
	RB_REMOVE(deadline_tree, &deadlines, thread);
	if (thread->wait.deadline_ns == first_deadline_ns)
		first_deadline_update();
	thread->wait.deadline_ns = 0;
}

void timer_expire(void)
{
	unsigned batch = 0;
	struct thread *first;

	if (clock_uptime_ns() < first_deadline_ns)
		return;
	while ((first = RB_MIN(deadline_tree, &deadlines)) != NULL &&
	       first->wait.deadline_ns <= clock_uptime_ns()) {
		if (first->depressed)
			thread_depress_end(first);
		else
			wait_cancel(first, WAIT_TIMED_OUT);
		if (++batch % TIMER_BATCH == 0)
			machine_window();
	}
	first_deadline_update();
}

void wait_begin_plain(struct thread *thread, const struct wait_kind *kind, void *object)
{
	struct wait *wait = &thread->wait;

	assert(wait->kind == NULL && wait->deadline_ns == 0 && !thread->depressed);
	wait->kind = kind;
	wait->object = object;
	thread->state = THREAD_WAITING;
}

void wait_begin(struct thread *thread, const struct wait_kind *kind, void *object, int64_t timeout_ms)
{
	/* The depression's end uses the thread's deadline, as the time-out does. */
	thread_depress_end(thread);
	wait_begin_plain(thread, kind, object);
	throttle_sleeps(thread);
	if (timeout_ms >= 0) {
		thread->wait.deadline_ns = clock_uptime_ns() + (uint64_t)timeout_ms * 1000000 + 1;
		timer_start(thread);
	}
}

inline void wait_end_plain(struct thread *thread)
{
	assert(thread->state == THREAD_WAITING && thread->serves == NULL);
	thread->wait.kind = NULL;
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

	if (thread->state != THREAD_WAITING)
		return;
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
