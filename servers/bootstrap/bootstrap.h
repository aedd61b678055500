/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of bootstrap share. */
#ifndef BOOTSTRAP_H
#define BOOTSTRAP_H

#include <mach/mach_types.h>
#include <mach/message.h>

/* Rights that the kernel gave us, and what was opened with them. */
extern mach_port_t host_priv, device_master;
extern mach_port_t console_device;	/* MACH_PORT_NULL: no console */
extern mach_port_t test_device;		/* the second serial port, or MACH_PORT_NULL */

/* All ports that we listen to are in this set. */
extern char command_line[];		/* of the kernel */
extern mach_port_t event_set;
/* Dead-name notifications of tasks come here. */
extern mach_port_t notify_port;

/* A new receive right in the set; MACH_PORT_NULL: denied. */
mach_port_t event_port(void);
void event_port_destroy(mach_port_t port);

/* Waits for one message, at most the time (milliseconds), and deals with it. */
void event_wait(unsigned milliseconds);

#endif
