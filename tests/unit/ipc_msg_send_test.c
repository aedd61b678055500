/* SPDX-License-Identifier: BSD-2-Clause */
/* mach_msg between tasks: queues, waiting, hand-over, sets, codes.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "support/msg_test.h"

#define COPY MACH_MSG_TYPE_COPY_SEND
#define ONCE MACH_MSG_TYPE_MAKE_SEND_ONCE

static struct ledger *ledger_a, *ledger_b;
static struct thread *client, *server;
static mach_port_name_t port, to_port;
static struct test_message m;

static int64_t send_id(struct thread *thread, mach_port_name_t name, int id, uint32_t option)
{
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, 0), name, NONE, id);

	return test_send(thread, &m, size, option, 0);
}

static void plain(void)
{
	struct port *p = test_port_of(server, port);

	ok(send_id(client, to_port, 7, 0) == MACH_MSG_SUCCESS, "a message is sent");
	is_u64(p->queued, 1, "it is queued");
	is_u64(p->send_rights, 2, "it holds the send right that it was sent by");
	ok(test_receive(server, &m, port, 0) == MACH_MSG_SUCCESS, "it is received");
	is_u64((uint64_t)m.h.msgh_id, 7, "with its id");
	is_u64(m.h.msgh_bits, MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND), "the dispositions have changed places");
	is_u64(m.h.msgh_local_port, port, "the local port is the one received from");
	is_u64(m.h.msgh_size, 32, "the size is told");
	is_u64(p->send_rights, 1, "the message's send right is gone");
	send_id(client, to_port, 8, 0);
	test_receive(server, &m, port, 0);
	is_u64(m.h.msgh_seqno, 1, "sequence numbers count");
	p->has_payload = port_extend(p);
	p->extra->payload = 0x123456789abc;
	send_id(client, to_port, 8, 0);
	test_receive(server, &m, port, 0);
	ok(m.h.msgh_protected_payload == 0x123456789abc &&
	   MACH_MSGH_BITS_LOCAL(m.h.msgh_bits) == MACH_MSG_TYPE_PROTECTED_PAYLOAD, "a payload stands for the port");
	p->has_payload = false;
}

static void codes(void)
{
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 1);

	ok(test_send(client, &m, 24, 0, 0) == MACH_SEND_MSG_TOO_SMALL, "less than a header");
	ok(test_send(client, &m, 36, 0, 0) == MACH_SEND_MSG_TOO_SMALL, "no multiple of 8");
	m.h.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_RECEIVE, 0);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_HEADER, "no send right as destination");
	m.h.msgh_bits = MACH_MSGH_BITS(COPY, 0);
	m.h.msgh_local_port = 5;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_HEADER, "a reply name without a type");
	m.h.msgh_bits = MACH_MSGH_BITS(COPY, COPY);
	m.h.msgh_local_port = 7777;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_REPLY, "a reply name that is none");
	test_header(&m, MACH_MSGH_BITS(COPY, 0), 7777, NONE, 1);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_DEST, "a destination that is none");
	test_header(&m, MACH_MSGH_BITS(COPY, 0), NONE, NONE, 1);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_DEST, "no destination");
	client->regs.rbx += 0x10000000;
	m.h.msgh_remote_port = to_port;
	test_current = client;
	client->regs.rdi = test_buffer(client);
	client->regs.rsi = MACH_SEND_MSG;
	client->regs.rdx = 32;
	ok(test_trap(client) == MACH_SEND_INVALID_DATA, "a message that is not there");
	client->regs.rbx -= 0x10000000;
	ok(test_receive(server, &m, 4242, 0) == MACH_RCV_INVALID_NAME, "receiving from no name");
	ok(test_receive(client, &m, to_port, 0) == MACH_RCV_INVALID_NAME, "receiving by a send right");
	ok(test_receive(server, &m, port, MACH_RCV_TIMEOUT) == MACH_RCV_TIMED_OUT, "nothing to receive, time-out 0");
	test_header(&m, MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND, MACH_MSG_TYPE_MOVE_SEND), to_port, to_port, 1);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_REPLY && test_urefs(client, to_port) == 1,
	   "one user reference cannot be moved twice, and stays");
	test_header(&m, MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND, COPY), to_port, to_port, 1);
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS && test_type(client, to_port) == 0,
	   "the header is atomic: moved and copied from one reference");
	test_receive(server, &m, port, 0);
	is_u64(m.h.msgh_remote_port, port, "the reply right has the receive right's name");
	name_lose_send(space_lookup(&server->task->space, port), 1);
	to_port = test_send_right(client, server, port);
}

static void sizes(void)
{
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 1) + 6000;

	for (unsigned i = 0; i < 750; i++)
		m.body[i] = i * 3;
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "a message of two pages");
	ok(test_mach_msg(server, MACH_RCV_MSG | MACH_RCV_LARGE, 0, 64, port, 0, 0) == MACH_RCV_TOO_LARGE,
	   "too large for the buffer");
	test_received(server, &m);
	is_u64(m.h.msgh_size, size, "its size is told");
	ok(test_receive(server, &m, port, 0) == MACH_MSG_SUCCESS, "it has stayed");
	claim_begin("its bytes arrive");
	for (unsigned i = 0; i < 750; i++)
		claim(m.body[i] == i * 3, "word %u", i);
	claim_end();
	test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 99);
	test_send(client, &m, 64, 0, 0);
	ok(test_mach_msg(server, MACH_RCV_MSG, 0, 48, port, 0, 0) == MACH_RCV_TOO_LARGE, "without MACH_RCV_LARGE too");
	test_received(server, &m);
	ok(m.h.msgh_id == 99 && m.h.msgh_local_port == port && m.h.msgh_remote_port == NONE, "the header comes alone");
	ok(test_receive(server, &m, port, MACH_RCV_TIMEOUT) == MACH_RCV_TIMED_OUT, "the message is destroyed");
	ok(test_mach_msg(client, MACH_SEND_MSG, KMSG_SIZE_MAX + 8, 0, NONE, 0, 0) == MACH_SEND_NO_BUFFER, "longer than any");
}

/* What messages of all lengths are kept in, and what is charged for that. */
static void memory(void)
{
	static const struct { uint32_t size, elements, pages; } kinds[] = {
		{ 24, 1, 0 }, { 104, 1, 0 }, { 112, 1, 0 }, { 120, 2, 0 }, { 256, 2, 0 }, { 264, 1, 1 }, { 4096, 1, 1 },
		{ 4104, 1, 2 }, { 28 * 4096, 1, 28 }, { 28 * 4096 + 8, 2, 29 }, { KMSG_SIZE_MAX, 2, 64 },
	};
	uint64_t messages = host_used(ledger_a, LEDGER_MESSAGES), pages = host_used(ledger_a, LEDGER_KPAGES);
	static uint64_t bytes[KMSG_SIZE_MAX / 8];

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint32_t size = kinds[i].size, done = 0;
		struct kmsg *kmsg = kmsg_alloc(size, ledger_a);

		claim_begin("a message of %u bytes", size);
		claim(host_used(ledger_a, LEDGER_MESSAGES) == messages + kinds[i].elements, "elements");
		claim(host_used(ledger_a, LEDGER_KPAGES) == pages + kinds[i].pages, "pages");
		claim(kmsg_capacity(kmsg) >= size, "room for it");
		for (uint32_t w = 0; w < size / 8; w++)
			bytes[w] = w * 0x9e3779b97f4a7c15 + i;
		kmsg_write(kmsg, bytes, size);
		for (uint32_t w = 0; w < size / 8; w++)
			claim(*(uint64_t *)kmsg_at(kmsg, w * 8) == bytes[w], "word %u", w);
		while (done < size) {
			claim(memcmp(kmsg_at(kmsg, done), (char *)bytes + done, kmsg_contiguous(kmsg, done)) == 0, "from %u on", done);
			done += kmsg_contiguous(kmsg, done);
		}
		claim(done == size, "the pieces are the whole");
		kmsg_free(kmsg);
		claim(host_used(ledger_a, LEDGER_MESSAGES) == messages && host_used(ledger_a, LEDGER_KPAGES) == pages, "given back");
		claim_end();
	}
	for (uint64_t left = 0; left < 2; left++) {
		ledger_limit(ledger_a, LEDGER_MESSAGES, messages + left);
		ok(kmsg_alloc(200, ledger_a) == NULL && host_used(ledger_a, LEDGER_MESSAGES) == messages,
		   "a message of two elements where there is room for %u is denied, and nothing kept", (unsigned)left);
	}
	ledger_limit(ledger_a, LEDGER_MESSAGES, LEDGER_UNLIMITED);
}

static void handover(void)
{
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 5);
	unsigned handoffs = test_handoffs;

	ok(test_receive(server, &m, port, 0) == KERN_BLOCKED, "the server waits");
	test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 5);
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "a message is sent to it");
	is_u64(test_handoffs, handoffs + 1, "the CPU is handed over");
	is_u64(test_port_of(server, port)->queued, 0, "no queue is touched");
	ok(test_run(server) == MACH_MSG_SUCCESS, "the server has it");
	test_received(server, &m);
	is_u64((uint64_t)m.h.msgh_id, 5, "this one");
	test_receive(server, &m, port, 0);
	wait_cancel(server, WAIT_ABORTED);
	ok(test_run(server) == MACH_RCV_INTERRUPTED, "a receive is interrupted");
	test_mach_msg(server, MACH_RCV_MSG | MACH_RCV_LARGE, 0, 40, port, 0, 0);
	test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 6);
	test_send(client, &m, 64, 0, 0);
	ok(test_run(server) == MACH_RCV_TOO_LARGE, "a waiting receiver is told of a message too large for it");
	is_u64(test_port_of(server, port)->queued, 1, "which stays");
	test_receive(server, &m, port, 0);
	is_u64((uint64_t)m.h.msgh_id, 6, "and comes next");
}

static void rpc(void)
{
	mach_port_name_t reply = test_port(client), once;
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, ONCE), to_port, reply, 100);

	test_receive(server, &m, port, 0);
	test_header(&m, MACH_MSGH_BITS(COPY, ONCE), to_port, reply, 100);
	test_write(client, test_buffer(client), &m, size);
	ok(test_mach_msg(client, MACH_SEND_MSG | MACH_RCV_MSG, size, 256, reply, 0, 0) == KERN_BLOCKED, "the client waits");
	ok(test_run(server) == MACH_MSG_SUCCESS, "the server gets the request");
	test_received(server, &m);
	once = m.h.msgh_remote_port;
	is_u64(test_type(server, once), MACH_PORT_TYPE_SEND_ONCE, "with a send-once right");
	size = test_header(&m, MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0), once, NONE, 200);
	test_write(server, test_buffer(server), &m, size);
	ok(test_mach_msg(server, MACH_SEND_MSG | MACH_RCV_MSG, size, 256, port, 0, 0) == KERN_BLOCKED,
	   "it answers and waits for the next");
	ok(test_run(client) == MACH_MSG_SUCCESS, "the client gets the answer");
	test_received(client, &m);
	ok(m.h.msgh_id == 200 && m.h.msgh_local_port == reply, "on its reply port");
	is_u64(test_port_of(client, reply)->send_once_rights, 0, "the right is used up");
	ok(LIST_EMPTY(&test_port_of(client, reply)->prepaid), "and its message");
	wait_cancel(server, WAIT_ABORTED);
	test_run(server);
	name_destroy(space_lookup(&client->task->space, reply));
}

static void full_queue(void)
{
	struct port *p = test_port_of(server, port);
	struct thread *b[3], *c[2];
	mach_port_name_t to_b[3], to_c[2];
	struct task *other;
	int order[5] = { 0 };

	for (unsigned i = 0; i < p->qlimit; i++)
		send_id(client, to_port, (int)i, 0);
	ok(send_id(client, to_port, 10, MACH_SEND_TIMEOUT) == MACH_SEND_TIMED_OUT, "a full queue, time-out 0");
	test_read(client, test_buffer(client), &m, 32);
	ok(m.h.msgh_bits == MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND, 0) && m.h.msgh_remote_port == to_port &&
	   test_urefs(client, to_port) == 2, "the message came back: a copied right is a moved one more");
	name_lose_send(space_lookup(&client->task->space, to_port), 1);
	ok(send_id(client, to_port, 10, MACH_SEND_NOTIFY) == MACH_SEND_INVALID_NOTIFY, "MACH_SEND_NOTIFY wants a receive right");
	name_lose_send(space_lookup(&client->task->space, to_port), 1);
	other = NULL;
	for (unsigned i = 0; i < 3; i++) {
		b[i] = other == NULL ? test_thread(ledger_a) : test_thread_in(other);
		other = b[0]->task;
		to_b[i] = i == 0 ? test_send_right(b[0], server, port) : to_b[0];
		ok(send_id(b[i], to_b[i], 20 + (int)i, 0) == KERN_BLOCKED, "sender %u of ledger a waits", i);
	}
	other = NULL;
	for (unsigned i = 0; i < 2; i++) {
		c[i] = other == NULL ? test_thread(ledger_b) : test_thread_in(other);
		other = c[0]->task;
		to_c[i] = i == 0 ? test_send_right(c[0], server, port) : to_c[0];
		ok(send_id(c[i], to_c[i], 30 + (int)i, 0) == KERN_BLOCKED, "sender %u of ledger b waits", i);
	}
	is_u64(p->queued, p->qlimit, "nothing of theirs is queued");
	for (unsigned i = 0; i < p->qlimit; i++) {
		test_receive(server, &m, port, 0);
		for (unsigned j = 0; j < 3; j++)
			if (b[j]->state == THREAD_READY)
				ok(test_run(b[j]) == MACH_MSG_SUCCESS, "sender of ledger a sends");
		for (unsigned j = 0; j < 2; j++)
			if (c[j]->state == THREAD_READY)
				ok(test_run(c[j]) == MACH_MSG_SUCCESS, "sender of ledger b sends");
	}
	for (unsigned i = 0; i < 5; i++) {
		test_receive(server, &m, port, MACH_RCV_TIMEOUT);
		order[i] = m.h.msgh_id;
	}
	ok(order[0] == 20 && order[1] == 30 && order[2] == 21 && order[3] == 31 && order[4] == 22,
	   "ledgers take turns: %d %d %d %d %d", order[0], order[1], order[2], order[3], order[4]);
	test_task_end(b[0]->task);
	test_task_end(c[0]->task);
}

static void cancelled_senders(void)
{
	struct port *p = test_port_of(server, port);
	struct thread *b[4], *stranger = test_thread(ledger_b);
	mach_port_name_t to_b, to_s = test_send_right(stranger, server, port);

	for (unsigned i = 0; i < p->qlimit; i++)
		send_id(client, to_port, (int)i, 0);
	b[0] = test_thread(ledger_a);
	to_b = test_send_right(b[0], server, port);
	for (unsigned i = 0; i < 4; i++) {
		b[i] = i == 0 ? b[0] : test_thread_in(b[0]->task);
		send_id(b[i], to_b, 20 + (int)i, 0);
	}
	wait_cancel(b[0], WAIT_ABORTED);
	ok(test_run(b[0]) == MACH_SEND_INTERRUPTED, "the leader of a ledger's senders is interrupted");
	is_u64(test_urefs(b[0], to_b), 2, "its message came back");
	wait_cancel(b[2], WAIT_KILLED);
	test_receive(server, &m, port, 0);
	ok(b[1]->state == THREAD_READY && b[3]->state == THREAD_WAITING, "the next has its turn");
	ok(p->queued == p->qlimit && send_id(client, to_port, 50, MACH_SEND_TIMEOUT) == MACH_SEND_TIMED_OUT,
	   "the room is kept for it: a newcomer does not get it");
	ok(test_run(b[1]) == MACH_MSG_SUCCESS && p->queued == p->qlimit, "the woken one does");
	test_receive(server, &m, port, 0);
	ok(b[3]->state == THREAD_READY && send_id(stranger, to_s, 51, 0) == MACH_MSG_SUCCESS,
	   "one of a ledger that has nobody waiting may use it, while the woken one has not run");
	ok(test_run(b[3]) == KERN_BLOCKED && p->queued == p->qlimit, "who waits again");
	name_destroy(space_lookup(&server->task->space, port));
	ok(test_run(b[3]) == MACH_SEND_INVALID_DEST, "the port dies: a blocked sender finds it dead");
	b[2]->state = THREAD_RUNNING;
	test_task_end(b[0]->task);
	test_task_end(stranger->task);
	port = test_port(server);
	name_destroy(space_lookup(&client->task->space, to_port));
	to_port = test_send_right(client, server, port);
}

/* Room that a woken sender does not take goes to the next, also when only a set listens. */
static void room_passed_on(void)
{
	mach_port_name_t set = NONE, own = test_port(server), to_b;
	struct port *p = test_port_of(server, own);
	struct thread *b[4];

	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), p);
	b[0] = test_thread(ledger_a);
	to_b = test_send_right(b[0], server, own);
	p->qlimit = 1;
	for (unsigned i = 0; i < 4; i++) {
		b[i] = i == 0 ? b[0] : test_thread_in(b[0]->task);
		if (i < 3)
			send_id(b[i], to_b, 40 + (int)i, 0);
	}
	ok(p->is_blocked && b[1]->state == THREAD_WAITING, "a full member of a set has blocked senders");
	test_receive(server, &m, set, 0);
	ok(m.h.msgh_id == 40 && b[1]->state == THREAD_READY && b[2]->state == THREAD_WAITING, "room for one wakes one");
	ok(test_receive(server, &m, set, 0) == KERN_BLOCKED, "the set's receiver waits");
	b[1]->wait.kind = NULL;
	b[1]->state = THREAD_DEAD;
	msg_abandon(b[1]);
	ok(b[2]->state == THREAD_READY, "the woken sender is killed: the next has its room");
	ok(test_run(b[2]) == MACH_MSG_SUCCESS && test_run(server) == MACH_MSG_SUCCESS, "and is received");
	p->qlimit = 0;
	ok(send_id(b[3], to_b, 50, 0) == KERN_BLOCKED, "no queue at all, nobody listens: the sender waits");
	b[3]->suspend_count = 1;
	ok(test_receive(server, &m, set, 0) == KERN_BLOCKED && !p->is_blocked, "a suspended sender is let try");
	b[3]->suspend_count = 0;
	ok(test_run(b[3]) == MACH_MSG_SUCCESS && test_run(server) == MACH_MSG_SUCCESS, "and is received once resumed");
	b[1]->state = b[2]->state = THREAD_RUNNING;
	test_task_end(b[0]->task);
	name_destroy(space_lookup(&server->task->space, own));
	name_destroy(space_lookup(&server->task->space, set));
}

/* A sender that was woken for room here and then sends elsewhere: the room is the next one's. */
static void room_not_wanted(void)
{
	mach_port_name_t own = test_port(server), elsewhere = test_port(server), to_own, to_elsewhere;
	struct port *p = test_port_of(server, own);
	struct thread *b[3];
	uint32_t size;

	b[0] = test_thread(ledger_a);
	b[1] = test_thread_in(b[0]->task);
	b[2] = test_thread_in(b[0]->task);
	to_own = test_send_right(b[0], server, own);
	to_elsewhere = test_send_right(b[0], server, elsewhere);
	p->qlimit = 1;
	for (unsigned i = 0; i < 3; i++)
		send_id(b[i], to_own, 60 + (int)i, 0);
	size = test_header(&m, MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0), to_elsewhere, NONE, 70);
	test_write(b[1], test_buffer(b[1]), &m, size);
	test_receive(server, &m, own, 0);
	ok(b[1]->state == THREAD_READY && b[2]->state == THREAD_WAITING, "room for one wakes one again");
	ok(test_run(b[1]) == MACH_MSG_SUCCESS, "who sends to another port instead");
	ok(b[2]->state == THREAD_READY, "the next has the room");
	ok(test_run(b[2]) == MACH_MSG_SUCCESS && p->queued == 1, "and uses it");
	test_task_end(b[0]->task);
	name_destroy(space_lookup(&server->task->space, own));
	name_destroy(space_lookup(&server->task->space, elsewhere));
}

/* More senders woken at once than 16 bits can count. Their threads do nothing but wait and be woken. */
static void very_many(void)
{
	enum { MANY = (1 << 16) + 3 };
	static const struct wait_kind waiting = { "test", NULL, NULL, false };
	mach_port_name_t own = test_port(server);
	struct port *p = test_port_of(server, own);
	struct thread *threads = calloc(MANY, sizeof(*threads));

	for (unsigned i = 0; i < MANY; i++) {
		threads[i].task = client->task;
		threads[i].state = THREAD_WAITING;
		threads[i].wait.kind = &waiting;
		mqueue_sender_add(p, &threads[i], false);
	}
	for (unsigned i = 0; i < MANY; i++)
		mqueue_receiver_waits(p);
	ok(threads[MANY - 1].msg.room == p && mqueue_full(p) && p->queued == MANY, "a port promises room to more than 65536 woken senders");
	for (unsigned i = 0; i < MANY; i++)
		mqueue_room_return(&threads[i], true);
	ok(p->queued == 0 && !mqueue_full(p), "who all give it back");
	free(threads);
	name_destroy(space_lookup(&server->task->space, own));
}

static void sets(void)
{
	mach_port_name_t set = NONE, p2 = test_port(server), to_p2 = test_send_right(client, server, p2);
	struct thread *second = test_thread_in(server->task);
	int seen[4];

	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), test_port_of(server, port));
	ok(test_receive(server, &m, port, MACH_RCV_TIMEOUT) == MACH_RCV_IN_SET, "a member is not received from alone");
	send_id(client, to_p2, 21, 0);
	send_id(client, to_p2, 22, 0);
	portset_add(test_port_of(server, set), test_port_of(server, p2));
	send_id(client, to_port, 11, 0);
	send_id(client, to_port, 12, 0);
	for (unsigned i = 0; i < 4; i++) {
		test_receive(server, &m, set, MACH_RCV_TIMEOUT);
		seen[i] = m.h.msgh_id;
	}
	ok(seen[0] == 21 && seen[1] == 11 && seen[2] == 22 && seen[3] == 12, "members take turns: %d %d %d %d", seen[0],
	   seen[1], seen[2], seen[3]);
	is_u64(m.h.msgh_local_port, port, "the member's name is told");
	test_receive(server, &m, set, 0);
	test_receive(second, &m, set, 0);
	send_id(client, to_port, 13, 0);
	ok(second->state == THREAD_READY && server->state == THREAD_WAITING, "the last to sleep is woken first");
	test_run(second);
	portset_remove(test_port_of(server, p2));
	send_id(client, to_p2, 23, 0);
	ok(server->state == THREAD_WAITING, "who left the set does not wake it");
	portset_add(test_port_of(server, set), test_port_of(server, p2));
	ok(test_run(server) == MACH_MSG_SUCCESS, "who joins with a message does");
	test_receive(server, &m, set, 0);
	name_destroy(space_lookup(&server->task->space, set));
	ok(test_run(server) == MACH_RCV_PORT_DIED, "the set dies");
	test_receive(server, &m, port, 0);
	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), test_port_of(server, port));
	ok(test_run(server) == MACH_RCV_PORT_CHANGED, "a port moved into a set tells its receivers");
	test_thread_end(second);
	test_receive(server, &m, set, 0);
	second = test_thread_in(server->task);
	test_receive(second, &m, set, 0);
	send_id(client, to_port, 77, 0);
	test_thread_end(second);
	ok(test_run(server) == MACH_MSG_SUCCESS, "a receiver that is killed with a message in hand passes it on");
	name_destroy(space_lookup(&server->task->space, set));
}

int main(void)
{
	tap_begin("ipc_msg_send_test");
	test_msg_init(4096);
	ledger_a = test_ledger("a");
	ledger_b = test_ledger("b");
	client = test_thread(ledger_a);
	server = test_thread(ledger_b);
	port = test_port(server);
	to_port = test_send_right(client, server, port);
	plain();
	codes();
	sizes();
	memory();
	handover();
	rpc();
	full_queue();
	cancelled_senders();
	room_passed_on();
	room_not_wanted();
	very_many();
	sets();
	return test_pair_end(client, server, ledger_a, ledger_b);
}
