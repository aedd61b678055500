/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/ports: the life of ports and servers. Weak references and a cache that uses them, dead names,
 * requests that are inhibited and resumed, the end of a port, a class, a server; all also under
 * requests, and denied.
 * RUN: in root ports_life_test
 */
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/notify.h>
#include <mach/threads.h>
#include <ports.h>
#include <stdlib.h>
#include <string.h>
#include "child.h"
#include "denial.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define WORKERS		4u
#define CLIENTS		8u
#define ROUNDS		200u
#define SLOTS		3u
#define MANY		300u
#define PATIENCE_MS	10000
#define ANSWER		42

enum {
	ID_QUICK = 7000,
	ID_HOLD,			/* answered when the gate is open */
	ID_CACHE,			/* uses a port that a cache may have */
	ID_ALONE,			/* inhibits its own port, sees that nobody else is in it */
	ID_ALONE_ALL,			/* the same with the bucket */
	ID_PARK,			/* answered by ports_resume */
};

struct thing {
	struct port_info port;
	uint32_t inside, handled;	/* handlers now, and that have begun */
	uint32_t slot;			/* of the cache */
};

static struct port_bucket bucket;
static uint32_t gate, inside, handled, served, alone, intruders;
static uint32_t cleaned, dropped, deaths;
static mach_port_t dead;
static struct mutex park_lock = MUTEX_INIT;
static struct ports_parked_queue parked;

/* -- a cache -- */

static struct mutex cache_lock = MUTEX_INIT;
static struct thing *cache[SLOTS];
static uint32_t living[SLOTS], twins;

static void thing_clean(struct port_info *port)
{
	(void)port;
	__atomic_add_fetch(&cleaned, 1, __ATOMIC_SEQ_CST);
}

static void thing_drop(struct port_info *port)
{
	(void)port;
	__atomic_add_fetch(&dropped, 1, __ATOMIC_SEQ_CST);
}

static void thing_dead(struct port_info *port, mach_port_t name)
{
	(void)port;
	dead = name;
	__atomic_add_fetch(&deaths, 1, __ATOMIC_SEQ_CST);
}

static void cached_drop(struct port_info *port)
{
	struct thing *thing = (struct thing *)port;
	bool goes;

	mutex_lock(&cache_lock);
	goes = cache[thing->slot] == thing && ports_port_is_weak(port);
	if (goes) {
		cache[thing->slot] = NULL;
		living[thing->slot]--;
	}
	mutex_unlock(&cache_lock);
	if (goes)
		ports_port_deref_weak(port);
}

static struct port_class thing_class = {
	.name = "thing", .size = sizeof(struct thing), .clean = thing_clean, .dropweak = thing_drop, .dead_name = thing_dead,
};
static struct port_class cached_class = {
	.name = "cached", .size = sizeof(struct thing), .clean = thing_clean, .dropweak = cached_drop,
};

/* With a hard reference; NULL: denied. */
static struct thing *cached(uint32_t slot)
{
	struct port_info *port;

	mutex_lock(&cache_lock);
	if (cache[slot] != NULL) {
		ports_port_ref(&cache[slot]->port);
	} else if (ports_create_port(&cached_class, &bucket, &port) == KERN_SUCCESS) {
		ports_port_ref_weak(port);
		cache[slot] = (struct thing *)port;
		cache[slot]->slot = slot;
		twins += ++living[slot] != 1;
	}
	mutex_unlock(&cache_lock);
	return cache[slot];
}

/* -- the server -- */

static kern_return_t use_cache(void)
{
	struct thing *thing = cached(__atomic_fetch_add(&served, 1, __ATOMIC_SEQ_CST) % SLOTS);

	if (thing == NULL)
		return KERN_RESOURCE_SHORTAGE;
	if (served % 5 == 0)
		thread_yield();
	ports_port_deref(&thing->port);
	return ANSWER;
}

/* While the port (all: the bucket) is inhibited: are there more handlers inside than these, or does one begin? */
static void see_nobody(struct thing *thing, bool all, uint32_t own)
{
	const uint32_t *now = all ? &inside : &thing->inside, *begun = all ? &handled : &thing->handled;
	uint32_t before = __atomic_load_n(begun, __ATOMIC_SEQ_CST);

	intruders += __atomic_load_n(now, __ATOMIC_SEQ_CST) != own;
	for (unsigned i = 0; i < 10; i++)
		thread_yield();
	intruders += __atomic_load_n(begun, __ATOMIC_SEQ_CST) != before;
}

static kern_return_t be_alone(struct thing *thing, bool all)
{
	kern_return_t code = all ? ports_inhibit_bucket_rpcs(&bucket, PATIENCE_MS) :
			     ports_inhibit_port_rpcs(&thing->port, PATIENCE_MS);

	if (code == PORTS_BUSY)
		return ANSWER;
	if (code != KERN_SUCCESS)
		return code;
	see_nobody(thing, all, 1);
	alone++;
	if (all)
		ports_resume_bucket_rpcs(&bucket);
	else
		ports_resume_port_rpcs(&thing->port);
	return ANSWER;
}

/* The first time it parks, then it answers. */
static kern_return_t park(void)
{
	kern_return_t code = ANSWER;

	mutex_lock(&park_lock);
	if (gate == 0)
		code = ports_park(&parked);
	mutex_unlock(&park_lock);
	return code;
}

static kern_return_t handle(struct thing *thing, mach_msg_id_t id)
{
	switch (id) {
	case ID_HOLD:
		word_await(&gate, 1, PATIENCE_MS);
		return ANSWER;
	case ID_CACHE:
		return use_cache();
	case ID_ALONE:
	case ID_ALONE_ALL:
		return be_alone(thing, id == ID_ALONE_ALL);
	case ID_PARK:
		return park();
	default:
		/* Made now, not when something is measured. */
		mig_get_reply_port();
		thread_yield();
		return ANSWER;
	}
}

static kern_return_t handle_counted(struct thing *thing, mach_msg_id_t id)
{
	kern_return_t code;

	__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&handled, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&thing->inside, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&thing->handled, 1, __ATOMIC_SEQ_CST);
	code = handle(thing, id);
	__atomic_sub_fetch(&thing->inside, 1, __ATOMIC_SEQ_CST);
	__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	return code;
}

static boolean_t serve(mach_msg_header_t *request, mach_msg_header_t *reply)
{
	struct port_info *port = ports_lookup(&bucket, request->msgh_local_port, &thing_class);

	msg_reply(request, reply, port != NULL ? handle_counted((struct thing *)port, request->msgh_id) : KERN_INVALID_ARGUMENT);
	if (port != NULL)
		ports_port_deref(port);
	return TRUE;
}

static struct thread *manager;

static void manage(void *argument)
{
	struct ports_manage_options options = { .max_size = 256, .max_workers = WORKERS, .stuck_ms = 600000 };

	if (argument == NULL)
		ports_manage_port_operations_multithread(&bucket, serve, &options);
	else
		ports_manage_port_operations_one_thread(&bucket, serve, options.max_size);
}

static void server_start(bool one_thread)
{
	gate = inside = handled = served = cleaned = dropped = deaths = alone = intruders = 0;
	need(ports_bucket_init(&bucket), "a bucket");
	need(thread_spawn(manage, one_thread ? &gate : NULL, 0, &manager), "the pool's thread");
}

/* With all ports, of whoever still holds a send right. */
static void server_end(void)
{
	ports_bucket_stop(&bucket);
	thread_join(manager);
	ports_destroy_all(&bucket, NULL);
	is(bucket.count, 0, "no port is left");
	ports_bucket_end(&bucket);
}

/* With a reference of ours, and a send right. */
static struct thing *thing_new(void)
{
	struct port_info *port;
	mach_port_t right;

	need(ports_create_port(&thing_class, &bucket, &port), "a port");
	need(ports_get_send_right(port, &right), "a send right");
	need(mach_port_set_qlimit(mach_task_self(), right, CLIENTS), "room in its queue");
	return (struct thing *)port;
}

static void thing_end(struct thing *thing)
{
	mach_port_t right = thing->port.receive;

	ports_destroy_right(&thing->port);
	ports_port_deref(&thing->port);
	give_back_right(right);
}

/* -- clients -- */

struct client {
	struct thread *thread;
	mach_port_t port;
	mach_msg_id_t id;
	unsigned rounds, good, told, failed;
};
static struct client clients[CLIENTS];

static void client_main(void *argument)
{
	struct client *client = argument;

	for (unsigned i = 0; i < client->rounds; i++) {
		kern_return_t code = msg_call_answer(client->port, client->id);

		if (code == ANSWER)
			client->good++;
		else if (code == MIG_SERVER_DIED || code == MACH_SEND_INVALID_DEST)
			client->told++;
		else
			client->failed++;
	}
}

/* Client n calls the port n (of so many). */
static void clients_start(const mach_port_t *ports, unsigned count, mach_msg_id_t id, unsigned rounds)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .port = ports[i % count], .id = id, .rounds = rounds };
		need(thread_spawn(client_main, &clients[i], 0, &clients[i].thread), "a client");
	}
}

static struct client clients_end(void)
{
	struct client sum = { .rounds = 0 };

	for (unsigned i = 0; i < CLIENTS; i++) {
		thread_join(clients[i].thread);
		sum.good += clients[i].good;
		sum.told += clients[i].told;
		sum.failed += clients[i].failed;
	}
	return sum;
}

/* -- weak references -- */

static void weak(void)
{
	struct port_info *port, *again;
	uint32_t handle;

	server_start(false);
	need(ports_create_port(&thing_class, &bucket, &port), "a port");
	handle = port->handle;
	ports_port_ref_weak(port);
	ports_port_deref(port);
	ok(dropped == 1 && cleaned == 0, "when only weak references are left the class is told, and the port lives");
	ok(ports_port_is_weak(port), "it is seen to be weak");
	ports_port_ref(port);
	ok(!ports_port_is_weak(port), "a weak reference can become a hard one");
	ports_port_deref(port);
	is(dropped, 2, "when that goes the class is told again");
	again = ports_lookup(&bucket, handle, &thing_class);
	ok(again == port, "a port that only has weak references is found by its handle");
	ports_port_deref_weak(port);
	ok(cleaned == 0, "a weak reference that goes leaves a port that has a hard one");
	ports_port_deref(port);
	ok(dropped == 2 && cleaned == 1 && bucket.count == 0, "with the last reference the port goes, once");
	need(ports_create_port(&thing_class, &bucket, &port), "a port");
	ports_port_ref_weak(port);
	ports_port_deref(port);
	ports_port_deref_weak(port);
	is(cleaned, 2, "also when that is a weak one");
	server_end();
}

static void weak_under_requests(void)
{
	struct thing *thing;
	mach_port_t port;

	server_start(false);
	thing = thing_new();
	port = thing->port.receive;
	clients_start(&port, 1, ID_CACHE, ROUNDS);
	is(clients_end().good, CLIENTS * ROUNDS, "a server with a cache of ports answers");
	is(twins, 0, "of no port are there two");
	is(cached_class.count, 0, "none outlives its use: the cache lets go when it is told");
	ok(cleaned > SLOTS && cache[0] == NULL, "they came and went");
	thing_end(thing);
	server_end();
}

/* -- dead names -- */

static unsigned dead_refs(mach_port_t name)
{
	return port_refs(name, MACH_PORT_RIGHT_DEAD_NAME);
}

/* The right of the name dies; ours to it stays, a dead name. */
static void kill_peer(mach_port_t peer)
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

/* -- denied -- */

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

/* -- inhibited -- */

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

/* -- the end -- */

static void right_destroyed(void)
{
	struct thing *thing;
	mach_port_t port, right;
	struct client sum;

	server_start(false);
	thing = thing_new();
	port = thing->port.receive;
	clients_start(&port, 1, ID_HOLD, 1);
	ok(word_becomes(&thing->inside, WORKERS, PATIENCE_MS), "handlers run");
	for (unsigned i = 0; i < CLIENTS; i++)
		thread_await_waiting(clients[i].thread->port, PATIENCE_MS);
	ports_destroy_right(&thing->port);
	ports_destroy_right(&thing->port);
	is_code(ports_get_send_right(&thing->port, &right), KERN_INVALID_NAME, "a port whose right was destroyed gives none");
	is_code(ports_request_dead_name_notification(&thing->port, bucket.set), KERN_INVALID_CAPABILITY, "nor is it told of dead names");
	ok(cleaned == 0 && bucket.count == 1, "its record stays as long as its handlers");
	word_post(&gate, 1);
	sum = clients_end();
	ok(sum.good == WORKERS && sum.told == CLIENTS - WORKERS, "they answer; the clients in its queue are told");
	give_back_right(port);
	ports_port_deref(&thing->port);
	/* The handler gives its reference back behind its answer. */
	ok(word_becomes(&cleaned, 1, PATIENCE_MS), "then it goes");
	server_end();
}

/* One that was resumed holds a worker, one is inhibited, one parked, under requests of all. */
static void shutdown_under_requests(void)
{
	struct thing *things[CLIENTS];
	mach_port_t ports[CLIENTS], names[CLIENTS], reply = port_new();
	struct client sum;
	struct msg m;

	server_start(false);
	for (unsigned i = 0; i < CLIENTS; i++) {
		things[i] = thing_new();
		ports[i] = things[i]->port.receive;
		names[i] = port_new_send();
		need(ports_request_dead_name_notification(&things[i]->port, names[i]), "a request");
	}
	msg_begin(&m, COPY_SEND, ports[0], MAKE_ONCE, reply, ID_PARK);
	need(msg_send(&m, 0, 0), "a request");
	is_code(msg_call_answer(ports[0], ID_QUICK), ANSWER, "a request is parked");
	clients_start(ports, CLIENTS, ID_QUICK, ROUNDS);
	thread_sleep(5);
	for (unsigned i = 0; i < CLIENTS; i += 2)
		kill_peer(names[i]);
	need(ports_inhibit_port_rpcs(&things[1]->port, PATIENCE_MS), "inhibition");
	need(ports_inhibit_bucket_rpcs(&bucket, PATIENCE_MS), "inhibition");
	ports_bucket_stop(&bucket);
	thread_join(manager);
	is(inside, 0, "a server under requests stops, also when it was inhibited");
	ports_refuse(ports_unpark(&parked), KERN_ABORTED);
	is_code(msg_receive(&m, reply, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "its parked request is refused");
	ports_destroy_all(&bucket, &cached_class);
	is(thing_class.count, CLIENTS, "the ports of another class stay");
	ports_destroy_all(&bucket, &thing_class);
	sum = clients_end();
	ok(sum.failed == 0 && sum.good + sum.told == CLIENTS * ROUNDS && sum.told > 0,
	   "when they are destroyed each client is told, in any state");
	for (unsigned i = 0; i < CLIENTS; i++) {
		ports_port_deref(&things[i]->port);
		if (i % 2 != 0)
			kill_peer(names[i]);
		is(dead_refs(names[i]), 1, "of the names that port %u asked about none has a reference too many", i);
		give_back_right(names[i]);
		give_back_right(ports[i]);
	}
	is(bucket.count, 0, "no port is left");
	ports_bucket_end(&bucket);
	port_free(reply);
}

/* A server that is begun and ended over and over. */
static void over_and_over(void)
{
	struct snapshot before;
	mach_port_t port;

	for (unsigned i = 0; i < 10; i++) {
		struct thing *thing;

		if (i == 1)
			snapshot_take_quiet(&before, test_ledger());
		need(ports_bucket_init(&bucket), "a bucket");
		need(thread_spawn(manage, i % 2 == 0 ? &gate : NULL, 0, &manager), "the pool's thread");
		thing = thing_new();
		port = thing->port.receive;
		ports_port_deref(&thing->port);
		clients_start(&port, 1, ID_QUICK, 1);
		ports_bucket_stop(&bucket);
		thread_join(manager);
		ports_destroy_all(&bucket, NULL);
		ports_bucket_end(&bucket);
		clients_end();
		give_back_right(port);
	}
	snapshot_settles(&before, SNAPSHOT_THINGS, "a server that ends leaves nothing in its ledger");
}

int main(int argc, char **argv)
{
	/* malloc keeps a page of each size: not to be taken for a leak. */
	for (size_t size = 16; size < 1000; size *= 2)
		free(malloc(size));
	test_begin(argc, argv, 120);
	weak();
	weak_under_requests();
	dead_names();
	dead_names_cancelled();
	dead_names_under_requests();
	denied();
	inhibit_one(false);
	inhibit_one(true);
	inhibit_in_hand();
	inhibit_parked();
	storm(ID_ALONE, "a port");
	storm(ID_ALONE_ALL, "a bucket");
	right_destroyed();
	shutdown_under_requests();
	over_and_over();
	return done_testing();
}
