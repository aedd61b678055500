/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Kernel memory of one object of each kind: many are made, and the zones and the ledger looked at before
 * and after. What the zones and kernel pages hold more is the object's; what the ledger paid beyond it is
 * credit: kept for what the object may need later.
 *	bench: memory NAME OBJECT CREDIT
 */
#include "bench.h"
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <stdio.h>
#include <weir/ledger.h>
#include <weir_user.h>

#define OBJECTS	4096	/* each of several kinds of radix nodes is full then */

static mach_port_t host_priv, ledger;
static mach_port_t names[OBJECTS];

struct bytes {
	uint64_t held, charged;
};

/* The bytes that objects and kernel pages take, and what the ledger has paid; red zones are left out of both. */
static struct bytes now(void)
{
	struct ledger_usage pages, all;
	weir_zone_info_array_t zones;
	mach_msg_type_number_t count;
	struct bytes bytes;

	need(ledger_get_usage(ledger, LEDGER_KMEM, &all), "ledger_get_usage");
	need(ledger_get_usage(ledger, LEDGER_KPAGES, &pages), "ledger_get_usage");
	need(weir_zone_info(host_priv, &zones, &count), "weir_zone_info");
	bytes.held = pages.used * vm_page_size;
	bytes.charged = all.used;
	for (unsigned i = 0; i < count; i++)
		bytes.held += zones[i].count * zones[i].elem_size;
	need(give_back_memory((vm_address_t)zones, count * sizeof *zones), "vm_deallocate");
	return bytes;
}

/* The list of zones itself takes some memory, the same each time; the first call may take more. */
static struct bytes begin(void)
{
	now();
	return now();
}

/* `less`: bytes that are another object's. */
static struct bytes tell(const char *name, struct bytes before, struct bytes less)
{
	struct bytes after = now(), each = {
		(after.held - before.held + OBJECTS / 2) / OBJECTS - less.held,
		(after.charged - before.charged + OBJECTS / 2) / OBJECTS - less.charged,
	};

	printf("bench: memory %s %" PRIu64 " %" PRIu64 "\n", name, each.held,
	       each.charged > each.held ? each.charged - each.held : 0);
	return each;
}

static void of_crowd(const char *name, enum crowd kind, struct bytes less)
{
	struct bytes before = begin();

	if (!crowd_set(kind, OBJECTS))
		bench_fail(name);
	tell(name, before, less);
	crowd_set(kind, 0);
}

static struct bytes of_name(void)
{
	const struct bytes nothing = { 0 };
	struct bytes before = begin(), each;

	for (unsigned i = 0; i < OBJECTS; i++)
		need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_DEAD_NAME, &names[i]), "a dead name");
	each = tell("name", before, nothing);
	for (unsigned i = 0; i < OBJECTS; i++)
		give_back_right(names[i]);
	return each;
}

void bench_sizes(void)
{
	const struct bytes nothing = { 0 };
	struct bytes name;

	need(program_host_priv(&host_priv), "the host port; `in root`");
	need(task_get_ledger(mach_task_self(), &ledger), "task_get_ledger");
	name = of_name();
	of_crowd("port_with_name", CROWD_PORTS, nothing);
	of_crowd("thread", CROWD_THREADS, name);
	of_crowd("task", CROWD_TASKS, name);
	of_crowd("map_entry", CROWD_ENTRIES, nothing);
	of_crowd("message_64", CROWD_MESSAGES, nothing);
	give_back_right(ledger);
	give_back_right(host_priv);
}
