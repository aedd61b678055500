/* SPDX-License-Identifier: BSD-2-Clause */
/* Between ledger.c, ledger_room.c, ledger_slack.c and ledger_tree.c only. */
#ifndef MEM_LEDGER_PARTS_H
#define MEM_LEDGER_PARTS_H
#include "mem/ledger.h"

/* What the parent must count of the account, without slack. */
static inline uint64_t account_claims(const struct ledger_account *account)
{
	return account->used > account->guarantee ? account->used : account->guarantee;
}

/* -- ledger_room.c -- */

/* Room for n uncovered things in the ledger's own limits of kernel bytes and of RAM; false: *shortage. */
bool ledger_memory_fits(struct ledger *ledger, unsigned resource, uint64_t n, struct ledger_shortage *shortage);
/* used is above easy, and within all limits: a new peak, or the mark. */
void ledger_watched(struct ledger *ledger, unsigned resource);

/* -- ledger_slack.c -- */

/* The ledger's refund, counted in its own figures already, reaches the ones above now or later. */
void ledger_refund_above(struct ledger *ledger, unsigned resource);

/* -- ledger.c -- */

/* Takes a charge away again, up the chain. The ledger itself stays. None of these has slack. */
void ledger_undo(struct ledger *ledger, unsigned resource, uint64_t n);
/* A dead ledger has been refunded something, or let go: it is freed if it is empty. */
void ledger_emptied(struct ledger *ledger);
/* Raises the guarantee, charging the parent what it adds. KERN_SUCCESS or KERN_RESOURCE_SHORTAGE (nothing changed). */
int ledger_guarantee_raise(struct ledger *ledger, unsigned resource, uint64_t amount, const struct alloc_site *site);
/* Lowers it and refunds the parent. Never fails. */
void ledger_guarantee_lower(struct ledger *ledger, unsigned resource, uint64_t amount);

/* -- ledger_tree.c -- */

/* Frees an empty dead shell's memory. */
void ledger_free(struct ledger *ledger, struct ledger *parent);

#endif
