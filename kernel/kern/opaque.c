/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel objects as numbers that tell users nothing else.
 *
 * Mach's debugging calls identify objects by their address in the kernel, which says where things lie and what may be
 * overwritten by a bug elsewhere. Here each step of the mixing can be undone, so that different addresses stay different,
 * but not by who does not know the secret of this boot. It is no cipher: who needs more must not be told at all.
 */
#include "kern/opaque.h"
#include <stddef.h>
#include "mem/upcalls.h"

/* The finishing steps of splitmix64 (Steele, Lea, Flood, OOPSLA 2014): odd factors and shifts, so one to one. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static uint64_t before, between;

void opaque_secret(uint64_t secret)
{
	before = mix(secret + 1) | 1;
	between = mix(before);
}

static uint64_t number_of(uint64_t address)
{
	return mix(mix(address ^ before) ^ between);
}

uint64_t opaque_of(const void *address)
{
	uint64_t number;

	if (address == NULL)
		return 0;
	if (before == 0)
		opaque_secret(clock_uptime_ns());
	number = number_of((uint64_t)(uintptr_t)address);
	/* The one address of 2^64 that would be 0 gets the number that NULL does without. */
	return number != 0 ? number : number_of(0);
}
