/* SPDX-License-Identifier: BSD-2-Clause */
/* What vm's inner files need from above (vm_server.c, or the host tests' stand-in). */
#ifndef VM_UPCALLS_H
#define VM_UPCALLS_H

struct port;

/* An object dies or changes its identity: destroy its name port. Never fails. */
void vm_name_port_destroy(struct port *port);
struct vm_object;
/* An object ends that gsync has had threads wait on. Never fails. */
void vm_waiters_wake(struct vm_object *object);

#endif
