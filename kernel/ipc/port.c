/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports: queues of messages with rights to them.

   A port lives while it has references: one for the receive right wherever it is (a kernel port's object holds it), one
   for each entry of a space that holds it, one for each right in a message or in the kernel's hands. An entry with send and
   receive rights has one reference in all.

   A port dies when its receive right does. It is dead at once: `dead` is set, its waiting threads are told, rights to it
   count as dead wherever they are looked at. What hangs from it goes in pieces: names become dead names (space_lookup does
   it sooner for those that are used), messages prepaid for its send-once rights and queued messages are freed, replies that
   the kernel owes it are no longer due. The receive right's reference is kept until that is done. Nothing of this needs
   memory.

   Recursion: destroying a queued message may kill further ports. A port with messages in its queue is therefore always
   dismantled later, from the list of the reaper, never at once. */
#include "ipc/port.h"
#include <stddef.h>
#include "ipc/kmsg.h"
#include "ipc/krpc_later.h"
#include "ipc/mqueue.h"
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "ipc/right.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "mem/zone.h"

#define PORT_PIECE 32		/* names and prepaid messages dismantled in one go */

static struct zone port_zone;

/* Of a port or of what extends it. */
static struct ledger *element_payer(const void *element)
{
	return port_payer(element);
}

void port_system_init(void)
{
	zone_init(&port_zone, "port", sizeof(struct port), LEDGER_PORTS, element_payer);
}

static inline void port_init(struct port *port)
{
	port->messages = NULL;
	LIST_INIT(&port->prepaid);
	port->send_rights = port->send_once_rights = port->make_send_count = port->sequence = 0;
	port->names = NULL;
	port->qlimit = MACH_PORT_QLIMIT_DEFAULT;
	port->queued = 0;
}

static void set_init(struct port *set)
{
	TAILQ_INIT(&set->ready);
	LIST_INIT(&set->members);
	TAILQ_INIT(&set->blocked);
	set->queues = NULL;
}

/* All of it but its own name. Of any type, but whether it is a set the caller knows. */
static inline __attribute__((always_inline)) void init(struct port *port, enum kobject type, bool is_set, struct ledger *payer)
{
	port->refs = 1;
	port->state = 0;
	port->kobject_type = type;
	port->charged = payer;
	STACK_INIT(&port->receivers);
	port->senders = NULL;
	if (is_set)
		set_init(port);
	else
		port_init(port);
}

static inline __attribute__((always_inline)) struct port *make(enum kobject type, bool is_set, void *kobject, struct ledger *payer)
{
	struct port *port = zone_alloc(&port_zone, payer);

	if (port == NULL)
		return NULL;
	init(port, type, is_set, payer);
	port->kobject = kobject;
	port->receiver = NULL;
	port->receiver_name = MACH_PORT_NAME_NULL;
	return port;
}

struct port *port_make(enum kobject type, struct ledger *payer)
{
	return make(type, type == KOBJECT_PORT_SET, NULL, payer);
}

struct port *port_make_kernel(enum kobject type, void *object, struct ledger *payer)
{
	return make(type, false, object, payer);
}

inline struct port *port_make_spare(struct ledger *payer)
{
	struct port *port;

	if (!zone_has_spare(&port_zone, payer))
		return NULL;
	port = zone_take_spare(&port_zone);
	init(port, KOBJECT_NONE, false, payer);
	return port;
}

bool port_extend(struct port *port)
{
	struct port_extra *extra;

	if (port->has_extra)
		return true;
	extra = zone_alloc(&port_zone, port->charged);
	if (extra == NULL)
		return false;
	*extra = (struct port_extra){ .charged = port->charged };
	if (port->kobject_type == KOBJECT_PORT_SET)
		throttle_init(&extra->throttle);
	port->extra = extra;
	port->has_extra = true;
	return true;
}

void port_unextend(struct port *port)
{
	struct port_extra *extra = port->extra;

	port->has_extra = false;
	port->charged = extra->charged;
	zone_free(&port_zone, extra, extra->charged);
}

void port_free(struct port *port)
{
	assert(STACK_EMPTY(&port->receivers) && port->senders == NULL);
	if (port->kobject_type == KOBJECT_PORT_SET)
		assert(LIST_EMPTY(&port->members) && TAILQ_EMPTY(&port->ready) && TAILQ_EMPTY(&port->blocked));
	else
		assert(port->messages == NULL && LIST_EMPTY(&port->prepaid) && !port->in_set && port_no_senders(port) == NULL &&
		       port->names == NULL);
	if (port->has_extra)
		port_unextend(port);
	zone_free(&port_zone, port, port->charged);
}

inline void port_free_bare(struct port *port)
{
	assert(port->refs <= 1 && port_is_bare(port) && port->senders == NULL && port->names == NULL);
	zone_free(&port_zone, port, port->charged);
}

static struct port *port_of_reap(struct reap *reap)
{
	return (struct port *)((char *)reap - offsetof(struct port, reap));
}

void port_reaped(struct port *port)
{
	STACK_INIT(&port->receivers);
	port->senders = NULL;
	port_unref(port);
}

/* Some of the names of a dead port become dead names. Returns how many more it might have been. */
static inline unsigned names_die(struct port *port)
{
	unsigned left = PORT_PIECE;
	struct name *entry;

	while (left != 0 && (entry = name_first_of(port)) != NULL) {
		name_died(entry);
		left--;
	}
	return left;
}

/* One piece of dismantling a dead port. */
static bool port_dismantle(struct reap *reap)
{
	struct port *port = port_of_reap(reap);
	unsigned left = names_die(port);
	struct kmsg *kmsg;

	while (left != 0 && (kmsg = port_take_prepaid(port)) != NULL) {
		kmsg_free(kmsg);
		left--;
	}
	while (left != 0 && krpc_later_lose(port))
		left--;
	if (left == 0 || !mqueue_flush(port))
		return false;
	port_reaped(port);
	return true;
}

/* Nobody holds the receive right any more. Consumes its reference. */
static void port_die(struct port *port)
{
	struct port *once = port_no_senders(port);

	port->dead = true;
	if (once != NULL) {
		port->extra->no_senders = NULL;
		right_release_send_once(once);
	}
	if (port->messages != NULL || !port_dismantle(&port->reap))
		reap_defer(&port->reap, port_dismantle);
}

void port_destroy_kernel(struct port *port)
{
	assert(port->kobject_type != KOBJECT_NONE && !port->dead);
	port->kobject = NULL;
	if (unlikely(!port_is_bare(port))) {
		port_die(port);
		return;
	}
	port->dead = true;
	if (likely(names_die(port) != 0))
		port_unref(port);
	else
		reap_defer(&port->reap, port_dismantle);
}

void port_destroy_kernel_later(struct port *port)
{
	assert(port->kobject_type != KOBJECT_NONE && !port->dead && !port->has_extra);
	port->kobject = NULL;
	port->dead = true;
	reap_defer(&port->reap, port_dismantle);
}

void port_destroy(struct port *port)
{
	struct port *once = port_port_destroyed(port);

	assert(port->kobject_type == KOBJECT_NONE && !port->dead);
	/* The last reference can just go. */
	if (port->refs == 1 && port_is_bare(port)) {
		port_free_bare(port);
		return;
	}
	if (once != NULL) {
		right_detach_receive(port);
		port->extra->port_destroyed = NULL;
		notify_port_destroyed(once, port);
		return;
	}
	/* Dead before its threads are told: those that look again must find it so. */
	port->dead = true;
	right_detach_receive(port);
	port_die(port);
}

void port_check(struct port *port)
{
	uint32_t entries = 0, sends = 0, send_onces = 0, prepaid = 0;
	struct name *entry;
	struct kmsg *kmsg;

	entry = port->kobject_type != KOBJECT_PORT_SET ? name_first_of(port) : NULL;
	for (; entry != NULL; entry = name_next_of(entry)) {
		assert(entry->port == port && (entry->type & MACH_PORT_TYPE_RECEIVE) == 0);
		entries++;
		sends += (entry->type & MACH_PORT_TYPE_SEND) != 0;
		send_onces += (entry->type & MACH_PORT_TYPE_SEND_ONCE) != 0;
	}
	if (port->receiver != NULL) {
		entry = radix_lookup(&port->receiver->names, port->receiver_name);
		assert(entry != NULL && entry->port == port && entry->space == port->receiver);
		assert((entry == &port->own) == (port->own.port == port));
		assert(entry->type & (MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET));
		entries++;
		sends += (entry->type & MACH_PORT_TYPE_SEND) != 0;
	}
	if (port->kobject_type == KOBJECT_PORT_SET) {
		throttle_check(port);
		assert(sends + send_onces == 0 && !port->in_set);
		assert(port->has_senders == !TAILQ_EMPTY(&port->blocked) && port->is_split == (port->queues != NULL));
		assert(port->is_split || (port->message_count != 0) == !TAILQ_EMPTY(&port->ready));
	} else {
		assert(!port->is_split && !port->is_throttled && (port->message_count != 0) == (port->messages != NULL));
		assert(port->in_set == (port->has_extra && port->extra->set != NULL) && (port->in_set || !port->is_ready));
		assert(port->dead || port->has_senders == (port->senders != NULL));
		assert(port->has_extra || !port->has_payload);
		LIST_FOREACH(kmsg, &port->prepaid, prepaid_link) {
			assert(kmsg_capacity(kmsg) == KMSG_SMALL);
			prepaid++;
		}
		assert(port->send_rights >= sends && port->send_once_rights >= send_onces);
		assert(port->dead || prepaid <= port->send_once_rights + port->spare_prepaid);
		assert(!port->spare_prepaid || prepaid != 0);
		assert(port->qlimit <= MACH_PORT_QLIMIT_MAX);
	}
	assert(port->refs >= entries && port->refs != 0);
	assert(!port->has_extra || port->extra->state == 0);
	assert(!port->dead || port->receiver == NULL);
	assert(port->in_transit_depth <= TRANSIT_DEPTH_MAX);
}
