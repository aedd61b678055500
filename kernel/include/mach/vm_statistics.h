/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters of virtual memory. */
#ifndef MACH_VM_STATISTICS_H
#define MACH_VM_STATISTICS_H

#include <mach/layout_check.h>
#include <mach/machine/vm_types.h>

struct vm_statistics {
	integer_t	pagesize;	/* bytes */
	integer_t	free_count;	/* pages, like those that follow */
	integer_t	active_count;
	integer_t	inactive_count;
	integer_t	wire_count;
	integer_t	zero_fill_count;
	integer_t	reactivations;
	integer_t	pageins;
	integer_t	pageouts;
	integer_t	faults;
	integer_t	cow_faults;
	integer_t	lookups;
	integer_t	hits;
};
typedef struct vm_statistics	*vm_statistics_t;
typedef struct vm_statistics	vm_statistics_data_t;

LAYOUT_AT(struct vm_statistics, pagesize, 0);
LAYOUT_AT(struct vm_statistics, free_count, 4);
LAYOUT_AT(struct vm_statistics, active_count, 8);
LAYOUT_AT(struct vm_statistics, inactive_count, 12);
LAYOUT_AT(struct vm_statistics, wire_count, 16);
LAYOUT_AT(struct vm_statistics, zero_fill_count, 20);
LAYOUT_AT(struct vm_statistics, reactivations, 24);
LAYOUT_AT(struct vm_statistics, pageins, 28);
LAYOUT_AT(struct vm_statistics, pageouts, 32);
LAYOUT_AT(struct vm_statistics, faults, 36);
LAYOUT_AT(struct vm_statistics, cow_faults, 40);
LAYOUT_AT(struct vm_statistics, lookups, 44);
LAYOUT_AT(struct vm_statistics, hits, 48);
LAYOUT_SIZE(struct vm_statistics, 52);

#endif
