/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The names of devices that servers have registered. A name is its program's: another program
 * cannot take it, another instance of the same can, and the newer one is found.
 */
#ifndef NAMES_H
#define NAMES_H

#include <mach/mach_types.h>
#include <stdint.h>
#include "job.h"

#define NAMES_MAX	256
#define NAMES_OF_ONE	96	/* no server has more */

/* Does a living server of another program have that name? */
bool names_is_foreign(const struct job *job, const char *name);
/* Takes the right over. KERN_NAME_EXISTS, KERN_RESOURCE_SHORTAGE: it stays the caller's. */
kern_return_t names_add(const struct job *job, const char *name, mach_port_t server);
kern_return_t names_withdraw(const struct job *job, const char *name);
/* The server's right, not the caller's to give back; MACH_PORT_NULL: there is none. */
mach_port_t names_find(const char *name);
/* Has the job registered any? */
bool names_has(uint32_t job);
/* The job has ended: its names go. */
void names_drop(uint32_t job);
/* The entry at this place, for lists: its name, or NULL. */
const char *names_at(unsigned place, uint32_t *job);

#endif
