/* SPDX-License-Identifier: BSD-2-Clause */
/* A page: allocated, touched, deallocated, by traps. */
#include "bench.h"
#include <mach.h>

static void vm_allocate_touch_deallocate(void)
{
	vm_address_t address = 0;

	need(syscall_vm_allocate(mach_task_self(), &address, vm_page_size, TRUE), "vm_allocate");
	*(volatile uint64_t *)address = 1;
	need(syscall_vm_deallocate(mach_task_self(), address, vm_page_size), "vm_deallocate");
}

const struct operation memory_operations[] = {
	{ .name = "vm_allocate_touch_deallocate", .run = vm_allocate_touch_deallocate, .kind = CROWD_ENTRIES },
	{ 0 },
};
