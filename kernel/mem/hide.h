/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells a memory checker which memory is free. There is none in the kernel; the host's unit tests have one. */
#ifndef MEM_HIDE_H
#define MEM_HIDE_H
#include <stddef.h>

static inline void memory_hide(void *address, size_t size)
{
	(void)address;
	(void)size;
}

static inline void memory_show(void *address, size_t size)
{
	(void)address;
	(void)size;
}

#endif
