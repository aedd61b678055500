/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The threads that serve a bucket: workers, and when one is added without the
 * kernel's help (PORTS_THROTTLE_NONE and _CAP). The throttled pool is in pool.c.
 */
#include "pool.h"
#include <mach.h>
#include <mach/calls.h>
#include <mach/mig_support.h>
#include <stdlib.h>
#include <throttle_user.h>

/* A worker's memory, all made before it takes its first message. */
struct worker {
	struct pool *pool;
	struct serving serving;
	mach_msg_header_t *request, *reply;
	uint32_t messages;
	bool stays;			/* never leaves as surplus */
	bool waited;			/* for the request, which found us when it came */
	bool arms;			/* with its first request: the manager waits for that */
};

static void worker_free(struct worker *worker)
{
	free(worker->request);
	free(worker->reply);
	free(worker);
}

static struct worker *worker_new(struct pool *pool)
{
	struct worker *worker = calloc(1, sizeof *worker);

	if (worker == NULL)
		return NULL;
	worker->pool = pool;
	worker->request = malloc(pool->options.max_size);
	worker->reply = malloc(pool->options.max_size);
	if (worker->request != NULL && worker->reply != NULL)
		return worker;
	worker_free(worker);
	return NULL;
}

/* A message that cannot be taken says nothing about the next one. */
static bool is_about_one_message(mach_msg_return_t code)
{
	code &= ~MACH_MSG_MASK;
	return code == MACH_RCV_TOO_LARGE || code == MACH_RCV_BODY_ERROR ||
	       code == MACH_RCV_HEADER_ERROR || code == MACH_RCV_INVALID_NOTIFY;
}

/* Was it received all the same, without what this task cannot hold? The rest of its rights and memory are ours. */
static bool is_received_in_part(mach_msg_return_t code)
{
	return (code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR;
}

static void answer(struct serving *serving, mach_msg_header_t *reply)
{
	struct thread *thread = thread_self();
	void *outer = thread->serving, *watcher = calls_watch(serving->pool);

	thread->serving = serving;
	mach_msg_answer(serving->pool->demuxer, serving->request, reply);
	thread->serving = outer;
	calls_watch(watcher);
}

void pool_serve(struct serving *serving, mach_msg_header_t *reply)
{
	if (ports_notify_server(serving->pool->bucket, serving->request, reply))
		mach_msg_destroy(serving->request);
	else
		answer(serving, reply);
	__atomic_store_n(&serving->handle, 0, __ATOMIC_RELEASE);
}

void pool_refuse(mach_msg_header_t *request, kern_return_t code)
{
	mig_reply_header_t reply = {
		.Head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(request->msgh_bits), 0),
			.msgh_size = sizeof reply,
			.msgh_remote_port = request->msgh_remote_port,
			.msgh_id = request->msgh_id + 100,
		},
		.RetCodeType = {
			.msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1,
		},
		.RetCode = code,
	};

	request->msgh_remote_port = MACH_PORT_NULL;
	mach_msg_destroy(request);
	if (MACH_PORT_VALID(reply.Head.msgh_remote_port) &&
	    mach_msg(&reply.Head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof reply, 0, MACH_PORT_NULL, 0,
		     MACH_PORT_NULL) != MACH_MSG_SUCCESS)
		mach_msg_destroy(&reply.Head);
}

static bool is_throttled(const struct pool *pool)
{
	return pool->options.throttle == PORTS_THROTTLE_POOL;
}

static void become_idle(struct port_bucket *bucket)
{
	__atomic_add_fetch(&bucket->idle, 1, __ATOMIC_ACQ_REL);
}

/* How many are left. */
static uint32_t stop_idling(struct port_bucket *bucket)
{
	return __atomic_sub_fetch(&bucket->idle, 1, __ATOMIC_ACQ_REL);
}

static void arm_once(struct worker *worker)
{
	if (worker->arms)
		pool_arm(worker->pool);
	worker->arms = false;
}

/* It is at work now. When nobody is left for the next request, or this one lay in the queue, there must be more. */
static void begin_work(struct worker *worker)
{
	struct pool *pool = worker->pool;
	bool is_last = stop_idling(pool->bucket) == 0;

	__atomic_add_fetch(&pool->bucket->counters.requests, 1, __ATOMIC_RELAXED);
	if (is_throttled(pool))
		arm_once(worker);
	else if (is_last || !worker->waited)
		pool_add_worker(pool, pool->options.max_workers);
}

/* May it go? Not the last idle one, nor one of the minimum. */
static bool is_surplus(const struct worker *worker)
{
	struct port_bucket *bucket = worker->pool->bucket;
	uint32_t idle = __atomic_load_n(&bucket->idle, __ATOMIC_ACQUIRE);

	if (worker->stays ||
	    __atomic_load_n(&bucket->workers, __ATOMIC_ACQUIRE) <= worker->pool->options.min_workers)
		return false;
	while (idle > 1) {
		if (__atomic_compare_exchange_n(&bucket->idle, &idle, idle - 1, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

#define CLEAN_EVERY	16	/* messages, when there is no pause to clean in */

/* From the receive's return to the handle's being known nothing may wait: inhibit.c counts on it. */
static mach_msg_return_t receive(struct worker *worker, mach_msg_option_t option,
				 mach_msg_timeout_t timeout)
{
	struct serving *serving = &worker->serving;
	mach_msg_return_t code;

	serving_wait(serving);
	code = mach_msg(worker->request, MACH_RCV_MSG | option, 0, worker->pool->options.max_size,
			worker->pool->bucket->set, timeout, MACH_PORT_NULL);
	if (code != MACH_MSG_SUCCESS)
		return code;
	/* It may have been inhibited while we listened. */
	if (__atomic_load_n(&worker->pool->bucket->inhibited, __ATOMIC_ACQUIRE) != 0) {
		__atomic_store_n(&serving->handle, SERVING_HELD, __ATOMIC_RELEASE);
		serving_wait(serving);
	}
	__atomic_store_n(&serving->handle, worker->request->msgh_local_port, __ATOMIC_RELEASE);
	return code;
}

/* Waits for a message; in pauses cleans up behind ports that were left. */
static mach_msg_return_t next_message(struct worker *worker)
{
	struct port_bucket *bucket = worker->pool->bucket;
	bool look = !is_throttled(worker->pool);
	mach_msg_return_t code;

	worker->waited = false;
	if (++worker->messages % CLEAN_EVERY == 0)
		ports_clean_one(bucket);
	while (look || ports_unclean(bucket)) {
		code = receive(worker, MACH_RCV_TIMEOUT, 0);
		if (code != MACH_RCV_TIMED_OUT)
			return code;
		ports_clean_one(bucket);
		look = false;
	}
	worker->waited = true;
	return worker->stays ? receive(worker, 0, 0) :
	       receive(worker, MACH_RCV_TIMEOUT, worker->pool->options.idle_ms);
}

/* Counted as idle already. Returns when the worker is surplus, or receiving fails. */
static kern_return_t work(struct worker *worker)
{
	struct port_bucket *bucket = worker->pool->bucket;

	for (;;) {
		mach_msg_return_t code = next_message(worker);

		if (code == MACH_RCV_TIMED_OUT && is_surplus(worker))
			return KERN_SUCCESS;
		if (code == MACH_MSG_SUCCESS)
			begin_work(worker);
		else
			stop_idling(bucket);
		if (code == MACH_MSG_SUCCESS)
			pool_serve(&worker->serving, worker->reply);
		else if (is_received_in_part(code))
			mach_msg_destroy(worker->request);
		else if (code != MACH_RCV_TIMED_OUT && !is_about_one_message(code))
			return code;
		become_idle(bucket);
	}
}

/* A thread has begun, or (enters false) is about to end. Counted by itself: those that are denied never are. */
static void count_thread(struct ports_counters *counters, bool enters)
{
	uint32_t now, most = __atomic_load_n(&counters->most_threads, __ATOMIC_RELAXED);

	if (!enters) {
		__atomic_sub_fetch(&counters->threads, 1, __ATOMIC_RELAXED);
		return;
	}
	now = __atomic_add_fetch(&counters->threads, 1, __ATOMIC_RELAXED);
	while (now > most &&
	       !__atomic_compare_exchange_n(&counters->most_threads, &most, now, false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static kern_return_t run(struct worker *worker)
{
	struct ports_counters *counters = &worker->pool->bucket->counters;
	kern_return_t code;

	count_thread(counters, true);
	worker->serving.request = worker->request;
	serving_begin(&worker->serving, worker->pool);
	code = work(worker);
	serving_end(&worker->serving);
	count_thread(counters, false);
	arm_once(worker);
	worker_free(worker);
	return code;
}

/* May there be one more? It is counted then. */
static bool take_place(struct port_bucket *bucket, uint32_t limit)
{
	uint32_t count = __atomic_load_n(&bucket->workers, __ATOMIC_ACQUIRE);

	while (count < limit) {
		if (__atomic_compare_exchange_n(&bucket->workers, &count, count + 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

static void leave_place(struct port_bucket *bucket)
{
	if (__atomic_sub_fetch(&bucket->workers, 1, __ATOMIC_ACQ_REL) == 0)
		word_wake(&bucket->workers, true);
}

void pool_leave(struct pool *pool)
{
	if (__atomic_sub_fetch(&pool->users, 1, __ATOMIC_ACQ_REL) == 0)
		free(pool);
}

static void worker_main(void *argument)
{
	struct worker *worker = argument;
	struct pool *pool = worker->pool;

	run(worker);
	leave_place(pool->bucket);
	pool_leave(pool);
}

static bool start_worker(struct pool *pool)
{
	struct worker *worker = worker_new(pool);
	struct thread *thread;

	if (worker == NULL)
		return false;
	worker->arms = is_throttled(pool);
	if (thread_spawn(worker_main, worker, 0, &thread) != KERN_SUCCESS) {
		worker_free(worker);
		return false;
	}
	thread_detach(thread);
	return true;
}

bool pool_add_worker(struct pool *pool, uint32_t limit)
{
	struct port_bucket *bucket = pool->bucket;
	void *watcher;
	bool done;

	if (!take_place(bucket, limit))
		return false;
	__atomic_add_fetch(&pool->users, 1, __ATOMIC_ACQ_REL);
	/* From now on: while it is on its way there is no need of another. */
	become_idle(bucket);
	watcher = calls_watch(NULL);
	done = start_worker(pool);
	calls_watch(watcher);
	if (done)
		return true;
	__atomic_add_fetch(&bucket->counters.refused, 1, __ATOMIC_RELAXED);
	stop_idling(bucket);
	leave_place(bucket);
	pool_leave(pool);
	return false;
}

/* On the calling thread, which is the first worker and stays. */
static kern_return_t manage_here(struct pool *pool)
{
	struct worker *worker = worker_new(pool);
	kern_return_t code;

	if (worker == NULL)
		return KERN_RESOURCE_SHORTAGE;
	worker->stays = true;
	__atomic_add_fetch(&pool->bucket->workers, 1, __ATOMIC_ACQ_REL);
	become_idle(pool->bucket);
	code = run(worker);
	leave_place(pool->bucket);
	return code;
}

kern_return_t ports_manage_port_operations_one_thread(struct port_bucket *bucket,
						      mach_msg_demux_t demuxer,
						      mach_msg_size_t max_size)
{
	const struct ports_manage_options options = {
		.max_size = max_size, .max_workers = 1, .throttle = PORTS_THROTTLE_CAP,
	};

	/* One thread needs no bound, but a set that once had one has turns by ledgers. Denied, it goes without. */
	if (port_set_throttle(mach_task_self(), bucket->set, 1, 1) == KERN_SUCCESS)
		port_set_throttle(mach_task_self(), bucket->set, 0, 0);
	return ports_manage_port_operations_multithread(bucket, demuxer, &options);
}

kern_return_t ports_manage_port_operations_multithread(struct port_bucket *bucket,
						       mach_msg_demux_t demuxer,
						       const struct ports_manage_options *options)
{
	/* Workers and parked requests may outlive this call, so the record does too. */
	struct pool *pool = calloc(1, sizeof *pool);
	kern_return_t code;

	if (pool == NULL)
		return KERN_RESOURCE_SHORTAGE;
	pool->bucket = bucket;
	pool->demuxer = demuxer;
	pool->options = *options;
	pool->users = 1;
	if (options->throttle == PORTS_THROTTLE_NONE)
		pool->options.max_workers = UINT32_MAX;
	code = is_throttled(pool) ? pool_manage(pool) : manage_here(pool);
	pool_leave(pool);
	return code;
}
