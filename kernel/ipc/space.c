/* SPDX-License-Identifier: BSD-2-Clause */
/* Name spaces.

   The key in the radix tree is the whole 32-bit name: users may choose any but 0 and ~0. Names that the kernel chooses are small
   and dense, and not those freed last (name_choose). Names, tree nodes and the ports made here are charged to the ledger of the
   space's task, whoever calls.

   Entries used last are found without the tree, in space->recent: at the first place of their name, or at its second when another
   entry has the first (space_find_far). A name that is freed or renamed leaves both (space_forget).

   A name whose port has died is a dead name from the moment it is looked at, whether or not the dismantling of the port has
   come to it yet. */
#include "ipc/space.h"
#include "ipc/kmsg.h"
#include "ipc/mqueue.h"
#include "ipc/name.h"
#include "ipc/notify.h"
#include "kern/assert.h"

#define SPACE_PIECE 32		/* names destroyed in one go */

void space_system_init(void)
{
	name_system_init();
}

void space_init(struct space *space, struct ledger *payer)
{
	*space = (struct space){ 0 };
#pragma GCC unroll 16
	for (unsigned i = 0; i < SPACE_RECENT; i++)
		space->recent[i] = &space_none;
	radix_init(&space->names, payer);
}

struct name space_none = { .name = MACH_PORT_NAME_NULL, .type = NAME_SPARE };

struct name *space_find_far(struct space *space, mach_port_name_t name)
{
	struct name **first = space_first(space, name), **second = space_second(space, name);
	struct name *entry = *second, *before = *first;
	bool at_hand = entry->name == name;

	if (!at_hand && (entry = radix_lookup(&space->names, name)) == NULL)
		return NULL;
	/* Two names that are used by turns take turns here. One whose second place this was goes, and drives nothing out elsewhere. */
	if (at_hand || (before->name ^ name) % SPACE_RECENT == 0)
		*second = before;
	*first = entry;
	return entry;
}

struct name *space_lookup_far(struct space *space, mach_port_name_t name)
{
	struct name *entry = space_find(space, name);

	if (entry == NULL || (entry->type & NAME_SPARE) != 0)
		return NULL;
	if (entry->port != NULL && entry->port->dead)
		name_died(entry);
	return entry;
}

bool space_dismantle(struct space *space)
{
	space->dead = true;
	if (space->once.type == NAME_SPARE)
		name_once_forget(space);
	for (unsigned left = SPACE_PIECE; left != 0; left--) {
		uint64_t key = 0;
		struct name *entry = radix_next(&space->names, &key);

		if (entry == NULL)
			return true;
		/* As any use of the name would: the request of a dead port's name is for a dead name. */
		space_lookup(space, entry->name);
		name_destroy(entry);
	}
	return false;
}

static inline kern_return_t allocate_check(const struct space *space, mach_port_right_t right)
{
	if (right != MACH_PORT_RIGHT_RECEIVE && right != MACH_PORT_RIGHT_PORT_SET && right != MACH_PORT_RIGHT_DEAD_NAME)
		return KERN_INVALID_VALUE;
	return space->dead ? KERN_INVALID_TASK : KERN_SUCCESS;
}

/* The entry, with the dead name, port or set, whose one reference it is. entry NULL: denied, the port goes again. */
static inline kern_return_t allocate_commit(struct name *entry, mach_port_right_t right, struct port *port)
{
	if (entry == NULL) {
		if (port != NULL)
			port_unref(port);
		return KERN_RESOURCE_SHORTAGE;
	}
	entry->type = MACH_PORT_TYPE(right) | (port == NULL);
	entry->port = port;
	return KERN_SUCCESS;
}

/* The port or set for a right. NULL: denied. */
static inline struct port *allocate_port(struct space *space, mach_port_right_t right)
{
	return port_make(right == MACH_PORT_RIGHT_RECEIVE ? KOBJECT_NONE : KOBJECT_PORT_SET, space->names.payer);
}

static __attribute__((noinline)) kern_return_t allocate_far(struct space *space, mach_port_right_t right, mach_port_name_t *name)
{
	struct port *port = NULL;
	struct name *entry;
	kern_return_t kr = allocate_check(space, right);

	if (kr != KERN_SUCCESS)
		return kr;
	if (right == MACH_PORT_RIGHT_DEAD_NAME) {
		entry = name_make(space);
	} else {
		port = allocate_port(space, right);
		entry = port != NULL ? name_make_own(space, port) : NULL;
	}
	kr = allocate_commit(entry, right, port);
	if (kr == KERN_SUCCESS)
		*name = entry->name;
	return kr;
}

/* The port that is there gets a name that is not at hand. */
static __attribute__((noinline)) kern_return_t allocate_name(struct space *space, struct port *port, mach_port_name_t *name)
{
	struct name *entry;

	port->own = (struct name){ 0 };
	entry = name_make_own(space, port);
	if (entry != NULL)
		*name = entry->name;
	return allocate_commit(entry, MACH_PORT_RIGHT_RECEIVE, port);
}

/* A port with all at hand calls nothing on its way. */
kern_return_t space_allocate(struct space *space, mach_port_right_t right, mach_port_name_t *name)
{
	struct port *port;

	if (unlikely(right != MACH_PORT_RIGHT_RECEIVE) || unlikely(space->dead))
		return allocate_far(space, right, name);
	port = port_make_spare(space->names.payer);
	if (unlikely(port == NULL))
		return allocate_far(space, right, name);
	if (unlikely(!name_make_own_quick(space, port)))
		return allocate_name(space, port, name);
	*name = port->own.name;
	return KERN_SUCCESS;
}

kern_return_t space_allocate_at(struct space *space, mach_port_right_t right, mach_port_name_t name)
{
	struct port *port;
	kern_return_t kr = allocate_check(space, right);

	if (kr != KERN_SUCCESS)
		return kr;
	if (name_taken(space, name))
		return KERN_NAME_EXISTS;
	if (right == MACH_PORT_RIGHT_DEAD_NAME)
		return allocate_commit(name_make_at(space, name), right, NULL);
	port = allocate_port(space, right);
	return allocate_commit(port != NULL ? name_make_own_at(space, port, name) : NULL, right, port);
}

kern_return_t space_rename(struct space *space, mach_port_name_t from, mach_port_name_t to)
{
	struct name *entry;

	if (!MACH_PORT_NAME_VALID(to))
		return KERN_INVALID_VALUE;
	entry = space_lookup(space, from);
	if (entry == NULL)
		return KERN_INVALID_NAME;
	if (name_taken(space, to))
		return KERN_NAME_EXISTS;
	if (!name_list(space, to, entry))
		return KERN_RESOURCE_SHORTAGE;
	entry->name = to;
	if (entry == &space->once)
		space->once_alone = true;
	name_unlist(space, from, entry);
	if (entry->type & (MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET))
		entry->port->receiver_name = to;
	return KERN_SUCCESS;
}

static void entry_check(struct space *space, struct name *entry)
{
	uint32_t type = entry->type & NAME_TYPE_MASK & ~MACH_PORT_TYPE_DNREQUEST;

	assert(entry->space == space);
	assert(name_request(entry) == NULL || entry->port != NULL);
	assert(!name_is_own(entry) || entry->type == MACH_PORT_TYPE_RECEIVE || entry->type == MACH_PORT_TYPE_PORT_SET);
	switch (type) {
	case NAME_SPARE:
		assert(entry == &space->once && entry->port == NULL && entry->urefs == 0);
		assert(name_full(entry)->child[0] == NULL && name_full(entry)->child[1] == NULL);
		assert(!radix_lonely(&space->names, entry->name));
		return;
	case MACH_PORT_TYPE_DEAD_NAME:
		assert(entry->port == NULL && entry->urefs != 0);
		return;
	case MACH_PORT_TYPE_SEND_ONCE:
		assert(entry->urefs == 1 && entry->port->send_once_rights != 0);
		break;
	case MACH_PORT_TYPE_PORT_SET:
		assert(name_is_own(entry));
		assert(entry->port->kobject_type == KOBJECT_PORT_SET);
		assert(entry->port->receiver == space && entry->port->receiver_name == entry->name);
		return;
	case MACH_PORT_TYPE_SEND:
	case MACH_PORT_TYPE_SEND_RECEIVE:
		assert(entry->urefs != 0 && entry->port->send_rights != 0);
		assert(name_of_port(space, entry->port) == entry);
		break;
	default:
		assert(type == MACH_PORT_TYPE_RECEIVE && entry->urefs == 0);
		assert(name_of_port(space, entry->port) == entry);
		break;
	}
	if (type & MACH_PORT_TYPE_RECEIVE)
		assert(entry->port->receiver == space && entry->port->receiver_name == entry->name);
	assert(entry->port->kobject_type != KOBJECT_PORT_SET);
}

/* The entry in this place: one of the space that belongs there, or none. */
static bool recent_is_good(const struct space *space, unsigned place)
{
	const struct name *entry = space->recent[place];

	return entry == &space_none ||
	       (entry->name % (SPACE_RECENT / 2) == place % (SPACE_RECENT / 2) && entry == radix_lookup(&space->names, entry->name));
}

void space_check(struct space *space)
{
	uint32_t count = 0, charged = 0;
	struct name *entry;

	for (uint64_t key = 0; (entry = radix_next(&space->names, &key)) != NULL; key++) {
		assert(entry->name == key && MACH_PORT_NAME_VALID(entry->name));
		entry_check(space, entry);
		count += entry != &space->once;
		charged += entry != &space->once && !name_is_own(entry);
	}
	assert(count == space->count && charged == space->charged);
	for (unsigned i = 0; i < SPACE_RECENT; i++)
		assert(recent_is_good(space, i));
	assert(space->once.type == 0 || radix_lookup(&space->names, space->once.name) == &space->once);
	assert(space->once.type == 0 || space->once_alone || !radix_lonely(&space->names, space->once.name));
	assert(space->count != 0 || (space->once.type & ~NAME_SPARE) != 0 || space->names.nodes == 0);
	assert(space->leaf == radix_leaf_of(&space->names, space->last));
}
