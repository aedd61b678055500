/* SPDX-License-Identifier: BSD-2-Clause */
/* The device master port for tests. */
#ifndef MASTER_H
#define MASTER_H

#include <mach/mach_types.h>

/* A right to the device master port: the test's own or, `in root`, a copy of the console's. Fails the test. */
mach_port_t master_port_get(void);
/* Gives it back. */
void master_port_put(mach_port_t master);

#endif
