/* SPDX-License-Identifier: BSD-2-Clause */
/* Denials: what the kernel remembers of them, for the thread and for the machine. */
#ifndef KERN_DENIALS_H
#define KERN_DENIALS_H
#include <stdint.h>
#include <weir/ledger.h>

#define DENIALS_KEPT 64

/* Copies the events kept, the oldest first; returns how many. A run of the same denials is one event with a count. */
uint32_t denials_copy(struct ledger_denial events[DENIALS_KEPT]);

#endif
