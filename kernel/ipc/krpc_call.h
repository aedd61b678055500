/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages sent to kernel objects: how msg_send.c hands them over. */
#ifndef IPC_KRPC_CALL_H
#define IPC_KRPC_CALL_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include "ipc/krpc.h"
#include "ipc/port.h"

struct port;
struct thread;

/*
 * The current thread's message to a kernel port, by thread->msg; its first `have` bytes are at head, checked. Carries the
 * call out, then goes on with the receive part. Returns mach_msg's code, or KERN_BLOCKED: the thread waits or is dead.
 */
int64_t krpc_call(struct thread *thread, struct port *port, const uint8_t *head, uint32_t have);

/* -- shared by krpc.c, krpc_plain.c and krpc_later.c -- */

#define KRPC_REPLY_ID_OFFSET 100
/* The descriptor of a reply's code. */
static const union { mach_msg_type_t type; uint64_t word; } krpc_code_type = {
	{ .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 }
};
static inline void krpc_code_fill(mig_reply_header_t *reply, kern_return_t code)
{
	reply->RetCodeType = krpc_code_type.type;
	reply->RetCode = code;
	reply->RetCodePadding = 0;
}
/* By id; where there is none, one that no request fits. */
#define KRPC_IDS 5400u
extern const struct krpc_routine *krpc_routines[KRPC_IDS];
extern const struct krpc_routine krpc_no_routine;
static inline const struct krpc_routine *krpc_routine_find(uint32_t id)
{
	return id < KRPC_IDS ? krpc_routines[id] : &krpc_no_routine;
}

/* What a stub works on, but for the request: an empty reply. */
static inline __attribute__((always_inline)) void krpc_fill(struct port *target, struct port *reply)
{
	krpc_now.target = target;
	krpc_now.out_plain = sizeof(mig_reply_header_t);
	krpc_now.reply_port = reply;
}
/* Where the request of a plain call lies. krpc_now.in is this, but while a call that is not plain is carried out. */
extern union krpc_plain_request {
	mach_msg_header_t head;
	uint64_t word[KMSG_SMALL / sizeof(uint64_t)];
} krpc_plain_request;

/* Sends what the stub left with its code, if anything is answered, and goes on with the call; result as of krpc_call. */
int64_t krpc_finish(struct thread *thread, bool answered, kern_return_t code);
extern struct port *krpc_created_port;	/* krpc.c */
void krpc_created_undo(struct port *port);
/* The reply is on its way or gone: has anybody the right to what was made? */
static inline void krpc_created_settle(void)
{
	struct port *port = krpc_created_port;

	if (port == NULL)
		return;
	krpc_created_port = NULL;
	if (port->send_rights == 0)
		krpc_created_undo(port);
}

#endif
