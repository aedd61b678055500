/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens between a fast request and its reply, and the message that a reply port keeps.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "ipc_msg_fast.h"
#include "ipc/kmsg.h"

static struct port *reply_port(void)
{
	return test_port_of(client, reply);
}

/* The one message that the reply port keeps is at home. */
static bool is_home(void)
{
	struct port *r = reply_port();
	struct kmsg *kept = LIST_FIRST(&r->prepaid);

	return r->keeps_reply && r->spare_prepaid && kept != NULL && LIST_NEXT(kept, prepaid_link) == NULL && kept->payer == ledger_a &&
	       r->send_once_rights == 0;
}

static uint64_t messages_a(void)
{
	return host_used(ledger_a, LEDGER_MESSAGES);
}

static void full(struct ledger *ledger, bool is_full)
{
	ledger_settle();
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		ledger_limit(ledger, i, is_full ? host_used(ledger, i) : LEDGER_UNLIMITED);
}

static void fast_request(void)
{
	struct call c = plain_request();

	if (go(client, &c) != KERN_BLOCKED || !was_fast() || !served())
		panic("no fast request");
}

static void settle(const char *what)
{
	check_all();
	if (client->state != THREAD_RUNNING || server->state != THREAD_WAITING)
		recover();
	ok(call_is_fast() && is_home(), "%s: afterwards the plain call is fast, the message at home", what);
	end(what);
}

/* A server in place of one that has died. */
static void next_server(void)
{
	server = test_thread(ledger_b);
	at = port = test_port(server);
	if (test_type(client, to_port) != 0)
		name_destroy(space_lookup(&client->task->space, to_port));
	to_port = test_send_right(client, server, port);
	server_waits();
	again();
}

/* -- the client -- */

static void aborted(enum wait_reason reason, int64_t code, const char *what)
{
	struct kmsg *kept;
	struct thread *other;
	uint64_t charges;
	struct call c;

	begin();
	other = test_thread_in(client->task);
	kept = LIST_FIRST(&reply_port()->prepaid);
	fast_request();
	wait_cancel(client, reason);
	if (reason == WAIT_KILLED) {
		thread_end(client);
		client = other;
	} else {
		ok(test_run(client) == code, "a client that waits for its reply is %s", what);
	}
	ok(STACK_EMPTY(&reply_port()->receivers) && reply_port()->send_once_rights == 1, "the reply right stays");
	check_all();
	full(ledger_a, true);
	full(ledger_b, true);
	charges = host_denials;
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && reply_port()->messages == kept && host_denials == charges,
	   "the reply comes in the message that was kept for it, with both ledgers full");
	check_all();
	c = plain_receive(reply);
	ok(trap(client, &c) == MACH_MSG_SUCCESS && answered() && LIST_FIRST(&reply_port()->prepaid) == kept && is_home(),
	   "is received later, and the message is at home");
	full(ledger_a, false);
	full(ledger_b, false);
	settle(what);
}

/* Its thread ends with the call under way; nobody ever receives. */
static void client_ends(void)
{
	struct call c;
	struct thread *other;

	begin();
	other = test_thread(ledger_a);
	fast_request();
	task_end(client->task);
	client = other;
	c = plain_reply();
	ok(go(server, &c) == MACH_SEND_INVALID_DEST && !was_fast(), "a client ends while it waits: its reply goes nowhere");
	name_destroy(space_lookup(&server->task->space, once));
	is_u64(messages_a(), 0, "the message kept by its port is gone with it");
	end("the client ends");
	begin();
	other = test_thread(ledger_a);
	fast_request();
	wait_cancel(client, WAIT_ABORTED);
	c = plain_reply();
	go(server, &c);
	task_end(client->task);
	client = other;
	reap_all();
	is_u64(messages_a(), 0, "also with the reply in its queue");
	end("the client ends later");
}

/* -- the server -- */

static void server_dies(void)
{
	struct kmsg *kept;
	uint64_t denials, used;

	begin();
	kept = LIST_FIRST(&reply_port()->prepaid);
	fast_request();
	full(ledger_a, true);
	used = messages_a();
	denials = host_denials;
	task_end(server->task);
	ok(client->state == THREAD_READY && test_run(client) == MACH_MSG_SUCCESS, "a server dies with the reply right: the client wakes");
	test_received(client, &m);
	ok(m.h.msgh_id == MACH_NOTIFY_SEND_ONCE && m.h.msgh_local_port == reply && m.h.msgh_remote_port == NONE,
	   "by the send-once notification");
	ok(host_denials == denials && messages_a() == used && LIST_FIRST(&reply_port()->prepaid) == kept && is_home(),
	   "in the kept message, with a full ledger, and nothing is denied");
	full(ledger_a, false);
	next_server();
	settle("a server's death");
	begin();
	fast_request();
	wait_cancel(client, WAIT_ABORTED);
	test_run(client);
	full(ledger_a, true);
	denials = host_denials;
	task_end(server->task);
	ok(test_receive(client, &m, reply, MACH_RCV_TIMEOUT) == MACH_MSG_SUCCESS && m.h.msgh_id == MACH_NOTIFY_SEND_ONCE && is_home() &&
	   host_denials == denials, "the same when the client has given up: the notification waits");
	full(ledger_a, false);
	next_server();
	settle("a server's death after that");
}

/* The right is the task's, not the thread's; and may go on to another task. */
static void other_answers(void)
{
	struct thread *second;
	struct port *r;
	uint32_t disposition;
	struct call c;

	begin();
	second = test_thread_in(server->task);
	fast_request();
	thread_end(server);
	server = second;
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && was_fast() && answered(), "another thread of the server's may answer, and fast");
	settle("another thread");
	begin();
	second = test_thread(ledger_b);
	fast_request();
	if (space_take(&server->task->space, once, MOVE_ONCE, &r, &disposition) != KERN_SUCCESS ||
	    space_insert(&second->task->space, r, disposition, &once) != KERN_SUCCESS)
		panic("the right does not move");
	c = plain_reply();
	c.name = test_port(second);
	ok(go(second, &c) == KERN_BLOCKED && answered(), "or a task that the right has moved to");
	task_end(second->task);
	settle("another task");
}

/* -- the reply port -- */

static void port_destroyed(void)
{
	uint64_t used;
	struct call c;

	begin();
	used = messages_a();
	fast_request();
	name_destroy(space_lookup(&client->task->space, reply));
	ok(test_run(client) == MACH_RCV_PORT_DIED, "the reply port is destroyed: the client is told");
	reap_all();
	is_u64(messages_a(), used - KMSG_PREPAID, "the kept message is freed, although its right is out");
	c = plain_reply();
	ok(go(server, &c) == MACH_SEND_INVALID_DEST && !was_fast() && test_type(server, once) == MACH_PORT_TYPE_DEAD_NAME,
	   "the reply right is a dead name");
	name_destroy(space_lookup(&server->task->space, once));
	reply = test_port(client);
	ok(port_keep_reply(reply_port()) && messages_a() == used, "a new reply port is charged its message");
	server_waits();
	again();
	settle("the port destroyed");
}

static void move_right(struct thread *to, mach_port_name_t *name)
{
	uint32_t disposition;
	struct port *r;

	if (space_take(&client->task->space, reply, MACH_MSG_TYPE_MOVE_RECEIVE, &r, &disposition) != KERN_SUCCESS ||
	    space_insert(&to->task->space, r, disposition, name) != KERN_SUCCESS)
		panic("the right does not move");
}

static void port_moved(void)
{
	struct thread *other;
	mach_port_name_t moved;
	uint64_t used;
	struct port *r;
	struct call c;

	begin();
	other = test_thread(ledger_b);
	used = messages_a();
	fast_request();
	r = reply_port();
	move_right(other, &moved);
	ok(test_run(client) == MACH_RCV_PORT_DIED && !r->keeps_reply && !r->spare_prepaid,
	   "the receive right moves to another task: the client is told, no message is kept there");
	ok(messages_a() == used && LIST_FIRST(&r->prepaid) != NULL, "but that of the right that is out");
	c = plain_receive(moved);
	trap(other, &c);
	full(ledger_a, true);
	full(ledger_b, true);
	c = plain_reply();
	ok(go(server, &c) == KERN_BLOCKED && !was_fast() && has_got(other, 0, 200, 48) && m.h.msgh_local_port == moved,
	   "by which the reply comes to the new receiver, with full ledgers");
	full(ledger_a, false);
	full(ledger_b, false);
	is_u64(messages_a(), used - KMSG_PREPAID, "and is freed then");
	port_check(r);
	task_end(other->task);
	reply = test_port(client);
	port_keep_reply(reply_port());
	settle("the right moved");
	begin();
	other = test_thread(ledger_b);
	used = messages_a();
	move_right(other, &moved);
	is_u64(messages_a(), used - KMSG_PREPAID, "a kept message at home is freed when the right moves");
	task_end(other->task);
	reply = test_port(client);
	port_keep_reply(reply_port());
	settle("the right moved at rest");
}

/* -- the message kept -- */

static void birth(void)
{
	mach_port_name_t name;
	struct port *p;
	uint64_t used;

	begin();
	used = messages_a();
	name = test_port(client);
	p = test_port_of(client, name);
	ledger_limit(ledger_a, LEDGER_MESSAGES, used);
	ok(!port_keep_reply(p) && !p->keeps_reply && !p->spare_prepaid && LIST_EMPTY(&p->prepaid),
	   "a message to keep is denied: the port keeps none");
	ledger_limit(ledger_a, LEDGER_MESSAGES, LEDGER_UNLIMITED);
	ok(port_keep_reply(p) && messages_a() == used + KMSG_PREPAID, "one is charged when the port is made");
	name_destroy(space_lookup(&client->task->space, name));
	is_u64(messages_a(), used, "and given back with it");
	settle("birth");
}

static mach_port_name_t own_task(void)
{
	mach_port_name_t name;

	right_make_send(client->task->self);
	if (space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &name) != KERN_SUCCESS)
		panic("no right");
	return name;
}

/* A kernel call's answer that had to be queued comes in a message of its own, of one element, while the kept one is out. */
static void kept_too_small(void)
{
	struct call c;

	begin();
	c = plain_request();
	c.option = MACH_SEND_MSG;
	ok(go(client, &c) == MACH_MSG_SUCCESS && served(), "the kept message is out with a request");
	c = plain_request();
	c.remote = own_task();
	c.id = 2000;
	c.size = c.room = 48;
	c.option |= MACH_RCV_LARGE;
	ok(go(client, &c) == MACH_RCV_TOO_LARGE, "a kernel call's answer is too large and stays");
	c = plain_receive(reply);
	ok(trap(client, &c) == MACH_MSG_SUCCESS && !LIST_EMPTY(&reply_port()->prepaid), "it is received");
	check_all();
	c = plain_reply();
	c.size = KMSG_SMALL;
	ok(go(server, &c) == KERN_BLOCKED, "the server answers with as many bytes as a prepaid message has");
	c = plain_receive(reply);
	ok(trap(client, &c) == MACH_MSG_SUCCESS && has_got(client, 0, 200, KMSG_SMALL), "which come whole");
	settle("an answer in a small message");
}

/* A client's call with a reply right, up to when it has its answer. */
enum way { FAST, SLOW, QUEUED, LONG, LONGER, TOO_LONG, NO_ROOM, NO_ROOM_FOR_RIGHT, DROPPED, KERNEL, KERNEL_QUEUED, KERNEL_LONG, BAD_BODY, BAD_TWICE, GIVEN_BACK,
	   TO_DEAD, WAYS };
static const char *const ways[] = {
	"a fast reply", "a reply to a receive with a notification", "a reply that is queued", "a reply of 264 bytes",
	"a reply of two pages", "a reply beyond the bound", "a reply that its receiver has no room for",
	"such a one with a right", "a right that is dropped", "a kernel call", "a kernel call's reply that is queued",
	"a long one that is queued", "a request with a bad body", "a request that moves a right twice", "a request that times out",
	"a request whose port dies",
};

static bool bad_body(bool twice)
{
	mach_port_name_t right = test_port(client);
	uint32_t size = test_header(&m, 0, NONE, NONE, 0);
	struct call c = plain_request();

	right = test_send_right(client, client, right);
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_SEND, right);
	test_add_port(&m, &size, MACH_MSG_TYPE_MOVE_SEND, twice ? right : 4242);
	m.h.msgh_bits |= c.bits;
	m.h.msgh_remote_port = c.remote;
	m.h.msgh_local_port = c.local;
	test_write(client, test_buffer(client), &m, size);
	c.size = size;
	return trap(client, &c) == MACH_SEND_INVALID_RIGHT;
}

/* The reply is destroyed at its receiver, and what it carries. */
static bool answer_is_too_large(bool with_right)
{
	struct call c = plain_reply();
	uint32_t size = test_header(&m, c.bits, c.remote, NONE, 200);

	test_add_port(&m, &size, MACH_MSG_TYPE_MAKE_SEND, port);
	m.h.msgh_bits = c.bits | (with_right ? MACH_MSGH_BITS_COMPLEX : 0);
	test_write(server, test_buffer(server), &m, size);
	c.size = size;
	if (trap(server, &c) != KERN_BLOCKED || test_run(client) != MACH_RCV_TOO_LARGE)
		return false;
	reap_all();
	return test_port_of(server, port)->send_rights == 1;
}

static bool goes(enum way way)
{
	struct call c = plain_request(), a;
	mach_port_name_t target;

	switch (way) {
	case FAST:
		return go(client, &c) == KERN_BLOCKED && was_fast() && served() && complete();
	case SLOW:
		c.option |= MACH_RCV_NOTIFY;
		c.notify = reply;
		return go(client, &c) == KERN_BLOCKED && served() && complete();
	case QUEUED: case LONG: case LONGER: case TOO_LONG:
		c.option = MACH_SEND_MSG;
		go(client, &c);
		served();
		a = plain_reply();
		a.option = MACH_SEND_MSG;
		a.size = way == QUEUED ? 48 : way == LONG ? 264 : 2048;
		if (way == TOO_LONG)
			a.size = 8200;		/* it is not even read */
		if (way == TOO_LONG) {
			test_header(&m, a.bits, a.remote, NONE, 200);
			test_write(server, test_buffer(server), &m.h, 32);
			return trap(server, &a) == MACH_SEND_NO_BUFFER;
		}
		return go(server, &a) == MACH_MSG_SUCCESS;
	case NO_ROOM: case NO_ROOM_FOR_RIGHT:
		c.room = 40;
		return go(client, &c) == KERN_BLOCKED && served() && answer_is_too_large(way == NO_ROOM_FOR_RIGHT);
	case DROPPED:
		go(client, &c);
		served();
		name_destroy(space_lookup(&server->task->space, once));
		return test_run(client) == MACH_MSG_SUCCESS;
	case KERNEL: case KERNEL_QUEUED: case KERNEL_LONG:
		c.remote = own_task();
		c.id = way == KERNEL_LONG ? 2002 : 2000;
		c.size = 48;
		c.option = way == KERNEL ? BOTH : MACH_SEND_MSG;
		return go(client, &c) == MACH_MSG_SUCCESS;
	case BAD_BODY:
		return bad_body(false);
	case BAD_TWICE:
		return bad_body(true);
	case GIVEN_BACK:
		target = test_port(server);
		c.remote = test_send_right(client, server, target);
		test_port_of(server, target)->qlimit = 0;
		c.option |= MACH_SEND_TIMEOUT;
		if (go(client, &c) != MACH_SEND_TIMED_OUT)
			return false;
		test_received(client, &m);
		name_destroy(space_lookup(&client->task->space, m.h.msgh_local_port));
		return true;
	default:
		target = test_port(server);
		c.remote = test_send_right(client, server, target);
		c.option = MACH_SEND_MSG;
		if (go(client, &c) != MACH_MSG_SUCCESS)
			return false;
		name_destroy(space_lookup(&server->task->space, target));
		reap_all();
		return true;
	}
}

static void comes_home(enum way way)
{
	uint64_t used;

	begin();
	for (unsigned times = 0; times < 2; times++) {
		used = messages_a();
		ok(goes(way), "%s", ways[way]);
		check_all();
		stop_waiting(server);
		drain(client, reply);
		ok(is_home() && messages_a() == used, "the message is at home, and nothing else is charged");
		server_waits();
		/* Each time with the server's own entry ready. */
		if (server->task->space.once.type == 0)
			again();
	}
	settle(ways[way]);
}

/* Several rights out at once, answered in any order. */
static void many(void)
{
	mach_port_name_t rights[4];
	uint64_t used;
	struct call c;

	for (unsigned order = 0; order < 24; order++) {
		unsigned left[4] = { 0, 1, 2, 3 }, n = 4, rank = order;

		begin();
		used = messages_a();
		for (unsigned i = 0; i < 4; i++) {
			c = plain_request();
			go(client, &c);
			served();
			rights[i] = once;
			stop_waiting(client);
			server_waits();
		}
		claim_begin("four reply rights out, answered in order %u", order);
		claim(messages_a() == used + 3 * KMSG_PREPAID, "three are charged");
		while (n != 0) {
			unsigned which = rank % n;

			rank /= n;
			c = plain_receive(reply);
			trap(client, &c);
			stop_waiting(server);
			once = rights[left[which]];
			c = plain_reply();
			claim(go(server, &c) == KERN_BLOCKED && answered(), "an answer comes");
			check_all();
			left[which] = left[--n];
		}
		claim(is_home() && messages_a() == used, "one is kept");
		claim_end();
		settle("many rights");
	}
}

int main(void)
{
	system_begin("ipc_msg_fast_between_test");
	aborted(WAIT_ABORTED, MACH_RCV_INTERRUPTED, "aborted");
	aborted(WAIT_TIMED_OUT, MACH_RCV_TIMED_OUT, "timed out");
	aborted(WAIT_KILLED, 0, "killed");
	client_ends();
	server_dies();
	other_answers();
	port_destroyed();
	port_moved();
	birth();
	kept_too_small();
	for (enum way way = 0; way < WAYS; way++)
		comes_home(way);
	many();
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
