/* SPDX-License-Identifier: BSD-2-Clause */
/* Port sets.

   A set is a struct port with the list of its members; those that have messages are in its queues instead (ready.c).
   A member points to its set without a reference: a dead set is kept until the
   last member has left it, in pieces. Until then a member may still point to a dead set, which counts as none. */
#include "ipc/portset.h"
#include <stddef.h>
#include "ipc/mqueue.h"
#include "ipc/ready.h"
#include "ipc/throttle.h"
#include "kern/assert.h"

#define PORTSET_PIECE 32	/* members that leave in one go */

bool portset_add(struct port *set, struct port *port)
{
	assert(set->kobject_type == KOBJECT_PORT_SET && !set->dead && !port->dead);
	if (!port_extend(port))
		return false;
	if (port->extra->set == set)
		return true;
	portset_remove(port);
	port->extra->set = set;
	port->in_set = true;
	LIST_INSERT_HEAD(&set->members, port, extra->set_link);
	mqueue_changed(port, MACH_RCV_PORT_CHANGED);
	mqueue_set_joined(port);
	return true;
}

void portset_remove(struct port *port)
{
	if (!port->in_set)
		return;
	mqueue_set_left(port);
	LIST_REMOVE(port, extra->set_link);
	port->extra->set = NULL;
	port->in_set = false;
}

struct port *portset_first(struct port *set)
{
	struct port *port = LIST_FIRST(&set->members);

	return port != NULL ? port : ready_next(set, NULL);
}

struct port *portset_next(struct port *port)
{
	struct port *next;

	if (port->is_ready)
		return ready_next(port->extra->set, port);
	next = LIST_NEXT(port, extra->set_link);
	return next != NULL ? next : ready_next(port->extra->set, NULL);
}

static bool portset_dismantle(struct reap *reap)
{
	struct port *set = (struct port *)((char *)reap - offsetof(struct port, reap));
	unsigned left = PORTSET_PIECE;
	struct port *port;

	while (left-- != 0) {
		port = portset_first(set);
		if (port == NULL) {
			ready_end(set);
			port_reaped(set);
			return true;
		}
		portset_remove(port);
	}
	return false;
}

void portset_destroy(struct port *set)
{
	assert(set->kobject_type == KOBJECT_PORT_SET && !set->dead);
	set->dead = true;
	set->receiver = NULL;
	throttle_end(set);
	mqueue_changed(set, MACH_RCV_PORT_DIED);
	if (!portset_dismantle(&set->reap))
		reap_defer(&set->reap, portset_dismantle);
}
