/* SPDX-License-Identifier: BSD-2-Clause */
/* RAM before the page allocator: ranges of RAM, ranges that are taken. Boot only. */
#ifndef X86_64_BOOTMEM_H
#define X86_64_BOOTMEM_H
#include <stdbool.h>
#include <stdint.h>

struct range { uint64_t start, end; };		/* physical bytes [start, end) */

/* Announces RAM, in any order; what lies beyond the processor's reach is left out. */
void bootmem_add_ram(uint64_t start, uint64_t end);
/* Takes a range out, RAM or not; grows to whole pages. */
void bootmem_reserve(uint64_t start, uint64_t end);
/* After the last bootmem_add_ram: sorts, joins overlaps. Returns the number of ranges. */
unsigned bootmem_ram(const struct range **ranges);
/* True when all of [start, end) is RAM. */
bool bootmem_is_ram(uint64_t start, uint64_t end);
/* Bytes of RAM announced. */
uint64_t bootmem_ram_bytes(void);
/* Takes whole pages of RAM below limit; 0: none left. */
uint64_t bootmem_take(uint64_t bytes, uint64_t limit);
/* Gives the end [start, end) of the latest range taken back. */
void bootmem_untake(uint64_t start, uint64_t end);
/* The whole free pages: calls visit for each stretch, lowest first. */
void bootmem_each_free(void (*visit)(uint64_t start, uint64_t end));

#endif
