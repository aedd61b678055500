/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opens ports to the null server, holding all the rights, then closes them all
 * at once. Without -n until denied. The server makes the ports, so the denial
 * may be its own; then it tells whose.
 */
#include <device_user.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <null_user.h>
#include <stdio.h>
#include <stdlib.h>
#include "flood.h"
#include "options.h"

/* The names are in an array of pages made as we go: what holds them must not stop the flood early. */
#define PIECE		1024
#define PIECES_MAX	16384

static mach_port_t *pieces[PIECES_MAX];

static mach_port_t *place_of(uint64_t index)
{
	return &pieces[index / PIECE][index % PIECE];
}

/* Room for one more name. */
static kern_return_t make_room(uint64_t index)
{
	vm_address_t address = 0;
	kern_return_t code;

	if (index % PIECE != 0)
		return KERN_SUCCESS;
	if (index / PIECE == PIECES_MAX)
		return KERN_NO_SPACE;
	code = memory_allocate(&address, PIECE * sizeof(mach_port_t));
	pieces[index / PIECE] = (mach_port_t *)address;
	return code;
}

/* How many were opened; *end tells what stopped it. */
static uint64_t open_all(mach_port_t server, const struct flood_options *options,
			 struct flood_end *end)
{
	uint64_t opened = 0;
	ledger_denial_t before, after;
	uint64_t denials = 0, now = 0, start = clock_uptime_us();
	kern_return_t code = flood_hold_ports(options->ports);

	if (null_last_denial(server, &before, &denials) != KERN_SUCCESS)
		denials = 0;
	while (opened < options->count && code == KERN_SUCCESS) {
		code = make_room(opened);
		if (code == KERN_SUCCESS)
			code = device_open(server, D_READ | D_WRITE, "null", place_of(opened));
		if (code == KERN_SUCCESS)
			flood_pace(options, ++opened, start);
	}
	if (code == KERN_SUCCESS)
		return opened;
	flood_stopped(end, code);
	/* Was it the server that was denied? */
	if (null_last_denial(server, &after, &now) == KERN_SUCCESS && now > denials) {
		end->denied = true;
		end->denial = after;
	}
	return opened;
}

static uint64_t close_all(uint64_t opened)
{
	uint64_t closed = 0;

	for (uint64_t i = 0; i < opened; i++) {
		if (give_back_right(*place_of(i)) == KERN_SUCCESS)
			closed++;
	}
	for (uint64_t i = 0; i < PIECES_MAX && pieces[i] != NULL; i++)
		give_back_memory((vm_address_t)pieces[i], PIECE * sizeof(mach_port_t));
	return closed;
}

int main(int argc, char **argv)
{
	static const struct flood_syntax syntax = {
		"nprk", NULL, "opens ports to the null server until denied"
	};
	uint64_t opened, closed, start, middle;
	struct flood_options options;
	struct flood_end end = { 0 };
	mach_port_t server;
	kern_return_t code;

	flood_parse(argc, argv, &syntax, &options);
	if (options.count > (uint64_t)PIECE * PIECES_MAX)
		options.count = (uint64_t)PIECE * PIECES_MAX;
	code = program_lookup("null", &server);
	if (code != KERN_SUCCESS) {
		printf("%s: no null server: %s\n", argv[0], mach_error_string(code));
		return EXIT_FAILURE;
	}
	flood_reserve();
	start = clock_uptime_us();
	opened = open_all(server, &options, &end);
	middle = clock_uptime_us();
	printf("%s: opened %" PRIu64 " in %" PRIu64 " ms\n", argv[0], opened,
	       (middle - start) / 1000);
	if (options.keep)
		flood_print_end(argv[0], &end);
	while (options.keep)
		thread_sleep(1000);
	closed = close_all(opened);
	printf("%s: closed %" PRIu64 " in %" PRIu64 " ms\n", argv[0], closed,
	       (clock_uptime_us() - middle) / 1000);
	if (end.code == KERN_SUCCESS)
		printf("opened %" PRIu64 ", closed %" PRIu64 "\n", opened, closed);
	flood_print_end(argv[0], &end);
	return closed == opened ? EXIT_SUCCESS : EXIT_FAILURE;
}
