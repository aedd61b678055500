/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path of mach_msg: that receivers, senders, reply ports and servers that it is not made for leave it, untouched.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "ipc_msg_fast_cases.h"
#include <mach/exception.h>

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
	bool was_warm = warm;
	struct call c;

	/* Such receivers do not get as far as a message before. */
	warm = false;
	c = prepare(side, MACH_RCV_NOTIFY, ROOM, 0);
	ok(goes_slowly(side, &c) && arrives(side), "a receiver with MACH_RCV_NOTIFY: %s", side_name[side]);
	if (side == REQUEST)
		ok(name_request(space_lookup(&server->task->space, once)) != NULL, "its notification is asked for");
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
	settle(true, "too small a buffer: ", side_name[side]);
	c = prepare(side, MACH_RCV_LARGE, 32, 0);
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_TOO_LARGE &&
	   test_port_of(receiver_of(side), side == REQUEST ? port : reply)->message_count == 1,
	   "a receiver with MACH_RCV_LARGE is told, and the message stays: %s", side_name[side]);
	recover();
	settle(true, "MACH_RCV_LARGE: ", side_name[side]);
	warm = was_warm;
}

/* It had room enough before, in the same place. */
static void receiver_smaller(enum side side)
{
	struct call c = prepare_plain(side), again = side == REQUEST ? plain_receive(at) : plain_receive(reply);

	wait_cancel(receiver_of(side), WAIT_ABORTED);
	test_run(receiver_of(side));
	again.buffer = area;
	again.room = 32;
	trap(receiver_of(side), &again);
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_TOO_LARGE, "a receiver whose room is smaller now: %s",
	   side_name[side]);
	recover();
	settle(true, "smaller: ", side_name[side]);
	/* In the same way as before, that is by a call that sends too. */
	c = prepare_plain(side);
	go(sender_of(side), &c);
	ok(was_fast() && arrives(side), "as it was: %s", side_name[side]);
	c = side == REQUEST ? plain_reply() : plain_request();
	c.buffer = area;
	c.room = 32;
	go(receiver_of(side), &c);
	ok(was_fast(), "a %s by a receiver with less room from now on", side_name[1 - side]);
	has_got(sender_of(side), 0, c.id, c.size);
	if (side == REPLY)
		once = m.h.msgh_remote_port;
	c = side == REQUEST ? plain_request() : plain_reply();
	ok(goes_slowly(side, &c) && test_run(receiver_of(side)) == MACH_RCV_TOO_LARGE, "is no longer given what does not fit: %s",
	   side_name[side]);
	recover();
	settle(true, "smaller again: ", side_name[side]);
}

/* Its page is another one, at the same address. */
static void receiver_moved(enum side side)
{
	struct call c = prepare_plain(side);
	struct vm_map *map = &receiver_of(side)->task->map;
	uint64_t elsewhere = test_allocate(map, 1), address = area;
	uint64_t frame;
	vm_prot_t protection;

	test_poke(map, elsewhere, 0);
	vm_map_deallocate(map, area, PAGE_SIZE);
	vm_map_allocate(map, &address, PAGE_SIZE, false);
	test_poke(map, area, 0);
	if (!pmap_lookup(&map->pmap, area, &frame, &protection) || !(protection & VM_PROT_WRITE))
		panic("no page");
	ok(go(sender_of(side), &c) == KERN_BLOCKED && was_fast() && arrives(side), "a buffer whose page is another one: %s is fast",
	   side_name[side]);
	recover();
	settle(true, "another page: ", side_name[side]);
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

	test_suspend(receiver_of(side));
	ok(goes_slowly(side, &c), "a suspended thread: %s", side_name[side]);
	receiver_of(side)->suspend_count = 0;
	settle(arrives(side), "has it when it is resumed: ", side_name[side]);
	c = prepare_plain(side);
	test_task_suspend(receiver_of(side)->task);
	ok(goes_slowly(side, &c), "a thread of a suspended task: %s", side_name[side]);
	receiver_of(side)->task->suspend_count = 0;
	settle(arrives(side), "has it when that is resumed: ", side_name[side]);
	c = prepare_plain(side);
	receiver_of(side)->task->dead = true;
	test_task_suspend(receiver_of(side)->task);
	ok(goes_slowly(side, &c), "a thread of a dead task: %s", side_name[side]);
	receiver_of(side)->task->dead = false;
	receiver_of(side)->task->suspend_count = 0;
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

/* Where the thread received last, and would again, it is remembered that it takes messages of this size. */
static void remember(struct thread *thread, uint64_t buffer, uint32_t size)
{
	struct pmap *pmap = &thread->task->map.pmap;

	thread->msg.buffer = buffer;
	thread->straight = (struct straight){ pmap_writable(pmap, buffer, size), pmap->changes };
	thread->straight_room = (uint16_t)size;
}

/* Two threads of a task whose buffers overlap, the sender's perhaps one where it receives: the message is as it was when it was sent. */
static void overlap(enum side side, bool remembered)
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
		if (remembered)
			remember(from, c.buffer, c.size);
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
	used = host_used(ledger_a, LEDGER_MESSAGES);
	reply = test_port(client);
	c = plain_request();
	ok(goes_slowly(REQUEST, &c) && served() && host_used(ledger_a, LEDGER_MESSAGES) == used + KMSG_PREPAID,
	   "a reply port that keeps no message has its right's charged");
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && answered() && host_used(ledger_a, LEDGER_MESSAGES) == used,
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
	struct port *previous;

	notify = test_port(server);
	name_request_dead(space_lookup(&server->task->space, once), right_make_send_once(test_port_of(server, notify), ledger_b),
			  &previous);
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
	test_exception_port(faulty, right_make_send(test_port_of(server, port)));
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

int main(void)
{
	system_begin("ipc_msg_fast_ends_test");
	for (unsigned i = 0; i < 4; i++) {
		enum side side = i % 2;

		warm = i >= 2;
		receiver_absent(side);
		receiver_options(side);
		receiver_buffers(side);
		receiver_stopped(side);
		receiver_serves(side);
		receiver_smaller(side);
		receiver_moved(side);
		sender_states(side);
		sender_buffers(side);
		overlap(side, false);
		overlap(side, true);
	}
	warm = false;
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
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
