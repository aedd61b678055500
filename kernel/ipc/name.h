/* SPDX-License-Identifier: BSD-2-Clause */
/* Names: the entries of spaces, what they hold and how they lose it. */
#ifndef IPC_NAME_H
#define IPC_NAME_H
#include <stdbool.h>
#include "ipc/space.h"

void name_system_init(void);
/* A free name for the space: the lowest free one from the hint on, within a window that grows with the space. */
mach_port_name_t name_choose(const struct space *space);
/* A reserved entry under that free name, in the tree of the space. NULL: denied, nothing changed. */
struct name *name_make(struct space *space, mach_port_name_t name);
/* The entry holds the port from now on and is found under it; takes a reference. type: RECEIVE/SEND, SEND_ONCE, PORT_SET bits
   with or without NAME_RESERVED. */
void name_attach(struct name *entry, struct port *port, uint32_t type);
/* The entry of the space that holds or will hold send or receive rights for port; NULL: none. O(log n). */
struct name *name_of_port(struct space *space, struct port *port);
/* The entry's port is dead and the entry holds no receive right: it becomes a dead name. */
void name_died(struct name *entry);
/* Frees the entry, which holds no right any more but may be attached: a dead-name request becomes port-deleted. */
void name_free(struct name *entry);

/* One right less; the entry goes when it was the last. The right itself is destroyed (notifications as in the manual). */
void name_lose_send(struct name *entry, uint32_t urefs);
void name_lose_receive(struct name *entry);
void name_lose_send_once(struct name *entry);
void name_lose_dead(struct name *entry, uint32_t urefs);
/* All rights of the name (mach_port_destroy). */
void name_destroy(struct name *entry);
/* Registers a dead-name request (once: send-once right or NULL) in an entry that holds a living port; returns the former. */
struct port *name_request_dead(struct name *entry, struct port *once);

/* The tree of the names that hold a port. */
struct name *name_first_of(struct port *port);
struct name *name_next_of(struct name *entry);
/* Takes the entry out of its port's tree before its name changes, and puts it back. */
void name_unkey(struct name *entry);
void name_rekey(struct name *entry);

#endif
