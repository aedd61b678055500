/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Plain messages: put into a queue, or taken out of one, by a call that does nothing else.
 *
 * A message is plain when it is small and carries nothing but data, to a port by a copy of a send right, with no reply right or
 * (received) a send-once right. Then the right to the destination need not be taken out of the sender's space and put back,
 * nothing of the body has to be looked at, and the bytes are copied once each way, straight between the user's buffer and the
 * message. All else is as in the general path (msg_send.c, mach_msg.c), which whatever is not plain, or not ready, is left to
 * with nothing changed: full queues, receivers that wait, throttled sets, buffers that are not there.
 */
#include "ipc/kmsg.h"
#include "ipc/mqueue.h"
#include "ipc/msg_fast.h"
#include "ipc/name.h"
#include "ipc/portset.h"
#include "ipc/throttle.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "x86_64/machine.h"
#include "x86_64/pmap.h"

#define HEAD sizeof(mach_msg_header_t)

/* May a message be queued at port now, and stay there? */
static bool is_open(const struct port *port)
{
	const struct port *object = port->set != NULL ? port->set : port;

	return port->queued < port->qlimit && !object->dead && LIST_EMPTY(&object->receivers) && !throttle_on(object);
}

bool msg_plain_send(struct thread *thread, struct port *port, int64_t *result)
{
	const struct regs *regs = &thread->regs;
	struct kmsg *kmsg;
	uint64_t fault;

	if (!is_open(port))
		return false;
	/* Allocating may work off the reaper's list, and the port's death with it. */
	port_ref(port);
	kmsg = kmsg_alloc((uint32_t)regs->rdx, thread->task->ledger);
	*result = MACH_SEND_NO_BUFFER;
	if (kmsg == NULL || port->dead || !is_open(port) || !user_copy_in(kmsg->small, regs->rdi, kmsg->size, &fault)) {
		port_unref(port);
		kmsg_free(kmsg);
		return kmsg == NULL;
	}
	/* The reference is the message's, as the right is. */
	port->send_rights++;
	kmsg->remote = port;
	kmsg->bits = MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND, 0);
	kmsg->id = (uint32_t)((const mach_msg_header_t *)kmsg->small)->msgh_id;
	thread->task->messages_sent++;
	mqueue_queue(kmsg);
	*result = MACH_MSG_SUCCESS;
	return true;
}

/* Is the message plain, and is there a place for its reply right? */
static bool is_plain(const struct kmsg *kmsg, const struct space *space)
{
	const struct port *port = kmsg->remote, *reply = kmsg->local;

	if ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0 || kmsg->pages != 0 || kmsg->kind != KMSG_NORMAL || port->has_payload ||
	    MACH_MSGH_BITS_REMOTE(kmsg->bits) != MACH_MSG_TYPE_PORT_SEND)
		return false;
	return reply == PORT_NULL ||
	       (reply != PORT_DEAD && !reply->dead && space->once.type == NAME_SPARE &&
		MACH_MSGH_BITS_LOCAL(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE);
}

bool msg_plain_receive(struct thread *thread, struct port *object)
{
	const struct regs *regs = &thread->regs;
	struct space *space = &thread->task->space;
	mach_port_name_t reply = MACH_PORT_NAME_NULL;
	struct kmsg *kmsg;
	struct port *port;
	char *buffer;

	if (throttle_on(object) || thread->serves != NULL)
		return false;
	kmsg = mqueue_peek(object);
	if (kmsg == NULL || kmsg->size > (uint32_t)regs->r10 || !is_plain(kmsg, space))
		return false;
	buffer = pmap_writable(&thread->task->map.pmap, regs->rdi, kmsg->size);
	if (buffer == NULL)
		return false;
	mqueue_take(object);
	port = kmsg->remote;
	port->reply_bound = 0;
	if (kmsg->local != PORT_NULL)
		reply = name_once_in(space, kmsg->local)->name;
	memcpy(buffer + HEAD, kmsg->small + HEAD, kmsg->size - HEAD);
	head_write((mach_msg_header_t *)buffer, MACH_MSGH_BITS(MACH_MSGH_BITS_LOCAL(kmsg->bits), MACH_MSG_TYPE_PORT_SEND),
		   kmsg->size, reply, port->receiver_name, port->sequence++, kmsg->id);
	thread->task->messages_received++;
	kmsg_free(kmsg);
	right_release_send(port);
	return true;
}
