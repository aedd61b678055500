/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions as messages (exc.defs, 2400), received and answered. */
#include "catch.h"
#include <mach.h>
#include <mach/mig_errors.h>
#include <mach/mig_support.h>
#include "tap.h"

#define RAISE_ID	2400

struct raise_message {
	mach_msg_header_t head;
	mach_msg_type_t thread_type;
	uint64_t thread;
	mach_msg_type_t task_type;
	uint64_t task;
	mach_msg_type_t exception_type;
	uint64_t exception;
	mach_msg_type_t code_type;
	uint64_t code;
	mach_msg_type_t subcode_type;
	uint64_t subcode;
};

bool catch_next(mach_port_t port, unsigned milliseconds, struct caught *caught)
{
	union {
		struct raise_message raise;
		char room[256];
	} message;
	mach_msg_return_t code = mach_msg(&message.raise.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
					  sizeof message, port, milliseconds, MACH_PORT_NULL);

	if (code != MACH_MSG_SUCCESS)
		return false;
	if (message.raise.head.msgh_id != RAISE_ID ||
	    message.raise.head.msgh_size != sizeof message.raise) {
		mach_msg_destroy(&message.raise.head);
		return false;
	}
	*caught = (struct caught){
		.reply = message.raise.head.msgh_remote_port,
		.thread = (thread_t)message.raise.thread,
		.task = (task_t)message.raise.task,
		.exception = (int)message.raise.exception,
		.code = (int)message.raise.code,
		.subcode = message.raise.subcode,
	};
	return true;
}

void catch_answer(struct caught *caught, kern_return_t code)
{
	mig_reply_header_t reply = {
		.Head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0),
			.msgh_size = sizeof reply,
			.msgh_remote_slot = caught->reply,
			.msgh_id = RAISE_ID + 100,
		},
		.RetCodeType = { .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32,
				 .msgt_inline = 1, .msgt_number = 1 },
		.RetCode = code,
	};

	/* When the thread has died meanwhile the right is a dead name. */
	if (mach_msg(&reply.Head, MACH_SEND_MSG, sizeof reply, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL) !=
	    MACH_MSG_SUCCESS)
		give_back_right(caught->reply);
	give_back_right(caught->thread);
	give_back_right(caught->task);
}

mach_port_t catch_port(void)
{
	mach_port_t port;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	need(mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND),
	     "a send right");
	return port;
}

void catch_port_destroy(mach_port_t port)
{
	mach_port_destroy(mach_task_self(), port);
}

void registers_get(thread_t thread, struct i386_thread_state *state)
{
	mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;

	need(thread_get_state(thread, i386_THREAD_STATE, (natural_t *)state, &count),
	     "the registers of a thread");
}

void registers_set(thread_t thread, const struct i386_thread_state *state)
{
	need(thread_set_state(thread, i386_THREAD_STATE, (const natural_t *)state,
			      i386_THREAD_STATE_COUNT),
	     "other registers for a thread");
}
