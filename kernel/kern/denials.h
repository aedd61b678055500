/* SPDX-License-Identifier: BSD-2-Clause */
/* Denials: what the kernel remembers of them, for the thread and for the machine. */
#ifndef KERN_DENIALS_H
#define KERN_DENIALS_H
#include <stdint.h>
#include <weir/ledger.h>

#define DENIALS_KEPT 64

/* How many events are kept, at most DENIALS_KEPT. A run of the same denials is one event with a count. */
uint32_t denials_kept(void);
/* Event index < denials_kept(), 0 the oldest; valid until the next denial. */
const struct ledger_denial *denial_kept(uint32_t index);

#endif
