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
 * The head of the request is as the caller wrote it. While the routine runs, thread->msg knows nothing of the call; it is filled in for
 * one that does not end here. The reply goes where the request was read, whatever the routine has done.
 */
#include <mach/mig_errors.h>
#include "ipc/kmsg_copy.h"
#include "ipc/krpc.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "ipc/msg_fast.h"
#include "kern/assert.h"
#include "kern/likely.h"
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

/*
 * The call that is being carried out lies in krpc_now and here, and not on the stack, so that nothing is kept in registers while the routine
 * runs, none is saved for that, and what never changes is written once. Of the head of the request there is the last word only: stubs do
 * not look at it.
 */
union krpc_plain_request krpc_plain_request;
static uint64_t call_buffer;			/* where the request was read, and the reply goes; and USERCOPY_ROW_BASE */

/* Writes the reply into the caller's buffer: its head, and what the stub has written behind that. */
static inline __attribute__((always_inline)) bool reply_write(const struct port *port, uint64_t local, uint32_t bits, uint64_t size,
								kern_return_t code)
{
	/* The request was read there, so usercopy_range is true of it. */
	_Static_assert(KRPC_REPLY_SHORT <= USERCOPY_MAX, "a reply does not reach beyond the users' addresses");
	_Static_assert(KRPC_REPLY_SHORT == REPLY_HEAD + USERCOPY_ROW_MAX, "nor beyond the row");
	_Static_assert(REPLY_HEAD == 48 && offsetof(mig_reply_header_t, RetCode) == 40, "user_write_reply knows it");
	return user_write_reply(call_buffer, bits, size, local, port->sequence, id_of(krpc_plain_request.word[3]) + KRPC_REPLY_ID_OFFSET,
				krpc_code_type.word, (uint32_t)code, krpc_reply_bytes);
}

/* The reply with a right in it. The page is there when its name is written: it was written to just now. */
static bool reply_write_right(struct thread *thread, int64_t *result)
{
	struct reply_with_right *reply = (struct reply_with_right *)krpc_reply_bytes;
	struct port *right = reply->right;
	mach_msg_return_t bits;
	mach_port_name_t name;

	if (krpc_now.out_size != sizeof(*reply) || memcmp(&reply->type, &send_type, sizeof(reply->type)) != 0)
		return false;
	reply->name = MACH_PORT_NULL;
	if (!reply_write(krpc_now.reply_port, krpc_now.reply_port->receiver_name, MACH_MSGH_BITS_COMPLEX | REPLY_BITS, sizeof(*reply), KERN_SUCCESS)) {
		reply->right = right;
		return false;
	}
	bits = kmsg_right_receive(thread->task, right, MACH_MSG_TYPE_PORT_SEND, &name);
	user_write(call_buffer - USERCOPY_ROW_BASE + offsetof(struct reply_with_right, name), name);
	*result = bits != 0 ? MACH_RCV_BODY_ERROR | bits : MACH_MSG_SUCCESS;
	return true;
}

/*
 * The routine is over; can a reply of this size (local: its port's name; is_short: at most KRPC_REPLY_SHORT, if it is plain) be written at once? It may have done anything to the reply port that a call without
 * rights in it can do, so the port is where it was if it lives and has its name. Nobody else ran, so nobody began to wait there.
 */
static inline __attribute__((always_inline)) bool reply_is_plain(const struct thread *thread, const struct port *port, uint64_t local,
								 uint64_t size, bool is_short)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .has_payload = true, .in_set = true, .has_bound = true, PORT_ANY_MESSAGES);

	if (unlikely(!is_short && size > KRPC_REPLY_SHORT) || unlikely(size > (uint32_t)thread->regs.r10) ||
	    unlikely((port->state & looked_at) != 0) || unlikely((uint32_t)local != (uint32_t)thread->regs.r8))
		return false;
	assert(port->receiver == &thread->task->space && STACK_EMPTY(&port->receivers));
	return true;
}

/* The reply was written. A thread that has ended itself meanwhile does not come to see it (ast_handle). */
static inline __attribute__((always_inline)) int64_t replied(struct thread *thread, struct port *port, int64_t result)
{
	port->sequence++;
	thread->task->messages_received++;
	/* The receive right has a reference too. */
	assert(port->refs > 1);
	port->refs--;
	return result;
}

/* The end of a call that has a reply of another kind, or none. */
static __attribute__((noinline)) int64_t finish(kern_return_t code)
{
	struct thread *thread = thread_current();
	struct port *reply = krpc_now.reply_port;
	uint32_t size = code == KERN_SUCCESS ? krpc_now.out_size : REPLY_HEAD;
	bool with_right = code == KERN_SUCCESS && krpc_now.out_complex;
	int64_t result = MACH_MSG_SUCCESS;

	if (reply != NULL && code != KRPC_BLOCKED && code != MIG_NO_REPLY && thread->state != THREAD_DEAD &&
	    reply_is_plain(thread, reply, reply->receiver_name, size, false) &&
	    (with_right ? reply_write_right(thread, &result) : reply_write(reply, reply->receiver_name, REPLY_BITS, size, code))) {
		result = replied(thread, reply, result);
	} else {
		/* The general way goes on: with the receive, now or when the wait of the routine has ended. */
		msg_arguments(thread);
		thread->reply_direct = reply != NULL && thread->state != THREAD_DEAD;
		thread->msg.reply_id = id_of(krpc_plain_request.word[3]) + KRPC_REPLY_ID_OFFSET;
		result = krpc_finish(thread, true, code);
		if (reply != NULL)
			port_unref(reply);
	}
	krpc_created_settle();
	return result;
}

/* The end of a call whose sender wants no answer: there is nothing to throw away, unless the stub has left rights in one. */
static inline int64_t sent(kern_return_t code)
{
	if (unlikely(code == KRPC_BLOCKED) || unlikely(code == KERN_SUCCESS && krpc_now.out_complex))
		return finish(code);
	return thread_current()->state == THREAD_DEAD ? KERN_BLOCKED : MACH_MSG_SUCCESS;
}

/* A call of another size than its routine's requests have, or of a routine that has no such. Its arguments are where they are: so nothing is
   moved, and the thread's place has the routine by then. */
static int64_t unusual_call(const struct krpc_routine *routine, struct port *port, uint64_t size, uint64_t buffer, struct port *reply,
			    uint64_t w3);

/* The request is not there. */
static __attribute__((noinline)) int64_t unread(struct thread *thread)
{
	thread->task->messages_sent--;
	return msg_general(thread);
}

/* reply NULL: without. of_size: the request must have the size that all have, and its answer is short. */
static inline __attribute__((always_inline)) int64_t carry_out(struct thread *thread, struct port *port, struct port *reply, uint64_t buffer,
							       uint64_t size, uint64_t w3, bool of_size)
{
	const struct krpc_routine *routine;
	struct task *task = thread->task;
	kern_return_t code;
	uint64_t local;

	/* The object's port may die in the call, but the stub looks at it only before. The reply port is needed until the end. */
	krpc_fill(port, reply);
	krpc_plain_request.word[3] = w3;
	if (of_size) {
		if (unlikely(id_of(w3) >= KRPC_IDS))
			return unusual_call(NULL, port, size, buffer, reply, w3);
		routine = krpc_routines[id_of(w3)];
		if (unlikely(routine->plain_size != size))
			return unusual_call(routine, port, size, buffer, reply, w3);
	} else {
		routine = krpc_routine_find(id_of(w3));
		if (!msg_size_is_good((uint32_t)size, KMSG_SMALL) || !krpc_fits(routine, (uint32_t)size, false) ||
		    (reply != NULL && routine->simple))
			return msg_general(thread);
		krpc_now.in_size = (uint32_t)size;
	}
	if (reply != NULL && unlikely(!STACK_EMPTY(&reply->receivers)))
		return msg_general(thread_current());
	task->messages_sent++;
	call_buffer = buffer + USERCOPY_ROW_BASE;
	if (!user_words_in(&krpc_plain_request, buffer, HEAD, size))
		return unread(thread_current());
	assert(thread->msg.kmsg == NULL && thread->msg.reply_port == NULL && !thread->reply_direct);
	if (reply != NULL)
		port_ref(reply);
	code = routine->stub();
	if (reply == NULL)
		return sent(code);
	if (unlikely(code != KERN_SUCCESS))
		return finish(code);
	/* An object that the routine has made is in a complex reply. */
	assert(krpc_created_port == NULL || krpc_now.out_complex);
	thread = thread_current();
	reply = krpc_now.reply_port;
	assert(!of_size || krpc_now.out_complex || krpc_now.out_size <= KRPC_REPLY_SHORT);
	local = reply->receiver_name;
	if (!reply_is_plain(thread, reply, local, krpc_now.out_plain, of_size) ||
	    !reply_write(reply, local, REPLY_BITS, krpc_now.out_plain, KERN_SUCCESS))
		return finish(KERN_SUCCESS);
	return replied(thread, reply, MACH_MSG_SUCCESS);
}

static __attribute__((noipa)) int64_t unusual_call(const struct krpc_routine *routine, struct port *port, uint64_t size,
							  uint64_t buffer, struct port *reply, uint64_t w3)
{
	(void)routine;
	return carry_out(thread_current(), port, reply, buffer, (uint32_t)size, w3, false);
}

static __attribute__((noipa)) int64_t call_far(NEAR_ARGUMENTS(struct port *port))
{
	/* Found, it is at hand. */
	return space_find_far(&thread->task->space, (mach_port_name_t)name) != NULL ? krpc_plain_call(thread, port, size, buffer, name, w3) :
											msg_general(thread);
}

__attribute__((noipa)) int64_t krpc_plain_call(NEAR_ARGUMENTS(struct port *port))
{
	struct port *reply;

	if (!space_has_recent(&thread->task->space, (mach_port_name_t)name))
		return call_far(thread, port, size, buffer, name, w3);
	reply = msg_reply_port(thread, (mach_port_name_t)name, false, true);
	/* Of the size the lower half, so that it is never KRPC_NOT_PLAIN. */
	return reply != NULL ? carry_out(thread, port, reply, buffer, (uint32_t)size, w3, true) : msg_general(thread);
}

int64_t krpc_plain_message(struct thread *thread, struct port *port, uint64_t w3)
{
	return carry_out(thread, port, NULL, thread->regs.rdi, (uint32_t)thread->regs.rdx, w3, false);
}
