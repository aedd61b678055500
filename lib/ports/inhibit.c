/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inhibited ports and buckets.
 *
 * Each thread that serves tells whose request it has, from just after it was received until
 * its handler has ended. A port that is inhibited leaves the set first, so nobody receives from it any
 * more; a bucket's threads are stopped before and after they receive. Then it takes
 * only to wait until no thread has such a request. Whether one that tells nothing
 * has just received one cannot be seen; but if the kernel says that it waits, and afterwards it
 * still tells nothing, it had none: between the two it does not wait. So the threads pay for
 * inhibition by two stores and two loads a request, and the rest falls on who inhibits.
 */
#include "pool.h"
#include <mach.h>
#include <mach/thread_info.h>

/* -- what threads serve -- */

static void enlist(struct serving *serving)
{
	struct port_bucket *bucket = serving->pool->bucket;

	serving->thread = thread_self();
	serving->next = bucket->servings;
	serving->link = &bucket->servings;
	if (serving->next != NULL)
		serving->next->link = &serving->next;
	bucket->servings = serving;
}

void serving_begin(struct serving *serving, struct pool *pool)
{
	struct thread *thread = thread_self();

	if (thread->port == MACH_PORT_NULL)
		thread->port = mach_thread_self();
	serving->pool = pool;
	serving->handle = 0;
	mutex_lock(&pool->bucket->lock);
	enlist(serving);
	mutex_unlock(&pool->bucket->lock);
}

void serving_end(struct serving *serving)
{
	struct port_bucket *bucket = serving->pool->bucket;

	mutex_lock(&bucket->lock);
	*serving->link = serving->next;
	if (serving->next != NULL)
		serving->next->link = serving->link;
	mutex_unlock(&bucket->lock);
}

void serving_wait(const struct serving *serving)
{
	uint32_t *inhibited = &serving->pool->bucket->inhibited;

	while (__atomic_load_n(inhibited, __ATOMIC_ACQUIRE) != 0)
		word_wait(inhibited, 1, 0);
}

bool serving_begin_parked(struct serving *serving, struct ports_parked *parked)
{
	struct pool *pool = parked_pool(parked);
	struct port_bucket *bucket = pool->bucket;
	struct port_info *port;
	bool inhibited;

	serving->pool = pool;
	serving->request = parked_request(parked);
	serving->handle = serving->request->msgh_local_port;
	mutex_lock(&bucket->lock);
	port = ports_find(bucket, serving->handle);
	inhibited = bucket->inhibited != 0 || (port != NULL && port->inhibited);
	if (inhibited)
		parked_append(&bucket->held, parked);
	else
		enlist(serving);
	mutex_unlock(&bucket->lock);
	return !inhibited;
}

void held_resume(struct port_bucket *bucket)
{
	struct ports_parked_queue held;
	struct ports_parked *parked;

	mutex_lock(&bucket->lock);
	held = bucket->held;
	bucket->held = (struct ports_parked_queue){ .count = 0 };
	mutex_unlock(&bucket->lock);
	while ((parked = ports_unpark(&held)) != NULL)
		ports_resume(parked);
}

/* -- inhibiting -- */

static bool waits(const struct thread *thread)
{
	struct thread_basic_info info;
	mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;

	return thread_info(thread->port, THREAD_BASIC_INFO, (integer_t *)&info, &count) == KERN_SUCCESS &&
	       info.run_state == TH_STATE_WAITING;
}

static mach_port_t handle_of(const struct serving *serving)
{
	return __atomic_load_n(&serving->handle, __ATOMIC_ACQUIRE);
}

/* What a thread tells that is not in a handler of this port. Held requests may be of any. */
static bool is_elsewhere(mach_port_t now, mach_port_t handle)
{
	return handle != 0 ? now != handle && now != SERVING_HELD : now == 0 || now == SERVING_HELD;
}

/* Has it no request of this port (0: of any that is not held), nor will have one before the resumption? */
static bool is_clear(const struct serving *serving, mach_port_t handle)
{
	mach_port_t now = handle_of(serving);

	if (serving->thread == thread_self())
		return true;
	if (!is_elsewhere(now, handle))
		return false;
	if (now != 0 && now != SERVING_HELD)
		return true;
	return waits(serving->thread) && is_elsewhere(handle_of(serving), handle);
}

static bool all_clear(struct port_bucket *bucket, mach_port_t handle)
{
	const struct serving *serving;

	mutex_lock(&bucket->lock);
	for (serving = bucket->servings; serving != NULL; serving = serving->next)
		if (!is_clear(serving, handle))
			break;
	mutex_unlock(&bucket->lock);
	return serving == NULL;
}

/* Ends `inhibiting`. */
static kern_return_t wait_for_clear(struct port_bucket *bucket, mach_port_t handle, unsigned milliseconds)
{
	uint64_t end = clock_uptime_ns() + milliseconds * 1000000ull;
	kern_return_t code = KERN_SUCCESS;

	while (code == KERN_SUCCESS && !all_clear(bucket, handle)) {
		if (milliseconds != 0 && clock_uptime_ns() >= end)
			code = KERN_TIMEDOUT;
		else
			thread_sleep(1);
	}
	mutex_lock(&bucket->lock);
	bucket->inhibiting = false;
	mutex_unlock(&bucket->lock);
	return code;
}

static kern_return_t close_port(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;
	kern_return_t code;

	/* Two that wait for each other's handlers would do so for ever: so one at a time. */
	if (bucket->inhibiting || bucket->inhibited != 0 || port->inhibited)
		return PORTS_BUSY;
	code = mach_port_move_member(mach_task_self(), port->receive, MACH_PORT_NULL);
	if (code == KERN_SUCCESS)
		port->inhibited = bucket->inhibiting = true;
	return code;
}

kern_return_t ports_inhibit_port_rpcs(struct port_info *port, unsigned milliseconds)
{
	kern_return_t code;

	mutex_lock(&port->bucket->lock);
	code = close_port(port);
	mutex_unlock(&port->bucket->lock);
	if (code == KERN_SUCCESS) {
		code = wait_for_clear(port->bucket, port->handle, milliseconds);
		if (code != KERN_SUCCESS)
			ports_resume_port_rpcs(port);
	}
	return code;
}

void ports_resume_port_rpcs(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;

	mutex_lock(&bucket->lock);
	/* Back into the set, which takes no memory. */
	if (port->inhibited && port->receive != MACH_PORT_NULL && bucket->set != MACH_PORT_NULL)
		mach_port_move_member(mach_task_self(), port->receive, bucket->set);
	port->inhibited = false;
	mutex_unlock(&bucket->lock);
	held_resume(bucket);
}

kern_return_t ports_inhibit_bucket_rpcs(struct port_bucket *bucket, unsigned milliseconds)
{
	bool busy;
	kern_return_t code;

	mutex_lock(&bucket->lock);
	busy = bucket->inhibiting || bucket->inhibited != 0;
	if (!busy) {
		bucket->inhibiting = true;
		__atomic_store_n(&bucket->inhibited, 1, __ATOMIC_RELEASE);
	}
	mutex_unlock(&bucket->lock);
	if (busy)
		return PORTS_BUSY;
	code = wait_for_clear(bucket, 0, milliseconds);
	if (code != KERN_SUCCESS)
		ports_resume_bucket_rpcs(bucket);
	return code;
}

void ports_resume_bucket_rpcs(struct port_bucket *bucket)
{
	mutex_lock(&bucket->lock);
	__atomic_store_n(&bucket->inhibited, 0, __ATOMIC_RELEASE);
	mutex_unlock(&bucket->lock);
	word_wake(&bucket->inhibited, true);
	held_resume(bucket);
}
