/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fast path of calls to kernel objects.
 *
 * Most calls look alike: one mach_msg that sends a plain request by a copy of a send right, and receives the reply at a port of
 * its own by a send-once right (msg_fast.c has looked at that). The reply is data, or one right to send. For these nothing
 * need be taken out of the space and put back, no message be made and none be queued: the routine runs on the request as it
 * was read, and the reply is written. Whatever does not fit (an item other than data, another right, a time-out, a reply port
 * with messages, receivers or a set, a buffer whose pages are not there) is left, with nothing changed, to the general path
 * (krpc.c), which knows what to answer. A plain request whose sender wants no answer (a simpleroutine's, a thread's that ends
 * itself) comes this way too.
 *
 * A stub looks at the request's items, its size and whether it is complex: the head is as the caller wrote it.
 */
#include <mach/mig_errors.h>
#include "ipc/kmsg_copy.h"
#include "ipc/krpc.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "x86_64/usercopy.h"

#define HEAD sizeof(mach_msg_header_t)
#define REPLY_HEAD sizeof(mig_reply_header_t)
#define REPLY_BITS MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE)

/* What a routine that makes something answers: one right to send, and nothing else. */
struct reply_with_right {
	mig_reply_header_t head;
	mach_msg_type_t type;
	union {
		struct port *right;
		uint64_t name;
	};
};

static const mach_msg_type_t send_type = { .msgt_name = MACH_MSG_TYPE_PORT_SEND, .msgt_size = 64, .msgt_inline = 1,
					   .msgt_number = 1 };

/* Writes the reply into the caller's buffer: its head, and what the stub has written behind that. */
static inline bool reply_write(const struct msg_state *msg, uint32_t bits, uint32_t size, const struct port *port, kern_return_t code)
{
	uint64_t buffer = msg->buffer;

	/* msg_fast has read the request there, so usercopy_range is true of it. */
	_Static_assert(KRPC_REPLY_MAX <= USERCOPY_MAX, "a reply does not reach beyond the users' addresses");
	return user_write6(buffer, bits | (uint64_t)size << 32, MACH_PORT_NAME_NULL, port->receiver_name,
			   port->sequence | (uint64_t)msg->reply_id << 32, krpc_code_type.word, (uint32_t)code) &&
	       (size == REPLY_HEAD || user_words_out(buffer + REPLY_HEAD, krpc_reply_bytes + REPLY_HEAD, size - REPLY_HEAD));
}

/* The same with the right in it. The page is there when its name is written: it was written to just now. */
static __attribute__((noinline)) bool reply_write_right(struct thread *thread, const struct krpc *krpc, const struct port *port,
							int64_t *result)
{
	struct reply_with_right *reply = (struct reply_with_right *)krpc_reply_bytes;
	struct port *right = reply->right;
	mach_msg_return_t bits;
	mach_port_name_t name;
	uint64_t slot;

	if (krpc->out_size != sizeof(*reply) || memcmp(&reply->type, &send_type, sizeof(reply->type)) != 0)
		return false;
	reply->name = MACH_PORT_NULL;
	if (!reply_write(&thread->msg, MACH_MSGH_BITS_COMPLEX | REPLY_BITS, sizeof(*reply), port, KERN_SUCCESS)) {
		reply->right = right;
		return false;
	}
	bits = kmsg_right_receive(thread->task, right, MACH_MSG_TYPE_PORT_SEND, &name);
	slot = name;
	user_words_out(thread->msg.buffer + offsetof(struct reply_with_right, name), &slot, sizeof(slot));
	*result = bits != 0 ? MACH_RCV_BODY_ERROR | bits : MACH_MSG_SUCCESS;
	return true;
}

/* False: it goes the general way. */
static inline bool plain_reply(struct thread *thread, kern_return_t code, const struct krpc *krpc, struct port *port,
			       int64_t *result)
{
	uint32_t size = code == KERN_SUCCESS ? krpc->out_size : REPLY_HEAD;

	if (thread->state == THREAD_DEAD || code == KRPC_BLOCKED || code == MIG_NO_REPLY || size > thread->msg.receive_size)
		return false;
	/* The routine may have done anything to it. */
	if (port->dead || port->has_payload || port->receiver != &thread->task->space ||
	    port->receiver_name != thread->msg.receive_name || port->set != NULL || !TAILQ_EMPTY(&port->messages) ||
	    !LIST_EMPTY(&port->receivers))
		return false;
	if (code == KERN_SUCCESS && krpc->out_complex) {
		if (!reply_write_right(thread, krpc, port, result))
			return false;
	} else if (reply_write(&thread->msg, REPLY_BITS, size, port, code)) {
		*result = MACH_MSG_SUCCESS;
	} else {
		return false;
	}
	port->sequence++;
	port->reply_bound = 0;
	thread->msg.reply_direct = false;
	thread->task->messages_received++;
	return true;
}

bool krpc_plain(struct thread *thread, struct port *port, struct port *reply, mach_msg_header_t *head, int64_t *result)
{
	const struct regs *regs = &thread->regs;
	uint32_t size = (uint32_t)regs->rdx, id = (uint32_t)head->msgh_id;
	const struct krpc_routine *routine = krpc_routine_find(id);
	struct msg_state *msg = &thread->msg;
	struct krpc krpc;
	kern_return_t code;

	if (routine == NULL || size < routine->request_min)
		return false;
	if (reply != NULL && (routine->simple || !LIST_EMPTY(&reply->receivers)))
		return false;
	if (size != HEAD && !user_words_in((char *)head + HEAD, regs->rdi + HEAD, size - HEAD))
		return false;
	/* What the receive part needs, and a reply that comes later. */
	assert(msg->kmsg == NULL && msg->reply_port == NULL);
	msg->buffer = regs->rdi;
	msg->option = (uint32_t)regs->rsi;
	msg->receive_size = (uint32_t)regs->r10;
	msg->receive_name = (uint32_t)regs->r8;
	msg->reply_id = id + KRPC_REPLY_ID_OFFSET;
	msg->reply_direct = reply != NULL;
	thread->task->messages_sent++;
	krpc_fill(&krpc, thread, port, head, size, reply);
	/* The object may die in the call, or the reply port: they are needed until the end. */
	port_ref(port);
	if (reply != NULL)
		port_ref(reply);
	code = routine->stub(&krpc);
	port_unref(port);
	if (reply == NULL || !plain_reply(thread, code, &krpc, reply, result))
		*result = krpc_finish(thread, !routine->simple, code, &krpc);
	if (reply != NULL)
		port_unref(reply);
	krpc_created_settle();
	return true;
}
