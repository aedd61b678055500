/* SPDX-License-Identifier: BSD-2-Clause */
/* What generated user stubs need from the library. */
#ifndef MACH_MIG_SUPPORT_H
#define MACH_MIG_SUPPORT_H

#include <mach/message.h>
#include <mach/port.h>
#include <mach/std_types.h>

/* The calling thread's reply port; made at first use, MACH_PORT_NULL if denied. */
mach_port_t mig_get_reply_port(void);
/* The reply port took a wrong or no message: destroy it, a new one is made next. */
void mig_dealloc_reply_port(mach_port_t port);
/* The call that took the port is over and the port is as it was. */
void mig_put_reply_port(mach_port_t port);
/* Give back all rights and memory of a received message that is not wanted. */
void mach_msg_destroy(mach_msg_header_t *msg);

#endif
