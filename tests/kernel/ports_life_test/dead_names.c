/* SPDX-License-Identifier: BSD-2-Clause */
/* Dead names: who asks is told, once, and nobody can forge it; asking may be denied, what undoes it may not. */
#include "ports_life.h"
#include <mach.h>
#include <mach/notify.h>
#include <mach/threads.h>
#include "child.h"
#include "denial.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

unsigned dead_refs(mach_port_t name)
{
	return port_refs(name, MACH_PORT_RIGHT_DEAD_NAME);
}

void kill_peer(mach_port_t peer)
{
	need(mach_port_mod_refs(mach_task_self(), peer, MACH_PORT_RIGHT_RECEIVE, -1), "a right's end");
}

static void forge(mach_port_t port, mach_port_t name)
{
	struct msg m;

	msg_begin(&m, COPY_SEND, port, 0, 0, MACH_NOTIFY_DEAD_NAME);
	*msg_add_data(&m, &name, sizeof name) =
		(mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_PORT_NAME, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 };
	need(msg_send(&m, 0, 0), "a forged notification");
}

static void dead_names(void)
{
	mach_port_t peer = port_new_send();
	struct thing *thing, *other;

	server_start(false);
	thing = thing_new();
	other = thing_new();
	need(ports_request_dead_name_notification(&thing->port, peer), "the request");
	is_code(ports_request_dead_name_notification(&other->port, peer), KERN_NAME_EXISTS,
		"there is one request a name");
	forge(thing->port.receive, peer);
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "behind a forged notification a request is served");
	is(deaths, 0, "that a right has died is believed only when it is so");
	kill_peer(peer);
	ok(word_becomes(&deaths, 1, PATIENCE_MS) && dead == peer, "a port is told of the death of a right that it asked about");
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "it serves on");
	is(dead_refs(peer), 1, "the reference that Mach adds is given back");
	forge(thing->port.receive, peer);
	forge(other->port.receive, peer);
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "after forged notifications too");
	is_code(msg_call_answer(other->port.receive, ID_QUICK), ANSWER, "of either port");
	ok(deaths == 1 && dead_refs(peer) == 1, "nobody is told twice");
	need(ports_request_dead_name_notification(&thing->port, peer), "a request about a dead name");
	ok(word_becomes(&deaths, 2, PATIENCE_MS), "of one that is dead already it is told at once");
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "and serves");
	is(dead_refs(peer), 1, "with no reference too many");
	give_back_right(peer);
	is_code(ports_request_dead_name_notification(&thing->port, peer), KERN_INVALID_NAME, "not of no name");
	is_code(ports_request_dead_name_notification(&thing->port, bucket.set), KERN_INVALID_RIGHT, "nor of a set");
	thing_end(thing);
	thing_end(other);
	server_end();
}

static void dead_names_cancelled(void)
{
	static mach_port_t peers[MANY];
	struct thing *thing, *other;
	unsigned good = 0;

	server_start(false);
	thing = thing_new();
	other = thing_new();
	for (unsigned i = 0; i < MANY; i++) {
		peers[i] = port_new_send();
		need(ports_request_dead_name_notification(&thing->port, peers[i]), "a request");
	}
	for (unsigned i = 0; i < MANY; i += 3)
		ports_cancel_dead_name_notification(&thing->port, peers[i]);
	ports_cancel_dead_name_notification(&other->port, peers[1]);
	need(ports_request_dead_name_notification(&other->port, peers[0]), "a request that was another's");
	for (unsigned i = 0; i < MANY; i += 3)
		kill_peer(peers[i]);
	ok(word_becomes(&deaths, 1, PATIENCE_MS) && dead == peers[0], "what was cancelled is not told; another port may ask then");
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "the port serves on");
	is_code(msg_call_answer(other->port.receive, ID_QUICK), ANSWER, "and so does the other");
	is(deaths, 1, "with nothing more to tell");
	/* Now inhibited, so that notifications wait, and the port ends among them. */
	need(ports_inhibit_port_rpcs(&thing->port, PATIENCE_MS), "inhibition");
	for (unsigned i = 1; i < MANY; i += 3)
		kill_peer(peers[i]);
	for (unsigned i = 1; i < MANY; i += 6)
		ports_cancel_dead_name_notification(&thing->port, peers[i]);
	thing_end(thing);
	is(deaths, 1, "a port's end cancels what it asked for, also what was on its way");
	for (unsigned i = 0; i < MANY; i++) {
		good += i % 3 == 2 ? port_type(peers[i]) == MACH_PORT_TYPE_SEND_RECEIVE : dead_refs(peers[i]) == 1;
		if (i % 3 == 2)
			kill_peer(peers[i]);
		give_back_right(peers[i]);
	}
	is(good, MANY, "each name has the references that it had");
	ok(cleaned == 1 && bucket.watches.rbh_root == NULL, "no request is left");
	thing_end(other);
	server_end();
}

/* Rights that die while their ports serve, and end. */
static void dead_names_under_requests(void)
{
	struct thing *things[CLIENTS];
	mach_port_t ports[CLIENTS], peers[CLIENTS];
	unsigned good = 0;

	server_start(false);
	for (unsigned i = 0; i < CLIENTS; i++) {
		things[i] = thing_new();
		ports[i] = things[i]->port.receive;
	}
	clients_start(ports, CLIENTS, ID_QUICK, ROUNDS);
	for (unsigned round = 0; round < ROUNDS / 4; round++) {
		for (unsigned i = 0; i < CLIENTS; i++) {
			peers[i] = port_new_send();
			need(ports_request_dead_name_notification(&things[i]->port, peers[i]), "a request");
		}
		for (unsigned i = 0; i < CLIENTS; i++) {
			kill_peer(peers[i]);
			if (i % 2 == 0)
				ports_cancel_dead_name_notification(&things[i]->port, peers[i]);
		}
		for (unsigned i = 0; i < CLIENTS; i++) {
			while (dead_refs(peers[i]) != 1)
				thread_sleep(1);
			good++;
			give_back_right(peers[i]);
		}
	}
	is(good, ROUNDS / 4 * CLIENTS, "under requests: each reference comes back, told or cancelled");
	is(clients_end().good, CLIENTS * ROUNDS, "and each request is answered");
	is_between(deaths, ROUNDS / 4 * CLIENTS / 2, ROUNDS / 4 * CLIENTS, "ports that did not cancel were told");
	for (unsigned i = 0; i < CLIENTS; i++)
		thing_end(things[i]);
	server_end();
}

static struct thing *denied_thing;
static mach_port_t denied_peer;

static kern_return_t ask(void *unused)
{
	(void)unused;
	return ports_request_dead_name_notification(&denied_thing->port, denied_peer);
}

/* All that came before has been taken. */
static void quieten(void *unused)
{
	(void)unused;
	need(msg_call_answer(denied_thing->port.receive, ID_QUICK) == ANSWER ? KERN_SUCCESS : KERN_FAILURE, "an answer");
}

static void unask(void *unused)
{
	(void)unused;
	ports_cancel_dead_name_notification(&denied_thing->port, denied_peer);
}

static void denied(void)
{
	const struct denial_case asks = { .what = "asking for a dead name", .call = ask, .undo = unask, .prepare = quieten };
	uint64_t ports;
	mach_port_t right;

	server_start(true);
	denied_peer = port_new_send();
	denied_thing = thing_new();
	ok(for_each_denial(&asks) > 0, "asking for a dead name may be denied");
	ok(bucket.watches.rbh_root == NULL, "and leaves nothing");
	need(ask(NULL), "a request");
	deny_next(1);
	unask(NULL);
	deny_struck(NULL);
	kill_peer(denied_peer);
	is_code(msg_call_answer(denied_thing->port.receive, ID_QUICK), ANSWER, "a request");
	ok(deaths == 0 && dead_refs(denied_peer) == 1, "cancelling needs no memory");
	deny_next(1);
	is_code(ports_inhibit_port_rpcs(&denied_thing->port, PATIENCE_MS), KERN_SUCCESS, "a port is inhibited");
	ok(!deny_struck(NULL), "which needs no memory");
	deny_next(1);
	ports_resume_port_rpcs(&denied_thing->port);
	ok(!deny_struck(NULL), "nor does resuming");
	is_code(msg_call_answer(denied_thing->port.receive, ID_QUICK), ANSWER, "the port serves again");
	right = denied_thing->port.receive;
	ports = used_now(test_ledger(), LEDGER_PORTS);
	deny_next(1);
	ports_destroy_right(&denied_thing->port);
	ok(!deny_struck(NULL) && used_now(test_ledger(), LEDGER_PORTS) < ports, "nor does destroying a right");
	give_back_right(right);
	give_back_right(denied_peer);
	ports_port_deref(&denied_thing->port);
	server_end();
}

void test_dead_names(void)
{
	dead_names();
	dead_names_cancelled();
	dead_names_under_requests();
	denied();
}
