/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: the entries of spaces.

   An entry is found by its name in the radix tree of its space, and by its port while it holds a living or dying one:
    - the entry with the receive right is port->own, or found by port->receiver and port->receiver_name;
    - the others hang in the tree port->names: a space has one for its send rights to a port, and one for each send-once right.
   Port sets need no way back.

   The entry of a receive right, if that is all, or of a set lies in its port (port->own): it is paid with the port, and goes with the
   right. It has neither room for links nor for a request: before it gets a send right or a dead-name request it becomes an entry of its
   own (name_fill), which can be denied, and stays one. So what happens to the others (they hang from their port when the receive
   right leaves, become dead names) never happens to one that lies in a port.

   The tree is a digital search tree (Coffman, Eve 1970; Knuth, TAOCP 3, 6.3): each entry is a node, and the n-th bit of its
   path (name_path: of its space's address or, for a send-once right, its own) says which way to go from the n-th node on. Paths differ, so nothing is deeper than 64; they are well
   mixed, so n entries are about log n deep. There is nothing to balance, and an entry has no links but two.

   An attached entry holds one reference to the port, whatever rights it stands for. A send right counts once in
   port->send_rights, whatever its user references.

   An entry is made before a right is moved (the only step that can be denied), and gets it at once: nothing that could look at it
   comes between. A right that dies leaves its entry as a dead name, so that losing rights never needs memory.

   A server gets a reply right with each request, and moves it away with its answer. So each space has one entry of its own, which is
   part of the task and paid with it: space->once, for a send-once right that comes while it is free. Used up it is spare:
   it keeps its name and its place in the radix tree for the next one, unseen by users, as long as another name
   is in the same leaf, so that it costs no node. Whoever asks for that very name gets it. (decisions/0007) */
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "mem/zone.h"

static struct zone name_zone;

static struct ledger *name_payer(const void *element)
{
	return ((const struct name_full *)element)->name.space->names.payer;
}

void name_system_init(void)
{
	zone_init(&name_zone, "name", sizeof(struct name_full), LEDGER_NAMES, name_payer);
}

/* The next free name in a window twice as wide as the space is full. A space that grows, whose last name is still in use, leaves two
   free in each node (radix_put_beside). They are for the program that makes and frees names again and again where the nodes are
   full otherwise, and would need a node each time. freed: the last name is in use no more. */
static uint64_t name_search(const struct space *space, bool freed)
{
	uint64_t window = 64 + 2 * (uint64_t)space->count, left = 1;
	uint64_t name = freed ? space->last : space->last | (RADIX_SLOTS - 1);

	name = radix_lowest_free(&space->names, name < window ? name + 1 : 1);
	if (name >= window)
		name = radix_lowest_free(&space->names, 1);
	if (freed && radix_leaf_of(&space->names, name) == NULL && radix_next(&space->names, &left) != NULL) {
		left = radix_lowest_free(&space->names, left);
		if (left != space->last && radix_leaf_of(&space->names, left) != NULL)
			name = left;
	}
	return name;
}

/* A free name in a node next to that of the last one, which has another free one as well, so that the name after it is beside it. 0: they
   have not. */
static uint64_t name_next_door(const struct space *space)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		uint64_t steps = (tries / 2 + 1) * RADIX_SLOTS;
		uint64_t first = (space->last & ~(uint64_t)(RADIX_SLOTS - 1)) + (tries % 2 != 0 ? steps : -steps);
		const struct radix_node *leaf = first != 0 ? radix_leaf_of(&space->names, first) : NULL;
		unsigned free = leaf != NULL ? leaf->present ^ RADIX_FULL : 0;

		if ((free & (free - 1)) != 0)
			return first + (unsigned)__builtin_ctz(free);
	}
	return 0;
}

/* A name elsewhere, as there is none beside the last one. A program that makes and frees one name again and again, where each node
   has but one free, uses two by turns, without a search: the last is free again when this one has gone. False: denied. */
static __attribute__((noinline)) bool name_choose_far(struct space *space, struct name *entry)
{
	bool freed = radix_lookup(&space->names, space->last) == NULL;
	uint64_t name = freed ? name_next_door(space) : 0;

	if (name == 0)
		name = space->elsewhere;
	if (!freed || name == 0 || name == space->last || !radix_put_in_leaf(&space->names, name, entry)) {
		name = name_search(space, freed);
		assert(name != 0 && name < MACH_PORT_NAME_DEAD);
		if (!radix_put(&space->names, name, entry))
			return false;
	}
	if (freed)
		space->elsewhere = space->last;
	name_chosen(space, entry, name);
	space->leaf = radix_leaf_of(&space->names, name);
	return true;
}

/* Names are small integers, so that the tree stays dense: beside the one given out last while there is room in its node, where they
   cost no other; else further on. The search goes round, so a name that was just freed is not given out again at once. False:
   denied. */
static inline bool name_choose(struct space *space, struct name *entry)
{
	return name_beside(space, entry) || name_choose_far(space, entry);
}

/* A name is cleared out of the leaf. */
static void leaf_cleared(struct space *space, struct radix_node *leaf)
{
	radix_leaf_cleared(&space->names, leaf);
	space->leaf = radix_leaf_of(&space->names, space->last);
}

void name_once_forget(struct space *space)
{
	struct name *once = &space->once;
	struct radix_node *leaf;

	if (once->type != 0) {
		leaf = space_leaf(space, once->name);
		if (!radix_leaf_clear(leaf, once->name))
			leaf_cleared(space, leaf);
	}
	space_forget(space, once->name, once);
	once->type = 0;
}

/* Returns true, so that what is rare is a jump for those with nothing else to do. */
bool name_unlisted(struct space *space, struct radix_node *leaf, mach_port_name_t name)
{
	const struct name *once = &space->once;
	bool lonely = leaf->present != 0 && radix_node_lonely(leaf);

	leaf_cleared(space, leaf);
	if (!lonely || once->type == 0 || (once->name ^ name) >= RADIX_SLOTS)
		return true;
	/* What is left is the space's own entry. */
	space->once_alone = true;
	if (once->type == NAME_SPARE)
		name_once_forget(space);
	return true;
}

/* True. */
static inline bool unlist(struct space *space, mach_port_name_t name, const struct name *entry)
{
	struct radix_node *leaf = space_leaf(space, name);

	return likely(name_unlist_begin(space, leaf, name, entry)) || name_unlisted(space, leaf, name);
}

void name_unlist(struct space *space, mach_port_name_t name, const struct name *entry)
{
	unlist(space, name, entry);
}

bool name_once_lonely(struct space *space)
{
	space->once_alone = radix_lonely(&space->names, space->once.name);
	return space->once_alone;
}

inline void name_unmake(struct name *entry)
{
	struct space *space = entry->space;

	if (entry == &space->once) {
		name_once_forget(space);
		return;
	}
	space->count--;
	unlist(space, entry->name, entry);
	if (name_is_own(entry)) {
		entry->space = NULL;
		entry->port = NULL;
		return;
	}
	space->charged--;
	zone_free(&name_zone, entry, space->names.payer);
}

bool name_list(struct space *space, mach_port_name_t name, struct name *entry)
{
	if (space->once.type == NAME_SPARE && space->once.name == name) {
		radix_replace(&space->names, name, entry);
		space_forget(space, name, &space->once);
		space->once.type = 0;
		return true;
	}
	if (!radix_put(&space->names, name, entry))
		return false;
	space->leaf = radix_leaf_of(&space->names, space->last);
	return true;
}

bool name_move(struct name *entry, struct space *to)
{
	struct space *from = entry->space;
	mach_port_name_t name = entry->name;

	if (!name_choose(to, entry))
		return false;
	name_count_move(from, to);
	unlist(from, name, entry);
	name_unhang(entry);
	entry->space = to;
	name_hang(entry);
	return true;
}

inline __attribute__((always_inline)) bool name_move_alone(struct name *entry, struct space *from, struct space *to, uint64_t *received)
{
	mach_port_name_t name = entry->name;

	assert(name_hangs_alone(entry));
	if (unlikely(!name_beside(to, entry)))
		return false;
	*received = entry->name;
	entry->space = to;
	name_count_move(from, to);
	return unlist(from, name, entry);
}

/* An entry without a name. */
static inline struct name *name_alloc(struct space *space)
{
	struct name_full *full = zone_alloc(&name_zone, space->names.payer);

	if (full == NULL)
		return NULL;
	full->name.space = space;
	full->name.port = NULL;
	return &full->name;
}

/* Is it in the tree? Else it goes again. */
static inline struct name *name_made(struct space *space, struct name *entry, bool listed)
{
	if (!listed) {
		zone_free(&name_zone, entry, space->names.payer);
		return NULL;
	}
	space->count++;
	space->charged++;
	return entry;
}

struct name *name_make(struct space *space)
{
	struct name *entry = name_alloc(space);

	return entry != NULL ? name_made(space, entry, name_choose(space, entry)) : NULL;
}

struct name *name_make_at(struct space *space, mach_port_name_t name)
{
	struct name *entry = name_alloc(space);

	if (entry == NULL)
		return NULL;
	entry->name = name;
	return name_made(space, entry, name_list(space, name, entry));
}

struct name *name_make_own(struct space *space, struct port *port)
{
	struct name *entry = &port->own;

	assert(port->receiver == NULL);
	if (!name_choose(space, entry))
		return NULL;
	entry->space = space;
	space->count++;
	return entry;
}

inline bool name_make_own_quick(struct space *space, struct port *port)
{
	struct name *entry = &port->own;

	if (unlikely(!name_beside(space, entry)))
		return false;
	entry->space = space;
	entry->type = MACH_PORT_TYPE_RECEIVE;
	entry->port = port;
	space->count++;
	return true;
}

struct name *name_make_own_at(struct space *space, struct port *port, mach_port_name_t name)
{
	struct name *entry = &port->own;

	assert(port->receiver == NULL);
	if (!name_list(space, name, entry))
		return NULL;
	entry->name = name;
	entry->space = space;
	space->count++;
	return entry;
}

struct name *name_fill_own(struct name *entry)
{
	struct space *space = entry->space;
	struct name_full *full = zone_alloc(&name_zone, space->names.payer);

	if (full == NULL)
		return NULL;
	full->name = *entry;
	/* What else it has as the port's receiver and receiver_name stays. */
	entry->port = NULL;
	radix_replace(&space->names, entry->name, full);
	space_replace(space, entry, &full->name);
	space->charged++;
	return &full->name;
}

struct name *name_make_once(struct space *space)
{
	struct name *once = &space->once;

	if (once->type == 0) {
		if (!name_choose(space, once))
			return NULL;
		once->space = space;
		once->port = NULL;
		space->once_full.child[0] = space->once_full.child[1] = NULL;
		once->type = NAME_SPARE;
		space->once_alone = true;
	}
	if (once->type != NAME_SPARE)
		return name_make(space);
	return once;
}

/* -- the way from the port to its names -- */

/* The link that leads to the entry, or to the free place where it belongs. */
static struct name **tree_place(struct port *port, const struct name *entry)
{
	struct name **place = &port->names;

	for (uint64_t path = name_path(entry); *place != NULL && *place != entry; path <<= 1)
		place = &name_full(*place)->child[path >> 63];
	return place;
}

void name_hang_beside(struct name *entry)
{
	struct name **place = tree_place(entry->port, entry);

	assert(*place == NULL);
	*place = entry;
}

/* Any leaf below the entry may take its place: the bits up to there are the same. */
void name_unhang_beside(struct name *entry)
{
	struct name **place = tree_place(entry->port, entry), **leaf = place, *other;

	assert(*place == entry);
	while (name_full(*leaf)->child[0] != NULL || name_full(*leaf)->child[1] != NULL)
		leaf = &name_full(*leaf)->child[name_full(*leaf)->child[0] == NULL];
	other = *leaf;
	*leaf = NULL;
	if (other == entry)
		return;
	name_full(other)->child[0] = name_full(entry)->child[0];
	name_full(other)->child[1] = name_full(entry)->child[1];
	*place = other;
}

/* In the order of a walk, parents first. */
struct name *name_next_of(struct name *entry)
{
	struct name *node = entry->port->names, *behind = NULL;

	for (uint64_t path = name_path(entry); node != entry; path <<= 1) {
		if (path >> 63 == 0 && name_full(node)->child[1] != NULL)
			behind = name_full(node)->child[1];
		node = name_full(node)->child[path >> 63];
	}
	for (unsigned i = 0; i < 2; i++) {
		if (name_full(entry)->child[i] != NULL)
			return name_full(entry)->child[i];
	}
	return behind;
}

struct name *name_first_of(struct port *port)
{
	return port->names;
}

/* -- what entries hold -- */

void name_hold(struct name *entry, struct port *port, uint32_t disposition)
{
	entry->port = port;
	if (disposition == MACH_MSG_TYPE_PORT_SEND) {
		entry->type = MACH_PORT_TYPE_SEND | 1;
		name_hang(entry);
	} else if (disposition == MACH_MSG_TYPE_PORT_RECEIVE) {
		assert(name_is_own(entry));
		entry->type = MACH_PORT_TYPE_RECEIVE;
	} else {
		entry->type = MACH_PORT_TYPE_SEND_ONCE | 1;
		name_hang(entry);
	}
}

/* It is a dead name now. Somebody has asked to be told. */
static __attribute__((noinline)) void died_told(struct name *entry, struct port *port)
{
	if (entry->urefs < MACH_PORT_UREFS_MAX)
		entry->urefs++;
	notify_dead_name(name_full(entry)->dead_request, entry->name);
	port_unref(port);
}

/* The same, when it hangs nowhere any more. */
static inline void died(struct name *entry)
{
	uint32_t type = entry->type;
	struct port *port = entry->port;

	assert(port->dead && (type & (MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET)) == 0);
	/* Of the last send right to what is dead nobody is told. */
	if (type & MACH_PORT_TYPE_SEND)
		port->send_rights--;
	else
		right_uncount_send_once(port);
	entry->port = NULL;
	entry->type = (type & ~NAME_TYPE_MASK) | MACH_PORT_TYPE_DEAD_NAME;
	if (unlikely(type & MACH_PORT_TYPE_DNREQUEST))
		died_told(entry, port);
	else
		port_unref(port);
}

static __attribute__((noinline)) void died_beside(struct name *entry)
{
	name_unhang_beside(entry);
	died(entry);
}

void name_died(struct name *entry)
{
	if (likely(name_hangs_alone(entry))) {
		entry->port->names = NULL;
		died(entry);
	} else {
		died_beside(entry);
	}
}

void name_free(struct name *entry)
{
	mach_port_name_t name = entry->name;
	struct port *once = name_request(entry);

	name_unmake(entry);
	if (once != NULL)
		notify_port_deleted(once, name);
}

void name_free_hanging(struct name *entry)
{
	name_unhang(entry);
	name_free(entry);
}

void name_used_up(struct name *entry)
{
	if (!name_once_out(entry))
		name_free_hanging(entry);
}

void name_lose_send(struct name *entry, uint32_t urefs)
{
	struct port *port = entry->port;

	assert((entry->type & MACH_PORT_TYPE_SEND) && urefs <= entry->urefs);
	entry->urefs -= urefs;
	if (entry->urefs != 0)
		return;
	entry->type &= ~MACH_PORT_TYPE_SEND;
	right_uncount_send(port);
	if (entry->type & MACH_PORT_TYPE_RECEIVE)
		return;
	name_free_hanging(entry);
	port_unref(port);
}

static __attribute__((noinline)) void unlisted_bare(struct space *space, struct radix_node *leaf, mach_port_name_t name, struct port *port)
{
	name_unlisted(space, leaf, name);
	port_free_bare(port);
}

/* The port goes with its own name, and nothing else is to be done. */
static inline void lose_bare(struct space *space, struct port *port)
{
	mach_port_name_t name = port->receiver_name;
	struct radix_node *leaf = space_leaf(space, name);

	space->count--;
	space_forget(space, name, &port->own);
	if (likely(radix_leaf_clear(leaf, name)))
		port_free_bare(port);
	else
		unlisted_bare(space, leaf, name, port);
}

static __attribute__((noinline)) void lose_receive(struct name *entry)
{
	struct port *port = entry->port;

	if ((entry->type & MACH_PORT_TYPE_SEND) == 0) {
		name_free(entry);
		port_destroy(port);
		return;
	}
	port_ref(port);
	entry->type &= ~MACH_PORT_TYPE_RECEIVE;
	name_hang(entry);
	port_destroy(port);
	/* The entry is a dead name by now, is still to become one, or the right went to a port-destroyed notification. */
	if (entry->port != NULL && entry->port->dead)
		name_died(entry);
}

void name_lose_receive(struct name *entry)
{
	struct port *port = entry->port;

	assert(entry->type & MACH_PORT_TYPE_RECEIVE);
	if (likely(entry == &port->own) && likely(port->refs == 1) && likely(port_is_bare(port)))
		lose_bare(entry->space, port);
	else
		lose_receive(entry);
}

void name_lose_send_once(struct name *entry)
{
	struct port *port = entry->port;

	assert(entry->type & MACH_PORT_TYPE_SEND_ONCE);
	name_free_hanging(entry);
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
	struct port *set = entry->port;

	name_free(entry);
	portset_destroy(set);
}

void name_destroy(struct name *entry)
{
	if (entry->type == MACH_PORT_TYPE_RECEIVE) {
		name_lose_receive(entry);
		return;
	}
	if (entry->type & MACH_PORT_TYPE_DEAD_NAME) {
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

bool name_request_dead(struct name *entry, struct port *once, struct port **previous)
{
	assert(entry->port != NULL);
	if (once != NULL && (entry = name_fill(entry)) == NULL)
		return false;
	*previous = name_request(entry);
	entry->type &= ~MACH_PORT_TYPE_DNREQUEST;
	if (once != NULL) {
		entry->type |= MACH_PORT_TYPE_DNREQUEST;
		name_full(entry)->dead_request = once;
	}
	return true;
}
