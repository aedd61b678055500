/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Throttled port sets.
 *
 * A set may have a target: so many of the threads that serve it run at once; messages beyond that wait in the queues,
 * which cost no thread. (The idea is that of completion ports: Solomon and Russinovich, Inside Windows 2000, ch. 9.)
 *
 * A thread serves the set that it received a message from last; that it receives a reply elsewhere meanwhile changes nothing.
 * Those that run or are ready to are counted (throttle->counted), in the order of their last message. A thread that waits, for
 * a reply or a lock, is not: when one of them goes to sleep, a message is released to the thread that came to wait
 * last (mqueue.c). When it wakes there are more than the target for a while, until one of them comes back for a message and is
 * left waiting.
 *
 * The target only delays. When messages wait and none has been taken for delay_ms, the thread that has gone longest
 * without a message counts no more until it sleeps or receives again: so one that computes for ever
 * keeps up the others only once. A poll (a time-out of 0 ms) by a thread that does not serve the set is never held back, and
 * does not make it serve.
 *
 * When messages wait, fewer threads than the target run, and none waits for a message, the set is stalled: more threads
 * would help. Whoever asked for it (port_set_request_stall) is told once, by its send-once right's prepaid message.
 *
 * What follows from an event is never done inside it, where it could recurse (a notification is a message too) or open a window.
 * The set is put into a tree by the time to look at it, at once or when the delay is over, and throttle_run looks.
 *
 * All of it lies in the set's struct port_extra. That and the page of ready.c is the memory that a throttled set takes.
 */
#include "ipc/throttle.h"
#include "ipc/kmsg.h"
#include "ipc/mqueue.h"
#include "ipc/notify.h"
#include "ipc/ready.h"
#include "kern/assert.h"
#include "kern/ast.h"
#include "x86_64/machine.h"

#define NS_PER_MS	1000000u
#define RELEASE_MOST	16	/* messages released in one go */

static int set_compare(const struct port *a, const struct port *b)
{
	if (a->extra->throttle.attend_ns != b->extra->throttle.attend_ns)
		return a->extra->throttle.attend_ns < b->extra->throttle.attend_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}
RB_HEAD(set_tree, port);
RB_GENERATE_STATIC(set_tree, port, extra->throttle.node, set_compare)
static struct set_tree sets = RB_INITIALIZER(&sets);
uint64_t throttle_first_ns = THROTTLE_NEVER;

static void first_update(void)
{
	struct port *first = RB_MIN(set_tree, &sets);

	throttle_first_ns = first != NULL ? first->extra->throttle.attend_ns : THROTTLE_NEVER;
}

/* From now on the set is looked at then; THROTTLE_NEVER: not. */
static void attend_at(struct port *set, uint64_t when_ns)
{
	struct throttle *throttle = &set->extra->throttle;

	if (throttle->attend_ns != THROTTLE_NEVER)
		RB_REMOVE(set_tree, &sets, set);
	throttle->attend_ns = when_ns;
	if (when_ns != THROTTLE_NEVER)
		RB_INSERT(set_tree, &sets, set);
	first_update();
}

static void attend_now(struct port *set)
{
	if (set->extra->throttle.attend_ns != 0)
		attend_at(set, 0);
	ast_set();
}

static uint64_t delay_ns(const struct throttle *throttle)
{
	return (uint64_t)throttle->delay_ms * NS_PER_MS;
}

/* Is there anything to receive, or a sender that would have? */
static bool has_work(const struct port *set)
{
	return ready_any(set) || !TAILQ_EMPTY(&set->blocked);
}

/* What waits behind threads that run is looked after, however long these run. */
static void look_later(struct port *set)
{
	struct throttle *throttle = &set->extra->throttle;

	if (throttle_on(set) && !throttle_admits(set) && throttle->attend_ns == THROTTLE_NEVER && has_work(set))
		attend_at(set, clock_uptime_ns() + delay_ns(throttle));
}

/* -- who is counted -- */

static void count(struct thread *thread)
{
	struct throttle *throttle = &thread->serves->extra->throttle;

	thread->serves_counted = true;
	throttle->running++;
	TAILQ_INSERT_TAIL(&throttle->counted, thread, serves_link);
	look_later(thread->serves);
}

static void uncount(struct thread *thread)
{
	struct throttle *throttle = &thread->serves->extra->throttle;

	thread->serves_counted = false;
	throttle->running--;
	TAILQ_REMOVE(&throttle->counted, thread, serves_link);
}

void throttle_join(struct thread *thread, struct port *set)
{
	if (thread->serves != set)
		throttle_leave(thread);
	if (thread->serves == NULL) {
		port_ref(set);
		thread->serves = set;
		thread->straight_room = 0;
	}
	if (thread->serves_counted)
		uncount(thread);
	count(thread);
}

/* One thread fewer runs: somebody else may. */
static void released(struct port *set)
{
	if (throttle_on(set) && throttle_admits(set) && has_work(set))
		attend_now(set);
}

void throttle_leave(struct thread *thread)
{
	struct port *set = thread->serves;

	if (set == NULL)
		return;
	if (thread->serves_counted) {
		uncount(thread);
		released(set);
	}
	thread->serves = NULL;
	port_unref(set);
}

void throttle_wakes_slow(struct thread *thread)
{
	if (thread->serves->dead)
		throttle_leave(thread);
	else
		count(thread);
}

void throttle_sleeps_slow(struct thread *thread)
{
	struct port *set = thread->serves;

	if (set->dead) {
		throttle_leave(thread);
		return;
	}
	uncount(thread);
	released(set);
}

/* -- messages -- */

bool throttle_serves(const struct thread *thread, const struct port *set)
{
	bool poll = (thread->msg.option & MACH_RCV_TIMEOUT) != 0 && thread->msg.timeout_ms == 0;

	return throttle_on(set) && (!poll || thread->serves == set);
}

bool throttle_may_take_slow(const struct thread *thread, const struct port *set)
{
	const struct throttle *throttle = &set->extra->throttle;
	uint32_t others = throttle->running - (thread->serves == set && thread->serves_counted);

	return !throttle_serves(thread, set) || others < throttle->target;
}

void throttle_taken(struct port *set, uint64_t queued_ns)
{
	struct throttle *throttle = &set->extra->throttle;

	set->extra->taken++;
	throttle->taken_ns = clock_uptime_ns();
	if (queued_ns != 0)
		throttle->waited_ns += throttle->taken_ns - queued_ns;
}

void throttle_queued(struct port *set)
{
	look_later(set);
	if (throttle_admits(set) && set->extra->stall != NULL)
		attend_now(set);
}

/* -- looking at a set -- */

/* The target was reached all the time. Is it that a message was taken meanwhile? Else one thread counts no more. */
static bool excuse_one(struct port *set)
{
	struct throttle *throttle = &set->extra->throttle;
	uint64_t due_ns = throttle->taken_ns + delay_ns(throttle);

	if (due_ns > clock_uptime_ns()) {
		attend_at(set, due_ns);
		return false;
	}
	uncount(TAILQ_FIRST(&throttle->counted));
	return true;
}

static void tell_stall(struct port *set)
{
	struct port *once = set->extra->stall;

	set->extra->stall = NULL;
	if (once != NULL)
		notify_stalled(once);
}

static void attend(struct port *set)
{
	unsigned left = RELEASE_MOST;

	if (!throttle_on(set) || !has_work(set) || (!throttle_admits(set) && !excuse_one(set)))
		return;
	while (throttle_admits(set) && has_work(set)) {
		if (STACK_EMPTY(&set->receivers)) {
			tell_stall(set);
			return;
		}
		if (!ready_any(set)) {
			/* The sender that tries now, or others after it, will see to the rest. */
			mqueue_receiver_waits(set);
			return;
		}
		mqueue_release(set);
		if (--left == 0) {
			attend_now(set);
			return;
		}
	}
	if (has_work(set))
		attend_at(set, clock_uptime_ns() + delay_ns(&set->extra->throttle));
}

__attribute__((noinline)) void throttle_run_slow(void)
{
	uint64_t now = clock_uptime_ns();
	struct port *set;

	while ((set = RB_MIN(set_tree, &sets)) != NULL && set->extra->throttle.attend_ns <= now) {
		attend_at(set, THROTTLE_NEVER);
		port_ref(set);
		attend(set);
		port_unref(set);
		machine_window();
	}
}

/* -- the set's life -- */

void throttle_init(struct throttle *throttle)
{
	throttle->attend_ns = THROTTLE_NEVER;
	TAILQ_INIT(&throttle->counted);
}

/* Its threads leave one by one, when they wake or sleep. */
void throttle_end(struct port *set)
{
	struct port *once;

	if (!set->has_extra)
		return;
	once = set->extra->stall;
	set->extra->throttle.target = 0;
	set->is_throttled = false;
	set->extra->stall = NULL;
	attend_at(set, THROTTLE_NEVER);
	if (once != NULL)
		right_release_send_once(once);
}

/* The memory that a throttled set takes. False: denied, nothing changed. */
static bool memory_make(struct port *set)
{
	bool had = set->has_extra;

	if (!port_extend(set))
		return false;
	if (ready_split(set))
		return true;
	if (!had)
		port_unextend(set);
	return false;
}

kern_return_t throttle_set(struct port *set, unsigned target, unsigned delay_ms)
{
	if (target > UINT16_MAX || (target != 0 && (delay_ms == 0 || delay_ms > UINT16_MAX)))
		return KERN_INVALID_VALUE;
	if (target == 0) {
		throttle_end(set);
		mqueue_set_offer(set);
		return KERN_SUCCESS;
	}
	if (!memory_make(set))
		return KERN_RESOURCE_SHORTAGE;
	set->is_throttled = true;
	set->extra->throttle.target = (uint16_t)target;
	set->extra->throttle.delay_ms = (uint16_t)delay_ms;
	if (has_work(set))
		attend_now(set);
	return KERN_SUCCESS;
}

void throttle_request_stall(struct port *set, struct port *notify)
{
	struct port *previous = set->extra->stall;

	set->extra->stall = notify;
	if (previous != NULL)
		right_release_send_once(previous);
	if (notify != NULL && has_work(set) && throttle_admits(set))
		attend_now(set);
}

void throttle_check(struct port *set)
{
	const struct throttle *throttle = &set->extra->throttle;
	uint32_t running = 0;
	struct thread *thread;

	assert(set->has_extra || !set->is_throttled);
	if (!set->has_extra)
		return;
	assert(set->is_throttled == (throttle->target != 0));
	TAILQ_FOREACH(thread, &throttle->counted, serves_link) {
		assert(thread->serves == set && thread->serves_counted);
		running++;
	}
	assert(running == throttle->running);
	assert(!set->dead || (throttle->target == 0 && throttle->attend_ns == THROTTLE_NEVER));
}
