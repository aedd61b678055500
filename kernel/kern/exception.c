/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions as messages.
 *
 * The kernel never allocates to send: the message of a thread's exceptions (exc_kmsg) is made with the thread, and only
 * rights are counted when it is queued. A thread has one exception at a time, so one message is enough; when the wait is
 * aborted while the message is still on its way, it is called back.
 *
 * The message is exception_raise (id 2400); its reply port is a send-once right to the thread's own kernel port. What comes by
 * that right is the answer: RetCode 0 in a reply with id 2500 resumes the thread with the registers it has then;
 * anything else, or the right given up, passes the exception to the task's handler, and after that ends the task.
 */
#include "kern/exception.h"
#include <mach/mig_errors.h>
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/port.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"

#define EXCEPTION_RAISE_ID 2400
#define EXCEPTION_REPLY_ID 2500

struct exception_message {
	mach_msg_header_t header;
	mach_msg_type_t thread_type;
	struct port *thread;
	mach_msg_type_t task_type;
	struct port *task;
	mach_msg_type_t exception_type;
	uint64_t exception;
	mach_msg_type_t code_type;
	uint64_t code;
	mach_msg_type_t subcode_type;
	uint64_t subcode;
};
_Static_assert(sizeof(struct exception_message) == 112, "exception_raise request");

static const mach_msg_type_t right_type = { .msgt_name = MACH_MSG_TYPE_PORT_SEND, .msgt_size = 64, .msgt_inline = 1,
					    .msgt_number = 1 };
static const mach_msg_type_t int_type = { .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1,
					  .msgt_number = 1 };
static const mach_msg_type_t long_type = { .msgt_name = MACH_MSG_TYPE_INTEGER_64, .msgt_size = 64, .msgt_inline = 1,
					   .msgt_number = 1 };

static void exception_cancel(struct thread *thread, enum wait_reason reason);

/* Does the thread wait for the answer to an exception? */
static bool exception_waits(const struct thread *thread)
{
	return thread->state == THREAD_WAITING && thread->wait.cancel == exception_cancel;
}

/* Writes the message into the thread's own; port is the handler's. */
static struct kmsg *exception_message_make(struct thread *thread, struct port *port)
{
	struct kmsg *kmsg = thread->exc_kmsg;
	struct exception_message *message = (struct exception_message *)kmsg->small;

	assert(kmsg->kind == KMSG_NORMAL && !kmsg->queued);
	kmsg->kind = KMSG_EXCEPTION;
	kmsg->thread = thread;
	kmsg->size = sizeof(*message);
	kmsg->id = EXCEPTION_RAISE_ID;
	kmsg->bits = MACH_MSGH_BITS_COMPLEX | MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND, MACH_MSG_TYPE_PORT_SEND_ONCE);
	kmsg->remote = right_copy_send(port);
	kmsg->local = thread->self;
	kmsg->receive_rights = false;
	port_ref(thread->self);
	thread->self->send_once_rights++;
	memset(message, 0, sizeof(*message));
	message->thread_type = message->task_type = right_type;
	message->exception_type = message->code_type = int_type;
	message->subcode_type = long_type;
	message->thread = right_make_send(thread->self);
	message->task = right_make_send(thread->task->self);
	message->exception = thread->exc.exception;
	message->code = thread->exc.code;
	message->subcode = thread->exc.subcode;
	return kmsg;
}

/* The living port of the next handler, NULL: there is none. */
static struct port *exception_handler(struct thread *thread)
{
	struct port *port = thread->exc.task_level ? NULL : thread->exception_port;

	if (port_valid(port) && !port->dead)
		return port;
	thread->exc.task_level = true;
	port = thread->task->exception_port;
	return port_valid(port) && !port->dead ? port : NULL;
}

/* Asks the next handler; false: there is none, the task is to be killed. The thread waits already. */
static bool exception_ask(struct thread *thread)
{
	struct port *port;

	if (thread->task->dead)
		return false;
	port = exception_handler(thread);
	if (port == NULL || port->kobject_type != KOBJECT_NONE)
		return false;
	mqueue_deliver(exception_message_make(thread, port));
	return true;
}

static void exception_continue(struct thread *thread, int result)
{
	/* The registers are as the handler left them. */
	(void)thread;
	(void)result;
}

/* Takes the message back, wherever it waits: its rights are uncounted, nobody is told. */
static void exception_recall(struct thread *thread)
{
	struct kmsg *kmsg = thread->exc_kmsg;
	struct port *once;

	if (kmsg->kind != KMSG_EXCEPTION)
		return;
	mqueue_recall(kmsg);
	once = kmsg->local;
	kmsg->local = NULL;
	if (port_valid(once))
		right_consume_send_once(once);
	kmsg_discard(kmsg);
}

static void exception_cancel(struct thread *thread, enum wait_reason reason)
{
	(void)reason;
	exception_recall(thread);
}

void exception_raise(struct thread *thread, unsigned exception, unsigned code, uint64_t subcode)
{
	thread->exc.exception = exception;
	thread->exc.code = code;
	thread->exc.subcode = subcode;
	thread->exc.task_level = false;
	wait_begin(thread, "exception", thread->self, exception_continue, exception_cancel, -1);
	if (!exception_ask(thread))
		task_kill(thread->task);
}

/* The handler said that it did not help, or its right to answer was lost: maybe in the reaping that some handler's
   allocation did. So the task is not killed at once, it may be the one that the handler works on or for. */
static void exception_unhandled(struct thread *thread)
{
	bool was_last = thread->exc.task_level;

	thread->exc.task_level = true;
	if (was_last || !exception_ask(thread))
		task_kill_later(thread->task);
}

void exception_reply_lost(struct thread *thread)
{
	/* While its message is on its way, a right that is lost is an old one of an exception that was aborted. */
	if (exception_waits(thread) && thread->exc_kmsg->kind == KMSG_NORMAL)
		exception_unhandled(thread);
}

static void exception_answered(struct thread *thread, kern_return_t code)
{
	if (!exception_waits(thread) || thread->exc_kmsg->kind != KMSG_NORMAL)
		return;
	if (code == KERN_SUCCESS)
		thread_wake(thread, 0);
	else
		exception_unhandled(thread);
}

int64_t exception_reply_message(struct thread *sender, struct port *port, const uint8_t *head, uint32_t have)
{
	const mig_reply_header_t *reply = (const mig_reply_header_t *)head;
	struct thread *thread = port->kobject;
	kern_return_t code = KERN_FAILURE;
	struct kmsg *kmsg = kmsg_alloc(sender->msg.send_size, sender->task->ledger);
	mach_msg_return_t error;

	if (kmsg == NULL)
		return MACH_SEND_NO_BUFFER;
	memcpy(kmsg_at(kmsg, 0), head, have);
	error = kmsg_copyin(kmsg, sender->task, sender->msg.buffer, have, 0);
	if (error != MACH_MSG_SUCCESS) {
		if (port_valid(kmsg->remote))
			right_release(kmsg->remote, MACH_MSGH_BITS_REMOTE(kmsg->bits));
		kmsg_free(kmsg);
		return error;
	}
	if (have >= sizeof(*reply) && reply->Head.msgh_id == EXCEPTION_REPLY_ID)
		code = reply->RetCode;
	/* Reading may have worked off the reaper's list, and the thread with it. */
	if (port_valid(kmsg->remote) && !kmsg->remote->dead)
		thread = kmsg->remote->kobject;
	else
		thread = NULL;
	kmsg_discard(kmsg);
	if (thread != NULL)
		exception_answered(thread, code);
	return sender->state == THREAD_DEAD ? KERN_BLOCKED : msg_sent(sender, true);
}
