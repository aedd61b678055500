/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls that GNU Mach added. */
#ifndef MACH_GNUMACH_H
#define MACH_GNUMACH_H

#include <gnumach_user.h>

#endif
