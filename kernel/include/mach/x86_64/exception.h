/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_EXCEPTION_H
#define MACH_X86_64_EXCEPTION_H

#include <mach/machine/exception.h>

#endif
