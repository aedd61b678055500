/* SPDX-License-Identifier: BSD-2-Clause */
/* Page table entries (Intel SDM volume 3, 4.5: 4-level paging). Level 0 maps 4 KiB pages, level
   3 is the root. */
#ifndef X86_64_PTE_H
#define X86_64_PTE_H
#include <stdint.h>

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITE (1ull << 1)
#define PTE_USER (1ull << 2)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY (1ull << 6)
#define PTE_LARGE (1ull << 7)
#define PTE_GLOBAL (1ull << 8)
#define PTE_NX (1ull << 63)
#define PTE_FRAME 0x000ffffffffff000ull
#define PTE_SLOTS 512u
#define PTE_ROOT_LEVEL 3u
#define PTE_KERNEL_SLOT 256u		/* first slot of the root's upper half */

/* Bytes that one entry of a level covers. */
static inline uint64_t pte_span(unsigned level)
{
	return 1ull << (12 + 9 * level);
}

static inline unsigned pte_index(uint64_t address, unsigned level)
{
	return address >> (12 + 9 * level) & (PTE_SLOTS - 1);
}

#endif
