/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers: resources, usage and denial records. */
#ifndef WEIR_LEDGER_H
#define WEIR_LEDGER_H

#include <mach/layout_check.h>
#include <mach/port.h>
#include <stdint.h>

typedef mach_port_t	ledger_t;
typedef ledger_t	*ledger_array_t;
typedef mach_port_t	ledger_name_t;	/* a right to its name port or its control port */

#define LEDGER_NAME_MAX		32	/* bytes with the final zero */
typedef char		ledger_label_t[LEDGER_NAME_MAX];
typedef const char	*const_ledger_label_t;

/* What is counted. */
#define LEDGER_TASKS		0
#define LEDGER_THREADS		1
#define LEDGER_PORTS		2
#define LEDGER_NAMES		3
#define LEDGER_ENTRIES		4	/* map entries */
#define LEDGER_OBJECTS		5	/* memory objects */
#define LEDGER_MESSAGES		6	/* queued */
#define LEDGER_VIRTUAL_PAGES	7
#define LEDGER_RESIDENT_PAGES	8
#define LEDGER_NODES		9	/* radix nodes */
#define LEDGER_KPAGES		10	/* page tables and message bodies */
#define LEDGER_FPUS		11	/* floating-point states, with what else few threads need */
#define LEDGER_LEDGERS		12
#define LEDGER_KMEM		13	/* bytes of kernel memory, all of the above */
#define LEDGER_RESOURCES	14

#define LEDGER_ZONE_MAP		14	/* bytes, of the root ledger only */
#define LEDGER_RAM		15	/* bytes of kernel memory and resident pages: a limit, counted by those */
#define LEDGER_ALL_RESOURCES	16

#define LEDGER_UNLIMITED	(~(uint64_t) 0)
#define LEDGER_DEPTH_MAX	8

/* The word for each resource, in the order of their numbers. */
#define LEDGER_RESOURCE_NAMES						\
	"tasks", "threads", "ports", "names", "entries", "objects",	\
	"messages", "virtual_pages", "resident_pages", "nodes",		\
	"kpages", "fpus", "ledgers", "kmem", "zone_map", "ram"

/* The word for a resource; "?" for a number that is none. */
static inline const char *ledger_resource_name(uint32_t resource)
{
	static const char *const names[LEDGER_ALL_RESOURCES] = {
		LEDGER_RESOURCE_NAMES
	};

	return resource < LEDGER_ALL_RESOURCES ? names[resource] : "?";
}

struct ledger_usage {
	uint64_t	used;
	uint64_t	peak;
	uint64_t	limit;		/* LEDGER_UNLIMITED: none of its own */
	uint64_t	guarantee;
	uint64_t	denials;
};
typedef struct ledger_usage	ledger_usage_t;
typedef struct ledger_usage	ledger_all_usage_t[LEDGER_ALL_RESOURCES];

struct ledger_denial {
	uint32_t	resource;
	uint32_t	ledger_id;	/* of the ledger that was full */
	uint64_t	used;
	uint64_t	limit;
	uint64_t	wanted;
	uint64_t	site;		/* allocation site: a number for each */
	char		ledger[LEDGER_NAME_MAX];
	char		task[32];	/* whose operation was denied */
	uint64_t	when_ns;	/* since boot, of the last one */
	uint64_t	count;		/* of the same kind in a row */
};
typedef struct ledger_denial	ledger_denial_t;
typedef struct ledger_denial	*ledger_denial_array_t;

LAYOUT_SIZE(struct ledger_usage, 40);
LAYOUT_SIZE(ledger_all_usage_t, 640);
LAYOUT_AT(struct ledger_denial, used, 8);
LAYOUT_AT(struct ledger_denial, ledger, 40);
LAYOUT_AT(struct ledger_denial, task, 72);
LAYOUT_AT(struct ledger_denial, when_ns, 104);
LAYOUT_SIZE(struct ledger_denial, 120);

/* The notification of ledger_notify_at: weir/ledger_notify.defs. */
#define LEDGER_NOTIFY_MARK	5150

#endif
