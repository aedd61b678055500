/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow server, to attack: each request holds its thread, and some wait for others that the same
 * server must serve. Started as
 *
 *	in services slow -n a -w 4 &
 *
 * by the name `a`, with at most 4 threads. Several make the rings A-B-A and A-B-C-A.
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
#define FOR_EVER_MS	(24 * 3600 * 1000)
#define PATH_MAX	64

static struct port_bucket bucket;
static struct port_class master_class = { .name = "master", .size = sizeof(struct port_info) };

static const char *own_name = "slow";
static natural_t patience_ms = FOR_EVER_MS;	/* with the servers that it calls */
static uint64_t requests;
static uint32_t inside, most_inside;

static void enter(void)
{
	uint32_t now = __atomic_add_fetch(&inside, 1, __ATOMIC_RELAXED);
	uint32_t most = __atomic_load_n(&most_inside, __ATOMIC_RELAXED);

	__atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
	while (now > most && !__atomic_compare_exchange_n(&most_inside, &most, now, false,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
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
	uint64_t until = clock_uptime_us() + microseconds;

	(void)server;
	enter();
	while (clock_uptime_us() < until)
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

kern_return_t serve_counters(mach_port_t server, uint64_t *taken, natural_t *now, natural_t *most)
{
	(void)server;
	*taken = __atomic_load_n(&requests, __ATOMIC_RELAXED);
	*now = __atomic_load_n(&inside, __ATOMIC_RELAXED);
	*most = __atomic_load_n(&most_inside, __ATOMIC_RELAXED);
	return KERN_SUCCESS;
}

_Noreturn static void usage(const char *program)
{
	fprintf(stderr, "usage: %s [-n NAME] [-w THREADS] [-i MS] [-T MS]   started in services\n"
			"  -n  the name that it is found by (slow)\n"
			"  -w  never more threads (%d)\n"
			"  -i  a thread that has nothing to do leaves after so long (%d)\n"
			"  -T  gives up calls of other servers after so long (never)\n",
		program, WORKERS, IDLE_MS);
	exit(EXIT_USAGE);
}

static natural_t number(const char *program, const char *text)
{
	uint64_t value;

	if (!parse_number(text, &value) || value == 0 || value > FOR_EVER_MS)
		usage(program);
	return (natural_t)value;
}

static void parse(int argc, char **argv, struct ports_manage_options *pool)
{
	int option;

	while ((option = getopt(argc, argv, "n:w:i:T:")) != -1) {
		switch (option) {
		case 'n': own_name = optarg; break;
		case 'w': pool->max_workers = number(argv[0], optarg); break;
		case 'i': pool->idle_ms = number(argv[0], optarg); break;
		case 'T': patience_ms = number(argv[0], optarg); break;
		default: usage(argv[0]);
		}
	}
	if (optind < argc || strlen(own_name) >= 32)
		usage(argv[0]);
}

int main(int argc, char **argv)
{
	struct ports_manage_options pool = {
		.max_size = MAX_MESSAGE, .max_workers = WORKERS, .idle_ms = IDLE_MS,
	};
	struct port_info *master;
	mach_port_t right;
	kern_return_t code;

	parse(argc, argv, &pool);
	code = program_touch_static();
	if (code == KERN_SUCCESS)
		code = ports_bucket_init(&bucket);
	if (code == KERN_SUCCESS)
		code = ports_create_port(&master_class, &bucket, &master);
	if (code == KERN_SUCCESS)
		code = ports_get_send_right(master, &right);
	if (code == KERN_SUCCESS)
		code = console_register_name(program_console(), own_name, right);
	if (code == KERN_SUCCESS)
		code = ports_manage_port_operations_multithread(&bucket, slow_server, &pool);
	fprintf(stderr, "%s: %s\n", argv[0], mach_error_string(code));
	return EXIT_FAILURE;
}
