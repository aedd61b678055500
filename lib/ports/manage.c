/* SPDX-License-Identifier: BSD-2-Clause */
/* The threads that serve a bucket. */
#include <mach.h>
#include <ports.h>
#include <stdlib.h>

struct pool {
	struct port_bucket *bucket;
	mach_msg_demux_t demuxer;
	struct ports_manage_options options;
	bool shared;			/* by several threads: the last to leave frees it */
};

/* A worker's memory, all made before it takes its first message. */
struct worker {
	struct pool *pool;
	mach_msg_header_t *request, *reply;
	uint32_t messages;
	bool waited;			/* for the request, which found us when it came */
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

static void serve(struct pool *pool, struct worker *worker)
{
	if (ports_notify_server(pool->bucket, worker->request, worker->reply)) {
		mach_msg_destroy(worker->request);
		return;
	}
	mach_msg_answer(pool->demuxer, worker->request, worker->reply);
}

static void add_worker(struct pool *pool);

/* Does a request that lay in the queue, because nobody waited when it came, cost a thread? */
static bool is_eager(const struct pool *pool)
{
	return pool->options.throttle != PORTS_THROTTLE_POOL;
}

/* It is at work now; when nobody is left for the next request there must be more. */
static void begin_work(struct worker *worker)
{
	struct pool *pool = worker->pool;
	struct port_bucket *bucket = pool->bucket;
	bool is_last = __atomic_sub_fetch(&bucket->idle, 1, __ATOMIC_ACQ_REL) == 0;

	__atomic_add_fetch(&bucket->counters.requests, 1, __ATOMIC_RELAXED);
	if (is_last || (is_eager(pool) && !worker->waited))
		add_worker(pool);
}

static void become_idle(struct port_bucket *bucket)
{
	__atomic_add_fetch(&bucket->idle, 1, __ATOMIC_ACQ_REL);
}

static void stop_idling(struct port_bucket *bucket)
{
	__atomic_sub_fetch(&bucket->idle, 1, __ATOMIC_ACQ_REL);
}

/* May it go? Not the last idle one. */
static bool is_surplus(struct port_bucket *bucket)
{
	uint32_t idle = __atomic_load_n(&bucket->idle, __ATOMIC_ACQUIRE);

	while (idle > 1) {
		if (__atomic_compare_exchange_n(&bucket->idle, &idle, idle - 1, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

#define CLEAN_EVERY	16	/* messages, when there is no pause to clean in */

/* Waits for a message; in pauses cleans up behind ports that were left. */
static mach_msg_return_t next_message(struct worker *worker, mach_msg_option_t option,
				      mach_msg_timeout_t timeout)
{
	struct pool *pool = worker->pool;
	struct port_bucket *bucket = pool->bucket;
	mach_msg_return_t code;
	bool look = is_eager(pool);

	worker->waited = false;
	if (++worker->messages % CLEAN_EVERY == 0)
		ports_clean_one(bucket);
	while (look || ports_unclean(bucket)) {
		code = mach_msg(worker->request, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
				pool->options.max_size, bucket->set, 0, MACH_PORT_NULL);
		if (code != MACH_RCV_TIMED_OUT)
			return code;
		ports_clean_one(bucket);
		look = false;
	}
	worker->waited = true;
	return mach_msg(worker->request, option, 0, pool->options.max_size, bucket->set, timeout,
			MACH_PORT_NULL);
}

/* Counted as idle already. Returns when the worker is surplus (only if it may leave), or receiving fails. */
static kern_return_t work(struct worker *worker, bool may_leave)
{
	struct pool *pool = worker->pool;
	struct port_bucket *bucket = pool->bucket;
	mach_msg_option_t option = MACH_RCV_MSG | (may_leave ? MACH_RCV_TIMEOUT : 0);

	for (;;) {
		mach_msg_return_t code = next_message(worker, option,
						      may_leave ? pool->options.idle_ms : 0);

		if (code == MACH_RCV_TIMED_OUT && is_surplus(bucket))
			return KERN_SUCCESS;
		if (code == MACH_MSG_SUCCESS)
			begin_work(worker);
		else
			stop_idling(bucket);
		if (code == MACH_MSG_SUCCESS)
			serve(pool, worker);
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

void ports_get_counters(struct port_bucket *bucket, struct ports_counters *counters)
{
	const struct ports_counters *from = &bucket->counters;

	counters->threads = __atomic_load_n(&from->threads, __ATOMIC_RELAXED);
	counters->most_threads = __atomic_load_n(&from->most_threads, __ATOMIC_RELAXED);
	counters->requests = __atomic_load_n(&from->requests, __ATOMIC_RELAXED);
	counters->refused = __atomic_load_n(&from->refused, __ATOMIC_RELAXED);
}

/* One thread fewer; the bucket and the pool may be gone afterwards. */
static void pool_leave(struct pool *pool)
{
	bool shared = pool->shared;

	if (__atomic_sub_fetch(&pool->bucket->workers, 1, __ATOMIC_ACQ_REL) == 0 && shared)
		free(pool);
}

static kern_return_t run(struct worker *worker, bool may_leave)
{
	struct ports_counters *counters = &worker->pool->bucket->counters;
	kern_return_t code;

	count_thread(counters, true);
	code = work(worker, may_leave);
	count_thread(counters, false);
	worker_free(worker);
	return code;
}

static void worker_main(void *argument)
{
	struct worker *worker = argument;
	struct pool *pool = worker->pool;

	run(worker, true);
	pool_leave(pool);
}

/* May there be one more? It is counted then. */
static bool take_place(struct pool *pool)
{
	uint32_t *workers = &pool->bucket->workers, count = __atomic_load_n(workers, __ATOMIC_ACQUIRE);

	while (pool->options.throttle == PORTS_THROTTLE_NONE || count < pool->options.max_workers) {
		if (__atomic_compare_exchange_n(workers, &count, count + 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return true;
	}
	return false;
}

static bool start_worker(struct pool *pool)
{
	struct worker *worker = worker_new(pool);
	struct thread *thread;

	if (worker == NULL)
		return false;
	if (thread_spawn(worker_main, worker, 0, &thread) != KERN_SUCCESS) {
		worker_free(worker);
		return false;
	}
	thread_detach(thread);
	return true;
}

/* If there may be more and there is memory; otherwise those that are there go on. */
static void add_worker(struct pool *pool)
{
	struct port_bucket *bucket = pool->bucket;

	if (!take_place(pool))
		return;
	/* From now on: while it is on its way there is no need of another. */
	become_idle(bucket);
	if (start_worker(pool))
		return;
	__atomic_add_fetch(&bucket->counters.refused, 1, __ATOMIC_RELAXED);
	stop_idling(bucket);
	__atomic_sub_fetch(&bucket->workers, 1, __ATOMIC_ACQ_REL);
}

/* The pool is given up, and freed when it is shared, with the last thread that leaves. */
static kern_return_t manage(struct pool *pool)
{
	struct worker *worker = worker_new(pool);
	kern_return_t code = KERN_RESOURCE_SHORTAGE;

	__atomic_add_fetch(&pool->bucket->workers, 1, __ATOMIC_ACQ_REL);
	if (worker != NULL) {
		become_idle(pool->bucket);
		code = run(worker, false);
	}
	pool_leave(pool);
	return code;
}

kern_return_t ports_manage_port_operations_one_thread(struct port_bucket *bucket,
						      mach_msg_demux_t demuxer,
						      mach_msg_size_t max_size)
{
	struct pool pool = { .bucket = bucket, .demuxer = demuxer,
			     .options = { .max_size = max_size, .max_workers = 1 } };

	return manage(&pool);
}

kern_return_t ports_manage_port_operations_multithread(struct port_bucket *bucket,
						       mach_msg_demux_t demuxer,
						       const struct ports_manage_options *options)
{
	/* Workers may outlive a failure of this thread's loop, so the record does too. Returns at once then: the
	   bucket must stay until `workers` is 0. */
	struct pool *pool = malloc(sizeof *pool);

	if (pool == NULL)
		return KERN_RESOURCE_SHORTAGE;
	pool->bucket = bucket;
	pool->demuxer = demuxer;
	pool->options = *options;
	pool->shared = true;
	return manage(pool);
}
