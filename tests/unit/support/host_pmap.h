/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's page tables, seen by a test as the processor would. */
#ifndef HOST_PMAP_H
#define HOST_PMAP_H
#include <stdbool.h>
#include <stdint.h>

struct pmap;

/* The current address space, for user_copy_in and user_copy_out; NULL: none. */
extern const struct pmap *host_pmap_current;
/* Windows opened so far. */
extern uint64_t host_windows;
/* What an access to a user page would reach; NULL: it would fault. */
void *host_user_page(struct pmap *pmap, uint64_t address, bool write);

#endif
