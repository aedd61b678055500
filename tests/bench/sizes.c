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
	uint64_t held, credit;
};

/* The bytes that objects and kernel pages take, each element without its red zone and its share of what is left of the slab's page.
   A message that waits for its use is credit, unless messages are what is measured. */
static struct bytes now(bool messages)
{
	struct ledger_usage pages;
	weir_zone_info_array_t zones;
	mach_msg_type_number_t count;
	struct bytes bytes = { 0 };

	need(ledger_get_usage(ledger, LEDGER_KPAGES, &pages), "ledger_get_usage");
	need(weir_zone_info(host_priv, &zones, &count), "weir_zone_info");
	bytes.held = pages.used * vm_page_size;
	for (unsigned i = 0; i < count; i++)
		*(messages || zones[i].resource != LEDGER_MESSAGES ? &bytes.held : &bytes.credit) +=
			zones[i].count * zones[i].elem_size;
	need(give_back_memory((vm_address_t)zones, count * sizeof *zones), "vm_deallocate");
	return bytes;
}

/* `less`: bytes that are another object's. */
static struct bytes tell(const char *name, struct bytes before, struct bytes after, struct bytes less)
{
	struct bytes each = {
		(after.held - before.held + OBJECTS / 2) / OBJECTS - less.held,
		(after.credit - before.credit + OBJECTS / 2) / OBJECTS - less.credit,
	};

	printf("bench: memory %s %" PRIu64 " %" PRIu64 "\n", name, each.held, each.credit);
	return each;
}

static struct bytes of_crowd(const char *name, enum crowd kind, struct bytes less)
{
	bool messages = kind == CROWD_MESSAGES;
	struct bytes before = now(messages), each;

	if (!crowd_set(kind, OBJECTS))
		bench_fail(name);
	each = tell(name, before, now(messages), less);
	crowd_set(kind, 0);
	return each;
}

static struct bytes of_name(void)
{
	const struct bytes nothing = { 0 };
	struct bytes before = now(false), each;

	for (unsigned i = 0; i < OBJECTS; i++)
		need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_DEAD_NAME, &names[i]), "a dead name");
	each = tell("name", before, now(false), nothing);
	for (unsigned i = 0; i < OBJECTS; i++)
		give_back_right(names[i]);
	return each;
}

void bench_sizes(void)
{
	const struct bytes nothing = { 0 };
	struct bytes name, port;
	weir_memory_info_t memory;

	need(program_host_priv(&host_priv), "the host port; `in root`");
	need(task_get_ledger(mach_task_self(), &ledger), "task_get_ledger");
	need(weir_memory_info(host_priv, &memory), "weir_memory_info");
	printf("bench: boot %" PRIu64 "\n", memory.boot_ticks);
	/* The library's own memory and the reply port are there from now on. */
	now(false);
	name = of_name();
	port = of_crowd("port_with_name", CROWD_PORTS, nothing);
	of_crowd("thread", CROWD_THREADS, name);
	of_crowd("task", CROWD_TASKS, name);
	of_crowd("map_entry", CROWD_ENTRIES, nothing);
	/* Sixteen share a port. */
	of_crowd("message_64", CROWD_MESSAGES, (struct bytes){ port.held / 16, port.credit / 16 });
	give_back_right(ledger);
	give_back_right(host_priv);
}
