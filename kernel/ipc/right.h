/* SPDX-License-Identifier: BSD-2-Clause */
/* Rights outside spaces: counted, and followed when receive rights travel. The moves in and out of spaces are in space.h. */
#ifndef IPC_RIGHT_H
#define IPC_RIGHT_H
#include <stdbool.h>
#include "ipc/port.h"
#include "kern/assert.h"

#define TRANSIT_DEPTH_MAX 32

/* MACH_PORT_TYPE_... bits, one of which a name must have for a right to be taken of it as type (MACH_MSG_TYPE_MOVE_SEND...); 0:
   there is no such type. */
uint32_t right_type_wanted(uint32_t type);

/* The receive right of port (held by nobody now) is about to be queued at destination. False: it would end in its own
   queue, or nest deeper than TRANSIT_DEPTH_MAX; nothing is changed, the message is to be discarded. Undone by itself when
   the right is inserted in a space or released. O(TRANSIT_DEPTH_MAX). */
bool right_transit_begin(struct port *port, struct port *destination);
/* The receive right leaves its space: out of its set, waiting receivers are told, counts that do not travel are reset. */
void right_detach_receive(struct port *port);
/* A send right goes from one space to another, taken as type says (MOVE_SEND, COPY_SEND, MAKE_SEND): *received is its name there.
   False: nothing has changed; it cannot be done, is denied, or is not that simple. Charged to the space `to`. */
bool right_pass_send(struct space *from, mach_port_name_t name, uint32_t type, struct space *to, mach_port_name_t *received);
/* The same in the usual case: the name stands for one send right, which is moved to a space that lives, and but for the receive right's
   there is no other name for the port. Nothing is allocated. False: it is another case, or there is no free name at hand. */
bool right_pass_alone(struct space *from, mach_port_name_t name, struct space *to, uint64_t *received);
/* One send or send-once right fewer; the reference is the caller's affair. The last send right may cause a no-senders
   notification; nothing else is sent. */
static inline void right_uncount_send(struct port *port);
void right_uncount_send_once(struct port *port);

/* -- inline -- */

/* The last send right is gone, and there may be somebody to tell. */
void right_no_senders(struct port *port);

static inline void right_uncount_send(struct port *port)
{
	assert(port->send_rights != 0);
	if (--port->send_rights == 0 && (port->has_extra || port->kobject_type >= KOBJECT_DEVICE))
		right_no_senders(port);
}

#endif
