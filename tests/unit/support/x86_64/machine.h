/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/x86_64/machine.h: "physical memory" is one mapping made by host_memory. */
#ifndef X86_64_MACHINE_H
#define X86_64_MACHINE_H
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Where physical address 0 appears; set by host_memory. */
extern uint64_t host_direct_map_base;
#define DIRECT_MAP_BASE host_direct_map_base

static inline void *phys_to_virt(uint64_t physical)
{
	return (void *)(uintptr_t)(DIRECT_MAP_BASE + physical);
}

static inline uint64_t virt_to_phys(const void *address)
{
	return (uint64_t)(uintptr_t)address - DIRECT_MAP_BASE;
}

static inline void machine_page_clear(void *page)
{
	memset(page, 0, 4096);
}

static inline void machine_page_copy(void *to, const void *from)
{
	memcpy(to, from, 4096);
}

#define USER_ADDRESS_MIN 0x1000ull
#define USER_ADDRESS_MAX 0x00007ffffffff000ull

uint64_t clock_uptime_ns(void);

/* host_pmap.c: counted only; user memory through the host's page tables. */
void machine_window(void);
bool user_copy_in(void *to, uint64_t from, uint64_t size, uint64_t *fault);
bool user_copy_out(uint64_t to, const void *from, uint64_t size, uint64_t *fault);

#endif
