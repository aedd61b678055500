/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The send part of mach_msg.
 *
 * A message to a kernel object is a call (krpc.c); one to a thread's port by a send-once right answers the thread's
 * exception (kern/exception.c). Others are queued or handed to a receiver.
 *
 * Who pays: the sender's ledger; for a message to a send-once right the message prepaid with the right, or for one that is
 * longer than it the reply port's ledger up to the port's bound: REPLY_BOUND_DEFAULT bytes, or the receive size of a call
 * that sends and receives with that reply port. A reply beyond it is MACH_SEND_NO_BUFFER, and the waiting client gets the
 * send-once notification.
 *
 * A blocked sender has only had its destination checked and holds nothing; it does everything again when it wakes. When its
 * time is over or it is interrupted the message is copied in and given back in one step (pseudo-receive).
 * MACH_SEND_NOTIFY never queues beyond the limit: where it would, the answer is MACH_SEND_NO_NOTIFY.
 */
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/right.h"
#include "ipc/space.h"
#include "kern/pause.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/upcalls.h"
#include "vm/copy.h"
#include "x86_64/machine.h"

/* The start of the message, as read once. */
struct message_head {
	union {
		mach_msg_header_t header;
		uint8_t bytes[KMSG_SMALL];
	};
	uint32_t have;
};

static bool receive_right(struct thread *thread, mach_port_name_t name)
{
	struct name *entry = space_lookup(&thread->task->space, name);

	return entry != NULL && (entry->type & MACH_PORT_TYPE_RECEIVE) != 0;
}

/* Its pages are nearly always there. */
static kern_return_t head_copyin(struct thread *thread, struct message_head *head)
{
	uint64_t fault;

	if (pmap_is_current(&thread->task->map.pmap) && thread->msg.buffer < USER_ADDRESS_MAX - KMSG_SMALL &&
	    user_copy_in(head->bytes, thread->msg.buffer, head->have, &fault))
		return KERN_SUCCESS;
	return copyin(&thread->task->map, head->bytes, thread->msg.buffer, head->have);
}

static int64_t head_read(struct thread *thread, struct message_head *head)
{
	struct msg_state *msg = &thread->msg;
	uint32_t bits, remote, local;
	kern_return_t error;

	if (msg->send_size < sizeof(mach_msg_header_t) || msg->send_size % MACH_MSG_USER_ALIGNMENT != 0)
		return MACH_SEND_MSG_TOO_SMALL;
	head->have = msg->send_size < KMSG_SMALL ? msg->send_size : KMSG_SMALL;
	error = head_copyin(thread, head);
	if (error != KERN_SUCCESS)
		return error == KERN_RESOURCE_SHORTAGE ? MACH_SEND_NO_BUFFER : MACH_SEND_INVALID_DATA;
	bits = head->header.msgh_bits;
	remote = MACH_MSGH_BITS_REMOTE(bits);
	local = MACH_MSGH_BITS_LOCAL(bits);
	if (!MACH_MSG_TYPE_PORT_ANY_SEND(remote))
		return MACH_SEND_INVALID_HEADER;
	if (local == 0 ? head->header.msgh_local_port != MACH_PORT_NAME_NULL : !MACH_MSG_TYPE_PORT_ANY_SEND(local))
		return MACH_SEND_INVALID_HEADER;
	if ((msg->option & MACH_SEND_CANCEL) != 0 && !receive_right(thread, msg->notify))
		return MACH_SEND_INVALID_NOTIFY;
	return MACH_MSG_SUCCESS;
}

/* The living port that the message goes to; NULL: MACH_SEND_INVALID_DEST. */
static struct port *destination(struct thread *thread, const mach_msg_header_t *header)
{
	struct space *space = &thread->task->space;
	mach_port_name_t name = header->msgh_remote_port;
	struct name *entry;

	if (!MACH_PORT_NAME_VALID(name))
		return NULL;
	entry = space_lookup(space, name);
	if (entry != NULL && (entry->type & right_type_wanted(MACH_MSGH_BITS_REMOTE(header->msgh_bits))) == 0)
		return NULL;
	return entry == NULL || !port_valid(entry->port) || entry->port->dead ? NULL : entry->port;
}

/* Gives memory back that send_memory took. */
static void send_memory_back(struct port *port, struct kmsg *kmsg, bool prepaid)
{
	if (prepaid && !port->dead)
		LIST_INSERT_HEAD(&port->prepaid, kmsg, prepaid_link);
	else
		kmsg_free(kmsg);
}

/* Memory for a message of send_size bytes to port. */
static struct kmsg *send_memory(struct thread *thread, struct port *port, bool once, bool *prepaid)
{
	uint32_t size = thread->msg.send_size;
	struct kmsg *kmsg;

	*prepaid = false;
	if (!once)
		return kmsg_alloc(size, thread->task->ledger);
	if (size <= KMSG_SMALL && (kmsg = port_take_prepaid(port)) != NULL) {
		*prepaid = true;
		kmsg->size = size;
		return kmsg;
	}
	return kmsg_alloc(size, port_payer(port));
}

bool msg_transit_begin(struct kmsg *kmsg)
{
	uint32_t next = sizeof(mach_msg_header_t), at, i;
	struct kmsg_item item;
	struct port *port;

	while (next < kmsg->size) {
		at = next;
		kmsg_item_step(kmsg, &next, &item);
		items_window(at, next);
		if (item.type->msgt_name != MACH_MSG_TYPE_PORT_RECEIVE)
			continue;
		if (item.kind == KMSG_ITEM_PORTS) {
			for (i = 0; i < item.type->msgt_number; i++) {
				port = *kmsg_slot(kmsg, item.offset + i * 8);
				if (port_valid(port) && !right_transit_begin(port, kmsg->remote))
					return false;
			}
		} else if (item.kind == KMSG_ITEM_PORT_ARRAY) {
			struct port_array *array = *(struct port_array **)kmsg_at(kmsg, item.offset);

			for (i = 0; array != NULL && i < array->count; i++) {
				port = *port_array_slot(array, i);
				if (port_valid(port) && !right_transit_begin(port, kmsg->remote))
					return false;
			}
		}
	}
	return true;
}

/* The caller will receive the reply in this very call: it may be as long as the buffer. So may one that is due already. */
static void send_raise_bound(struct thread *thread, const mach_msg_header_t *header, struct port *reply)
{
	struct msg_state *msg = &thread->msg;

	if ((msg->option & MACH_RCV_MSG) != 0 && port_valid(reply) && header->msgh_local_port == msg->receive_name &&
	    MACH_MSGH_BITS_LOCAL(header->msgh_bits) == MACH_MSG_TYPE_MAKE_SEND_ONCE &&
	    (!reply->has_bound || reply->send_once_rights == 1 || msg->receive_size > reply->reply_bound))
		port_bound_set(reply, msg->receive_size);
}

/* A right that stood twice in the body was found to be there once: what remains of the message goes. */
static void send_spoilt(struct port *port, struct kmsg *kmsg, bool prepaid)
{
	struct port *remote = kmsg->remote;
	uint32_t disposition = MACH_MSGH_BITS_REMOTE(kmsg->bits);

	kmsg->remote = NULL;
	send_memory_back(port, kmsg, prepaid);
	if (port_valid(remote))
		right_release(remote, disposition);
}

static int64_t send_now(struct thread *thread, struct port *port, const struct message_head *head)
{
	uint32_t type = MACH_MSGH_BITS_REMOTE(head->header.msgh_bits);
	bool prepaid, once = type == MACH_MSG_TYPE_MOVE_SEND_ONCE;
	struct kmsg *kmsg = send_memory(thread, port, once, &prepaid);
	mach_msg_return_t error;

	if (kmsg == NULL)
		return MACH_SEND_NO_BUFFER;
	kmsg_write(kmsg, head->bytes, head->have);
	error = kmsg_copyin(kmsg, thread->task, thread->msg.buffer, head->have, 0);
	if (error != MACH_MSG_SUCCESS) {
		send_spoilt(port, kmsg, prepaid);
		return error;
	}
	/* The right's message is not needed beside a message that has its own memory. */
	if (!prepaid && MACH_MSGH_BITS_REMOTE(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE && port_valid(kmsg->remote))
		port_unprepay(kmsg->remote);
	thread->task->messages_sent++;
	send_raise_bound(thread, &head->header, kmsg->local);
	if (kmsg->receive_rights && port_valid(kmsg->remote) && !msg_transit_begin(kmsg))
		kmsg_discard(kmsg);
	else
		mqueue_deliver(kmsg);
	return MACH_MSG_SUCCESS;
}

/* Copyin and pseudo-receive in one step. */
int64_t msg_give_back(struct thread *thread, int64_t code)
{
	struct kmsg *kmsg = kmsg_alloc(thread->msg.send_size, thread->task->ledger);
	mach_msg_return_t error;

	if (kmsg == NULL)
		return MACH_SEND_NO_BUFFER;
	error = kmsg_copyin(kmsg, thread->task, thread->msg.buffer, 0, 0);
	if (error == MACH_MSG_SUCCESS)
		return code | kmsg_pseudo_receive(kmsg, thread->task, thread->msg.buffer);
	if (port_valid(kmsg->remote))
		right_release(kmsg->remote, MACH_MSGH_BITS_REMOTE(kmsg->bits));
	kmsg_free(kmsg);
	return error;
}

static int64_t send_no_notify(struct thread *thread)
{
	return msg_give_back(thread, receive_right(thread, thread->msg.notify) ? MACH_SEND_NO_NOTIFY :
			      MACH_SEND_INVALID_NOTIFY);
}

void msg_send_end(struct thread *thread, int64_t code)
{
	/* A send that failed, or went elsewhere, leaves its room to others. One that pauses has it still. */
	if (!thread_pauses(thread))
		mqueue_room_return(thread, false);
	if (code != KERN_BLOCKED)
		thread_set_result(thread, code);
}

static void send_continue(struct thread *thread, int result)
{
	(void)result;
	msg_send_end(thread, msg_send(thread, true));
}

static void send_cancel(struct thread *thread, enum wait_reason reason)
{
	mqueue_sender_remove(thread->wait.object, thread);
	if (reason == WAIT_KILLED)
		return;
	if (reason == WAIT_TIMED_OUT && (thread->msg.option & MACH_SEND_NOTIFY) != 0)
		thread_set_result(thread, send_no_notify(thread));
	else
		thread_set_result(thread, msg_give_back(thread, reason == WAIT_TIMED_OUT ? MACH_SEND_TIMED_OUT :
							 MACH_SEND_INTERRUPTED));
}

static const struct wait_kind sending = { "send", send_continue, send_cancel, false };

static int64_t send_wait(struct thread *thread, struct port *port, bool again)
{
	int64_t timeout_ms = (thread->msg.option & MACH_SEND_TIMEOUT) != 0 ? msg_timeout(thread) : WAIT_FOREVER;

	if ((thread->msg.option & MACH_SEND_NOTIFY) != 0 && (timeout_ms == 0 || timeout_ms == WAIT_FOREVER))
		return send_no_notify(thread);
	if (timeout_ms == 0)
		return msg_give_back(thread, MACH_SEND_TIMED_OUT);
	/* If it was woken, for somebody who listened or for room, somebody else was faster. */
	mqueue_room_return(thread, thread->msg.room == port);
	mqueue_sender_add(port, thread, again);
	wait_begin(thread, &sending, port, timeout_ms);
	return KERN_BLOCKED;
}

/* The same, should this thread be the first to wait there; NULL: nobody is. */
static uint32_t bound_with(const struct port *port, const struct thread *receiver)
{
	uint32_t bound = port->has_bound ? port->reply_bound : REPLY_BOUND_DEFAULT;

	return receiver != NULL && (receiver->msg.option & MSG_PROMISES) != 0 && receiver->msg.receive_size > bound ?
	       receiver->msg.receive_size : bound;
}

uint32_t msg_reply_bound(const struct port *port)
{
	return bound_with(port, STACK_FIRST(&port->receivers));
}

void msg_bound_keep_promised(struct port *port, const struct thread *thread)
{
	port_bound_set(port, bound_with(port, thread));
}

/* Is the reply longer than its port's ledger stands for? */
static bool send_beyond_bound(const struct thread *thread, const struct port *port)
{
	uint64_t bound = msg_reply_bound(port);

	return thread->msg.send_size > bound;
}

/* The client hears that no reply comes: the send-once right is used up by its notification. */
static int64_t send_refused(struct thread *thread, const mach_msg_header_t *header)
{
	uint32_t disposition;
	struct port *port;

	if (space_take(&thread->task->space, header->msgh_remote_port, MACH_MSG_TYPE_MOVE_SEND_ONCE, &port,
		       &disposition) == KERN_SUCCESS && port_valid(port))
		right_release_send_once(port);
	return MACH_SEND_NO_BUFFER;
}

int64_t msg_send_once(struct thread *thread, bool again)
{
	struct message_head head;
	int64_t code = head_read(thread, &head);
	struct port *port;
	bool once, makes_once;

	if (code != MACH_MSG_SUCCESS)
		return code;
	port = destination(thread, &head.header);
	if (port == NULL)
		return MACH_SEND_INVALID_DEST;
	makes_once = MACH_MSGH_BITS_REMOTE(head.header.msgh_bits) == MACH_MSG_TYPE_MAKE_SEND_ONCE;
	once = MACH_MSGH_BITS_REMOTE(head.header.msgh_bits) == MACH_MSG_TYPE_MOVE_SEND_ONCE;
	/* A call is its thread's own; a blocked sender whose name has changed meanwhile may be settled by another. */
	if (port->kobject_type != KOBJECT_NONE)
		return thread == thread_current() ? krpc_call(thread, port, head.bytes, head.have) :
						    msg_give_back(thread, MACH_SEND_INTERRUPTED);
	if (once && send_beyond_bound(thread, port))
		return send_refused(thread, &head.header);
	if (!makes_once && !once && mqueue_full_for(port, thread))
		return send_wait(thread, port, again);
	/* Allocating may work off the reaper's list, and the port's death with it. */
	port_ref(port);
	code = send_now(thread, port, &head);
	if (code == MACH_MSG_SUCCESS && !makes_once && !once && thread->msg.room == port)
		mqueue_room_return(thread, true);
	port_unref(port);
	return code == MACH_MSG_SUCCESS ? msg_sent(thread, true) : code;
}
