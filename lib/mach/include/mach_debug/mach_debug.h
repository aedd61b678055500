/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls that show the kernel's insides. */
#ifndef MACH_DEBUG_MACH_DEBUG_H
#define MACH_DEBUG_MACH_DEBUG_H

#include <mach_debug_user.h>

#endif
