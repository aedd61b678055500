/* SPDX-License-Identifier: BSD-2-Clause */
/* What vm's inner files need from above (vm_server.c, or the host tests' stand-in). */
#ifndef VM_UPCALLS_H
#define VM_UPCALLS_H
#include <stdbool.h>
#include <stdint.h>

struct port;

/* An object dies or changes its identity: destroy its name port. Never fails. */
void vm_name_port_destroy(struct port *port);
struct vm_object;
/* An object that has a name port has another payer, who pays for that too. Never fails. */
void vm_name_port_pay(struct vm_object *object);
/* For ipc: nobody holds the object's name any more. True: it has none now, and the port is to be destroyed. */
bool vm_name_unused(struct vm_object *object);
struct vm_map;
/* An object that gsync has had threads wait on ends, or is not shared any more. Opens windows. */
void vm_waiters_wake(struct vm_object *object);
/* Words of these addresses may be shared from now on: who waits on them looks again. Opens windows. */
void vm_waiters_wake_range(struct vm_map *map, uint64_t start, uint64_t end);

#endif
