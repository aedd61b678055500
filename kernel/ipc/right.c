/* SPDX-License-Identifier: BSD-2-Clause */
/* Rights: those outside spaces, and the moves in and out of spaces.

   A right in a message or in the kernel's hands is a struct port * with a disposition (MACH_MSG_TYPE_PORT_SEND, SEND_ONCE or
   RECEIVE); it holds one reference, and send and send-once rights are counted in the port. Moving a right out of
   a space (space_take) or into one (space_insert) hands the count over; an entry has its own reference.

   A receive right in a message points to the port in whose queue it is (destination). That chain ends at a port that
   somebody holds, has no loops and at most TRANSIT_DEPTH_MAX links; in_transit_depth of a port bounds how deep rights nest
   inside its queue. The bound is forgotten when the queue is found empty. */
#include "ipc/right.h"
#include "ipc/kmsg.h"
#include "ipc/mqueue.h"
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "kern/assert.h"
#include "kern/device.h"
#include "kern/exception.h"
#include "vm/upcalls.h"

struct port *right_make_send(struct port *port)
{
	if (port->dead)
		return PORT_DEAD;
	port->make_send_count++;
	port->send_rights++;
	port_ref(port);
	return port;
}

struct port *right_copy_send(struct port *port)
{
	if (port->dead)
		return PORT_DEAD;
	port->send_rights++;
	port_ref(port);
	return port;
}

struct port *right_make_send_once(struct port *port, struct ledger *payer)
{
	if (port->dead)
		return PORT_DEAD;
	if (payer != NULL && port->spare_prepaid) {
		port->spare_prepaid = false;
	} else if (payer != NULL && port->kobject_type == KOBJECT_NONE) {
		port_ref(port);
		if (!port_prepay(port, payer)) {
			port_unref(port);
			return PORT_NULL;
		}
		/* Allocating may have worked off the reaper's list, and the port's death with it. */
		if (port->dead) {
			kmsg_free(port_take_prepaid(port));
			port_unref(port);
			return PORT_DEAD;
		}
		port->refs--;
	}
	port->send_once_rights++;
	port_ref(port);
	return port;
}

void right_no_senders(struct port *port)
{
	struct port *once = port_no_senders(port);

	if (port->kobject_type == KOBJECT_DEVICE && !port->dead)
		device_no_senders(port->kobject);
	if (port->kobject_type == KOBJECT_MEMORY && !port->dead && vm_name_unused(port->kobject))
		port_destroy_kernel_later(port);
	if (once == NULL)
		return;
	port->extra->no_senders = NULL;
	notify_no_senders(once, port->make_send_count);
}

void right_uncount_send_once(struct port *port)
{
	assert(port->send_once_rights != 0);
	port->send_once_rights--;
}

inline void right_release_send(struct port *port)
{
	right_uncount_send(port);
	port_unref(port);
}

inline void right_consume_send_once(struct port *port)
{
	right_uncount_send_once(port);
	port_unref(port);
}

void right_release_send_once(struct port *port)
{
	/* The one of an exception's message: its thread must not wait for ever. */
	if (!port->dead && port->kobject_type == KOBJECT_THREAD)
		exception_reply_lost(port);
	notify_send_once(port);
}

void right_release_receive(struct port *port)
{
	port_destroy(port);
}

void right_release(struct port *port, uint32_t disposition)
{
	if (!port_valid(port))
		return;
	switch (disposition) {
	case MACH_MSG_TYPE_PORT_RECEIVE:
		right_release_receive(port);
		break;
	case MACH_MSG_TYPE_PORT_SEND:
		right_release_send(port);
		break;
	case MACH_MSG_TYPE_PORT_SEND_ONCE:
		right_release_send_once(port);
		break;
	default:
		panic("right_release: disposition %u", disposition);
	}
}

void right_detach_receive(struct port *port)
{
	port->receiver = NULL;
	port->receiver_name = MACH_PORT_NAME_NULL;
	port->destination = NULL;
	port->make_send_count = 0;
	port->sequence = 0;
	mqueue_number_anew(port);
	port->has_payload = false;
	if (port->spare_prepaid)
		kmsg_free(port_take_prepaid(port));
	port->keeps_reply = port->spare_prepaid = false;
	portset_remove(port);
	if (!STACK_EMPTY(&port->receivers) || port->has_senders)
		mqueue_changed(port, MACH_RCV_PORT_DIED);
}

/* In whose queue the port's receive right is; NULL: in none. */
static struct port *transit_next(const struct port *port)
{
	return port->kobject_type == KOBJECT_NONE && port->receiver == NULL ? port->destination : NULL;
}

bool right_transit_begin(struct port *port, struct port *destination)
{
	unsigned inside, above = 0;
	struct port *p;

	if (port->messages == NULL)
		port->in_transit_depth = 0;
	if (destination->messages == NULL)
		destination->in_transit_depth = 0;
	inside = port->in_transit_depth + 1u;
	for (p = destination; p != NULL; p = transit_next(p))
		if (p == port || inside + above++ > TRANSIT_DEPTH_MAX)
			return false;
	for (p = destination; p != NULL; p = transit_next(p)) {
		if (p->in_transit_depth < inside)
			p->in_transit_depth = (uint8_t)inside;
		inside++;
	}
	port->destination = destination;
	return true;
}

/* -- into a space -- */

/* One user reference more, if there can be. */
static void insert_uref(struct name *entry)
{
	if (entry->urefs < MACH_PORT_UREFS_MAX)
		entry->urefs++;
}

static void insert_send(struct name *entry, struct port *port)
{
	insert_uref(entry);
	if (entry->type & MACH_PORT_TYPE_SEND)
		right_uncount_send(port);
	entry->type |= MACH_PORT_TYPE_SEND;
	port_unref(port);
}

static void insert_receive(struct name *entry, struct port *port)
{
	name_unhang(entry);
	entry->type |= MACH_PORT_TYPE_RECEIVE;
	port->receiver = entry->space;
	port->receiver_name = entry->name;
	port->destination = NULL;
	port->make_send_count = 0;
	port_unref(port);
}

/* The entry that the space has for the port gets another right, whose reference is not needed. False: denied. */
static bool insert_held(struct name *entry, struct port *port, uint32_t disposition)
{
	if (disposition == MACH_MSG_TYPE_PORT_RECEIVE) {
		insert_receive(entry, port);
		return true;
	}
	entry = name_fill(entry);
	if (entry != NULL)
		insert_send(entry, port);
	return entry != NULL;
}

static void insert_new(struct name *entry, struct port *port, uint32_t disposition)
{
	name_hold(entry, port, disposition);
	if (disposition == MACH_MSG_TYPE_PORT_RECEIVE)
		port->make_send_count = 0;
}

kern_return_t space_insert(struct space *space, struct port *port, uint32_t disposition, mach_port_name_t *name)
{
	bool once = disposition == MACH_MSG_TYPE_PORT_SEND_ONCE;
	struct name *entry;

	*name = port == PORT_NULL ? MACH_PORT_NAME_NULL : MACH_PORT_NAME_DEAD;
	if (!port_valid(port))
		return KERN_SUCCESS;
	if (port->dead) {
		right_release(port, disposition);
		return KERN_SUCCESS;
	}
	if (space->dead)
		return KERN_INVALID_TASK;
	entry = once ? NULL : name_of_port(space, port);
	if (entry != NULL) {
		mach_port_name_t held = entry->name;

		if (!insert_held(entry, port, disposition))
			return KERN_RESOURCE_SHORTAGE;
		*name = held;
		return KERN_SUCCESS;
	}
	if (disposition == MACH_MSG_TYPE_PORT_RECEIVE)
		entry = name_make_own(space, port);
	else
		entry = once ? name_make_once(space) : name_make(space);
	if (entry == NULL)
		return KERN_RESOURCE_SHORTAGE;
	/* Allocating may have worked off the reaper's list, and the port's death with it. */
	if (port->dead) {
		name_unmake(entry);
		right_release(port, disposition);
		return KERN_SUCCESS;
	}
	insert_new(entry, port, disposition);
	*name = entry->name;
	return KERN_SUCCESS;
}

kern_return_t space_insert_at(struct space *space, struct port *port, uint32_t disposition, mach_port_name_t name)
{
	bool once = disposition == MACH_MSG_TYPE_PORT_SEND_ONCE;
	struct name *entry;

	if (!MACH_PORT_NAME_VALID(name) || !MACH_MSG_TYPE_PORT_ANY_RIGHT(disposition))
		return KERN_INVALID_VALUE;
	if (!port_valid(port) || port->dead)
		return KERN_INVALID_CAPABILITY;
	if (space->dead)
		return KERN_INVALID_TASK;
	entry = once ? NULL : name_of_port(space, port);
	if (entry != NULL && entry->name != name)
		return KERN_RIGHT_EXISTS;
	if (entry != NULL && disposition == MACH_MSG_TYPE_PORT_SEND && entry->urefs >= MACH_PORT_UREFS_MAX)
		return KERN_UREFS_OVERFLOW;
	if (entry != NULL)
		return insert_held(entry, port, disposition) ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
	if (name_taken(space, name))
		return KERN_NAME_EXISTS;
	entry = disposition == MACH_MSG_TYPE_PORT_RECEIVE ? name_make_own_at(space, port, name) : name_make_at(space, name);
	if (entry == NULL)
		return KERN_RESOURCE_SHORTAGE;
	if (port->dead) {
		name_unmake(entry);
		return KERN_INVALID_CAPABILITY;
	}
	insert_new(entry, port, disposition);
	return KERN_SUCCESS;
}

/* -- out of a space -- */

uint32_t right_type_wanted(uint32_t type)
{
	switch (type) {
	case MACH_MSG_TYPE_MOVE_RECEIVE:
	case MACH_MSG_TYPE_MAKE_SEND:
	case MACH_MSG_TYPE_MAKE_SEND_ONCE:
		return MACH_PORT_TYPE_RECEIVE;
	case MACH_MSG_TYPE_MOVE_SEND:
	case MACH_MSG_TYPE_COPY_SEND:
		return MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_DEAD_NAME;
	case MACH_MSG_TYPE_MOVE_SEND_ONCE:
		return MACH_PORT_TYPE_SEND_ONCE | MACH_PORT_TYPE_DEAD_NAME;
	default:
		return 0;
	}
}

/* The entry of a valid name to take the right from. */
static kern_return_t take_entry(struct space *space, mach_port_name_t name, uint32_t type, struct name **entry)
{
	uint32_t wanted = right_type_wanted(type);

	if (wanted == 0)
		return KERN_INVALID_VALUE;
	*entry = NULL;
	if (!MACH_PORT_NAME_VALID(name))
		return KERN_SUCCESS;
	*entry = space_lookup(space, name);
	if (*entry == NULL)
		return KERN_INVALID_NAME;
	return ((*entry)->type & wanted) ? KERN_SUCCESS : KERN_INVALID_RIGHT;
}

kern_return_t space_take_check(struct space *space, mach_port_name_t name, uint32_t type)
{
	struct name *entry;

	return take_entry(space, name, type, &entry);
}

/* The right that leaves gets a reference of its own, or the entry's, which goes when it held nothing else. */
static void take_send(struct name *entry)
{
	struct port *port = entry->port;

	if (entry->urefs == 1 && (entry->type & MACH_PORT_TYPE_RECEIVE) == 0) {
		name_free_hanging(entry);
		return;
	}
	port_ref(port);
	if (--entry->urefs != 0)
		port->send_rights++;
	else
		entry->type &= ~MACH_PORT_TYPE_SEND;
}

static void take_receive(struct name *entry)
{
	struct port *port = entry->port;

	if ((entry->type & MACH_PORT_TYPE_SEND) == 0) {
		name_free(entry);
	} else {
		port_ref(port);
		entry->type &= ~MACH_PORT_TYPE_RECEIVE;
		name_hang(entry);
	}
	right_detach_receive(port);
}

/* A right to send leaves the entry, in one of the three ways. */
static inline void take_send_as(struct name *entry, struct port *port, uint32_t type)
{
	if (type == MACH_MSG_TYPE_MOVE_SEND)
		take_send(entry);
	else if (type == MACH_MSG_TYPE_COPY_SEND)
		right_copy_send(port);
	else
		right_make_send(port);
}

static kern_return_t take_living(struct space *space, struct name *entry, uint32_t type, struct port **port)
{
	*port = entry->port;
	switch (type) {
	case MACH_MSG_TYPE_MOVE_RECEIVE:
		take_receive(entry);
		break;
	case MACH_MSG_TYPE_MOVE_SEND:
	case MACH_MSG_TYPE_COPY_SEND:
	case MACH_MSG_TYPE_MAKE_SEND:
		take_send_as(entry, *port, type);
		break;
	case MACH_MSG_TYPE_MAKE_SEND_ONCE:
		if (right_make_send_once(*port, space->names.payer) == PORT_NULL)
			return KERN_RESOURCE_SHORTAGE;
		break;
	default:
		name_used_up(entry);
		break;
	}
	return KERN_SUCCESS;
}

static uint32_t taken_disposition(uint32_t type)
{
	if (type == MACH_MSG_TYPE_COPY_SEND || type == MACH_MSG_TYPE_MAKE_SEND)
		return MACH_MSG_TYPE_PORT_SEND;
	if (type == MACH_MSG_TYPE_MAKE_SEND_ONCE)
		return MACH_MSG_TYPE_PORT_SEND_ONCE;
	return type;
}

kern_return_t space_take(struct space *space, mach_port_name_t name, uint32_t type, struct port **port, uint32_t *disposition)
{
	struct name *entry;
	kern_return_t kr = take_entry(space, name, type, &entry);

	if (kr != KERN_SUCCESS)
		return kr;
	*disposition = taken_disposition(type);
	if (entry == NULL) {
		*port = name == MACH_PORT_NAME_NULL ? PORT_NULL : PORT_DEAD;
		return KERN_SUCCESS;
	}
	if ((entry->type & MACH_PORT_TYPE_DEAD_NAME) == 0)
		return take_living(space, entry, type, port);
	*port = PORT_DEAD;
	if (type != MACH_MSG_TYPE_COPY_SEND)
		name_lose_dead(entry, 1);
	return KERN_SUCCESS;
}

/* -- from one space into another -- */

/* MACH_PORT_TYPE_... that a name must have for a send right to be taken of it as type; 0: that is no send right. */
static uint32_t send_type_wanted(uint32_t type)
{
	switch (type) {
	case MACH_MSG_TYPE_MOVE_SEND:
	case MACH_MSG_TYPE_COPY_SEND:
		return MACH_PORT_TYPE_SEND;
	case MACH_MSG_TYPE_MAKE_SEND:
		return MACH_PORT_TYPE_RECEIVE;
	default:
		return 0;
	}
}

/* Does all that the entry holds go with the right? */
static inline bool moves_whole(const struct name *entry, uint32_t type)
{
	return type == MACH_MSG_TYPE_MOVE_SEND && entry->type == (MACH_PORT_TYPE_SEND | 1);
}

bool right_pass_send(struct space *from, mach_port_name_t name, uint32_t type, struct space *to, mach_port_name_t *received)
{
	struct name *entry = space_find(from, name), *held;
	struct port *port;

	/* A request would be told of: that is a message, and may wake somebody. */
	if (entry == NULL || (entry->type & send_type_wanted(type)) == 0 || (entry->type & MACH_PORT_TYPE_DNREQUEST) != 0 || from == to || to->dead)
		return false;
	port = entry->port;
	if (port->dead)
		return false;
	held = name_of_port(to, port);
	if (held == NULL && moves_whole(entry, type) && from->names.payer == to->names.payer) {
		if (!name_move(entry, to))
			return false;
		assert(!port->dead);
		*received = entry->name;
		return true;
	}
	if (held == NULL) {
		struct name *made = name_make(to);

		if (made == NULL)
			return false;
		/* What is dead was not looked at: the port still lives. */
		assert(!port->dead);
		take_send_as(entry, port, type);
		name_hold(made, port, MACH_MSG_TYPE_PORT_SEND);
		*received = made->name;
		return true;
	}
	held = name_fill(held);
	if (held == NULL)
		return false;
	take_send_as(entry, port, type);
	insert_send(held, port);
	*received = held->name;
	return true;
}

inline __attribute__((always_inline)) bool right_pass_alone(struct space *from, mach_port_name_t name, struct space *to, uint64_t *received)
{
	struct name *entry = *space_first(from, name);

	assert(!to->dead);
	return name_may_move_alone(entry, name, from, to) && name_move_alone(entry, from, to, received);
}
