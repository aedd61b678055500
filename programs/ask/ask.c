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

#define THREADS_MAX	10000
#define TIMES_MAX	100000
#define STACK_BYTES	4096
#define FOR_EVER_MS	(24 * 3600 * 1000)
#define PATH_MAX	64

enum routine { SLEEP, COMPUTE, CALL, HAND_OVER, RATE, COUNTERS, DESTROY, ROUTINES };
static const char *const routines[ROUTINES] = {
	"sleep", "compute", "call", "handover", "rate", "counters", "destroy",
};

static enum routine routine;
static natural_t amount;		/* milliseconds; COMPUTE: microseconds */
static char path[PATH_MAX];
static natural_t patience_ms = FOR_EVER_MS, pause_ms;
static uint64_t per_thread = 1;
static bool own_ports;			/* each thread asks at one of its own */
static bool tells_begun;
static uint32_t begun;			/* threads whose first request is over; waited on */
static const char *server_name = "slow";
static mach_port_t server;

static uint64_t answered, refused, late, total_ticks, worst_ticks;
static kern_return_t last_refusal;
static uint64_t *times;			/* with -L, of each request that was answered; ticks */

_Noreturn static void usage(void)
{
	fprintf(stderr,
		"usage: ask [-s SERVER] [-t THREADS] [-n COUNT] [-T MS] [-P MS] [-apL] ROUTINE\n"
		"  asks that server (slow) COUNT times (1) by each of THREADS (1); -T: late after so long;\n"
		"  -P: a pause before each request; -p: each thread has a port of its own; -a: tells when each\n"
		"  thread has had an answer; -L: tells how long requests took, half of them and 99 of 100\n"
		"  sleep MS            it sleeps\n"
		"  compute US          it computes\n"
		"  call PATH [MS]      it calls the first server of PATH with the rest; the last one sleeps\n"
		"  handover PATH [MS]  the same, by another thread of its own\n"
		"  rate MS             tells how many requests of others it takes in that time\n"
		"  counters            tells its requests, those inside now, and at most; its threads\n"
		"  destroy             it destroys the ports of -p\n"
		"  PATH: names with commas between; the server's own name: a call of itself\n");
	exit(EXIT_USAGE);
}

static uint64_t number(const char *text, uint64_t most)
{
	uint64_t value;

	if (!parse_number(text, &value) || value > most) {
		fprintf(stderr, "ask: not a number up to %" PRIu64 ": %s\n", most, text);
		exit(EXIT_USAGE);
	}
	return value;
}

static kern_return_t ask(mach_port_t port)
{
	switch (routine) {
	case SLEEP: return slow_sleep(port, amount, patience_ms, MACH_SEND_TIMEOUT);
	case COMPUTE: return slow_compute(port, amount, patience_ms, MACH_SEND_TIMEOUT);
	case CALL: return slow_call(port, path, amount, patience_ms, MACH_SEND_TIMEOUT);
	default: return slow_hand_over(port, path, amount, patience_ms, MACH_SEND_TIMEOUT);
	}
}

static uint64_t count(uint64_t *counter)
{
	return __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* Of the processor's clock, which costs nothing to read. */
static void note_time(uint64_t ticks)
{
	uint64_t worst = __atomic_load_n(&worst_ticks, __ATOMIC_RELAXED), index = count(&answered);

	if (times != NULL)
		times[index] = ticks;
	__atomic_add_fetch(&total_ticks, ticks, __ATOMIC_RELAXED);
	while (ticks > worst && !__atomic_compare_exchange_n(&worst_ticks, &worst, ticks, false, __ATOMIC_RELAXED,
							     __ATOMIC_RELAXED))
		;
}

static void note_failure(kern_return_t code)
{
	if (code == MACH_RCV_TIMED_OUT || code == MACH_SEND_TIMED_OUT) {
		count(&late);
	} else {
		count(&refused);
		last_refusal = code;
	}
}

static void note_begun(void)
{
	__atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED);
	word_wake(&begun, true);
}

static void tell_begun(uint32_t threads)
{
	uint32_t now;

	while ((now = __atomic_load_n(&begun, __ATOMIC_RELAXED)) < threads)
		word_wait(&begun, now, 0);
	printf("ask: %u threads have had an answer\n", threads);
}

static void client(void *unused)
{
	mach_port_t port = server;
	kern_return_t code = own_ports ? slow_open(server, &port) : KERN_SUCCESS;
	bool open = code == KERN_SUCCESS;

	(void)unused;
	for (uint64_t i = 0; i < per_thread; i++) {
		uint64_t start;

		if (pause_ms != 0)
			thread_sleep(pause_ms);
		start = __builtin_ia32_rdtsc();
		if (open)
			code = ask(port);
		if (code == KERN_SUCCESS)
			note_time(__builtin_ia32_rdtsc() - start);
		else
			note_failure(code);
		if (i == 0 && tells_begun)
			note_begun();
	}
	if (open && own_ports)
		give_back_right(port);
}

static void parse_routine(int argc, char **argv)
{
	while (routine < ROUTINES && strcmp(argv[0], routines[routine]) != 0)
		routine++;
	if ((routine == COUNTERS || routine == DESTROY) && argc == 1)
		return;
	if (routine >= COUNTERS || argc < 2 || argc > 3 || (argc == 3 && routine != CALL && routine != HAND_OVER))
		usage();
	if (routine != CALL && routine != HAND_OVER) {
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
	bool tells_times = false;
	int option;

	while ((option = getopt(argc, argv, "s:t:n:T:P:apL")) != -1) {
		switch (option) {
		case 's': server_name = optarg; break;
		case 't': threads = (unsigned)number(optarg, THREADS_MAX); break;
		case 'n': per_thread = number(optarg, UINT32_MAX); break;
		case 'T': patience_ms = (natural_t)number(optarg, FOR_EVER_MS); break;
		case 'P': pause_ms = (natural_t)number(optarg, FOR_EVER_MS); break;
		case 'a': tells_begun = true; break;
		case 'p': own_ports = true; break;
		case 'L': tells_times = true; break;
		default: usage();
		}
	}
	if (optind >= argc || threads == 0 || strlen(server_name) >= 32)
		usage();
	if (tells_times && per_thread * threads > TIMES_MAX)
		usage();
	if (tells_times && (times = calloc(per_thread * threads, sizeof *times)) == NULL) {
		fprintf(stderr, "ask: no memory for so many times\n");
		exit(EXIT_FAILURE);
	}
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

static kern_return_t tell_counters(void)
{
	uint64_t requests, denied, stalls, spares, aborts, busy, taken, waited_ns;
	natural_t inside, most;
	kern_return_t code = slow_counters(server, &requests, &inside, &most, &waited_ns, patience_ms, MACH_SEND_TIMEOUT);

	if (code != KERN_SUCCESS)
		return code;
	printf("ask: %s: %" PRIu64 " requests, %u inside, %u at most\n", server_name, requests, inside, most);
	code = slow_pool_counters(server, &inside, &most, &denied, &stalls, &spares, &aborts, &busy, &taken,
				  &waited_ns, patience_ms, MACH_SEND_TIMEOUT);
	if (code == KERN_SUCCESS)
		printf("ask: %s: %u threads, most %u, denied %" PRIu64 "; stalls %" PRIu64 ", spares %" PRIu64
		       ", aborts %" PRIu64 ", busy %" PRIu64 ", mean delay %" PRIu64 " us\n", server_name, inside,
		       most, denied, stalls, spares, aborts, busy, taken > 0 ? waited_ns / taken / 1000 : 0);
	return code;
}

/* The two questions themselves are not counted. */
static kern_return_t tell_rate(void)
{
	uint64_t first, last, begin_ns, end_ns;
	natural_t inside, most;
	kern_return_t code = slow_counters(server, &first, &inside, &most, &begin_ns, patience_ms, MACH_SEND_TIMEOUT);

	if (code == KERN_SUCCESS) {
		thread_sleep(amount);
		code = slow_counters(server, &last, &inside, &most, &end_ns, patience_ms, MACH_SEND_TIMEOUT);
	}
	if (code == KERN_SUCCESS)
		printf("ask: %s: %" PRIu64 " requests in %" PRIu64 " us, each %" PRIu64 " ns\n", server_name,
		       last - first, (end_ns - begin_ns) / 1000,
		       last > first ? (end_ns - begin_ns) / (last - first) : 0);
	return code;
}

static kern_return_t tell_destroyed(void)
{
	natural_t ports = 0;
	kern_return_t code = slow_destroy(server, &ports, patience_ms, MACH_SEND_TIMEOUT);

	if (code == KERN_SUCCESS)
		printf("ask: %s: %u ports destroyed\n", server_name, ports);
	return code;
}

/* Shell's sort, with the gaps of Knuth (volume 3, 5.2.1). */
static void sort(uint64_t *values, uint64_t count)
{
	uint64_t gap = 1, i, j, value;

	while (gap < count)
		gap = 3 * gap + 1;
	for (; gap > 0; gap /= 3) {
		for (i = gap; i < count; i++) {
			value = values[i];
			for (j = i; j >= gap && values[j - gap] > value; j -= gap)
				values[j] = values[j - gap];
			values[j] = value;
		}
	}
}

static void tell_times(uint64_t ns, uint64_t ticks)
{
	uint64_t ps = ticks > 0 ? ns * 1000 / ticks : 0;

	printf("ask: %" PRIu64 " answered, %" PRIu64 " refused, %" PRIu64 " late in %" PRIu64 " ms; mean %" PRIu64
	       " us, worst %" PRIu64 " us\n", answered, refused, late, ns / 1000000,
	       answered > 0 ? total_ticks / answered * ps / 1000000 : 0, worst_ticks * ps / 1000000);
	if (refused > 0)
		printf("ask: refused: %s\n", mach_error_string(last_refusal));
	if (times == NULL || answered == 0)
		return;
	sort(times, answered);
	printf("ask: half of them within %" PRIu64 " ns, 99 of 100 within %" PRIu64 " ns\n",
	       times[(answered - 1) / 2] * ps / 1000, times[(answered * 99 + 99) / 100 - 1] * ps / 1000);
}

/* What only asks one question. */
static int tell(void)
{
	kern_return_t code = routine == COUNTERS ? tell_counters() : routine == RATE ? tell_rate() : tell_destroyed();

	if (code != KERN_SUCCESS)
		fprintf(stderr, "ask: %s: %s\n", server_name, mach_error_string(code));
	return code == KERN_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static struct thread *threads[THREADS_MAX];
	unsigned wanted = parse(argc, argv), started;
	kern_return_t code = program_lookup(server_name, &server);
	uint64_t begin_ns = clock_uptime_ns(), begin = __builtin_ia32_rdtsc();

	if (code != KERN_SUCCESS) {
		fprintf(stderr, "ask: no server %s: %s\n", server_name, mach_error_string(code));
		return EXIT_FAILURE;
	}
	if (routine >= RATE)
		return tell();
	started = start(wanted, threads);
	if (tells_begun)
		tell_begun(started);
	for (unsigned i = 0; i < started; i++)
		thread_join(threads[i]);
	tell_times(clock_uptime_ns() - begin_ns, __builtin_ia32_rdtsc() - begin);
	return answered == started * per_thread && started == wanted ? EXIT_SUCCESS : EXIT_FAILURE;
}
