/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is destroyed in the middle of a call that allocates: a full ledger makes the allocation work off
 * what is dead, and the call must not stumble over it.
 * RUN: in root reap_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/thread_info.h>
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

/* --- a task that ends in the middle of its own call --- */

#define DESTROY_ID		3205	/* mach_port_destroy */

struct step {
	uint32_t ready, go;
};
static struct step *step;

static void faults(void *argument)
{
	(void)argument;
	__asm__ volatile("ud2");
}

/* A port with a message that carries a right, for a reply port and so for a name. */
static mach_port_t port_with_right(unsigned type, mach_port_t right)
{
	mach_port_t port = port_new_send();
	struct msg m;

	msg_begin(&m, MAKE_SEND, port, 0, MACH_PORT_NULL, 1);
	msg_add_port(&m, type, right);
	need(msg_send(&m, MACH_SEND_MSG, 0), "a message with a right");
	return port;
}

/* Handles its own thread's exception, puts the right to answer it into a queue, and in one call destroys that queue and
   receives a right that there is no name for. */
static void child_ends_itself(void *argument)
{
	mach_port_t handler = port_new_send(), lost, full, other = port_new();
	struct thread *thread;
	struct caught caught;
	struct msg m;

	(void)argument;
	need(task_set_special_port(mach_task_self(), TASK_EXCEPTION_PORT, handler), "a handler");
	need(thread_spawn(faults, NULL, 0, &thread), "a thread");
	if (!catch_next(handler, 5000, &caught))
		return;
	lost = port_with_right(MOVE_ONCE, caught.reply);
	full = port_with_right(MAKE_ONCE, other);
	port_new_once(other);
	msg_begin(&m, COPY_SEND, mach_task_self(), 0, MACH_PORT_NULL, DESTROY_ID);
	*msg_add_data(&m, &lost, sizeof lost) = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_PORT_NAME, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1
	};
	word_post(&step->ready, 1);
	word_await(&step->go, 1, 5000);
	mach_msg(&m.head, MACH_SEND_MSG | MACH_RCV_MSG, m.size, MSG_ROOM, full, 0, MACH_PORT_NULL);
	word_await(&step->go, 2, 60000);
}

static void test_task_ends_in_its_call(void)
{
	struct child_options options = { 0 };
	ledger_usage_t usage;
	struct child child;

	step = shared_alloc(sizeof *step);
	need(ledger_create(control, "reaped", &options.ledger), "a ledger");
	need(child_start(&child, child_ends_itself, NULL, &options), "a child");
	ok(word_await(&step->ready, 1, 5000), "the child is ready");
	need(ledger_get_usage(options.ledger, LEDGER_NAMES, &usage), "the usage");
	need(ledger_set_limit(options.ledger, LEDGER_NAMES, usage.used), "a limit");
	word_post(&step->go, 1);
	ok(child_wait(&child, 5000), "a task ends in the middle of its own receive");
	child_finish(&child);
	ledger_terminate(options.ledger);
	give_back_right(options.ledger);
	shared_free(step, sizeof *step);
}

/* --- a thread that stops while it runs on another's share --- */

static mach_port_t served;

static void server(void *argument)
{
	thread_t self = mach_thread_self();
	struct msg m;

	(void)argument;
	msg_receive(&m, served, 0, 0);
	thread_suspend(self);
	give_back_right(self);
	give_back_right(m.head.msgh_remote_port);
}

static void child_calls(void *argument)
{
	mach_port_t to = *(const mach_port_t *)argument, reply = port_new();
	struct msg m;

	msg_begin(&m, COPY_SEND, to, MAKE_ONCE, reply, 1);
	mach_msg(&m.head, MACH_SEND_MSG | MACH_RCV_MSG, m.size, MSG_ROOM, reply, 0, MACH_PORT_NULL);
}

static kern_return_t before_call(struct child *child, void *argument)
{
	mach_port_t port = *(const mach_port_t *)argument;

	return mach_port_insert_right(child->task, port, port, COPY_SEND);
}

static void test_lender_goes(void)
{
	struct child_options options = { .before = before_call };
	vm_size_t size = 64 * vm_page_size;
	vm_address_t memory;
	struct thread *thread;
	struct child child;
	ledger_t root;

	served = port_new_send();
	need(ledger_root(test_host_priv(), &root), "the root");
	need(ledger_create(root, "lender", &options.ledger), "a ledger");
	need(thread_spawn(server, NULL, 0, &thread), "a server");
	ok(thread_await_waiting(thread->port, 5000), "the server waits for a call");
	need(child_start(&child, child_calls, &served, &options), "a client");
	ok(thread_await_state(thread->port, TH_STATE_STOPPED, 5000), "the server stops itself in the call");
	ledger_terminate(options.ledger);
	give_back_right(options.ledger);
	ok(child_wait(&child, 5000), "the client's ledger ends");
	child_finish(&child);
	/* What its share was is something else now. */
	need(vm_allocate(mach_task_self(), &memory, size, TRUE), "memory");
	for (vm_size_t i = 0; i < size; i++)
		((volatile char *)memory)[i] = (char)0xff;
	is_code(thread_resume(thread->port), KERN_SUCCESS, "the server goes on, on its own share");
	thread_join(thread);
	vm_deallocate(mach_task_self(), memory, size);
	give_back_right(root);
	port_free(served);
}

int main(int argc, char **argv)
{
	mach_port_t port, once;

	test_begin(argc, argv, 60);
	need(task_get_ledger_control(test_host_priv(), mach_task_self(), &control), "the ledger's control");
	test_right_in_its_own_queue();
	port = port_new();
	/* A task has room for one send-once right even without names: it is taken. */
	once = port_new_once(port);
	test_handler_is_full();
	test_last_handler_is_full();
	test_thread_goes_in_receive();
	mach_port_deallocate(mach_task_self(), once);
	port_free(port);
	test_task_ends_in_its_call();
	test_lender_goes();
	give_back_right(control);
	return done_testing();
}
