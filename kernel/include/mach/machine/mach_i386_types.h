/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors and I/O permissions of mach_i386.defs. */
#ifndef MACH_MACHINE_MACH_I386_TYPES_H
#define MACH_MACHINE_MACH_I386_TYPES_H

#include <mach/port.h>

struct descriptor {
	unsigned int	low_word;
	unsigned int	high_word;
};
typedef struct descriptor	descriptor_t;
typedef struct descriptor	*descriptor_list_t;
typedef const struct descriptor	*const_descriptor_list_t;

typedef unsigned short	io_port_t;
typedef mach_port_t	io_perm_t;

#endif
