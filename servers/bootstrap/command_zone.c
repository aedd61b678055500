/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about kernel objects: the zones, what one of each costs, the names a task holds. */
#include <inttypes.h>
#include <mach.h>
#include <stdio.h>
#include <string.h>
#include <weir_user.h>
#include "bootstrap.h"
#include "command.h"

#define PORTS_SHOWN	32

static bool get_zones(const char *command, weir_zone_info_array_t *zones,
		      mach_msg_type_number_t *count)
{
	kern_return_t code = weir_zone_info(host_priv, zones, count);

	if (code != KERN_SUCCESS)
		command_failed(command, code);
	return code == KERN_SUCCESS;
}

static void give_back_zones(weir_zone_info_array_t zones, mach_msg_type_number_t count)
{
	if (count > 0)
		give_back_memory((vm_address_t)zones, count * sizeof *zones);
}

/* The zones that take most first; insertion, there are a dozen. */
static void sort_by_size(weir_zone_info_array_t zones, unsigned count)
{
	for (unsigned i = 1; i < count; i++) {
		struct weir_zone_info zone = zones[i];
		unsigned at = i;

		for (; at > 0 && zones[at - 1].slabs < zone.slabs; at--)
			zones[at] = zones[at - 1];
		zones[at] = zone;
	}
}

static void print_zones_head(void)
{
	printf("%-20s %6s %8s %8s %6s %8s %8s %9s %9s %8s %8s\n", "ZONE", "SIZE", "USED", "FREE",
	       "PAGES", "RESERVE", "PEAK", "ALLOCS", "FREES", "FAILURES", "MAX");
}

static void print_zone(const struct weir_zone_info *zone)
{
	char max[24] = "none";

	if (zone->max != LEDGER_UNLIMITED)
		snprintf(max, sizeof max, "%" PRIu64, zone->max);
	printf("%-20.32s %6" PRIu64 " %8" PRIu64 " %8" PRIu64 " %6" PRIu64 " %8" PRIu64 " %8" PRIu64
	       " %9" PRIu64 " %9" PRIu64 " %8" PRIu64 " %8s\n",
	       zone->name, zone->elem_size, zone->count, zone->free, zone->slabs, zone->reserve,
	       zone->peak, zone->allocs, zone->frees, zone->failures, max);
}

static void run_zones(int argc, char **argv)
{
	weir_zone_info_array_t zones;
	mach_msg_type_number_t count;
	uint64_t pages = 0;

	if (argc > 1 && strcmp(argv[1], "-s") != 0) {
		printf("zones: %s: the only option is -s (by size)\n", argv[1]);
		return;
	}
	if (!get_zones(argv[0], &zones, &count))
		return;
	if (argc > 1)
		sort_by_size(zones, count);
	print_zones_head();
	for (unsigned i = 0; i < count; i++) {
		pages += zones[i].slabs;
		print_zone(&zones[i]);
	}
	printf("%u zones, %" PRIu64 " pages\n", count, pages);
	give_back_zones(zones, count);
}

static void show_zone(const char *name)
{
	weir_zone_info_array_t zones;
	mach_msg_type_number_t count;
	bool found = false;

	if (!get_zones("zone", &zones, &count))
		return;
	for (unsigned i = 0; i < count && !found; i++) {
		found = strcmp(zones[i].name, name) == 0;
		if (!found)
			continue;
		print_zones_head();
		print_zone(&zones[i]);
	}
	if (!found)
		printf("%s: no such zone; `zones` lists them\n", name);
	give_back_zones(zones, count);
}

static void run_zone(int argc, char **argv)
{
	uint64_t max = LEDGER_UNLIMITED;
	kern_return_t code;

	if (argc == 2) {
		show_zone(argv[1]);
		return;
	}
	if (strncmp(argv[2], "max=", 4) != 0) {
		printf("%s: not max=N or max=none\n", argv[2]);
		return;
	}
	if (strcmp(argv[2] + 4, "none") != 0 && !command_number(argv[2] + 4, &max))
		return;
	code = strlen(argv[1]) < WEIR_NAME_MAX ? weir_zone_set_max(host_priv, argv[1], max)
					       : KERN_INVALID_ARGUMENT;
	if (code == KERN_SUCCESS || code == KERN_INVALID_ARGUMENT)
		show_zone(argv[1]);
	else
		command_failed(argv[0], code);
}

/* Objects that a page holds: as seen, or before there is a page what its bytes allow at most. */
static uint64_t per_page(const struct weir_zone_info *zone)
{
	if (zone->slabs > 0)
		return (zone->count + zone->free) / zone->slabs;
	return PAGE_SIZE / zone->elem_size;
}

static void run_sizes(int argc, char **argv)
{
	weir_zone_info_array_t zones;
	weir_memory_info_t memory;
	mach_msg_type_number_t count;
	kern_return_t code = weir_memory_info(host_priv, &memory);
	uint64_t bytes = memory.zone_map_limit_pages * PAGE_SIZE;

	(void)argc;
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	if (!get_zones(argv[0], &zones, &count))
		return;
	printf("%-12s %6s %9s %14s %14s   zone map: %" PRIu64 "K\n", "OBJECT", "BYTES", "PER PAGE",
	       "ZONE MAP/BYTES", "FIT, IN PAGES", bytes / 1024);
	for (unsigned i = 0; i < count; i++) {
		const struct weir_zone_info *zone = &zones[i];

		printf("%-12.32s %6" PRIu64 " %9" PRIu64 " %14" PRIu64 " %14" PRIu64 "\n", zone->name,
		       zone->elem_size, per_page(zone), bytes / zone->elem_size,
		       per_page(zone) * memory.zone_map_limit_pages);
	}
	give_back_zones(zones, count);
}

static void print_name(task_t task, mach_port_name_t name, mach_port_type_t type)
{
	static const struct {
		mach_port_right_t right;
		const char *word;
	} rights[] = {
		{ MACH_PORT_RIGHT_RECEIVE, "receive" },
		{ MACH_PORT_RIGHT_SEND, "send" },
		{ MACH_PORT_RIGHT_SEND_ONCE, "send-once" },
		{ MACH_PORT_RIGHT_PORT_SET, "set" },
		{ MACH_PORT_RIGHT_DEAD_NAME, "dead" },
	};
	mach_port_status_t status;
	mach_port_urefs_t refs;

	printf("%8u ", name);
	for (unsigned i = 0; i < sizeof rights / sizeof rights[0]; i++) {
		if ((type & MACH_PORT_TYPE(rights[i].right)) == 0)
			continue;
		printf(" %s", rights[i].word);
		if (mach_port_get_refs(task, name, rights[i].right, &refs) == KERN_SUCCESS && refs > 1)
			printf(" x%u", refs);
	}
	if ((type & MACH_PORT_TYPE_RECEIVE) != 0 &&
	    mach_port_get_receive_status(task, name, &status) == KERN_SUCCESS)
		printf(", %u of %u messages, %s senders%s", status.mps_msgcount, status.mps_qlimit,
		       status.mps_srights ? "with" : "no", status.mps_pset != 0 ? ", in a set" : "");
	printf("\n");
}

static void print_names(task_t task, const mach_port_name_t *names, const mach_port_type_t *types,
			unsigned count, uint64_t most)
{
	unsigned receive = 0, send = 0, once = 0, sets = 0, dead = 0;

	for (unsigned i = 0; i < count; i++) {
		receive += (types[i] & MACH_PORT_TYPE_RECEIVE) != 0;
		send += (types[i] & MACH_PORT_TYPE_SEND) != 0;
		once += (types[i] & MACH_PORT_TYPE_SEND_ONCE) != 0;
		sets += (types[i] & MACH_PORT_TYPE_PORT_SET) != 0;
		dead += (types[i] & MACH_PORT_TYPE_DEAD_NAME) != 0;
		if (i < most)
			print_name(task, names[i], types[i]);
	}
	if (count > most)
		printf("     ... %" PRIu64 " more\n", count - most);
	printf("%u names: %u receive, %u send, %u send-once, %u sets, %u dead\n", count, receive, send,
	       once, sets, dead);
}

static void run_ports(int argc, char **argv)
{
	mach_port_name_t *names;
	mach_port_type_t *types;
	mach_msg_type_number_t names_count, types_count;
	uint64_t id, most = PORTS_SHOWN;
	kern_return_t code;
	task_t task;

	if (!command_number(argv[1], &id) || (argc > 2 && !command_number(argv[2], &most)))
		return;
	if (weir_task_by_id(host_priv, id, &task) != KERN_SUCCESS) {
		printf("ports: no task %" PRIu64 "; `ps` lists them\n", id);
		return;
	}
	code = mach_port_names(task, &names, &names_count, &types, &types_count);
	if (code == KERN_SUCCESS) {
		print_names(task, names, types, names_count, most);
		if (names_count > 0)
			give_back_memory((vm_address_t)names, names_count * sizeof *names);
		if (types_count > 0)
			give_back_memory((vm_address_t)types, types_count * sizeof *types);
	} else {
		command_failed(argv[0], code);
	}
	give_back_right(task);
}

const struct command zone_commands[] = {
	{ "zones", "[-s]", "the kernel's zones (elements); -s: the largest first", 0, 1, run_zones },
	{ "zone", "NAME [max=N|none]", "shows a zone; max: it grows to N elements", 1, 2, run_zone },
	{ "sizes", "", "bytes of each kernel object, how many fit in the zone map", 0, 0, run_sizes },
	{ "ports", "TASKID [N]", "the names that a task holds, N of them (32)", 1, 2, run_ports },
	{ 0 },
};
