/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rights that travel in calls: a server in another task is given a right and gives one back. Each case is done twice, by calls
 * that may go the fast way and by the same with a time-out, which may not: what both sides have then must be the same.
 * RUN: in root right_call_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach_debug_user.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <string.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PATIENCE_MS	10000
#define SERVER		0x700		/* the server's name of its port */
#define ITS_OWN		0x701		/* a port of the server's own */
#define TYPES_KNOWN	(MACH_PORT_TYPE_SEND_RECEIVE | MACH_PORT_TYPE_SEND_ONCE | MACH_PORT_TYPE_DEAD_NAME)

/* What the server does with the right that it got. */
enum { KEEP, MOVE_BACK, COPY_BACK, GIVE_OWN };

/* What is seen of a name: never the name itself, which may differ. */
struct seen {
	unsigned received;		/* null 0, dead 1, a name 2 */
	mach_port_type_t type;
	mach_port_urefs_t sends, dead;
	mach_port_rights_t srights;	/* of the test's port */
	mach_port_mscount_t make_sends;
	mach_msg_return_t code;
	mach_msg_type_name_t disposition;
	unsigned complex, names, data;
};

struct shared {
	struct seen seen;		/* by the server */
	mach_port_t kept;		/* by it */
	mach_msg_option_t option;
};
static struct shared *shared;
static mach_port_t server, reply_port;
static struct child child;

static void look(struct seen *seen, mach_port_t name)
{
	seen->received = name == MACH_PORT_NULL ? 0 : name == MACH_PORT_DEAD ? 1 : 2;
	if (seen->received != 2)
		return;
	mach_port_type(mach_task_self(), name, &seen->type);
	seen->type &= TYPES_KNOWN;
	mach_port_get_refs(mach_task_self(), name, MACH_PORT_RIGHT_SEND, &seen->sends);
	mach_port_get_refs(mach_task_self(), name, MACH_PORT_RIGHT_DEAD_NAME, &seen->dead);
}

/* The right of a message, after which plain data comes. */
static void look_in(struct seen *seen, struct msg *m)
{
	mach_port_t name = msg_item_port(m, 0);

	look(seen, name);
	seen->complex = (m->head.msgh_bits & MACH_MSGH_BITS_COMPLEX) != 0;
	seen->disposition = msg_item(m, 0)->msgt_name;
	seen->data = memcmp(msg_item(m, 1) + 1, "12345678", 8) == 0;
}

static void let_go(mach_port_t name)
{
	if (MACH_PORT_VALID(name))
		mach_port_deallocate(mach_task_self(), name);
}

static void answer(struct msg *m, struct msg *request)
{
	mach_port_t name = msg_item_port(request, 0);

	let_go(shared->kept);
	memset(&shared->seen, 0, sizeof shared->seen);
	look_in(&shared->seen, request);
	shared->kept = name;
	msg_begin(m, MOVE_ONCE, request->head.msgh_remote_port, 0, MACH_PORT_NULL, request->head.msgh_id + 100);
	switch (request->head.msgh_id) {
	case MOVE_BACK:
		msg_add_port(m, MOVE_SEND, name);
		shared->kept = MACH_PORT_NULL;
		break;
	case COPY_BACK:
		msg_add_port(m, COPY_SEND, name);
		break;
	case GIVE_OWN:
		msg_add_port(m, MAKE_SEND, ITS_OWN);
		break;
	default:
		break;
	}
	msg_add_data(m, "12345678", 8);
	m->head.msgh_size = m->size;
}

static void serve(void *argument)
{
	static struct msg m, request;
	mach_msg_option_t option = MACH_RCV_MSG;

	(void)argument;
	for (;;) {
		/* One buffer for both: the reply lies where the request is to come. */
		memcpy(request.bytes, m.bytes, m.size);
		if (mach_msg_trap(&request.head, option | shared->option, m.size, MSG_ROOM, SERVER, PATIENCE_MS, 0) !=
		    MACH_MSG_SUCCESS)
			return;
		answer(&m, &request);
		option = MACH_SEND_MSG | MACH_RCV_MSG;
	}
}

static kern_return_t give_ports(struct child *its, void *argument)
{
	mach_port_t own = port_new();
	kern_return_t error;

	(void)argument;
	error = mach_port_insert_right(its->task, SERVER, server, MOVE_RECEIVE);
	return error != KERN_SUCCESS ? error : mach_port_insert_right(its->task, ITS_OWN, own, MOVE_RECEIVE);
}

/* What the client has afterwards. port: its own, whose right it sent, or null. */
static struct seen call(unsigned type, mach_port_t name, int id, mach_port_t port)
{
	struct seen seen = { 0 };
	mach_port_status_t status;
	struct seen left = { 0 };
	static struct msg m;

	msg_begin(&m, COPY_SEND, server, MAKE_ONCE, reply_port, id);
	msg_add_port(&m, type, name);
	msg_add_data(&m, "12345678", 8);
	m.head.msgh_size = m.size;
	seen.code = mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_RCV_MSG | shared->option, m.size, MSG_ROOM, reply_port,
				  PATIENCE_MS, 0);
	if (seen.code == MACH_MSG_SUCCESS && (m.head.msgh_bits & MACH_MSGH_BITS_COMPLEX)) {
		look_in(&seen, &m);
		seen.names = msg_item_port(&m, 0) == name ? 1 : 0;
		let_go(msg_item_port(&m, 0));
	}
	if (MACH_PORT_VALID(name))
		look(&left, name);
	seen.type |= left.type << 8;
	seen.sends += 1000 * left.sends;
	seen.dead += 1000 * left.dead;
	if (port != MACH_PORT_NULL) {
		need(mach_port_get_srights(mach_task_self(), port, &seen.srights), "the count of send rights");
		need(mach_port_get_receive_status(mach_task_self(), port, &status), "a port's status");
		seen.make_sends = status.mps_mscount;
	}
	return seen;
}

static void case_port(unsigned type, unsigned urefs, int id, const char *what)
{
	struct seen mine[2], its[2];
	mach_port_t port;

	for (unsigned way = 0; way < 2; way++) {
		shared->option = way == 0 ? 0 : MACH_RCV_TIMEOUT;
		port = port_new();
		for (unsigned i = 0; i < urefs; i++)
			port_add_send(port);
		mine[way] = call(type, port, id, port);
		its[way] = shared->seen;
		port_free(port);
	}
	is(mine[0].code, MACH_MSG_SUCCESS, "%s: the call succeeds", what);
	ok(its[0].received == 2 && its[0].type == MACH_PORT_TYPE_SEND && its[0].sends == 1, "%s: the server has one", what);
	ok(its[0].complex && its[0].disposition == MACH_MSG_TYPE_PORT_SEND && its[0].data, "%s: as the message says", what);
	ok(memcmp(&mine[0], &mine[1], sizeof mine[0]) == 0, "%s: the client has the same by a plain call", what);
	ok(memcmp(&its[0], &its[1], sizeof its[0]) == 0, "%s: and so has the server", what);
}

/* A name that is not a port's of the client. */
static void case_name(mach_port_t (*make)(void), unsigned type, int id, const char *what)
{
	struct seen mine[2], its[2];

	for (unsigned way = 0; way < 2; way++) {
		mach_port_t name = make();

		shared->option = way == 0 ? 0 : MACH_RCV_TIMEOUT;
		memset(&shared->seen, 0, sizeof shared->seen);
		mine[way] = call(type, name, id, MACH_PORT_NULL);
		its[way] = shared->seen;
		let_go(name);
	}
	diag("%s: code %x, server: received %u type %x", what, mine[0].code, its[0].received, its[0].type);
	ok(memcmp(&mine[0], &mine[1], sizeof mine[0]) == 0, "%s: the client has the same both ways", what);
	ok(memcmp(&its[0], &its[1], sizeof its[0]) == 0, "%s: and so has the server", what);
}

static mach_port_t a_kernel_port(void)
{
	return mach_host_self();
}

static mach_port_t a_dead_name(void)
{
	mach_port_t name = MACH_PORT_NULL;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_DEAD_NAME, &name), "a dead name");
	return name;
}

static mach_port_t no_name(void)
{
	return 0x7777;
}

static mach_port_t null_name(void)
{
	return MACH_PORT_NULL;
}

/* The server's own port: it holds the receive right. */
static mach_port_t its_own_port(void)
{
	static struct msg m;

	shared->option = 0;
	msg_begin(&m, COPY_SEND, server, MAKE_ONCE, reply_port, GIVE_OWN);
	msg_add_port(&m, MAKE_SEND, reply_port);
	msg_add_data(&m, "12345678", 8);
	m.head.msgh_size = m.size;
	need(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_RCV_MSG, m.size, MSG_ROOM, reply_port, 0, 0), "a port of the server");
	return msg_item_port(&m, 0);
}

/* A name whose end somebody asked to be told: that is told when it is moved away. */
static void case_request(void)
{
	mach_port_t port, notify = port_new(), previous, once;
	int ids[2];

	for (unsigned way = 0; way < 2; way++) {
		mach_port_t other = its_own_port();

		port = port_new();
		once = port_new_once(notify);
		need(mach_port_request_notification(mach_task_self(), other, MACH_NOTIFY_DEAD_NAME, 0, once, MOVE_ONCE, &previous),
		     "a request");
		shared->option = way == 0 ? 0 : MACH_RCV_TIMEOUT;
		is(call(MOVE_SEND, other, KEEP, MACH_PORT_NULL).code, MACH_MSG_SUCCESS, "a name with a request is moved");
		ids[way] = message_await(notify, 1000);
		port_free(port);
	}
	is(ids[0], MACH_NOTIFY_PORT_DELETED, "who asked is told that the name is gone");
	is(ids[1], MACH_NOTIFY_PORT_DELETED, "both ways");
	port_free(notify);
}

int main(int argc, char **argv)
{
	mach_port_t last;

	test_begin(argc, argv, 60);
	shared = shared_alloc(sizeof *shared);
	reply_port = mach_reply_port();
	server = port_new_send();
	need(child_start(&child, serve, NULL, &(struct child_options){ .before = give_ports }), "a server");
	thread_await_waiting(child.thread, PATIENCE_MS);
	case_port(MOVE_SEND, 1, KEEP, "the last reference of a send right is moved");
	case_port(MOVE_SEND, 3, KEEP, "one of three references is moved");
	case_port(COPY_SEND, 1, KEEP, "a send right is copied");
	case_port(MAKE_SEND, 0, KEEP, "a send right is made");
	case_port(MOVE_SEND, 1, MOVE_BACK, "a send right goes there and back");
	case_port(COPY_SEND, 2, COPY_BACK, "a copy comes back as a copy");
	case_port(MAKE_SEND, 0, GIVE_OWN, "a right for a right");
	case_name(a_kernel_port, COPY_SEND, KEEP, "a right to a kernel object");
	case_name(a_kernel_port, COPY_SEND, MOVE_BACK, "the same, and back");
	case_name(its_own_port, MOVE_SEND, KEEP, "a right to the server's own port");
	case_name(its_own_port, MOVE_SEND, MOVE_BACK, "the same, and back");
	case_name(a_dead_name, MOVE_SEND, KEEP, "a dead name");
	case_name(a_dead_name, COPY_SEND, KEEP, "a dead name's copy");
	case_name(null_name, COPY_SEND, KEEP, "no right");
	case_name(no_name, MOVE_SEND, KEEP, "a name that is none");
	case_request();
	last = a_kernel_port();
	call(COPY_SEND, last, MOVE_BACK, MACH_PORT_NULL);
	let_go(last);
	child_finish(&child);
	port_free(server);
	port_free(reply_port);
	shared_free(shared, sizeof *shared);
	return done_testing();
}
