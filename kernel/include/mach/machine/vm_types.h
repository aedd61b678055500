/* SPDX-License-Identifier: BSD-2-Clause */
/* The integer types of the interface on x86-64. */
#ifndef MACH_MACHINE_VM_TYPES_H
#define MACH_MACHINE_VM_TYPES_H

#ifndef __ASSEMBLER__
#include <stdint.h>

typedef unsigned int		natural_t;
typedef int			integer_t;
typedef unsigned long		long_natural_t;
typedef long			long_integer_t;

typedef uintptr_t		vm_offset_t;
typedef uintptr_t		vm_size_t;
typedef vm_offset_t		*vm_offset_array_t;
typedef vm_size_t		*vm_size_array_t;
typedef unsigned long long	phys_addr_t;

/* As they travel in messages: the same widths for a 64-bit user. */
typedef unsigned long long	rpc_phys_addr_t;
typedef rpc_phys_addr_t		*rpc_phys_addr_array_t;
typedef vm_offset_t		rpc_vm_address_t;
typedef vm_offset_t		rpc_vm_offset_t;
typedef vm_size_t		rpc_vm_size_t;
typedef rpc_vm_offset_t		*rpc_vm_offset_array_t;
typedef rpc_vm_size_t		*rpc_vm_size_array_t;
typedef uintptr_t		rpc_uintptr_t;
typedef long_natural_t		rpc_long_natural_t;
typedef long_integer_t		rpc_long_integer_t;
#endif

#define MACH_MSG_TYPE_INTEGER_T	MACH_MSG_TYPE_INTEGER_32

#endif
