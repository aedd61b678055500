/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of a name space. */
#ifndef MACH_MACH_PORT_H
#define MACH_MACH_PORT_H

#include <mach_port_user.h>

#endif
