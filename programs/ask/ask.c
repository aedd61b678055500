/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ask: asks the slow server, from many threads at once. Each request is answered, refused (with a
 * code), or late: not answered within -T.
 */
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <slow_user.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX	4096
#define STACK_BYTES	(8 * 1024)
#define FOR_EVER_MS	(24 * 3600 * 1000)
#define PATH_MAX	64

enum routine { SLEEP, COMPUTE, CALL, HAND_OVER, COUNTERS, ROUTINES };
static const char *const routines[ROUTINES] = { "sleep", "compute", "call", "handover", "counters" };

static enum routine routine;
static natural_t amount;		/* milliseconds; COMPUTE: microseconds */
static char path[PATH_MAX];
static natural_t patience_ms = FOR_EVER_MS;
static uint64_t per_thread = 1;
static const char *server_name = "slow";
static mach_port_t server;

static uint64_t answered, refused, late, total_us, worst_us;
static kern_return_t last_refusal;

_Noreturn static void usage(void)
{
	fprintf(stderr,
		"usage: ask [-s SERVER] [-t THREADS] [-n COUNT] [-T MS] ROUTINE\n"
		"  asks that server (slow) COUNT times (1) by each of THREADS (1); -T: late after so long\n"
		"  sleep MS            it sleeps\n"
		"  compute US          it computes\n"
		"  call PATH [MS]      it calls the first server of PATH with the rest; the last one sleeps\n"
		"  handover PATH [MS]  the same, by another thread of its own\n"
		"  counters            tells its requests, those inside now, and at most\n"
		"  PATH: names with commas between; the server's own name: a call of itself\n");
	exit(EXIT_USAGE);
}

static uint64_t number(const char *text, uint64_t most)
{
	uint64_t value;

	if (!parse_number(text, &value) || value > most)
		usage();
	return value;
}

static kern_return_t ask(void)
{
	switch (routine) {
	case SLEEP: return slow_sleep(server, amount, patience_ms, MACH_SEND_TIMEOUT);
	case COMPUTE: return slow_compute(server, amount, patience_ms, MACH_SEND_TIMEOUT);
	case CALL: return slow_call(server, path, amount, patience_ms, MACH_SEND_TIMEOUT);
	default: return slow_hand_over(server, path, amount, patience_ms, MACH_SEND_TIMEOUT);
	}
}

static void count(uint64_t *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static void note_time(uint64_t us)
{
	uint64_t worst = __atomic_load_n(&worst_us, __ATOMIC_RELAXED);

	__atomic_add_fetch(&total_us, us, __ATOMIC_RELAXED);
	while (us > worst && !__atomic_compare_exchange_n(&worst_us, &worst, us, false, __ATOMIC_RELAXED,
							  __ATOMIC_RELAXED))
		;
}

static void client(void *unused)
{
	(void)unused;
	for (uint64_t i = 0; i < per_thread; i++) {
		uint64_t start = clock_uptime_us();
		kern_return_t code = ask();

		if (code == KERN_SUCCESS) {
			count(&answered);
			note_time(clock_uptime_us() - start);
		} else if (code == MACH_RCV_TIMED_OUT || code == MACH_SEND_TIMED_OUT) {
			count(&late);
		} else {
			count(&refused);
			last_refusal = code;
		}
	}
}

static void parse_routine(int argc, char **argv)
{
	while (routine < ROUTINES && strcmp(argv[0], routines[routine]) != 0)
		routine++;
	if (routine == COUNTERS && argc == 1)
		return;
	if (routine >= COUNTERS || argc < 2 || argc > 3 || (argc == 3 && routine < CALL))
		usage();
	if (routine < CALL) {
		amount = (natural_t)number(argv[1], FOR_EVER_MS);
		return;
	}
	if (strlcpy(path, argv[1], sizeof path) >= sizeof path)
		usage();
	for (char *c = path; (c = strchr(c, ',')) != NULL;)
		*c = ' ';
	if (argc == 3)
		amount = (natural_t)number(argv[2], FOR_EVER_MS);
}

/* Returns the number of threads. */
static unsigned parse(int argc, char **argv)
{
	unsigned threads = 1;
	int option;

	while ((option = getopt(argc, argv, "s:t:n:T:")) != -1) {
		switch (option) {
		case 's': server_name = optarg; break;
		case 't': threads = (unsigned)number(optarg, THREADS_MAX); break;
		case 'n': per_thread = number(optarg, UINT32_MAX); break;
		case 'T': patience_ms = (natural_t)number(optarg, FOR_EVER_MS); break;
		default: usage();
		}
	}
	if (optind >= argc || threads == 0 || strlen(server_name) >= 32)
		usage();
	parse_routine(argc - optind, argv + optind);
	return threads;
}

/* How many there are; fewer than wanted: it was said why. */
static unsigned start(unsigned wanted, struct thread *threads[])
{
	unsigned started = 0;
	kern_return_t code = KERN_SUCCESS;

	while (started < wanted &&
	       (code = thread_spawn(client, NULL, STACK_BYTES, &threads[started])) == KERN_SUCCESS)
		started++;
	if (code != KERN_SUCCESS)
		fprintf(stderr, "ask: %u of %u threads: %s\n", started, wanted, mach_error_string(code));
	return started;
}

static int tell_counters(void)
{
	uint64_t requests;
	natural_t inside, most;
	kern_return_t code = slow_counters(server, &requests, &inside, &most);

	if (code == KERN_SUCCESS)
		printf("ask: %s: %" PRIu64 " requests, %u inside, %u at most\n", server_name, requests, inside,
		       most);
	else
		fprintf(stderr, "ask: %s: %s\n", server_name, mach_error_string(code));
	return code == KERN_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct thread *threads[THREADS_MAX];
	unsigned wanted = parse(argc, argv), started;
	kern_return_t code = program_lookup(server_name, &server);
	uint64_t begin = clock_uptime_us();

	if (code != KERN_SUCCESS) {
		fprintf(stderr, "ask: no server %s: %s\n", server_name, mach_error_string(code));
		return EXIT_FAILURE;
	}
	if (routine == COUNTERS)
		return tell_counters();
	started = start(wanted, threads);
	for (unsigned i = 0; i < started; i++)
		thread_join(threads[i]);
	printf("ask: %" PRIu64 " answered, %" PRIu64 " refused, %" PRIu64 " late in %" PRIu64
	       " ms; mean %" PRIu64 " us, worst %" PRIu64 " us\n", answered, refused, late,
	       (clock_uptime_us() - begin) / 1000, answered > 0 ? total_us / answered : 0, worst_us);
	if (refused > 0)
		printf("ask: refused: %s\n", mach_error_string(last_refusal));
	return answered == started * per_thread && started == wanted ? EXIT_SUCCESS : EXIT_FAILURE;
}
