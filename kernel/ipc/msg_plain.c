/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain messages: put into a queue, or taken out of one, by a call that does nothing else.
 *
 * A message is plain when it is small, and goes to a port by a copy of a send right, with no reply right or (received) a
 * send-once right. Then the right to the destination need not be taken out of the sender's space and put back, and the bytes
 * are copied once each way, straight between the user's buffer and the message; its body is as in any other message
 * (kmsg_copy.h). All else is as in the general path (msg_send.c, mach_msg.c), which whatever is not plain, or not ready, is left
 * to with nothing changed: full queues, throttled sets that have no room, buffers that are not there.
 *
 * There is a near form of each for what is plainest: a message of one element with data only, which the zone has a spare for, at a
 * port in no set. As in msg_near.c it calls nothing on its way, and leaves what is not at hand to the other form, which begins again.
 */
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/msg_fast.h"
#include "ipc/name.h"
#include "ipc/right.h"
#include "kern/likely.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "x86_64/machine.h"
#include "x86_64/usercopy.h"

#define HEAD sizeof(mach_msg_header_t)

/* Copies the message's body from or to the user's buffer, in the pieces that it has; false: that is not all there. */
static inline bool body_in(struct kmsg *kmsg, uint64_t buffer)
{
	if (kmsg->size <= KMSG_INSIDE)
		return kmsg->size == HEAD || user_words_in(kmsg->small, buffer, HEAD, kmsg->size);
	return user_words_in(kmsg->small, buffer, HEAD, KMSG_INSIDE) &&
	       user_words_in(kmsg->rest->place - KMSG_INSIDE, buffer, KMSG_INSIDE, kmsg->size);
}

static inline bool body_out(uint64_t buffer, const struct kmsg *kmsg)
{
	if (kmsg->size <= KMSG_INSIDE)
		return kmsg->size == HEAD || user_words_out(buffer, kmsg->small, HEAD, kmsg->size);
	return user_words_out(buffer, kmsg->small, HEAD, KMSG_INSIDE) &&
	       user_words_out(buffer, kmsg->rest->place - KMSG_INSIDE, KMSG_INSIDE, kmsg->size);
}

/* The message's bytes, and the rights and memory in its body. An error: nothing has changed, or the body is destroyed. */
static mach_msg_return_t plain_copyin(struct thread *thread, struct kmsg *kmsg, uint32_t bits, uint32_t id)
{
	/* First, so that it is not cleared before. */
	kmsg->id = id;
	kmsg->bits = (bits & MACH_MSGH_BITS_COMPLEX) | MACH_MSG_TYPE_PORT_SEND;
	if (!body_in(kmsg, thread->regs.rdi))
		return MACH_SEND_INVALID_DATA;
	return (bits & MACH_MSGH_BITS_COMPLEX) == 0 ? MACH_MSG_SUCCESS : kmsg_body_copyin(kmsg, thread->task);
}

/* Into the queue, or to who waits. Mostly nothing of all this is there. */
static inline void plain_deliver(struct port *port, struct kmsg *kmsg)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true);

	if (kmsg->receive_rights && !msg_transit_begin(kmsg))
		kmsg_discard(kmsg);
	else if (likely((port->state & looked_at) == 0 && STACK_EMPTY(&port->receivers)))
		mqueue_queue(port, kmsg);
	else
		mqueue_deliver(kmsg);
}

int64_t msg_plain_send(struct thread *thread, struct port *port, uint32_t bits, uint32_t id)
{
	uint32_t size = (uint32_t)thread->regs.rdx;
	mach_msg_return_t error;
	struct kmsg *kmsg;

	if (mqueue_full(port))
		return msg_general(thread);
	/* Allocating may work off the reaper's list, and the port's death with it. The right is copied before anything is moved. */
	port_ref(port);
	port->send_rights++;
	kmsg = likely(size <= KMSG_INSIDE) ? kmsg_alloc_inside(size, thread->task->ledger) : kmsg_alloc(size, thread->task->ledger);
	error = kmsg != NULL ? plain_copyin(thread, kmsg, bits, id) : MACH_SEND_NO_BUFFER;
	if (error != MACH_MSG_SUCCESS) {
		kmsg_free(kmsg);
		right_release_send(port);
		/* A page that was not there is for the general path to fetch. */
		return error == MACH_SEND_INVALID_DATA ? msg_general(thread) : error;
	}
	kmsg->remote = port;
	thread->task->messages_sent++;
	plain_deliver(port, kmsg);
	return MACH_MSG_SUCCESS;
}

/* The bytes were not there. */
static __attribute__((noinline)) int64_t plain_unread(struct thread *thread, struct kmsg *kmsg)
{
	kmsg_free(kmsg);
	return msg_general(thread);
}

__attribute__((noipa)) int64_t msg_plain_send_near(NEAR_ARGUMENTS(struct port *port))
{
	struct task *task = thread->task;
	struct kmsg *kmsg;

	if (unlikely(port->queued >= port->qlimit || !STACK_EMPTY(&port->receivers) || !zone_has_spare(&kmsg_zone, task->ledger)))
		return msg_plain_send(thread, port, MACH_MSG_TYPE_COPY_SEND, id_of(w3));
	kmsg = zone_take_spare(&kmsg_zone);
	/* All at once, so that nothing is written twice. */
	kmsg_init(kmsg, (uint32_t)size, task->ledger);
	kmsg->remote = port;
	kmsg->bits = MACH_MSG_TYPE_PORT_SEND;
	kmsg->id = id_of(w3);
	if (!user_words_in(kmsg->small, buffer, HEAD, (uint32_t)size))
		return plain_unread(thread, kmsg);
	port_ref(port);
	port->send_rights++;
	mqueue_queue(port, kmsg);
	task->messages_sent++;
	return MACH_MSG_SUCCESS;
}

/* Is the message plain, and is there a place for its reply right? */
static bool is_plain(const struct kmsg *kmsg, const struct space *space)
{
	const struct port *reply = kmsg->local;

	if (kmsg->pages != 0 || kmsg->kind != KMSG_NORMAL || kmsg->numbered || kmsg->remote->has_payload ||
	    MACH_MSGH_BITS_REMOTE(kmsg->bits) != MACH_MSG_TYPE_PORT_SEND)
		return false;
	return likely(reply == PORT_NULL) ||
	       (reply != PORT_DEAD && !reply->dead && space->once.type == NAME_SPARE &&
		MACH_MSGH_BITS_LOCAL(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE);
}

/* What the receiver sees of the message before its body. */
static bool head_out(uint64_t buffer, const struct kmsg *kmsg, mach_port_name_t reply)
{
	uint32_t bits = (kmsg->bits & MACH_MSGH_BITS_COMPLEX) |
			MACH_MSGH_BITS(MACH_MSGH_BITS_LOCAL(kmsg->bits), MACH_MSG_TYPE_PORT_SEND);

	return user_write_head(buffer, bits, kmsg->size, reply, kmsg->remote->receiver_name, kmsg->remote->sequence, kmsg->id);
}

int64_t msg_plain_receive(struct thread *thread, struct port *object)
{
	const struct regs *regs = &thread->regs;
	struct task *task = thread->task;
	mach_msg_return_t bits = 0;
	struct kmsg *kmsg;
	struct port *port;
	bool complex;

	if ((object->state & PORT_STATE(.dead = true, .in_set = true, .is_split = true)) != 0 || thread->serves != NULL ||
	    !usercopy_range(regs->rdi))
		return msg_general(thread);
	kmsg = mqueue_peek(object);
	if (kmsg == NULL || kmsg->size > (uint32_t)regs->r10 || !is_plain(kmsg, &task->space))
		return msg_general(thread);
	port = kmsg->remote;
	complex = (kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0;
	/* Whatever may fail comes first; should the message not be received here, these bytes are written once more. A body that
	   is written later must lie in the page that the head has shown to be there. */
	if (!head_out(regs->rdi, kmsg, kmsg->local != PORT_NULL ? task->space.once.name : MACH_PORT_NAME_NULL))
		return msg_general(thread);
	if (complex ? regs->rdi % PAGE_SIZE + kmsg->size > PAGE_SIZE : !body_out(regs->rdi, kmsg))
		return msg_general(thread);
	mqueue_take(object);
	port->sequence++;
	port->has_bound = false;
	if (kmsg->local != PORT_NULL)
		name_once_in(&task->space, kmsg->local);
	/* The page stays: nothing that this brings into the map takes another's place. */
	if (complex) {
		bits = kmsg_body_receive(kmsg, task);
		body_out(regs->rdi, kmsg);
	}
	task->messages_received++;
	kmsg_free(kmsg);
	right_release_send(port);
	return unlikely(bits != 0) ? MACH_RCV_BODY_ERROR | bits : MACH_MSG_SUCCESS;
}

static __attribute__((noinline)) int64_t received(struct kmsg *kmsg)
{
	zone_free(&kmsg_zone, kmsg, kmsg->payer);
	return MACH_MSG_SUCCESS;
}

__attribute__((noipa)) int64_t msg_plain_receive_near(NEAR_ARGUMENTS(struct port *port))
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_senders = true, .has_payload = true, .has_bound = true,
					      PORT_ANY_KOBJECT);
	struct task *task = thread->task;
	struct kmsg *kmsg;

	if (unlikely((port->state & looked_at) != 0))
		return msg_plain_receive(thread, port);
	kmsg = port->messages;
	/* Its right is not the last one: nobody is to be told of its end. */
	if (unlikely(kmsg == NULL || kmsg->state != KMSG_STATE(.queued = true) || kmsg->bits != MACH_MSG_TYPE_PORT_SEND ||
		     kmsg->size > (uint32_t)thread->regs.r10 || port->send_rights == 1 || thread->serves != NULL || !usercopy_range(buffer)))
		return msg_plain_receive(thread, port);
	if (!user_write_message(buffer, MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND), kmsg->size, &port->receiver_name, &port->sequence,
				&kmsg->id, kmsg->small))
		return msg_general(thread);
	mqueue_unqueue(port, kmsg);
	port->sequence++;
	port->send_rights--;
	port->refs--;
	task->messages_received++;
	return likely(zone_keep_spare(&kmsg_zone, kmsg, kmsg->payer)) ? MACH_MSG_SUCCESS : received(kmsg);
}
