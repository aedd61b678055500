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
 * For msg_fast.c: the same for a plain request of at most KMSG_SMALL bytes, with its head read, whose caller receives the reply in the
 * same call at the port `reply`, which is in no set and where nothing is to be received; NULL: it names no reply port and does not
 * receive. *result as above; false: it must go the
 * general way, and nothing has happened.
 */
bool krpc_plain(struct thread *thread, struct port *port, struct port *reply, mach_msg_header_t *head, int64_t *result);

#endif
