/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mach_msg call, and its receive part.
 *
 * The arguments of a call in progress are in thread->msg. A call has two commits: the message is sent (msg_send.c), then
 * one is received; once sent, only the receive is repeated, or interrupted (MACH_RCV_INTERRUPTED).
 *
 * A receive looks at the next message, makes the buffer writable for it and only then dequeues it. When the ledger denies the
 * buffer's pages the call returns KERN_RESOURCE_SHORTAGE and the message is where it was. A thread that must wait joins the
 * receivers of the port or set; a sender hands it the message (mqueue.c), and its continuation goes on here.
 */
#include "ipc/mach_msg.h"
#include <mach/exception.h>
#include <stddef.h>
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/krpc_call.h"
#include "ipc/mqueue.h"
#include "ipc/portset.h"
#include "ipc/space.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/exception.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/upcalls.h"
#include "vm/copy.h"

#define OPTIONS_WITH_NOTIFY (MACH_SEND_NOTIFY | MACH_SEND_CANCEL | MACH_RCV_NOTIFY)

struct port *msg_receive_object(struct thread *thread, int64_t *error)
{
	struct name *entry = space_lookup(&thread->task->space, thread->msg.receive_name);

	*error = MACH_RCV_INVALID_NAME;
	if (entry == NULL || (entry->type & (MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET)) == 0)
		return NULL;
	if ((entry->type & MACH_PORT_TYPE_RECEIVE) == 0 || port_set_of(entry->port) == NULL)
		return entry->port;
	*error = MACH_RCV_IN_SET;
	return NULL;
}

/* A message stays queued that the buffer is too small for: its size is told, in the buffer's msgh_size. */
static int64_t receive_too_large(struct thread *thread, uint32_t size)
{
	uint64_t to = thread->msg.buffer + offsetof(mach_msg_header_t, msgh_size);

	if (thread->msg.receive_size >= offsetof(mach_msg_header_t, msgh_size) + sizeof(size) &&
	    copyout_prepare(&thread->task->map, to, sizeof(size)) == KERN_SUCCESS)
		copyout(&thread->task->map, to, &size, sizeof(size));
	return MACH_RCV_TOO_LARGE;
}

/* An exception's message is its thread's, which may end while the receive allocates, or be asked to tell its next handler
   when the reply right cannot be received: what it carries goes on in a buffer of the kernel's. */
static struct kmsg *exception_take(struct kmsg *kmsg)
{
	static struct kmsg taken = { .kind = KMSG_STATIC };

	taken.remote = kmsg->remote;
	taken.local = kmsg->local;
	taken.bits = kmsg->bits;
	taken.size = kmsg->size;
	taken.id = kmsg->id;
	taken.numbered = kmsg->numbered;
	taken.sequence = kmsg->sequence;
	exception_message_write(kmsg, &taken);
	kmsg->remote = kmsg->local = NULL;
	kmsg->bits = 0;
	kmsg_free(kmsg);
	return &taken;
}

int64_t msg_receive_finish(struct thread *thread, struct kmsg *kmsg, bool writable)
{
	struct msg_state *msg = &thread->msg;

	if (kmsg->kind == KMSG_EXCEPTION) {
		kmsg = exception_take(kmsg);
		exception_answer_apart(kmsg);
	}
	if (port_valid(kmsg->remote))
		kmsg->remote->has_bound = false;
	if (kmsg->size <= msg->receive_size)
		return kmsg_copyout(kmsg, thread->task, msg->buffer, writable, msg->option, msg->notify);
	if (msg->receive_size >= sizeof(mach_msg_header_t) &&
	    copyout_prepare(&thread->task->map, msg->buffer, sizeof(mach_msg_header_t)) == KERN_SUCCESS)
		kmsg_copyout_header(kmsg, thread->task, msg->buffer);
	else
		kmsg_discard(kmsg);
	return MACH_RCV_TOO_LARGE;
}

static kern_return_t receive_prepare(struct thread *thread, const struct kmsg *kmsg)
{
	if (kmsg->size > thread->msg.receive_size)
		return KERN_SUCCESS;
	return copyout_prepare(&thread->task->map, thread->msg.buffer, kmsg->size);
}

/* The message is in the thread's hand until its buffer is ready: what is reaped for that may be the very thread whose
   exception it tells of. */
static int64_t receive_handed(struct thread *thread)
{
	kern_return_t error = receive_prepare(thread, thread->msg.kmsg);
	struct kmsg *kmsg = thread->msg.kmsg;

	thread->msg.kmsg = NULL;
	if (kmsg == NULL)
		return msg_receive(thread, true);
	kmsg->holder = NULL;
	if (error != KERN_RESOURCE_SHORTAGE)
		return msg_receive_finish(thread, kmsg, error == KERN_SUCCESS);
	mqueue_put_back(kmsg);
	return KERN_RESOURCE_SHORTAGE;
}

/* After it was woken with a message in hand or with a code. */
static void receive_continue(struct thread *thread, int result)
{
	int64_t code = result;

	if (thread->msg.kmsg != NULL) {
		code = receive_handed(thread);
	} else if (result == MACH_RCV_TOO_LARGE) {
		code = receive_too_large(thread, (uint32_t)thread->wait.word[0]);
	} else if (result == MACH_MSG_SUCCESS) {
		/* The message was called back. */
		code = msg_receive(thread, true);
	}
	if (code != KERN_BLOCKED)
		thread_set_result(thread, code);
}

static void receive_cancel(struct thread *thread, enum wait_reason reason)
{
	struct port *object = thread->wait.object;

	STACK_REMOVE(&object->receivers, thread, wait.stack_link);
	msg_bound_keep(object, thread);
	if (reason != WAIT_KILLED)
		thread_set_result(thread, reason == WAIT_TIMED_OUT ? MACH_RCV_TIMED_OUT : MACH_RCV_INTERRUPTED);
}

int64_t msg_timeout(const struct thread *thread)
{
	if (!thread->deadline_kept)
		return thread->msg.timeout_ms;
	return thread->wait.deadline_ns > clock_uptime_ns() ? WAIT_AS_BEFORE : 0;
}

const struct wait_kind msg_receiving = { "receive", receive_continue, receive_cancel, false };

void msg_receive_begin_timed(struct thread *thread, struct port *object)
{
	STACK_PUSH(&object->receivers, thread, wait.stack_link);
	assert(!thread->serves_counted);
	wait_begin(thread, &msg_receiving, object, thread->msg.timeout_ms);
}

static int64_t receive_wait(struct thread *thread, struct port *object, bool may_wait)
{
	int64_t timeout_ms;

	if (!may_wait)
		return MACH_RCV_INTERRUPTED;
	timeout_ms = (thread->msg.option & MACH_RCV_TIMEOUT) != 0 ? msg_timeout(thread) : WAIT_FOREVER;
	if (timeout_ms == 0)
		return MACH_RCV_TIMED_OUT;
	mqueue_receiver_waits(object);
	if (!STACK_EMPTY(&object->receivers))
		msg_bound_keep(object, STACK_FIRST(&object->receivers));
	STACK_PUSH(&object->receivers, thread, wait.stack_link);
	wait_begin(thread, &msg_receiving, object, timeout_ms);
	return KERN_BLOCKED;
}

int64_t msg_receive(struct thread *thread, bool may_wait)
{
	kern_return_t prepared;
	struct port *object;
	struct kmsg *kmsg;
	int64_t error;

	/* Preparing the buffer may kill ports, whose notifications come to this queue: look again then. */
	do {
		object = msg_receive_object(thread, &error);
		if (object == NULL)
			return error;
		kmsg = mqueue_peek(object);
		if (kmsg == NULL || !throttle_may_take(thread, object))
			return receive_wait(thread, object, may_wait);
		if (kmsg->size > thread->msg.receive_size && (thread->msg.option & MACH_RCV_LARGE) != 0)
			return receive_too_large(thread, kmsg->size);
		prepared = receive_prepare(thread, kmsg);
	} while (mqueue_peek(object) != kmsg);
	if (prepared == KERN_RESOURCE_SHORTAGE)
		return KERN_RESOURCE_SHORTAGE;
	kmsg = mqueue_take(object);
	if (throttle_serves(thread, object))
		throttle_join(thread, object);
	return msg_receive_finish(thread, kmsg, prepared == KERN_SUCCESS);
}

/* The seventh argument is on the stack; most calls do not need it. False: the thread has an exception. */
static bool argument_notify(struct thread *thread)
{
	uint64_t address = thread->regs.rsp + 8;
	kern_return_t error = copyin(&thread->task->map, &thread->msg.notify, address, sizeof(thread->msg.notify));

	if (error == KERN_SUCCESS)
		return true;
	if (error != KERN_RESOURCE_SHORTAGE)
		error = KERN_INVALID_ADDRESS;
	exception_raise(thread, EXC_BAD_ACCESS, (unsigned)error, address);
	return false;
}

void msg_arguments(struct thread *thread)
{
	struct msg_state *msg = &thread->msg;
	const struct regs *regs = &thread->regs;

	msg->buffer = regs->rdi;
	msg->option = (uint32_t)regs->rsi & ~MSG_PROMISES;
	msg->send_size = (uint32_t)regs->rdx;
	msg->receive_size = (uint32_t)regs->r10;
	msg->receive_name = (uint32_t)regs->r8;
	msg->timeout_ms = (uint32_t)regs->r9;
	msg->notify = 0;
	thread->deadline_kept = false;
	thread->straight_room = 0;
}

int64_t msg_general(struct thread *thread)
{
	const struct msg_state *msg = &thread->msg;

	msg_arguments(thread);
	if ((msg->option & OPTIONS_WITH_NOTIFY) != 0 && !argument_notify(thread))
		return KERN_BLOCKED;
	if ((msg->option & MACH_SEND_MSG) != 0)
		return msg_send(thread, false);
	return msg_sent(thread, true);
}

int64_t msg_sent(struct thread *thread, bool may_wait)
{
	/* What was sent, or what was destroyed instead, may have ended the sender. */
	if (thread->state == THREAD_DEAD)
		return KERN_BLOCKED;
	thread->deadline_kept = false;
	return (thread->msg.option & MACH_RCV_MSG) != 0 ? msg_receive(thread, may_wait) : MACH_MSG_SUCCESS;
}

__attribute__((noinline)) void msg_abandon_slow(struct thread *thread)
{
	struct msg_state *msg = &thread->msg;
	struct kmsg *kmsg = msg->kmsg;
	struct port *reply = msg->reply_port;

	if (msg->room != NULL)
		mqueue_room_return(thread, false);
	msg->kmsg = NULL;
	msg->reply_port = NULL;
	thread->reply_direct = false;
	if (kmsg != NULL && kmsg->holder == thread) {
		kmsg->holder = NULL;
		mqueue_put_back(kmsg);
	} else if (kmsg != NULL) {
		kmsg_discard(kmsg);
	}
	if (port_valid(reply))
		right_release(reply, thread->reply_disposition);
}
