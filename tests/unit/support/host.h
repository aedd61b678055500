/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's machine for unit tests of mem, vm and ipc: memory, the upcalls of mem, fail-nth.

   A test names what it is linked with in a comment line "SOURCES: kernel/mem/page.c ...", and is built with
   -I tests/unit/support -I kernel -I kernel/include (in this order: machine.h, printf.h, string.h and hide.h
   here stand in for the kernel's). All of kernel/mem is: page.c fresh.c zone.c ledger.c ledger_tree.c radix.c reap.c
   audit.c. Everything linked gets support/(all).c: tap.c, host.c. */
#ifndef HOST_H
#define HOST_H
#include <stdbool.h>
#include <stdint.h>
#include <weir/ledger.h>
#include "mem/ledger.h"

/* Maps `pages` pages of "physical memory", gives all but the first to the allocator, sets the zone map's
   bound and makes the ledgers' and radix nodes' zones. Once a process: kernel zones are registered once. */
void host_memory(uint64_t pages, uint64_t zone_map_pages);

/* The nth (from 1) allocation or charge from now on is denied; 0: none. host_fail_fired tells if it came. */
void host_fail_nth(uint64_t n);
extern bool host_fail_fired;
extern const struct alloc_site *host_fail_site;
/* Counts allocations and charges, armed or not. */
extern uint64_t host_fail_calls;

/* Denials so far, and the last one. */
extern uint64_t host_denials;
extern struct ledger_denial host_denial;
/* What mem_pressure_changed said last. */
extern unsigned host_pressure;
/* Marks of ledgers that were reached. */
extern uint64_t host_marks;

/* What the ledger uses, all figures exact. */
uint64_t host_used(const struct ledger *ledger, unsigned resource);

/* Runs the audit; prints the mismatch when it fails. */
bool host_audit(void);

/* All that a denied operation must leave alone, as text, to be freed: accounts (but denials), zones' elements, pages in use.
   Not slabs: a denial may have given empty ones back. */
char *host_snapshot(void);
/* True when nothing has changed since; prints the first difference otherwise. Frees the snapshot. */
bool host_unchanged(char *snapshot);

#endif
