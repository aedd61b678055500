/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands for kernel addresses: one number for each, and none of them an address. */
/* SOURCES: mem kernel/kern/opaque.c */
#include <stdlib.h>
#include "kern/opaque.h"
#include "tap.h"

#define OBJECTS 20000
#define KERNEL 0xffff800000000000	/* where kernel addresses begin */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static const void *object(unsigned i)
{
	return (const void *)(KERNEL + 0x100000 + i * 48ul);
}

int main(void)
{
	static uint64_t numbers[OBJECTS];
	unsigned same = 0, addresses = 0, stable = 0, moved = 0, steps = 0;

	tap_begin("kern_opaque_test");
	for (unsigned i = 0; i < OBJECTS; i++)
		numbers[i] = opaque_of(object(i));
	for (unsigned i = 0; i < OBJECTS; i++) {
		stable += numbers[i] == opaque_of(object(i));
		addresses += numbers[i] >= KERNEL || numbers[i] == 0;
		steps += i > 1 && numbers[i] - numbers[i - 1] == numbers[i - 1] - numbers[i - 2];
	}
	is_u64(stable, OBJECTS, "an object's number stays");
	ok(addresses < OBJECTS / 1000, "it is no kernel address, but by chance (%u of %u)", addresses, OBJECTS);
	is_u64(steps, 0, "and tells no distances");
	qsort(numbers, OBJECTS, sizeof(numbers[0]), by_value);
	for (unsigned i = 1; i < OBJECTS; i++)
		same += numbers[i] == numbers[i - 1];
	is_u64(same, 0, "no two have the same");
	is_u64(opaque_of(NULL), 0, "nothing is 0");
	opaque_secret(1);
	for (unsigned i = 0; i < OBJECTS; i++)
		numbers[i] = opaque_of(object(i));
	opaque_secret(2);
	for (unsigned i = 0; i < OBJECTS; i++)
		moved += numbers[i] != opaque_of(object(i));
	is_u64(moved, OBJECTS, "with another secret all are others");
	return tap_done();
}
