/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path of mach_msg: what goes by it; and that messages, names and destinations that it is not made for leave it, untouched.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "ipc_msg_fast_cases.h"

#define DEAD_MEMBERS 300

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
		good = good && ports[i]->messages == NULL && ports[i]->message_count == 0 && ports[i]->queued == 0;
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
	ok(r->send_once_rights == 1 && !r->spare_prepaid && !r->has_bound && p->send_rights == sends && !p->has_bound,
	   "the rights are counted");
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
	   r->spare_prepaid && !r->has_bound, "the reply right is used up, its message at home");
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
	settle(test_port_of(client, reply)->spare_prepaid, "the message of a reply that is destroyed stays with its port", "");
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
	is_u64(msg_reply_bound(test_port_of(client, reply)), REPLY_BOUND_DEFAULT, "the bound of a reply is that of any");
	stop_waiting(client);
	test_received(other, &m);
	name_destroy(space_lookup(&client->task->space, m.h.msgh_remote_port));
	drain(client, reply);
	server_waits();
	settle(true, "one port", "");
}

/* The server answers a client that does not wait; then it receives. */
static bool complete_late(void)
{
	struct call c = plain_reply();

	return go(server, &c) == KERN_BLOCKED && !was_fast() && test_receive(client, &m, reply, 0) == MACH_MSG_SUCCESS &&
	       m.h.msgh_id == 200;
}

/* The reply's bound belongs to what is received next at its port, whatever that is; it is what the caller has room for, also when it has
   ceased to wait. */
static void bounds(void)
{
	mach_port_name_t to_reply;
	struct port *r;
	struct call c;

	begin();
	r = test_port_of(client, reply);
	to_reply = test_send_right(server, client, reply);
	c = plain_request();
	c.room = 20000;
	ok(go(client, &c) == KERN_BLOCKED && was_fast() && served(), "a call of much room is fast");
	is_u64(msg_reply_bound(r), 20000, "its reply may be so long");
	stop_waiting(client);
	is_u64(msg_reply_bound(r), 20000, "and when the client waits no more");
	ok(complete_late() && !r->has_bound, "until it has come");
	c = plain_request();
	c.room = 20000;
	go(client, &c);
	served();
	c = plain_request();
	c.remote = to_reply;
	c.local = c.name = test_port(server);
	port_keep_reply(test_port_of(server, c.local));
	/* The client's space has no entry of its own yet. */
	go(server, &c);
	has_got(client, 0, 100, 40);
	is_u64(msg_reply_bound(r), REPLY_BOUND_DEFAULT, "a request that comes there instead ends that");
	use_up(client, m.h.msgh_remote_port);
	stop_waiting(server);
	drain(server, c.local);
	use_up(server, once);
	drain(client, reply);
	server_waits();
	c = plain_request();
	c.room = 20000;
	go(client, &c);
	served();
	c = plain_request();
	c.remote = to_reply;
	c.local = c.name = test_port(server);
	port_keep_reply(test_port_of(server, c.local));
	ok(go(server, &c) == KERN_BLOCKED && was_fast(), "when it is fast");
	has_got(client, 0, 100, 40);
	is_u64(msg_reply_bound(r), REPLY_BOUND_DEFAULT, "too");
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
			   sender_of(side)->timed && sender_of(side)->wait.deadline_ns == 1000, "%s is fast, and waits so long", text);
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

/* The receiver is denied a name for the right: the message comes without it, and that is one denial. */
static void right_denied(enum side side)
{
	struct call c = prepare_plain(side);
	uint32_t size = test_header(&m, 0, NONE, NONE, 0);
	struct thread *from = sender_of(side), *to = receiver_of(side);
	struct ledger *ledger = to->task->ledger;
	uint64_t denied = host_denials, counted = ledger->denials[LEDGER_NAMES];
	int64_t result;

	test_add_port(&m, &size, MACH_MSG_TYPE_MAKE_SEND, test_port(from));
	m.h = (mach_msg_header_t){ .msgh_bits = c.bits | MACH_MSGH_BITS_COMPLEX, .msgh_id = c.id };
	m.h.msgh_remote_port = c.remote;
	m.h.msgh_local_port = c.local;
	c.size = size;
	test_write(from, test_buffer(from), &m, size);
	ledger_settle();
	ledger_limit(ledger, LEDGER_NAMES, host_used(ledger, LEDGER_NAMES));
	result = trap(from, &c) == KERN_BLOCKED ? test_run(to) : -1;
	ledger_limit(ledger, LEDGER_NAMES, LEDGER_UNLIMITED);
	ok(result == (MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL) && host_denials == denied + 1 &&
	   ledger->denials[LEDGER_NAMES] == counted + 1, "a %s whose right is denied a name is recorded as denied once", side_name[side]);
	test_read(to, area, &m, size);
	once = m.h.msgh_remote_port;
	recover();
	settle(true, "a right denied: ", side_name[side]);
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
	if (!test_port_of(server, port)->in_set || !port_set_any(test_port_of(server, port))->dead)
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
	settle(!test_port_of(server, port)->in_set, "a dead set", "");
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
	p->has_payload = port_extend(p);
	p->extra->payload = 0x123456789abc;
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && m.h.msgh_protected_payload == 0x123456789abc &&
	   MACH_MSGH_BITS_LOCAL(m.h.msgh_bits) == MACH_MSG_TYPE_PROTECTED_PAYLOAD, "a payload stands for the port of a request");
	p->has_payload = false;
	p = test_port_of(client, reply);
	p->has_payload = port_extend(p);
	p->extra->payload = 0x987654321;
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && m.h.msgh_protected_payload == 0x987654321,
	   "and for that of a reply");
	p->has_payload = false;
	settle(true, "a payload", "");
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
		right_denied(side);
		destinations(side);
	}
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
