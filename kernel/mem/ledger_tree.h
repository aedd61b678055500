/* SPDX-License-Identifier: BSD-2-Clause */
/* Between ledger.c and ledger_tree.c only. */
#ifndef MEM_LEDGER_TREE_H
#define MEM_LEDGER_TREE_H
#include "mem/ledger.h"

/* Frees an empty dead shell's memory. */
void ledger_free(struct ledger *ledger, struct ledger *parent);
/* A dead ledger has been refunded something, or let go: it is freed if it is empty. */
void ledger_emptied(struct ledger *ledger);
/* Raises the guarantee, charging the parent what it adds. KERN_SUCCESS or KERN_RESOURCE_SHORTAGE (nothing changed). */
int ledger_guarantee_raise(struct ledger *ledger, unsigned resource, uint64_t amount, const struct alloc_site *site);
/* Lowers it and refunds the parent. Never fails. */
void ledger_guarantee_lower(struct ledger *ledger, unsigned resource, uint64_t amount);

#endif
