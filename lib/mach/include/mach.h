/* SPDX-License-Identifier: BSD-2-Clause */
/* Everything that most programs want of Mach. */
#ifndef MACH_H
#define MACH_H

#include <mach/mach_traps.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include <mach/mig_support.h>
#include <mach/mach_init.h>
#include <mach/mach_error.h>
#include <gnumach_user.h>
#include <mach_host_user.h>
#include <mach_port_user.h>
#include <mach_user.h>

#endif
