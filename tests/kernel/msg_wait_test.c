/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mach_msg that waits: time-outs both ways, full queues and blocked senders, the pseudo-receive,
 * aborts, ports that die or move meanwhile, calls between tasks, and prepaid replies of a server
 * whose ledger is full.
 * RUN: in root msg_wait_test
 */
#include <ledger_user.h>
#include <string.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define R(right)	MACH_PORT_RIGHT_##right
#define T(type)		MACH_PORT_TYPE_##type
#define PAGE		4096u
#define PATIENCE_MS	10000

static mach_port_t self;

/* One mach_msg call on a thread of its own. */
struct call {
	struct thread *thread;
	struct msg m;
	mach_msg_option_t option;
	mach_port_t port;
	unsigned timeout;
	mach_msg_return_t code;
};

static void call_main(void *argument)
{
	struct call *call = argument;

	call->code = mach_msg_trap(&call->m.head, call->option, call->m.size, sizeof call->m.bytes, call->port,
				   call->timeout, 0);
}

/* Starts it and waits until it waits. */
static void call_start(struct call *call)
{
	need(thread_spawn(call_main, call, 0, &call->thread), "a thread");
	if (!thread_await_waiting(call->thread->port, PATIENCE_MS))
		give_up("a thread in mach_msg comes to wait");
}

static void call_receive(struct call *call, mach_port_t port, mach_msg_option_t option, unsigned timeout)
{
	memset(call, 0, sizeof *call);
	call->option = MACH_RCV_MSG | option;
	call->port = port;
	call->timeout = timeout;
	call_start(call);
}

/* With the message that is in call->m. */
static void call_send(struct call *call, mach_msg_option_t option, unsigned timeout)
{
	call->option = MACH_SEND_MSG | option;
	call->timeout = timeout;
	call_start(call);
}

static mach_msg_return_t call_end(struct call *call)
{
	thread_join(call->thread);
	return call->code;
}

static mach_port_t full_port(void)
{
	mach_port_t port = port_new_send();

	for (unsigned i = 0; i < MACH_PORT_QLIMIT_DEFAULT; i++)
		need(msg_send_plain(port, 100 + (int)i), "messages for a full queue");
	return port;
}

static uint64_t elapsed_ms(uint64_t since)
{
	return (clock_uptime_ns() - since) / 1000000;
}

static void time_outs(void)
{
	mach_port_t port = port_new_send(), full = full_port();
	uint64_t start = clock_uptime_ns();
	struct msg m;

	is_code(msg_receive(&m, port, MACH_RCV_TIMEOUT, 0), MACH_RCV_TIMED_OUT, "a receive of 0 ms does not wait");
	start = clock_uptime_ns();
	is_code(msg_receive(&m, port, MACH_RCV_TIMEOUT, 50), MACH_RCV_TIMED_OUT, "a receive of 50 ms comes to its end");
	is_between(elapsed_ms(start), 49, 5000, "not before its time");
	msg_begin(&m, COPY_SEND, full, 0, 0, 7);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_SEND_TIMED_OUT, "a send of 0 ms to a full queue does not wait");
	start = clock_uptime_ns();
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 50), MACH_SEND_TIMED_OUT, "a send of 50 ms comes to its end");
	is_between(elapsed_ms(start), 49, 5000, "not before its time");
	is(m.head.msgh_remote_port, full, "the message's destination is as it was");
	is(MACH_MSGH_BITS_PORTS(m.head.msgh_bits), MACH_MSG_TYPE_PORT_SEND, "the header's types are those of rights now");
	is(port_refs(full, R(SEND)), 2, "the copied right came back as a reference");
	is(port_status(full).mps_msgcount, MACH_PORT_QLIMIT_DEFAULT, "nothing was queued");
	msg_begin(&m, MAKE_ONCE, full, 0, 0, 8);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "a send-once right passes the queue limit");
	is(port_status(full).mps_msgcount, MACH_PORT_QLIMIT_DEFAULT + 1, "and is counted");
	port_free(port);
	port_free(full);
}

static void receivers(void)
{
	mach_port_t port = port_new_send(), set = port_new_set();
	static struct call a, b;

	call_receive(&a, port, 0, 0);
	is_code(msg_send_plain(port, 1), MACH_MSG_SUCCESS, "a message is sent to a port that a thread waits at");
	is_code(call_end(&a), MACH_MSG_SUCCESS, "which receives it");
	is(a.m.head.msgh_id, 1, "as it was sent");
	call_receive(&a, port, 0, 0);
	call_receive(&b, port, 0, 0);
	msg_send_plain(port, 2);
	msg_send_plain(port, 3);
	call_end(&a);
	call_end(&b);
	is(a.m.head.msgh_id + b.m.head.msgh_id, 5, "two waiting threads receive one message each");
	call_receive(&a, set, 0, 0);
	need(mach_port_move_member(self, port, set), "a member");
	msg_send_plain(port, 4);
	is_code(call_end(&a), MACH_MSG_SUCCESS, "a port that joins a set serves those who wait there");
	ok(a.m.head.msgh_id == 4 && a.m.head.msgh_local_port == port, "with its messages");
	need(mach_port_move_member(self, port, 0), "no member");
	msg_send_plain(port, 5);
	call_receive(&a, set, 0, 0);
	need(mach_port_move_member(self, port, set), "a member");
	is_code(call_end(&a), MACH_MSG_SUCCESS, "also with those that it had before it joined");
	is(a.m.head.msgh_id, 5, "as they were sent");
	call_receive(&a, set, 0, 0);
	need(mach_port_move_member(self, port, 0), "no member");
	msg_send_plain(port, 6);
	is(msg_receive_plain(port), 6, "messages of a port that has left come to it");
	need(mach_port_destroy(self, set), "the end of a set");
	is_code(call_end(&a), MACH_RCV_PORT_DIED, "a set that dies tells those who wait there");
	set = port_new_set();
	call_receive(&a, port, 0, 0);
	need(mach_port_move_member(self, port, set), "a member");
	is_code(call_end(&a), MACH_RCV_PORT_CHANGED, "a port that joins a set tells those who wait at it");
	need(mach_port_move_member(self, port, 0), "no member");
	call_receive(&a, port, 0, 0);
	need(mach_port_destroy(self, port), "the end of a port");
	is_code(call_end(&a), MACH_RCV_PORT_DIED, "a port that dies tells those who wait at it");
	port = port_new();
	call_receive(&a, port, 0, 0);
	{
		mach_port_t to = port_new_send();
		struct msg m;

		msg_begin(&m, COPY_SEND, to, 0, 0, 1);
		msg_add_port(&m, MOVE_RECEIVE, port);
		msg_send(&m, 0, 0);
		is_code(call_end(&a), MACH_RCV_PORT_DIED, "a receive right that is moved away tells those who wait");
		port_free(to);
	}
	port_free(set);
}

/* A receive with MACH_RCV_LARGE that waits is told of a message too large when it comes. */
/* Two receivers that are given a message each, first and second, and cannot run. */
static void give_two(mach_port_t port, struct call *first, struct call *second)
{
	call_receive(second, port, 0, 0);
	call_receive(first, port, 0, 0);
	need(thread_suspend(first->thread->port), "suspend");
	need(thread_suspend(second->thread->port), "suspend");
	need(msg_send_plain(port, 100), "the first message");
	need(msg_send_plain(port, 101), "the second message");
	is(port_status(port).mps_msgcount, 0, "both messages have left the queue");
}

static void let_go_on(struct call *call)
{
	need(thread_resume(call->thread->port), "resume");
	call_end(call);
}

/* Sequence numbers tell the order in which messages left the queue, in whatever order their receivers run. */
static void numbers(void)
{
	struct call first, second;
	mach_port_t port = port_new_send();

	give_two(port, &first, &second);
	let_go_on(&second);
	let_go_on(&first);
	is(first.m.head.msgh_seqno, 0, "the message sent first has the first number");
	is(second.m.head.msgh_seqno, 1, "the second one, which was seen before it, the second");
	ok(first.m.head.msgh_id == 100 && second.m.head.msgh_id == 101, "as they were sent");
	port_free(port);
}

static void end_call(struct call *call)
{
	struct thread *thread = call->thread;

	need(thread_terminate(thread->port), "the end of a thread");
	/* What it would have done at its end. */
	give_back_right(thread->port);
	give_back_memory(thread->stack, thread->stack_size);
	thread->state = THREAD_FINISHED;
	thread_join(thread);
}

/* Receivers die with their messages in hand. */
static void put_back(bool first_dies_first)
{
	struct call first, second;
	mach_port_t port = port_new_send();
	struct msg m;

	give_two(port, &first, &second);
	need(msg_send_plain(port, 102), "the third message");
	end_call(first_dies_first ? &first : &second);
	end_call(first_dies_first ? &second : &first);
	for (unsigned i = 0; i < 3; i++) {
		need(msg_receive(&m, port, 0, 0), "a message");
		ok(m.head.msgh_id == 100 + (int)i && m.head.msgh_seqno == i, "message %u comes in its turn, by its number", i);
	}
	port_free(port);
}

static void large_while_waiting(void)
{
	mach_port_t port = port_new_send();
	static struct call a;
	static char data[3000];
	struct msg m;

	memset(&a, 0, sizeof a);
	a.option = MACH_RCV_MSG | MACH_RCV_LARGE;
	a.port = port;
	call_start(&a);
	msg_send_plain(port, 1);
	is_code(call_end(&a), MACH_MSG_SUCCESS, "a small message comes to a waiting receive with MACH_RCV_LARGE");
	msg_begin(&m, COPY_SEND, port, 0, 0, 2);
	msg_add_data(&m, data, sizeof data);
	static struct small {
		mach_msg_return_t code;
		union {
			mach_msg_header_t head;
			char bytes[64];
		};
	} small;

	msg_send(&m, 0, 0);
	small.code = mach_msg_trap(&small.head, MACH_RCV_MSG | MACH_RCV_LARGE, 0, sizeof small.bytes, port, 0, 0);
	is_code(small.code, MACH_RCV_TOO_LARGE, "a larger one is told of");
	is(small.head.msgh_size, m.size, "with its size");
	is(port_status(port).mps_msgcount, 1, "and stays");
	port_free(port);
}

static void blocked_senders(void)
{
	static struct call calls[3];
	mach_port_t port = full_port();
	unsigned good = 0;

	for (unsigned i = 0; i < 3; i++) {
		msg_begin(&calls[i].m, COPY_SEND, port, 0, 0, 200 + (int)i);
		call_send(&calls[i], 0, 0);
	}
	is(port_status(port).mps_msgcount, MACH_PORT_QLIMIT_DEFAULT, "three senders wait for room in a full queue");
	for (int i = 0; i < 5; i++)
		good += msg_receive_plain(port) == 100 + i;
	is(good, 5, "the messages before theirs come first");
	for (unsigned i = 0; i < 3; i++)
		good += call_end(&calls[i]) == MACH_MSG_SUCCESS;
	is(good, 8, "as room comes free they all send");
	for (int i = 0; i < 3; i++)
		good += msg_receive_plain(port) == 200 + i;
	is(good, 11, "in the order in which they came");
	port_free(port);

	port = full_port();
	msg_begin(&calls[0].m, COPY_SEND, port, 0, 0, 300);
	call_send(&calls[0], 0, 0);
	need(mach_port_set_qlimit(self, port, MACH_PORT_QLIMIT_DEFAULT + 1), "a larger queue");
	is_code(call_end(&calls[0]), MACH_MSG_SUCCESS, "a raised queue limit lets a sender go on");
	msg_begin(&calls[0].m, COPY_SEND, port, 0, 0, 301);
	msg_begin(&calls[1].m, COPY_SEND, port, 0, 0, 302);
	call_send(&calls[0], 0, 0);
	call_send(&calls[1], MACH_SEND_TIMEOUT, 60000);
	need(mach_port_mod_refs(self, port, R(RECEIVE), -1), "the end of a port");
	is_code(call_end(&calls[0]), MACH_SEND_INVALID_DEST, "a port that dies tells those who wait to send to it");
	is_code(call_end(&calls[1]), MACH_SEND_INVALID_DEST, "each of them");
	port_free(port);
	need(mach_port_allocate(self, R(RECEIVE), &port), "a port");
	need(mach_port_set_qlimit(self, port, 0), "a queue of nothing");
	port_add_send(port);
	is_code(msg_send_plain(port, 1), MACH_SEND_TIMED_OUT, "a queue of no messages takes none");
	msg_begin(&calls[0].m, COPY_SEND, port, 0, 0, 303);
	call_send(&calls[0], 0, 0);
	need(mach_port_set_qlimit(self, port, 1), "a queue");
	is_code(call_end(&calls[0]), MACH_MSG_SUCCESS, "until its limit is raised");
	port_free(port);
}

/* What a message that could not be queued carried comes back. */
static void pseudo_receive(void)
{
	mach_port_t port = full_port(), receive = port_new_send(), reply = port_new(), once = port_new_once(reply);
	vm_address_t memory = 0;
	struct snapshot before;
	static struct call call;
	struct msg m;
	char *got;

	need(vm_allocate(self, &memory, 2 * PAGE, TRUE), "memory");
	memset((void *)memory, 'p', 2 * PAGE);
	snapshot_take(&before, test_ledger());
	msg_begin(&m, MOVE_SEND, port, MAKE_ONCE, reply, 9);
	msg_add_port(&m, MOVE_RECEIVE, receive);
	msg_add_port(&m, MOVE_ONCE, once);
	msg_add_region(&m, (void *)memory, 2 * PAGE, true);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 10), MACH_SEND_TIMED_OUT, "a message with rights and memory times out");
	is(m.head.msgh_remote_port, port, "the destination is in its place, not reversed");
	is(port_refs(port, R(SEND)), 1, "its moved send right came back");
	is(port_type(m.head.msgh_local_port), T(SEND_ONCE), "the reply port is the send-once right that was made");
	ok(msg_item_port(&m, 0) == receive && port_type(receive) == T(SEND_RECEIVE), "the receive right came back");
	is(port_type(msg_item_port(&m, 1)), T(SEND_ONCE), "so did the send-once right");
	got = msg_item_region(&m, 2);
	ok(got[0] == 'p' && got[2 * PAGE - 1] == 'p', "so did the memory");
	ok(m.head.msgh_bits & MACH_MSGH_BITS_COMPLEX, "the message is complex still");
	msg_receive_plain(port);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "and can be sent again as it is");
	for (int i = 0; i < 4; i++)
		msg_receive_plain(port);
	is_code(msg_receive(&m, port, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "it is received");
	got = msg_item_region(&m, 2);
	ok(got[0] == 'p' && msg_item_port(&m, 0) == receive, "with all that it had");
	mach_port_deallocate(self, m.head.msgh_remote_port);
	mach_port_deallocate(self, msg_item_port(&m, 1));
	is(message_await(reply, 0) + message_await(reply, 0), 2 * MACH_NOTIFY_SEND_ONCE, "both send-once rights are good");
	give_back_memory((vm_address_t)got, 2 * PAGE);
	port_free(port);

	port = full_port();
	msg_begin(&call.m, COPY_SEND, port, 0, 0, 10);
	msg_add_port(&call.m, MOVE_RECEIVE, receive);
	call_send(&call, MACH_SEND_INTERRUPT, 0);
	is(port_type(receive), T(SEND_RECEIVE), "a blocked sender keeps what its message would carry");
	need(thread_abort(call.thread->port), "thread_abort");
	is_code(call_end(&call), MACH_SEND_INTERRUPTED, "thread_abort ends a blocked send");
	is(port_type(receive), T(SEND_RECEIVE), "whose rights are there");
	port_free(receive);
	port_free(reply);
	port_free(port);
}

static void aborts(void)
{
	mach_port_t port = port_new_send();
	static struct call call;

	call_receive(&call, port, MACH_RCV_INTERRUPT, 0);
	need(thread_abort(call.thread->port), "thread_abort");
	is_code(call_end(&call), MACH_RCV_INTERRUPTED, "thread_abort ends a receive");
	call_receive(&call, port, MACH_RCV_TIMEOUT, 60000);
	need(thread_suspend(call.thread->port), "thread_suspend");
	need(thread_abort(call.thread->port), "thread_abort");
	msg_send_plain(port, 1);
	is(port_status(port).mps_msgcount, 1, "a suspended thread that was aborted takes no message any more");
	need(thread_resume(call.thread->port), "thread_resume");
	is_code(call_end(&call), MACH_RCV_INTERRUPTED, "and learns of the abort");
	is(msg_receive_plain(port), 1, "the message is there for others");
	call_receive(&call, port, 0, 0);
	need(thread_suspend(call.thread->port), "thread_suspend");
	msg_send_plain(port, 2);
	need(thread_resume(call.thread->port), "thread_resume");
	is_code(call_end(&call), MACH_MSG_SUCCESS, "a suspended thread's receive goes on when it is resumed");
	is(call.m.head.msgh_id, 2, "with the message that came meanwhile");
	/* Killed while it waits: nothing may be left of it. */
	call_receive(&call, port, 0, 0);
	{
		vm_address_t stack = call.thread->stack;
		vm_size_t size = call.thread->stack_size;

		need(thread_terminate(call.thread->port), "thread_terminate");
		give_back_right(call.thread->port);
		msg_send_plain(port, 3);
		is(msg_receive_plain(port), 3, "a thread that was killed while it waited takes no message");
		give_back_memory(stack, size);
		call.thread->state = THREAD_FINISHED;
		thread_join(call.thread);
	}
	port_free(port);
}

/* --- calls between tasks --- */

struct server {
	uint32_t step;
	mach_port_t request, ours;	/* receive right to give; send right back to the test */
	unsigned served;
	mach_msg_return_t code, other_code;
	uint64_t room[24 << 10 >> 3];
};

enum { REQUEST = 0x700, OURS = 0x701, ID_ECHO = 1, ID_STOP = 2, ID_SIZE = 1000 };

static kern_return_t give_ports(struct child *child, void *argument)
{
	struct server *s = argument;
	kern_return_t code = mach_port_insert_right(child->task, REQUEST, s->request, MOVE_RECEIVE);

	return code != KERN_SUCCESS ? code : mach_port_insert_right(child->task, OURS, s->ours, MAKE_SEND);
}

/* Answers with what came; ids from ID_SIZE on say how long the answer shall be. */
static void server_main(void *argument)
{
	struct server *s = argument;
	mach_msg_header_t *head = (mach_msg_header_t *)s->room;

	word_post(&s->step, 1);
	for (;;) {
		int id;
		uint32_t size;

		s->code = mach_msg_trap(head, MACH_RCV_MSG, 0, sizeof s->room, REQUEST, 0, 0);
		if (s->code != MACH_MSG_SUCCESS)
			return;
		id = head->msgh_id;
		size = id >= ID_SIZE ? (uint32_t)id - ID_SIZE : head->msgh_size;
		if (id == ID_STOP)
			return;
		head->msgh_bits = MACH_MSGH_BITS_REMOTE(head->msgh_bits);
		head->msgh_local_slot = 0;
		head->msgh_id = id + 1;
		s->code = mach_msg_trap(head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, size, 0, 0, 1000, 0);
		if (s->code == MACH_MSG_SUCCESS)
			s->served++;
		if (id >= ID_SIZE) {
			*head = (mach_msg_header_t){ .msgh_bits = COPY_SEND, .msgh_remote_slot = OURS, .msgh_id = 77 };
			s->other_code = mach_msg_trap(head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, 32, 0, 0, 1000, 0);
			word_post(&s->step, s->step + 1);
		}
	}
}

static void server_start(struct server *s, struct child *child, mach_port_t *to, ledger_t ledger)
{
	memset(s, 0, sizeof *s);
	*to = port_new_send();
	s->request = *to;
	s->ours = port_new();
	need(child_start(child, server_main, s,
			 &(struct child_options){ .ledger = ledger, .before = give_ports }), "a server");
	if (!word_await(&s->step, 1, PATIENCE_MS))
		give_up("a server in another task starts");
}

static void calls(void)
{
	struct server *s = shared_alloc(sizeof *s);
	mach_port_t to, reply = port_new();
	struct child child;
	unsigned good = 0;
	struct msg m;

	server_start(s, &child, &to, MACH_PORT_NULL);
	for (unsigned i = 0; i < 1000; i++) {
		msg_begin(&m, COPY_SEND, to, MAKE_ONCE, reply, ID_ECHO);
		msg_add_data(&m, &i, sizeof i);
		if (mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT, m.size, sizeof m.bytes,
				  reply, PATIENCE_MS, 0) != MACH_MSG_SUCCESS)
			break;
		good += m.head.msgh_id == ID_ECHO + 1 && m.head.msgh_seqno == i && m.head.msgh_local_port == reply &&
			memcmp(msg_item(&m, 0) + 1, &i, sizeof i) == 0;
	}
	is(good, 1000, "a thousand calls to another task are answered, each with its own data and number");
	is(port_status(reply).mps_sorights, 0, "no reply right is left");
	msg_begin(&m, COPY_SEND, to, MAKE_ONCE, reply, ID_STOP);
	is_code(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT, m.size, sizeof m.bytes, reply,
			      PATIENCE_MS, 0), MACH_MSG_SUCCESS, "a server that ends without an answer is noticed");
	is(m.head.msgh_id, MACH_NOTIFY_SEND_ONCE, "by a send-once notification");
	ok(child_wait(&child, PATIENCE_MS), "its task has ended");
	msg_begin(&m, COPY_SEND, to, MAKE_ONCE, reply, ID_ECHO);
	is_code(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_RCV_MSG, m.size, sizeof m.bytes, reply, 0, 0),
		MACH_SEND_INVALID_DEST, "and cannot be called any more");
	is(port_type(to), T(DEAD_NAME), "its port is a dead name");
	child_finish(&child);
	port_free(to);
	port_free(s->ours);
	port_free(reply);
	shared_free(s, sizeof *s);
}

/* One request that asks for an answer of so many bytes; the code of our receive. */
static mach_msg_return_t ask(struct server *s, mach_port_t to, mach_port_t reply, uint32_t size, uint32_t room,
			     bool in_one_call, mach_msg_header_t *head)
{
	uint32_t step = s->step;
	mach_msg_return_t code;

	*head = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(COPY_SEND, MAKE_ONCE), .msgh_remote_slot = to,
				     .msgh_local_slot = reply, .msgh_id = ID_SIZE + (int)size };
	if (in_one_call) {
		code = mach_msg_trap(head, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT, 32, room, reply, PATIENCE_MS, 0);
	} else {
		need(mach_msg_trap(head, MACH_SEND_MSG, 32, 0, 0, 0, 0), "a request");
		code = mach_msg_trap(head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, room, reply, PATIENCE_MS, 0);
	}
	if (!word_await(&s->step, step + 1, PATIENCE_MS))
		give_up("a server whose ledger is full goes on");
	return code;
}

static void prepaid_replies(void)
{
	struct server *s = shared_alloc(sizeof *s);
	mach_port_t to, reply = port_new();
	static uint64_t room[24 << 10 >> 3];
	mach_msg_header_t *head = (mach_msg_header_t *)room;
	ledger_t ledger = MACH_PORT_NULL;
	struct child child;
	uint64_t before;

	ledger = ledger_new(test_ledger(), "server");
	server_start(s, &child, &to, ledger);
	memset(room, 0, sizeof room);
	before = used_now(ledger, LEDGER_MESSAGES);
	need(ledger_set_limit(ledger, LEDGER_MESSAGES, before), "a limit of messages");
	need(ledger_set_limit(ledger, LEDGER_KPAGES, used_now(ledger, LEDGER_KPAGES)), "a limit of kernel pages");

	is_code(ask(s, to, reply, 48, sizeof room, true, head), MACH_MSG_SUCCESS,
		"a server whose ledger can hold no message answers");
	is(head->msgh_id, ID_SIZE + 48 + 1, "with its reply");
	is_code(s->code, MACH_MSG_SUCCESS, "its send succeeded");
	is_code(s->other_code, MACH_SEND_NO_BUFFER, "while a message by a send right is denied to it");
	is_code(ask(s, to, reply, 256, sizeof room, false, head), MACH_MSG_SUCCESS, "a prepaid reply has 256 bytes");
	ok(head->msgh_id == ID_SIZE + 256 + 1 && head->msgh_size == 256, "all of them");
	is_code(ask(s, to, reply, 8192, sizeof room, false, head), MACH_MSG_SUCCESS,
		"a longer one is paid by the client's ledger, to 8 KiB");
	ok(head->msgh_id == ID_SIZE + 8192 + 1 && head->msgh_size == 8192, "all of them");
	is_code(ask(s, to, reply, 8200, sizeof room, false, head), MACH_MSG_SUCCESS, "one beyond that is not sent");
	is(head->msgh_id, MACH_NOTIFY_SEND_ONCE, "the client hears that none comes");
	is_code(s->code, MACH_SEND_NO_BUFFER, "and the server that it could not send it");
	is_code(ask(s, to, reply, 20000, sizeof room, true, head), MACH_MSG_SUCCESS,
		"a client that waits in the same call gets as much as its buffer holds");
	ok(head->msgh_id == ID_SIZE + 20000 + 1 && head->msgh_size == 20000, "all of it");
	is(s->served, 4, "four replies were sent in all");
	is(used_now(ledger, LEDGER_MESSAGES), before, "none of them by the server's ledger");

	child_finish(&child);
	need(ledger_terminate(ledger), "the end of a ledger");
	port_free(ledger);
	port_free(to);
	port_free(s->ours);
	port_free(reply);
	shared_free(s, sizeof *s);
}

/* --- whose turn it is --- */

struct sender {
	uint32_t step;
	mach_port_t port;
	mach_msg_return_t code;
	struct msg m;
};

static kern_return_t give_send(struct child *child, void *argument)
{
	struct sender *s = argument;

	return mach_port_insert_right(child->task, REQUEST, s->port, MAKE_SEND);
}

static void sender_main(void *argument)
{
	struct sender *s = argument;

	msg_begin(&s->m, COPY_SEND, REQUEST, 0, 0, 500);
	s->code = msg_send(&s->m, 0, 0);
	word_post(&s->step, 1);
	word_await(&s->step, 2, PATIENCE_MS);
}

static void fair_turns(void)
{
	static struct call calls[4];
	struct sender *s = shared_alloc(sizeof *s);
	mach_port_t port = full_port();
	ledger_t ledger = MACH_PORT_NULL;
	struct child child;
	int second = 0;

	ledger = ledger_new(test_ledger(), "sender");
	for (unsigned i = 0; i < 4; i++) {
		msg_begin(&calls[i].m, COPY_SEND, port, 0, 0, 400 + (int)i);
		call_send(&calls[i], 0, 0);
	}
	s->port = port;
	need(child_start(&child, sender_main, s,
			 &(struct child_options){ .ledger = ledger, .before = give_send }), "a child");
	ok(thread_await_waiting(child.thread, PATIENCE_MS), "a sender of another ledger waits behind four of ours");
	/* One turn at a time: who was woken sends before there is room for the next. */
	for (int i = 0; i < 5; i++) {
		msg_receive_plain(port);
		for (unsigned n = 0; n < PATIENCE_MS && port_status(port).mps_msgcount < MACH_PORT_QLIMIT_DEFAULT; n++)
			thread_sleep(1);
	}
	for (unsigned i = 0; i < 4; i++)
		call_end(&calls[i]);
	ok(word_await(&s->step, 1, PATIENCE_MS), "all have sent");
	msg_receive_plain(port);
	second = msg_receive_plain(port);
	is((uint64_t)second, 500, "the other ledger has the second turn");
	port_free(port);
	child_finish(&child);
	need(ledger_terminate(ledger), "the end of a ledger");
	port_free(ledger);
	shared_free(s, sizeof *s);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	time_outs();
	receivers();
	numbers();
	put_back(true);
	put_back(false);
	large_while_waiting();
	blocked_senders();
	pseudo_receive();
	aborts();
	calls();
	prepaid_replies();
	fair_turns();
	return done_testing();
}
