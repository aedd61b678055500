/* SPDX-License-Identifier: BSD-2-Clause */
/* The near forms of the fast path of mach_msg: what goes by them, and each reason to leave them. One message of each form goes three ways:
   as it does by itself, by the far form (which a call with a time-out takes), and the general way. What comes of it is the same: code,
   message, rights, counts, charges. How often its head was read tells the near form, which reads it once, from a call that began again.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include <stdarg.h>
#include <stdio.h>
#include "ipc_msg_fast.h"
#include "ipc/ready.h"
#include "x86_64/usercopy.h"

#define TEXT 4000
#define WITH_BODY 208
#define WITH_ITEM (32 + 16)		/* one right */
#define FAR_NAME 1000			/* in a node of its own */
#define NODE 16				/* names of a radix node */

/* Requests first. */
enum form { REQUEST, REQUEST_BODY, REQUEST_SET, REQUEST_RIGHT, REPLY, REPLY_BODY, REPLY_SET, REPLY_RIGHT, FORMS };
static const char *const form_names[] = {
	"a request", "a request with a body", "a request to a set", "a request with a right",
	"a reply", "a reply with a body", "a reply before waiting at a set", "a reply with a right",
};
#define REQUESTS (1u << REQUEST | 1u << REQUEST_BODY | 1u << REQUEST_SET | 1u << REQUEST_RIGHT)
#define REPLIES (1u << REPLY | 1u << REPLY_BODY | 1u << REPLY_SET | 1u << REPLY_RIGHT)
#define BODIES (1u << REQUEST_BODY | 1u << REPLY_BODY)
#define RIGHTS (1u << REQUEST_RIGHT | 1u << REPLY_RIGHT)
#define ALL (REQUESTS | REPLIES)

/* How a message goes. EARLY: it is not even tried near, and so its head is read once. */
enum way { NEAR, FAR, GENERAL, EARLY_FAR, EARLY_GENERAL };
static const char *const way_names[] = { "goes the near way", "goes the far way", "goes the general way", "goes the far way at once",
					 "goes the general way at once" };

static struct ledger *second_ledger, *third_ledger;
static struct thread *owner, *other;	/* of other tasks: owner has the receive right of the port that a right is to */
static mach_port_name_t owned;
static enum form form;
static struct thread *from, *to;	/* of the message */
static struct call c;
static struct {				/* the one item of its body, and what follows */
	uint64_t type, name, data[4];
} item;

static bool is_request(void)
{
	return form < REPLY;
}

static bool has_right(void)
{
	return (1u << form & RIGHTS) != 0;
}

static struct port *reply_port(void)
{
	return test_port_of(client, reply);
}

static uint64_t right_type(uint32_t kind)
{
	mach_msg_type_t type = { .msgt_name = kind, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 };
	uint64_t word;

	memcpy(&word, &type, sizeof(word));
	return word;
}

/* -- the plain message of each form, all at hand -- */

static void stage(bool two_payers)
{
	mach_port_name_t set = NONE;

	/* A right goes the near way between spaces of one payer. */
	ledger_b = has_right() && !two_payers ? ledger_a : second_ledger;
	begin();
	owner = test_thread(third_ledger);
	other = test_thread(third_ledger);
	owned = test_port(owner);
	if (form == REQUEST_SET || form == REPLY_SET) {
		space_allocate(&server->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
		portset_add(test_port_of(server, set), test_port_of(server, port));
		test_run(server);
		at = set;
		server_waits();
	}
	/* Each has waited in the same way before, the server in a way that remembers it. */
	for (unsigned i = 0; i < 3; i++) {
		c = plain_request();
		if (go(client, &c) != KERN_BLOCKED || !served() || !complete())
			panic("no call before");
	}
	from = is_request() ? client : server;
	to = is_request() ? server : client;
	if (!is_request()) {
		c = plain_request();
		if (go(client, &c) != KERN_BLOCKED || !was_fast() || !served())
			panic("no request");
	}
	c = is_request() ? plain_request() : plain_reply();
	c.size = has_right() ? WITH_ITEM : 1u << form & BODIES ? WITH_BODY : 32;
	if (has_right()) {
		c.bits |= MACH_MSGH_BITS_COMPLEX;
		item.type = right_type(MACH_MSG_TYPE_MOVE_SEND);
		item.name = test_send_right(from, owner, owned);
	}
}

/* Writes the message and calls. */
static int64_t fire(void)
{
	uint64_t buffer = c.buffer != 0 ? c.buffer : test_buffer(from);

	host_heads_read = host_items_read = 0;
	if (!has_right())
		return go(from, &c);
	test_header(&m, c.bits, c.remote, c.local, c.id);
	test_write(from, buffer, &m.h, sizeof(m.h));
	test_write(from, buffer + 32, &item, sizeof(item));
	return trap(from, &c);
}

static bool went(enum way way)
{
	switch (way) {
	case NEAR:
		return was_fast() && host_heads_read == 1 && host_items_read == has_right();
	case FAR:
		return was_fast() && host_heads_read == 2;
	case GENERAL:
		return !was_fast() && host_heads_read == 2;
	case EARLY_FAR:
		return was_fast() && host_heads_read == 1 && host_items_read == 0;
	default:
		return !was_fast() && host_heads_read == 1 && host_items_read == 0;
	}
}

/* -- what came of it -- */

static char text[TEXT];
static int length;

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	length += vsnprintf(text + length, (size_t)(TEXT - length), format, args);
	va_end(args);
	if (length >= TEXT)
		panic("too much is told");
}

static const char *port_name(const struct port *p)
{
	if (p == NULL)
		return "none";
	if (p == test_port_of(server, port))
		return "the server's";
	if (p == reply_port())
		return "the client's";
	return p == test_port_of(owner, owned) ? "the owner's" : "another";
}

static void tell_name(const char *what, struct thread *of, mach_port_name_t name)
{
	struct name *entry = space_lookup(&of->task->space, name);

	tell(" %s %x of %s", what, entry != NULL ? entry->type : name, entry != NULL ? port_name(entry->port) : "none");
}

static void tell_port(const struct port *p)
{
	struct thread *waits;
	unsigned prepaid = 0;
	struct kmsg *kmsg;

	tell("\n%s:", port_name(p));
	if (p == NULL)
		return;
	LIST_FOREACH(kmsg, &p->prepaid, prepaid_link)
		prepaid++;
	waits = STACK_FIRST(&p->receivers);
	tell(" refs %u send %u once %u made %u sequence %u messages %u queued %u bound %u/%d keeps %d%d%u in set %d%s", p->refs, p->send_rights,
	     p->send_once_rights, p->make_send_count, p->sequence, p->message_count, p->queued, msg_reply_bound(p), p->has_bound,
	     p->keeps_reply, p->spare_prepaid, prepaid, p->in_set, waits == client ? " client" : waits == server ? " server" : "");
}

static void tell_thread(struct thread *thread)
{
	uint64_t buffer = thread == from && c.buffer != 0 ? c.buffer : test_buffer(thread);
	const struct task *task = thread->task;
	uint64_t hash = 0;

	if (thread->state == THREAD_READY)
		test_run(thread);
	tell("\n%s: %s", thread == client ? "client" : "server", thread->state == THREAD_WAITING ? thread->wait.kind->what : "runs");
	tell(" names %u charged %u own %x sent %lu received %lu", space_names(&task->space), task->space.charged, task->space.once.type,
	     (long)task->messages_sent, (long)task->messages_received);
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		/* Nodes depend on the names that rights get. */
		if (i != LEDGER_NODES)
			tell(" %lu", (long)host_used(task->ledger, i));
	if (thread->state != THREAD_RUNNING)
		return;
	tell(" result %lx", (long)thread->regs.rax);
	if (thread->regs.rax != MACH_MSG_SUCCESS)
		return;
	test_read(thread, buffer, &m, sizeof(m) - 256);
	tell(" bits %x size %u sequence %u id %d", m.h.msgh_bits, m.h.msgh_size, m.h.msgh_seqno, m.h.msgh_id);
	tell_name("remote", thread, m.h.msgh_remote_port);
	tell_name("local", thread, m.h.msgh_local_port);
	if (thread == server && test_type(server, m.h.msgh_remote_port) == MACH_PORT_TYPE_SEND_ONCE)
		once = m.h.msgh_remote_port;
	for (unsigned i = 0; i < m.h.msgh_size / 8 - 4; i++)
		if ((m.h.msgh_bits & MACH_MSGH_BITS_COMPLEX) != 0 && i == 1 && test_type(thread, (mach_port_name_t)m.body[i]) != 0)
			tell_name("right", thread, (mach_port_name_t)m.body[i]);
		else
			hash = hash * 31 + m.body[i];
	tell(" body %lx", (long)hash);
}

static void tell_all(int64_t result)
{
	length = 0;
	tell("code %lx", (long)result);
	tell_thread(to);
	tell_thread(from);
	tell_port(test_port_of(server, port));
	tell_port(reply_port());
	tell_port(test_port_of(owner, owned));
	if (has_right())
		tell("\nleft: %x", test_type(from, (mach_port_name_t)item.name));
}

/* Nothing is looked up for it: that would bring names to hand. */
static void check_everything(void)
{
	struct name *entry = radix_lookup(&owner->task->space.names, owned);

	check_all();
	space_check(&owner->task->space);
	space_check(&other->task->space);
	if (entry != NULL)
		port_check(entry->port);
}

/* -- reasons to leave the near form -- */

/* Where the thread sends to. */
static void destination_not_at_hand(void)
{
	space_forget(&from->task->space, c.remote, space_find(&from->task->space, c.remote));
}

/* Where it receives. */
static void receive_name_not_at_hand(void)
{
	space_forget(&from->task->space, c.name, space_find(&from->task->space, c.name));
}

static void reply_port_has_sender(void)
{
	test_send_right(other, client, reply);
}

static struct port *referenced;
static void reply_port_is_referenced(void)
{
	referenced = reply_port();
	port_ref(referenced);
}

static void unreference(void)
{
	port_unref(referenced);
}

static void reply_port_has_once(void)
{
	struct port *p = right_make_send_once(reply_port(), ledger_a);
	mach_port_name_t name;

	if (space_insert(&other->task->space, p, MACH_MSG_TYPE_PORT_SEND_ONCE, &name) != KERN_SUCCESS)
		panic("no right");
}

static void reply_port_has_bound(void)
{
	port_bound_set(reply_port(), 50000);
}

static void destination_has_bound(void)
{
	port_bound_set(test_port_of(server, port), 50000);
}

static void has_payload(void)
{
	struct port *p = is_request() ? test_port_of(server, port) : reply_port();

	p->has_payload = port_extend(p);
	p->extra->payload = 0x1234;
}

static void buffer_forgotten(void)
{
	to->straight_room = 0;
}

static void tables_changed(void)
{
	to->task->map.pmap.changes++;
}

/* Its buffer is the same, but what it has room for is less than before. */
static void room_is_less(void)
{
	struct call get = plain_receive(is_request() ? at : reply);

	stop_waiting(to);
	get.room = c.size;
	trap(to, &get);
}

static void room_is_too_small(void)
{
	struct call get = plain_receive(is_request() ? at : reply);

	stop_waiting(to);
	get.room = c.size - 8;
	trap(to, &get);
}

static void set_has_queues(void)
{
	if (!ready_split(test_port_of(server, at)))
		panic("no queues");
}

static void receiver_suspended(void)
{
	test_suspend(to);
}

static void resume(void)
{
	to->suspend_count = 0;
}

static void nobody_waits(void)
{
	stop_waiting(to);
}

static void sender_depressed(void)
{
	from->depressed = true;
}

static void relieve(void)
{
	from->depressed = false;
}

static void sender_counted(void)
{
	mach_port_name_t set = NONE;

	space_allocate(&from->task->space, MACH_PORT_RIGHT_PORT_SET, &set);
	throttle_set(test_port_of(from, set), 1, 100);
	throttle_join(from, test_port_of(from, set));
	space_lookup(&from->task->space, c.name);
	space_lookup(&from->task->space, c.remote);
}

static void count_no_more(void)
{
	throttle_leave(from);
}

static void body_across(void)
{
	c.buffer = test_buffer(from) + PAGE_SIZE - 8;
}

static void body_uneven(void)
{
	c.size -= 4;
}

static void body_long(void)
{
	c.size = KMSG_SMALL + 8;
}

static mach_port_name_t owners_once(void)
{
	struct port *p = right_make_send_once(test_port_of(owner, owned), third_ledger);
	mach_port_name_t name;

	if (space_insert(&server->task->space, p, MACH_MSG_TYPE_PORT_SEND_ONCE, &name) != KERN_SUCCESS)
		panic("no right");
	return name;
}

/* A reply right is not in it. */
static void entry_in_use(void)
{
	struct port *p;
	uint32_t disposition;

	if (is_request()) {
		owners_once();
		return;
	}
	if (space_take(&server->task->space, once, MOVE_ONCE, &p, &disposition) != KERN_SUCCESS)
		panic("no reply right");
	owners_once();
	if (space_insert(&server->task->space, p, disposition, &once) != KERN_SUCCESS)
		panic("no reply right");
	c.remote = once;
}

/* By the right in the space's own entry it would go near. */
static void right_is_another(void)
{
	c.remote = owners_once();
	space_lookup(&from->task->space, c.remote);
	space_lookup(&from->task->space, c.name);
}

static void entry_unmade(void)
{
	name_once_forget(&server->task->space);
}

static void entry_watched(void)
{
	struct port *previous;

	name_request_dead(space_lookup(&server->task->space, once), right_make_send_once(test_port_of(owner, owned), third_ledger), &previous);
}

static void entry_perhaps_alone(void)
{
	server->task->space.once_alone = true;
}

/* The server's other names are elsewhere. */
static void port_is_far(void)
{
	if (space_rename(&server->task->space, port, FAR_NAME) != KERN_SUCCESS)
		panic("no rename");
	c.name = at = port = FAR_NAME;
	space_lookup(&server->task->space, FAR_NAME);
}

static void reply_port_keeps_nothing(void)
{
	c.local = c.name = reply = test_port(client);
}

/* It receives where replies come. */
static void waits_for_reply(void)
{
	c.name = test_port(from);
	if (!port_keep_reply(test_port_of(from, c.name)))
		panic("no message kept");
}

/* Something is there to be received. */
static void message_waits(void)
{
	struct call send = { .bits = MACH_MSGH_BITS(COPY, 0), .id = 55, .option = MACH_SEND_MSG, .size = 40 };

	send.remote = is_request() ? test_send_right(other, client, reply) : test_send_right(other, server, port);
	if (go(other, &send) != MACH_MSG_SUCCESS)
		panic("not sent");
}

/* -- of a right -- */

static void more_in_body(void)
{
	const mach_msg_type_t type = { .msgt_name = MACH_MSG_TYPE_INTEGER_64, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 };

	memcpy(&item.data[0], &type, sizeof(type));
	item.data[1] = 77;
	c.size = WITH_ITEM + 16;
}

static void right_is_copied(void)
{
	item.type = right_type(COPY);
}

static void right_is_made(void)
{
	item.type = right_type(MACH_MSG_TYPE_MAKE_SEND);
	item.name = test_port(from);
}

static void body_is_data(void)
{
	item.type = right_type(MACH_MSG_TYPE_INTEGER_64);
}

static void right_not_at_hand(void)
{
	struct space *space = &from->task->space;

	space_forget(space, (mach_port_name_t)item.name, space_find(space, (mach_port_name_t)item.name));
}

/* Another right is in its place. */
static void right_has_made_way(void)
{
	mach_port_name_t name = test_send_right(from, owner, test_port(owner)), place = (mach_port_name_t)item.name + 2 * NODE;

	if (space_rename(&from->task->space, name, place) != KERN_SUCCESS || space_lookup(&from->task->space, place) == NULL ||
	    (*space_first(&from->task->space, (mach_port_name_t)item.name))->name != place)
		panic("not in its place");
	space_lookup(&from->task->space, c.remote);
	space_lookup(&from->task->space, c.name);
}

static void right_twice(void)
{
	test_send_right(from, owner, owned);
}

static void right_elsewhere_too(void)
{
	test_send_right(other, owner, owned);
}

static void right_comes_home(void)
{
	item.name = test_send_right(from, to, test_port(to));
	/* These were passed over. */
	space_lookup(&from->task->space, c.remote);
	space_lookup(&from->task->space, c.name);
}

static void right_is_dead(void)
{
	name_destroy(space_lookup(&owner->task->space, owned));
}

/* Its queue is to be emptied first. */
static void right_is_dying(void)
{
	struct call send = { .bits = MACH_MSGH_BITS(COPY, 0), .id = 56, .option = MACH_SEND_MSG, .size = 32 };
	mach_port_name_t name = test_send_right(other, owner, owned);

	send.remote = name;
	if (go(other, &send) != MACH_MSG_SUCCESS)
		panic("not sent");
	/* So that one name is left. */
	name_destroy(space_lookup(&other->task->space, name));
	name_destroy(space_lookup(&owner->task->space, owned));
}

static void right_is_watched(void)
{
	struct port *previous;

	name_request_dead(space_lookup(&from->task->space, (mach_port_name_t)item.name),
			  right_make_send_once(test_port_of(owner, owned), third_ledger), &previous);
}

static void name_is_far(void)
{
	if (space_rename(&from->task->space, (mach_port_name_t)item.name, FAR_NAME) != KERN_SUCCESS)
		panic("no rename");
	item.name = FAR_NAME;
	space_lookup(&from->task->space, FAR_NAME);
}

/* Is there a name beside the space's last one? Two stay free, but for the last itself. */
static bool has_name_beside(const struct space *space)
{
	unsigned free = space->leaf->present ^ RADIX_FULL, left = 2;

	if (space->last < NODE)
		free &= ~1u;
	if ((free >> space->last % NODE & 1) == 0)
		left++;
	return (unsigned)__builtin_popcount(free) >= left;
}

static void node_is_filled(void)
{
	while (has_name_beside(&to->task->space))
		test_port(to);
}

/* The right has a name in the middle of another node than what else the sender has. */
static void right_in_other_node(void)
{
	struct space *space = &from->task->space;
	struct thread *t = from;

	name_destroy(space_lookup(space, (mach_port_name_t)item.name));
	while (space->last < NODE || space->last % NODE != 8)
		test_port(t);
	item.name = test_send_right(t, owner, owned);
	if ((item.name ^ space->last) >= NODE)
		panic("not in this node");
}

static void all_at_hand(void)
{
	space_lookup(&from->task->space, c.remote);
	space_lookup(&from->task->space, c.name);
	space_lookup(&from->task->space, (mach_port_name_t)item.name);
}

static void senders_node_full(void)
{
	struct space *space = &from->task->space;
	mach_port_name_t first;

	right_in_other_node();
	first = space->last & ~(NODE - 1u);
	for (mach_port_name_t name = first; name < first + NODE; name++)
		if (!name_taken(space, name) && space_allocate_at(space, MACH_PORT_RIGHT_DEAD_NAME, name) != KERN_SUCCESS)
			panic("no name");
	if (space->leaf->present != RADIX_FULL)
		panic("not full");
	all_at_hand();
}

static void right_with_few(unsigned others)
{
	struct space *space = &from->task->space;
	mach_port_name_t first;

	right_in_other_node();
	first = space->last & ~(NODE - 1u);
	for (mach_port_name_t name = first; name < first + NODE; name++)
		if (name != item.name && name_taken(space, name) && others != 0)
			others--;
		else if (name != item.name && name_taken(space, name))
			name_destroy(space_lookup(space, name));
	all_at_hand();
}

static void one_beside_right(void)
{
	right_with_few(1);
}

static void none_beside_right(void)
{
	right_with_few(0);
}

static void two_beside_right(void)
{
	right_with_few(2);
}

/* Only the space's own entry is: it goes with it. */
static void own_beside_right(void)
{
	struct space *space = &server->task->space;
	uint64_t key = 0;
	unsigned names = 0;

	port_is_far();
	for (struct name *entry; (entry = radix_next(&space->names, &key)) != NULL && key < NODE; key++)
		names += entry != &space->once;
	if (names != 1)
		panic("%u names beside", names);
	all_at_hand();
}

/* A thread of the receiver's task is the sender, and has the right. */
static void one_space(void)
{
	struct thread *t = test_thread_in(to->task);
	struct port *p;

	if (is_request()) {
		c.remote = test_send_right(t, server, port);
		c.local = c.name = test_port(t);
		port_keep_reply(test_port_of(t, c.local));
	} else {
		p = right_make_send_once(reply_port(), ledger_a);
		if (space_insert(&t->task->space, p, MACH_MSG_TYPE_PORT_SEND_ONCE, &c.remote) != KERN_SUCCESS)
			panic("no right");
		c.name = test_port(t);
	}
	name_destroy(space_lookup(&from->task->space, (mach_port_name_t)item.name));
	item.name = test_send_right(t, owner, owned);
	/* The thread's buffer is new in the page tables, the receiver's as it was. */
	to->straight.changes = to->task->map.pmap.changes;
	from = t;
}

/* -- all of them -- */

struct reason {
	const char *what;
	uint32_t forms;
	enum way way, way_with_right;
	void (*spoil)(void), (*mend)(void);
	bool two_payers;
};

static const struct reason reasons[] = {
	{ "the plain one", ALL, NEAR, NEAR, NULL, NULL, false },
	{ "a destination's name that is not at hand", REQUESTS, FAR, EARLY_FAR, destination_not_at_hand, NULL, false },
	{ "a name to receive from that is not at hand", ALL, FAR, FAR, receive_name_not_at_hand, NULL, false },
	{ "a reply port that somebody has a send right to", ALL, FAR, FAR, reply_port_has_sender, NULL, false },
	{ "a reply port with another reference", ALL, FAR, FAR, reply_port_is_referenced, unreference, false },
	{ "a reply port with another send-once right", REQUESTS, GENERAL, GENERAL, reply_port_has_once, NULL, false },
	{ "a reply port with another send-once right", REPLIES, FAR, FAR, reply_port_has_once, NULL, false },
	{ "a reply port with a bound", ALL, GENERAL, GENERAL, reply_port_has_bound, NULL, false },
	{ "a destination with a bound", REQUESTS, GENERAL, EARLY_GENERAL, destination_has_bound, NULL, false },
	{ "a destination with a payload", REQUESTS, GENERAL, EARLY_GENERAL, has_payload, NULL, false },
	{ "a reply port with a payload", REPLIES, GENERAL, GENERAL, has_payload, NULL, false },
	{ "a receiver whose buffer's place is not known", ALL, FAR, FAR, buffer_forgotten, NULL, false },
	{ "a receiver whose page tables have changed", ALL, FAR, FAR, tables_changed, NULL, false },
	{ "a receiver who has just room enough now", ALL, FAR, FAR, room_is_less, NULL, false },
	{ "a receiver who has not", BODIES, GENERAL, GENERAL, room_is_too_small, NULL, false },
	{ "a set with queues", 1u << REQUEST_SET | 1u << REPLY_SET, GENERAL, GENERAL, set_has_queues, NULL, false },
	{ "a suspended receiver", ALL, GENERAL, GENERAL, receiver_suspended, resume, false },
	{ "no receiver", ALL, GENERAL, GENERAL, nobody_waits, NULL, false },
	{ "a depressed sender", ALL, GENERAL, GENERAL, sender_depressed, relieve, false },
	{ "a sender that a throttled set counts", ALL, GENERAL, GENERAL, sender_counted, count_no_more, false },
	{ "a body that might overlap", BODIES, FAR, FAR, body_across, NULL, false },
	{ "a body of no whole eightbytes", BODIES, GENERAL, GENERAL, body_uneven, NULL, false },
	{ "a long body", BODIES, GENERAL, GENERAL, body_long, NULL, false },
	{ "the space's own entry in use", ALL, GENERAL, GENERAL, entry_in_use, NULL, false },
	{ "another reply right than the own entry's", REPLIES, GENERAL, GENERAL, right_is_another, NULL, false },
	{ "no entry of the space's own", REQUESTS, GENERAL, GENERAL, entry_unmade, NULL, false },
	{ "a dead-name request for the reply right", REPLIES, GENERAL, GENERAL, entry_watched, NULL, false },
	{ "an own entry that may be alone in its node", REPLIES, FAR, FAR, entry_perhaps_alone, NULL, false },
	{ "an own entry that is", 1u << REPLY | 1u << REPLY_BODY, GENERAL, GENERAL, port_is_far, NULL, false },
	{ "a reply port that keeps no message", REQUESTS, GENERAL, GENERAL, reply_port_keeps_nothing, NULL, false },
	{ "a reply port to wait at", REPLIES, GENERAL, GENERAL, waits_for_reply, NULL, false },
	{ "a message to be received", ALL, GENERAL, GENERAL, message_waits, NULL, false },

	{ "another item too", RIGHTS, NEAR, EARLY_FAR, more_in_body, NULL, false },
	{ "a copied right", RIGHTS, NEAR, FAR, right_is_copied, NULL, false },
	{ "a made right", RIGHTS, NEAR, FAR, right_is_made, NULL, false },
	{ "data instead", RIGHTS, NEAR, GENERAL, body_is_data, NULL, false },
	{ "a right whose name is not at hand", RIGHTS, NEAR, FAR, right_not_at_hand, NULL, false },
	{ "a right that has made way for another", RIGHTS, NEAR, FAR, right_has_made_way, NULL, false },
	{ "a right with two user references", RIGHTS, NEAR, FAR, right_twice, NULL, false },
	{ "a right that another task has too", RIGHTS, NEAR, FAR, right_elsewhere_too, NULL, false },
	{ "a right to the receiver's port", RIGHTS, NEAR, FAR, right_comes_home, NULL, false },
	{ "a right to a dead port", RIGHTS, NEAR, GENERAL, right_is_dead, NULL, false },
	{ "a right to a dying port", RIGHTS, NEAR, GENERAL, right_is_dying, NULL, false },
	{ "a right with a dead-name request", RIGHTS, NEAR, GENERAL, right_is_watched, NULL, false },
	{ "a right in the sender's own space", RIGHTS, NEAR, GENERAL, one_space, NULL, false },
	{ "another payer", RIGHTS, NEAR, FAR, NULL, NULL, true },
	{ "a right whose radix node is not at hand", RIGHTS, NEAR, FAR, name_is_far, NULL, false },
	{ "no name beside the receiver's last one", RIGHTS, NEAR, FAR, node_is_filled, NULL, false },
	{ "a right out of a full node", RIGHTS, NEAR, NEAR, senders_node_full, NULL, false },
	{ "a right that leaves two names in its node", RIGHTS, NEAR, NEAR, two_beside_right, NULL, false },
	{ "a right that leaves one name in its node", RIGHTS, NEAR, NEAR, one_beside_right, NULL, false },
	{ "a right that leaves an empty node", RIGHTS, NEAR, NEAR, none_beside_right, NULL, false },
	{ "a right that leaves the space's own entry alone", 1u << REPLY_RIGHT, NEAR, NEAR, own_beside_right, NULL, false },
};

/* The server answers a request that it has got. */
static bool finish(void)
{
	if (from != client || client->state != THREAD_WAITING || server->state != THREAD_RUNNING ||
	    test_type(server, once) != MACH_PORT_TYPE_SEND_ONCE)
		return true;
	return complete();
}

/* The message as it is, or by way of another form. */
static void run(const struct reason *reason, enum way forced)
{
	static char by_itself[TEXT];
	const char *name = form_names[form];
	int64_t result;

	stage(reason->two_payers);
	if (reason->spoil != NULL)
		reason->spoil();
	check_everything();
	if (forced == FAR) {
		c.option |= MACH_RCV_TIMEOUT;
		c.timeout = 1000;
	}
	host_fast_off = forced == GENERAL;
	result = fire();
	host_fast_off = false;
	if (forced == NEAR) {
		enum way way = has_right() ? reason->way_with_right : reason->way;

		if (!ok(went(way), "%s, %s: %s", name, reason->what, way_names[way]))
			diag("fast %d, heads %u, items %u, %lx", was_fast(), host_heads_read, host_items_read, (long)result);
	} else if (forced == GENERAL && was_fast()) {
		ok(false, "%s, %s: the general way is none", name, reason->what);
	}
	tell_all(result);
	if (forced == NEAR)
		memcpy(by_itself, text, sizeof(text));
	else if (!ok(strcmp(text, by_itself) == 0, "%s, %s: as it is %s", name, reason->what,
		     forced == FAR ? "with a time-out" : "the general way"))
		diag("by itself:\n%s\nthis way:\n%s\n", by_itself, text);
	if (reason->mend != NULL)
		reason->mend();
	check_everything();
	if (!finish())
		ok(false, "%s, %s: the answer comes", name, reason->what);
	check_everything();
	task_end(other->task);
	task_end(owner->task);
	end(reason->what);
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		if (host_used(third_ledger, i) != 0)
			ok(false, "%s, %s: no %s is left", name, reason->what, ledger_resource_name(i));
}

int main(void)
{
	system_begin("ipc_msg_near_test");
	second_ledger = ledger_b;
	third_ledger = test_ledger("c");
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		for (form = REQUEST; form < FORMS; form++)
			for (enum way way = NEAR; way <= GENERAL && (reasons[i].forms & 1u << form) != 0; way++)
				run(&reasons[i], way);
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
