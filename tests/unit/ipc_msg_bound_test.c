/* SPDX-License-Identifier: BSD-2-Clause */
/* How long a reply may be that its port's ledger pays: 8192 bytes, or what the call has room for that waits for it, or has waited. The same
   for each way that the call goes, and whatever ends its wait; and until something has come, not for ever.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "ipc_msg_fast.h"
#include "x86_64/usercopy.h"

#define BIG 20000u			/* what the call has room for */
#define MOST 32768u

enum way { NEAR, FAR, GENERAL, WAYS };
static const char *const way_names[] = { "near", "far", "general" };

/* What has become of the call. The first ones: its reply is still to come. */
enum ending {
	WAITS, TIMED_OUT, ABORTED, TWO_WAIT, TWO_ABORTED, IN_SET, TOLD, IN_HAND, ANOTHER_CALL_ABORTED, ANOTHER_REPLY_DUE, RIGHT_MOVED,
	OVER,
	ANSWERED = OVER, ANSWERED_LATE, NOTIFIED, MESSAGE, KERNEL_CALL, ENDINGS
};
static const char *const endings[] = {
	"that waits", "that has timed out", "that was aborted", "with another thread on top", "with another thread aborted, too",
	"whose reply port is in a set", "that got a message too large", "with a message in hand", "before another that was aborted",
	"before another with less room", "whose receive right has moved", "that was answered", "that was answered late", "that was told that no reply comes",
	"that got a message instead", "before one of the kernel",
};

static struct thread *other;		/* a thread of the client's task */
static struct thread *stranger;		/* and of another one */
static mach_port_name_t further;	/* the server's name of another reply right */
static uint64_t areas[2];		/* of the server, of the client */

static struct port *reply_port(void)
{
	return test_port_of(client, reply);
}

static uint64_t make_area(struct thread *thread)
{
	uint64_t area = test_allocate(&thread->task->map, 8);

	for (unsigned i = 0; i < 8; i++)
		test_poke(&thread->task->map, area + i * PAGE_SIZE, 0);
	return area;
}

/* The call with room for much, which the server has got. */
static void call(enum way way)
{
	struct call c = plain_request();

	for (unsigned i = 0; i < 3; i++)
		if (!call_is_fast())
			panic("no call before");
	c.buffer = areas[1];
	c.room = BIG;
	c.option |= way == FAR ? MACH_RCV_TIMEOUT : 0u;
	c.timeout = 1000;
	host_heads_read = 0;
	host_fast_off = way == GENERAL;
	if (go(client, &c) != KERN_BLOCKED || was_fast() != (way != GENERAL) || host_heads_read != 1)
		panic("not this way");
	host_fast_off = false;
	if (!served())
		panic("no request");
}

/* A message of so many bytes from the server's area. */
static int64_t send(uint32_t bits, mach_port_name_t remote, uint32_t size, int id)
{
	struct call c = { .bits = bits, .remote = remote, .id = id, .option = MACH_SEND_MSG, .size = size, .buffer = areas[0] };

	test_header(&m, bits, remote, NONE, id);
	test_write(server, areas[0], &m.h, sizeof(m.h));
	return trap(server, &c);
}

static int64_t receive(struct thread *thread, uint32_t option, mach_port_name_t name)
{
	struct call c = { .option = MACH_RCV_MSG | option, .room = MOST, .name = name, .buffer = thread == stranger ? 0 : areas[1] };
	int64_t result = trap(thread, &c);

	if (result == MACH_MSG_SUCCESS)
		test_read(thread, areas[1], &m.h, sizeof(m.h));
	return result;
}

static void wait_beside(void)
{
	if (receive(other, 0, reply) != KERN_BLOCKED)
		panic("another thread does not wait");
}

/* How long a reply may be after the call has come to this. */
static uint32_t come_to(enum ending ending)
{
	mach_port_name_t to_reply, name = NONE;
	uint32_t disposition;
	struct call c;
	struct port *p;

	switch (ending) {
	case WAITS:
		return BIG;
	case TIMED_OUT: case ABORTED:
		wait_cancel(client, ending == TIMED_OUT ? WAIT_TIMED_OUT : WAIT_ABORTED);
		test_run(client);
		return BIG;
	case TWO_WAIT: case TWO_ABORTED:
		wait_beside();
		if (ending == TWO_ABORTED) {
			stop_waiting(client);
			stop_waiting(other);
		}
		return BIG;
	case IN_SET:
		space_allocate(&client->task->space, MACH_PORT_RIGHT_PORT_SET, &name);
		portset_add(test_port_of(client, name), reply_port());
		if (test_run(client) != MACH_RCV_PORT_CHANGED)
			panic("not told of the set");
		portset_remove(reply_port());
		return BIG;
	case TOLD:
		to_reply = test_send_right(server, client, reply);
		if (send(MACH_MSGH_BITS(COPY, 0), to_reply, BIG + 8, 300) != MACH_MSG_SUCCESS || test_run(client) != MACH_RCV_TOO_LARGE)
			panic("not told of a message");
		return REPLY_BOUND_DEFAULT;
	case IN_HAND:
		to_reply = test_send_right(server, client, reply);
		if (send(MACH_MSGH_BITS(COPY, 0), to_reply, 64, 300) != MACH_MSG_SUCCESS || client->state != THREAD_READY)
			panic("no message in hand");
		return BIG;
	case ANOTHER_CALL_ABORTED:
		stop_waiting(client);
		/* It asks for no reply, and has not much room. */
		c = plain_request();
		c.bits = MACH_MSGH_BITS(COPY, 0);
		c.local = NONE;
		if (go(client, &c) != KERN_BLOCKED)
			panic("does not wait");
		stop_waiting(client);
		return BIG;
	case ANOTHER_REPLY_DUE:
		stop_waiting(client);
		server_waits();
		name = once;
		c = plain_request();
		if (go(client, &c) != KERN_BLOCKED || was_fast() || !served())
			panic("no further request");
		stop_waiting(client);
		further = once;
		once = name;
		return BIG;
	case RIGHT_MOVED:
		if (space_take(&client->task->space, reply, MACH_MSG_TYPE_MOVE_RECEIVE, &p, &disposition) != KERN_SUCCESS ||
		    space_insert(&stranger->task->space, p, disposition, &name) != KERN_SUCCESS || test_run(client) != MACH_RCV_PORT_DIED ||
		    msg_reply_bound(p) != BIG)
			panic("the right does not move with its bound");
		if (space_take(&stranger->task->space, name, MACH_MSG_TYPE_MOVE_RECEIVE, &p, &disposition) != KERN_SUCCESS ||
		    space_insert(&client->task->space, p, disposition, &reply) != KERN_SUCCESS)
			panic("the right does not come back");
		return BIG;
	case ANSWERED:
		c = plain_reply();
		if (go(server, &c) != KERN_BLOCKED || !has_got(client, areas[1], 200, 48))
			panic("no answer");
		break;
	case ANSWERED_LATE:
		stop_waiting(client);
		c = plain_reply();
		if (go(server, &c) != KERN_BLOCKED || receive(client, 0, reply) != MACH_MSG_SUCCESS)
			panic("no late answer");
		break;
	case NOTIFIED:
		name_destroy(space_lookup(&server->task->space, once));
		if (test_run(client) != MACH_MSG_SUCCESS)
			panic("no notification");
		break;
	case MESSAGE:
		to_reply = test_send_right(server, client, reply);
		if (send(MACH_MSGH_BITS(COPY, 0), to_reply, 64, 300) != MACH_MSG_SUCCESS || !test_run(client) != !MACH_MSG_SUCCESS)
			panic("no message");
		return REPLY_BOUND_DEFAULT;
	default:
		stop_waiting(client);
		c = plain_request();
		right_make_send(client->task->self);
		if (space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &c.remote) != KERN_SUCCESS)
			panic("no right");
		c.id = 2000;
		c.size = 48;
		if (go(client, &c) != MACH_MSG_SUCCESS)
			panic("no call of the kernel");
		return REPLY_BOUND_DEFAULT;
	}
	/* Another right for a reply, to be received by another call. */
	stop_waiting(server);
	server_waits();
	c = plain_request();
	c.option = MACH_SEND_MSG;
	if (go(client, &c) != MACH_MSG_SUCCESS || !served())
		panic("no further request");
	return REPLY_BOUND_DEFAULT;
}

/* Until the reply, or what comes in its stead. */
static bool gets(int id, uint32_t size)
{
	if (client->state == THREAD_READY)
		test_run(client);
	if (other->state == THREAD_READY)
		test_run(other);
	test_read(client, areas[1], &m.h, sizeof(m.h));
	if (m.h.msgh_id == id && m.h.msgh_size == size)
		return true;
	stop_waiting(client);
	stop_waiting(other);
	while (receive(client, MACH_RCV_TIMEOUT, reply) == MACH_MSG_SUCCESS)
		if (m.h.msgh_id == id && m.h.msgh_size == size)
			return true;
	return false;
}

static void bound(enum ending ending, enum way way, bool longer)
{
	uint32_t expected, size;
	struct port *r;
	int64_t result;

	begin();
	other = test_thread_in(client->task);
	stranger = test_thread(ledger_b);
	areas[0] = make_area(server);
	areas[1] = make_area(client);
	call(way);
	expected = come_to(ending);
	r = reply_port();
	is_u64(msg_reply_bound(r), expected, "a %s call %s: its bound", way_names[way], endings[ending]);
	size = expected + (longer ? 8 : 0);
	result = send(MACH_MSGH_BITS(MOVE_ONCE, 0), once, size, 200);
	ok(result == (longer ? MACH_SEND_NO_BUFFER : MACH_MSG_SUCCESS), "a reply of %u bytes is %s", size, longer ? "refused" : "sent");
	ok(longer ? gets(MACH_NOTIFY_SEND_ONCE, 32) : gets(200, size), "%s comes", longer ? "a notification" : "it");
	stop_waiting(client);
	stop_waiting(other);
	drain(client, reply);
	if (further != NONE) {
		stop_waiting(server);
		use_up(server, further);
		further = NONE;
		drain(client, reply);
	}
	ok(!r->has_bound && msg_reply_bound(r) == REPLY_BOUND_DEFAULT, "and the bound is as ever");
	task_end(stranger->task);
	/* A port whose receive right has moved keeps no message any more. */
	if (!r->keeps_reply && !port_keep_reply(r))
		panic("no message kept");
	stop_waiting(server);
	drain(server, at);
	server_waits();
	if (server->task->space.once.type == 0)
		again();
	for (unsigned i = 0; i < 2; i++)
		if (!call_is_fast())
			ok(false, "the call is not fast afterwards");
	host_heads_read = 0;
	ok(call_is_fast() && (host_heads_read == 2 || r->refs != 1), "and a call goes near");
	end(endings[ending]);
}

/* A server that waits has no part in it: what has room for much is not for replies. */
static void servers(bool aborted)
{
	mach_port_name_t name;
	struct port *p;
	struct call c;

	begin();
	p = test_port_of(server, port);
	if (space_insert(&client->task->space, right_make_send_once(p, ledger_b), MACH_MSG_TYPE_PORT_SEND_ONCE, &name) != KERN_SUCCESS)
		panic("no right");
	for (unsigned i = 0; i < 3; i++) {
		c = plain_request();
		if (go(client, &c) != KERN_BLOCKED || !served())
			panic("no request");
		c = plain_reply();
		c.room = BIG;
		if (go(server, &c) != KERN_BLOCKED || !was_fast() || !answered())
			panic("no reply");
	}
	is_u64(msg_reply_bound(p), REPLY_BOUND_DEFAULT, "a server's wait says nothing of its port's bound");
	if (aborted) {
		wait_cancel(server, WAIT_TIMED_OUT);
		ok(test_run(server) == MACH_RCV_TIMED_OUT && !p->has_bound, "nor does its end");
		server_waits();
		c = plain_request();
		ok(go(client, &c) == KERN_BLOCKED && was_fast() && served() && complete(), "the next request is fast");
	}
	end("servers");
}

int main(void)
{
	system_begin("ipc_msg_bound_test");
	for (enum ending ending = WAITS; ending < ENDINGS; ending++)
		for (enum way way = NEAR; way < WAYS; way++)
			for (unsigned longer = 0; longer < 2; longer++)
				bound(ending, way, longer != 0);
	servers(false);
	servers(true);
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
