/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a port, of a class, of a server. */
#include "ports_life.h"
#include <mach.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

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

void test_end(void)
{
	right_destroyed();
	shutdown_under_requests();
	over_and_over();
}
