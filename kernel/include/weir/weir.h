/* SPDX-License-Identifier: BSD-2-Clause */
/* Weir's own view of the kernel, for holders of the privileged host port. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <mach/layout_check.h>
#include <stdint.h>

#define WEIR_NAME_MAX		32	/* bytes with the final zero */
#define WEIR_SITE_MAX		64
#define WEIR_TEXT_MAX		512
typedef char		weir_name_t[WEIR_NAME_MAX];
typedef const char	*const_weir_name_t;
typedef char		weir_site_t[WEIR_SITE_MAX];
typedef const char	*const_weir_site_t;
typedef char		weir_text_t[WEIR_TEXT_MAX];
typedef const char	*const_weir_text_t;

/* What weir_debug does, mostly to the machine's harm; arg as noted, else 0. */
#define WEIR_DEBUG_PANIC	1	/* panic, to see one */
#define WEIR_DEBUG_TRIPLE_FAULT	2	/* reset without a word */
#define WEIR_DEBUG_HANG		3	/* spin for ever with interrupts off */
#define WEIR_DEBUG_KERNEL_FAULT	4	/* read the kernel address arg */
#define WEIR_DEBUG_ZONE		5	/* harmless: arg times an element for a name, charged to the caller, and back */
#define WEIR_DEBUG_STRETCH	6	/* the longest time with interrupts off since it was asked before; KERN_FAILURE: a release */

/* What mach_port_kernel_object tells by number: the kind of object behind a port. */
#define WEIR_OBJECT_NAMES							\
	"", "task", "thread", "host", "host-priv", "processor",		\
	"pset", "pset-name", "device-master", "device", "ledger",	\
	"ledger-name", "memory", "other"

struct weir_zone_info {
	char		name[WEIR_NAME_MAX];
	uint64_t	elem_size;	/* bytes */
	uint64_t	count;		/* elements in use */
	uint64_t	free;		/* elements free in the slabs held */
	uint64_t	slabs;		/* pages */
	uint64_t	max;		/* elements */
	uint64_t	reserve;	/* elements kept back for guarantees */
	uint64_t	peak;		/* elements */
	uint64_t	allocs;
	uint64_t	frees;
	uint64_t	failures;
	uint64_t	resource;	/* LEDGER_... */
};
typedef struct weir_zone_info	weir_zone_info_t;
typedef struct weir_zone_info	*weir_zone_info_array_t;

struct weir_memory_info {
	uint64_t	ram_pages;
	uint64_t	free_pages;
	uint64_t	zone_map_pages;
	uint64_t	zone_map_limit_pages;
	uint64_t	user_pages;
	uint64_t	kernel_pages;
	uint64_t	boot_ticks;	/* of the TSC, from the kernel's entry to the first program */
	uint64_t	spare[7];
};
typedef struct weir_memory_info	weir_memory_info_t;

struct weir_task_info {
	uint64_t	id;
	uint64_t	threads;
	uint64_t	names;
	uint64_t	entries;
	uint64_t	virtual_pages;
	uint64_t	resident_pages;
	uint64_t	kmem_bytes;
	uint64_t	ledger_id;
	char		name[WEIR_NAME_MAX];
	uint64_t	suspend_count;
	uint64_t	cpu_ns;
};
typedef struct weir_task_info	weir_task_info_t;
typedef struct weir_task_info	*weir_task_info_array_t;

LAYOUT_AT(struct weir_zone_info, elem_size, 32);
LAYOUT_AT(struct weir_zone_info, resource, 112);
LAYOUT_SIZE(struct weir_zone_info, 120);
LAYOUT_SIZE(struct weir_memory_info, 112);
LAYOUT_AT(struct weir_task_info, name, 64);
LAYOUT_AT(struct weir_task_info, suspend_count, 96);
LAYOUT_SIZE(struct weir_task_info, 112);

#endif
