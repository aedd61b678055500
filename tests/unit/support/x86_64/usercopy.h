/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/x86_64/usercopy.h. */
#ifndef X86_64_USERCOPY_H
#define X86_64_USERCOPY_H
#include "x86_64/machine.h"

/* True: nothing is readable in this way, nor writable by pmap_writable, so nothing goes the fast paths of mach_msg. */
extern bool host_fast_off;

static inline bool user_read4(uint64_t from, uint64_t word[4])
{
	uint64_t fault;

	if (host_fast_off)
		return false;
	return user_copy_in(word, from, 32, &fault);
}

#endif
