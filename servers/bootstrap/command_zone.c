/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about kernel objects: the zones, what one of each costs, the names a task holds. */
#include <inttypes.h>
#include <mach.h>
#include <mach_debug_user.h>
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
	printf("%-9s %4s %6s %5s %5s %7s %6s %7s %7s %8s %5s\n", "ZONE", "SIZE", "USED", "FREE",
	       "PAGES", "RESERVE", "PEAK", "ALLOCS", "FREES", "FAILURES", "MAX");
}

static void print_zone(const struct weir_zone_info *zone)
{
	char max[24] = "none";

	if (zone->max != LEDGER_UNLIMITED)
		snprintf(max, sizeof max, "%" PRIu64, zone->max);
	printf("%-9.32s %4" PRIu64 " %6" PRIu64 " %5" PRIu64 " %5" PRIu64 " %7" PRIu64 " %6" PRIu64
	       " %7" PRIu64 " %7" PRIu64 " %8" PRIu64 " %5s\n",
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

/* Bytes that the kernel takes beside an object and keeps for what it may need later: none of these has any. */
#define CREDIT_BYTES 0

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
	printf("%-12s %5s %6s %8s %14s %13s  zone map: %" PRIu64 "K\n", "OBJECT", "BYTES", "CREDIT", "PER PAGE",
	       "ZONE MAP/BYTES", "FIT, IN PAGES", bytes / 1024);
	for (unsigned i = 0; i < count; i++) {
		const struct weir_zone_info *zone = &zones[i];

		printf("%-12.32s %5" PRIu64 " %6d %8" PRIu64 " %14" PRIu64 " %13" PRIu64 "\n", zone->name, zone->elem_size,
		       CREDIT_BYTES, per_page(zone), bytes / zone->elem_size,
		       per_page(zone) * memory.zone_map_limit_pages);
	}
	give_back_zones(zones, count);
}

static void print_names_head(void)
{
	printf("%6s %-13s %5s %-13s %6s %5s %7s %5s %6s %4s\n", "NAME", "RIGHTS", "REFS", "OBJECT",
	       "QUEUED", "LIMIT", "SENDERS", "ONCE", "SEQNO", "SET");
}

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
#define RIGHTS	(sizeof rights / sizeof rights[0])

/* Of a send right: what it is to, if that is an object of the kernel's. */
static void print_object(task_t task, mach_port_name_t name)
{
	static const char *const names[] = { WEIR_OBJECT_NAMES };
	unsigned type;
	vm_offset_t address;

	if (mach_port_kernel_object(task, name, &type, &address) == KERN_SUCCESS && type > 0 &&
	    type < sizeof names / sizeof names[0])
		printf(" %s", names[type]);
}

/* Of a receive right: its queue, and the rights to it that there are anywhere. */
static void print_receive(task_t task, mach_port_name_t name)
{
	mach_port_status_t status;
	mach_port_rights_t senders;

	if (mach_port_get_receive_status(task, name, &status) != KERN_SUCCESS ||
	    mach_port_get_srights(task, name, &senders) != KERN_SUCCESS)
		return;
	printf(" %13s %6u %5u %7u %5u %6u", "", status.mps_msgcount, status.mps_qlimit, senders,
	       status.mps_sorights, status.mps_seqno);
	if (status.mps_pset != MACH_PORT_NULL)
		printf(" %4u", status.mps_pset);
}

static void print_name(task_t task, mach_port_name_t name, mach_port_type_t type)
{
	mach_port_urefs_t refs = 1, some;
	char words[32] = "";

	for (unsigned i = 0; i < RIGHTS; i++) {
		if ((type & MACH_PORT_TYPE(rights[i].right)) == 0)
			continue;
		strlcat(words, words[0] != '\0' ? "+" : "", sizeof words);
		strlcat(words, rights[i].word, sizeof words);
		/* Of receive rights and sets there is always one. */
		if (mach_port_get_refs(task, name, rights[i].right, &some) == KERN_SUCCESS && some > refs)
			refs = some;
	}
	printf("%6u %-13s %5u", name, words, refs);
	if ((type & MACH_PORT_TYPE_RECEIVE) != 0)
		print_receive(task, name);
	else
		print_object(task, name);
	printf("\n");
}

static void print_names(task_t task, const mach_port_name_t *names, const mach_port_type_t *types,
			unsigned count, uint64_t most)
{
	unsigned receive = 0, send = 0, once = 0, sets = 0, dead = 0;

	print_names_head();
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
		printf("   ... %" PRIu64 " more\n", count - most);
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
	{ "zones", "[-s]", "the kernel's zones; -s: the largest first", 0, 1, run_zones,
	  "  SIZE in bytes; else elements: in use, free in the PAGES held, kept for\n"
	  "  guarantees, most ever in use, ever given and given back, denied, allowed\n" },
	{ "zone", "NAME [max=N|none]", "shows one; max: it grows to N elements", 1, 2, run_zone,
	  "  below what is in use: nothing more is given\n" },
	{ "sizes", "", "bytes of each object, how many a zone map holds", 0, 0, run_sizes,
	  "  CREDIT: bytes of what is prepaid with one, for what it may need later\n" },
	{ "ports", "TASKID [N]", "the names that a task holds, N of them (32)", 1, 2, run_ports,
	  "  REFS: its user references; OBJECT: the kernel's that it is a send right to;\n"
	  "  of a receive right: messages QUEUED of LIMIT, send and send-once rights that\n"
	  "  there are anywhere, the next message's number, the port SET that it is in\n" },
	{ 0 },
};
