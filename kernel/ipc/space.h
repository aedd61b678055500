/* SPDX-License-Identifier: BSD-2-Clause */
/* Name spaces of tasks: names in a radix tree, each a right. Theory in space.c. */
#ifndef IPC_SPACE_H
#define IPC_SPACE_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/kern_return.h>
#include <mach/port.h>
#include "ipc/port.h"
#include "kern/likely.h"
#include "mem/radix.h"

/* An entry of its own, for what does not lie in struct port. */
struct name_full {
	struct name name;
	struct port *dead_request;	/* with MACH_PORT_TYPE_DNREQUEST in type: send-once right for the dead-name notification */
	struct name *child[2];		/* in port->names (name.c); a receive right's entry needs none */
};
_Static_assert(sizeof(struct name_full) == 48, "three to a name of the peers: keep it small");

/* Does the entry lie in its port? Then it is a receive right alone, or a set, and nothing else. */
static inline bool name_is_own(const struct name *entry)
{
	return entry->port != NULL && entry == &entry->port->own;
}

/* Of an entry that does not. */
static inline struct name_full *name_full(struct name *entry)
{
	return (struct name_full *)entry;
}

/* What is asked for by a dead-name request; NULL: nothing. */
static inline struct port *name_request(struct name *entry)
{
	return entry->type & MACH_PORT_TYPE_DNREQUEST ? name_full(entry)->dead_request : NULL;
}

/* In type, alone: space->once holds nothing and keeps its name for the next send-once right; to users it does not exist (name.c). */
#define NAME_SPARE (1u << 25)
/* User references at most, of a send right or dead name. */
#define MACH_PORT_UREFS_MAX 65535u
/* The bits of type that say what the entry is, without its user references. */
#define NAME_TYPE_MASK 0xffff0000u

#define SPACE_RECENT 16

struct space {
	struct name *recent[SPACE_RECENT];	/* entries of names made or looked up last, by name; space_none: none (space_find) */
	/* For one send-once right, usually that of a request's reply (name.c); type 0: not in use. */
	union {
		struct name once;
		struct name_full once_full;
	};
	struct radix_node *leaf;	/* the radix node of `last`; NULL: there is none */
	uint32_t count;			/* names, but for once */
	uint32_t last;			/* the name chosen last, where the search for a free one starts */
	uint32_t elsewhere;		/* the one before it that was free when its node had no other; 0: none so far (name.c) */
	bool dead : 1;
	bool once_alone : 1;		/* once may be the only name in its radix node: to be looked at when it is used up */
	uint32_t charged : 30;		/* of the names, in entries of their own (LEDGER_NAMES) */
	struct radix names;		/* name -> struct name *. Its payer, the task's ledger, pays for names and ports made too */
};

void space_system_init(void);
void space_init(struct space *space, struct ledger *payer);
/* One bounded piece of destroying all names; true when none is left. */
bool space_dismantle(struct space *space);
/* The name's entry, NULL: no such name. A name whose port has died is turned into a dead name here. */
static inline struct name *space_lookup(struct space *space, mach_port_name_t name);
/* Port of a name that holds a send right; no right is moved. NULL if none. */
static inline struct port *space_port(struct space *space, mach_port_name_t name);
/* Converts names for traps and kernel calls: the kernel object behind a send right. */
static inline void *space_kobject(struct space *space, mach_port_name_t name, enum kobject type);

/* Receives a right, which is consumed on success; also the pseudo-receive of a failed send. disposition MACH_MSG_TYPE_PORT_*. *name is
   what it is called now (the name of send or receive rights held already is used again). A dead port or PORT_DEAD gives
   MACH_PORT_NAME_DEAD, NULL gives MACH_PORT_NAME_NULL. A user reference too many stays at the maximum (manual: Exchanging Port
   Rights). Charged to the space's ledger. KERN_RESOURCE_SHORTAGE, KERN_INVALID_TASK (dead space): nothing changed. */
kern_return_t space_insert(struct space *space, struct port *port, uint32_t disposition, mach_port_name_t *name);
/* Under this very name (mach_port_insert_right; codes as there). Consumes the right on success. */
kern_return_t space_insert_at(struct space *space, struct port *port, uint32_t disposition, mach_port_name_t name);

/* Taking rights out of a space for a message. check: whether it can be done (KERN_INVALID_NAME, KERN_INVALID_RIGHT), without
   doing it; take does it. type MACH_MSG_TYPE_MOVE_*, COPY_SEND, MAKE_*. After a successful check only MAKE_SEND_ONCE can fail:
   its prepaid message is charged to the space's ledger (KERN_RESOURCE_SHORTAGE). The names MACH_PORT_NAME_NULL and _DEAD give
   PORT_NULL and PORT_DEAD, a dead name gives PORT_DEAD where the manual says so. *disposition: MACH_MSG_TYPE_PORT_*.
   To undo a take: space_insert. */
kern_return_t space_take_check(struct space *space, mach_port_name_t name, uint32_t type);
kern_return_t space_take(struct space *space, mach_port_name_t name, uint32_t type, struct port **port, uint32_t *disposition);

/* Allocates receive right, port set or dead name under any or (at) that valid name. */
kern_return_t space_allocate(struct space *space, mach_port_right_t right, mach_port_name_t *name);
kern_return_t space_allocate_at(struct space *space, mach_port_right_t right, mach_port_name_t name);
/* mach_port_rename; codes as there. */
kern_return_t space_rename(struct space *space, mach_port_name_t from, mach_port_name_t to);
/* Invariants of the space and its names; panics when broken. */
void space_check(struct space *space);

/* The entry's port is dead and the entry holds no receive right: it becomes a dead name. */
void name_died(struct name *entry);

/* An entry is in the first place of its name, or has made way to the second. */
static inline struct name **space_first(struct space *space, mach_port_name_t name)
{
	return &space->recent[name % SPACE_RECENT];
}

static inline struct name **space_second(struct space *space, mach_port_name_t name)
{
	return &space->recent[name % SPACE_RECENT ^ SPACE_RECENT / 2];
}

/* Fills the places of names that have no entry. Its name is MACH_PORT_NAME_NULL: who looks for that finds an entry which is unseen. */
extern struct name space_none;

/* How many names users know of. */
static inline uint32_t space_names(const struct space *space)
{
	return space->count + ((space->once.type & ~NAME_SPARE) != 0);
}

/* Would space_find have it at once? */
static inline bool space_has_recent(struct space *space, mach_port_name_t name)
{
	return (*space_first(space, name))->name == name;
}

/* space_find, for a name that is not in its first place; it will be. */
struct name *space_find_far(struct space *space, mach_port_name_t name);

/* The entry in the radix tree; NULL: there is none. Programs use few names for most of what they do. */
static inline struct name *space_find(struct space *space, mach_port_name_t name)
{
	if (space_has_recent(space, name))
		return *space_first(space, name);
	return space_find_far(space, name);
}

/* The new entry is likely to be looked up soon. */
static inline void space_remember(struct space *space, struct name *entry)
{
	*space_first(space, entry->name) = entry;
}

/* The name has another entry. */
static inline void space_replace(struct space *space, const struct name *old, struct name *entry)
{
	if (*space_first(space, entry->name) == old)
		*space_first(space, entry->name) = entry;
	if (*space_second(space, entry->name) == old)
		*space_second(space, entry->name) = entry;
}

/* The entry is to have the name no more. */
static inline void space_forget(struct space *space, mach_port_name_t name, const struct name *entry)
{
	if (likely(*space_first(space, name) == entry))
		*space_first(space, name) = &space_none;
	if (unlikely(*space_second(space, name) == entry))
		*space_second(space, name) = &space_none;
}

/* The radix node of a name that is there. */
static inline struct radix_node *space_leaf(const struct space *space, mach_port_name_t name)
{
	return (name ^ space->last) < RADIX_SLOTS ? space->leaf : radix_leaf_of(&space->names, name);
}

/* space_lookup, for a name that is not in its first place, or has no living port. */
struct name *space_lookup_far(struct space *space, mach_port_name_t name);

/* Here, as each system call looks a name up. */
static inline struct name *space_lookup(struct space *space, mach_port_name_t name)
{
	struct name *entry = *space_first(space, name);

	if (unlikely(entry->name != name || entry->port == NULL || entry->port->dead))
		return space_lookup_far(space, name);
	return entry;
}

static inline struct port *space_port(struct space *space, mach_port_name_t name)
{
	struct name *entry = space_lookup(space, name);

	return entry != NULL && (entry->type & MACH_PORT_TYPE_SEND) ? entry->port : NULL;
}

static inline void *space_kobject(struct space *space, mach_port_name_t name, enum kobject type)
{
	struct port *port = space_port(space, name);

	return port != NULL && type != KOBJECT_NONE && port->kobject_type == type ? port->kobject : NULL;
}

#endif
