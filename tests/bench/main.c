/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench: measures the operations of the kernel one by one; `make bench` runs it. Each prints a line
 *	bench: NAME MIN MEDIAN P99 WORST ALL
 * in instructions (nanoseconds by the counter's rate on a real CPU); ALL is the mean of a whole
 * round, with what is done between the samples to put things back.
 */
#include "bench.h"
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/mach_error.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLES_MAX	10000
#define WARM_UP		50
#define RATE_US		2000	/* for which the counter is looked at */

static uint64_t samples[SAMPLES_MAX];
static unsigned wanted_samples = 1000;
static uint64_t empty_cost;
static const struct operation *const lists[] = {
	trap_operations, message_operations, memory_operations, task_operations, zone_operations,
};

/* The one after op, of all; NULL: the first, or there are no more. */
static const struct operation *next_operation(const struct operation *op)
{
	static unsigned list;

	if (op == NULL) {
		list = 0;
		return lists[0];
	}
	for (op++; op->name == NULL; op = lists[list]) {
		if (++list == sizeof lists / sizeof lists[0])
			return NULL;
	}
	return op;
}

static inline uint64_t counter(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a" (low), "=d" (high) : : "memory");
	return (uint64_t)high << 32 | low;
}

_Noreturn void bench_fail(const char *what)
{
	printf("bench: failed: %s\n", what);
	exit(1);
}

void need(kern_return_t code, const char *what)
{
	if (code == KERN_SUCCESS)
		return;
	printf("bench: %s: %s\n", what, mach_error_string(code));
	bench_fail(what);
}

/* Shell's sort with the gaps of Ciura (2001), extended. */
static void sort(uint64_t *values, unsigned count)
{
	static const unsigned gaps[] = { 3937, 1750, 701, 301, 132, 57, 23, 10, 4, 1 };

	for (unsigned g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
		for (unsigned i = gaps[g]; i < count; i++) {
			uint64_t value = values[i];
			unsigned at = i;

			for (; at >= gaps[g] && values[at - gaps[g]] > value; at -= gaps[g])
				values[at] = values[at - gaps[g]];
			values[at] = value;
		}
	}
}

/* The same code for each operation, the empty one included. */
__attribute__((noinline, noclone)) static uint64_t sample(const struct operation *op)
{
	uint64_t begin, end;

	begin = counter();
	op->run();
	end = counter();
	if (op->again != NULL)
		op->again();
	return end - begin;
}

/* The samples, sorted; returns the cost of all rounds together. */
static uint64_t take(const struct operation *op, unsigned count)
{
	uint64_t begin, end;

	for (unsigned i = 0; i < WARM_UP; i++)
		sample(op);
	begin = counter();
	for (unsigned i = 0; i < count; i++)
		samples[i] = sample(op);
	end = counter();
	sort(samples, count);
	return end - begin;
}

/* What is taken off each sample. */
static uint64_t base_cost(const struct operation *op, unsigned count)
{
	const struct operation base = { .run = op->base };

	if (op->base == NULL)
		return empty_cost;
	take(&base, count);
	return samples[count / 2];
}

/* Of the lowest, the median, the 99th of 100 and the worst of so many sorted samples. */
static unsigned place(unsigned which, unsigned count)
{
	const unsigned places[] = { 0, count / 2, count * 99 / 100, count - 1 };

	return places[which];
}

static void measure(const struct operation *op, const char *prefix)
{
	unsigned count = wanted_samples, rounds = op->per_sample > 1 ? op->per_sample : 1;
	uint64_t all, base;

	if (op->setup != NULL)
		op->setup();
	base = base_cost(op, count);
	all = take(op, count) / count;
	if (op->teardown != NULL)
		op->teardown();
	printf("bench: %s%s", prefix, op->name);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t cost = i < 4 ? samples[place(i, count)] : all;

		printf(" %" PRIu64, (cost > base ? cost - base : 0) / rounds);
	}
	printf("\n");
}

static void nothing(void)
{
}

/* Ticks of the counter in a microsecond. */
static uint64_t rate_mhz(void)
{
	uint64_t start_us = clock_uptime_us(), start = counter(), now_us;

	do
		now_us = clock_uptime_us();
	while (now_us - start_us < RATE_US);
	return (counter() - start + (now_us - start_us) / 2) / (now_us - start_us);
}

/* What reading the counter twice and calling a function costs. */
static void calibrate(void)
{
	static const struct operation empty = { .name = "empty", .run = nothing };

	take(&empty, wanted_samples);
	empty_cost = samples[wanted_samples / 2];
	printf("bench: empty pair %" PRIu64 " %" PRIu64 "\n", samples[0], samples[wanted_samples - 1]);
	printf("bench: rate %" PRIu64 "\n", rate_mhz());
}

_Noreturn static void usage(void)
{
	fprintf(stderr, "usage: bench [-n SAMPLES] [-r] [-g N,N... | -d N,N... | -m] [-p WORD] [NAME...]\n"
			"  measures all operations, or those named; -n: so many samples of each (1000, at most %u)\n"
			"  -r: those that need the host port, `in root`\n"
			"  -d: in ledgers so deep, `in root`\n"
			"  -g: each that has a kind beside so many of it; -m: bytes of objects, `in root`; -p: WORD goes before names\n",
		SAMPLES_MAX);
	exit(EXIT_USAGE);
}

/* The names that were given; what to measure without names: those that need the host port or those that do not. */
static char **wanted;
static bool wanted_root;

static bool is_wanted(const struct operation *op)
{
	for (char **name = wanted; *name != NULL; name++) {
		if (strcmp(*name, op->name) == 0)
			return true;
	}
	return *wanted == NULL && op->root == wanted_root;
}

static bool is_operation(const char *name)
{
	for (const struct operation *op = next_operation(NULL); op != NULL; op = next_operation(op)) {
		if (strcmp(name, op->name) == 0)
			return true;
	}
	return false;
}

/* No name is measured when one of them is none. */
static void check_names(void)
{
	for (char **name = wanted; *name != NULL; name++) {
		if (is_operation(*name))
			continue;
		fprintf(stderr, "bench: %s: no such operation; there are", *name);
		for (const struct operation *op = next_operation(NULL); op != NULL; op = next_operation(op))
			fprintf(stderr, " %s", op->name);
		fprintf(stderr, "\n");
		exit(EXIT_USAGE);
	}
}

static bool has_operations(enum crowd kind)
{
	for (const struct operation *op = next_operation(NULL); op != NULL; op = next_operation(op)) {
		if (op->kind == kind && is_wanted(op))
			return true;
	}
	return false;
}

/* Each operation of the kind that is wanted, beside more and more of that kind: the counts of a list "10,1000". */
static void grow(enum crowd kind, const char *counts)
{
	char prefix[40], *end;

	for (;; counts = end + 1) {
		unsigned long count = strtoul(counts, &end, 10);

		snprintf(prefix, sizeof prefix, "%s@%lu/", crowd_names[kind], count);
		if (end == counts || (*end != ',' && *end != '\0'))
			usage();
		if (!crowd_set(kind, count)) {
			printf("bench: %s no memory for so many\n", prefix);
			break;
		}
		for (const struct operation *op = next_operation(NULL); op != NULL; op = next_operation(op)) {
			if (op->kind == kind && is_wanted(op))
				measure(op, prefix);
		}
		if (*end == '\0')
			break;
	}
	crowd_set(kind, 0);
}

void bench_measure(const char *prefix)
{
	for (const struct operation *op = next_operation(NULL); op != NULL; op = next_operation(op)) {
		if (is_wanted(op) && !op->crowd_only)
			measure(op, prefix);
	}
}

int main(int argc, char **argv)
{
	const char *counts = NULL, *depths = NULL, *prefix = "";
	bool sizes = false;
	uint64_t value;
	int option;

	while ((option = getopt(argc, argv, "d:g:mn:p:r")) != -1) {
		switch (option) {
		case 'd':
			depths = optarg;
			break;
		case 'g':
			counts = optarg;
			break;
		case 'm':
			sizes = true;
			break;
		case 'p':
			prefix = optarg;
			break;
		case 'n':
			if (!parse_number(optarg, &value) || value < 10 || value > SAMPLES_MAX) {
				fprintf(stderr, "bench: -n: not a number from 10 to %u: %s\n", SAMPLES_MAX, optarg);
				usage();
			}
			wanted_samples = (unsigned)value;
			break;
		case 'r':
			wanted_root = true;
			break;
		default:
			usage();
		}
	}
	wanted = argv + optind;
	check_names();
	calibrate();
	if (sizes)
		bench_sizes();
	for (enum crowd kind = CROWD_NONE + 1; counts != NULL && kind < CROWDS; kind++) {
		if (has_operations(kind))
			grow(kind, counts);
	}
	if (depths != NULL && !bench_depths(depths))
		usage();
	if (counts == NULL && depths == NULL && !sizes)
		bench_measure(prefix);
	printf("bench: done\n");
	return 0;
}
