/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The throttled pool.
 *
 * Only so many workers run at once (options.concurrency): the kernel sees to
 * that (port_set_throttle), and lets the next one have a message when one goes to sleep. When
 * messages wait, fewer run and nobody listens, it sends one message to the
 * manager, the thread that called; only then is a worker added, up to the
 * maximum. The next stall is asked for by the new worker, with its first
 * request: until then its coming is not known to help.
 *
 * A pool that is at its maximum, or is denied more threads, may be stuck: each
 * worker waits for something that only another request to this very server would bring. So while there is a
 * stall the manager looks now and then. When requests wait, no worker has taken one for stuck_ms and none runs, it first adds one of the spares; when these are used up it
 * aborts the call that began last among those that requests have made
 * (calls.h). That call returns MACH_RCV_INTERRUPTED, its handler fails, and a worker comes back. So a
 * deadlock ends after stuck_ms times the number of workers, whatever the cause, if what the workers wait in is a
 * call of mach_msg.
 */
#include "pool.h"
#include <gnumach_user.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/calls.h>
#include <stdlib.h>
#include <string.h>
#include <throttle_user.h>

#define IDLE_MS		10000
#define STUCK_MS	1000
#define DELAY_MS	10
#define LOOK_MS		100		/* during a stall, at the longest */
#define SPARES		2
#define WORKERS_MOST	64	/* when the server does not say */

/* -- defaults -- */

static uint32_t processors(void)
{
	host_basic_info_data_t info;
	mach_msg_type_number_t count = HOST_BASIC_INFO_COUNT;

	if (host_info(mach_host_self(), HOST_BASIC_INFO, (host_info_t)&info, &count) != KERN_SUCCESS ||
	    info.avail_cpus < 1)
		return 1;
	return (uint32_t)info.avail_cpus;
}

/* Half the threads that the ledger still has room for: the other half is for the program. */
static uint32_t workers_affordable(void)
{
	ledger_usage_t usage = { .limit = LEDGER_UNLIMITED };
	ledger_t ledger = MACH_PORT_NULL;
	uint64_t room;

	if (task_get_ledger(mach_task_self(), &ledger) == KERN_SUCCESS)
		ledger_get_usage(ledger, LEDGER_THREADS, &usage);
	give_back_right(ledger);
	room = usage.limit > usage.used ? (usage.limit - usage.used) / 2 : 0;
	return room < 1 ? 1 : room > WORKERS_MOST ? WORKERS_MOST : (uint32_t)room;
}

static void set_default(uint32_t *value, uint32_t normal)
{
	if (*value == 0)
		*value = normal;
}

static void set_defaults(struct ports_manage_options *options)
{
	if (options->concurrency == 0)
		options->concurrency = processors();
	if (options->max_workers == 0)
		options->max_workers = workers_affordable();
	set_default(&options->min_workers, 1);
	if (options->min_workers > options->max_workers)
		options->min_workers = options->max_workers;
	set_default(&options->idle_ms, IDLE_MS);
	set_default(&options->stuck_ms, STUCK_MS);
	set_default(&options->delay_ms, DELAY_MS);
	if (options->spares == PORTS_NO_SPARES)
		options->spares = 0;
	else
		set_default(&options->spares, SPARES);
}

/* -- the manager -- */

struct manager {
	struct pool *pool;
	uint64_t requests;		/* taken by workers at the last look */
	uint64_t quiet_ns;		/* uptime since which none has been taken */
	throttle_status_t status;
};

void pool_arm(struct pool *pool)
{
	mutex_lock(&pool->lock);
	if (!pool->armed && !pool->ended)
		pool->armed = port_set_request_stall(mach_task_self(), pool->bucket->set, pool->control,
						     MACH_MSG_TYPE_MAKE_SEND_ONCE) == KERN_SUCCESS;
	mutex_unlock(&pool->lock);
}

static void disarm(struct pool *pool)
{
	mutex_lock(&pool->lock);
	pool->armed = false;
	mutex_unlock(&pool->lock);
}

static bool is_armed(struct pool *pool)
{
	bool armed;

	mutex_lock(&pool->lock);
	armed = pool->armed;
	mutex_unlock(&pool->lock);
	return armed;
}

static void count(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

/* -- requests that waited too long -- */

/* Answers those at the head of the queues that are older than busy_ms. A poll: no worker is meant. */
static void refuse_overdue(struct manager *manager, mach_msg_header_t *request, mach_msg_header_t *reply)
{
	struct pool *pool = manager->pool;
	struct port_bucket *bucket = pool->bucket;
	uint64_t most_ns = (uint64_t)pool->options.busy_ms * 1000000;

	while (manager->status.oldest_ns > most_ns) {
		mach_msg_return_t code = mach_msg(request, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
						  pool->options.max_size, bucket->set, 0, MACH_PORT_NULL);

		if (code != MACH_MSG_SUCCESS)
			return;
		if (ports_notify_server(bucket, request, reply)) {
			mach_msg_destroy(request);
		} else {
			count(&bucket->counters.busy);
			pool_refuse(request, PORTS_BUSY);
		}
		if (port_set_throttle_status(mach_task_self(), bucket->set, &manager->status) != KERN_SUCCESS)
			return;
	}
}

/* -- stalls -- */

/* Requests wait, nobody has taken one for stuck_ms, and nobody runs who could. */
static bool is_stuck(struct manager *manager)
{
	struct pool *pool = manager->pool;
	uint64_t requests = __atomic_load_n(&pool->bucket->counters.requests, __ATOMIC_RELAXED);
	uint64_t now = clock_uptime_ns();

	if (requests != manager->requests || manager->status.running > 0) {
		manager->requests = requests;
		manager->quiet_ns = now;
	}
	return now - manager->quiet_ns >= (uint64_t)pool->options.stuck_ms * 1000000;
}

static void unstick(struct manager *manager)
{
	struct pool *pool = manager->pool;
	const struct ports_manage_options *options = &pool->options;
	struct ports_counters *counters = &pool->bucket->counters;

	manager->quiet_ns = clock_uptime_ns();
	if (pool_add_worker(pool, options->max_workers + options->spares))
		count(&counters->spares);
	else if (calls_abort_newest(pool))
		count(&counters->aborts);
}

/* False: the set is gone. */
static bool look(struct manager *manager, mach_msg_header_t *request, mach_msg_header_t *reply)
{
	struct pool *pool = manager->pool;
	throttle_status_t *status = &manager->status;

	if (port_set_throttle_status(mach_task_self(), pool->bucket->set, status) != KERN_SUCCESS)
		return false;
	/* Nothing shall move. */
	if (__atomic_load_n(&pool->bucket->inhibited, __ATOMIC_ACQUIRE) != 0) {
		manager->quiet_ns = clock_uptime_ns();
		return true;
	}
	if (pool->options.busy_ms != 0)
		refuse_overdue(manager, request, reply);
	if (is_armed(pool))
		return true;
	if (!status->waiting || status->listening || status->running >= status->target)
		pool_arm(pool);
	else if (!pool_add_worker(pool, pool->options.max_workers) && is_stuck(manager))
		unstick(manager);
	return true;
}

static void stalled(struct manager *manager)
{
	struct pool *pool = manager->pool;
	struct ports_counters *counters = &pool->bucket->counters;

	disarm(pool);
	count(&counters->stalls);
	manager->requests = __atomic_load_n(&counters->requests, __ATOMIC_RELAXED);
	manager->quiet_ns = clock_uptime_ns();
	pool_add_worker(pool, pool->options.max_workers);
}

/* How long to wait for the kernel's word, milliseconds; 0: until it comes. */
static mach_msg_timeout_t patience(struct pool *pool)
{
	const struct ports_manage_options *options = &pool->options;
	uint32_t busy_ms = (options->busy_ms + 1) / 2;
	uint32_t look_ms = options->stuck_ms < LOOK_MS ? options->stuck_ms : LOOK_MS;

	if (is_armed(pool))
		return busy_ms;
	return busy_ms != 0 && busy_ms < look_ms ? busy_ms : look_ms;
}

static void attend(struct manager *manager, mach_msg_header_t *request, mach_msg_header_t *reply)
{
	struct pool *pool = manager->pool;

	for (;;) {
		mach_msg_timeout_t timeout = patience(pool);
		mach_msg_return_t code = mach_msg(request, MACH_RCV_MSG | (timeout != 0 ? MACH_RCV_TIMEOUT : 0), 0,
						  pool->options.max_size, pool->control, timeout, MACH_PORT_NULL);

		if (code == MACH_MSG_SUCCESS && request->msgh_id == THROTTLE_NOTIFY_STALLED)
			stalled(manager);
		else if (!look(manager, request, reply))
			return;
	}
}

static kern_return_t begin(struct pool *pool)
{
	const struct ports_manage_options *options = &pool->options;
	kern_return_t code = port_set_throttle(mach_task_self(), pool->bucket->set, options->concurrency,
					       options->delay_ms);

	if (code != KERN_SUCCESS)
		return code;
	for (uint32_t i = 0; i < options->min_workers; i++)
		if (!pool_add_worker(pool, options->max_workers) && i == 0)
			return KERN_RESOURCE_SHORTAGE;
	return KERN_SUCCESS;
}

kern_return_t pool_manage(struct pool *pool)
{
	struct manager manager = { .pool = pool };
	mach_msg_header_t *buffers;
	kern_return_t code;

	set_defaults(&pool->options);
	/* The manager's request and reply; its first use is when memory may be short. */
	buffers = malloc(2 * (size_t)pool->options.max_size);
	if (buffers == NULL)
		return KERN_RESOURCE_SHORTAGE;
	code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &pool->control);
	if (code != KERN_SUCCESS)
		goto out_buffers;
	code = begin(pool);
	if (code == KERN_SUCCESS) {
		attend(&manager, buffers, (mach_msg_header_t *)((char *)buffers + pool->options.max_size));
		code = MACH_RCV_INVALID_NAME;
	}
	mutex_lock(&pool->lock);
	pool->ended = true;
	mutex_unlock(&pool->lock);
	mach_port_mod_refs(mach_task_self(), pool->control, MACH_PORT_RIGHT_RECEIVE, -1);
out_buffers:
	free(buffers);
	return code;
}

void ports_get_counters(struct port_bucket *bucket, struct ports_counters *counters)
{
	const struct ports_counters *from = &bucket->counters;
	throttle_status_t status;

	memset(counters, 0, sizeof *counters);
	counters->threads = __atomic_load_n(&from->threads, __ATOMIC_RELAXED);
	counters->most_threads = __atomic_load_n(&from->most_threads, __ATOMIC_RELAXED);
	counters->requests = __atomic_load_n(&from->requests, __ATOMIC_RELAXED);
	counters->refused = __atomic_load_n(&from->refused, __ATOMIC_RELAXED);
	counters->stalls = __atomic_load_n(&from->stalls, __ATOMIC_RELAXED);
	counters->spares = __atomic_load_n(&from->spares, __ATOMIC_RELAXED);
	counters->aborts = __atomic_load_n(&from->aborts, __ATOMIC_RELAXED);
	counters->busy = __atomic_load_n(&from->busy, __ATOMIC_RELAXED);
	if (port_set_throttle_status(mach_task_self(), bucket->set, &status) != KERN_SUCCESS)
		return;
	counters->taken = status.taken;
	counters->waited_ns = status.waited_ns;
}
