/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may take what. Below the root are `console` (the kernel made it for us),
 * `services` and `user`; programs run in ledgers of their own below `user`.
 * The console and the services have guarantees of what they need to go on
 * whatever the others do: what they use now and some head-room. The user gets
 * 15/16 of what is left then: of the zone map, and of RAM for kernel memory and
 * pages together. So it is the user's own limit that a flood meets, and there
 * is something left in the root for others. What servers hold for users is
 * limited beside that: a flood on both ways may meet the root's limit, beyond
 * which there is what is guaranteed.
 */
#include "ledgers.h"
#include <ledger_user.h>
#include <mach.h>
#include <stdio.h>
#include <string.h>
#include "bootstrap.h"

mach_port_t ledger_of_root, ledger_of_user, ledger_of_services;

/* Head-room in things: what starting a program, a listing or an answer takes for a while. */
static const struct {
	uint32_t resource;
	uint32_t console, services;
} headroom[] = {
	{ LEDGER_PORTS, 48, 16 },
	{ LEDGER_NAMES, 96, 32 },
	{ LEDGER_ENTRIES, 32, 8 },
	{ LEDGER_OBJECTS, 32, 8 },
	{ LEDGER_MESSAGES, 32, 16 },
	{ LEDGER_VIRTUAL_PAGES, 512, 64 },
	{ LEDGER_RESIDENT_PAGES, 48, 16 },
	{ LEDGER_NODES, 32, 16 },
	{ LEDGER_KPAGES, 24, 8 },
	{ LEDGER_LEDGERS, 2, 0 },
};
/* What a port that a server serves costs in kernel memory, with its name, payment and room in tables. It counts as two: the server asks
   to be told when its last client is gone. */
#define SERVICE_PORT_BYTES	1024
#define SERVICE_PORT_COUNT	2
#define HEADROOM_COUNT	(sizeof headroom / sizeof headroom[0])

/* Guarantees used + extra; on a small machine with less extra. */
static bool guarantee(mach_port_t ledger, uint32_t resource, uint64_t extra)
{
	struct ledger_usage usage;

	if (ledger_get_usage(ledger, resource, &usage) != KERN_SUCCESS)
		return false;
	for (;; extra /= 2) {
		if (ledger_set_guarantee(ledger, (int)resource, usage.used + extra) == KERN_SUCCESS)
			return true;
		if (extra == 0)
			return false;
	}
}

static void guarantee_all(mach_port_t ledger, const char *name, bool services)
{
	for (unsigned i = 0; i < HEADROOM_COUNT; i++) {
		uint64_t extra = services ? headroom[i].services : headroom[i].console;

		if (!guarantee(ledger, headroom[i].resource, extra))
			printf("bootstrap: no guarantee of %s for %s\n",
			       ledger_resource_name(headroom[i].resource), name);
	}
	guarantee(ledger, LEDGER_TASKS, 0);
	guarantee(ledger, LEDGER_THREADS, 0);
}

void ledgers_make(void)
{
	kern_return_t code = ledger_root(host_priv, &ledger_of_root);

	if (code == KERN_SUCCESS)
		code = ledger_create(ledger_of_root, "services", &ledger_of_services);
	if (code == KERN_SUCCESS)
		code = ledger_create(ledger_of_root, "user", &ledger_of_user);
	if (code != KERN_SUCCESS)
		printf("bootstrap: cannot make ledgers: %s\n", mach_error_string(code));
}

static void limit(mach_port_t ledger, const char *name, uint32_t resource, uint64_t amount)
{
	kern_return_t code = ledger_set_limit(ledger, (int)resource, amount);

	if (code != KERN_SUCCESS)
		printf("bootstrap: no limit of %s for %s: %s\n", ledger_resource_name(resource), name,
		       mach_error_string(code));
}

/* Pages that the zone map or RAM has left. What is guaranteed has been taken from it already. */
static uint64_t machine_left(uint32_t resource)
{
	struct ledger_usage usage;

	if (ledger_get_usage(ledger_of_root, (int)resource, &usage) != KERN_SUCCESS || usage.used > usage.limit)
		return 0;
	return (usage.limit - usage.used) / PAGE_SIZE;
}

void ledgers_divide(void)
{
	mach_port_t own;
	uint64_t zone_left, ram_left;

	guarantee_all(ledger_of_services, "services", true);
	/* Should the kernel charge us to the root itself, its head-room is all that nobody else has. */
	if (task_get_ledger_control(host_priv, mach_task_self(), &own) == KERN_SUCCESS) {
		if (own != ledger_of_root)
			guarantee_all(own, "console", false);
		give_back_right(own);
	}
	zone_left = machine_left(LEDGER_ZONE_MAP);
	ram_left = machine_left(LEDGER_RAM);
	limit(ledger_of_user, "user", LEDGER_KMEM, zone_left / 16 * 15 * PAGE_SIZE);
	limit(ledger_of_user, "user", LEDGER_RAM, ram_left / 16 * 15 * PAGE_SIZE);
	/*
	 * Clients make servers hold ports, and memory on its way to clients. Things are limited
	 * here, not bytes: at its limit of these a server can still send a message and say that
	 * it was denied.
	 */
	limit(ledger_of_services, "services", LEDGER_PORTS,
	      zone_left / 2 * PAGE_SIZE / SERVICE_PORT_BYTES * SERVICE_PORT_COUNT);
	limit(ledger_of_services, "services", LEDGER_OBJECTS, zone_left / 2 * PAGE_SIZE / SERVICE_PORT_BYTES);
	limit(ledger_of_services, "services", LEDGER_RESIDENT_PAGES, ram_left / 2);
}

static mach_port_t ledger_of_md;

mach_port_t ledgers_of_md(void)
{
	mach_port_type_t type = MACH_PORT_TYPE_DEAD_NAME;
	uint64_t things;
	kern_return_t code;

	/* Somebody may have ended it. */
	if (ledger_of_md != MACH_PORT_NULL)
		mach_port_type(mach_task_self(), ledger_of_md, &type);
	if (type & MACH_PORT_TYPE_SEND)
		return ledger_of_md;
	give_back_right(ledger_of_md);
	ledger_of_md = MACH_PORT_NULL;
	code = ledger_create(ledger_of_root, "md", &ledger_of_md);
	if (code != KERN_SUCCESS) {
		ledger_of_md = MACH_PORT_NULL;
		printf("bootstrap: no ledger for disks: %s\n", mach_error_string(code));
		return MACH_PORT_NULL;
	}
	limit(ledger_of_md, "md", LEDGER_RESIDENT_PAGES, machine_left(LEDGER_RAM) / 2);
	things = machine_left(LEDGER_ZONE_MAP) / 8 * PAGE_SIZE / SERVICE_PORT_BYTES;
	limit(ledger_of_md, "md", LEDGER_PORTS, things * SERVICE_PORT_COUNT);
	limit(ledger_of_md, "md", LEDGER_OBJECTS, things);
	return ledger_of_md;
}

void ledgers_guarantee_md(void)
{
	guarantee_all(ledger_of_md, "md", true);
}

/* One level; children are visited before their sisters. Depth is at most LEDGER_DEPTH_MAX. */
static bool walk(mach_port_t ledger, unsigned depth, ledger_visitor_t visit, void *argument,
		 kern_return_t *code)
{
	struct ledger_facts facts;
	ledger_array_t children;
	mach_msg_type_number_t count;
	bool go_on;

	*code = ledger_info(ledger, &facts.id, &facts.parent_id, facts.name, &facts.children,
			    &facts.tasks, &facts.weight);
	if (*code != KERN_SUCCESS)
		return depth > 0;	/* it died meanwhile */
	go_on = visit(ledger, &facts, depth, argument);
	if (!go_on || facts.children == 0 || depth >= LEDGER_DEPTH_MAX)
		return go_on;
	*code = ledger_children(ledger, &children, &count);
	if (*code != KERN_SUCCESS)
		return depth > 0;
	for (unsigned i = 0; i < count; i++) {
		if (go_on)
			go_on = walk(children[i], depth + 1, visit, argument, code);
		give_back_right(children[i]);
	}
	if (count > 0)
		give_back_memory((vm_address_t)children, count * sizeof *children);
	return go_on;
}

kern_return_t ledgers_walk(ledger_visitor_t visit, void *argument)
{
	kern_return_t code = KERN_SUCCESS;

	walk(ledger_of_root, 0, visit, argument, &code);
	return code;
}

struct search {
	const char *name;
	uint64_t id;
	char *found_name;
	mach_port_t found;
};

static bool match_name(mach_port_t ledger, const struct ledger_facts *facts, unsigned depth,
		       void *argument)
{
	struct search *search = argument;

	(void)depth;
	if (strcmp(facts->name, search->name) != 0)
		return true;
	/* The walk gives its reference back; this one stays. */
	if (mach_port_mod_refs(mach_task_self(), ledger, MACH_PORT_RIGHT_SEND, 1) == KERN_SUCCESS)
		search->found = ledger;
	return false;
}

bool ledgers_exist(const char *name, mach_port_t *ledger)
{
	struct search search = { .name = name };

	ledgers_walk(match_name, &search);
	*ledger = search.found;
	return search.found != MACH_PORT_NULL;
}

bool ledgers_find(const char *name, mach_port_t *ledger)
{
	if (ledgers_exist(name, ledger))
		return true;
	printf("%s: no such ledger; `ledgers` lists them\n", name);
	return false;
}

static bool match_id(mach_port_t ledger, const struct ledger_facts *facts, unsigned depth,
		     void *argument)
{
	struct search *search = argument;

	(void)ledger, (void)depth;
	if (facts->id != search->id)
		return true;
	strlcpy(search->found_name, facts->name, LEDGER_NAME_MAX);
	return false;
}

void ledgers_name(uint64_t id, char name[LEDGER_NAME_MAX])
{
	struct search search = { .id = id, .found_name = name };

	strlcpy(name, "?", LEDGER_NAME_MAX);
	ledgers_walk(match_id, &search);
}

uint32_t ledgers_resource(const char *name)
{
	for (uint32_t resource = 0; resource < LEDGER_ALL_RESOURCES; resource++) {
		if (resource != LEDGER_ZONE_MAP && strcmp(ledger_resource_name(resource), name) == 0)
			return resource;
	}
	return LEDGER_ALL_RESOURCES;
}
