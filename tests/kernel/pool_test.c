/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/ports: throttled pools of threads. Few threads while nobody waits; pools whose handlers wait for
 * the same pool, in circles, in other threads, at any size, never stuck for good; a plain bound is; a
 * handler that computes for ever; requests that are parked, and that are refused when they waited too long.
 * RUN: in root pool_test
 */
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <ports.h>
#include <stdlib.h>
#include <string.h>
#include <throttle_user.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define POOLS		3
#define MOST_CLIENTS	24
#define PATIENCE_MS	20000
#define STUCK_MS	20
#define ANSWER		42
#define MANY_PARKED	1000

enum {
	ID_QUICK = 7000,
	ID_HOLD,			/* answered when the gate is open */
	ID_SELF,			/* calls ID_QUICK of the same server */
	ID_ROUND,			/* calls the next server, the last one ID_QUICK of the first */
	ID_LOCKED,			/* the same, and holds a lock meanwhile that all these take */
	ID_HANDED,			/* has another thread call ID_QUICK of the same server */
	ID_SPIN,			/* computes until the gate is open */
	ID_PARK,			/* answered when ID_UNPARK comes */
	ID_UNPARK,
};

struct server {
	struct port_bucket bucket;
	struct ports_manage_options options;
	struct thread *thread;
	mach_port_t port;		/* a send right */
	kern_return_t end;
};

static struct server servers[POOLS];
static uint32_t server_count;
static struct port_class class = { .name = "thing", .size = sizeof(struct port_info) };
static uint32_t gate, inside;
static struct mutex park_lock = MUTEX_INIT;
static struct ports_parked_queue park;

/* -- handlers -- */

struct handed {
	mach_port_t port;
	kern_return_t answer;
};

static void handed_main(void *argument)
{
	struct handed *handed = argument;

	handed->answer = msg_call_answer(handed->port, ID_QUICK);
}

static kern_return_t hand_over(mach_port_t port)
{
	struct handed handed = { .port = port };
	struct thread *thread;
	kern_return_t code = thread_spawn(handed_main, &handed, 0, &thread);

	if (code != KERN_SUCCESS)
		return code;
	thread_join(thread);
	return handed.answer;
}

static kern_return_t call_locked(mach_port_t port)
{
	static struct mutex lock = MUTEX_INIT;
	kern_return_t answer;

	mutex_lock(&lock);
	answer = msg_call_answer(port, ID_QUICK);
	mutex_unlock(&lock);
	return answer;
}

static void spin(void)
{
	while (__atomic_load_n(&gate, __ATOMIC_SEQ_CST) == 0)
		__builtin_ia32_pause();
}

/* The first time it parks, the second time, when it is open, it answers. */
static kern_return_t park_or_answer(void)
{
	kern_return_t code = ANSWER;

	mutex_lock(&park_lock);
	if (gate == 0)
		code = ports_park(&park);
	mutex_unlock(&park_lock);
	return code;
}

static kern_return_t unpark_all(void)
{
	struct ports_parked *parked;

	for (;;) {
		mutex_lock(&park_lock);
		gate = 1;
		parked = ports_unpark(&park);
		mutex_unlock(&park_lock);
		if (parked == NULL)
			return ANSWER;
		ports_resume(parked);
	}
}

static kern_return_t handle(struct server *server, mach_msg_id_t id)
{
	struct server *next = server + 1 < servers + server_count ? server + 1 : servers;

	switch (id) {
	case ID_QUICK:
		return ANSWER;
	case ID_HOLD:
		__atomic_add_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		word_await(&gate, 1, PATIENCE_MS);
		__atomic_sub_fetch(&inside, 1, __ATOMIC_SEQ_CST);
		return ANSWER;
	case ID_SELF:
		return msg_call_answer(server->port, ID_QUICK);
	case ID_LOCKED:
		return call_locked(server->port);
	case ID_ROUND:
		return msg_call_answer(next->port, next == servers ? ID_QUICK : ID_ROUND);
	case ID_HANDED:
		return hand_over(server->port);
	case ID_SPIN:
		spin();
		return ANSWER;
	case ID_PARK:
		return park_or_answer();
	case ID_UNPARK:
		return unpark_all();
	default:
		return MIG_BAD_ID;
	}
}

static boolean_t serve(struct server *server, mach_msg_header_t *request, mach_msg_header_t *reply)
{

	msg_reply(request, reply, handle(server, request->msgh_id));
	return TRUE;
}

static boolean_t serve_0(mach_msg_header_t *in, mach_msg_header_t *out) { return serve(&servers[0], in, out); }
static boolean_t serve_1(mach_msg_header_t *in, mach_msg_header_t *out) { return serve(&servers[1], in, out); }
static boolean_t serve_2(mach_msg_header_t *in, mach_msg_header_t *out) { return serve(&servers[2], in, out); }

/* -- servers -- */

static void server_main(void *argument)
{
	static const mach_msg_demux_t demuxers[POOLS] = { serve_0, serve_1, serve_2 };
	struct server *server = argument;

	server->end = ports_manage_port_operations_multithread(&server->bucket, demuxers[server - servers],
							       &server->options);
}

static void servers_start(unsigned count, const struct ports_manage_options *options)
{
	gate = inside = 0;
	server_count = count;
	for (unsigned i = 0; i < count; i++) {
		struct server *server = &servers[i];
		struct port_info *port;

		server->options = *options;
		server->options.max_size = 256;
		need(ports_bucket_init(&server->bucket), "a bucket");
		need(ports_create_port(&class, &server->bucket, &port), "a port");
		need(ports_get_send_right(port, &server->port), "a send right");
		ports_port_deref(port);
		need(thread_spawn(server_main, server, 0, &server->thread), "a manager");
	}
}

static void servers_end(void)
{
	word_post(&gate, 1);
	for (unsigned i = 0; i < server_count; i++) {
		struct server *server = &servers[i];
		struct port_info *port = ports_lookup(&server->bucket, 1, &class);

		ports_bucket_stop(&server->bucket);
		thread_join(server->thread);
		need(mach_port_mod_refs(mach_task_self(), server->port, MACH_PORT_RIGHT_SEND, -1), "a right's end");
		ports_port_deref(port);		/* ours */
		ports_port_deref(port);		/* the senders' */
		ports_bucket_end(&server->bucket);
	}
}

static struct ports_counters counters(struct server *server)
{
	struct ports_counters now;

	ports_get_counters(&server->bucket, &now);
	return now;
}

/* -- clients -- */

struct client {
	struct thread *thread;
	mach_msg_id_t id;
	unsigned rounds, good, failed, lost, busy;
};

static struct client clients[MOST_CLIENTS];
static unsigned client_count;

static void client_main(void *argument)
{
	struct client *client = argument;

	for (unsigned i = 0; i < client->rounds; i++) {
		kern_return_t answer = KERN_FAILURE;

		if (msg_call(servers[0].port, client->id, &answer) != MACH_MSG_SUCCESS || answer == MIG_SERVER_DIED)
			client->lost++;
		else if (answer == ANSWER)
			client->good++;
		else if (answer == PORTS_BUSY)
			client->busy++;
		else
			client->failed++;
	}
}

static void clients_start(unsigned count, mach_msg_id_t id, unsigned rounds)
{
	client_count = count;
	for (unsigned i = 0; i < count; i++) {
		clients[i] = (struct client){ .id = id, .rounds = rounds };
		need(thread_spawn(client_main, &clients[i], 0, &clients[i].thread), "a client");
	}
}

static bool clients_running(void)
{
	for (unsigned i = 0; i < client_count; i++)
		if (__atomic_load_n(&clients[i].thread->state, __ATOMIC_SEQ_CST) == THREAD_RUNS)
			return true;
	return false;
}

/* False: some still wait. */
static bool clients_done(unsigned milliseconds)
{
	uint64_t end = clock_uptime_ns() + milliseconds * 1000000ull;

	while (clients_running()) {
		if (clock_uptime_ns() > end)
			return false;
		thread_sleep(2);
	}
	return true;
}

static struct client clients_end(void)
{
	struct client sum = { .rounds = 0 };

	for (unsigned i = 0; i < client_count; i++) {
		thread_join(clients[i].thread);
		sum.rounds += clients[i].rounds;
		sum.good += clients[i].good;
		sum.failed += clients[i].failed;
		sum.lost += clients[i].lost;
		sum.busy += clients[i].busy;
	}
	return sum;
}

/* -- the claims -- */

static void few_threads(void)
{
	struct ports_counters now;

	servers_start(1, &(struct ports_manage_options){ .max_workers = 16 });
	clients_start(MOST_CLIENTS, ID_QUICK, 200);
	is(clients_end().good, MOST_CLIENTS * 200, "%u clients are answered 200 times each", MOST_CLIENTS);
	now = counters(&servers[0]);
	is_between(now.most_threads, 1, 2, "by one thread, or two: handlers that do not wait need no more");
	is_between(now.requests, MOST_CLIENTS * 200, MOST_CLIENTS * 200 + 10, "each request is counted");
	is(now.refused + now.spares + now.aborts + now.busy, 0, "nothing was refused");
	ok(now.taken >= now.requests && now.waited_ns > 0, "and the time that they waited is known");
	servers_end();
	is_code(servers[0].end, MACH_RCV_INVALID_NAME, "a pool that is stopped tells its manager so");
}

static void waiting_handlers(void)
{
	servers_start(1, &(struct ports_manage_options){ .max_workers = 5, .idle_ms = 50, .min_workers = 2,
						    .stuck_ms = 600000 });
	clients_start(12, ID_HOLD, 1);
	ok(word_becomes(&inside, 5, PATIENCE_MS), "handlers that wait have as many threads as are allowed");
	thread_sleep(50);
	is(inside, 5, "and no more");
	word_post(&gate, 1);
	is(clients_end().good, 12, "each client is answered");
	is(counters(&servers[0]).most_threads, 5, "by no more threads");
	ok(word_becomes(&servers[0].bucket.workers, 2, PATIENCE_MS), "in a pause those leave that are more than the minimum");
	servers_end();
}

static _Noreturn void stuck_for_good(unsigned pools)
{
	for (unsigned i = 0; i < pools; i++) {
		struct ports_counters now = counters(&servers[i]);
		throttle_status_t status;

		need(port_set_throttle_status(mach_task_self(), servers[i].bucket.set, &status), "the status");
		diag("%u: %u threads, %u requests, %u stalls, %u spares, %u aborts, %u refused", i, now.threads,
		     (unsigned)now.requests, (unsigned)now.stalls, (unsigned)now.spares, (unsigned)now.aborts,
		     (unsigned)now.refused);
		diag("running %u, listening %u, waiting %u, oldest %u ms, workers %u, idle %u", (unsigned)status.running,
		     (unsigned)status.listening, (unsigned)status.waiting, (unsigned)(status.oldest_ns / 1000000),
		     servers[i].bucket.workers, servers[i].bucket.idle);
	}
	give_up("a pool is not stuck for good");
}

static void circle(const char *what, unsigned pools, mach_msg_id_t id, unsigned workers, unsigned spares, unsigned count)
{
	struct client sum;
	uint64_t aborts = 0;

	servers_start(pools, &(struct ports_manage_options){
		.max_workers = workers, .spares = spares != 0 ? spares : PORTS_NO_SPARES, .stuck_ms = STUCK_MS });
	clients_start(count, id, 2);
	if (!ok(clients_done(PATIENCE_MS), "%s, %u threads, %u spares: none of %u clients waits for ever", what, workers,
		spares, count))
		stuck_for_good(pools);
	sum = clients_end();
	is(sum.good + sum.failed, sum.rounds, "each request is answered, well or not");
	for (unsigned i = 0; i < pools; i++)
		aborts += counters(&servers[i]).aborts;
	diag("%u good, %u failed, %u aborted", sum.good, sum.failed, (unsigned)aborts);
	if (count > workers + spares)
		ok(sum.good + aborts >= sum.rounds, "who failed was aborted");
	if (count == 1 && workers > pools)
		is(sum.good, sum.rounds, "with threads enough none fails");
	servers_end();
}

static void circles(void)
{
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		circle("a server that calls itself", 1, ID_SELF, workers, 0, 8);
		circle("a server that calls itself", 1, ID_SELF, workers, 2, 8);
	}
	circle("a server that calls itself", 1, ID_SELF, 4, 0, 1);
	circle("A calls B calls A", 2, ID_ROUND, 1, 0, 6);
	circle("A calls B calls A", 2, ID_ROUND, 2, 2, 6);
	circle("A calls B calls C calls A", 3, ID_ROUND, 1, 0, 6);
	circle("A calls B calls C calls A", 3, ID_ROUND, 3, 1, 6);
	circle("work handed to another thread", 1, ID_HANDED, 1, 0, 6);
	circle("work handed to another thread", 1, ID_HANDED, 2, 1, 6);
	circle("a lock held during a call", 1, ID_LOCKED, 3, 0, 6);
}

/* What the throttle is for. */
static void plain_bound_locks_up(void)
{
	servers_start(1, &(struct ports_manage_options){
		.throttle = PORTS_THROTTLE_CAP, .max_workers = 4, .idle_ms = 1000 });
	clients_start(8, ID_SELF, 3);
	ok(!clients_done(500), "with a plain bound a server that calls itself locks up");
	is(counters(&servers[0]).most_threads, 4, "with all the threads that it may have");
	thread_sleep(100);
	ok(clients_running(), "and stays so");
	/* Only the end of the port helps: their calls, and then they, hear that nobody will answer. */
	need(mach_port_mod_refs(mach_task_self(), servers[0].port, MACH_PORT_RIGHT_RECEIVE, -1), "the port's end");
	ok(clients_done(PATIENCE_MS), "until its port is destroyed");
	ok(clients_end().lost > 0, "with requests lost");
	ports_bucket_stop(&servers[0].bucket);
	thread_join(servers[0].thread);
	give_back_right(servers[0].port);
	/* The senders' reference, and the one that finding it takes. */
	{
		struct port_info *port = ports_lookup(&servers[0].bucket, 1, &class);

		ports_port_deref(port);
		ports_port_deref(port);
	}
	ports_bucket_end(&servers[0].bucket);
}

static void one_computes(void)
{
	uint64_t start;

	servers_start(1, &(struct ports_manage_options){ .max_workers = 3, .delay_ms = 10 });
	clients_start(1, ID_SPIN, 1);
	thread_sleep(50);
	start = clock_uptime_ns();
	for (unsigned i = 0; i < 50; i++)
		if (msg_call_answer(servers[0].port, ID_QUICK) != ANSWER)
			give_up("a request is answered beside a handler that computes for ever");
	is_between((clock_uptime_ns() - start) / 1000000, 0, 5000, "fifty requests are answered beside a handler that computes");
	is_between(counters(&servers[0]).most_threads, 2, 3, "by another thread");
	__atomic_store_n(&gate, 1, __ATOMIC_SEQ_CST);
	is(clients_end().good, 1, "which answers too in the end");
	servers_end();
}

static void parked(void)
{
	static mach_port_t replies[MANY_PARKED];
	uint64_t before, used;
	unsigned told = 0;
	struct msg m;

	servers_start(1, &(struct ports_manage_options){ .max_workers = 4 });
	is(msg_call_answer(servers[0].port, ID_QUICK), ANSWER, "the server serves");
	before = used_now(test_ledger(), LEDGER_RESIDENT_PAGES);
	for (unsigned i = 0; i < MANY_PARKED; i++) {
		replies[i] = port_new();
		msg_begin(&m, COPY_SEND, servers[0].port, MAKE_ONCE, replies[i], ID_PARK);
		need(msg_send(&m, 0, 0), "a request");
	}
	is(msg_call_answer(servers[0].port, ID_QUICK), ANSWER, "with a thousand requests parked it serves others");
	used = used_now(test_ledger(), LEDGER_RESIDENT_PAGES) - before;
	is(park.count, MANY_PARKED, "they are all parked");
	is_between(counters(&servers[0]).most_threads, 1, 2, "and need no thread");
	is_between(used * 4096 / MANY_PARKED, 1, 300, "nor more than 300 bytes each");
	is(msg_call_answer(servers[0].port, ID_UNPARK), ANSWER, "when their time has come");
	for (unsigned i = 0; i < MANY_PARKED; i++) {
		told += msg_receive(&m, replies[i], MACH_RCV_TIMEOUT, 0) == MACH_MSG_SUCCESS &&
			m.head.msgh_id == ID_PARK + 100 && ((mig_reply_header_t *)&m.head)->RetCode == ANSWER;
		port_free(replies[i]);
	}
	is(told, MANY_PARKED, "they are all answered");
	gate = 0;
	replies[0] = port_new();
	msg_begin(&m, COPY_SEND, servers[0].port, MAKE_ONCE, replies[0], ID_PARK);
	need(msg_send(&m, 0, 0), "a request");
	is(msg_call_answer(servers[0].port, ID_QUICK), ANSWER, "one more is parked");
	mutex_lock(&park_lock);
	ports_refuse(ports_unpark(&park), KERN_ABORTED);
	mutex_unlock(&park_lock);
	is_code(msg_receive(&m, replies[0], MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "and refused: it is answered");
	is_code(((mig_reply_header_t *)&m.head)->RetCode, KERN_ABORTED, "with the code");
	port_free(replies[0]);
	is_code(ports_park(&park), KERN_FAILURE, "a thread that serves nothing cannot park");
	servers_end();
}

static void busy(void)
{
	struct client sum;

	servers_start(1, &(struct ports_manage_options){
		.max_workers = 1, .spares = PORTS_NO_SPARES, .stuck_ms = 600000, .busy_ms = 50 });
	clients_start(6, ID_HOLD, 1);
	ok(word_becomes(&inside, 1, PATIENCE_MS), "one request is worked on");
	for (unsigned i = 0; i < PATIENCE_MS && counters(&servers[0]).busy < 5; i++)
		thread_sleep(1);
	is(counters(&servers[0]).busy, 5, "those behind it are refused when they have waited long enough");
	word_post(&gate, 1);
	sum = clients_end();
	is(sum.busy, 5, "they hear that the server is busy");
	is(sum.good, 1, "the first is answered");
	is(msg_call_answer(servers[0].port, ID_QUICK), ANSWER, "and so are later ones");
	servers_end();
}

int main(int argc, char **argv)
{
	/* malloc keeps a page of each size: not to be taken for a leak. */
	for (size_t size = 16; size < 1000; size *= 2)
		free(malloc(size));
	test_begin(argc, argv, 120);
	few_threads();
	waiting_handlers();
	circles();
	plain_bound_locks_up();
	one_computes();
	parked();
	busy();
	return done_testing();
}
