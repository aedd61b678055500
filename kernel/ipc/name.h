/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: the entries of spaces, what they hold and how they lose it. */
#ifndef IPC_NAME_H
#define IPC_NAME_H
#include <stdbool.h>
#include "ipc/space.h"
#include "kern/likely.h"

void name_system_init(void);
/* An entry under a free name, in the tree of the space; at: under this one (not name_taken). NULL: denied, nothing changed. The
   caller gives it what it is to hold (port and type, name_hold), or gives it back (name_unmake), before anything else is done. */
struct name *name_make(struct space *space);
struct name *name_make_at(struct space *space, mach_port_name_t name);
/* The port's own entry, for its receive right or the set, which nobody holds. NULL: denied, nothing changed. */
struct name *name_make_own(struct space *space, struct port *port);
/* Fills in the own name of a new port for its receive right, when a free one is at hand. False: it is not. */
bool name_make_own_quick(struct space *space, struct port *port);
struct name *name_make_own_at(struct space *space, struct port *port, mach_port_name_t name);
/* The entry, which may get a send right or a request, lies in no port from now on: itself or what takes its place. NULL: denied,
   nothing changed. */
static inline struct name *name_fill(struct name *entry);
struct name *name_fill_own(struct name *entry);
/* The same for a send-once right: the space's own entry, if that is free. */
struct name *name_make_once(struct space *space);
/* The entry of a send right alone goes with it to another space, which has none for its port and the same payer: under another
   name, but nothing is allocated for it (but a radix node perhaps) or charged. False: denied, nothing changed. */
bool name_move(struct name *entry, struct space *to);
/* The same of an entry that hangs alone, to a space with a free name at hand: nothing is allocated. False: there is none;
   else *received is that. */
bool name_move_alone(struct name *entry, struct space *from, struct space *to, uint64_t *received);
/* The entry, which hangs nowhere, leaves its space. */
void name_unmake(struct name *entry);
/* The new entry takes a right over, its count and its reference, and is found under its port from now on. */
void name_hold(struct name *entry, struct port *port, uint32_t disposition);
/* An entry with a send or send-once right and without the receive right hangs from its port. Call them when an entry that stays
   becomes such a one, or ceases to be one. */
static inline void name_hang(struct name *entry);
static inline void name_unhang(struct name *entry);
/* The entry of the space that holds send or receive rights for port; NULL: none. O(log n). */
static inline struct name *name_of_port(struct space *space, struct port *port);
/* The entry of a right that leaves the space goes; its port's reference is the caller's from now on. A dead-name request becomes
   port-deleted. Each for its kind: those that hang nowhere (receive rights, sets, dead names), those that hang from their port. */
void name_free(struct name *entry);
void name_free_hanging(struct name *entry);
/* The entry of a send-once right that was moved away, its port's reference now the caller's: freed or spare. */
void name_used_up(struct name *entry);
/* Puts the entry under a name (not name_taken) into the space's tree; false: denied. And out again. */
bool name_list(struct space *space, mach_port_name_t name, struct name *entry);
void name_unlist(struct space *space, mach_port_name_t name, const struct name *entry);
/* The end of name_unlist_begin where that says so. True. */
bool name_unlisted(struct space *space, struct radix_node *leaf, mach_port_name_t name);
/* Is the space's own entry the only name in its radix node? Asked only while once_alone says that it may be. */
bool name_once_lonely(struct space *space);
/* The space's own entry, which holds nothing, loses its name. */
void name_once_forget(struct space *space);
/* Has the name an entry that users know of? */
static inline bool name_taken(const struct space *space, mach_port_name_t name)
{
	const struct name *entry = radix_lookup(&space->names, name);

	return entry != NULL && (entry->type & NAME_SPARE) == 0;
}

/* One right less; the entry goes when it was the last. The right itself is destroyed (notifications as in the manual). */
void name_lose_send(struct name *entry, uint32_t urefs);
void name_lose_receive(struct name *entry);
void name_lose_send_once(struct name *entry);
void name_lose_dead(struct name *entry, uint32_t urefs);
/* All rights of the name (mach_port_destroy). */
void name_destroy(struct name *entry);
/* Registers a dead-name request (once: send-once right or NULL) in an entry that holds a living port; *previous: the former. False:
   denied, nothing changed. */
bool name_request_dead(struct name *entry, struct port *once, struct port **previous);

/* The names that hold a port, but for the receive right's. */
struct name *name_first_of(struct port *port);
struct name *name_next_of(struct name *entry);

/* Its type as programs are told. */
static inline mach_port_type_t name_type_told(const struct name *entry)
{
	return entry->type & NAME_TYPE_MASK;
}

/* -- inline: what lies in ports, the tree of a port, and the common way of reply rights -- */

static inline struct name *name_fill(struct name *entry)
{
	return name_is_own(entry) ? name_fill_own(entry) : entry;
}

/* Where an entry is in the trees of ports: a bit decides at each node. There is one path for a space's send rights, and one for each
   send-once right: no two are the same. */
static inline uint64_t name_path_of(const void *place)
{
	return (uintptr_t)place * 0x9e3779b97f4a7c15ull;
}

static inline uint64_t name_path(const struct name *entry)
{
	return name_path_of(entry->type & MACH_PORT_TYPE_SEND_ONCE ? (const void *)entry : entry->space);
}

static inline struct name *name_of_port(struct space *space, struct port *port)
{
	struct name *entry;

	if (port->receiver == space)
		return port->own.port == port ? &port->own : radix_lookup(&space->names, port->receiver_name);
	entry = port->names;
	for (uint64_t path = name_path_of(space); entry != NULL; path <<= 1) {
		if (entry->space == space && (entry->type & MACH_PORT_TYPE_SEND) != 0)
			break;
		entry = name_full(entry)->child[path >> 63];
	}
	return entry;
}

/* Is the entry the only one in its port's tree? */
static inline bool name_hangs_alone(const struct name *entry)
{
	const struct name_full *full = (const struct name_full *)entry;

	return entry->port->names == entry && ((uintptr_t)full->child[0] | (uintptr_t)full->child[1]) == 0;
}

/* The general ways of the two below. */
void name_hang_beside(struct name *entry);
void name_unhang_beside(struct name *entry);

static inline void name_hang(struct name *entry)
{
	struct name_full *full = name_full(entry);

	full->child[0] = full->child[1] = NULL;
	if (likely(entry->port->names == NULL))
		entry->port->names = entry;
	else
		name_hang_beside(entry);
}

static inline void name_unhang(struct name *entry)
{
	if (likely(name_hangs_alone(entry)))
		entry->port->names = NULL;
	else
		name_unhang_beside(entry);
}

/* The entry is in the tree under this name. */
static inline __attribute__((always_inline)) void name_chosen(struct space *space, struct name *entry, uint64_t name)
{
	entry->name = space->last = (mach_port_name_t)name;
	space_remember(space, entry);
}

/* A name beside the last one. False: there is none. */
static inline __attribute__((always_inline)) bool name_beside(struct space *space, struct name *entry)
{
	uint64_t name = space->last;

	if (unlikely(space->leaf == NULL) || unlikely(!radix_leaf_put_beside(space->leaf, &name, entry)))
		return false;
	name_chosen(space, entry, name);
	return true;
}

/* An entry of its own goes from the one space to the other. */
static inline __attribute__((always_inline)) void name_count_move(struct space *from, struct space *to)
{
	to->count++;
	to->charged++;
	from->count--;
	from->charged--;
}

/* The name, in this radix node, leaves the space's tree. False: name_unlisted is to follow, as the node was full, or one name at most is
   left in it. */
static inline __attribute__((always_inline)) bool name_unlist_begin(struct space *space, struct radix_node *leaf, mach_port_name_t name, const struct name *entry)
{
	space_forget(space, name, entry);
	return radix_leaf_clear(leaf, name);
}

/* Could name_move_alone move what the space calls so? It is at hand, a send right alone, the only one in its living port's tree, and
   the other space, which pays from the same ledger, has not the receive right. */
static inline __attribute__((always_inline)) bool name_may_move_alone(const struct name *entry, mach_port_name_t name, const struct space *from, const struct space *to)
{
	return entry->name == name && entry->type == (MACH_PORT_TYPE_SEND | 1) && name_hangs_alone(entry) && entry->port->receiver != to &&
	       !entry->port->dead && from != to && from->names.payer == to->names.payer;
}

/* A send-once right to a living port comes into the space: its entry, which takes the right's count and reference over. NULL:
   it needs the general way (space_insert). */
static inline __attribute__((always_inline)) struct name *name_once_in(struct space *space, struct port *port)
{
	struct name *entry = &space->once, *others = port->names;

	if (entry->type != NAME_SPARE)
		return NULL;
	entry->port = port;
	entry->type = MACH_PORT_TYPE_SEND_ONCE | 1;
	/* While it is spare it has no children. */
	if (likely(others == NULL))
		port->names = entry;
	else
		name_hang(entry);
	return entry;
}

/* The same for a port that no name hangs from. */
static inline __attribute__((always_inline)) struct name *name_once_in_alone(struct space *space, struct port *port)
{
	struct name *entry = &space->once;

	assert(port->names == NULL);
	if (entry->type != NAME_SPARE)
		return NULL;
	entry->port = port;
	entry->type = MACH_PORT_TYPE_SEND_ONCE | 1;
	port->names = entry;
	return entry;
}

/* The send-once right of the space's own entry leaves the space, with its count and reference. False: it needs the general way
   (space_take). */
static inline __attribute__((always_inline)) bool name_once_give(struct space *space)
{
	struct name *entry = &space->once;
	bool alone = name_hangs_alone(entry);

	if ((entry->type & MACH_PORT_TYPE_DNREQUEST) != 0 || (space->once_alone && name_once_lonely(space)))
		return false;
	if (likely(alone)) {
		entry->port->names = NULL;
	} else {
		name_unhang(entry);
		space->once_full.child[0] = space->once_full.child[1] = NULL;
	}
	entry->port = NULL;
	entry->type = NAME_SPARE;
	return true;
}

/* The same of one that hangs alone from the port, has no request, and keeps its name: always. */
static inline __attribute__((always_inline)) void name_once_give_alone(struct space *space, struct port *port)
{
	assert(name_hangs_alone(&space->once) && space->once.port == port);
	port->names = NULL;
	space->once.port = NULL;
	space->once.type = NAME_SPARE;
}

/* The same of any entry. */
static inline bool name_once_out(struct name *entry)
{
	return entry == &entry->space->once && name_once_give(entry->space);
}

#endif
