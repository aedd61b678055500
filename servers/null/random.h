/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers that look random, for tests and floods. Not for secrets: a few of them tell all others. */
#ifndef NULL_RANDOM_H
#define NULL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* The same seed, the same bytes. Before the first random_fill. */
void random_seed(uint64_t seed);
/* Fills it with the next bytes; any thread may call it. */
void random_fill(char *to, size_t size);

#endif
