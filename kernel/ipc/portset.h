/* SPDX-License-Identifier: BSD-2-Clause */
/* Port sets: a struct port of type KOBJECT_PORT_SET with member ports. */
#ifndef IPC_PORTSET_H
#define IPC_PORTSET_H
#include "ipc/port.h"

/* Puts the port into the set, out of its former one. Threads that wait on the port itself get MACH_RCV_PORT_CHANGED;
   those that wait on the set get the port's messages. False: denied to the port's ledger (port_extend); only the first time. */
bool portset_add(struct port *set, struct port *port);
/* No-op when it is in no set. */
void portset_remove(struct port *port);
/* The living set that the port is a member of, or NULL. Here, as each message asks for it. */
static inline struct port *port_set_of(struct port *port)
{
	if (!port->in_set)
		return NULL;
	if (port->extra->set->dead) {
		portset_remove(port);
		return NULL;
	}
	return port->extra->set;
}
/* All members, one after the other, in no order; NULL: no more. */
struct port *portset_first(struct port *set);
struct port *portset_next(struct port *port);
/* The set's right dies: consumes it and its reference. Waiting threads get MACH_RCV_PORT_DIED; members leave in pieces. */
void portset_destroy(struct port *set);

#endif
