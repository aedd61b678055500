/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Zones as their interfaces show them; a zone at its maximum denies by name and all goes on;
 * fail-nth; the list of tasks is of any length.
 * RUN: in root zone_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach_debug_user.h>
#include <mach/threads.h>
#include <string.h>
#include <weir_user.h>
#include "child.h"
#include "denial.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define ROOM		10	/* ports that may be made below the maximum */
#define MANY_TASKS	700	/* more than a page of descriptions, and than the old bound of 512 */

static bool zone_find(const char *name, struct weir_zone_info *found)
{
	weir_zone_info_array_t zones = NULL;
	mach_msg_type_number_t count = 0;
	bool is_there = false;

	need(weir_zone_info(test_host_priv(), &zones, &count), "weir_zone_info");
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(zones[i].name, name) != 0)
			continue;
		*found = zones[i];
		is_there = true;
	}
	give_back_memory((vm_address_t)zones, count * sizeof *zones);
	return is_there;
}

static void test_info(void)
{
	struct weir_zone_info before = { 0 }, after = { 0 };
	mach_port_t ports[50];

	ok(zone_find("port", &before), "there is a zone of ports");
	for (unsigned i = 0; i < countof(ports); i++)
		ports[i] = port_new();
	ok(zone_find("port", &after), "the zone of ports is found again");
	is(after.count, before.count + countof(ports), "it counts those that are made");
	is(after.allocs - after.frees, after.count, "what was allocated and not freed is there");
	ok(after.peak >= after.count, "the peak is at least what there is");
	is(after.resource, LEDGER_PORTS, "it names the resource");
	for (unsigned i = 0; i < countof(ports); i++)
		port_free(ports[i]);
	ok(zone_find("port", &after), "the zone of ports is found again");
	is(after.count, before.count, "and those that go");
	is_code(weir_zone_set_max(test_host_priv(), "no such zone", 1), KERN_INVALID_ARGUMENT,
		"a zone that is not there has no maximum");
}

static void test_slab_info(void)
{
	mach_port_t host = mach_host_self();
	cache_info_array_t caches = NULL;
	mach_msg_type_number_t count = 0;
	struct weir_zone_info zone = { 0 };
	bool known = true, sizes = true, sums = true;

	is_code(host_slab_info(host, &caches, &count), KERN_SUCCESS, "host_slab_info works");
	ok(count >= 8, "it tells of all zones");
	for (unsigned i = 0; i < count; i++) {
		const cache_info_t *cache = &caches[i];

		known = known && zone_find(cache->name, &zone);
		sizes = sizes && cache->obj_size == zone.elem_size && cache->buf_size >= cache->obj_size &&
			cache->slab_size == 4096 && cache->bufs_per_slab * cache->buf_size <= cache->slab_size;
		sums = sums && cache->nr_bufs == cache->nr_slabs * cache->bufs_per_slab &&
		       cache->nr_objs <= cache->nr_bufs && cache->nr_free_slabs <= cache->nr_slabs;
	}
	ok(known, "they have the zones' names");
	ok(sizes, "and sizes, and the elements of a slab fit it");
	ok(sums, "and their figures fit each other");
	if (count > 0)
		give_back_memory((vm_address_t)caches, count * sizeof *caches);
	is_code(weir_zone_set_max(host, "port", 1), KERN_INVALID_HOST, "a maximum is for the privileged");
	give_back_right(host);
}

/* --- the maximum --- */

static uint64_t set_max_above(uint64_t room)
{
	uint64_t max = used_now(test_ledger(), LEDGER_PORTS) + room;

	need(weir_zone_set_max(test_host_priv(), "port", max), "weir_zone_set_max");
	return max;
}

static void no_max(void)
{
	need(weir_zone_set_max(test_host_priv(), "port", LEDGER_UNLIMITED), "no maximum");
}

static void test_max(void)
{
	struct ledger_denial denial = { 0 };
	mach_port_name_t ports[ROOM + 1];
	kern_return_t code = KERN_SUCCESS;
	struct weir_zone_info zone = { 0 };
	struct snapshot before;
	unsigned made = 0;
	uint64_t max = set_max_above(ROOM);

	while (made <= ROOM && code == KERN_SUCCESS) {
		code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &ports[made]);
		made += code == KERN_SUCCESS;
	}
	is(made, ROOM, "a zone gives as many elements as its maximum leaves");
	is_code(code, KERN_RESOURCE_SHORTAGE, "the next one is denied");
	is_code(ledger_last_denial(test_thread(), &denial), KERN_SUCCESS, "the denial can be read");
	is(denial.resource, LEDGER_PORTS, "it names the resource");
	is_text(denial.ledger, "root", "the root ledger");
	is(denial.used, max, "what was used");
	is(denial.limit, max, "and the maximum");
	ok(zone_find("port", &zone) && zone.max == max, "the zone tells its maximum");
	ok(zone.failures > 0, "and counts failures");
	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < 1000; i++) {
		if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &ports[ROOM]) == KERN_SUCCESS)
			break;
	}
	snapshot_same(&before, SNAPSHOT_ALL, "a thousand denials change nothing");
	port_free(ports[--made]);
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &ports[made]), KERN_SUCCESS,
		"when one goes another can be made");
	set_max_above((uint64_t)-5);
	port_free(ports[made]);
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &ports[made]),
		KERN_RESOURCE_SHORTAGE, "below what is used a maximum denies what is new");
	no_max();
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &ports[made++]), KERN_SUCCESS,
		"without a maximum all goes on");
	while (made > 0)
		port_free(ports[--made]);
}

static void test_guaranteed_at_max(void)
{
	struct ledger_denial denial = { 0 };
	mach_port_name_t port;
	kern_return_t code = KERN_SUCCESS;
	unsigned made = 0;
	ledger_t ledger;
	task_t task;

	ledger = ledger_new(test_ledger(), "insured");
	need(child_empty(&task, ledger), "a task in it");
	need(ledger_set_guarantee(ledger, LEDGER_PORTS, used_now(ledger, LEDGER_PORTS) + ROOM), "a guarantee");
	set_max_above(0);
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), KERN_RESOURCE_SHORTAGE,
		"with the zone at its maximum others are denied");
	while (made < 2 * ROOM && code == KERN_SUCCESS) {
		code = mach_port_allocate(task, MACH_PORT_RIGHT_RECEIVE, &port);
		made += code == KERN_SUCCESS;
	}
	is(made, ROOM, "but what was guaranteed before is there");
	is_code(code, KERN_RESOURCE_SHORTAGE, "and no more");
	need(ledger_last_denial(test_thread(), &denial), "the denial");
	is_text(denial.ledger, "root", "of which the root's ledger is the cause");
	no_max();
	task_terminate(task);
	give_back_right(task);
	ledger_terminate(ledger);
	give_back_right(ledger);
}

/* --- fail-nth --- */

static void test_fail_nth(void)
{
	mach_port_t host = mach_host_self();
	mach_port_name_t port;
	weir_site_t site = "";
	int fired = -1;

	deny_next(1);
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), KERN_RESOURCE_SHORTAGE,
		"the first allocation of the next call is denied");
	is_code(weir_debug_fail_nth(test_host_priv(), test_thread(), 0, &fired, site), KERN_SUCCESS,
		"one can ask whether it was");
	is((uint64_t)fired, 1, "it was");
	ok(strncmp(site, "kernel/", 7) == 0 && strchr(site, ':') != NULL, "and where: a file and a line");
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), KERN_SUCCESS,
		"the call after that is not touched");
	port_free(port);
	deny_next(1000);
	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	ok(!deny_struck(NULL), "an allocation that the call does not come to is not denied");
	port_free(port);
	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	port_free(port);
	ok(!deny_struck(NULL), "nor is one of a later call");
	is_code(weir_debug_fail_nth(test_host_priv(), test_thread(), -1, &fired, site), KERN_INVALID_ARGUMENT,
		"there is no allocation before the first");
	is_code(weir_debug_fail_nth(test_host_priv(), host, 1, &fired, site), KERN_INVALID_ARGUMENT,
		"what is no thread is denied nothing");
	is_code(weir_debug_fail_nth(host, test_thread(), 1, &fired, site), KERN_INVALID_HOST,
		"and only the privileged may ask for it");
	give_back_right(host);
}

/* --- lists --- */

static task_t tasks[MANY_TASKS];

static void test_task_list(void)
{
	weir_task_info_array_t list = NULL;
	mach_msg_type_number_t before = 0, count = 0;
	bool ordered = true, whole = true;

	need(weir_task_list(test_host_priv(), &list, &before), "weir_task_list");
	give_back_memory((vm_address_t)list, before * sizeof *list);
	for (unsigned i = 0; i < MANY_TASKS; i++)
		need(child_empty(&tasks[i], MACH_PORT_NULL), "a task");
	is_code(weir_task_list(test_host_priv(), &list, &count), KERN_SUCCESS, "many tasks can be listed");
	is(count, before + MANY_TASKS, "all of them");
	for (unsigned i = 0; i < count; i++) {
		ordered = ordered && (i == 0 || list[i].id < list[i - 1].id);
		whole = whole && list[i].id != 0 && list[i].kmem_bytes != 0 && list[i].ledger_id != 0 &&
			memchr(list[i].name, 0, sizeof list[i].name) != NULL;
	}
	ok(ordered, "each once, the newest first");
	ok(whole, "each with its facts");
	give_back_memory((vm_address_t)list, count * sizeof *list);
	for (unsigned i = 0; i < MANY_TASKS; i++) {
		task_terminate(tasks[i]);
		give_back_right(tasks[i]);
	}
}

/* What the list says of this task. */
static struct weir_task_info own_info(void)
{
	struct weir_task_info own = { .id = 0 };
	weir_task_info_array_t list = NULL;
	mach_msg_type_number_t count = 0;

	need(weir_task_list(test_host_priv(), &list, &count), "weir_task_list");
	for (unsigned i = 0; i < count; i++)
		if (strcmp(list[i].name, "zone_test") == 0)
			own = list[i];
	give_back_memory((vm_address_t)list, count * sizeof *list);
	return own;
}

static void test_own_facts(void)
{
	mach_msg_header_t head = { .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) };
	vm_address_t far = 1ul << 45;
	mach_port_t port;
	uint64_t bytes;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	head.msgh_remote_slot = head.msgh_local_slot = port;
	need(mach_msg(&head, MACH_SEND_MSG | MACH_RCV_MSG, sizeof head, sizeof head, port, 0, MACH_PORT_NULL), "a message to itself");
	is(own_info().names, names_here(), "a task's names are counted, that of a reply right too");
	give_back_right(head.msgh_remote_port);
	mach_port_destroy(mach_task_self(), port);
	is(own_info().names, names_here(), "and when it is gone");
	bytes = own_info().kmem_bytes;
	need(vm_allocate(mach_task_self(), &far, 4096, FALSE), "a page far from all others");
	*(volatile char *)far = 1;
	ok(own_info().kmem_bytes > bytes, "its tables are the task's");
	need(vm_deallocate(mach_task_self(), far, 4096), "which goes");
	is(own_info().kmem_bytes, bytes, "and they with it");
}

/* --- debug controls that leave the machine whole --- */

static void test_debug(void)
{
	mach_port_t host = mach_host_self();

	is_code(weir_debug(test_host_priv(), 0, 0), KERN_INVALID_ARGUMENT, "0 is no debug control");
	is_code(weir_debug(test_host_priv(), 99, 0), KERN_INVALID_ARGUMENT, "nor is 99");
	is_code(weir_debug(test_host_priv(), WEIR_DEBUG_ZONE, 1000), KERN_SUCCESS,
		"an element can be taken and given back a thousand times");
	is_code(weir_debug(test_host_priv(), WEIR_DEBUG_ZONE, 1001), KERN_INVALID_ARGUMENT, "but not more often");
	is_code(weir_debug(host, WEIR_DEBUG_PANIC, 0), KERN_INVALID_HOST, "only the privileged may break the machine");
	is_code(weir_debug(test_host_priv(), WEIR_DEBUG_KERNEL_FAULT, 0xffff800000001000), KERN_SUCCESS,
		"reading an address that is there breaks nothing");
	give_back_right(host);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 50);
	test_info();
	test_slab_info();
	test_max();
	test_guaranteed_at_max();
	test_fail_nth();
	test_task_list();
	test_own_facts();
	test_debug();
	return done_testing();
}
