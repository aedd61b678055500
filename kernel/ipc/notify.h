/* SPDX-License-Identifier: BSD-2-Clause */
/* Notifications: each consumes a send-once right and the message prepaid with it. Theory in notify.c. */
#ifndef IPC_NOTIFY_H
#define IPC_NOTIFY_H
#include <stdint.h>
#include <mach/port.h>

struct port;

/* All: once is a send-once right, consumed. Nothing is allocated, nothing blocks, nothing fails: a right to a dead
   or a kernel port is just released (manual: Request Notifications). */
void notify_port_deleted(struct port *once, mach_port_name_t name);
void notify_dead_name(struct port *once, mach_port_name_t name);
void notify_no_senders(struct port *once, uint32_t make_send_count);
void notify_send_once(struct port *once);
/* A throttled port set is stalled (weir/throttle_notify.defs). */
void notify_stalled(struct port *once);
/* News of a task (mach/task_notify.defs): two send rights, which the message carries on or which are released. */
void notify_new_task(struct port *once, struct port *task, struct port *parent);
/* Moves the receive right (its reference included) to the owner of once; if that cannot be the port dies. */
void notify_port_destroyed(struct port *once, struct port *receive_right);

#endif
