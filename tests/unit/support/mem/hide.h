/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/mem/hide.h: free memory is poisoned for AddressSanitizer, so that a stale
   pointer into a zone or a freed page stops the test where it is used. */
#ifndef MEM_HIDE_H
#define MEM_HIDE_H
#include <sanitizer/asan_interface.h>
#include <stddef.h>

static inline void memory_hide(void *address, size_t size)
{
	ASAN_POISON_MEMORY_REGION(address, size);
}

static inline void memory_show(void *address, size_t size)
{
	ASAN_UNPOISON_MEMORY_REGION(address, size);
}

#endif
