/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: many of them, how they are chosen, deaths of ports that many hold, and each allocation of each call denied. */
/* SOURCES: mem kernel/ipc/name.c kernel/ipc/port.c kernel/ipc/portset.c kernel/ipc/notify.c kernel/ipc/right.c kernel/ipc/space.c kernel/ipc/mach_port_server.c kernel/ipc/port_names_server.c kernel/kern/opaque.c */
#include "ipc_space_fake.h"
#include "mach_debug_server.h"
#include "mach_port_server.h"
#include "tap.h"

#define MANY 100000
#define HOLDERS 300

static struct ledger *ledger, *other_ledger;
static struct space space, other;

static mach_port_name_t allocate(struct space *in, mach_port_right_t right)
{
	mach_port_name_t name = 0;

	if (mach_port_allocate(in, right, &name) != KERN_SUCCESS)
		panic("allocate denied");
	return name;
}

static struct port *port_of(struct space *in, mach_port_name_t name)
{
	return space_lookup(in, name)->port;
}

static struct port *take(struct space *in, mach_port_name_t name, uint32_t type)
{
	struct port *port;
	uint32_t disposition;

	if (space_take(in, name, type, &port, &disposition) != KERN_SUCCESS)
		panic("take of %u refused", name);
	return port;
}

static mach_port_name_t insert(struct space *in, struct port *port, uint32_t disposition)
{
	mach_port_name_t name;

	if (space_insert(in, port, disposition, &name) != KERN_SUCCESS)
		panic("insert denied");
	return name;
}

static uint32_t type_of(struct space *in, mach_port_name_t name)
{
	uint32_t type = 0;

	return mach_port_type(in, name, &type) == KERN_SUCCESS ? type : 0;
}

static uint32_t refs_of(struct space *in, mach_port_name_t name, mach_port_right_t right)
{
	uint32_t refs = ~0u;

	return mach_port_get_refs(in, name, right, &refs) == KERN_SUCCESS ? refs : ~0u;
}

/* Receives one notification; its id, 0: none there. */
static uint32_t receive(struct port *port, uint32_t *word)
{
	struct kmsg *kmsg = port->messages;
	uint32_t id;

	if (kmsg == NULL)
		return 0;
	id = kmsg->id;
	*word = kmsg->size > 40 ? ((const mach_dead_name_notification_t *)(const void *)kmsg->small)->not_port : 0;
	RING_REMOVE(port->messages, kmsg, link);
	port->message_count--;
	right_consume_send_once(port);
	kmsg_free(kmsg);
	return id;
}

static void empty(struct space *in)
{
	while (!space_dismantle(in))
		;
	reap_all();
	in->dead = false;
}

static void test_choice(void)
{
	mach_port_name_t first = allocate(&space, MACH_PORT_RIGHT_RECEIVE), name, highest = 0;
	uint64_t before = fake_charged(ledger);

	is_u64(first, 1, "the first name is 1");
	mach_port_destroy(&space, first);
	name = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
	ok(name != first, "a name that was just freed is not given out at once: %u", name);
	for (int i = 0; i < 10000; i++) {
		mach_port_name_t again = allocate(&space, MACH_PORT_RIGHT_RECEIVE);

		highest = again > highest ? again : highest;
		mach_port_destroy(&space, again);
	}
	ok(highest < 100, "names stay small when few are used: at most %u", highest);
	before = host_used(ledger, LEDGER_NODES);
	claim_begin("one more name needs no more nodes, mostly");
	for (int i = 0; i < 11; i++) {
		mach_port_name_t kept = allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);

		claim(host_used(ledger, LEDGER_NODES) == before, "name %u", kept);
		for (int round = 0; round < 40; round++) {
			mach_port_name_t again = allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);

			claim(again != kept && host_used(ledger, LEDGER_NODES) == before, "name %u beside %u", again, kept);
			mach_port_destroy(&space, again);
			claim(allocate(&space, MACH_PORT_RIGHT_DEAD_NAME) != again, "name %u is given out again at once", again);
			mach_port_destroy(&space, space.last);
		}
	}
	claim_end();
	while (space_names(&space) > 1) {
		mach_port_name_t any = space.last;

		while (any == name || type_of(&space, any) == 0)
			any = any % 100 + 1;
		mach_port_destroy(&space, any);
	}
	before = UINT64_MAX;
	mach_port_destroy(&space, name);
	ok(fake_charged(ledger) < before, "what was made was given back");
	is_u64(fake_charged(ledger), 0, "all of it");
}

/* Makes a name and frees it, again and again. Returns how often that took a node. */
static unsigned again_and_again(unsigned rounds)
{
	mach_port_name_t last = 0;
	unsigned nodes_made = 0;

	while (rounds-- != 0) {
		uint64_t before = host_used(ledger, LEDGER_NODES);
		mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);

		nodes_made += host_used(ledger, LEDGER_NODES) != before;
		claim(name != last, "the name %u is given out again at once", name);
		mach_port_destroy(&space, name);
		last = name;
	}
	return nodes_made;
}

static void test_brink(void)
{
	unsigned nodes_made = 0;

	claim_begin("whatever the number of names that stay, one more, made and freed, takes a node once at most");
	for (unsigned stay = 1; stay < 300; stay++) {
		for (unsigned i = 0; i < stay; i++)
			allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);
		nodes_made = again_and_again(40);
		claim(nodes_made <= 1, "%u times beside %u", nodes_made, stay);
		empty(&space);
	}
	claim_end();
	claim_begin("and when some of those stay, too, it is still seldom");
	for (nodes_made = 0; space_names(&space) < 600;) {
		allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);
		nodes_made += again_and_again(40);
	}
	claim(nodes_made < 600 * 40 / 25, "%u times", nodes_made);
	claim_end();
	empty(&space);
	is_u64(fake_charged(ledger), 0, "all came back");
}

/* Each node has one free name. A name made and freed again and again takes two by turns, whatever else is free, and none elsewhere. */
static void test_turns(void)
{
	mach_port_name_t last = 0, before = 0;

	for (mach_port_name_t name = 1; name < 2048; name++) {
		if (name % RADIX_SLOTS != 5)
			mach_port_allocate_name(&space, MACH_PORT_RIGHT_DEAD_NAME, name);
	}
	space.last = 1024 + 5;
	claim_begin("where each node has one free name, one made and freed again and again takes two by turns");
	for (unsigned round = 0; round < 40; round++) {
		mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);

		claim(name != last && (round < 3 || name == before), "%u behind %u and %u", name, before, last);
		mach_port_destroy(&space, name);
		before = last;
		last = name;
	}
	claim_end();
	claim_begin("or stays in a node next to it that has two");
	mach_port_destroy(&space, (last & ~(RADIX_SLOTS - 1)) + 2 * RADIX_SLOTS + 9);
	for (unsigned round = 0; round < 40; round++) {
		mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);

		claim(name / RADIX_SLOTS == last / RADIX_SLOTS + 2, "%u behind %u", name, last);
		mach_port_destroy(&space, name);
	}
	claim_end();
	mach_port_allocate_name(&space, MACH_PORT_RIGHT_DEAD_NAME, (last & ~(RADIX_SLOTS - 1)) + 2 * RADIX_SLOTS + 9);
	space.last = last;
	space.leaf = radix_leaf_of(&space.names, last);
	claim_begin("also when one of the two is taken, or its node goes");
	mach_port_allocate_name(&space, MACH_PORT_RIGHT_DEAD_NAME, before);
	claim(allocate(&space, MACH_PORT_RIGHT_DEAD_NAME) != before, "%u is taken", before);
	mach_port_destroy(&space, space.last);
	before = space.elsewhere & ~(RADIX_SLOTS - 1);
	for (mach_port_name_t i = 0; i < RADIX_SLOTS; i++)
		mach_port_destroy(&space, before + i);
	space_check(&space);
	last = space.last;
	for (unsigned round = 0; round < 40; round++) {
		uint64_t nodes = host_used(ledger, LEDGER_NODES);
		mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);

		claim(name != last && host_used(ledger, LEDGER_NODES) == nodes, "%u behind %u", name, last);
		mach_port_destroy(&space, name);
		last = name;
	}
	claim_end();
	space_check(&space);
	empty(&space);
	is_u64(fake_charged(ledger), 0, "all came back");
}

static void test_many(void)
{
	static mach_port_name_t names[MANY];
	struct vm_copy *list = NULL, *types = NULL;
	mach_msg_type_number_t count = 0, type_count = 0;
	uint32_t highest = 0, sum = 0, want = 0;
	uint64_t nodes;

	for (int i = 0; i < MANY; i++) {
		names[i] = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
		highest = names[i] > highest ? names[i] : highest;
		want += names[i];
	}
	nodes = host_used(ledger, LEDGER_NODES);
	ok(highest < 2 * MANY + 64 && nodes < MANY / 4, "100000 names are dense: highest %u, %lu nodes", highest,
	   (unsigned long)nodes);
	space_check(&space);
	is_u64(host_used(ledger, LEDGER_NAMES), 0, "their names lie in them");
	is_u64(host_used(ledger, LEDGER_PORTS), MANY, "ports are charged");
	is_u64((uint64_t)mach_port_names(&space, &list, &count, &types, &type_count), KERN_SUCCESS, "mach_port_names");
	for (uint32_t i = 0; i < count; i++)
		sum += ((uint32_t *)(list + 1))[i];
	ok(count == MANY && sum == want, "it lists them all");
	vm_copy_discard(list);
	vm_copy_discard(types);
	/* In an order of no system: by steps that visit each once. */
	claim_begin("each can be destroyed");
	for (uint32_t i = 0, at = 0; i < MANY; i++, at = (at + 61543) % MANY)
		claim(mach_port_destroy(&space, names[at]) == KERN_SUCCESS, "name %u", names[at]);
	claim_end();
	reap_all();
	is_u64(fake_charged(ledger), 0, "and all came back");
	for (int i = 0; i < MANY; i++)
		allocate(&space, i % 3 ? MACH_PORT_RIGHT_RECEIVE : i % 2 ? MACH_PORT_RIGHT_DEAD_NAME : MACH_PORT_RIGHT_PORT_SET);
	empty(&space);
	is_u64(fake_charged(ledger), 0, "a space of 100000 names goes in pieces, all came back");
}

/* A port with HOLDERS dead-name requests in another space dies; its names go in pieces. */
static void test_storm(void)
{
	static mach_port_name_t onces[HOLDERS];
	mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_RECEIVE), watch = allocate(&other, MACH_PORT_RIGHT_RECEIVE);
	struct port *port = port_of(&space, name), *watcher = port_of(&other, watch), *previous;
	uint32_t word = 0, seen = 0, steps = 0;
	unsigned requests = 0, used = 0;
	uint64_t calls;
	mach_port_name_t send;

	send = insert(&other, take(&space, name, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
	mach_port_mod_refs(&other, send, MACH_PORT_RIGHT_SEND, 6);
	for (int i = 0; i < HOLDERS; i++) {
		onces[i] = insert(&other, take(&space, name, MACH_MSG_TYPE_MAKE_SEND_ONCE), MACH_MSG_TYPE_PORT_SEND_ONCE);
		if (mach_port_request_notification(&other, onces[i], MACH_NOTIFY_DEAD_NAME, 0,
						   take(&other, watch, MACH_MSG_TYPE_MAKE_SEND_ONCE), &previous) != KERN_SUCCESS)
			panic("request refused");
	}
	mach_port_dnrequest_info(&space, name, &requests, &used);
	ok(requests == HOLDERS && used == HOLDERS, "the port knows the requests for its names");
	port_check(port);
	is_u64(host_used(ledger, LEDGER_MESSAGES), HOLDERS, "each send-once right has a prepaid message, paid by the receiver");
	is_u64(host_used(other_ledger, LEDGER_MESSAGES), HOLDERS, "so has each request");
	calls = host_fail_calls;
	mach_port_destroy(&space, name);
	ok(reap_pending(), "a port with many names goes in pieces");
	is_u64(type_of(&other, onces[HOLDERS - 1]), MACH_PORT_TYPE_DEAD_NAME, "a name that is looked at is dead at once");
	is_u64(refs_of(&other, onces[HOLDERS - 1], MACH_PORT_RIGHT_DEAD_NAME), 2, "its notification counts as a reference");
	while (reap_one())
		steps++;
	ok(steps >= HOLDERS / 32, "in %u steps", steps);
	is_u64(host_fail_calls, calls, "nothing of which asks for memory");
	is_u64(refs_of(&other, send, MACH_PORT_RIGHT_DEAD_NAME), 7, "a send right keeps its references as a dead name");
	claim_begin("each request was answered with its name");
	while (receive(watcher, &word) == MACH_NOTIFY_DEAD_NAME) {
		claim(type_of(&other, word) == MACH_PORT_TYPE_DEAD_NAME, "name %u", word);
		claim(mach_port_deallocate(&other, word) == KERN_SUCCESS, "name %u", word);
		seen++;
	}
	claim_end();
	is_u64(seen, HOLDERS, "all of them");
	is_u64(fake_charged(ledger), 0, "the dead port's owner pays nothing any more");
	empty(&other);
	is_u64(fake_charged(other_ledger), 0, "nor does the other");
}

static void test_port_destroyed(void)
{
	mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_RECEIVE), backup = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
	struct port *port = port_of(&space, name), *keeper = port_of(&space, backup), *previous;
	struct kmsg *kmsg;

	mach_port_request_notification(&space, name, MACH_NOTIFY_PORT_DESTROYED, 0,
				       take(&space, backup, MACH_MSG_TYPE_MAKE_SEND_ONCE), &previous);
	mach_port_set_protected_payload(&space, name, 42);
	mach_port_mod_refs(&space, name, MACH_PORT_RIGHT_RECEIVE, -1);
	kmsg = keeper->messages;
	ok(!port->dead && kmsg != NULL && fake_carried(kmsg) == port && (kmsg->bits & MACH_MSGH_BITS_COMPLEX),
	   "a port with a port-destroyed request is sent, not destroyed");
	ok(port->destination == keeper && !port->has_payload && type_of(&space, name) == 0, "it is in transit, its name free");
	/* To its own queue, by way of another: a loop, which must die. */
	mach_port_request_notification(&space, backup, MACH_NOTIFY_PORT_DESTROYED, 0,
				       right_make_send_once(port, ledger), &previous);
	mach_port_mod_refs(&space, backup, MACH_PORT_RIGHT_RECEIVE, -1);
	reap_all();
	is_u64(fake_charged(ledger), 0, "receive rights in each other's queues are no leak");
}

static void test_transit_depth(void)
{
	enum { CHAIN = TRANSIT_DEPTH_MAX + 8 };
	struct port *ports[CHAIN], *previous;
	mach_port_name_t names[CHAIN];
	int died = 0;

	for (int i = 0; i < CHAIN; i++) {
		names[i] = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
		ports[i] = port_of(&space, names[i]);
		port_ref(ports[i]);
	}
	for (int i = 0; i + 1 < CHAIN; i++) {
		mach_port_request_notification(&space, names[i], MACH_NOTIFY_PORT_DESTROYED, 0,
					       take(&space, names[i + 1], MACH_MSG_TYPE_MAKE_SEND_ONCE), &previous);
		mach_port_destroy(&space, names[i]);
		port_check(ports[i + 1]);
	}
	reap_all();
	for (int i = 0; i < CHAIN; i++)
		died += ports[i]->dead;
	ok(died >= TRANSIT_DEPTH_MAX && died < CHAIN, "receive rights nest at most %d deep: %d of %d ports died", TRANSIT_DEPTH_MAX,
	   died, CHAIN);
	for (int i = 0; i < CHAIN; i++)
		port_unref(ports[i]);
	empty(&space);
	is_u64(fake_charged(ledger), 0, "all came back");
}

static void test_sets(void)
{
	mach_port_name_t set = allocate(&space, MACH_PORT_RIGHT_PORT_SET), names[200], other_set;
	struct vm_copy *list = NULL;
	mach_msg_type_number_t count = 0;
	mach_port_status_t status;

	for (int i = 0; i < 200; i++) {
		names[i] = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
		mach_port_move_member(&space, names[i], set);
	}
	is_u64((uint64_t)mach_port_get_set_status(&space, set, &list, &count), KERN_SUCCESS, "get_set_status");
	claim_begin("the set's members are listed, each once");
	for (uint32_t i = 0; i < 200; i++) {
		unsigned times = 0;

		for (uint32_t j = 0; j < count; j++)
			times += ((uint32_t *)(list + 1))[j] == names[i];
		claim(count == 200 && times == 1, "member %u: %u times of %u", names[i], times, count);
	}
	claim_end();
	vm_copy_discard(list);
	fake_changes = 0;
	mach_port_destroy(&space, set);
	ok(fake_changes == 1 && fake_change == MACH_RCV_PORT_DIED, "those that wait on a set that dies are told");
	ok(reap_pending(), "a set with many members goes in pieces");
	mach_port_get_receive_status(&space, names[150], &status);
	is_u64(status.mps_pset, 0, "a member of a dead set is in no set");
	is_u64((uint64_t)mach_port_move_member(&space, names[160], 0), KERN_NOT_IN_SET, "also for move_member");
	other_set = allocate(&space, MACH_PORT_RIGHT_PORT_SET);
	is_u64((uint64_t)mach_port_move_member(&space, names[170], other_set), KERN_SUCCESS, "and can join another");
	ok(fake_change == MACH_RCV_PORT_CHANGED, "those that wait on a port that joins a set are told");
	reap_all();
	mach_port_get_receive_status(&space, names[170], &status);
	is_u64(status.mps_pset, other_set, "which it stays in");
	mach_port_destroy(&space, names[170]);
	empty(&space);
	is_u64(fake_charged(ledger), 0, "all came back");
}

/* -- each allocation denied -- */

static struct port *held;
static mach_port_name_t receive_name, set_name, found;

static kern_return_t call_allocate(void) { return mach_port_allocate(&space, MACH_PORT_RIGHT_RECEIVE, &found); }
static kern_return_t call_allocate_set(void) { return mach_port_allocate(&space, MACH_PORT_RIGHT_PORT_SET, &found); }
static kern_return_t call_allocate_dead(void) { return mach_port_allocate(&space, MACH_PORT_RIGHT_DEAD_NAME, &found); }
static kern_return_t call_allocate_name(void) { return mach_port_allocate_name(&space, MACH_PORT_RIGHT_RECEIVE, 0xf0f0f0f0); }
static kern_return_t call_rename(void) { return mach_port_rename(&space, receive_name, 0xe0e0e0e0); }
static kern_return_t call_insert(void) { return space_insert(&space, held, MACH_MSG_TYPE_PORT_SEND, &found); }
static kern_return_t call_insert_at(void) { return mach_port_insert_right(&space, 0xd0d0d0d0, held, MACH_MSG_TYPE_PORT_SEND); }

static kern_return_t call_make_send_once(void)
{
	mach_msg_type_name_t disposition;

	return mach_port_extract_right(&space, receive_name, MACH_MSG_TYPE_MAKE_SEND_ONCE, &held, &disposition);
}

static kern_return_t call_join(void) { return mach_port_move_member(&space, receive_name, set_name); }
static kern_return_t call_payload(void) { return mach_port_set_protected_payload(&space, receive_name, 7); }

static kern_return_t request(mach_msg_id_t id)
{
	struct port *previous;

	return mach_port_request_notification(&space, receive_name, id, 0, held, &previous);
}

static kern_return_t call_request_no_senders(void) { return request(MACH_NOTIFY_NO_SENDERS); }
static kern_return_t call_request_dead(void) { return request(MACH_NOTIFY_DEAD_NAME); }
static kern_return_t call_request_destroyed(void) { return request(MACH_NOTIFY_PORT_DESTROYED); }

static void test_denials(void)
{
	static const struct { const char *name; kern_return_t (*call)(void); uint32_t held; bool extracts; unsigned least; } calls[] = {
		{ "allocate", call_allocate, 0, false, 1 }, { "allocate of a set", call_allocate_set, 0, false, 1 },
		{ "allocate of a dead name", call_allocate_dead, 0, false, 1 },
		{ "allocate_name", call_allocate_name, 0, false, 2 }, { "rename", call_rename, 0, false, 1 },
		{ "insert", call_insert, MACH_MSG_TYPE_MAKE_SEND, false, 1 }, { "insert_right", call_insert_at, MACH_MSG_TYPE_MAKE_SEND, false, 2 },
		{ "extract_right", call_make_send_once, 0, true, 1 },
		{ "move_member", call_join, 0, false, 1 }, { "set_protected_payload", call_payload, 0, false, 1 },
		{ "request of a dead name", call_request_dead, MACH_MSG_TYPE_MAKE_SEND_ONCE, false, 1 },
		{ "request of no-senders", call_request_no_senders, MACH_MSG_TYPE_MAKE_SEND_ONCE, false, 1 },
		{ "request of port-destroyed", call_request_destroyed, MACH_MSG_TYPE_MAKE_SEND_ONCE, false, 1 },
	};
	mach_port_name_t source = allocate(&other, MACH_PORT_RIGHT_RECEIVE);

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		unsigned denied = 0;
		bool fired;
		kern_return_t kr;

		receive_name = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
		set_name = allocate(&space, MACH_PORT_RIGHT_PORT_SET);
		held = calls[i].held != 0 ? take(&other, source, calls[i].held) : NULL;
		claim_begin("%s: the first allocation denied, the second, ...: nothing changes, then it works", calls[i].name);
		for (;;) {
			uint64_t before = fake_print(&space), source_before = fake_print(&other);

			host_fail_nth(denied + 1);
			kr = calls[i].call();
			fired = host_fail_fired;
			host_fail_nth(0);
			if (!fired)
				break;
			denied++;
			claim(kr == KERN_RESOURCE_SHORTAGE, "denial %u: code %d", denied, kr);
			claim(fake_print(&space) == before && fake_print(&other) == source_before, "denial %u: changed", denied);
		}
		claim(kr == KERN_SUCCESS, "undisturbed: code %d", kr);
		claim(denied >= calls[i].least, "only %u denials", denied);
		claim_end();
		if (calls[i].extracts)
			right_release_send_once(held);
		empty(&space);
	}
	empty(&other);
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "all came back");
}

/* What few ports need is one port more, got once, and charged to whom the port is. */
static void test_extra(void)
{
	mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_RECEIVE), set = allocate(&other, MACH_PORT_RIGHT_PORT_SET), there;
	struct port *port = port_of(&space, name), *previous;
	uint32_t word;

	is_u64(host_used(ledger, LEDGER_PORTS), 1, "a port is one port");
	there = insert(&other, take(&space, name, MACH_MSG_TYPE_MOVE_RECEIVE), MACH_MSG_TYPE_PORT_RECEIVE);
	ledger_limit(ledger, LEDGER_PORTS, 1);
	is_u64((uint64_t)mach_port_move_member(&other, there, set), KERN_RESOURCE_SHORTAGE, "one that joins a set is two");
	ok(strcmp(host_denial.ledger, ledger->name) == 0 && host_denial.resource == LEDGER_PORTS, "both its payer's, wherever its receive right is");
	is_u64((uint64_t)mach_port_request_notification(&other, there, MACH_NOTIFY_NO_SENDERS, 0, NULL, &previous), KERN_SUCCESS,
	       "that nothing was asked for takes nothing");
	is_u64((uint64_t)mach_port_clear_protected_payload(&other, there), KERN_SUCCESS, "nor does no payload");
	ok(!port->in_set && !port->has_extra && port_no_senders(port) == NULL, "and it has neither set nor request");
	ledger_limit(ledger, LEDGER_PORTS, LEDGER_UNLIMITED);
	is_u64((uint64_t)mach_port_move_member(&other, there, set), KERN_SUCCESS, "without a limit it joins");
	is_u64((uint64_t)mach_port_set_protected_payload(&other, there, 9), KERN_SUCCESS, "gets a payload");
	insert(&other, take(&other, there, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
	mach_port_request_notification(&other, there, MACH_NOTIFY_NO_SENDERS, 0, take(&other, there, MACH_MSG_TYPE_MAKE_SEND_ONCE),
				       &previous);
	is_u64(host_used(ledger, LEDGER_PORTS), 2, "all for one port more");
	ok(port->extra->set == port_of(&other, set) && port->extra->payload == 9 && port->has_payload, "which holds them");
	mach_port_deallocate(&other, there);
	is_u64(receive(port, &word), MACH_NOTIFY_NO_SENDERS, "the last send right tells its end");
	is_u64((uint64_t)mach_port_move_member(&other, there, 0), KERN_SUCCESS, "it leaves the set");
	port_check(port);
	ok(host_audit(), "the audit agrees about it");
	name = insert(&space, take(&other, there, MACH_MSG_TYPE_MOVE_RECEIVE), MACH_MSG_TYPE_PORT_RECEIVE);
	ok(!port->has_payload && host_used(ledger, LEDGER_PORTS) == 2, "moved it has no payload, and what it lay in stays");
	mach_port_destroy(&space, name);
	is_u64(host_used(ledger, LEDGER_PORTS), 0, "until the port's end");
	empty(&other);
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "all came back");
}

/* A receive right's name lies in its port while there is nothing else in it. */
static void test_own(void)
{
	mach_port_name_t name = allocate(&space, MACH_PORT_RIGHT_RECEIVE), there, source;
	struct port *port = port_of(&space, name), *previous, *once;

	ok(space_lookup(&space, name) == &port->own && host_used(ledger, LEDGER_NAMES) == 0, "a receive right's name lies in its port");
	ledger_limit(ledger, LEDGER_NAMES, 0);
	right_make_send(port);
	is_u64((uint64_t)space_insert(&space, port, MACH_MSG_TYPE_PORT_SEND, &there), KERN_RESOURCE_SHORTAGE, "a send right takes a name");
	ok(host_denial.resource == LEDGER_NAMES && strcmp(host_denial.ledger, ledger->name) == 0, "of its space's ledger");
	is_u64((uint64_t)mach_port_insert_right(&space, name, port, MACH_MSG_TYPE_PORT_SEND), KERN_RESOURCE_SHORTAGE, "either way");
	source = allocate(&other, MACH_PORT_RIGHT_RECEIVE);
	once = take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	is_u64((uint64_t)mach_port_request_notification(&space, name, MACH_NOTIFY_DEAD_NAME, 0, once, &previous), KERN_RESOURCE_SHORTAGE,
	       "so does a dead-name request");
	right_release_send_once(once);
	is_u64(type_of(&space, name), MACH_PORT_TYPE_RECEIVE, "it stays what it was");
	space_check(&space);
	port_check(port);
	ledger_limit(ledger, LEDGER_NAMES, LEDGER_UNLIMITED);
	is_u64((uint64_t)space_insert(&space, port, MACH_MSG_TYPE_PORT_SEND, &there), KERN_SUCCESS, "without a limit it comes");
	ok(there == name && type_of(&space, name) == MACH_PORT_TYPE_SEND_RECEIVE && space_lookup(&space, name) != &port->own &&
	   host_used(ledger, LEDGER_NAMES) == 1, "under the same name, which is one more");
	space_check(&space);
	port_check(port);
	there = insert(&other, take(&space, name, MACH_MSG_TYPE_MOVE_RECEIVE), MACH_MSG_TYPE_PORT_RECEIVE);
	ok(type_of(&space, name) == MACH_PORT_TYPE_SEND && space_lookup(&other, there) == &port->own && host_used(other_ledger, LEDGER_NAMES) == 0,
	   "the receive right goes on alone: its name lies in its port again");
	is_u64((uint64_t)mach_port_rename(&other, there, 0x7007), KERN_SUCCESS, "it is renamed");
	ok(port->receiver == &other && port->receiver_name == 0x7007 && name_of_port(&other, port) == &port->own, "and found");
	space_check(&other);
	port_check(port);
	insert(&space, take(&other, 0x7007, MACH_MSG_TYPE_MOVE_RECEIVE), MACH_MSG_TYPE_PORT_RECEIVE);
	ok(type_of(&space, name) == MACH_PORT_TYPE_SEND_RECEIVE && port->own.port == NULL, "back home it joins the send right");
	ok(host_audit(), "the audit agrees about it");
	mach_port_deallocate(&space, name);
	once = take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	is_u64((uint64_t)mach_port_request_notification(&space, name, MACH_NOTIFY_DEAD_NAME, 0, once, &previous), KERN_SUCCESS,
	       "the name that is a receive right's alone again takes a request");
	space_check(&space);
	mach_port_mod_refs(&space, name, MACH_PORT_RIGHT_RECEIVE, -1);
	is_u64(type_of(&space, name), 0, "and goes with the right");
	name = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
	port = port_of(&space, name);
	insert(&space, take(&space, name, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
	mach_port_mod_refs(&space, name, MACH_PORT_RIGHT_RECEIVE, -1);
	ledger_limit(ledger, LEDGER_NAMES, 0);
	reap_all();
	ok(type_of(&space, name) == MACH_PORT_TYPE_DEAD_NAME && host_used(ledger, LEDGER_PORTS) == 0, "a dead name keeps nothing of its port");
	ledger_limit(ledger, LEDGER_NAMES, LEDGER_UNLIMITED);
	empty(&space);
	empty(&other);
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "all came back");
}

static void test_limit(void)
{
	mach_port_name_t name = 0;
	unsigned made = 0;
	kern_return_t kr;

	ledger_limit(ledger, LEDGER_PORTS, 10);
	while ((kr = mach_port_allocate(&space, MACH_PORT_RIGHT_RECEIVE, &name)) == KERN_SUCCESS)
		made++;
	ok(made == 10 && kr == KERN_RESOURCE_SHORTAGE && host_denial.resource == LEDGER_PORTS, "a ledger of 10 ports gives 10 ports");
	is_u64(space_names(&space), 10, "the denied one kept no name");
	is_u64((uint64_t)mach_port_allocate(&space, MACH_PORT_RIGHT_DEAD_NAME, &name), KERN_SUCCESS, "other things are still given");
	empty(&space);
	ledger_limit(ledger, LEDGER_PORTS, LEDGER_UNLIMITED);
	is_u64(fake_charged(ledger), 0, "all came back");
}

/* -- a port that dies while the name for its right is made -- */

static struct reap dying;
static mach_port_name_t dying_name;

static bool dying_step(struct reap *item)
{
	(void)item;
	mach_port_destroy(&other, dying_name);
	ledger_limit(ledger, LEDGER_NAMES, LEDGER_UNLIMITED);
	ledger_limit(ledger, LEDGER_NODES, LEDGER_UNLIMITED);
	return true;
}

/* Receives a right, under the name `at` unless that is 0; a right that is not consumed is released. */
static kern_return_t insert_dying(uint32_t type, uint32_t disposition, mach_port_name_t at, mach_port_name_t *name)
{
	struct port *port;
	kern_return_t kr;

	dying_name = allocate(&other, MACH_PORT_RIGHT_RECEIVE);
	port = take(&other, dying_name, type);
	ledger_limit(ledger, LEDGER_NAMES, host_used(ledger, LEDGER_NAMES));
	ledger_limit(ledger, LEDGER_NODES, host_used(ledger, LEDGER_NODES));
	reap_defer(&dying, dying_step);
	kr = at != 0 ? space_insert_at(&space, port, disposition, at) : space_insert(&space, port, disposition, name);
	ok(type_of(&other, dying_name) == 0, "the port died in the middle of it");
	if (kr != KERN_SUCCESS)
		right_release(port, disposition);
	reap_all();
	space_check(&space);
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "nothing is left of it");
	return kr;
}

static void test_died_between(void)
{
	static const struct {
		uint32_t type, disposition;
		const char *what;
	} kinds[] = {
		{ MACH_MSG_TYPE_MAKE_SEND, MACH_MSG_TYPE_PORT_SEND, "send" },
		{ MACH_MSG_TYPE_MAKE_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND_ONCE, "send-once" },
	};

	for (unsigned i = 0; i < 2; i++) {
		mach_port_name_t name = 0;
		kern_return_t kr = insert_dying(kinds[i].type, kinds[i].disposition, 0, &name);

		ok(kr == KERN_SUCCESS && name == MACH_PORT_NAME_DEAD, "a %s right to it is received as a dead one", kinds[i].what);
		kr = insert_dying(kinds[i].type, kinds[i].disposition, 100, &name);
		is_u64((uint64_t)kr, KERN_INVALID_CAPABILITY, "under a wanted name it is refused, and stays the caller's");
	}
}

/* A server's round: a reply right comes in and is moved away again. Returns its name. */
static mach_port_name_t reply_round(mach_port_name_t source)
{
	mach_port_name_t name = insert(&space, take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE), MACH_MSG_TYPE_PORT_SEND_ONCE);
	struct port *port;

	port = take(&space, name, MACH_MSG_TYPE_MOVE_SEND_ONCE);
	kmsg_free(port_take_prepaid(port));
	right_consume_send_once(port);
	return name;
}

/* A list of the names of the space has it. */
static bool listed(mach_port_name_t name)
{
	struct vm_copy *list = NULL, *types = NULL;
	mach_msg_type_number_t count = 0, type_count = 0;
	bool there = false;

	if (mach_port_names(&space, &list, &count, &types, &type_count) != KERN_SUCCESS)
		panic("mach_port_names denied");
	for (uint32_t i = 0; i < count; i++)
		there |= ((uint32_t *)(list + 1))[i] == name;
	vm_copy_discard(list);
	vm_copy_discard(types);
	return there;
}

/* The entry that a space keeps for reply rights. */
static void test_reply_names(void)
{
	mach_port_name_t source = allocate(&other, MACH_PORT_RIGHT_RECEIVE), keep, name, second;
	struct port *port = port_of(&other, source), *a, *b;
	uint64_t calls, before;

	reply_round(source);
	is_u64(fake_charged(ledger) + space.names.nodes, 0, "an empty space keeps nothing for reply rights");
	keep = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
	before = fake_charged(ledger);
	name = reply_round(source);
	space_check(&space);
	is_u64(fake_charged(ledger), before, "a reply right that was used up costs nothing");
	ok(type_of(&space, name) == 0 && !listed(name) && space_names(&space) == 1, "its name is gone");
	calls = host_fail_calls;
	a = take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	calls = host_fail_calls - calls;
	ok(name_once_in(&space, a) == &space.once, "the next one comes in the short way");
	ok(type_of(&space, name) == MACH_PORT_TYPE_SEND_ONCE && listed(name), "under the same name");
	is_u64(refs_of(&space, name, MACH_PORT_RIGHT_SEND_ONCE), 1, "with one reference");
	port_check(port);
	space_check(&space);
	ok(name_once_in(&space, a) == NULL, "a second one at the same time does not");
	b = take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	second = insert(&space, b, MACH_MSG_TYPE_PORT_SEND_ONCE);
	ok(second != name && host_used(ledger, LEDGER_NAMES) == 1, "but has a name of its own");
	ok(!name_once_out(space_lookup(&space, second)) && name_once_out(space_lookup(&space, name)), "they go as they came");
	kmsg_free(port_take_prepaid(a));
	right_consume_send_once(a);
	mach_port_deallocate(&space, second);
	space_check(&space);
	is_u64((uint64_t)mach_port_allocate_name(&space, MACH_PORT_RIGHT_DEAD_NAME, name), KERN_SUCCESS, "who asks for the name gets it");
	ok(name_once_in(&space, a) == NULL && reply_round(source) != name, "then reply rights get another");
	space_check(&space);
	name = reply_round(source);
	is_u64((uint64_t)mach_port_rename(&space, keep, name), KERN_SUCCESS, "also by renaming");
	space_check(&space);
	name = reply_round(source);
	a = take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE);
	is_u64((uint64_t)space_insert_at(&space, a, MACH_MSG_TYPE_PORT_SEND_ONCE, name), KERN_SUCCESS, "and by inserting");
	space_check(&space);
	empty(&space);
	is_u64(fake_charged(ledger), 0, "all came back");
	/* In a leaf of its own the name would cost a node. */
	for (mach_port_name_t other_name = 1; other_name <= 48; other_name++)
		mach_port_allocate_name(&space, MACH_PORT_RIGHT_DEAD_NAME, other_name);
	mach_port_rename(&space, 40, 1000);
	mach_port_destroy(&space, 39);
	space.last = 39;
	is_u64(reply_round(source), 40, "a reply right beside other names");
	for (mach_port_name_t other_name = 1; other_name <= 48; other_name++)
		mach_port_destroy(&space, other_name);
	space_check(&space);
	ok(space_names(&space) == 1 && space.names.nodes == 3, "its name goes with the last other one of its node: %u", space.names.nodes);
	reply_round(source);
	name = insert(&space, take(&other, source, MACH_MSG_TYPE_MAKE_SEND_ONCE), MACH_MSG_TYPE_PORT_SEND_ONCE);
	mach_port_destroy(&other, source);
	reap_all();
	is_u64(type_of(&space, name), MACH_PORT_TYPE_DEAD_NAME, "one whose port dies is a dead name");
	space_check(&space);
	mach_port_deallocate(&space, name);
	space_check(&space);
	empty(&space);
	empty(&other);
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "all came back");
}

/* How deep the tree of a port's names is. */
static unsigned tree_depth(struct name *entry)
{
	unsigned a, b;

	if (entry == NULL)
		return 0;
	a = tree_depth(name_full(entry)->child[0]);
	b = tree_depth(name_full(entry)->child[1]);
	return 1 + (a > b ? a : b);
}

/* Three names with the same first place, and one whose first place is their second. */
static void test_recent(void)
{
	mach_port_name_t names[] = { 0x2105, 0x2115, 0x3205, 0x210d };
	bool good = true;

	for (unsigned i = 0; i < 4; i++)
		if (mach_port_allocate_name(&space, MACH_PORT_RIGHT_RECEIVE, names[i]) != KERN_SUCCESS)
			panic("no name");
	for (unsigned i = 0; i < 64; i++) {
		struct name *entry = space_find(&space, names[i % 4 ^ i / 16]);

		good = good && entry != NULL && entry->name == names[i % 4 ^ i / 16] && *space_first(&space, entry->name) == entry;
		space_check(&space);
	}
	ok(good, "names that share their places are found, in each order");
	space_find(&space, names[0]);
	space_find(&space, names[1]);
	ok(space_find(&space, names[0]) == *space_first(&space, names[1]) && (*space_second(&space, names[0]))->name == names[1],
	   "the one that makes way is at hand still");
	space_find(&space, names[3]);
	ok(space_has_recent(&space, names[0]) && space_has_recent(&space, names[3]),
	   "names whose places are each other's second do not drive each other out for a third one");
	space_find(&space, names[1]);
	space_find(&space, names[0]);
	ok(space_find(&space, 0x4105) == NULL && space_lookup(&space, MACH_PORT_NAME_NULL) == NULL &&
	   space_find(&space, MACH_PORT_NAME_DEAD) == NULL, "other names are not found in their places");
	is_u64((uint64_t)mach_port_rename(&space, names[1], 0x510d), KERN_SUCCESS, "a name is changed that had made way");
	space_check(&space);
	ok(space_find(&space, names[1]) == NULL && space_find(&space, 0x510d)->name == 0x510d, "and found where it is now");
	names[1] = 0x510d;
	space_find(&space, names[0]);
	space_find(&space, names[2]);
	mach_port_destroy(&space, names[0]);
	space_check(&space);
	ok(space_find(&space, names[0]) == NULL, "one that had made way is destroyed, and is gone");
	for (unsigned i = 1; i < 4; i++)
		mach_port_destroy(&space, names[i]);
	space_check(&space);
}

/* One port in many spaces, by turns. */
static void test_holders(void)
{
	enum { SPACES = 3000 };
	static struct space spaces[SPACES];
	static bool holds[SPACES];
	mach_port_name_t source = allocate(&other, MACH_PORT_RIGHT_RECEIVE);
	struct port *port = port_of(&other, source);
	unsigned deepest = 0;

	for (int i = 0; i < SPACES; i++)
		space_init(&spaces[i], ledger);
	claim_begin("a port finds its name in each space");
	for (int step = 0; step < 20000; step++) {
		uint64_t s = random_below(SPACES);
		struct name *entry = name_of_port(&spaces[s], port);

		claim((entry != NULL) == holds[s] && (entry == NULL || entry->space == &spaces[s]), "space %lu", (long)s);
		if (entry != NULL)
			mach_port_deallocate(&spaces[s], entry->name);
		else
			insert(&spaces[s], take(&other, source, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
		holds[s] = !holds[s];
		if (step % 1000 == 0)
			port_check(port);
	}
	claim_end();
	for (int i = 0; i < SPACES; i++) {
		if (!holds[i])
			insert(&spaces[i], take(&other, source, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
	}
	port_check(port);
	deepest = tree_depth(port->names);
	ok(deepest < 40, "of %d spaces the path to each is short: at most %u", SPACES, deepest);
	is_u64(name_of_port(&other, port)->name, source, "the receive right's name is found too");
	mach_port_destroy(&other, source);
	reap_all();
	for (int i = 0; i < SPACES; i++) {
		while (!space_dismantle(&spaces[i]))
			;
	}
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "all came back");
}

/* A right that goes to a space of the same ledger takes its entry along; to one of another it gets a new one. */
static void test_move(void)
{
	static struct space near;
	mach_port_name_t source = allocate(&other, MACH_PORT_RIGHT_RECEIVE), name, moved = 0, back = 0;
	struct port *port = port_of(&other, source);
	struct name *entry;
	uint64_t names, before, near_before;

	space_init(&near, ledger);
	allocate(&space, MACH_PORT_RIGHT_DEAD_NAME);
	name = insert(&space, take(&other, source, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
	entry = space_lookup(&space, name);
	names = host_used(ledger, LEDGER_NAMES);
	before = fake_print(&space);
	near_before = fake_print(&near);
	host_fail_nth(1);
	ok(!right_pass_send(&space, name, MACH_MSG_TYPE_MOVE_SEND, &near, &moved), "without a node for it the right stays");
	host_fail_nth(0);
	ok(fake_print(&space) == before && fake_print(&near) == near_before && space_lookup(&space, name) == entry &&
	   entry->name == name, "and nothing has changed");
	ok(right_pass_send(&space, name, MACH_MSG_TYPE_MOVE_SEND, &near, &moved), "it goes to a space with the same ledger");
	ok(space_lookup(&near, moved) == entry && entry->name == moved && entry->space == &near, "in the same entry");
	ok(space_lookup(&space, name) == NULL && space_names(&space) == 1 && space_names(&near) == 1, "which is no longer in the first");
	is_u64(host_used(ledger, LEDGER_NAMES), names, "charged once");
	ok(name_of_port(&near, port) == entry && name_of_port(&space, port) == NULL, "and found under its port");
	space_check(&space);
	space_check(&near);
	port_check(port);
	mach_port_mod_refs(&near, moved, MACH_PORT_RIGHT_SEND, 1);
	ok(right_pass_send(&near, moved, MACH_MSG_TYPE_MOVE_SEND, &space, &back), "one of two goes");
	ok(space_lookup(&near, moved) == entry && entry->urefs == 1 && space_lookup(&space, back) != entry,
	   "and leaves the entry to the other");
	is_u64(host_used(ledger, LEDGER_NAMES), names + 1, "charged each");
	port_check(port);
	mach_port_destroy(&other, source);
	reap_all();
	is_u64(type_of(&near, moved), MACH_PORT_TYPE_DEAD_NAME, "its port dies");
	empty(&space);
	empty(&near);
	source = allocate(&space, MACH_PORT_RIGHT_RECEIVE);
	name = insert(&near, take(&space, source, MACH_MSG_TYPE_MAKE_SEND), MACH_MSG_TYPE_PORT_SEND);
	ok(right_pass_send(&near, name, MACH_MSG_TYPE_MOVE_SEND, &other, &moved), "a right goes to a space with another ledger");
	is_u64(host_used(other_ledger, LEDGER_NAMES), 1, "which pays for its name");
	is_u64(host_used(ledger, LEDGER_NAMES), 0, "the first does no more");
	empty(&near);
	empty(&space);
	empty(&other);
	is_u64(fake_charged(ledger) + fake_charged(other_ledger), 0, "all came back");
}

int main(void)
{
	int error;

	tap_begin("ipc_space_names_test");
	host_memory(40000, 35000);
	fake_init();
	ledger = ledger_new(&root_ledger, "space", &error);
	other_ledger = ledger_new(&root_ledger, "other", &error);
	space_init(&space, ledger);
	space_init(&other, other_ledger);
	test_choice();
	test_brink();
	test_turns();
	test_many();
	test_storm();
	test_port_destroyed();
	test_transit_depth();
	test_sets();
	test_denials();
	test_extra();
	test_own();
	test_limit();
	test_died_between();
	test_reply_names();
	test_recent();
	test_holders();
	test_move();
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
