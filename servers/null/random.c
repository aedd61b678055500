/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xoshiro256**, its state filled by splitmix64 (Blackman and Vigna, "Scrambled Linear
 * Pseudorandom Number Generators", 2021).
 */
#include "random.h"
#include <mach/threads.h>
#include <string.h>

static struct mutex lock;
static uint64_t state[4];

void random_seed(uint64_t seed)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15;

		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		state[i] = z ^ z >> 31;
	}
}

static uint64_t rotate(uint64_t x, unsigned by)
{
	return x << by | x >> (64 - by);
}

static uint64_t next(void)
{
	uint64_t result = rotate(state[1] * 5, 7) * 9, t = state[1] << 17;

	state[2] ^= state[0];
	state[3] ^= state[1];
	state[1] ^= state[2];
	state[0] ^= state[3];
	state[2] ^= t;
	state[3] = rotate(state[3], 45);
	return result;
}

void random_fill(char *to, size_t size)
{
	uint64_t value;

	mutex_lock(&lock);
	for (; size >= sizeof value; to += sizeof value, size -= sizeof value) {
		value = next();
		__builtin_memcpy(to, &value, sizeof value);
	}
	if (size > 0) {
		value = next();
		memcpy(to, &value, size);
	}
	mutex_unlock(&lock);
}
