/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is destroyed in the middle of a call that allocates: a full ledger makes the allocation work off
 * what is dead, and the call must not stumble over it.
 * RUN: in root reap_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/threads.h>
#include "catch.h"
#include "child.h"
#include "msg.h"
#include "tap.h"

#define TASK_TERMINATE_ID	2008
#define EXTRACT_RIGHT_ID	3216

static ledger_t control;	/* of the ledger that pays for all here */

static void names_limit(bool full)
{
	ledger_usage_t usage;

	need(ledger_get_usage(control, LEDGER_NAMES, &usage), "the usage");
	need(ledger_set_limit(control, LEDGER_NAMES, full ? usage.used : LEDGER_UNLIMITED), "a limit");
}

static void child_faults(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

struct ports {
	mach_port_t thread, task;
};

static kern_return_t before(struct child *child, void *argument)
{
	const struct ports *ports = argument;
	kern_return_t error = task_set_special_port(child->task, TASK_EXCEPTION_PORT, ports->task);

	return error == KERN_SUCCESS ? thread_set_special_port(child->thread, THREAD_EXCEPTION_PORT, ports->thread) : error;
}

static void faulting_child(struct child *child, struct ports *ports)
{
	struct child_options options = { .before = before };

	need(child_start(child, child_faults, ports, &options), "a child");
	if (!thread_await_waiting(child->thread, 5000))
		give_up("the child does not wait for its handler");
}

/* One call kills the task and receives its thread's exception; the name for the reply right is denied, so the
   thread is reaped then. */
static void test_thread_goes_in_receive(void)
{
	struct ports ports = { catch_port(), 0 };
	struct child child;
	struct msg m;
	mach_msg_return_t code;

	ports.task = ports.thread;
	faulting_child(&child, &ports);
	msg_begin(&m, COPY_SEND, child.task, 0, MACH_PORT_NULL, TASK_TERMINATE_ID);
	m.head.msgh_size = m.size;
	names_limit(true);
	code = mach_msg(&m.head, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT, m.size, MSG_ROOM, ports.thread, 100,
			MACH_PORT_NULL);
	names_limit(false);
	is_code(code, MACH_MSG_SUCCESS, "an exception can be received while its thread is reaped");
	if (code == MACH_MSG_SUCCESS)
		mach_msg_destroy(&m.head);
	child_finish(&child);
	catch_port_destroy(ports.thread);
}

/* A handler that cannot hold the reply right has lost it: the next one is told. */
static void test_handler_is_full(void)
{
	struct ports ports = { catch_port(), catch_port() };
	struct caught caught;
	struct child child;
	struct msg m;

	faulting_child(&child, &ports);
	names_limit(true);
	msg_receive(&m, ports.thread, MACH_RCV_TIMEOUT, 100);
	names_limit(false);
	if (ok(catch_next(ports.task, 2000, &caught), "the next handler is told when the first cannot hold the reply right"))
		catch_answer(&caught, KERN_FAILURE);
	ok(child_wait(&child, 2000), "and when it does not help the task ends");
	child_finish(&child);
	catch_port_destroy(ports.thread);
	catch_port_destroy(ports.task);
}

/* The last handler loses it: the task ends, whoever's call lost it. */
static void test_last_handler_is_full(void)
{
	struct ports ports = { catch_port(), 0 };
	struct child child;
	struct msg m;

	ports.task = ports.thread;
	faulting_child(&child, &ports);
	need(thread_set_special_port(child.thread, THREAD_EXCEPTION_PORT, MACH_PORT_NULL), "no port of its own");
	names_limit(true);
	msg_receive(&m, ports.thread, MACH_RCV_TIMEOUT, 100);
	names_limit(false);
	if (msg_receive(&m, ports.thread, MACH_RCV_TIMEOUT, 100) == MACH_MSG_SUCCESS)
		mach_msg_destroy(&m.head);
	ok(child_wait(&child, 2000), "a task whose last handler cannot hold the reply right ends");
	child_finish(&child);
	catch_port_destroy(ports.thread);
}

/* The kernel's reply carries the receive right of the port that it goes to. */
static void test_right_in_its_own_queue(void)
{
	mach_port_t port = port_new();
	uint32_t name = port, disposition = MOVE_RECEIVE;
	struct msg m;

	msg_begin(&m, COPY_SEND, mach_task_self(), MAKE_ONCE, port, EXTRACT_RIGHT_ID);
	*msg_add_data(&m, &name, sizeof name) = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_PORT_NAME, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1
	};
	*msg_add_data(&m, &disposition, sizeof disposition) = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1
	};
	is_code(msg_send(&m, MACH_SEND_MSG, 0), MACH_MSG_SUCCESS, "a port can be asked for its own receive right");
	ok(port_type(port) == 0, "the receive right has left");
	/* That it has not ended in its own queue for ever shows at the end: all was given back. */
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	need(task_get_ledger_control(test_host_priv(), mach_task_self(), &control), "the ledger's control");
	test_right_in_its_own_queue();
	test_handler_is_full();
	test_last_handler_is_full();
	test_thread_goes_in_receive();
	give_back_right(control);
	return done_testing();
}
