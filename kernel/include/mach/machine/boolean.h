/* SPDX-License-Identifier: BSD-2-Clause */
/* The type of truth values in the interface: 32 bits. */
#ifndef MACH_MACHINE_BOOLEAN_H
#define MACH_MACHINE_BOOLEAN_H

#ifndef __ASSEMBLER__
typedef int boolean_t;
#endif

#endif
