/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages sent to kernel objects: how msg_send.c hands them over. */
#ifndef IPC_KRPC_CALL_H
#define IPC_KRPC_CALL_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>

struct port;
struct thread;

/*
 * The current thread's message to a kernel port, by thread->msg; its first `have` bytes are at head, checked. Carries the
 * call out, then goes on with the receive part. Returns mach_msg's code, or KERN_BLOCKED: the thread waits or is dead.
 */
int64_t krpc_call(struct thread *thread, struct port *port, const uint8_t *head, uint32_t have);

/*
 * The same if it is one of the common sort, a plain request of at most KMSG_SMALL bytes, all of it at `in` (the kernel's, spoilt);
 * false: it is not, and nothing has happened.
 */
bool krpc_plain(struct thread *thread, struct port *port, mach_msg_header_t *in, int64_t *result);

#endif
