/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of exceptions, as exception_raise names them. */
#ifndef MACH_EXCEPTION_H
#define MACH_EXCEPTION_H

#include <mach/machine/exception.h>

#define EXC_BAD_ACCESS		1	/* code: kern_return_t, subcode: address */
#define EXC_BAD_INSTRUCTION	2
#define EXC_ARITHMETIC		3
#define EXC_EMULATION		4
#define EXC_SOFTWARE		5
#define EXC_BREAKPOINT		6

#endif
