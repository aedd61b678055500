/* SPDX-License-Identifier: BSD-2-Clause */
/* What the flood programs share: numbers from options, times, the last line. */
#ifndef FLOOD_H
#define FLOOD_H

#include <mach/kern_return.h>
#include <stdbool.h>
#include <stdint.h>
#include <weir/ledger.h>

/* The option's value as a number; prints what is wrong and ends with status 64 otherwise. */
uint64_t flood_number(const char *program, char option, const char *text);
/* Prints "usage: PROGRAM TEXT" and ends with status 64. */
_Noreturn void flood_usage(const char *program, const char *text);

/* How a flood was stopped: a code, and the denial behind it if it is known. */
struct flood_end {
	kern_return_t code;
	bool denied;
	struct ledger_denial denial;
};

/*
 * Takes a few ports and pages that the program gives back when it is stopped,
 * so that it can ask what stopped it and say so.
 */
void flood_reserve(void);
void flood_release(void);

/* Gives the reserve back; fills in the end with the code and the calling thread's last denial, if the code tells of one. */
void flood_stopped(struct flood_end *end, kern_return_t code);
/* Prints the last line: the denial, or the code's text; nothing for a flood that was not stopped. */
void flood_print_end(const char *program, const struct flood_end *end);

/* The order in which count things are given back: the newest first, or (seed) each once in an order of its own. */
struct flood_order {
	uint64_t count, step, place;
};
struct flood_order flood_order(uint64_t count, uint64_t seed);
/* The index of the next one; to be called count times. */
uint64_t flood_order_next(struct flood_order *order);

#endif
