/* SPDX-License-Identifier: BSD-2-Clause */
/* The server of ports_life_test, and its clients. */
#include "ports_life.h"
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "tap.h"

struct port_bucket bucket;
struct thread *manager;
uint32_t gate, inside, handled, alone, intruders, marked;
uint32_t cleaned, dropped, deaths;
mach_port_t dead;
struct ports_parked_queue parked;
struct client clients[CLIENTS];
static struct mutex park_lock = MUTEX_INIT;

void thing_clean(struct port_info *port)
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

struct port_class thing_class = {
	.name = "thing", .size = sizeof(struct thing), .clean = thing_clean, .dropweak = thing_drop, .dead_name = thing_dead,
};

void see_nobody(struct thing *thing, bool all, uint32_t own)
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
	case ID_MARK:
		marked = handled;
		return ANSWER;
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

void manage(void *argument)
{
	struct ports_manage_options options = { .max_size = 256, .max_workers = WORKERS, .stuck_ms = 600000 };

	if (argument == NULL)
		ports_manage_port_operations_multithread(&bucket, serve, &options);
	else
		ports_manage_port_operations_one_thread(&bucket, serve, options.max_size);
}

void server_start(bool one_thread)
{
	gate = inside = handled = cleaned = dropped = deaths = alone = intruders = 0;
	need(ports_bucket_init(&bucket), "a bucket");
	need(thread_spawn(manage, one_thread ? &gate : NULL, 0, &manager), "the pool's thread");
}

void server_end(void)
{
	ports_bucket_stop(&bucket);
	thread_join(manager);
	ports_destroy_all(&bucket, NULL);
	is(bucket.count, 0, "no port is left");
	ports_bucket_end(&bucket);
}

struct thing *thing_new(void)
{
	struct port_info *port;
	mach_port_t right;

	need(ports_create_port(&thing_class, &bucket, &port), "a port");
	need(ports_get_send_right(port, &right), "a send right");
	need(mach_port_set_qlimit(mach_task_self(), right, CLIENTS), "room in its queue");
	return (struct thing *)port;
}

void thing_end(struct thing *thing)
{
	mach_port_t right = thing->port.receive;

	ports_destroy_right(&thing->port);
	ports_port_deref(&thing->port);
	give_back_right(right);
}

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

void clients_start(const mach_port_t *ports, unsigned count, mach_msg_id_t id, unsigned rounds)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		clients[i] = (struct client){ .port = ports[i % count], .id = id, .rounds = rounds };
		need(thread_spawn(client_main, &clients[i], 0, &clients[i].thread), "a client");
	}
}

struct client clients_end(void)
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
