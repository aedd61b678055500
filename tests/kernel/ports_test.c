/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/ports: a bucket served by a bounded pool of threads. Many clients, the maximum kept, surplus
 * workers that leave, ports that go with their last sender, also under requests, messages that the
 * server cannot hold, and the end of the pool.
 * RUN: in root ports_test
 */
#include <gnumach_user.h>
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/notify.h>
#include <mach/threads.h>
#include <ports.h>
#include <stdlib.h>
#include <string.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define MAX_WORKERS	4u
#define CLIENTS		12u
#define MANY_PORTS	100u
#define ROUNDS		50u
#define IDLE_MS		50
#define PATIENCE_MS	10000
#define ID_QUICK	7000	/* answered at once */
#define ID_HOLD		7001	/* answered when the gate is open */
#define ANSWER		42
#define REGION		(16u << 20)

struct thing {
	struct port_info port;
	uint32_t served;
};

static struct port_bucket bucket;
static uint32_t cleaned;		/* things */
static uint32_t inside, most_inside;	/* requests in ID_HOLD */
static uint32_t gate;
static uint32_t requests;

static void thing_clean(struct port_info *port)
{
	(void)port;
	__atomic_add_fetch(&cleaned, 1, __ATOMIC_SEQ_CST);
}

static struct port_class thing_class = {
	.name = "thing", .size = sizeof(struct thing), .clean = thing_clean,
};

static void hold(void)
{
	uint32_t now = __atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
	uint32_t most = __atomic_load_n(&most_inside, __ATOMIC_SEQ_CST);

	while (now > most && !__atomic_compare_exchange_n(&most_inside, &most, now, false,
							  __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	word_await(&gate, 1, PATIENCE_MS);
	__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
}

static boolean_t serve_thing(mach_msg_header_t *request, mach_msg_header_t *reply)
{
	struct port_info *port = ports_lookup(&bucket, request->msgh_local_port, &thing_class);

	__atomic_add_fetch(&requests, 1, __ATOMIC_SEQ_CST);
	if (port != NULL) {
		__atomic_add_fetch(&((struct thing *)port)->served, 1, __ATOMIC_SEQ_CST);
		if (request->msgh_id == ID_HOLD)
			hold();
	}
	msg_reply(request, reply, port != NULL ? ANSWER : KERN_INVALID_ARGUMENT);
	if (port != NULL)
		ports_port_deref(port);
	return TRUE;
}

/* --- the pool --- */

static struct thread *pool;
static kern_return_t pool_code;

static void pool_main(void *unused)
{
	static const struct ports_manage_options options = {
		.max_size = 1024, .max_workers = MAX_WORKERS, .idle_ms = IDLE_MS,
	};

	(void)unused;
	pool_code = ports_manage_port_operations_multithread(&bucket, serve_thing, &options);
}

static uint32_t newest;		/* handle of the thing made last */

/* A thing whose only reference is that of its senders. */
static mach_port_t thing_new(void)
{
	struct port_info *port;
	mach_port_t right;

	need(ports_create_port(&thing_class, &bucket, &port), "a port");
	need(ports_get_send_right(port, &right), "a send right");
	need(mach_port_set_qlimit(mach_task_self(), right, CLIENTS - MAX_WORKERS), "room in its queue");
	newest = port->handle;
	ports_port_deref(port);
	return right;
}

static void sender_gone(mach_port_t port)
{
	need(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_SEND, -1), "a send right's end");
}

/* --- clients: threads of this task --- */

struct client {
	struct thread *thread;
	mach_port_t port;
	mach_msg_id_t id;
	unsigned rounds, good;
	mach_msg_id_t last;	/* id of the last answer */
};

static struct client clients[CLIENTS];

static mach_msg_return_t call(mach_port_t port, mach_msg_id_t id, mig_reply_header_t *answer)
{
	mach_port_t reply = mig_get_reply_port();

	answer->Head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
		.msgh_remote_slot = port,
		.msgh_local_slot = reply,
		.msgh_id = id,
	};
	return mach_msg(&answer->Head, MACH_SEND_MSG | MACH_RCV_MSG, sizeof answer->Head, sizeof *answer + 8,
			reply, 0, MACH_PORT_NULL);
}

static void client_main(void *argument)
{
	struct client *client = argument;
	struct {
		mig_reply_header_t head;
		uint64_t room;
	} answer;

	for (unsigned i = 0; i < client->rounds; i++) {
		if (call(client->port, client->id, &answer.head) != MACH_MSG_SUCCESS)
			continue;
		client->last = answer.head.Head.msgh_id;
		client->good += client->last == client->id + 100 && answer.head.RetCode == ANSWER;
	}
}

static void clients_start(mach_port_t port, mach_msg_id_t id, unsigned rounds)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .port = port, .id = id, .rounds = rounds };
		need(thread_spawn(client_main, &clients[i], 0, &clients[i].thread), "a client");
	}
}

/* How many of their calls went well. */
static unsigned clients_end(void)
{
	unsigned good = 0;

	for (unsigned i = 0; i < CLIENTS; i++) {
		thread_join(clients[i].thread);
		good += clients[i].good;
	}
	return good;
}

static void gate_close(void)
{
	__atomic_store_n(&gate, 0, __ATOMIC_SEQ_CST);
	most_inside = 0;
}

/* All clients wait: the maximum of them in the handler, the rest queued. */
static void clients_held(mach_port_t port)
{
	gate_close();
	clients_start(port, ID_HOLD, 1);
	ok(word_becomes(&inside, MAX_WORKERS, PATIENCE_MS), "%u requests are worked on at once", MAX_WORKERS);
	for (unsigned i = 0; i < CLIENTS; i++) {
		if (!thread_await_waiting(clients[i].thread->port, PATIENCE_MS))
			give_up("a client comes to wait");
	}
}

/* --- the claims --- */

/* Since the beginning; all but one thread have left. */
static void counters_agree(void)
{
	struct ports_counters counters;

	ports_get_counters(&bucket, &counters);
	is(counters.threads, 1, "its counters tell one thread");
	is(counters.most_threads, MAX_WORKERS, "that there were as many as allowed");
	is(counters.refused, 0, "that none was refused by a ledger");
	ok(counters.requests >= CLIENTS * (ROUNDS + 1), "and each request");
}

static void many_clients(mach_port_t port)
{
	clients_held(port);
	is(port_status(port).mps_msgcount, CLIENTS - MAX_WORKERS, "the others wait in the queue");
	is(bucket.workers, MAX_WORKERS, "and there are no more threads than allowed");
	word_post(&gate, 1);
	is(clients_end(), CLIENTS, "each of %u clients is answered", CLIENTS);
	is(most_inside, MAX_WORKERS, "never by more than %u threads", MAX_WORKERS);
	clients_start(port, ID_QUICK, ROUNDS);
	is(clients_end(), CLIENTS * ROUNDS, "%u clients are answered %u times each", CLIENTS, ROUNDS);
	is_between(bucket.workers, 1, MAX_WORKERS, "by no more threads either");
	ok(word_becomes(&bucket.workers, 1, PATIENCE_MS), "surplus workers leave when there is a pause");
	is(bucket.idle, 1, "the one that stays waits for work");
	counters_agree();
	clients_held(port);
	word_post(&gate, 1);
	is(clients_end(), CLIENTS, "after the pause the pool grows again and answers all");
}

static void no_senders(void)
{
	static mach_port_t ports[MANY_PORTS];
	struct snapshot before;
	struct msg m;

	/* Surplus workers have names, and leave in a while. */
	ok(word_becomes(&bucket.workers, 1, PATIENCE_MS), "the pool is quiet");
	snapshot_take_quiet(&before, test_ledger());
	cleaned = 0;
	for (unsigned i = 0; i < MANY_PORTS; i++)
		ports[i] = thing_new();
	is(thing_class.count, MANY_PORTS + 1, "%u ports live by their senders alone", MANY_PORTS);
	msg_begin(&m, COPY_SEND, ports[0], 0, 0, MACH_NOTIFY_NO_SENDERS);
	need(msg_send(&m, 0, 0), "a forged notification");
	clients_start(ports[0], ID_QUICK, 1);
	is(clients_end(), CLIENTS, "a port outlives a forged no-senders notification");
	is(cleaned, 0, "nothing was cleaned");
	for (unsigned i = 0; i < MANY_PORTS; i++)
		sender_gone(ports[i]);
	ok(word_becomes(&cleaned, MANY_PORTS, PATIENCE_MS), "each port is cleaned when its last sender has gone");
	for (unsigned i = 0; i < PATIENCE_MS && names_here() != before.names; i++)
		thread_sleep(1);
	is(names_here(), before.names, "and its receive right goes");
	is(thing_class.count, 1, "the others live on");
}

static void senders_go_under_requests(void)
{
	mach_port_t port = thing_new();

	cleaned = 0;
	clients_held(port);
	sender_gone(port);
	is(cleaned, 0, "a port whose senders have all gone stays while requests are under way");
	word_post(&gate, 1);
	is(clients_end(), CLIENTS, "they are all answered");
	ok(word_becomes(&cleaned, 1, PATIENCE_MS), "then it goes, once");
}

static void too_large_to_hold(mach_port_t port)
{
	vm_size_t limit, limit_max;
	unsigned names, before = requests;
	struct msg m;
	vm_address_t region = 0;
	mach_port_t reply = port_new();

	need(vm_allocate(mach_task_self(), &region, REGION, TRUE), "a region");
	need(vm_get_size_limit(mach_task_self(), &limit, &limit_max), "the size limit");
	names = names_here();
	/* What is there is more than this already, so nothing can come in. */
	need(vm_set_size_limit(test_host_priv(), mach_task_self(), REGION, limit_max), "a size limit");
	for (unsigned i = 0; i < 10; i++) {
		msg_begin(&m, COPY_SEND, port, MAKE_ONCE, reply, ID_QUICK);
		msg_add_region(&m, (void *)region, REGION, false);
		need(msg_send(&m, 0, 0), "a request with a region");
		is_code(msg_receive(&m, reply, MACH_RCV_TIMEOUT, PATIENCE_MS), MACH_MSG_SUCCESS,
			"a client hears of its request that the server cannot hold");
		is(m.head.msgh_id, MACH_NOTIFY_SEND_ONCE, "that nobody will answer it");
	}
	need(vm_set_size_limit(test_host_priv(), mach_task_self(), limit, limit_max), "the old limit");
	is(requests, before, "the server's routine does not see these");
	/* Workers may come and go meanwhile, with a name or two; ten requests would leave ten. */
	ok(names_here() < names + 5, "no right of theirs stays with the server");
	give_back_memory(region, REGION);
	port_free(reply);
	clients_start(port, ID_QUICK, 1);
	is(clients_end(), CLIENTS, "it serves others as before");
}

static void pool_ends(mach_port_t port)
{
	unsigned told = 0;

	clients_held(port);
	need(mach_port_mod_refs(mach_task_self(), bucket.set, MACH_PORT_RIGHT_PORT_SET, -1), "the set's end");
	word_post(&gate, 1);
	thread_join(pool);
	is_code(pool_code, MACH_RCV_INVALID_NAME, "a pool whose set was destroyed under requests ends");
	ok(word_becomes(&bucket.workers, 0, PATIENCE_MS), "all its threads leave");
	is(port_status(port).mps_msgcount, CLIENTS - MAX_WORKERS, "what was queued is queued");
	need(mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1), "the port's end");
	is(clients_end(), MAX_WORKERS, "those in the handler were answered");
	for (unsigned i = 0; i < CLIENTS; i++)
		told += clients[i].last == MACH_NOTIFY_SEND_ONCE;
	is(told, CLIENTS - MAX_WORKERS, "the others hear that nobody will");
	give_back_right(port);
}

#define MANY_HANDLES	2500u	/* in three pieces of the table */
static struct port_info *many[MANY_HANDLES];

static unsigned found(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MANY_HANDLES; i++) {
		struct port_info *port = ports_lookup(&bucket, many[i]->handle, &thing_class);

		if (port == NULL)
			continue;
		count += port == many[i];
		ports_port_deref(port);
	}
	return count;
}

/* Without send rights: only the table is meant. */
static void handles(void)
{
	uint32_t highest = 0, gone;

	for (unsigned i = 0; i < MANY_HANDLES; i++)
		need(ports_create_port(&thing_class, &bucket, &many[i]), "a port");
	is(found(), MANY_HANDLES, "each of many ports is found by its handle");
	gone = many[3]->handle;
	for (unsigned i = 0; i < MANY_HANDLES; i += 3)
		ports_port_deref(many[i]);
	ok(ports_lookup(&bucket, gone, NULL) == NULL, "a handle whose port is gone finds nothing");
	ok(ports_lookup(&bucket, 0, NULL) == NULL && ports_lookup(&bucket, UINT32_MAX, NULL) == NULL,
	   "nor do handles that there are not");
	for (unsigned i = 0; i < MANY_HANDLES; i += 3)
		need(ports_create_port(&thing_class, &bucket, &many[i]), "a port");
	for (unsigned i = 0; i < MANY_HANDLES; i++)
		highest = many[i]->handle > highest ? many[i]->handle : highest;
	ok(found() == MANY_HANDLES && highest <= MANY_HANDLES, "new ports get the handles that became free");
	for (unsigned i = 0; i < MANY_HANDLES; i++)
		ports_port_deref(many[(i * 7) % MANY_HANDLES]);
	ok(bucket.count == 0 && bucket.pieces[1] == NULL && bucket.pieces[2] == NULL,
	   "the table shrinks with them");
}

int main(int argc, char **argv)
{
	struct port_info *info;
	mach_port_t port;
	uint32_t handle;

	/* malloc keeps a page of each size: not to be taken for a leak. */
	for (size_t size = 16; size < 1000; size *= 2)
		free(malloc(size));
	test_begin(argc, argv, 120);
	need(ports_bucket_init(&bucket), "a bucket");
	need(thread_spawn(pool_main, NULL, 0, &pool), "the pool's thread");
	handles();
	port = thing_new();
	handle = newest;
	many_clients(port);
	no_senders();
	senders_go_under_requests();
	too_large_to_hold(port);
	info = ports_lookup(&bucket, handle, &thing_class);
	ports_port_deref(info);
	pool_ends(port);
	is(info->refs, 1, "only the senders' reference is left");
	ports_port_deref(info);
	is(bucket.count, 0, "no port is left");
	ports_bucket_end(&bucket);
	return done_testing();
}
