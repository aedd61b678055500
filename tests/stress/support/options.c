/* SPDX-License-Identifier: BSD-2-Clause */
/* The options that floods have in common. */
#include "options.h"
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "flood.h"

#define LETTERS	"snptrSkz"

static const char *const meanings[] = {
	"",
	"  -n COUNT  no more than so many (else until denied)",
	"  -p PORTS  each task holds so many ports more",
	"  -t TASKS  so many tasks at once",
	"  -r RATE   so many in a second",
	"  -S SEED   gives back in an order that SEED mixes",
	"  -k        holds them and gives nothing back",
};

_Noreturn static void print_usage(const char *program, const struct flood_syntax *syntax)
{
	fprintf(stderr, "usage: %s [OPTIONS]   %s\n", program, syntax->about);
	if (strchr(syntax->accepts, 's') != NULL) {
		fprintf(stderr, "  -s ");
		for (unsigned i = 0; syntax->shapes[i] != NULL; i++)
			fprintf(stderr, "%s%s", i > 0 ? "|" : "", syntax->shapes[i]);
		fprintf(stderr, "\n");
	}
	for (unsigned i = 1; i < sizeof meanings / sizeof meanings[0]; i++) {
		if (strchr(syntax->accepts, LETTERS[i]) != NULL)
			fprintf(stderr, "%s\n", meanings[i]);
	}
	if (strchr(syntax->accepts, 'z') != NULL)
		fprintf(stderr, "  -z SIZE   %s\n", syntax->size_is);
	exit(EXIT_USAGE);
}

static uint64_t size_of(const char *program, const struct flood_syntax *syntax, const char *text)
{
	uint64_t size;

	if (parse_size(text, &size) && size > 0 && size <= syntax->size_max)
		return size;
	fprintf(stderr, "%s: -z: 1 to %" PRIu64 " %s, not %s\n", program, syntax->size_max,
		syntax->size_is, text);
	exit(EXIT_USAGE);
}

static uint64_t tasks_of(const char *program, const char *text)
{
	uint64_t tasks = flood_number(program, 't', text);

	if (tasks <= FLOOD_TASKS_MAX)
		return tasks;
	fprintf(stderr, "%s: -t: no more than %u tasks, not %s\n", program, FLOOD_TASKS_MAX, text);
	exit(EXIT_USAGE);
}

static unsigned parse_shape(const char *program, const struct flood_syntax *syntax,
			    const char *text)
{
	for (unsigned i = 0; syntax->shapes[i] != NULL; i++) {
		if (strcmp(text, syntax->shapes[i]) == 0)
			return i;
	}
	fprintf(stderr, "%s: -s: no such shape: %s\n", program, text);
	print_usage(program, syntax);
}

void flood_parse(int argc, char **argv, const struct flood_syntax *syntax,
		 struct flood_options *options)
{
	int option;

	*options = (struct flood_options){ .count = UINT64_MAX };
	while ((option = getopt(argc, argv, "s:n:p:t:r:z:S:k")) != -1) {
		if (option == '?' || strchr(syntax->accepts, option) == NULL)
			print_usage(argv[0], syntax);
		switch (option) {
		case 's': options->shape = parse_shape(argv[0], syntax, optarg); break;
		case 'n': options->count = flood_number(argv[0], 'n', optarg); break;
		case 'p': options->ports = flood_number(argv[0], 'p', optarg); break;
		case 't': options->tasks = tasks_of(argv[0], optarg); break;
		case 'r': options->rate = flood_number(argv[0], 'r', optarg); break;
		case 'z': options->size = size_of(argv[0], syntax, optarg); break;
		case 'S': options->seed = flood_number(argv[0], 'S', optarg); break;
		default: options->keep = true; break;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "%s: not an option: %s\n", argv[0], argv[optind]);
		print_usage(argv[0], syntax);
	}
}

void flood_pace(const struct flood_options *options, uint64_t done, uint64_t started_us)
{
	uint64_t due, now;

	if (options->rate == 0)
		return;
	due = started_us + done * 1000000 / options->rate;
	now = clock_uptime_us();
	if (due > now + 1000)
		thread_sleep((unsigned)((due - now) / 1000));
}

int flood_hold_ports(uint64_t count)
{
	kern_return_t code = KERN_SUCCESS;
	mach_port_t port;

	while (code == KERN_SUCCESS && count-- > 0)
		code = syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);
	/* The trap has no place for the name: the page of our stack was denied. */
	return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
}
