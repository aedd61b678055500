/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_MACH_I386_TYPES_H
#define MACH_X86_64_MACH_I386_TYPES_H

#include <mach/machine/mach_i386_types.h>

#endif
