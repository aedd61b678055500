/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path of mach_msg. Theory in msg_fast.c. */
#ifndef IPC_MSG_FAST_H
#define IPC_MSG_FAST_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>

struct port;
struct thread;

/*
 * The current thread's mach_msg, arguments in its registers. False: it is not one of the common calls, or something is in its way,
 * and nothing has changed. True: it was a call of a kernel object, *result is mach_msg's code or KERN_BLOCKED. Does not
 * return when the message went to another thread, which has the CPU now.
 */
bool msg_fast(struct thread *thread, int64_t *result);

/* -- plain messages: theory in msg_plain.c -- */

/*
 * The current thread's message, arguments in its registers and head read, at most KMSG_SMALL bytes without a reply right, to a
 * living port by a copy of a send right. True: it is sent, or *result says why not. False: it must go the general way, and
 * nothing has changed. Charged to the sender's ledger. Does not block.
 */
bool msg_plain_send(struct thread *thread, struct port *port, const mach_msg_header_t *head, int64_t *result);
/* Receives the next message of the port, which is in no set, or set, that the current thread names; false: as above. */
bool msg_plain_receive(struct thread *thread, struct port *object, int64_t *result);

#endif
