/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of the host, processors and time. */
#ifndef MACH_MACH_HOST_H
#define MACH_MACH_HOST_H

#include <mach_host_user.h>

#endif
