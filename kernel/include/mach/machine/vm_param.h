/* SPDX-License-Identifier: BSD-2-Clause */
/* Page size and user address range on x86-64. */
#ifndef MACH_MACHINE_VM_PARAM_H
#define MACH_MACHINE_VM_PARAM_H

#include <mach/machine/vm_types.h>

#define BYTE_SIZE	8
#define PAGE_SHIFT	12

#define VM_MIN_ADDRESS	0x0UL
/*
 * One page short of the canonical half: a syscall instruction in the last page
 * would leave a return address that sysret faults on in kernel mode (Intel SDM
 * volume 2, SYSRET). GNU Mach ends at 0x800000000000.
 */
#define VM_MAX_ADDRESS	0x7ffffffff000UL

#endif
