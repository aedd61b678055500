/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_KERN_RETURN_H
#define MACH_X86_64_KERN_RETURN_H

#include <mach/machine/kern_return.h>

#endif
