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
 * The head of the request is as the caller wrote it. While the routine runs, thread->msg knows only that there is a reply (reply_direct);
 * the rest is filled in for a call that does not end here. The reply goes where the request was read, whatever the routine has done.
 */
#include <mach/mig_errors.h>
#include "ipc/kmsg_copy.h"
#include "ipc/krpc.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "ipc/msg_fast.h"
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
static inline bool reply_write(uint64_t buffer, uint32_t bits, uint32_t size, const struct port *port, uint32_t id, kern_return_t code)
{
	/* The request was read there, so usercopy_range is true of it. */
	_Static_assert(KRPC_REPLY_MAX <= USERCOPY_MAX, "a reply does not reach beyond the users' addresses");
	return user_write6(buffer, bits | (uint64_t)size << 32, MACH_PORT_NAME_NULL, port->receiver_name,
			   port->sequence | (uint64_t)id << 32, krpc_code_type.word, (uint32_t)code) &&
	       (size == REPLY_HEAD || user_words_out(buffer + REPLY_HEAD, krpc_reply_bytes + REPLY_HEAD, size - REPLY_HEAD));
}

/* The same with the right in it. The page is there when its name is written: it was written to just now. */
static __attribute__((noinline)) bool reply_write_right(struct thread *thread, uint64_t buffer, const struct krpc *krpc,
							const struct port *port, uint32_t id, int64_t *result)
{
	struct reply_with_right *reply = (struct reply_with_right *)krpc_reply_bytes;
	struct port *right = reply->right;
	mach_msg_return_t bits;
	mach_port_name_t name;
	uint64_t slot;

	if (krpc->out_size != sizeof(*reply) || memcmp(&reply->type, &send_type, sizeof(reply->type)) != 0)
		return false;
	reply->name = MACH_PORT_NULL;
	if (!reply_write(buffer, MACH_MSGH_BITS_COMPLEX | REPLY_BITS, sizeof(*reply), port, id, KERN_SUCCESS)) {
		reply->right = right;
		return false;
	}
	bits = kmsg_right_receive(thread->task, right, MACH_MSG_TYPE_PORT_SEND, &name);
	slot = name;
	user_words_out(buffer + offsetof(struct reply_with_right, name), &slot, sizeof(slot));
	*result = bits != 0 ? MACH_RCV_BODY_ERROR | bits : MACH_MSG_SUCCESS;
	return true;
}

/* The reply to a call whose buffer this is. False: it goes the general way. */
static inline bool plain_reply(struct thread *thread, uint64_t buffer, kern_return_t code, const struct krpc *krpc, uint32_t id,
			       int64_t *result)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .has_payload = true, .in_set = true, PORT_ANY_MESSAGES);
	struct port *port = krpc->reply_port;
	uint32_t size = krpc->out_size;

	if (code != KERN_SUCCESS) {
		if (code == KRPC_BLOCKED || code == MIG_NO_REPLY)
			return false;
		size = REPLY_HEAD;
	}
	if (thread->state == THREAD_DEAD || size > (uint32_t)thread->regs.r10)
		return false;
	/* The routine may have done anything to it. */
	if ((port->state & looked_at) != 0 || port->receiver != &thread->task->space ||
	    port->receiver_name != (uint32_t)thread->regs.r8 || !LIST_EMPTY(&port->receivers))
		return false;
	/* Only with KERN_SUCCESS. */
	if (krpc->out_complex) {
		if (!reply_write_right(thread, buffer, krpc, port, id, result))
			return false;
	} else {
		if (!reply_write(buffer, REPLY_BITS, size, port, id, code))
			return false;
		*result = MACH_MSG_SUCCESS;
	}
	port->sequence++;
	port->reply_bound = 0;
	thread->msg.reply_direct = false;
	thread->task->messages_received++;
	return true;
}

/* What the general way needs to go on: to receive, now or when the wait of the routine has ended. */
static __attribute__((noinline)) int64_t finish(struct thread *thread, const struct krpc_routine *routine, kern_return_t code,
						const struct krpc *krpc, uint32_t id)
{
	msg_arguments(thread);
	thread->msg.reply_id = id;
	return krpc_finish(thread, !routine->simple, code, krpc);
}

/* reply NULL: without. */
static inline __attribute__((always_inline)) int64_t carry_out(struct thread *thread, struct port *port, struct port *reply,
							       uint64_t word0, uint64_t word1, uint64_t word2, uint64_t word3)
{
	/* The request. The kernel is never entered twice. */
	static union { mach_msg_header_t head; uint64_t word[KMSG_SMALL / sizeof(uint64_t)]; } in;
	const uint64_t buffer = thread->regs.rdi;
	uint32_t size = (uint32_t)thread->regs.rdx, id = (uint32_t)(word3 >> 32);
	const struct krpc_routine *routine = krpc_routine_find(id);
	struct krpc krpc;
	kern_return_t code;
	int64_t result;

	if (routine == NULL || !krpc_fits(routine, size, false))
		return msg_general(thread);
	if (reply != NULL && (routine->simple || !LIST_EMPTY(&reply->receivers)))
		return msg_general(thread);
	if (size != HEAD && !user_words_in((char *)&in + HEAD, buffer + HEAD, size - HEAD))
		return msg_general(thread);
	in.word[0] = word0;
	in.word[1] = word1;
	in.word[2] = word2;
	in.word[3] = word3;
	assert(thread->msg.kmsg == NULL && thread->msg.reply_port == NULL);
	thread->msg.reply_direct = reply != NULL;
	thread->task->messages_sent++;
	krpc_fill(&krpc, thread, port, &in.head, size, reply);
	/* The object may die in the call, or the reply port: they are needed until the end. */
	port_ref(port);
	if (reply != NULL)
		port_ref(reply);
	code = routine->stub(&krpc);
	port_unref(port);
	id += KRPC_REPLY_ID_OFFSET;
	if (reply == NULL || !plain_reply(thread, buffer, code, &krpc, id, &result))
		result = finish(thread, routine, code, &krpc, id);
	if (reply != NULL)
		port_unref(reply);
	krpc_created_settle();
	return result;
}

int64_t krpc_plain_call(struct thread *thread, struct port *port, uint64_t word0, uint64_t word1, uint64_t word2, uint64_t word3)
{
	struct port *reply = msg_reply_port(thread, (mach_port_name_t)word2, false);

	return reply != NULL ? carry_out(thread, port, reply, word0, word1, word2, word3) : msg_general(thread);
}

int64_t krpc_plain_message(struct thread *thread, struct port *port, uint64_t word0, uint64_t word1, uint64_t word2, uint64_t word3)
{
	return carry_out(thread, port, NULL, word0, word1, word2, word3);
}
