/* SPDX-License-Identifier: BSD-2-Clause */
/* Profiling and proxies of memory. */
#ifndef MACH_MACH4_H
#define MACH_MACH4_H

#include <mach4_user.h>

#endif
