/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: the entries of spaces.

   An entry is found in two ways: by its name in the radix tree of its space, and, while it holds a living or dying port, under
   the port, keyed (space, 0) when it is for send and receive rights, of which a space has one entry a port, and
   (space, name) for send-once rights, each of which has an entry of its own. Port sets need no way back.

   An attached entry holds one reference to the port, whatever rights it stands for. A send right counts once in
   port->send_rights, whatever its user references.

   An entry whose type has NAME_RESERVED is being received; it holds no right yet. Entries are made before rights are
   moved (the only step that can be denied), and a right that dies leaves its entry as a dead name, so that losing rights
   never needs memory. */
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "mem/zone.h"

static struct zone name_zone;

static uint32_t name_key(const struct name *entry)
{
	return (entry->type & MACH_PORT_TYPE_SEND_ONCE) ? entry->name : 0;
}

static int name_compare(const struct name *a, const struct name *b)
{
	if (a->space != b->space)
		return (uintptr_t)a->space < (uintptr_t)b->space ? -1 : 1;
	if (name_key(a) != name_key(b))
		return name_key(a) < name_key(b) ? -1 : 1;
	return 0;
}

RB_GENERATE_STATIC(name_tree, name, node, name_compare)

static struct ledger *name_payer(const void *element)
{
	return ((const struct name *)element)->space->payer;
}

void name_system_init(void)
{
	zone_init(&name_zone, "name", sizeof(struct name), LEDGER_NAMES, name_payer);
}

/* Names are small integers, so that the tree stays dense, in a window twice as wide as the space is full: the search goes
   round in it, so a name that was just freed is not given out again at once. */
mach_port_name_t name_choose(const struct space *space)
{
	uint64_t window = 64 + 2 * (uint64_t)space->count;
	uint64_t from = space->hint >= 1 && space->hint < window ? space->hint : 1;
	uint64_t name = radix_lowest_free(&space->names, from);

	if (name >= window)
		name = radix_lowest_free(&space->names, 1);
	assert(name != 0 && name < MACH_PORT_NAME_DEAD);
	return (mach_port_name_t)name;
}

struct name *name_make(struct space *space, mach_port_name_t name)
{
	struct name *entry = zone_alloc(&name_zone, space->payer);

	if (entry == NULL)
		return NULL;
	*entry = (struct name){ .space = space, .name = name, .type = NAME_RESERVED };
	if (!radix_reserve(&space->names, name)) {
		zone_free(&name_zone, entry, space->payer);
		return NULL;
	}
	radix_insert(&space->names, name, entry);
	space->count++;
	return entry;
}

void name_attach(struct name *entry, struct port *port, uint32_t type)
{
	assert(entry->port == NULL);
	entry->port = port;
	entry->type = type;
	port_ref(port);
	if (port->kobject_type != KOBJECT_PORT_SET)
		RB_INSERT(name_tree, &port->names, entry);
}

/* Leaves the port's tree and forgets the port, whose reference passes to the caller. */
static struct port *name_detach(struct name *entry)
{
	struct port *port = entry->port;

	if (port == NULL)
		return NULL;
	if (port->kobject_type != KOBJECT_PORT_SET)
		RB_REMOVE(name_tree, &port->names, entry);
	if (entry->dead_request != NULL)
		port->dead_requests--;
	entry->port = NULL;
	return port;
}

struct name *name_of_port(struct space *space, struct port *port)
{
	struct name probe = { .space = space };

	return RB_FIND(name_tree, &port->names, &probe);
}

void name_died(struct name *entry)
{
	uint32_t type = entry->type;
	struct port *once = entry->dead_request;
	struct port *port = name_detach(entry);

	assert(port->dead && (type & (MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET)) == 0);
	entry->dead_request = NULL;
	entry->type = (type & NAME_RESERVED) | MACH_PORT_TYPE_DEAD_NAME;
	if ((type & NAME_RESERVED) == 0) {
		if (type & MACH_PORT_TYPE_SEND)
			right_uncount_send(port);
		if (type & MACH_PORT_TYPE_SEND_ONCE)
			right_uncount_send_once(port);
	}
	port_unref(port);
	if (once == NULL)
		return;
	if (entry->urefs < MACH_PORT_UREFS_MAX)
		entry->urefs++;
	notify_dead_name(once, entry->name);
}

void name_free(struct name *entry)
{
	struct space *space = entry->space;
	mach_port_name_t name = entry->name;
	struct port *once = entry->dead_request;
	struct port *port = name_detach(entry);

	radix_remove(&space->names, name);
	space->count--;
	zone_free(&name_zone, entry, space->payer);
	if (port != NULL)
		port_unref(port);
	if (once != NULL)
		notify_port_deleted(once, name);
}

void name_lose_send(struct name *entry, uint32_t urefs)
{
	assert((entry->type & MACH_PORT_TYPE_SEND) && urefs <= entry->urefs);
	entry->urefs -= urefs;
	if (entry->urefs != 0)
		return;
	entry->type &= ~MACH_PORT_TYPE_SEND;
	right_uncount_send(entry->port);
	if ((entry->type & MACH_PORT_TYPE_RECEIVE) == 0)
		name_free(entry);
}

void name_lose_receive(struct name *entry)
{
	struct port *port = entry->port;

	assert(entry->type & MACH_PORT_TYPE_RECEIVE);
	entry->type &= ~MACH_PORT_TYPE_RECEIVE;
	port_ref(port);
	if ((entry->type & MACH_PORT_TYPE_SEND) == 0) {
		name_free(entry);
		port_destroy(port);
		return;
	}
	port_destroy(port);
	/* The entry is a dead name by now, is still to become one, or the right went to a port-destroyed notification. */
	if (entry->port != NULL && entry->port->dead)
		name_died(entry);
}

void name_lose_send_once(struct name *entry)
{
	struct port *port = entry->port;

	assert(entry->type & MACH_PORT_TYPE_SEND_ONCE);
	port_ref(port);
	name_free(entry);
	right_release_send_once(port);
}

void name_lose_dead(struct name *entry, uint32_t urefs)
{
	assert((entry->type & MACH_PORT_TYPE_DEAD_NAME) && urefs <= entry->urefs);
	entry->urefs -= urefs;
	if (entry->urefs == 0)
		name_free(entry);
}

static void name_lose_set(struct name *entry)
{
	struct port *set = name_detach(entry);

	name_free(entry);
	portset_destroy(set);
}

void name_destroy(struct name *entry)
{
	if (entry->type & (MACH_PORT_TYPE_DEAD_NAME | NAME_RESERVED)) {
		name_free(entry);
		return;
	}
	if (entry->type & MACH_PORT_TYPE_PORT_SET) {
		name_lose_set(entry);
		return;
	}
	if (entry->type & MACH_PORT_TYPE_SEND_ONCE) {
		name_lose_send_once(entry);
		return;
	}
	if (entry->type & MACH_PORT_TYPE_RECEIVE) {
		if (entry->type & MACH_PORT_TYPE_SEND)
			name_lose_send(entry, entry->urefs);
		name_lose_receive(entry);
		return;
	}
	name_lose_send(entry, entry->urefs);
}

struct port *name_request_dead(struct name *entry, struct port *once)
{
	struct port *previous = entry->dead_request;

	assert(entry->port != NULL);
	entry->dead_request = once;
	entry->port->dead_requests += (once != NULL);
	entry->port->dead_requests -= (previous != NULL);
	return previous;
}

struct name *name_first_of(struct port *port)
{
	return RB_MIN(name_tree, &port->names);
}

struct name *name_next_of(struct name *entry)
{
	return RB_NEXT(name_tree, NULL, entry);
}

void name_unkey(struct name *entry)
{
	if (entry->port != NULL && entry->port->kobject_type != KOBJECT_PORT_SET)
		RB_REMOVE(name_tree, &entry->port->names, entry);
}

void name_rekey(struct name *entry)
{
	if (entry->port != NULL && entry->port->kobject_type != KOBJECT_PORT_SET)
		RB_INSERT(name_tree, &entry->port->names, entry);
}
