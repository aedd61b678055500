/* SPDX-License-Identifier: BSD-2-Clause */
/* What mem needs from above (kern/, or the host tests' stand-in). */
#ifndef MEM_UPCALLS_H
#define MEM_UPCALLS_H
#include <stdbool.h>
#include <weir/ledger.h>
#include "mem/site.h"

/* A denial happened: keep it for the current thread and the event ring. */
void mem_denied(const struct ledger_denial *denial);
/* Set once somebody uses fail-nth: spares the others the call. In ledger.c. */
extern bool mem_fail_enabled;
/* True: this allocation or charge is to be denied (fail-nth). Called once for each. */
bool mem_fail_nth(const struct alloc_site *site);
/* The level of memory pressure (0..3) has changed. Must not allocate. */
void mem_pressure_changed(unsigned level);
/* Something was put off for the reaper, not by the reaper's own work. */
void mem_deferred(void);
/* What is kept charged outside of mem, though it is not in use, is to be given back now, as figures settle. Frees pages; must not allocate. */
void mem_spares_return(void);
struct ledger;
/* The ledger's mark was reached (once). In the middle of somebody's charge: only reap_defer is in order here. */
void mem_mark_reached(struct ledger *ledger);
/* Nanoseconds since boot, for records. */
uint64_t clock_uptime_ns(void);

#endif
