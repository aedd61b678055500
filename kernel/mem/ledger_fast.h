/* SPDX-License-Identifier: BSD-2-Clause */
/* Charging and refunding one thing when nothing is in the way: what zone_alloc and zone_free consist of mostly. */
#ifndef MEM_LEDGER_FAST_H
#define MEM_LEDGER_FAST_H
#include <stddef.h>
#include "kern/assert.h"
#include "mem/ledger.h"
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

/* Below `easy` no limit, peak, mark or missing memory is met (ledger_room.c). */
static inline bool ledger_easy(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	const struct ledger_account *account = ledger_account_at(ledger, offset);

	return account->used < account->easy &&
	       ledger->account[LEDGER_KMEM].used + bytes <= ledger->account[LEDGER_KMEM].easy;
}

/* The same for the ledgers above, in ledger.c. False: something is in the way, nothing has changed. */
bool ledger_charge_above(struct ledger *ledger, size_t offset, uint64_t bytes);

/* Settles another ledger's slack, so that it is in no figure that a charge to this one looks at. True: there was some,
   and figures have changed. */
bool ledger_slack_elsewhere(const struct ledger *ledger, unsigned resource);

/* How many things of the resource the ledgers above count that are not there. */
uint64_t ledger_slack(unsigned resource);

/* easy or covers has changed. */
static inline void account_quick(struct ledger_account *account)
{
	account->quick = account->easy < account->covers ? account->easy : account->covers;
}

/* The parent counts so much now, and is told of one less. */
static inline void account_cover(struct ledger_account *account, uint64_t covers)
{
	account->covers = account->floor = covers;
	account_quick(account);
}

/* True: one thing more of `bytes` kernel bytes meets nothing, and the ledger's parent counts it already, or there is none. */
static inline bool ledger_quick(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	const struct ledger_account *account = ledger_account_at(ledger, offset);

	return account->used < account->quick &&
	       ledger->account[LEDGER_KMEM].used + bytes <= ledger->account[LEDGER_KMEM].easy;
}

/* True: the parent need not be told of one thing less. */
static inline bool ledger_alone_less(const struct ledger_account *account)
{
	return account->used > account->floor;
}

/* Charges one thing of `bytes` kernel bytes that is easy for this ledger, and counts it here only. */
static inline void ledger_count_one(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	ledger_account_at(ledger, offset)->used++;
	ledger->account[LEDGER_KMEM].used += bytes;
}

/* The reverse. */
static inline void ledger_uncount_one(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	struct ledger_account *account = ledger_account_at(ledger, offset);

	assert(account->used > 0 && ledger->account[LEDGER_KMEM].used >= bytes);
	account->used--;
	ledger->account[LEDGER_KMEM].used -= bytes;
}

/* ledger_charge of n things of `each` kernel bytes, a constant: in line when they concern this ledger only. */
static inline bool ledger_charge_quick_at(struct ledger *ledger, unsigned resource, uint64_t n, uint64_t each,
					  const struct alloc_site *site)
{
	struct ledger_account *account = &ledger->account[resource], *kmem = &ledger->account[LEDGER_KMEM];
	uint64_t used = account->used + n;

	if (__builtin_expect(mem_fail_enabled || used > account->quick, 0) ||
	    (each != 0 && kmem->used + n * each > kmem->easy))
		return ledger_charge_at(ledger, resource, n, site);
	account->used = used;
	if (each != 0)
		kmem->used += n * each;
	return true;
}
#define ledger_charge_quick(ledger, resource, n, each) ledger_charge_quick_at(ledger, resource, n, each, ALLOC_SITE())

/* The reverse: ledger_refund. */
static inline void ledger_refund_quick(struct ledger *ledger, unsigned resource, uint64_t n, uint64_t each)
{
	struct ledger_account *account = &ledger->account[resource];

	assert(account->used >= n);
	if (__builtin_expect(account->used - n < account->floor, 0)) {
		ledger_refund(ledger, resource, n);
		return;
	}
	account->used -= n;
	if (each != 0)
		ledger->account[LEDGER_KMEM].used -= n * each;
}

#endif
