/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions as messages.
 *
 * The kernel never allocates to send: an exception is queued as its thread. Only the head of a message is in struct thread,
 * in the place of its links, its deadline and the state of its mach_msg, for a thread with an exception is in no queue and
 * no call; what else is to be said is in its wait record, and the body is written when the message is received
 * (exception_message_write). A thread has one exception at a time; when the wait is aborted while the message is still on
 * its way, it is called back.
 *
 * The message is exception_raise (id 2400); its reply port is a send-once right to the thread's own kernel port. What comes
 * by that right is the answer: RetCode 0 in a reply with id 2500 resumes the thread with the registers it has then;
 * anything else, or the right given up, passes the exception to the task's handler, and after that ends the task.
 *
 * A wait that is aborted after its message was received leaves that right with the handler. The thread's next exception
 * must not take its answer for its own. All send-once rights to the thread's port are such rights, so it shows whether
 * there is an old one; if so the message's receiver gets, and pays for, a port of this one exception instead, wait.object,
 * which dies with it.
 */
#include "kern/exception.h"
#include <mach/mig_errors.h>
#include <stddef.h>
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/port.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "kern/printf.h"
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
_Static_assert(sizeof(struct exception_message) == 112 && sizeof(struct exception_message) <= KMSG_INSIDE,
	       "exception_raise request");

static const mach_msg_type_t right_type = { .msgt_name = MACH_MSG_TYPE_PORT_SEND, .msgt_size = 64, .msgt_inline = 1,
					    .msgt_number = 1 };
static const mach_msg_type_t int_type = { .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1,
					  .msgt_number = 1 };
static const mach_msg_type_t long_type = { .msgt_name = MACH_MSG_TYPE_INTEGER_64, .msgt_size = 64, .msgt_inline = 1,
					   .msgt_number = 1 };

/* In the wait record. WORD_EXCEPTION: the exception, its code in the upper half; WORD_TASK_LEVEL: the task's handler is asked. */
enum { WORD_EXCEPTION, WORD_SUBCODE, WORD_TASK_LEVEL };

static void exception_continue(struct thread *thread, int result);
static void exception_cancel(struct thread *thread, enum wait_reason reason);
static const struct wait_kind asking = { "exception", exception_continue, exception_cancel, false };

/* The head of the message; its kind is KMSG_EXCEPTION while the message is under way. */
static struct kmsg *exception_kmsg(struct thread *thread)
{
	return (struct kmsg *)thread->exception;
}

static struct thread *exception_thread(struct kmsg *kmsg)
{
	return (struct thread *)((char *)kmsg - offsetof(struct thread, exception));
}

/* Does the thread wait for the answer to an exception? */
static bool exception_waits(const struct thread *thread)
{
	return thread->state == THREAD_WAITING && thread->wait.kind == &asking;
}

/* The thread's message, without a body; port is the handler's. */
static struct kmsg *exception_message_make(struct thread *thread, struct port *port)
{
	struct kmsg *kmsg = exception_kmsg(thread);

	assert(kmsg->kind == KMSG_NORMAL && !kmsg->queued);
	memset(kmsg, 0, THREAD_EXCEPTION_BYTES);
	kmsg->kind = KMSG_EXCEPTION;
	kmsg->size = sizeof(struct exception_message);
	kmsg->id = EXCEPTION_RAISE_ID;
	kmsg->bits = MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND, MACH_MSG_TYPE_PORT_SEND_ONCE);
	kmsg->remote = right_copy_send(port);
	kmsg->local = thread->self;
	port_ref(thread->self);
	thread->self->send_once_rights++;
	return kmsg;
}

void exception_message_write(struct kmsg *exception, struct kmsg *to)
{
	struct thread *thread = exception_thread(exception);
	struct exception_message *message = (struct exception_message *)to->small;
	const uint64_t *word = thread->wait.word;

	memset(message, 0, sizeof(*message));
	message->thread_type = message->task_type = right_type;
	message->exception_type = message->code_type = int_type;
	message->subcode_type = long_type;
	message->thread = right_make_send(thread->self);
	/* The task may be dead, and the thread about to be. */
	message->task = thread->task->self != NULL ? right_make_send(thread->task->self) : PORT_DEAD;
	message->exception = (uint32_t)word[WORD_EXCEPTION];
	message->code = word[WORD_EXCEPTION] >> 32;
	message->subcode = word[WORD_SUBCODE];
	to->bits |= MACH_MSGH_BITS_COMPLEX;
}

/* The living port of the next handler, NULL: there is none. */
static struct port *exception_handler(struct thread *thread)
{
	struct port *port = thread->wait.word[WORD_TASK_LEVEL] ? NULL : thread_exception_port(thread);

	if (port_valid(port) && !port->dead)
		return port;
	thread->wait.word[WORD_TASK_LEVEL] = true;
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

/* Answers to what was asked are of no use any more. */
static void exception_answer_forget(struct thread *thread)
{
	struct port *port = thread->wait.object;

	thread->wait.object = thread->self;
	if (port != thread->self)
		port_destroy_kernel(port);
}

/* The place of the message is the next call's again. */
static void exception_over(struct thread *thread)
{
	exception_answer_forget(thread);
	memset(thread->exception, 0, sizeof(thread->exception));
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
	struct kmsg *kmsg = exception_kmsg(thread);
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
	exception_over(thread);
}

/* Its user would not learn why a program that was booted ended. A line each, so few. */
static void exception_tell(const struct thread *thread)
{
	static const char *const names[] = { "", "EXC_BAD_ACCESS", "EXC_BAD_INSTRUCTION", "EXC_ARITHMETIC", "EXC_EMULATION",
					     "EXC_SOFTWARE", "EXC_BREAKPOINT" };
	const uint64_t *word = thread->wait.word;
	uint32_t exception = (uint32_t)word[WORD_EXCEPTION];

	if (!thread->task->booted || thread->task->dead || exception >= sizeof(names) / sizeof(names[0]))
		return;
	printf("%s: %s, code %u, subcode 0x%llx, at 0x%llx: not handled, so the program ends\n", thread->task->name,
	       names[exception], (unsigned)(word[WORD_EXCEPTION] >> 32), (unsigned long long)word[WORD_SUBCODE],
	       (unsigned long long)thread->regs.rip);
	thread->task->booted = false;
}

void exception_raise(struct thread *thread, unsigned exception, unsigned code, uint64_t subcode)
{
	uint64_t *word = thread->wait.word;

	assert(thread->msg.kmsg == NULL && thread->msg.reply_port == NULL);
	wait_begin(thread, &asking, thread->self, -1);
	thread->straight_room = 0;
	memset(thread->exception, 0, sizeof(thread->exception));
	word[WORD_EXCEPTION] = exception | (uint64_t)code << 32;
	word[WORD_SUBCODE] = subcode;
	word[WORD_TASK_LEVEL] = false;
	if (exception_ask(thread))
		return;
	exception_tell(thread);
	task_kill(thread->task);
}

/* The handler said that it did not help, or its right to answer was lost: maybe in the reaping that some handler's
   allocation did. So the task is not killed at once, it may be the one that the handler works on or for. */
static void exception_unhandled(struct thread *thread)
{
	bool was_last = thread->wait.word[WORD_TASK_LEVEL];

	exception_answer_forget(thread);
	thread->wait.word[WORD_TASK_LEVEL] = true;
	if (!was_last && exception_ask(thread))
		return;
	exception_tell(thread);
	task_kill_later(thread->task);
}

/* Whether the thread waits for the answer by a right to this port: others, and those that come while its message is on its way,
   are of exceptions that were aborted. */
static bool exception_waits_for(const struct thread *thread, const struct port *port)
{
	return exception_waits(thread) && thread->wait.object == port &&
	       ((const struct kmsg *)thread->exception)->kind == KMSG_NORMAL;
}

void exception_reply_lost(struct port *port)
{
	if (exception_waits_for(port->kobject, port))
		exception_unhandled(port->kobject);
}

void exception_answer_apart(struct kmsg *taken)
{
	struct port *self = taken->local, *port;
	struct thread *thread;

	if (self->send_once_rights == 1)
		return;
	port = port_make_kernel(KOBJECT_THREAD, NULL, thread_current()->task->ledger);
	if (port == NULL) {
		taken->local = PORT_DEAD;
		right_release_send_once(self);
		return;
	}
	/* Making it may have reaped the thread. */
	thread = self->dead ? NULL : self->kobject;
	if (thread == NULL || !exception_waits_for(thread, self)) {
		port_destroy_kernel(port);
		return;
	}
	port->kobject = thread;
	thread->wait.object = taken->local = port;
	port_ref(port);
	port->send_once_rights++;
	right_consume_send_once(self);
}

static void exception_answered(struct thread *thread, const struct port *port, kern_return_t code)
{
	if (!exception_waits_for(thread, port))
		return;
	if (code != KERN_SUCCESS) {
		exception_unhandled(thread);
		return;
	}
	exception_over(thread);
	thread_wake(thread, 0);
}

/* An answer of the common size must not be denied, as no short reply is: it lies in a buffer of the kernel's, until it is
   read. */
static struct kmsg *answer_memory(struct thread *sender)
{
	static uint8_t bytes[KMSG_SMALL] __attribute__((aligned(8)));
	static struct kmsg buffer = { .kind = KMSG_STATIC, .pages = KMSG_LINEAR, .linear = bytes };

	if (sender->msg.send_size > KMSG_SMALL)
		return kmsg_alloc(sender->msg.send_size, sender->task->ledger);
	buffer.size = sender->msg.send_size;
	return &buffer;
}

int64_t exception_reply_message(struct thread *sender, struct port *port, const uint8_t *head, uint32_t have)
{
	const mig_reply_header_t *reply = (const mig_reply_header_t *)head;
	struct thread *thread;
	kern_return_t code = KERN_FAILURE;
	struct kmsg *kmsg = answer_memory(sender);
	mach_msg_return_t error;

	if (kmsg == NULL)
		return MACH_SEND_NO_BUFFER;
	kmsg_write(kmsg, head, have);
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
	port = kmsg->remote;
	thread = port_valid(port) && !port->dead ? port->kobject : NULL;
	kmsg_discard(kmsg);
	if (thread != NULL)
		exception_answered(thread, port, code);
	return sender->state == THREAD_DEAD ? KERN_BLOCKED : msg_sent(sender, true);
}
