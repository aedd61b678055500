/* SPDX-License-Identifier: BSD-2-Clause */
/* The ledgers that the console makes, and finding them by name. */
#ifndef LEDGERS_H
#define LEDGERS_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>
#include <weir/ledger.h>

/* Control rights, for good. */
extern mach_port_t ledger_of_root, ledger_of_user, ledger_of_services;

/* Makes `services` and `user`. */
void ledgers_make(void);
/* When the servers run: guarantees for them and for us, then the user's limits. */
void ledgers_divide(void);

/*
 * The ledger of memory disks, made when it is asked for: at most half of the memory that was free
 * then, so that whatever a disk takes the others go on. MACH_PORT_NULL: it was said why not.
 */
mach_port_t ledgers_of_md(void);
/* When their server runs: guarantees for it. */
void ledgers_guarantee_md(void);

struct ledger_facts {
	natural_t id, parent_id, children, tasks, weight;
	char name[LEDGER_NAME_MAX];
};

/*
 * Calls visit for each ledger of the tree, parents first, until it returns
 * false; the control right is the visitor's only during the call.
 */
typedef bool (*ledger_visitor_t)(mach_port_t ledger, const struct ledger_facts *facts,
				 unsigned depth, void *argument);
kern_return_t ledgers_walk(ledger_visitor_t visit, void *argument);

/* The control right of the first ledger of that name, the caller's to give back; false: there is none. */
bool ledgers_exist(const char *name, mach_port_t *ledger);
/* The same; it is said that there is none. */
bool ledgers_find(const char *name, mach_port_t *ledger);
/* The name of a ledger by its id; "?" if it is gone. */
void ledgers_name(uint64_t id, char name[LEDGER_NAME_MAX]);
/* The resource of that name; LEDGER_ALL_RESOURCES: none. */
uint32_t ledgers_resource(const char *name);

#endif
