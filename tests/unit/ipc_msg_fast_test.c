/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path of mach_msg: what goes by it, and that whatever it is not made for leaves it, untouched.
   SOURCES: kernel/vm/tree.c
   SOURCES: kernel/mem/page.c kernel/mem/fresh.c kernel/mem/zone.c kernel/mem/slab.c kernel/mem/zone_debug.c kernel/mem/ledger.c kernel/mem/ledger_tree.c kernel/mem/radix.c kernel/mem/reap.c kernel/mem/audit.c kernel/vm/object.c kernel/vm/collapse.c kernel/vm/entry.c kernel/vm/map.c kernel/vm/fault.c kernel/vm/protect.c kernel/vm/fork.c kernel/vm/copy.c kernel/vm/copyout.c kernel/vm/copyio.c kernel/ipc/port.c kernel/ipc/portset.c kernel/ipc/ready.c kernel/ipc/throttle.c kernel/ipc/right.c kernel/ipc/name.c kernel/ipc/space.c kernel/ipc/notify.c kernel/ipc/kmsg.c kernel/ipc/port_array.c kernel/ipc/kmsg_copyin.c kernel/ipc/kmsg_copyout.c kernel/ipc/mqueue.c kernel/ipc/mach_msg.c kernel/ipc/msg_fast.c kernel/ipc/msg_plain.c kernel/ipc/msg_right.c kernel/ipc/msg_send.c kernel/ipc/krpc.c kernel/ipc/krpc_later.c kernel/ipc/krpc_plain.c kernel/kern/exception.c */
#include <stdio.h>
#include "ipc_msg_fast.h"
#include <mach/exception.h>
#include "x86_64/usercopy.h"

#define DEAD_MEMBERS 300

enum side { REQUEST, REPLY };
static const char *const side_name[] = { "request", "reply" };
static uint64_t area;			/* of the receiver of prepare */

static struct thread *sender_of(enum side side)
{
	return side == REQUEST ? client : server;
}

static struct thread *receiver_of(enum side side)
{
	return side == REQUEST ? server : client;
}

/* What a case ends with. */
static void settle(bool good, const char *what, const char *more)
{
	ok(good, "%s%s", what, more);
	check_all();
	if (client->state != THREAD_RUNNING || server->state != THREAD_WAITING)
		recover();
	ok(call_is_fast(), "%s%s: afterwards the plain call is fast", what, more);
	end(what);
}

/* The plain call, up to the message of this side, which the other side waits for in this way. */
static struct call prepare(enum side side, uint32_t option, uint32_t room, uint64_t offset)
{
	struct call c;

	begin();
	area = test_allocate(&receiver_of(side)->task->map, 4);
	for (unsigned i = 0; i < 3; i++)
		test_poke(&receiver_of(side)->task->map, area + i * PAGE_SIZE, 0);
	if (side == REPLY) {
		c = plain_request();
		c.option |= option;
		c.room = room;
		c.buffer = area + offset;
		c.notify = reply;
		if (go(client, &c) != KERN_BLOCKED || !served())
			panic("no request");
		return plain_reply();
	}
	stop_waiting(server);
	c = plain_receive(at);
	c.option |= option;
	c.room = room;
	c.buffer = area + offset;
	c.notify = port;
	c.timeout = 1000;
	if (trap(server, &c) != KERN_BLOCKED)
		panic("does not wait");
	return plain_request();
}

static struct call prepare_plain(enum side side)
{
	return prepare(side, 0, ROOM, 0);
}

static bool arrives_at(enum side side, uint64_t offset)
{
	return side == REQUEST ? served_as(area + offset, 100, 40) : has_got(client, area + offset, 200, 48);
}

static bool arrives(enum side side)
{
	return arrives_at(side, 0);
}

/* The message goes the general way; the sender waits then. */
static bool goes_slowly(enum side side, const struct call *c)
{
	return go(sender_of(side), c) == KERN_BLOCKED && !was_fast();
}

/* -- what is fast -- */

/* One pass: nothing is allocated, charged or queued, and the sender waits with nothing in hand. */
static bool passes_without_trace(struct thread *thread, const struct call *c)
{
	struct kmsg *kept = LIST_FIRST(&test_port_of(client, reply)->prepaid);
	struct port *ports[] = { test_port_of(server, port), test_port_of(client, reply) };
	char *snapshot = host_snapshot();
	uint64_t before_a[LEDGER_RESOURCES], before_b[LEDGER_RESOURCES];
	bool good;

	test_usage(ledger_a, before_a);
	test_usage(ledger_b, before_b);
	good = go(thread, c) == KERN_BLOCKED && was_fast();
	good = host_unchanged(snapshot) && test_same_usage(ledger_a, before_a) && test_same_usage(ledger_b, before_b) && good;
	for (unsigned i = 0; i < 2; i++)
		good = good && TAILQ_EMPTY(&ports[i]->messages) && ports[i]->message_count == 0 && ports[i]->queued == 0;
	return good && kept != NULL && LIST_FIRST(&ports[1]->prepaid) == kept && LIST_NEXT(kept, prepaid_link) == NULL &&
	       thread->state == THREAD_WAITING && thread->msg.kmsg == NULL && thread->msg.room == NULL;
}

static void plain(uint32_t size)
{
	struct call c;
	struct port *p, *r;
	uint32_t seqno, reply_seqno, sends;
	uint64_t numbers[4];
	mach_port_name_t spare;
	uint8_t beyond[16];

	begin();
	p = test_port_of(server, port);
	r = test_port_of(client, reply);
	seqno = p->sequence;
	reply_seqno = r->sequence;
	sends = p->send_rights;
	spare = server->task->space.once.name;
	numbers[0] = client->task->messages_sent;
	numbers[1] = client->task->messages_received;
	numbers[2] = server->task->messages_sent;
	numbers[3] = server->task->messages_received;
	memset(beyond, 0xee, sizeof(beyond));
	test_write(server, test_buffer(server) + size, beyond, 16);
	c = plain_request();
	c.size = size;
	ok(passes_without_trace(client, &c), "a request of %u bytes is fast and leaves no trace", size);
	ok(served_as(0, 100, size), "the server has it");
	ok(m.h.msgh_bits == MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND) &&
	   m.h.msgh_remote_slot == spare && m.h.msgh_local_slot == port && m.h.msgh_seqno == seqno,
	   "with the dispositions, the reply right, its own port and the sequence number");
	test_read(server, test_buffer(server) + size, beyond, 16);
	ok(beyond[0] == 0xee && beyond[15] == 0xee, "and nothing behind it");
	ok(test_type(server, once) == MACH_PORT_TYPE_SEND_ONCE && test_urefs(server, once) == 1 && test_port_of(server, once) == r,
	   "the reply right is one, in the space's own entry");
	ok(r->send_once_rights == 1 && !r->spare_prepaid && r->reply_bound == ROOM && p->send_rights == sends &&
	   p->reply_bound == 0, "the rights are counted, the bound is the client's");
	check_all();
	test_write(client, test_buffer(client) + size + 8, beyond, 16);
	c = plain_reply();
	c.size = size == 256 ? 256 : size + 8;
	ok(passes_without_trace(server, &c), "a reply of %u bytes is fast and leaves no trace", c.size);
	ok(has_got(client, 0, 200, c.size), "the client has it");
	ok(m.h.msgh_bits == MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE) && m.h.msgh_remote_slot == 0 &&
	   m.h.msgh_local_slot == reply && m.h.msgh_seqno == reply_seqno,
	   "with the disposition, no right, its own port and the sequence number");
	test_read(client, test_buffer(client) + size + 8, beyond, 16);
	ok(size == 256 || (beyond[0] == 0xee && beyond[15] == 0xee), "and nothing behind it");
	ok(test_type(server, once) == 0 && server->task->space.once.type == NAME_SPARE && r->send_once_rights == 0 &&
	   r->spare_prepaid && r->reply_bound == 0, "the reply right is used up, its message at home");
	ok(p->sequence == seqno + 1 && r->sequence == reply_seqno + 1, "both have counted one");
	ok(client->task->messages_sent == numbers[0] + 1 && client->task->messages_received == numbers[1] + 1 &&
	   server->task->messages_sent == numbers[2] + 1 && server->task->messages_received == numbers[3] + 1,
	   "as have the tasks");
	check_all();
	end("plain");
}

/* A server that waits at a set is told the member; a receiver with a time-out or MACH_RCV_LARGE is as good as any; a bigger
   buffer of the receiver may lie across pages where the message does not. */
static void plain_too(void)
{
	mach_port_name_t set = NONE;
	struct call c = prepare(REQUEST, MACH_RCV_LARGE | MACH_RCV_TIMEOUT, 2 * PAGE_SIZE, 8);

	ok(go(client, &c) == KERN_BLOCKED && was_fast() && arrives_at(REQUEST, 8), "a longer buffer, with other options");
	complete();
	recover();
	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), test_port_of(server, port));
	test_run(server);
	at = set;
	server_waits();
	ok(call_is_fast() && m.h.msgh_local_port == reply, "a server that waits at a set");
	c = plain_request();
	go(client, &c);
	ok(served() && m.h.msgh_local_port == port, "is told the member");
	complete();
	end("plain, set");
	begin();
	c = plain_request();
	c.room = 0;
	ok(go(client, &c) == KERN_BLOCKED && was_fast() && served(), "a client without room waits all the same");
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && test_run(client) == MACH_RCV_TOO_LARGE, "and is told");
	ok(!test_port_of(client, reply)->spare_prepaid, "the message of a reply that is destroyed goes with it");
	again();
	settle(test_port_of(client, reply)->spare_prepaid, "the next call's stays again", "");
}

/* Client and server in one task, with the same port for requests and replies. */
static void one_port(void)
{
	struct thread *other;
	struct call c;
	mach_port_name_t right;

	begin();
	stop_waiting(server);
	other = test_thread_in(client->task);
	c = plain_receive(reply);
	trap(other, &c);
	right = test_send_right(client, client, reply);
	c = plain_request();
	c.remote = right;
	go(client, &c);
	/* The first reply right of the space is not fast. */
	test_run(other);
	test_received(other, &m);
	ok(m.h.msgh_id == 100 && m.h.msgh_local_port == reply, "a thread calls another by its own reply port");
	c = plain_reply();
	c.remote = m.h.msgh_remote_port;
	c.name = reply;
	ok(go(other, &c) == KERN_BLOCKED && answered(), "is answered");
	c = plain_request();
	c.remote = right;
	ok(go(client, &c) == KERN_BLOCKED && was_fast() && test_run(other) == MACH_MSG_SUCCESS, "fast the next time");
	is_u64(test_port_of(client, reply)->reply_bound, 0, "the bound of a reply goes with the next message received");
	stop_waiting(client);
	test_received(other, &m);
	name_destroy(space_lookup(&client->task->space, m.h.msgh_remote_port));
	drain(client, reply);
	server_waits();
	settle(true, "one port", "");
}

/* The reply's bound belongs to what is received next at its port, whatever that is. */
static void bounds(void)
{
	mach_port_name_t to_reply;
	struct call c;

	begin();
	to_reply = test_send_right(server, client, reply);
	c = plain_request();
	c.room = 4096;
	go(client, &c);
	served();
	is_u64(test_port_of(client, reply)->reply_bound, 4096, "a call sets the bound of its reply");
	c = plain_request();
	c.remote = to_reply;
	c.local = c.name = test_port(server);
	port_keep_reply(test_port_of(server, c.local));
	/* The client's space has no entry of its own yet. */
	go(server, &c);
	has_got(client, 0, 100, 40);
	is_u64(test_port_of(client, reply)->reply_bound, 0, "a request that comes there instead ends that");
	use_up(client, m.h.msgh_remote_port);
	stop_waiting(server);
	drain(server, c.local);
	use_up(server, once);
	drain(client, reply);
	server_waits();
	c = plain_request();
	c.room = 4096;
	go(client, &c);
	served();
	c = plain_request();
	c.remote = to_reply;
	c.local = c.name = test_port(server);
	port_keep_reply(test_port_of(server, c.local));
	ok(go(server, &c) == KERN_BLOCKED && was_fast(), "when it is fast");
	has_got(client, 0, 100, 40);
	is_u64(test_port_of(client, reply)->reply_bound, 0, "too");
	name_destroy(space_lookup(&client->task->space, m.h.msgh_remote_port));
	stop_waiting(server);
	settle(true, "bounds", "");
}

/* -- options, sizes, bits -- */

static void options(enum side side)
{
	struct call c;
	char text[64];

	for (unsigned bit = 0; bit < 32; bit++) {
		c = prepare_plain(side);
		snprintf(text, sizeof(text), "a %s %s option bit %u", side_name[side], bit < 2 ? "without" : "with", bit);
		c.option ^= 1u << bit;
		c.timeout = 1000;
		c.notify = side == REQUEST ? reply : port;
		if (1u << bit == MACH_RCV_TIMEOUT)
			ok(go(sender_of(side), &c) == KERN_BLOCKED && was_fast() && arrives(side) &&
			   sender_of(side)->wait.deadline_ns == 1000, "%s is fast, and waits so long", text);
		else if (bit >= 2)
			ok(goes_slowly(side, &c) && arrives(side), "%s arrives", text);
		else if (bit == 0)
			ok(goes_slowly(side, &c) && receiver_of(side)->state == THREAD_WAITING, "%s is no %s", text, side_name[side]);
		else
			ok(go(sender_of(side), &c) == MACH_MSG_SUCCESS && !was_fast() && arrives(side), "%s only sends", text);
		recover();
		settle(true, text, "");
	}
	c = prepare_plain(side);
	c.option |= MACH_RCV_TIMEOUT;
	c.timeout = 0;
	ok(go(sender_of(side), &c) == MACH_RCV_TIMED_OUT && !was_fast() && arrives(side), "a %s that waits for no time arrives",
	   side_name[side]);
	recover();
	settle(true, side_name[side], " without time");
}

static void sizes(enum side side)
{
	static const uint32_t bad[] = { 0, 8, 24, 31, 33, 36, 255, 257, 260 };
	struct call c;
	char text[64];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		c = prepare_plain(side);
		snprintf(text, sizeof(text), "a %s of %u bytes", side_name[side], bad[i]);
		c.size = bad[i];
		ok(go(sender_of(side), &c) == MACH_SEND_MSG_TOO_SMALL && !was_fast() && receiver_of(side)->state == THREAD_WAITING,
		   "%s is refused", text);
		c.size = side == REQUEST ? 40 : 48;
		settle(go(sender_of(side), &c) == KERN_BLOCKED && was_fast() && arrives(side), text, ": one that fits is fast");
	}
	c = prepare_plain(side);
	c.size = 264;
	if (!goes_slowly(side, &c))
		ok(false, "264 bytes are not fast");
	settle(has_got(receiver_of(side), area, c.id, 264), "a message of 264 bytes arrives: ", side_name[side]);
}

struct bits_case {
	uint32_t bits;
	int64_t result;			/* KERN_BLOCKED: it is sent */
	const char *what;
};

static void request_bits(void)
{
	static const struct bits_case cases[] = {
		{ MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND, ONCE), KERN_BLOCKED, "by a moved send right" },
		{ MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, ONCE), MACH_SEND_INVALID_DEST, "by a made send right" },
		{ MACH_MSGH_BITS(ONCE, ONCE), MACH_SEND_INVALID_DEST, "by a made send-once right" },
		{ MACH_MSGH_BITS(MOVE_ONCE, ONCE), MACH_SEND_INVALID_DEST, "by a moved send-once right" },
		{ MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_RECEIVE, ONCE), MACH_SEND_INVALID_HEADER, "by a receive right" },
		{ MACH_MSGH_BITS(0, ONCE), MACH_SEND_INVALID_HEADER, "by nothing" },
		{ MACH_MSGH_BITS(COPY, MACH_MSG_TYPE_MAKE_SEND), KERN_BLOCKED, "with a send right for the reply" },
		{ MACH_MSGH_BITS(COPY, COPY), MACH_SEND_INVALID_REPLY, "with a copied send right for the reply" },
		{ MACH_MSGH_BITS(COPY, MACH_MSG_TYPE_MOVE_SEND), MACH_SEND_INVALID_REPLY, "with a moved send right for the reply" },
		{ MACH_MSGH_BITS(COPY, MOVE_ONCE), MACH_SEND_INVALID_REPLY, "with a moved send-once right for the reply" },
		{ MACH_MSGH_BITS(COPY, MACH_MSG_TYPE_MOVE_RECEIVE), MACH_SEND_INVALID_HEADER, "with a receive right for the reply" },
		{ MACH_MSGH_BITS(COPY, 0), MACH_SEND_INVALID_HEADER, "with a reply name and no type for it" },
		{ MACH_MSGH_BITS(COPY, ONCE) | MACH_MSGH_BITS_COMPLEX, KERN_BLOCKED, "with the bit of complex ones" },
	};
	struct call c;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		c = prepare_plain(REQUEST);
		test_send_right(client, server, port);
		c.bits = cases[i].bits;
		c.size = 32;
		ok(go(client, &c) == cases[i].result && !was_fast(), "a request %s is not fast", cases[i].what);
		if (cases[i].result == KERN_BLOCKED)
			ok(served_as(area, 100, 32) && test_urefs(client, to_port) == 2u - (i == 0), "it arrives");
		recover();
		settle(true, "a request ", cases[i].what);
	}
	for (unsigned bit = 16; bit < 31; bit++) {
		c = prepare_plain(REQUEST);
		c.bits |= 1u << bit;
		ok(goes_slowly(REQUEST, &c) && arrives(REQUEST) && m.h.msgh_bits ==
		   MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND), "a request with bit %u arrives without", bit);
		complete();
		settle(true, "a reserved bit", "");
	}
}

static void reply_bits(void)
{
	static const struct bits_case cases[] = {
		{ MACH_MSGH_BITS(COPY, 0), MACH_SEND_INVALID_DEST, "by a copied send right" },
		{ MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND, 0), MACH_SEND_INVALID_DEST, "by a moved send right" },
		{ MACH_MSGH_BITS(ONCE, 0), MACH_SEND_INVALID_DEST, "by a made send-once right" },
		{ MACH_MSGH_BITS(0, 0), MACH_SEND_INVALID_HEADER, "by nothing" },
		{ MACH_MSGH_BITS(MOVE_ONCE, ONCE), KERN_BLOCKED, "with a reply right, to nothing" },
		{ MACH_MSGH_BITS(MOVE_ONCE, 0) | MACH_MSGH_BITS_COMPLEX, KERN_BLOCKED, "with the bit of complex ones" },
		{ MACH_MSGH_BITS(MOVE_ONCE, 0) | 1u << 16, KERN_BLOCKED, "with a reserved bit" },
		{ MACH_MSGH_BITS(MOVE_ONCE, 0) | 1u << 30, KERN_BLOCKED, "with another reserved bit" },
	};
	struct call c;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		c = prepare_plain(REPLY);
		c.bits = cases[i].bits;
		c.size = 32;
		ok(go(server, &c) == cases[i].result && !was_fast(), "a reply %s is not fast", cases[i].what);
		if (cases[i].result == KERN_BLOCKED) {
			ok(has_got(client, area, 200, 32), "it arrives");
		} else {
			c = plain_reply();
			ok(go(server, &c) == KERN_BLOCKED && was_fast() && arrives(REPLY), "the right one is, then");
		}
		settle(true, "a reply ", cases[i].what);
	}
}

/* One send right may be in the body. Two, or another, leave the fast path. */
static void rights_in_body(enum side side)
{
	static const struct { uint32_t type; unsigned count; bool fast; const char *what; } cases[] = {
		{ MACH_MSG_TYPE_MAKE_SEND, 1, true, "a made send right" }, { COPY, 1, true, "a copied send right" },
		{ MACH_MSG_TYPE_MAKE_SEND, 2, false, "two rights" }, { ONCE, 1, false, "a send-once right" },
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct call c = prepare_plain(side);
		uint32_t size = test_header(&m, 0, NONE, NONE, 0);
		struct thread *from = sender_of(side), *to = receiver_of(side);
		mach_port_name_t name = side == REQUEST ? reply : port;

		test_send_right(from, from, name);
		for (unsigned k = 0; k < cases[i].count; k++)
			test_add_port(&m, &size, cases[i].type, name);
		m.h = (mach_msg_header_t){ .msgh_bits = c.bits | MACH_MSGH_BITS_COMPLEX, .msgh_id = c.id };
		m.h.msgh_remote_port = c.remote;
		m.h.msgh_local_port = c.local;
		c.size = size;
		test_write(from, test_buffer(from), &m, size);
		ok(trap(from, &c) == KERN_BLOCKED && was_fast() == cases[i].fast && test_run(to) == MACH_MSG_SUCCESS,
		   "a %s with %s is %s", side_name[side], cases[i].what, cases[i].fast ? "fast" : "not");
		test_read(to, area, &m, size);
		ok((m.h.msgh_bits & MACH_MSGH_BITS_COMPLEX) != 0 && test_port_of(to, (uint32_t)m.body[1]) == test_port_of(from, name),
		   "and brings it");
		once = m.h.msgh_remote_port;
		if (cases[i].type == ONCE)
			use_up(to, (uint32_t)m.body[1]);
		recover();
		settle(true, "rights in the body: ", cases[i].what);
	}
}

/* -- names -- */

static mach_port_name_t dead_name(struct thread *of)
{
	mach_port_name_t name = test_port(of), right;
	struct thread *other = of == client ? server : client;

	right = test_send_right(other, of, name);
	name_destroy(space_lookup(&of->task->space, name));
	return right;
}

/* The name of the client's own entry, spare. */
static mach_port_name_t spare_name(void)
{
	struct port *p = right_make_send_once(test_port_of(server, port), NULL);
	mach_port_name_t name;
	uint32_t disposition;

	if (space_insert(&client->task->space, p, MACH_MSG_TYPE_PORT_SEND_ONCE, &name) != KERN_SUCCESS ||
	    space_take(&client->task->space, name, MOVE_ONCE, &p, &disposition) != KERN_SUCCESS)
		panic("no spare name");
	right_consume_send_once(p);
	if (client->task->space.once.type != NAME_SPARE || client->task->space.once.name != name)
		panic("it is not spare");
	return name;
}

enum bad_name { NAME_NULL, NAME_DEAD, NAME_UNKNOWN, NAME_OF_DEAD, NAME_IS_SPARE, NAME_RECEIVE, NAME_OTHER, NAMES };
static const char *const bad_names[] = { "null", "dead", "unknown", "of a dead port", "spare", "of a receive right",
					 "of another right" };

static mach_port_name_t bad_name(enum side side, enum bad_name kind)
{
	mach_port_name_t name;

	switch (kind) {
	case NAME_NULL: return NONE;
	case NAME_DEAD: return MACH_PORT_NAME_DEAD;
	case NAME_UNKNOWN: return 4242;
	case NAME_OF_DEAD: return dead_name(receiver_of(side));
	case NAME_IS_SPARE: return side == REQUEST ? spare_name() : server->task->space.once.name;
	case NAME_RECEIVE: return side == REQUEST ? reply : port;
	default:
		if (side == REPLY)
			return test_send_right(server, client, reply);
		right_make_send_once(test_port_of(server, port), NULL);
		space_insert(&client->task->space, test_port_of(server, port), MACH_MSG_TYPE_PORT_SEND_ONCE, &name);
		return name;
	}
}

static void destinations(enum side side)
{
	mach_port_name_t name;
	struct call c;

	for (unsigned i = 0; i < NAMES; i++) {
		begin();
		if (side == REPLY)
			stop_waiting(server);
		name = bad_name(side, i);
		c = side == REQUEST ? plain_request() : plain_reply();
		c.remote = name;
		ok(go(sender_of(side), &c) == MACH_SEND_INVALID_DEST && !was_fast(), "a %s to a name that is %s", side_name[side],
		   bad_names[i]);
		if (side == REPLY)
			server_waits();
		settle(true, "a name that is ", bad_names[i]);
	}
}

static void reply_names(void)
{
	static const int64_t results[] = { KERN_BLOCKED, KERN_BLOCKED, MACH_SEND_INVALID_REPLY, MACH_SEND_INVALID_REPLY,
					   MACH_SEND_INVALID_REPLY, 0, MACH_SEND_INVALID_REPLY };
	mach_port_name_t name, other;
	struct call c;

	for (unsigned i = 0; i < NAMES; i++) {
		if (i == NAME_RECEIVE)
			continue;
		begin();
		name = i == NAME_OTHER ? to_port : bad_name(REQUEST, i);
		c = plain_request();
		c.local = name;
		ok(go(client, &c) == results[i] && !was_fast(), "a request with a reply name that is %s", bad_names[i]);
		if (results[i] == KERN_BLOCKED)
			ok(served() && once == name, "arrives with that");
		settle(true, "a reply name that is ", bad_names[i]);
	}
	begin();
	other = test_port(client);
	c = plain_request();
	c.name = other;
	ok(goes_slowly(REQUEST, &c) && served() && client->wait.object == test_port_of(client, other),
	   "a request that waits at another port than its reply's");
	settle(true, "waiting elsewhere", "");
	begin();
	c = plain_request();
	c.name = 4242;
	ok(go(client, &c) == MACH_RCV_INVALID_NAME && !was_fast() && served(), "a request that waits at no name is sent");
	settle(true, "waiting nowhere", "");
}

static void receive_names(void)
{
	mach_port_name_t set = NONE;
	struct call c = prepare_plain(REPLY);

	c.local = port;
	ok(go(server, &c) == MACH_SEND_INVALID_HEADER && !was_fast(), "a reply with a name and no type for it");
	c.local = NONE;
	c.name = 4242;
	settle(go(server, &c) == MACH_RCV_INVALID_NAME && !was_fast() && arrives(REPLY), "a reply, then a receive from no name", "");
	c = prepare_plain(REPLY);
	c.name = test_send_right(server, client, reply);
	settle(go(server, &c) == MACH_RCV_INVALID_NAME && !was_fast() && arrives(REPLY), "a reply, then a receive by a send right",
	       "");
	c = prepare_plain(REPLY);
	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), test_port_of(server, port));
	ok(go(server, &c) == MACH_RCV_IN_SET && !was_fast() && arrives(REPLY), "a reply, then a receive from a member of a set");
	at = set;
	settle(true, "a member of a set", "");
}

/* -- the destination -- */

static void dead_destination(void)
{
	struct call c;

	begin();
	name_destroy(space_lookup(&server->task->space, port));
	ok(test_run(server) == MACH_RCV_PORT_DIED, "the port dies");
	c = plain_request();
	ok(go(client, &c) == MACH_SEND_INVALID_DEST && !was_fast() && test_type(client, to_port) == MACH_PORT_TYPE_DEAD_NAME,
	   "a request to it fails");
	name_destroy(space_lookup(&client->task->space, to_port));
	at = port = test_port(server);
	to_port = test_send_right(client, server, port);
	server_waits();
	again();
	settle(true, "a dead port", "");
}

/* Many leave a dead set in pieces: for a while the server's port points to it. */
static void join_dead_set(void)
{
	mach_port_name_t set = NONE, names[DEAD_MEMBERS];

	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	for (unsigned i = 0; i < DEAD_MEMBERS; i++) {
		names[i] = test_port(server);
		portset_add(test_port_of(server, set), test_port_of(server, names[i]));
		/* In the middle, whichever end it is taken to pieces from. */
		if (i == DEAD_MEMBERS / 2)
			portset_add(test_port_of(server, set), test_port_of(server, port));
	}
	name_destroy(space_lookup(&server->task->space, set));
	for (unsigned i = 0; i < DEAD_MEMBERS; i++)
		name_destroy(space_lookup(&server->task->space, names[i]));
	if (test_port_of(server, port)->set == NULL || !test_port_of(server, port)->set->dead)
		panic("no dead set");
}

static void dead_set(void)
{
	struct call c, get;

	begin();
	stop_waiting(server);
	join_dead_set();
	c = plain_request();
	get = plain_receive(port);
	ok(goes_slowly(REQUEST, &c) && trap(server, &get) == MACH_MSG_SUCCESS && served(),
	   "a request to a member of a set that is dead");
	c = plain_reply();
	join_dead_set();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && server->wait.object == test_port_of(server, port),
	   "a reply, then a receive from such a member");
	reap_all();
	settle(test_port_of(server, port)->set == NULL, "a dead set", "");
}

static void throttled_set(void)
{
	mach_port_name_t set = NONE;
	struct call c;

	begin();
	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), test_port_of(server, port));
	test_run(server);
	at = set;
	throttle_set(test_port_of(server, set), 1, 100);
	server_waits();
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && server->serves == test_port_of(server, set) && server->serves_counted,
	   "a request by way of a throttled set counts its thread");
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered(), "whose reply is not fast");
	throttle_leave(server);
	c = plain_request();
	go(client, &c);
	served();
	throttle_leave(server);
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered(), "nor is one before waiting at the throttled set");
	stop_waiting(server);
	at = port;
	name_destroy(space_lookup(&server->task->space, set));
	server_waits();
	settle(true, "a throttled set", "");
}

static void payload(void)
{
	struct call c;
	struct port *p;

	begin();
	p = test_port_of(server, port);
	p->has_payload = true;
	p->payload = 0x123456789abc;
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && m.h.msgh_protected_payload == 0x123456789abc &&
	   MACH_MSGH_BITS_LOCAL(m.h.msgh_bits) == MACH_MSG_TYPE_PROTECTED_PAYLOAD, "a payload stands for the port of a request");
	p->has_payload = false;
	p = test_port_of(client, reply);
	p->has_payload = true;
	p->payload = 0x987654321;
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && m.h.msgh_protected_payload == 0x987654321,
	   "and for that of a reply");
	p->has_payload = false;
	settle(true, "a payload", "");
}

/* -- the receiver -- */

static void receiver_absent(enum side side)
{
	struct call c = prepare_plain(side), get;
	struct thread *to = receiver_of(side);

	stop_waiting(to);
	ok(goes_slowly(side, &c), "a %s that nobody waits for is queued", side_name[side]);
	get = plain_receive(side == REQUEST ? port : reply);
	get.buffer = area;
	ok(trap(to, &get) == MACH_MSG_SUCCESS && arrives(side), "and received later");
	settle(true, "no receiver: ", side_name[side]);
}

static void receiver_options(enum side side)
{
	struct call c = prepare(side, MACH_RCV_NOTIFY, ROOM, 0);

	ok(goes_slowly(side, &c) && arrives(side), "a receiver with MACH_RCV_NOTIFY: %s", side_name[side]);
	if (side == REQUEST)
		ok(space_lookup(&server->task->space, once)->dead_request != NULL, "its notification is asked for");
	recover();
	if (side == REQUEST)
		again();
	settle(true, "MACH_RCV_NOTIFY: ", side_name[side]);
	c = prepare(side, 0, 32, 0);
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_TOO_LARGE, "a receiver with too small a buffer: %s",
	   side_name[side]);
	if (side == REQUEST)
		ok(client->state == THREAD_READY && test_run(client) == MACH_MSG_SUCCESS, "the client hears that no reply comes");
	recover();
	/* A reply that is destroyed takes its message along. */
	if (side == REPLY)
		again();
	settle(true, "too small a buffer: ", side_name[side]);
	c = prepare(side, MACH_RCV_LARGE, 32, 0);
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_TOO_LARGE &&
	   test_port_of(receiver_of(side), side == REQUEST ? port : reply)->message_count == 1,
	   "a receiver with MACH_RCV_LARGE is told, and the message stays: %s", side_name[side]);
	recover();
	settle(true, "MACH_RCV_LARGE: ", side_name[side]);
}

static void receiver_buffers(enum side side)
{
	const uint64_t across = PAGE_SIZE - 24;
	struct vm_map *map;
	struct call c = prepare(side, 0, ROOM, across);
	uint64_t address;

	ok(goes_slowly(side, &c) && arrives_at(side, across), "a buffer across two pages: %s", side_name[side]);
	recover();
	settle(true, "two pages: ", side_name[side]);
	c = prepare_plain(side);
	map = &receiver_of(side)->task->map;
	address = area;
	vm_map_deallocate(map, area, PAGE_SIZE);
	ok(vm_map_allocate(map, &address, PAGE_SIZE, false) == KERN_SUCCESS && goes_slowly(side, &c) && arrives(side),
	   "a buffer that is not there yet: %s", side_name[side]);
	recover();
	settle(true, "not there yet: ", side_name[side]);
	c = prepare_plain(side);
	map = &receiver_of(side)->task->map;
	vm_map_protect(map, area, PAGE_SIZE, false, VM_PROT_READ);
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_INVALID_DATA, "a buffer for reading only: %s",
	   side_name[side]);
	/* The reply right came in without its name. */
	if (side == REQUEST)
		once = server->task->space.once.name;
	recover();
	settle(true, "for reading only: ", side_name[side]);
	c = prepare_plain(side);
	map = &receiver_of(side)->task->map;
	vm_map_deallocate(map, area, PAGE_SIZE);
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_INVALID_DATA, "a buffer that is gone: %s",
	   side_name[side]);
	if (side == REQUEST)
		once = server->task->space.once.name;
	recover();
	settle(true, "gone: ", side_name[side]);
}

static void receiver_stopped(enum side side)
{
	struct call c = prepare_plain(side);

	receiver_of(side)->suspend_count = 1;
	ok(goes_slowly(side, &c), "a suspended thread: %s", side_name[side]);
	receiver_of(side)->suspend_count = 0;
	settle(arrives(side), "has it when it is resumed: ", side_name[side]);
	c = prepare_plain(side);
	receiver_of(side)->task->suspend_count = 1;
	ok(goes_slowly(side, &c), "a thread of a suspended task: %s", side_name[side]);
	receiver_of(side)->task->suspend_count = 0;
	settle(arrives(side), "has it when that is resumed: ", side_name[side]);
	c = prepare_plain(side);
	receiver_of(side)->task->dead = true;
	ok(goes_slowly(side, &c), "a thread of a dead task: %s", side_name[side]);
	receiver_of(side)->task->dead = false;
	settle(arrives(side), "it is handed over as to any: ", side_name[side]);
}

static mach_port_name_t serve(struct thread *thread)
{
	mach_port_name_t set = NONE;

	space_allocate(&thread->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	throttle_set(test_port_of(thread, set), 1, 100);
	throttle_join(thread, test_port_of(thread, set));
	return set;
}

static void receiver_serves(enum side side)
{
	struct call c = prepare_plain(side);

	serve(receiver_of(side));
	throttle_sleeps(receiver_of(side));
	ok(goes_slowly(side, &c) && arrives(side), "a receiver that serves a throttled set: %s", side_name[side]);
	throttle_leave(receiver_of(side));
	settle(true, "serving: ", side_name[side]);
}

/* -- the sender -- */

static void sender_states(enum side side)
{
	struct call c = prepare_plain(side);

	sender_of(side)->depressed = true;
	ok(goes_slowly(side, &c) && arrives(side), "a depressed sender: %s", side_name[side]);
	sender_of(side)->depressed = false;
	settle(true, "depressed: ", side_name[side]);
	c = prepare_plain(side);
	serve(sender_of(side));
	ok(goes_slowly(side, &c) && arrives(side), "a sender counted by a throttled set: %s", side_name[side]);
	throttle_leave(sender_of(side));
	settle(true, "counted: ", side_name[side]);
}

static void sender_buffers(enum side side)
{
	struct call c = prepare_plain(side);
	struct vm_map *map = &sender_of(side)->task->map;
	uint64_t pages = test_allocate(map, 2), address = pages + PAGE_SIZE;

	c.buffer = pages + PAGE_SIZE - 32;
	c.size = 80;
	go(sender_of(side), &c);
	ok(was_fast() && has_got(receiver_of(side), area, c.id, 80), "a %s from two pages is fast", side_name[side]);
	recover();
	settle(true, "from two pages: ", side_name[side]);
	c = prepare_plain(side);
	map = &sender_of(side)->task->map;
	address = pages = test_allocate(map, 2);
	test_poke(map, pages, 0);
	c.buffer = pages + PAGE_SIZE - 32;
	c.size = 32;
	go(sender_of(side), &c);
	recover();
	c = side == REQUEST ? plain_request() : plain_reply();
	if (side == REPLY) {
		struct call request = plain_request();

		go(client, &request);
		served();
		c.remote = once;
	}
	c.buffer = pages + PAGE_SIZE - 32;
	test_header(&m, c.bits, c.remote, c.local, c.id);
	test_write(sender_of(side), c.buffer, &m.h, 32);
	c.size = 40;
	address = pages + PAGE_SIZE;
	vm_map_deallocate(map, address, PAGE_SIZE);
	ok(trap(sender_of(side), &c) == MACH_SEND_INVALID_DATA && !was_fast() && receiver_of(side)->state == THREAD_WAITING,
	   "a %s whose body is not there", side_name[side]);
	vm_map_allocate(map, &address, PAGE_SIZE, false);
	ok(trap(sender_of(side), &c) == KERN_BLOCKED && !was_fast() && test_run(receiver_of(side)) == MACH_MSG_SUCCESS,
	   "a %s whose body is not there yet", side_name[side]);
	test_received(receiver_of(side), &m);
	ok(m.h.msgh_size == 40 && m.body[0] == 0, "is read where it comes");
	once = side == REQUEST ? m.h.msgh_remote_port : once;
	recover();
	c = side == REQUEST ? plain_request() : plain_reply();
	if (side == REPLY) {
		struct call request = plain_request();

		go(client, &request);
		served();
	}
	c.buffer = 0x7ffffffff000;
	ok(trap(sender_of(side), &c) == MACH_SEND_INVALID_DATA && !was_fast(), "a %s that is not the user's", side_name[side]);
	recover();
	settle(true, "a sender's buffer: ", side_name[side]);
}

/* Two threads of a task whose buffers overlap: the message is as it was when it was sent. */
static void overlap(enum side side)
{
	for (int by = -64; by <= 64; by += 8) {
		struct call c = prepare(side, 0, ROOM, 1024);
		struct thread *from = test_thread_in(receiver_of(side)->task);
		mach_port_name_t right;

		/* The receiver's own task sends; what it needs is made there. */
		if (side == REQUEST) {
			right = test_send_right(from, server, port);
			c.remote = right;
			c.local = c.name = test_port(from);
			port_keep_reply(test_port_of(from, c.local));
		} else {
			struct port *p = right_make_send_once(test_port_of(client, reply), ledger_a);

			stop_waiting(server);
			space_insert(&client->task->space, p, MACH_MSG_TYPE_PORT_SEND_ONCE, &c.remote);
			c.name = test_port(from);
		}
		c.buffer = area + 1024 + (uint64_t)(int64_t)by;
		c.size = 200;
		ok(go(from, &c) == KERN_BLOCKED && has_got(receiver_of(side), area + 1024, c.id, 200),
		   "a %s from a buffer %d bytes from the receiver's", side_name[side], by);
		once = side == REQUEST ? m.h.msgh_remote_port : once;
		recover();
		thread_end(from);
		settle(true, "overlap: ", side_name[side]);
	}
}

/* -- the reply port -- */

static void reply_port_in_set(void)
{
	mach_port_name_t set = NONE;
	struct call c;

	begin();
	space_allocate(&client->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(client, set), test_port_of(client, reply));
	c = plain_request();
	ok(go(client, &c) == MACH_RCV_IN_SET && !was_fast() && served(), "a reply port in a set is not waited at");
	c = plain_receive(set);
	trap(client, &c);
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && m.h.msgh_local_port == reply,
	   "its reply goes to who waits at the set");
	portset_remove(test_port_of(client, reply));
	settle(true, "a reply port in a set", "");
}

static void reply_port_used(void)
{
	mach_port_name_t right;
	struct thread *other;
	struct call c;

	begin();
	right = test_send_right(client, client, reply);
	c = (struct call){ .bits = MACH_MSGH_BITS(COPY, 0), .remote = right, .id = 77, .option = MACH_SEND_MSG, .size = 56 };
	go(client, &c);
	c = plain_request();
	ok(go(client, &c) == MACH_MSG_SUCCESS && !was_fast() && has_got(client, 0, 77, 56) && served(),
	   "a message at the reply port is received in the reply's stead");
	settle(true, "a message at the reply port", "");
	begin();
	right = test_send_right(client, client, reply);
	test_port_of(client, reply)->qlimit = 0;
	other = test_thread_in(client->task);
	c = (struct call){ .bits = MACH_MSGH_BITS(COPY, 0), .remote = right, .id = 78, .option = MACH_SEND_MSG, .size = 56 };
	if (go(other, &c) != KERN_BLOCKED)
		panic("does not block");
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && other->state == THREAD_READY && test_run(other) == MACH_MSG_SUCCESS &&
	   has_got(client, 0, 78, 56) && served(), "a blocked sender at the reply port may send when the client waits");
	test_port_of(client, reply)->qlimit = MACH_PORT_QLIMIT_DEFAULT;
	settle(true, "a blocked sender at the reply port", "");
}

static void reply_port_plain(void)
{
	mach_port_name_t kept = reply;
	uint64_t used;
	struct call c;

	begin();
	kept = reply;
	used = test_used(ledger_a, LEDGER_MESSAGES);
	reply = test_port(client);
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && test_used(ledger_a, LEDGER_MESSAGES) == used + KMSG_PREPAID,
	   "a reply port that keeps no message has its right's charged");
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && test_used(ledger_a, LEDGER_MESSAGES) == used,
	   "its reply is not fast either, and gives that back");
	reply = kept;
	settle(true, "a plain reply port", "");
}

static void two_replies(void)
{
	mach_port_name_t first;
	struct call c;
	struct port *r;

	begin();
	r = test_port_of(client, reply);
	c = plain_request();
	go(client, &c);
	ok(was_fast() && served(), "a first request is fast");
	first = once;
	stop_waiting(client);
	server_waits();
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && r->send_once_rights == 2 && !r->spare_prepaid, "a second one before the reply is not");
	check_all();
	c = plain_reply();
	c.remote = first;
	ok(go(server, &c) == KERN_BLOCKED && was_fast() && answered() && r->spare_prepaid, "the first right's reply is");
	check_all();
	c = plain_receive(reply);
	trap(client, &c);
	stop_waiting(server);
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && r->send_once_rights == 0 && r->spare_prepaid,
	   "the second's is not: the port has its message");
	ok(LIST_NEXT(LIST_FIRST(&r->prepaid), prepaid_link) == NULL, "one");
	settle(true, "two replies", "");
}

/* -- the server -- */

/* A further client, whose reply right the server holds: named in other_once. */
static mach_port_name_t other_once;
static struct thread *other_client(void)
{
	struct thread *thread = test_thread(ledger_a);
	struct call c = plain_request();

	c.remote = test_send_right(thread, server, port);
	c.local = c.name = test_port(thread);
	port_keep_reply(test_port_of(thread, c.local));
	go(thread, &c);
	if (!served())
		panic("no request");
	other_once = once;
	once = NONE;
	return thread;
}

static void entry_in_use(void)
{
	struct thread *other;
	struct call c;

	begin();
	other = other_client();
	ok(space_lookup(&server->task->space, other_once) == &server->task->space.once, "the server's own entry is in use");
	server_waits();
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && once != other_once, "a second request is not fast");
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && test_type(server, once) == 0, "nor its reply");
	stop_waiting(server);
	c = plain_reply();
	c.remote = other_once;
	ok(go(server, &c) == KERN_BLOCKED && was_fast() && has_got(other, 0, 200, 48), "the first reply is");
	task_end(other->task);
	settle(true, "the entry in use", "");
}

static void dead_name_request(void)
{
	mach_port_name_t notify;
	struct call c = prepare_plain(REPLY);

	notify = test_port(server);
	name_request_dead(space_lookup(&server->task->space, once), right_make_send_once(test_port_of(server, notify), ledger_b));
	ok(goes_slowly(REPLY, &c) && arrives(REPLY), "a reply by a name with a dead-name request");
	stop_waiting(server);
	ok(test_receive(server, &m, notify, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == MACH_NOTIFY_PORT_DELETED &&
	   (uint32_t)m.body[1] == once, "ends it with port-deleted");
	name_destroy(space_lookup(&server->task->space, notify));
	server_waits();
	again();
	settle(true, "a dead-name request", "");
}

/* Its node would be kept for the spare name alone. */
static void lonely_name(void)
{
	struct call c = prepare_plain(REPLY);

	c.name = at = 1000;
	if (space_rename(&server->task->space, port, 1000) != KERN_SUCCESS)
		panic("no rename");
	port = 1000;
	ok(goes_slowly(REPLY, &c) && arrives(REPLY) && server->task->space.once.type == 0,
	   "a reply by the only name in its node: that goes");
	if (space_rename(&server->task->space, port, 1) != KERN_SUCCESS)
		panic("no rename");
	at = port = 1;
	recover();
	again();
	settle(true, "a lonely name", "");
}

static void queued_requests(void)
{
	struct thread *other;
	struct call c = prepare_plain(REPLY), send = plain_request();

	other = test_thread_in(client->task);
	send.bits = MACH_MSGH_BITS(COPY, 0);
	send.local = NONE;
	send.id = 55;
	send.option = MACH_SEND_MSG;
	go(other, &send);
	ok(go(server, &c) == MACH_MSG_SUCCESS && !was_fast() && arrives(REPLY) && has_got(server, 0, 55, 40),
	   "a reply when a request is queued: that comes at once");
	settle(true, "a queued request", "");
	c = prepare_plain(REPLY);
	other = test_thread_in(client->task);
	test_port_of(server, port)->qlimit = 0;
	if (go(other, &send) != KERN_BLOCKED)
		panic("does not block");
	ok(goes_slowly(REPLY, &c) && arrives(REPLY) && other->state == THREAD_READY, "a reply when a sender is blocked: it may send");
	ok(test_run(other) == MACH_MSG_SUCCESS && has_got(server, 0, 55, 40), "and does");
	test_port_of(server, port)->qlimit = MACH_PORT_QLIMIT_DEFAULT;
	settle(true, "a blocked sender", "");
}

/* One message from another thread for a further member of the server's set, queued or kept waiting. */
static void ready_members(bool blocked)
{
	mach_port_name_t set = NONE, member;
	struct thread *other;
	struct call c = prepare_plain(REPLY), send = plain_request();

	space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	portset_add(test_port_of(server, set), test_port_of(server, port));
	member = test_port(server);
	portset_add(test_port_of(server, set), test_port_of(server, member));
	other = test_thread_in(client->task);
	send.bits = MACH_MSGH_BITS(COPY, 0);
	send.local = NONE;
	send.id = 56;
	send.option = MACH_SEND_MSG;
	send.remote = test_send_right(other, server, member);
	if (blocked)
		test_port_of(server, member)->qlimit = 0;
	go(other, &send);
	c.name = at = set;
	ok(go(server, &c) == (blocked ? KERN_BLOCKED : MACH_MSG_SUCCESS) && !was_fast() && arrives(REPLY),
	   "a reply when a member of the server's set has a %s", blocked ? "blocked sender" : "message");
	if (blocked)
		test_run(other);
	settle(has_got(server, 0, 56, 40) && m.h.msgh_local_port == member, "which comes", "");
}

static void exceptions(void)
{
	struct thread *faulty;
	struct call c;

	begin();
	faulty = test_thread(ledger_a);
	faulty->exception_port = right_make_send(test_port_of(server, port));
	test_current = faulty;
	faulty->regs.rax = 0x55;
	exception_raise(faulty, EXC_BAD_ACCESS, 2, 0xdeadbeef0);
	test_run(server);
	test_received(server, &m);
	once = m.h.msgh_remote_port;
	ok(m.h.msgh_id == 2400 && space_lookup(&server->task->space, once) == &server->task->space.once,
	   "an exception comes to the server's port");
	c = plain_reply();
	test_header(&m, c.bits, once, NONE, 2500);
	m.body[1] = KERN_SUCCESS;
	test_write(server, test_buffer(server), &m, 48);
	ok(trap(server, &c) == KERN_BLOCKED && !was_fast() && test_run(faulty) == 0x55, "its answer goes to the thread");
	task_end(faulty->task);
	settle(true, "an exception", "");
}

/* -- kernel calls -- */

static mach_port_name_t own_task;

static struct call kernel_call(int id)
{
	struct call c = plain_request();

	c.remote = own_task;
	c.id = id;
	c.size = 48;
	c.room = 1024;
	return c;
}

static int32_t ret_code(void)
{
	test_received(client, &m);
	return (int32_t)m.body[1];
}

static void kernel_calls(void)
{
	struct call c;
	struct port *r;
	uint32_t seqno;
	uint64_t sent, received, charges;
	char *snapshot;

	begin();
	r = test_port_of(client, reply);
	right_make_send(client->task->self);
	space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &own_task);
	seqno = r->sequence;
	sent = client->task->messages_sent;
	received = client->task->messages_received;
	charges = host_fail_calls;
	snapshot = host_snapshot();
	c = kernel_call(2000);
	ok(go(client, &c) == MACH_MSG_SUCCESS && ret_code() == KERN_SUCCESS && host_unchanged(snapshot) && host_fail_calls == charges,
	   "a kernel call leaves no trace");
	ok(m.h.msgh_bits == MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE) && m.h.msgh_size == 64 && m.h.msgh_remote_slot == 0 &&
	   m.h.msgh_local_slot == reply && m.h.msgh_seqno == seqno && m.h.msgh_id == 2100, "its reply has the header of any");
	ok(r->sequence == seqno + 1 && client->task->messages_sent == sent + 1 && client->task->messages_received == received + 1,
	   "and is counted");
	ok(r->spare_prepaid && r->send_once_rights == 0, "the reply port has its message");
	r->reply_bound = 5000;
	ok(go(client, &c) == MACH_MSG_SUCCESS && r->reply_bound == 0, "the bound of an abandoned call's reply goes with it");
	settle(true, "a kernel call", "");
}

/* Each is done once by the fast path, if it fits, and once without. All that can be seen is the same. */
static void kernel_calls_same(void)
{
	struct { int64_t result; uint32_t usage[LEDGER_RESOURCES]; uint64_t body[8]; mach_msg_header_t h; } seen[2];
	static const struct { int id; uint32_t size, room, option, bits; const char *what; } cases[] = {
		{ 2000, 48, 1024, 0, 0, "the plain one" }, { 2000, 40, 1024, 0, 0, "too short a request" },
		{ 2000, 256, 1024, 0, 0, "a long request" }, { 2000, 264, 1024, 0, 0, "a longer one" },
		{ 2000, 48, 48, 0, 0, "room for the head of the reply" }, { 2000, 48, 48, MACH_RCV_LARGE, 0, "the same, told" },
		{ 2000, 48, 0, 0, 0, "no room" }, { 2002, 48, 1024, 0, 0, "a long reply" }, { 2002, 48, 64, 0, 0, "a reply too long" },
		{ 2003, 48, 1024, 0, 0, "an error" }, { 2005, 48, 1024, 0, 0, "a right" }, { 2005, 48, 48, 0, 0, "a right too long" },
		{ 2006, 48, 1024, 0, 0, "no such routine" }, { 999999, 48, 1024, 0, 0, "an id far away" },
		{ 2000, 48, 1024, MACH_RCV_TIMEOUT, 0, "a time-out" }, { 2000, 48, 1024, MACH_SEND_NOTIFY, 0, "MACH_SEND_NOTIFY" },
		{ 2000, 48, 1024, 0, MACH_MSGH_BITS(COPY, MACH_MSG_TYPE_MAKE_SEND), "a send right for the reply" },
		{ 2000, 48, 1024, 0, MACH_MSGH_BITS(COPY, 0), "no reply right" },
		{ 2000, 32, 1024, 0, MACH_MSGH_BITS(COPY, ONCE) | MACH_MSGH_BITS_COMPLEX, "a complex one" },
		{ 2001, 48, 1024, 0, 0, "one that waits" },
		{ 2004, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message" },
		{ 2000, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message, to a routine that answers" },
		{ 2005, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message, to one that answers with a right" },
		{ 2006, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message, to no routine" },
	};
	uint64_t zero[16] = { 0 };
	struct call c;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		right_make_send(client->task->self);
		space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &own_task);
		memset(seen, 0, sizeof(seen));
		for (unsigned way = 0; way < 2; way++) {
			host_fast_off = way;
			c = kernel_call(cases[i].id);
			c.size = cases[i].size;
			c.room = cases[i].room;
			/* Without the receive: without a reply port. */
			c.option ^= cases[i].option;
			if ((c.option & MACH_RCV_MSG) == 0)
				c.local = NONE;
			c.notify = reply;
			c.timeout = 5;
			c.bits = cases[i].bits != 0 ? cases[i].bits : c.bits;
			test_write(client, test_buffer(client), zero, sizeof(zero));
			seen[way].result = go(client, &c);
			if (cases[i].id == 2001 && client->state == THREAD_WAITING) {
				thread_wake(client, KERN_NOT_IN_SET);
				seen[way].result = test_run(client);
			}
			host_fast_off = false;
			stop_waiting(client);
			test_received(client, &m);
			seen[way].h = m.h;
			memcpy(seen[way].body, m.body, sizeof(seen[way].body));
			for (unsigned k = 0; k < LEDGER_RESOURCES; k++)
				seen[way].usage[k] = (uint32_t)ledger_a->account[k].used;
			seen[way].h.msgh_seqno -= way;
			/* Names are chosen in turn. */
			if (cases[i].id == 2005 && cases[i].option == 0 && seen[way].result == MACH_MSG_SUCCESS) {
				seen[way].body[3] = test_port_of(client, (uint32_t)m.body[3]) == client->self;
				name_destroy(space_lookup(&client->task->space, (uint32_t)m.body[3]));
			}
			drain(client, reply);
		}
		seen[0].h.msgh_seqno = seen[1].h.msgh_seqno;
		ok(memcmp(&seen[0], &seen[1], sizeof(seen[0])) == 0, "a kernel call both ways: %s (%lx, %lx)", cases[i].what,
		   (long)seen[0].result, (long)seen[1].result);
		settle(true, "both ways: ", cases[i].what);
	}
}

/* Another thread waits at the reply port: the reply is the one's who waits there first. */
static void kernel_call_shared(void)
{
	struct thread *other;
	struct call c;

	begin();
	right_make_send(client->task->self);
	space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &own_task);
	other = test_thread_in(client->task);
	c = plain_receive(reply);
	trap(other, &c);
	c = kernel_call(2000);
	ok(go(client, &c) == KERN_BLOCKED && test_run(other) == MACH_MSG_SUCCESS, "a reply port with a receiver: the reply is that's");
	thread_end(other);
	settle(true, "a receiver at the reply port", "");
}

int main(void)
{
	system_begin("ipc_msg_fast_test");
	plain(32);
	plain(40);
	plain(256);
	plain_too();
	one_port();
	bounds();
	request_bits();
	reply_bits();
	reply_names();
	receive_names();
	dead_destination();
	dead_set();
	throttled_set();
	payload();
	for (enum side side = REQUEST; side <= REPLY; side++) {
		options(side);
		sizes(side);
		rights_in_body(side);
		destinations(side);
		receiver_absent(side);
		receiver_options(side);
		receiver_buffers(side);
		receiver_stopped(side);
		receiver_serves(side);
		sender_states(side);
		sender_buffers(side);
		overlap(side);
	}
	reply_port_in_set();
	reply_port_used();
	reply_port_plain();
	two_replies();
	entry_in_use();
	dead_name_request();
	lonely_name();
	queued_requests();
	ready_members(false);
	ready_members(true);
	exceptions();
	kernel_calls();
	kernel_calls_same();
	kernel_call_shared();
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
