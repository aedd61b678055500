/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies and who pays for them: prepaid messages, long replies, kernel calls, exceptions.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "support/msg_test.h"
#include <mach/exception.h>
#include "ipc/krpc.h"

#define COPY MACH_MSG_TYPE_COPY_SEND
#define ONCE MACH_MSG_TYPE_MAKE_SEND_ONCE
#define MOVE_ONCE MACH_MSG_TYPE_MOVE_SEND_ONCE

static struct ledger *ledger_a, *ledger_b;
static struct thread *client, *server;
static mach_port_name_t port, to_port, reply;
static struct test_message m;

/* -- a subsystem with routines 2000: adds one to a word; 2001: waits; 2002: a big reply; 2003: fails; 2004: eats a right;
   2005: simple; 2006: kills its caller; 2007: a right in the reply -- */

static unsigned eaten, simple_calls;
static struct thread *waiter;

static kern_return_t stub_add(void)
{
	memcpy(krpc_reply_bytes + 48, (const uint8_t *)krpc_now.in + 32, 16);
	((uint32_t *)(krpc_reply_bytes + 48))[2]++;
	krpc_now.out_size = 64;
	return KERN_SUCCESS;
}

static void wait_over(struct thread *thread, int result)
{
	krpc_reply(thread, result);
}

static void wait_cancelled(struct thread *thread, enum wait_reason reason)
{
	if (reason != WAIT_KILLED)
		krpc_reply(thread, KERN_ABORTED);
}

static kern_return_t stub_wait(void)
{
	static const struct wait_kind test_wait = { "test", wait_over, wait_cancelled, false };

	waiter = thread_current();
	wait_begin(thread_current(), &test_wait, NULL, -1);
	return KRPC_BLOCKED;
}

static kern_return_t stub_big(void)
{
	memset(krpc_reply_bytes + 48, 0, 2000 - 48);
	krpc_now.out_size = 2000;
	return KERN_SUCCESS;
}

static kern_return_t stub_fail(void)
{
	krpc_now.out_size = 200;
	return KERN_NO_ACCESS;
}

static kern_return_t stub_eat(void)
{
	struct port **slot = (struct port **)((uint8_t *)(uintptr_t)krpc_now.in + 40);

	if (port_valid(*slot)) {
		right_release_send(*slot);
		*slot = NULL;
		eaten++;
	}
	return KERN_SUCCESS;
}

static kern_return_t stub_simple(void)
{
	simple_calls++;
	return KERN_SUCCESS;
}

static kern_return_t stub_kill(void)
{
	thread_current()->state = THREAD_DEAD;
	return KERN_SUCCESS;
}

static kern_return_t stub_right(void)
{
	mach_msg_type_t type = { .msgt_name = MACH_MSG_TYPE_PORT_SEND, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 };
	struct port *right = right_make_send(thread_current()->self);

	memcpy(krpc_reply_bytes + 48, &type, 8);
	memcpy(krpc_reply_bytes + 56, &right, 8);
	krpc_now.out_size = 64;
	krpc_now.out_complex = true;
	return KERN_SUCCESS;
}

static void there(void)
{
}

static const struct krpc_routine routines[] = {
	{ stub_add, there, "add", 48, 64, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_wait, there, "wait", 32, 48, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_big, there, "big", 32, 2000, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_fail, there, "fail", 32, 48, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_eat, there, "eat", 48, 48, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_simple, there, "simple", 32, 48, true, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_kill, there, "kill", 32, 48, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_right, there, "right", 32, 64, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_kill, NULL, "not there", 0, 0, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
};
const struct krpc_subsystem mach_subsystem = { "mach", 2000, 9, routines };

static mach_port_name_t task_name(struct thread *of, struct thread *to)
{
	mach_port_name_t name;

	right_make_send(of->task->self);
	space_insert(&to->task->space, of->task->self, MACH_MSG_TYPE_PORT_SEND, &name);
	return name;
}

static int64_t call(mach_port_name_t to, int id, uint32_t reply_type, uint32_t size)
{
	m.h.msgh_bits = (m.h.msgh_bits & MACH_MSGH_BITS_COMPLEX) | MACH_MSGH_BITS(COPY, reply_type);
	m.h.msgh_remote_port = to;
	m.h.msgh_local_port = reply;
	m.h.msgh_id = id;
	test_write(client, test_buffer(client), &m, size);
	return test_mach_msg(client, MACH_SEND_MSG | MACH_RCV_MSG, size, 4096, reply, 0, 0);
}

static int32_t ret_code(void)
{
	test_received(client, &m);
	return (int32_t)m.body[1];
}

static void kernel_calls(void)
{
	mach_port_name_t task = task_name(client, client), right;
	uint64_t calls;
	struct port *p = test_port_of(client, reply);
	uint32_t size;

	test_header(&m, 0, NONE, NONE, 0);
	test_write(client, test_buffer(client), &m, 64);
	calls = host_fail_calls;
	m.body[0] = 0x1122;
	m.body[1] = 41;
	ok(call(task, 2000, ONCE, 48) == MACH_MSG_SUCCESS && ret_code() == KERN_SUCCESS, "a kernel call is answered at once");
	ok(m.h.msgh_id == 2100 && m.h.msgh_size == 64 && m.h.msgh_local_port == reply && m.h.msgh_remote_port == NONE,
	   "with the reply's header");
	ok(m.h.msgh_bits == MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE), "sent by a send-once right");
	ok((uint32_t)m.body[2] == 0x1122 && (uint32_t)m.body[3] == 42, "and its body");
	is_u64(host_fail_calls, calls, "nothing was allocated or charged");
	ok(p->send_once_rights == 0 && p->queued == 0, "no right is left");
	ok(call(task, 2055, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == MIG_BAD_ID, "no such routine");
	is_u64(m.h.msgh_size, 48, "an error reply has 48 bytes");
	ok(call(task, 2008, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == MIG_BAD_ID, "a hole in the table");
	ok(call(task, 99999, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == MIG_BAD_ID, "an id far away");
	ok(call(task, 2000, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == MIG_BAD_ARGUMENTS, "a request too short");
	ok(call(task, 2003, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == KERN_NO_ACCESS && m.h.msgh_size == 48, "an error");
	ok(call(task, 2002, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == 0 && m.h.msgh_size == 2000, "a long reply");
	ok(call(task, 2002, MACH_MSG_TYPE_MAKE_SEND, 32) == MACH_MSG_SUCCESS && ret_code() == 0 && m.h.msgh_size == 2000,
	   "by a send right");
	ok(call(task, 2000, MACH_MSG_TYPE_MAKE_SEND, 48) == MACH_MSG_SUCCESS && ret_code() == 0, "a short one by a send right");
	ok(call(task, 2007, ONCE, 32) == MACH_MSG_SUCCESS && ret_code() == 0, "a right in the reply");
	right = (uint32_t)m.body[3];
	ok(test_port_of(client, right) == client->self, "arrives");
	name_destroy(space_lookup(&client->task->space, right));
	ok(test_mach_msg(client, MACH_SEND_MSG, 32, 0, NONE, 0, 0) == MACH_SEND_INVALID_HEADER, "a reply is no request");
	test_header(&m, MACH_MSGH_BITS(COPY, ONCE), task, reply, 2000);
	ok(test_send(client, &m, 48, 0, 0) == MACH_MSG_SUCCESS && p->send_once_rights == 1, "without a receive the reply is queued");
	ok(test_receive(client, &m, reply, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == 2100, "and received");
	is_u64(p->send_once_rights, 0, "its right used up");
	ok(LIST_EMPTY(&p->prepaid), "and the right's message");
	for (unsigned eats = 0; eats < 2; eats++) {
		size = test_header(&m, 0, NONE, NONE, 0);
		test_add_port(&m, &size, COPY, to_port);
		ok(call(task, eats ? 2004 : 2000, ONCE, size) == MACH_MSG_SUCCESS && ret_code() == 0, "a right in the request");
		is_u64(test_port_of(server, port)->send_rights, 1, eats ? "the routine took it" : "what is left is destroyed");
	}
	is_u64(eaten, 1, "once");
	test_header(&m, MACH_MSGH_BITS(COPY, 0), task, NONE, 2005);
	ok(test_send(client, &m, 32, 0, 0) == MACH_MSG_SUCCESS && simple_calls == 1, "a simple routine");
	ok(call(task, 2001, ONCE, 32) == KERN_BLOCKED, "a routine that waits");
	thread_wake(client, KERN_NOT_IN_SET);
	ok(test_run(client) == MACH_MSG_SUCCESS && ret_code() == KERN_NOT_IN_SET, "is answered later");
	ok(call(task, 2001, ONCE, 32) == KERN_BLOCKED, "another");
	wait_cancel(client, WAIT_ABORTED);
	ok(test_run(client) == MACH_MSG_SUCCESS && ret_code() == KERN_ABORTED, "is aborted: the reply says so");
	ok(call(task, 2001, MACH_MSG_TYPE_MAKE_SEND, 32) == KERN_BLOCKED, "another, answered by a send right");
	wait_cancel(client, WAIT_ABORTED);
	ok(test_run(client) == MACH_MSG_SUCCESS && ret_code() == KERN_ABORTED, "is aborted too");
	/* The trap's end finds the ast that thread_kill has set, and another thread runs. */
	ok(call(task, 2006, ONCE, 32) == MACH_MSG_SUCCESS && client->state == THREAD_DEAD, "a call that ends its caller leaves it dead");
	client->state = THREAD_RUNNING;
	name_destroy(space_lookup(&client->task->space, task));
	reap_all();
}

static void full_ledger(void)
{
	mach_port_name_t task = task_name(client, client), once;
	uint32_t size;

	test_header(&m, MACH_MSGH_BITS(COPY, ONCE), to_port, reply, 1);
	ok(test_send(client, &m, 64, 0, 0) == MACH_MSG_SUCCESS, "a request with a reply right");
	test_receive(server, &m, port, 0);
	once = m.h.msgh_remote_port;
	ledger_limit(ledger_a, LEDGER_MESSAGES, host_used(ledger_a, LEDGER_MESSAGES));
	ledger_limit(ledger_b, LEDGER_MESSAGES, host_used(ledger_b, LEDGER_MESSAGES));
	test_header(&m, MACH_MSGH_BITS(COPY, ONCE), to_port, reply, 1);
	ok(test_send(client, &m, 64, 0, 0) == MACH_SEND_NO_BUFFER, "the client's ledger is full: no request");
	is_u64(host_denial.resource, LEDGER_MESSAGES, "for want of messages");
	is_u64(test_port_of(client, reply)->send_once_rights, 1, "no right was made");
	m.body[1] = 1;
	ok(call(task, 2000, ONCE, 48) == MACH_MSG_SUCCESS && ret_code() == 0, "but a kernel call");
	size = test_header(&m, MACH_MSGH_BITS(MOVE_ONCE, 0), once, NONE, 2);
	ok(test_send(server, &m, size + 128, 0, 0) == MACH_MSG_SUCCESS, "and the reply, with both ledgers full");
	ok(test_receive(client, &m, reply, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == 2, "which arrives");
	ledger_limit(ledger_a, LEDGER_MESSAGES, LEDGER_UNLIMITED);
	ledger_limit(ledger_b, LEDGER_MESSAGES, LEDGER_UNLIMITED);
	name_destroy(space_lookup(&client->task->space, task));
}

static mach_port_name_t request(uint32_t receive_size)
{
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, ONCE), to_port, reply, 1);

	test_write(client, test_buffer(client), &m, size);
	if (receive_size == 0)
		test_mach_msg(client, MACH_SEND_MSG, size, 0, NONE, 0, 0);
	else if (test_mach_msg(client, MACH_SEND_MSG | MACH_RCV_MSG, size, receive_size, reply, 0, 0) != KERN_BLOCKED)
		panic("does not wait");
	test_receive(server, &m, port, MACH_RCV_TIMEOUT);
	return m.h.msgh_remote_port;
}

static int64_t answer(mach_port_name_t once, uint32_t size)
{
	mach_msg_header_t header = { .msgh_bits = MACH_MSGH_BITS(MOVE_ONCE, 0), .msgh_id = 3 };

	header.msgh_remote_port = once;
	test_write(server, test_buffer(server), &header, sizeof(header));
	server->regs.rdi = test_buffer(server);
	server->regs.rsi = MACH_SEND_MSG;
	server->regs.rdx = size;
	test_current = server;
	return test_trap(server);
}

static void long_replies(void)
{
	uint64_t big = test_allocate(&server->task->map, 16), own = server->regs.rbx;
	struct port *p = test_port_of(client, reply);
	mach_port_name_t once = request(0);
	uint64_t used;

	server->regs.rbx = big;
	ok(answer(once, 4096) == MACH_MSG_SUCCESS, "a reply of a page");
	is_u64(p->messages->payer == ledger_a, 1, "is paid by the reply port's ledger");
	ok(LIST_EMPTY(&p->prepaid), "the prepaid message is given back");
	test_receive(client, &m, reply, 0);
	server->regs.rbx = own;
	once = request(0);
	server->regs.rbx = big;
	ok(answer(once, 40000) == MACH_SEND_NO_BUFFER, "a reply beyond the bound");
	is_u64(test_type(server, once), 0, "its right is used up");
	ok(test_receive(client, &m, reply, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == MACH_NOTIFY_SEND_ONCE,
	   "by the notification that the client gets");
	server->regs.rbx = own;
	once = request(40000);
	server->regs.rbx = big;
	ok(answer(once, 40000) == MACH_MSG_SUCCESS, "SEND|RCV raises the bound to its receive size");
	test_run(client);
	is_u64(msg_reply_bound(p), REPLY_BOUND_DEFAULT, "for that call");
	server->regs.rbx = own;
	used = host_used(ledger_a, LEDGER_MESSAGES);
	once = request(0);
	name_destroy(space_lookup(&server->task->space, once));
	ok(test_receive(client, &m, reply, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == MACH_NOTIFY_SEND_ONCE,
	   "a right given up sends its message");
	is_u64(host_used(ledger_a, LEDGER_MESSAGES), used, "nothing is left charged");
	vm_map_deallocate(&server->task->map, big, 16 * PAGE_SIZE);
}

/* -- exceptions -- */

static mach_port_name_t handler, once_right;
static mach_port_name_t task_handler;

static bool exception_comes(mach_port_name_t from)
{
	if (test_receive(server, &m, from, MACH_RCV_TIMEOUT) != MACH_MSG_SUCCESS)
		return false;
	once_right = m.h.msgh_remote_port;
	return m.h.msgh_id == 2400;
}

static int64_t exception_answer(int32_t code)
{
	test_header(&m, MACH_MSGH_BITS(MOVE_ONCE, 0), once_right, NONE, 2500);
	m.body[1] = (uint32_t)code;
	return test_send(server, &m, 48, 0, 0);
}

static void raise_it(struct thread *thread)
{
	test_current = thread;
	thread->regs.rax = 0x55;
	exception_raise(thread, EXC_BAD_ACCESS, 2, 0xdeadbeef0);
}

static void exceptions(void)
{
	struct thread *faulty = test_thread(ledger_a);
	uint64_t calls;

	handler = test_port(server);
	task_handler = test_port(server);
	test_exception_port(faulty, right_make_send(test_port_of(server, handler)));
	faulty->task->exception_port = right_make_send(test_port_of(server, task_handler));
	calls = host_fail_calls;
	raise_it(faulty);
	ok(faulty->state == THREAD_WAITING && host_fail_calls == calls, "an exception is sent without allocating");
	ok(exception_comes(handler), "the thread's handler gets it");
	ok(m.h.msgh_size == 112 && (uint32_t)m.body[5] == EXC_BAD_ACCESS && (uint32_t)m.body[7] == 2 && m.body[9] == 0xdeadbeef0,
	   "with exception, code and subcode");
	ok(test_port_of(server, (uint32_t)m.body[1]) == faulty->self &&
	   test_port_of(server, (uint32_t)m.body[3]) == faulty->task->self, "and rights to thread and task");
	ok(exception_answer(KERN_SUCCESS) == MACH_MSG_SUCCESS && test_run(faulty) == 0x55, "success resumes the thread as it is");
	raise_it(faulty);
	exception_comes(handler);
	exception_answer(KERN_FAILURE);
	ok(faulty->state == THREAD_WAITING && exception_comes(task_handler), "failure: the task's handler is asked");
	name_destroy(space_lookup(&server->task->space, once_right));
	ok(faulty->task->dead, "which gives its right up: the task is killed");
	faulty->task->dead = false;
	faulty->state = THREAD_RUNNING;
	raise_it(faulty);
	wait_cancel(faulty, WAIT_ABORTED);
	ok(test_run(faulty) == 0x55 && !exception_comes(handler), "an aborted one is called back from the queue");
	is_u64(faulty->self->send_once_rights, 0, "with its right");
	test_receive(server, &m, handler, 0);
	raise_it(faulty);
	wait_cancel(faulty, WAIT_ABORTED);
	ok(test_run(faulty) == 0x55 && test_run(server) == KERN_BLOCKED, "and from a receiver that has not run yet");
	raise_it(faulty);
	ok(test_run(server) == MACH_MSG_SUCCESS, "which gets the next");
	test_received(server, &m);
	once_right = m.h.msgh_remote_port;
	ok(exception_answer(KERN_SUCCESS) == MACH_MSG_SUCCESS && test_run(faulty) == 0x55, "and answers it");
	raise_it(faulty);
	ok(test_mach_msg(server, MACH_RCV_MSG, 0, 64, handler, 0, 0) == MACH_RCV_TOO_LARGE, "a handler too small for it");
	ok(exception_comes(task_handler), "is one that does not handle it");
	exception_answer(KERN_SUCCESS);
	test_run(faulty);
	name_destroy(space_lookup(&server->task->space, handler));
	raise_it(faulty);
	ok(exception_comes(task_handler), "a dead handler is no handler");
	exception_answer(KERN_SUCCESS);
	test_run(faulty);
	raise_it(faulty);
	name_destroy(space_lookup(&server->task->space, task_handler));
	reap_all();
	ok(faulty->task->dead, "the handler dies with the message in its queue: the task is killed");
	faulty->task->dead = false;
	test_task_end(faulty->task);
}

static void notifications(void)
{
	mach_port_name_t r = test_port(client), notify = test_port(server);
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, MACH_MSG_TYPE_MAKE_SEND), to_port, r, 1);

	test_send(client, &m, size, 0, 0);
	ok(test_mach_msg(server, MACH_RCV_MSG | MACH_RCV_NOTIFY, 0, 256, port, 0, notify) == MACH_MSG_SUCCESS,
	   "received with MACH_RCV_NOTIFY");
	test_received(server, &m);
	name_destroy(space_lookup(&client->task->space, r));
	reap_all();
	r = m.h.msgh_remote_port;
	ok(test_receive(server, &m, notify, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == MACH_NOTIFY_DEAD_NAME &&
	   (uint32_t)m.body[1] == r, "the reply port dies: a dead-name notification comes");
	test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 1);
	test_send(client, &m, size, 0, 0);
	ok(test_mach_msg(server, MACH_RCV_MSG | MACH_RCV_NOTIFY, 0, 256, port, 0, 12345) == MACH_RCV_INVALID_NOTIFY,
	   "a notify port that is none");
}

int main(void)
{
	tap_begin("ipc_msg_reply_test");
	test_msg_init(8192);
	ledger_a = test_ledger("a");
	ledger_b = test_ledger("b");
	client = test_thread(ledger_a);
	server = test_thread(ledger_b);
	port = test_port(server);
	to_port = test_send_right(client, server, port);
	reply = test_port(client);
	kernel_calls();
	full_ledger();
	long_replies();
	exceptions();
	notifications();
	return test_pair_end(client, server, ledger_a, ledger_b);
}
