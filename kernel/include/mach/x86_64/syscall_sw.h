/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_SYSCALL_SW_H
#define MACH_X86_64_SYSCALL_SW_H

#include <mach/machine/syscall_sw.h>

#endif
