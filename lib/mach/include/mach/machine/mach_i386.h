/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of x86 machines. */
#ifndef MACH_MACHINE_MACH_I386_H
#define MACH_MACHINE_MACH_I386_H

#include <mach_i386_user.h>

#endif
