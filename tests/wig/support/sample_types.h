/* SPDX-License-Identifier: BSD-2-Clause */
/* The C side of sample.defs. */
#ifndef SAMPLE_TYPES_H
#define SAMPLE_TYPES_H
#include <stdint.h>

typedef struct {
	char c;
	int i;
	uint64_t w;
} pair_t;
typedef pair_t *pair_array_t;
typedef int *any_array_t;
typedef struct { int word[3]; } three_t;
typedef char *bytes_t;
typedef unsigned int *port_array_t;

#endif
