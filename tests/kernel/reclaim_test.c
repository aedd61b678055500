/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * With the option reclaim=eager a slab goes back the moment it is empty, and all works as ever.
 * RUN: in root reclaim_test
 * BOOT: options=reclaim=eager
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/threads.h>
#include <mach_debug_user.h>
#include <string.h>
#include <weir_user.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PORTS	1000
#define TASKS	50

static host_t host;

/* Slabs of the zone; *spare: how many of them are not needed for elements or guarantees. */
static uint64_t zone_slabs(const char *name, uint64_t *spare)
{
	weir_zone_info_array_t zones = NULL;
	cache_info_array_t caches = NULL;
	mach_msg_type_number_t zone_total = 0, cache_total = 0;
	uint64_t slabs = 0, needed, capacity;

	need(weir_zone_info(test_host_priv(), &zones, &zone_total), "weir_zone_info");
	need(host_slab_info(host, &caches, &cache_total), "host_slab_info");
	for (unsigned i = 0; i < cache_total && i < zone_total; i++) {
		if (strcmp(caches[i].name, name) != 0)
			continue;
		slabs = caches[i].nr_slabs;
		needed = caches[i].nr_objs + zones[i].reserve;
		capacity = caches[i].nr_bufs;
		*spare = 0;
		while (*spare < caches[i].nr_free_slabs && capacity - caches[i].bufs_per_slab >= needed) {
			capacity -= caches[i].bufs_per_slab;
			(*spare)++;
		}
	}
	give_back_memory((vm_address_t)zones, zone_total * sizeof *zones);
	give_back_memory((vm_address_t)caches, cache_total * sizeof *caches);
	return slabs;
}

static void test_ports(void)
{
	static mach_port_t ports[PORTS];
	uint64_t spare = 99, before = zone_slabs("port", &spare), during, after;

	is(spare, 0, "no empty slab of ports lies about at the beginning");
	for (unsigned i = 0; i < PORTS; i++)
		ports[i] = port_new();
	during = zone_slabs("port", &spare);
	ok(during > before + 10, "a thousand ports take many slabs");
	/* Every other one first, so that slabs become empty late and out of order. */
	for (unsigned i = 0; i < PORTS; i += 2)
		port_free(ports[i]);
	for (unsigned i = 1; i < PORTS; i += 2)
		port_free(ports[i]);
	after = zone_slabs("port", &spare);
	is(after, before, "when they go their slabs go at once");
	is(spare, 0, "none is kept");
}

static void child_nothing(void *argument)
{
	(void)argument;
}

static void test_tasks(void)
{
	static task_t tasks[TASKS];
	uint64_t spare = 99, before = zone_slabs("task", &spare);
	struct child child;

	is(spare, 0, "no empty slab of tasks lies about at the beginning");
	for (unsigned i = 0; i < TASKS; i++)
		need(child_empty(&tasks[i], MACH_PORT_NULL), "a task");
	ok(zone_slabs("task", &spare) > before, "many tasks take more slabs");
	for (unsigned i = 0; i < TASKS; i++) {
		task_terminate(tasks[i]);
		give_back_right(tasks[i]);
	}
	/* Dead tasks are taken apart when there is time: look until it is done. */
	for (unsigned i = 0; i < 1000 && zone_slabs("task", &spare) > before; i++)
		thread_sleep(1);
	is(zone_slabs("task", &spare), before, "when they have gone so have their slabs, to the last");
	is(spare, 0, "none is kept");
	need(child_start(&child, child_nothing, NULL, NULL), "a child");
	ok(child_wait(&child, 10000), "tasks live and end as ever");
	child_finish(&child);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 50);
	host = mach_host_self();
	test_ports();
	test_tasks();
	ok(books_agree(), "the books agree");
	give_back_right(host);
	return done_testing();
}
