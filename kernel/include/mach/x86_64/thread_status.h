/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine's header under its own name. */
#ifndef MACH_X86_64_THREAD_STATUS_H
#define MACH_X86_64_THREAD_STATUS_H

#include <mach/machine/thread_status.h>

#endif
