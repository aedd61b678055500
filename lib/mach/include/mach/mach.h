/* SPDX-License-Identifier: BSD-2-Clause */
/* What older programs call <mach.h>. */
#ifndef MACH_MACH_H
#define MACH_MACH_H

#include <mach.h>

#endif
