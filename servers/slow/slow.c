/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow server, to attack: each request holds its thread, and some wait for others that the same
 * server must serve. Started as
 *
 *	in services slow -n a -w 4 &
 *
 * by the name `a`, with at most 4 threads and the spares of a throttled pool. Several make the rings A-B-A and
 * A-B-C-A. With -r none or cap its threads are made as such servers do (ports.h).
 */
#include <console_user.h>
#include <getopt.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <ports.h>
#include <slow_server.h>
#include <slow_user.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE	1024
#define WORKERS		4
#define IDLE_MS		1000
#define SPARES		2
#define FOR_EVER_MS	(24 * 3600 * 1000)
#define PATH_MAX	64

static struct port_bucket bucket;
static struct port_class master_class = { .name = "master", .size = sizeof(struct port_info) };
static struct port_class own_class = { .name = "own", .size = sizeof(struct port_info) };

static const char *own_name = "slow";
static natural_t patience_ms = FOR_EVER_MS;	/* with the servers that it calls */
static uint64_t requests;
static uint32_t inside, most_inside;
static uint32_t last_handle;			/* of the ports that were opened, the highest */

static void note_most(uint32_t *most, uint32_t now)
{
	uint32_t seen = __atomic_load_n(most, __ATOMIC_RELAXED);

	while (now > seen &&
	       !__atomic_compare_exchange_n(most, &seen, now, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static void enter(void)
{
	__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
	note_most(&most_inside, __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED));
}

static kern_return_t leave(kern_return_t code)
{
	__atomic_sub_fetch(&inside, 1, __ATOMIC_RELAXED);
	return code;
}

kern_return_t serve_sleep(mach_port_t server, natural_t milliseconds)
{
	(void)server;
	enter();
	thread_sleep(milliseconds);
	return leave(KERN_SUCCESS);
}

kern_return_t serve_compute(mach_port_t server, natural_t microseconds)
{
	uint64_t until = microseconds != 0 ? clock_uptime_us() + microseconds : 0;

	(void)server;
	enter();
	while (microseconds != 0 && clock_uptime_us() < until)
		__asm__ volatile("pause");
	return leave(KERN_SUCCESS);
}

/* One step of the path. */
static kern_return_t follow(const char *path, natural_t milliseconds)
{
	size_t length = strcspn(path, " ");
	char name[PATH_MAX], rest[PATH_MAX] = "";
	mach_port_t next;
	kern_return_t code;

	if (length == 0) {
		thread_sleep(milliseconds);
		return KERN_SUCCESS;
	}
	memcpy(name, path, length);
	name[length] = '\0';
	strlcpy(rest, path + length + strspn(path + length, " "), sizeof rest);
	if (length >= 32)
		return KERN_INVALID_NAME;
	code = program_lookup(name, &next);
	if (code != KERN_SUCCESS)
		return code;
	code = slow_call(next, rest, milliseconds, patience_ms, MACH_SEND_TIMEOUT);
	give_back_right(next);
	return code;
}

kern_return_t serve_call(mach_port_t server, const char *path, natural_t milliseconds)
{
	(void)server;
	enter();
	return leave(follow(path, milliseconds));
}

struct errand {
	const char *path;
	natural_t milliseconds;
	kern_return_t code;
};

static void run_errand(void *argument)
{
	struct errand *errand = argument;

	errand->code = follow(errand->path, errand->milliseconds);
}

kern_return_t serve_hand_over(mach_port_t server, const char *path, natural_t milliseconds)
{
	struct errand errand = { path, milliseconds, KERN_SUCCESS };
	struct thread *thread;

	(void)server;
	enter();
	if (thread_spawn(run_errand, &errand, 0, &thread) != KERN_SUCCESS)
		return leave(KERN_RESOURCE_SHORTAGE);
	thread_join(thread);
	return leave(errand.code);
}

kern_return_t serve_counters(mach_port_t server, uint64_t *taken, natural_t *now, natural_t *most, uint64_t *uptime_ns)
{
	(void)server;
	*taken = __atomic_load_n(&requests, __ATOMIC_RELAXED);
	*now = __atomic_load_n(&inside, __ATOMIC_RELAXED);
	*most = __atomic_load_n(&most_inside, __ATOMIC_RELAXED);
	*uptime_ns = clock_uptime_ns();
	return KERN_SUCCESS;
}

kern_return_t serve_pool_counters(mach_port_t server, natural_t *threads, natural_t *most_threads, uint64_t *refused,
				  uint64_t *stalls, uint64_t *spares, uint64_t *aborts, uint64_t *busy,
				  uint64_t *taken, uint64_t *waited_ns)
{
	struct ports_counters counters;

	(void)server;
	ports_get_counters(&bucket, &counters);
	*threads = counters.threads;
	*most_threads = counters.most_threads;
	*refused = counters.refused;
	*stalls = counters.stalls;
	*spares = counters.spares;
	*aborts = counters.aborts;
	*busy = counters.busy;
	*taken = counters.taken;
	*waited_ns = counters.waited_ns;
	return KERN_SUCCESS;
}

kern_return_t serve_open(mach_port_t server, mach_port_t *right)
{
	struct port_info *port;
	kern_return_t code = ports_create_port(&own_class, &bucket, &port);

	(void)server;
	*right = MACH_PORT_NULL;
	if (code != KERN_SUCCESS)
		return code;
	note_most(&last_handle, port->handle);
	code = ports_get_send_right(port, right);
	ports_port_deref(port);
	return code;
}

kern_return_t serve_destroy(mach_port_t server, natural_t *count)
{
	mach_port_t most = __atomic_load_n(&last_handle, __ATOMIC_RELAXED);

	(void)server;
	*count = 0;
	for (mach_port_t handle = 1; handle <= most; handle++) {
		struct port_info *port = ports_lookup(&bucket, handle, &own_class);

		if (port == NULL)
			continue;
		ports_destroy_right(port);
		ports_port_deref(port);
		++*count;
	}
	return KERN_SUCCESS;
}

_Noreturn static void usage(const char *program)
{
	fprintf(stderr, "usage: %s [-n NAME] [-r none|cap|pool] [-w MOST] [-i MS] [-T MS] [-c RUN] [-l LEAST]\n"
			"            [-x SPARES] [-k MS] [-q MS] [-b MS]   started in services\n"
			"  -n  the name that it is found by (slow)\n"
			"  -r  when a thread is added: for each request, the same up to -w, as a throttled pool (pool)\n"
			"  -w  never more threads (%d), but for the spares of a pool\n"
			"  -i  a thread that has nothing to do leaves after so long (%d)\n"
			"  -T  gives up calls of other servers after so long (never)\n"
			"  of a pool: -c so many run at once (the processors), -l never fewer (1), -x spares (2),\n"
			"  -k stuck after so long (1000), -q others need not wait longer than this for one that\n"
			"  computes (10), -b a request that waited longer is refused (never)\n",
		program, WORKERS, IDLE_MS);
	exit(EXIT_USAGE);
}

static natural_t number(const char *program, const char *text, natural_t least)
{
	uint64_t value;

	if (!parse_number(text, &value) || value < least || value > FOR_EVER_MS) {
		fprintf(stderr, "%s: not a number from %u: %s\n", program, least, text);
		usage(program);
	}
	return (natural_t)value;
}

static enum ports_throttle throttle(const char *program, const char *name)
{
	if (strcmp(name, "pool") == 0)
		return PORTS_THROTTLE_POOL;
	if (strcmp(name, "none") == 0)
		return PORTS_THROTTLE_NONE;
	if (strcmp(name, "cap") == 0)
		return PORTS_THROTTLE_CAP;
	fprintf(stderr, "%s: -r: neither none nor cap nor pool: %s\n", program, name);
	usage(program);
}

static void parse(int argc, char **argv, struct ports_manage_options *pool)
{
	const char *program = argv[0];
	int option;

	while ((option = getopt(argc, argv, "n:r:w:i:T:c:l:x:k:q:b:")) != -1) {
		switch (option) {
		case 'n': own_name = optarg; break;
		case 'r': pool->throttle = throttle(program, optarg); break;
		case 'w': pool->max_workers = number(program, optarg, 1); break;
		case 'i': pool->idle_ms = number(program, optarg, 1); break;
		case 'T': patience_ms = number(program, optarg, 1); break;
		case 'c': pool->concurrency = number(program, optarg, 1); break;
		case 'l': pool->min_workers = number(program, optarg, 1); break;
		case 'x': pool->spares = number(program, optarg, 0); break;
		case 'k': pool->stuck_ms = number(program, optarg, 1); break;
		case 'q': pool->delay_ms = number(program, optarg, 1); break;
		case 'b': pool->busy_ms = number(program, optarg, 1); break;
		default: usage(program);
		}
	}
	if (pool->spares == 0)
		pool->spares = PORTS_NO_SPARES;
	if (optind < argc || strlen(own_name) >= 32)
		usage(program);
}

int main(int argc, char **argv)
{
	struct ports_manage_options pool = {
		.max_size = MAX_MESSAGE, .max_workers = WORKERS, .idle_ms = IDLE_MS, .spares = SPARES,
	};
	struct port_info *master;
	mach_port_t right;
	kern_return_t code;

	parse(argc, argv, &pool);
	code = ports_begin(&bucket, &master_class, &master, &right);
	if (code == KERN_SUCCESS)
		code = console_register_name(program_console(), own_name, right);
	if (code == KERN_SUCCESS)
		code = ports_manage_port_operations_multithread(&bucket, slow_server, &pool);
	fprintf(stderr, "%s: %s\n", argv[0], mach_error_string(code));
	return EXIT_FAILURE;
}
