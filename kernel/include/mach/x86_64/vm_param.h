/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_VM_PARAM_H
#define MACH_X86_64_VM_PARAM_H

#include <mach/machine/vm_param.h>

#endif
