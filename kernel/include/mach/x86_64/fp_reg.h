/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_FP_REG_H
#define MACH_X86_64_FP_REG_H

#include <mach/machine/fp_reg.h>

#endif
