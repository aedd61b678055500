/* SPDX-License-Identifier: BSD-2-Clause */
/* The calls of tasks, threads and memory, and of special ports. */
#ifndef MACH_MACH_INTERFACE_H
#define MACH_MACH_INTERFACE_H

#include <mach_user.h>
#include <mach/task_special_ports.h>
#include <mach/thread_special_ports.h>

#endif
