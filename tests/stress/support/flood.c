/* SPDX-License-Identifier: BSD-2-Clause */
/* What the flood programs share. */
#include "flood.h"
#include <mach.h>
#include <mach/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t flood_number(const char *program, char option, const char *text)
{
	uint64_t value;

	if (parse_number(text, &value))
		return value;
	fprintf(stderr, "%s: -%c: not a number: %s\n", program, option, text);
	exit(EXIT_USAGE);
}

void flood_usage(const char *program, const char *text)
{
	fprintf(stderr, "usage: %s %s\n", program, text);
	exit(EXIT_USAGE);
}

/* Codes that a shortage may have: the call's own, or of the message that carried it. */
static bool is_shortage(kern_return_t code)
{
	kern_return_t base = code & ~MACH_MSG_MASK;

	return code == KERN_RESOURCE_SHORTAGE || base == MACH_SEND_NO_BUFFER ||
	       base == MACH_RCV_BODY_ERROR || base == MACH_RCV_HEADER_ERROR;
}

#define RESERVED_PORTS	32
#define RESERVED_PAGES	8

static mach_port_t reserved[RESERVED_PORTS];
static vm_address_t reserved_memory;

void flood_reserve(void)
{
	for (unsigned i = 0; i < RESERVED_PORTS; i++) {
		if (syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_DEAD_NAME,
					       &reserved[i]) != KERN_SUCCESS)
			reserved[i] = MACH_PORT_NULL;
	}
	/* A forked task has its parent's pages; they become its own. */
	if (reserved_memory != 0)
		memory_touch(reserved_memory, RESERVED_PAGES * vm_page_size);
	else if (memory_allocate(&reserved_memory, RESERVED_PAGES * vm_page_size) != KERN_SUCCESS)
		reserved_memory = 0;
}

void flood_release(void)
{
	for (unsigned i = 0; i < RESERVED_PORTS; i++)
		give_back_right(reserved[i]);
	memset(reserved, 0, sizeof reserved);
	if (reserved_memory != 0)
		give_back_memory(reserved_memory, RESERVED_PAGES * vm_page_size);
	reserved_memory = 0;
}

void flood_stopped(struct flood_end *end, kern_return_t code)
{
	flood_release();
	end->code = code;
	end->denied = is_shortage(code) && program_last_denial(&end->denial);
}

void flood_print_end(const char *program, const struct flood_end *end)
{
	char text[LEDGER_DENIAL_MAX];

	if (end->denied)
		printf("%s\n", ledger_denial_string(&end->denial, text));
	else if (end->code != KERN_SUCCESS)
		printf("%s: stopped: %s (code %#x)\n", program, mach_error_string(end->code),
		       (unsigned)end->code);
}

static uint64_t common_divisor(uint64_t a, uint64_t b)
{
	while (b != 0) {
		uint64_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Steps of a length that has no divisor in common with the count meet each of them once. */
struct flood_order flood_order(uint64_t count, uint64_t seed)
{
	struct flood_order order = { .count = count, .step = count - 1 };

	if (count > 1 && seed != 0) {
		order.step = seed % count;
		while (common_divisor(order.step, count) != 1)
			order.step++;
	}
	return order;
}

uint64_t flood_order_next(struct flood_order *order)
{
	order->place = (order->place + order->step) % order->count;
	return order->place;
}
