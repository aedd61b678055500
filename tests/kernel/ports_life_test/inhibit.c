/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests that are inhibited and resumed, by others and by handlers, under requests too. */
#include "ports_life.h"
#include <mach.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "tap.h"

static void inhibit_one(bool one_thread)
{
	const char *what = one_thread ? "one thread" : "a pool";
	struct thing *thing, *other;
	mach_port_t port;
	uint32_t before;

	server_start(one_thread);
	thing = thing_new();
	other = thing_new();
	port = thing->port.receive;
	clients_start(&port, 1, ID_HOLD, 1);
	ok(word_becomes(&thing->inside, one_thread ? 1 : WORKERS, PATIENCE_MS), "%s: handlers run", what);
	is_code(ports_inhibit_port_rpcs(&thing->port, 20), KERN_TIMEDOUT, "%s: a handler that does not end is told", what);
	is_code(ports_inhibit_bucket_rpcs(&bucket, 20), KERN_TIMEDOUT, "%s: also of the bucket", what);
	word_post(&gate, 1);
	is(clients_end().good, CLIENTS, "%s: nothing has changed then: all are answered", what);
	is_code(ports_inhibit_port_rpcs(&thing->port, PATIENCE_MS), KERN_SUCCESS, "%s: a port is inhibited", what);
	is_code(ports_inhibit_port_rpcs(&thing->port, 0), PORTS_BUSY, "%s: not twice", what);
	clients_start(&port, 1, ID_QUICK, 1);
	for (unsigned i = 0; i < CLIENTS; i++)
		thread_await_waiting(clients[i].thread->port, PATIENCE_MS);
	is_code(msg_call_answer(other->port.receive, ID_QUICK), ANSWER, "%s: other ports are served", what);
	is(port_status(port).mps_msgcount, CLIENTS, "%s: its requests wait in its queue", what);
	is_code(ports_inhibit_bucket_rpcs(&bucket, PATIENCE_MS), KERN_SUCCESS, "%s: the bucket is inhibited", what);
	is_code(ports_inhibit_port_rpcs(&other->port, 0), PORTS_BUSY, "%s: then a port of it cannot be", what);
	before = handled;
	ports_resume_port_rpcs(&thing->port);
	thread_sleep(30);
	ok(handled == before && port_status(port).mps_msgcount >= CLIENTS - (one_thread ? 1 : WORKERS),
	   "%s: a port that is resumed waits for its bucket", what);
	ports_resume_bucket_rpcs(&bucket);
	is(clients_end().good, CLIENTS, "%s: when resumed it serves all of them", what);
	thing_end(other);
	thing_end(thing);
	server_end();
}

/* A thread that has received a request, and has not yet run to tell so. */
static void inhibit_in_hand(void)
{
	mach_port_t reply = port_new();
	struct thing *thing;
	struct msg m;

	server_start(true);
	thing = thing_new();
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "the server serves");
	ok(thread_await_waiting(manager->port, PATIENCE_MS), "its thread listens");
	need(thread_suspend(manager->port), "suspension");
	msg_begin(&m, COPY_SEND, thing->port.receive, MAKE_ONCE, reply, ID_QUICK);
	need(msg_send(&m, 0, 0), "a request");
	is_code(ports_inhibit_port_rpcs(&thing->port, 20), KERN_TIMEDOUT, "a thread that may have a request in hand is waited for");
	is_code(ports_inhibit_bucket_rpcs(&bucket, 20), KERN_TIMEDOUT, "also for the bucket");
	need(thread_resume(manager->port), "resumption");
	is_code(msg_receive(&m, reply, 0, 0), MACH_MSG_SUCCESS, "the request is answered");
	is_code(ports_inhibit_port_rpcs(&thing->port, PATIENCE_MS), KERN_SUCCESS, "then it can be inhibited");
	ports_resume_port_rpcs(&thing->port);
	port_free(reply);
	thing_end(thing);
	server_end();
}

static void inhibit_parked(void)
{
	struct thing *thing;
	struct msg m;
	mach_port_t reply = port_new();

	server_start(false);
	thing = thing_new();
	msg_begin(&m, COPY_SEND, thing->port.receive, MAKE_ONCE, reply, ID_PARK);
	need(msg_send(&m, 0, 0), "a request");
	is_code(msg_call_answer(thing->port.receive, ID_QUICK), ANSWER, "a request is parked");
	need(ports_inhibit_port_rpcs(&thing->port, PATIENCE_MS), "inhibition");
	gate = 1;
	ports_resume(ports_unpark(&parked));
	ok(msg_none(reply) && bucket.held.count == 1, "resumed while its port is inhibited it waits");
	ports_resume_port_rpcs(&thing->port);
	is_code(msg_receive(&m, reply, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "and is answered with it");
	port_free(reply);
	thing_end(thing);
	server_end();
}

static void storm(mach_msg_id_t id, const char *what)
{
	struct thing *things[2];
	mach_port_t ports[2];
	unsigned rounds = 0;
	struct client sum;

	server_start(false);
	for (unsigned i = 0; i < 2; i++) {
		things[i] = thing_new();
		ports[i] = things[i]->port.receive;
	}
	clients_start(ports, 2, ID_QUICK, ROUNDS * 4);
	for (unsigned i = 0; i < ROUNDS / 2; i++) {
		kern_return_t code = id == ID_ALONE ? ports_inhibit_port_rpcs(&things[0]->port, PATIENCE_MS) :
				     ports_inhibit_bucket_rpcs(&bucket, PATIENCE_MS);

		if (code != KERN_SUCCESS)
			continue;
		rounds++;
		see_nobody(things[0], id == ID_ALONE_ALL, 0);
		if (id == ID_ALONE)
			ports_resume_port_rpcs(&things[0]->port);
		else
			ports_resume_bucket_rpcs(&bucket);
	}
	is(rounds, ROUNDS / 2, "%s is inhibited again and again under requests", what);
	is(intruders, 0, "%s: no handler is met inside", what);
	is(clients_end().good, CLIENTS * ROUNDS * 4, "%s: each request is answered", what);
	clients_start(ports, 2, id, ROUNDS / 4);
	sum = clients_end();
	is(sum.good, CLIENTS * ROUNDS / 4, "%s: handlers inhibit it themselves; none waits for ever", what);
	ok(alone > 0 && intruders == 0, "%s: then no other runs", what);
	for (unsigned i = 0; i < 2; i++)
		thing_end(things[i]);
	server_end();
}

void test_inhibition(void)
{
	inhibit_one(false);
	inhibit_one(true);
	inhibit_in_hand();
	inhibit_parked();
	storm(ID_ALONE, "a port");
	storm(ID_ALONE_ALL, "a bucket");
}
