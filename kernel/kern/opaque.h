/* SPDX-License-Identifier: BSD-2-Clause */
/* Kernel objects as numbers that tell users nothing else. */
#ifndef KERN_OPAQUE_H
#define KERN_OPAQUE_H
#include <stdint.h>

/* A number for what users are told of a kernel address: equal for equal ones, different for others, not 0, the same until the
   machine ends. NULL: 0. */
uint64_t opaque_of(const void *address);
/* The number of the secret that these are made with: by the first call, or for tests. */
void opaque_secret(uint64_t secret);

#endif
