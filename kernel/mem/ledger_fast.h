/* SPDX-License-Identifier: BSD-2-Clause */
/* Charging and refunding one thing when nothing is in the way: what zone_alloc and zone_free consist of mostly. */
#ifndef MEM_LEDGER_FAST_H
#define MEM_LEDGER_FAST_H
#include <stddef.h>
#include "kern/assert.h"
#include "mem/ledger.h"
#include "mem/ledger_tree.h"
#include "mem/upcalls.h"

/* The account at this offset in struct ledger, which zones keep: no multiplication. */
static inline size_t ledger_account_offset(unsigned resource)
{
	return offsetof(struct ledger, account) + resource * sizeof(struct ledger_account);
}

static inline struct ledger_account *ledger_account_at(struct ledger *ledger, size_t offset)
{
	return (struct ledger_account *)((char *)ledger + offset);
}

/* Gives one thing of `bytes` kernel bytes back to the ledgers below `end`, which were charged with it. */
static inline void ledger_uncharge_below(struct ledger *ledger, const struct ledger *end, size_t offset, uint64_t bytes)
{
	for (; ledger != end; ledger = ledger->parent) {
		ledger_account_at(ledger, offset)->used--;
		ledger->account[LEDGER_KMEM].used -= bytes;
	}
}

/*
 * Charges one thing of `bytes` kernel bytes up the chain, level by level, as long as nothing is in the way: below `easy` no
 * limit, peak, mark or missing memory is met (ledger.c: ledger_ease). False: something is; nothing has changed.
 */
static inline bool ledger_charge_one(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	struct ledger *level = ledger;
	uint64_t used, all, covers;

	do {
		struct ledger_account *account = ledger_account_at(level, offset);

		used = account->used;
		all = level->account[LEDGER_KMEM].used + bytes;
		if (__builtin_expect(used >= account->easy || all > level->account[LEDGER_KMEM].easy, 0)) {
			ledger_uncharge_below(ledger, level, offset, bytes);
			return false;
		}
		account->used = used + 1;
		level->account[LEDGER_KMEM].used = all;
		covers = account->covers;
		level = level->parent;
	} while (used >= covers);	/* a guarantee covers it, or this was the root */
	ledger->charges++;
	return true;
}

/* The reverse. May free a dead ledger: do not use the pointer afterwards. */
static inline void ledger_refund_one(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	struct ledger *level = ledger;
	struct ledger_account *account;
	uint64_t used;

	assert(ledger->charges > 0);
	do {
		account = ledger_account_at(level, offset);
		assert(account->used > 0 && level->account[LEDGER_KMEM].used >= bytes);
		used = account->used--;
		level->account[LEDGER_KMEM].used -= bytes;
		level = level->parent;
	} while (used > account->covers);
	ledger->charges--;
	if (__builtin_expect(ledger->dead, 0))
		ledger_emptied(ledger);
}

#endif
