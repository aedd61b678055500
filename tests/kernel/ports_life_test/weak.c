/* SPDX-License-Identifier: BSD-2-Clause */
/* Weak references, and a cache that uses them. */
#include "ports_life.h"
#include <mach.h>
#include <mach/threads.h>
#include "msg.h"
#include "tap.h"

static struct mutex cache_lock = MUTEX_INIT;
static struct thing *cache[SLOTS];
static uint32_t living[SLOTS], twins, served;

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

struct port_class cached_class = {
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

kern_return_t use_cache(void)
{
	struct thing *thing = cached(__atomic_fetch_add(&served, 1, __ATOMIC_SEQ_CST) % SLOTS);

	if (thing == NULL)
		return KERN_RESOURCE_SHORTAGE;
	if (served % 5 == 0)
		thread_yield();
	ports_port_deref(&thing->port);
	return ANSWER;
}

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

void test_weak(void)
{
	weak();
	weak_under_requests();
}
