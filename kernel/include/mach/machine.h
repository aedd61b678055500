/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of processors, as host_info and processor_info name them. */
#ifndef MACH_MACHINE_H
#define MACH_MACHINE_H

#include <mach/boolean.h>
#include <mach/machine/vm_types.h>

typedef integer_t	cpu_type_t;
typedef integer_t	cpu_subtype_t;

#define CPU_STATE_MAX		3
#define CPU_STATE_USER		0
#define CPU_STATE_SYSTEM	1
#define CPU_STATE_IDLE		2

#define CPU_TYPE_I386		((cpu_type_t) 7)
#define CPU_TYPE_I486		((cpu_type_t) 17)
#define CPU_TYPE_PENTIUM	((cpu_type_t) 18)
#define CPU_TYPE_PENTIUMPRO	((cpu_type_t) 19)
#define CPU_TYPE_X86_64		((cpu_type_t) 21)
#define CPU_SUBTYPE_AT386	((cpu_subtype_t) 1)

#endif
