/* SPDX-License-Identifier: BSD-2-Clause */
/* A program and the console that started it. */
#ifndef MACH_PROGRAM_H
#define MACH_PROGRAM_H

#include <mach/mach_types.h>
#include <mach/message.h>
#include <weir/ledger.h>
#include <stdbool.h>
#include <stddef.h>

/* Before main: this thread, the task's port, stdout. */
void program_init(void);
/* Tells the console the status (if it listens), terminates the task. */
_Noreturn void program_exit(int status);

/* The port at which the console serves this program; MACH_PORT_NULL: none did start it. */
mach_port_t program_console(void);
/* From now on output goes to this device (a send right that stays the caller's). */
void program_set_output(mach_port_t device);
/*
 * A send right to a server that the console knows by its name or a device's ("null", "md0"). The
 * caller's to deallocate. Waits some seconds while a server is being started (KERN_ABORTED then).
 */
kern_return_t program_lookup(const char *name, mach_port_t *port);
/* The privileged host port: KERN_NO_ACCESS unless started with `in root`. */
kern_return_t program_host_priv(mach_port_t *host_priv);

/*
 * Makes the program's data and the first thread's stack present, for servers:
 * what they write to later cannot be denied. KERN_RESOURCE_SHORTAGE: not all.
 */
kern_return_t program_touch_static(void);

/* The last denial that the calling thread met; false: none. */
bool program_last_denial(struct ledger_denial *denial);

/*
 * A copy of this task (copy on write) whose only thread runs function(argument)
 * on a small stack of its own and then ends the task; it has none of our port
 * names. `before` (may be NULL) is called in this task before it starts and may
 * put rights into it; its code, if not success, undoes the fork. One fork at a
 * time. *child is a send right of the caller's. On an error nothing is left.
 */
kern_return_t program_fork(void (*function)(void *), void *argument,
			   kern_return_t (*before)(task_t child, void *argument), task_t *child);
/* The same, and the copy is paid for by this ledger (a right to its name or control port). */
kern_return_t program_fork_in(mach_port_t ledger, void (*function)(void *), void *argument,
			      kern_return_t (*before)(task_t child, void *argument),
			      task_t *child);

#endif
