/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Measures how a well-behaved program is served beside a flood. Each request
 * is a call to the null server, a page taken, written and given back, and every
 * 64th time a timed wait of 1 ms. A request's latency is its time without the
 * wait, so it counts what the CPU, the server and memory made it wait. With
 * `-s cpu` a request is half a millisecond of computing and a page, and it never
 * waits: what share it gets of the CPU is then up to the kernel alone. With -z
 * each line tells the kernel's pages as well, in zones and in page tables, and the
 * free ones: what a flood beside it does to memory.
 */
#include <device_user.h>
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/task_info.h>
#include <mach/threads.h>
#include <mach/vm_statistics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "flood.h"

#define USAGE								\
	"[-s serve|cpu] [-t MILLISECONDS] [-i INTERVAL] [-z]\n"		\
	"  for so long (else for ever), a line each INTERVAL ms; cpu: computes, never waits;\n" \
	"  -z: what the kernel uses and what is free, in each line"
#define COMPUTE_STEPS	500000
#define WAIT_EVERY	64

struct tally {
	uint64_t requests, failures, worst_us, since_us, cpu_us;
};

static mach_port_t device;
static bool computes, tells_memory;

/* CPU time of this task's living threads, microseconds. */
static uint64_t cpu_time_us(void)
{
	struct task_thread_times_info times;
	mach_msg_type_number_t count = TASK_THREAD_TIMES_INFO_COUNT;

	if (task_info(mach_task_self(), TASK_THREAD_TIMES_INFO, (integer_t *)&times, &count) !=
	    KERN_SUCCESS)
		return 0;
	return ((uint64_t)times.user_time64.seconds + (uint64_t)times.system_time64.seconds) *
		       1000000 +
	       ((uint64_t)times.user_time64.nanoseconds +
		(uint64_t)times.system_time64.nanoseconds) /
		       1000;
}

/* Opens the null device when it is not open. */
static bool ask_null(void)
{
	mach_port_t server;
	int written = 0;

	if (device == MACH_PORT_NULL) {
		if (program_lookup("null", &server) != KERN_SUCCESS)
			return false;
		if (device_open(server, D_WRITE, "null", &device) != KERN_SUCCESS)
			device = MACH_PORT_NULL;
		give_back_right(server);
	}
	return device != MACH_PORT_NULL &&
	       device_write_inband(device, 0, 0, "12345678", 8, &written) == D_SUCCESS &&
	       written == 8;
}

static bool compute(void)
{
	for (unsigned i = 0; i < COMPUTE_STEPS; i++)
		__asm__ volatile("");
	return true;
}

static bool use_page(void)
{
	vm_address_t page = 0;

	return memory_allocate(&page, vm_page_size) == KERN_SUCCESS &&
	       give_back_memory(page, vm_page_size) == KERN_SUCCESS;
}

static void request(struct tally *tally)
{
	uint64_t start = clock_uptime_us(), time;
	bool null_served = computes ? compute() : ask_null(), page_served = use_page();

	time = clock_uptime_us() - start;
	if (time > tally->worst_us)
		tally->worst_us = time;
	tally->requests++;
	if (!null_served || !page_served)
		tally->failures++;
	if (!computes && tally->requests % WAIT_EVERY == 0)
		thread_sleep(1);
}

static unsigned share_percent(const struct tally *tally, uint64_t now)
{
	uint64_t time = now - tally->since_us;

	return time > 0 ? (unsigned)((cpu_time_us() - tally->cpu_us) * 100 / time) : 0;
}

static void print_memory(void)
{
	vm_statistics_data_t pages;

	if (vm_statistics(mach_task_self(), &pages) == KERN_SUCCESS)
		printf(", kernel %dK, free %dK", pages.wire_count * (pages.pagesize / 1024),
		       pages.free_count * (pages.pagesize / 1024));
}

static void print_interval(const char *program, const struct tally *all, const struct tally *part,
			   uint64_t now)
{
	printf("%s: +%" PRIu64 " ms: %" PRIu64 " requests, %" PRIu64 " failed, worst %" PRIu64
	       " us, share %u%%", program, (now - all->since_us) / 1000, part->requests,
	       part->failures, part->worst_us, share_percent(part, now));
	if (tells_memory)
		print_memory();
	printf("\n");
}

static struct tally start_tally(void)
{
	return (struct tally){ .since_us = clock_uptime_us(), .cpu_us = cpu_time_us() };
}

static void add(struct tally *all, const struct tally *part)
{
	all->requests += part->requests;
	all->failures += part->failures;
	if (part->worst_us > all->worst_us)
		all->worst_us = part->worst_us;
}

int main(int argc, char **argv)
{
	uint64_t limit_us = UINT64_MAX, interval_us = 1000000, now;
	struct tally all, part;
	int option;

	while ((option = getopt(argc, argv, "s:t:i:z")) != -1) {
		switch (option) {
		case 't': limit_us = flood_number(argv[0], 't', optarg) * 1000; break;
		case 'i': interval_us = flood_number(argv[0], 'i', optarg) * 1000; break;
		case 'z': tells_memory = true; break;
		case 's':
			computes = strcmp(optarg, "cpu") == 0;
			if (computes || strcmp(optarg, "serve") == 0)
				break;
			/* fallthrough */
		default: flood_usage(argv[0], USAGE);
		}
	}
	if (optind < argc || interval_us == 0)
		flood_usage(argv[0], USAGE);
	all = part = start_tally();
	do {
		request(&part);
		now = clock_uptime_us();
		if (now - part.since_us >= interval_us) {
			print_interval(argv[0], &all, &part, now);
			add(&all, &part);
			part = start_tally();
		}
	} while (now - all.since_us < limit_us);
	add(&all, &part);
	if (all.failures > 0)
		printf("%s: %" PRIu64 " failed\n", argv[0], all.failures);
	printf("%s: %" PRIu64 " requests, worst %" PRIu64 " us, share %u%%\n", argv[0],
	       all.requests, all.worst_us, share_percent(&all, now));
	return all.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
