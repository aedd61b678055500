/* SPDX-License-Identifier: BSD-2-Clause */
/* What a ledger's own limits leave, and how far that is known without a look. Theory in ledger.c. */
/*
 * Of an account's figures a charge should look at one only, `easy`: below it nothing is met. It is the least of
 *  - the limit, less for kernel bytes by all that is guaranteed, whether used or not: promises are looked at closely;
 *  - the peak, and the mark if that comes first (account_watch): there used has more to do than to be counted;
 *  - for kernel bytes and pages, what a limit of RAM lends them: half each of what it leaves, so that below its loan
 *    neither can be in the other's way, as free pages are divided in page.c;
 *  - at the root ledger_backed, in a dead ledger 0.
 * Whatever changes one of them calls ledger_ease.
 */
#include "mem/ledger_parts.h"
#include "kern/likely.h"
#include "mem/ledger_fast.h"
#include "mem/page.h"
#include "mem/policy.h"
#include "mem/upcalls.h"

/* Kernel bytes that the ledger has guaranteed and not used yet. */
static uint64_t kmem_promised(const struct ledger *ledger)
{
	uint64_t bytes = 0;

	if (likely(ledger->guaranteed_bytes == 0))
		return 0;
	for (unsigned r = 0; r < LEDGER_KMEM; r++) {
		const struct ledger_account *account = &ledger->account[r];

		if (account->guarantee > account->used)
			bytes += (account->guarantee - account->used) * ledger_thing_bytes[r];
	}
	return bytes;
}

uint64_t ledger_ram_used(const struct ledger *ledger)
{
	return ledger->account[LEDGER_KMEM].used + ledger->account[LEDGER_RESIDENT_PAGES].used * PAGE_SIZE;
}

static bool bytes_fit(struct ledger *ledger, unsigned resource, uint64_t claimed, uint64_t limit, uint64_t bytes,
		      struct ledger_shortage *shortage)
{
	if (likely(claimed <= limit && bytes <= limit - claimed) || policy_ledgers_count_only)
		return true;
	*shortage = (struct ledger_shortage){ledger, resource, claimed, limit, bytes};
	return false;
}

bool ledger_memory_fits(struct ledger *ledger, unsigned resource, uint64_t n, struct ledger_shortage *shortage)
{
	bool pages = resource == LEDGER_RESIDENT_PAGES;
	uint64_t bytes = n * (pages ? PAGE_SIZE : ledger_thing_bytes[resource]), kmem;

	if (bytes == 0)
		return true;
	kmem = ledger->account[LEDGER_KMEM].used + kmem_promised(ledger);
	if (!pages && !bytes_fit(ledger, LEDGER_KMEM, kmem, ledger->account[LEDGER_KMEM].limit, bytes, shortage))
		return false;
	if (likely(ledger->ram_limit == LEDGER_UNLIMITED))
		return true;
	return bytes_fit(ledger, LEDGER_RAM,
			 kmem + account_claims(&ledger->account[LEDGER_RESIDENT_PAGES]) * PAGE_SIZE,
			 ledger->ram_limit, bytes, shortage);
}

/* Where used has more to do than to be counted: above its peak, or at the mark when that comes first. */
static uint64_t account_watch(const struct ledger *ledger, unsigned resource)
{
	const struct ledger_account *account = &ledger->account[resource];
	bool marked = ledger->mark.at > account->used && ledger->mark.resource == resource;

	return marked && ledger->mark.at <= account->peak ? ledger->mark.at : account->peak + 1;
}

/* How far kernel bytes or resident pages may go before the limit of RAM is looked at: both together do not reach it. */
static uint64_t ram_lent(const struct ledger *ledger, unsigned resource)
{
	uint64_t guaranteed = ledger->guaranteed_bytes +
			      ledger->account[LEDGER_RESIDENT_PAGES].guarantee * PAGE_SIZE;
	uint64_t claimed = ledger_ram_used(ledger) + guaranteed;
	uint64_t share = ledger->ram_limit > claimed ? (ledger->ram_limit - claimed) / 2 : 0;

	if (share < PAGE_SIZE)
		return 0;
	return ledger->account[resource].used + (resource == LEDGER_KMEM ? share : share / PAGE_SIZE);
}

static void account_ease(struct ledger *ledger, unsigned resource)
{
	struct ledger_account *account = &ledger->account[resource];
	uint64_t limit = account->limit, watch = account_watch(ledger, resource), lent;

	/* Bytes that may be promised are looked at closely. */
	if (resource == LEDGER_KMEM && limit != LEDGER_UNLIMITED)
		limit = limit > ledger->guaranteed_bytes ? limit - ledger->guaranteed_bytes : 0;
	if (ledger->ram_limit != LEDGER_UNLIMITED && (resource == LEDGER_KMEM || resource == LEDGER_RESIDENT_PAGES)) {
		lent = ram_lent(ledger, resource);
		limit = limit < lent ? limit : lent;
	}
	account->easy = limit < watch ? limit : watch - 1;
	if (ledger == &root_ledger && account->easy > ledger_backed[resource])
		account->easy = ledger_backed[resource];
	if (ledger->dead)
		account->easy = 0;
	account_quick(account);
}

bool ledger_beyond(const struct ledger *ledger, unsigned resource)
{
	for (; ledger != NULL; ledger = ledger->parent)
		if (ledger->account[resource].used > ledger->account[resource].easy ||
		    ledger->account[LEDGER_KMEM].used > ledger->account[LEDGER_KMEM].easy)
			return true;
	return false;
}

void ledger_ease(struct ledger *ledger, unsigned resource)
{
	account_ease(ledger, resource);
	if (ledger->ram_limit == LEDGER_UNLIMITED)
		return;
	/* What is lent to one depends on the other. */
	if (resource == LEDGER_KMEM)
		account_ease(ledger, LEDGER_RESIDENT_PAGES);
	else if (resource == LEDGER_RESIDENT_PAGES)
		account_ease(ledger, LEDGER_KMEM);
}

__attribute__((noinline)) void ledger_watched(struct ledger *ledger, unsigned resource)
{
	struct ledger_account *account = &ledger->account[resource];
	bool reached = ledger->mark.at != 0 && ledger->mark.resource == resource && account->used >= ledger->mark.at;

	account->peak = account->used > account->peak ? account->used : account->peak;
	if (reached)
		ledger->mark.at = 0;
	ledger_ease(ledger, resource);
	if (reached)
		mem_mark_reached(ledger);
}
