/* SPDX-License-Identifier: BSD-2-Clause */
/* What messages carry: rights, regions, arrays of rights; and that a denial anywhere changes nothing.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "support/msg_test.h"

#define COPY MACH_MSG_TYPE_COPY_SEND
#define ONCE MACH_MSG_TYPE_MAKE_SEND_ONCE

static struct ledger *ledger_a, *ledger_b;
static struct thread *client, *server;
static mach_port_name_t port, to_port;
static struct test_message m;

static uint32_t begin(void)
{
	return test_header(&m, MACH_MSGH_BITS(COPY, 0), to_port, NONE, 1);
}

static mach_msg_type_t *type_at(unsigned word)
{
	return (mach_msg_type_t *)&m.body[word];
}

static void rights(void)
{
	mach_port_name_t a = test_port(client), b = test_port(client), c = test_port(client);
	uint32_t size = begin();
	struct port *pb = test_port_of(client, b);

	test_add_port(&m, &size, MACH_MSG_TYPE_MAKE_SEND, a);
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_RECEIVE, b);
	test_add_port(&m, &size, ONCE, c);
	test_add_port(&m, &size, COPY, MACH_PORT_NAME_DEAD);
	test_add_port(&m, &size, COPY, MACH_PORT_NAME_NULL);
	test_add_port(&m, &size, MACH_MSG_TYPE_PORT_NAME, 77);
	((mach_msg_type_t *)((char *)&m + size - 16))->msgt_size = 64;
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "a message with rights is sent");
	ok(test_type(client, b) == 0 && test_type(client, a) == MACH_PORT_TYPE_RECEIVE, "the moved one is gone");
	ok(pb->receiver == NULL && !pb->dead && pb->destination != NULL, "a receive right is on its way");
	ok(test_receive(server, &m, port, 0) == MACH_MSG_SUCCESS, "received");
	ok(type_at(0)->msgt_name == MACH_MSG_TYPE_PORT_SEND && test_type(server, (uint32_t)m.body[1]) == MACH_PORT_TYPE_SEND,
	   "a send right");
	ok(type_at(2)->msgt_name == MACH_MSG_TYPE_PORT_RECEIVE &&
	   test_type(server, (uint32_t)m.body[3]) == MACH_PORT_TYPE_RECEIVE && pb->receiver == &server->task->space,
	   "a receive right");
	ok(type_at(4)->msgt_name == MACH_MSG_TYPE_PORT_SEND_ONCE &&
	   test_type(server, (uint32_t)m.body[5]) == MACH_PORT_TYPE_SEND_ONCE, "a send-once right");
	ok(m.body[7] == MACH_PORT_NAME_DEAD && m.body[9] == 0 && m.body[11] == 77, "dead, null, and a mere number");
	name_destroy(space_lookup(&client->task->space, a));
	name_destroy(space_lookup(&client->task->space, c));
	for (unsigned i = 1; i < 6; i += 2)
		name_destroy(space_lookup(&server->task->space, (uint32_t)m.body[i]));
}

static void regions(void)
{
	uint64_t from = test_allocate(&client->task->map, 8), whole = test_allocate(&client->task->map, 4), to;
	uint32_t size = begin();
	static uint8_t bytes[20000];

	for (unsigned i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	test_write(client, from + 100, bytes, sizeof(bytes));
	test_poke(&client->task->map, whole, 4711);
	test_add_region(&m, &size, from + 100, sizeof(bytes), false);
	test_add_region(&m, &size, whole, 4 * PAGE_SIZE, true);
	test_add_region(&m, &size, 0x1234567, 0, true);
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "a message with regions is sent");
	ok(vm_map_lookup(&client->task->map, whole) == NULL, "the deallocated one is gone");
	ok(vm_map_lookup(&client->task->map, from) != NULL, "the other is not");
	test_poke(&client->task->map, from + 104, 0);
	ok(test_receive(server, &m, port, 0) == MACH_MSG_SUCCESS, "received");
	to = m.body[1];
	memset(bytes, 0, sizeof(bytes));
	test_read(server, to, bytes, sizeof(bytes));
	claim_begin("its bytes are those at the time of sending");
	for (unsigned i = 0; i < sizeof(bytes); i++)
		claim(bytes[i] == (uint8_t)(i * 7), "byte %u", i);
	claim_end();
	is_u64(test_peek(&server->task->map, m.body[3]), 4711, "the moved region too");
	ok(type_at(0)->msgt_deallocate && m.body[5] == 0, "deallocate is set; nothing has address 0");
	vm_map_deallocate(&server->task->map, to & ~(PAGE_SIZE - 1ull), 6 * PAGE_SIZE);
	vm_map_deallocate(&server->task->map, m.body[3], 4 * PAGE_SIZE);
	vm_map_deallocate(&client->task->map, from, 8 * PAGE_SIZE);
}

static void arrays(void)
{
	enum { COUNT = 1500 };
	static mach_port_name_t names[COUNT];
	uint64_t from = test_allocate(&client->task->map, 2), to;
	mach_port_name_t a = test_port(client);
	uint32_t size = begin();

	for (unsigned i = 0; i < COUNT; i++)
		names[i] = i % 100 == 99 ? NONE : a;
	test_write(client, from, names, sizeof(names));
	test_add_array(&m, &size, MACH_MSG_TYPE_MAKE_SEND, from, COUNT);
	test_add_array(&m, &size, ONCE, from, 10);
	test_add_array(&m, &size, ONCE, from, 0);
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "arrays of rights are sent");
	is_u64(test_port_of(client, a)->send_rights, COUNT - COUNT / 100, "the rights are in the message");
	ok(test_receive(server, &m, port, 0) == MACH_MSG_SUCCESS, "received");
	to = m.body[1];
	test_read(server, to, names, sizeof(names));
	ok(names[99] == NONE && names[0] == names[1] && test_type(server, names[0]) == MACH_PORT_TYPE_SEND,
	   "send rights of one port have one name");
	is_u64(test_urefs(server, names[0]), COUNT - COUNT / 100, "and user references");
	name_destroy(space_lookup(&server->task->space, names[0]));
	test_read(server, m.body[3], names, 40);
	claim_begin("ten send-once rights");
	for (unsigned i = 0; i < 10; i++) {
		claim(test_type(server, names[i]) == MACH_PORT_TYPE_SEND_ONCE, "right %u", i);
		name_destroy(space_lookup(&server->task->space, names[i]));
	}
	claim_end();
	is_u64(m.body[5], 0, "an empty array has no address");
	is_u64(test_port_of(client, a)->send_rights, 0, "the rights are gone");
	vm_map_deallocate(&server->task->map, to, 2 * PAGE_SIZE);
	vm_map_deallocate(&server->task->map, m.body[3], PAGE_SIZE);
	vm_map_deallocate(&client->task->map, from, 2 * PAGE_SIZE);
	name_destroy(space_lookup(&client->task->space, a));
}

static void bad_bodies(void)
{
	mach_port_name_t a = test_port(client);
	uint64_t before[LEDGER_RESOURCES];
	uint32_t size = begin();

	test_write(client, test_buffer(client), &m, size);
	test_add_port(&m, &size, ONCE, a);
	test_usage(ledger_a, before);
	test_add_port(&m, &size, COPY, 4321);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_RIGHT, "a right that is none");
	ok(test_same_usage(ledger_a, before), "what was made for the rights before it is unmade");
	size = begin();
	test_add_port(&m, &size, ONCE, a);
	type_at(0)->msgt_size = 32;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_TYPE, "a port item of another width");
	type_at(0)->msgt_size = 64;
	type_at(0)->msgt_unused = 1;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_TYPE, "msgt_unused");
	type_at(0)->msgt_unused = 0;
	type_at(0)->msgt_deallocate = 1;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_TYPE, "inline with deallocate");
	type_at(0)->msgt_deallocate = 0;
	type_at(0)->msgt_number = 2;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_MSG_TOO_SMALL, "an item beyond the end");
	type_at(0)->msgt_number = 0xffffffff;
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_MSG_TOO_SMALL, "far beyond the end");
	m.h.msgh_bits &= ~MACH_MSGH_BITS_COMPLEX;
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "not looked at without the complex bit");
	test_receive(server, &m, port, 0);
	size = begin();
	test_add_port(&m, &size, ONCE, a);
	test_add_region(&m, &size, 0x100000000000, 5000, false);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_MEMORY, "a region that is not there");
	size = begin();
	test_add_port(&m, &size, ONCE, a);
	test_add_array(&m, &size, COPY, 0x100000000000, 50);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_MEMORY, "an array that is not there");
	size = begin();
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_RECEIVE, a);
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_RECEIVE, a);
	ok(test_send(client, &m, size, 0, 0) == MACH_SEND_INVALID_RIGHT, "a right moved twice");
	reap_all();
	is_u64(test_type(client, a), 0, "is destroyed");
}

static void nesting(void)
{
	mach_port_name_t names[40], to;
	uint32_t size, sent = 0;

	/* Each message carries the receive right of the port that the message before was queued at. */
	for (unsigned i = 0; i < 40; i++)
		names[i] = test_port(client);
	for (unsigned i = 0; i + 1 < 40; i++) {
		to = test_send_right(client, client, names[i + 1]);
		size = test_header(&m, MACH_MSGH_BITS(COPY, 0), to, NONE, 1);
		test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_RECEIVE, names[i]);
		sent += test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS;
	}
	reap_all();
	is_u64(sent, 39, "receive rights nest: no error");
	ok(test_port_of(client, names[39])->in_transit_depth <= TRANSIT_DEPTH_MAX, "but not deeper than the bound");
	name_destroy(space_lookup(&client->task->space, names[39]));
	reap_all();
	names[0] = test_port(client);
	to = test_send_right(client, client, names[0]);
	size = test_header(&m, MACH_MSGH_BITS(COPY, 0), to, NONE, 1);
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_RECEIVE, names[0]);
	ok(test_send(client, &m, size, 0, 0) == MACH_MSG_SUCCESS, "a receive right sent to itself: no error");
	reap_all();
	is_u64(test_type(client, names[0]), MACH_PORT_TYPE_DEAD_NAME, "the loop is destroyed");
}

/* One of everything; the region is there when the message was not sent. */
static uint64_t region;
static mach_port_name_t kept;

static uint32_t everything(void)
{
	static mach_port_name_t names[3];
	uint32_t size = test_header(&m, MACH_MSGH_BITS(COPY, ONCE), to_port, kept, 1);

	for (unsigned i = 0; i < 3; i++)
		names[i] = kept;
	test_write(client, region + 64, names, sizeof(names));
	test_add_port(&m, &size, ONCE, kept);
	test_add_region(&m, &size, region, 4 * PAGE_SIZE, false);
	test_add_array(&m, &size, ONCE, region + 64, 3);
	test_add_region(&m, &size, region + 8 * PAGE_SIZE, 2 * PAGE_SIZE, true);
	test_add_port(&m, &size, MACH_MSG_TYPE_MAKE_SEND, kept);
	memset((char *)&m + size, 0, 300);
	type_at((size - 32) / 8)->msgt_name = MACH_MSG_TYPE_INTEGER_64;
	type_at((size - 32) / 8)->msgt_size = 64;
	type_at((size - 32) / 8)->msgt_inline = 1;
	type_at((size - 32) / 8)->msgt_number = 30;
	return size + 8 + 240;
}

static void region_make(void)
{
	/* Copied whole: a copy of a part would split the region, which stays split. */
	region = test_allocate(&client->task->map, 4);
	test_allocate(&client->task->map, 4);
	if (test_allocate(&client->task->map, 2) != region + 8 * PAGE_SIZE)
		panic("regions are not side by side");
	for (unsigned i = 0; i < 10; i++)
		test_poke(&client->task->map, region + i * PAGE_SIZE, i + 1);
}

static void drop(struct thread *thread, uint64_t name)
{
	struct name *entry = space_lookup(&thread->task->space, (mach_port_name_t)name);

	if (entry != NULL)
		name_destroy(entry);
}

static void server_clean(void)
{
	mach_port_name_t names[3] = { NONE, NONE, NONE };

	drop(server, m.h.msgh_remote_port);
	drop(server, m.body[1]);
	drop(server, m.body[9]);
	if (m.body[5] != 0) {
		test_read(server, m.body[5], names, sizeof(names));
		vm_map_deallocate(&server->task->map, m.body[5], PAGE_SIZE);
	}
	for (unsigned i = 0; i < 3; i++)
		drop(server, names[i]);
	if (m.body[3] != 0)
		vm_map_deallocate(&server->task->map, m.body[3] & ~(PAGE_SIZE - 1ull), 4 * PAGE_SIZE);
	if (m.body[7] != 0)
		vm_map_deallocate(&server->task->map, m.body[7], 2 * PAGE_SIZE);
	reap_all();
}

static void denied_sends(void)
{
	uint64_t before[LEDGER_RESOURCES];
	const struct alloc_site *site;
	unsigned denials = 0;
	int64_t result;
	bool fired;

	region_make();
	kept = test_port(client);
	claim_begin("a send denied at each allocation changes nothing");
	for (unsigned n = 1; n < 200; n++) {
		uint32_t size = everything();

		test_write(client, test_buffer(client), &m, size);
		test_usage(ledger_a, before);
		host_fail_nth(n);
		result = test_mach_msg(client, MACH_SEND_MSG, size, 0, NONE, 0, 0);
		fired = host_fail_fired;
		site = host_fail_site;
		host_fail_nth(0);
		if (!fired)
			break;
		denials++;
		reap_all();
		if (result == MACH_MSG_SUCCESS) {
			/* What was denied was not needed. */
			test_receive(server, &m, port, 0);
			server_clean();
			for (unsigned i = 0; i < 8; i++)
				vm_map_deallocate(&client->task->map, region + i * PAGE_SIZE, PAGE_SIZE);
			region_make();
			continue;
		}
		claim(result == MACH_SEND_NO_BUFFER, "n %u: code %lx at %s:%u", n, (long)result, site->file,
		      site->line);
		claim(test_same_usage(ledger_a, before), "n %u: usage, %s:%u", n, site->file, site->line);
		claim(test_port_of(server, port)->queued == 0, "n %u: queued", n);
		claim(test_port_of(client, kept)->send_once_rights == 0 && test_port_of(client, kept)->send_rights == 0, "n %u: rights", n);
		claim(LIST_EMPTY(&test_port_of(client, kept)->prepaid), "n %u: prepaid", n);
		claim(test_peek(&client->task->map, region + 9 * PAGE_SIZE) == 10, "n %u: memory", n);
	}
	claim_end();
	ok(denials > 8, "%u places were tried", denials);
	ok(test_receive(server, &m, port, 0) == MACH_MSG_SUCCESS, "in the end it goes through");
	is_u64(test_peek(&server->task->map, m.body[7]), 9, "whole");
	server_clean();
	for (unsigned i = 0; i < 8; i++)
		vm_map_deallocate(&client->task->map, region + i * PAGE_SIZE, PAGE_SIZE);
}

static void denied_receives(void)
{
	uint64_t before[LEDGER_RESOURCES];
	const struct alloc_site *site;
	unsigned partial = 0;
	int64_t result;
	bool fired;

	claim_begin("a receive denied at each allocation destroys what it says, or leaves the message");
	for (unsigned n = 1; n < 200; n++) {
		uint32_t size;

		region_make();
		size = everything();
		if (test_send(client, &m, size, 0, 0) != MACH_MSG_SUCCESS)
			panic("send");
		test_usage(ledger_b, before);
		host_fail_nth(n);
		result = test_mach_msg(server, MACH_RCV_MSG, 0, BUFFER_SIZE - 256, port, 0, 0);
		fired = host_fail_fired;
		site = host_fail_site;
		host_fail_nth(0);
		test_received(server, &m);
		if (result == KERN_RESOURCE_SHORTAGE) {
			claim(test_port_of(server, port)->queued == 1, "n %u: the message is gone", n);
			result = test_receive(server, &m, port, 0);
		}
		if ((result & ~MACH_MSG_MASK) == MACH_RCV_HEADER_ERROR) {
			claim(m.h.msgh_remote_port == NONE, "header");
			memset(m.body, 0, sizeof(m.body));
		} else if (result != MACH_MSG_SUCCESS) {
			partial++;
			claim((result & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR && (result & MACH_MSG_MASK) != 0, "n %u: code %lx", n,
			      (long)result);
		}
		server_clean();
		for (unsigned i = 0; i < 8; i++)
			vm_map_deallocate(&client->task->map, region + i * PAGE_SIZE, PAGE_SIZE);
		reap_all();
		claim(test_same_usage(ledger_b, before), "n %u: something stays, %s:%u", n, fired ? site->file : "-", fired ? site->line : 0);
		/* The rights that were destroyed have sent their notifications. */
		while (test_receive(client, &m, kept, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS)
			claim(m.h.msgh_id == MACH_NOTIFY_SEND_ONCE, "notification");
		claim(test_port_of(client, kept)->send_once_rights == 0, "n %u: a right stays", n);
		if (!fired)
			break;
	}
	claim_end();
	ok(partial > 3, "%u were partial", partial);
}

static void given_back(void)
{
	mach_port_name_t r = test_port(client);
	uint32_t size = begin();
	struct port *p = test_port_of(client, r);

	for (unsigned i = 0; i < 5; i++)
		test_send(client, &m, size, 0, 0);
	region_make();
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_RECEIVE, r);
	test_add_region(&m, &size, region, 8 * PAGE_SIZE, true);
	ok(test_send(client, &m, size, MACH_SEND_TIMEOUT, 500) == KERN_BLOCKED, "a sender waits with rights in its message");
	ok(p->receiver == &client->task->space, "which are its own still");
	wait_cancel(client, WAIT_TIMED_OUT);
	ok(test_run(client) == MACH_SEND_TIMED_OUT, "time-out");
	test_received(client, &m);
	ok(test_type(client, (uint32_t)m.body[1]) == MACH_PORT_TYPE_RECEIVE && test_port_of(client, (uint32_t)m.body[1]) == p,
	   "it has its receive right");
	is_u64(test_peek(&client->task->map, m.body[3] + PAGE_SIZE), 2, "and its memory");
	ok(test_port_of(server, port)->queued == 5, "nothing was queued");
	for (unsigned i = 0; i < 5; i++)
		test_receive(server, &m, port, 0);
}

int main(void)
{
	tap_begin("ipc_msg_body_test");
	test_msg_init(8192);
	ledger_a = test_ledger("a");
	ledger_b = test_ledger("b");
	client = test_thread(ledger_a);
	server = test_thread(ledger_b);
	port = test_port(server);
	to_port = test_send_right(client, server, port);
	rights();
	regions();
	arrays();
	bad_bodies();
	nesting();
	denied_sends();
	denied_receives();
	given_back();
	return test_pair_end(client, server, ledger_a, ledger_b);
}
