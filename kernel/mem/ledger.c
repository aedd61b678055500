/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers: charging and refunding. */
/*
 * Theory.
 *
 * Things and bytes. Whatever the kernel allocates for a user is a thing of one resource and has
 * one fixed size, ledger_thing_bytes[r]. Virtual and resident pages are things without kernel
 * bytes. Bytes (LEDGER_KMEM) are never charged by themselves: they go along with the things, so
 * in every ledger, always,
 *
 *	(I1)	used[KMEM] = sum over r of used[r] * ledger_thing_bytes[r].
 *
 * Bytes have limits only.
 *
 * Guarantees. A ledger passes on to its parent not what it uses but what it may claim, the
 * larger of used and guarantee:
 *
 *	(I2)	used[r] of a ledger = the things charged to it directly
 *			+ sum over its children of max(used[r], guarantee[r]).
 *
 * So a charge of n passes on max(u + n, g) - max(u, g), and where that is 0 a guarantee covers it
 * and the walk ends, for the bytes too. A refund is the mirror image. Granting a guarantee charges
 * the parent what is added, things and bytes, and may be denied; a charge that a guarantee covers
 * can only be denied by limits between its payer and the guaranteeing ledger, that one included.
 *
 * A ledger's own byte limit counts what it has promised too: an uncovered charge must leave room for the
 * unused part of its guarantees,
 *
 *	used[KMEM] + sum over r of max(0, guarantee[r] - used[r]) * ledger_thing_bytes[r] <= limit[KMEM],
 *
 * and a covered one is not weighed again: what is guaranteed is there, however full the ledger is.
 * The same holds for the limit of RAM, which weighs kernel bytes and resident pages together: without it
 * who may have nearly all of either could have more of both than there is.
 *
 * Backing. The root's used[r] is then everything that exists or has been promised, and it is
 * compared with memory, not with hopes:
 *
 *	(I3)	for each zone: elements in the slabs held >= root.used[its resource],
 *	(I4)	slab pages + root.used[KPAGES] <= zone map,
 *	(I5)	slab pages + root.used[KPAGES] + root.used[RESIDENT_PAGES] + reserve <= RAM.
 *
 * A charge that reaches the root first makes these true for the new figure (ledger_backed is what
 * may be reached without asking; backing_ensure grows the zone or weighs the pages); a covered one
 * does not reach it and finds its element or page free. Before a shortage becomes a denial, empty
 * slabs of all zones and what waits to be reaped are taken back, piece by piece until it fits; a ledger's
 * limit is met by reaping only.
 *
 * One exception: a charge that moves to another ledger is never refused (ledger_move). Leaving a
 * guarantee for a ledger without one adds a thing to the root, and there may be no memory for it.
 * The reserve of pages is there for this; should it be used up, I3..I5 fail until something is
 * given back, all that is not guaranteed is denied, and only then could a covered allocation fail.
 *
 * Speed. Most charges are of one thing and meet nothing: `easy` of an account is how far used may go without a look at
 * limit, peak, mark and memory (ledger_room.c), so one comparison a level tells (ledger_fast.h); `quick` says in the same
 * way that the parent is not concerned either.
 *
 * Slack (ledger_slack.c). What a ledger passes on is written down, `covers`, and may for a time be above max(used,
 * guarantee): a refund need not walk up at once, and a charge that comes next need not either. So where (I2) says
 * max(used, guarantee) read covers; whatever is not easy settles first, and then looks at exact figures.
 *
 * Failure. A charge is checked at all levels, then committed at all: a denial changes nothing but
 * the counters of denials. The first full ledger is the one that is named.
 *
 * Death. A dead ledger refuses charges; its shell stays, a thing of its parent, until nothing is
 * charged to it any more. A dying ancestor refuses all that could make a ledger grow without end:
 * tasks, threads, ledgers (ledger_alive: O(depth), asked by who makes one; the rest is bounded by those).
 */
#include "mem/ledger_parts.h"
#include <mach/kern_return.h>
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/string.h"
#include "mem/ledger_fast.h"
#include "mem/page.h"
#include "mem/policy.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

#define RECLAIM_PIECE 32	/* slabs given back before the charge is tried again */

bool mem_fail_enabled;
uint32_t ledger_thing_bytes[LEDGER_RESOURCES] = {[LEDGER_KPAGES] = PAGE_SIZE};

uint64_t ledger_backed[LEDGER_RESOURCES] = {
	[0 ... LEDGER_VIRTUAL_PAGES] = LEDGER_UNLIMITED,
	[LEDGER_NODES] = LEDGER_UNLIMITED,
	[LEDGER_FPUS ... LEDGER_RESOURCES - 1] = LEDGER_UNLIMITED,
};

struct ledger root_ledger = {
	.account = {[0 ... LEDGER_RESOURCES - 1] = {
		.limit = LEDGER_UNLIMITED, .covers = LEDGER_UNLIMITED,
	}},
	.children = TAILQ_HEAD_INITIALIZER(root_ledger.children),
	.ram_limit = LEDGER_UNLIMITED, .id = 1, .depth = 1, .weight = 1, .name = "root",
};
struct ledger_list ledger_list = {&root_ledger};
static uint64_t machine_denials[LEDGER_ALL_RESOURCES - LEDGER_RESOURCES];

static inline bool account_fits(const struct ledger_account *account, uint64_t n)
{
	return account->used <= account->limit && n <= account->limit - account->used;
}

/* What n things more add to what the parent counts. */
static inline uint64_t account_passes_on(const struct ledger_account *account, uint64_t n)
{
	return account->used + n > account->covers ? account->used + n - account->covers : 0;
}

uint64_t ledger_machine_denials(unsigned resource)
{
	return machine_denials[resource - LEDGER_RESOURCES];
}

bool ledger_trying;

void ledger_deny(struct ledger *ledger, unsigned resource, uint64_t used, uint64_t limit, uint64_t wanted,
		 const struct alloc_site *site)
{
	struct ledger_denial denial = {
		.resource = resource, .ledger_id = ledger->id, .used = used, .limit = limit, .wanted = wanted,
		.site = (uint64_t)(uintptr_t)site, .when_ns = clock_uptime_ns(), .count = 1,
	};

	if (ledger_trying)
		return;
	if (resource < LEDGER_RESOURCES)
		ledger->denials[resource]++;
	else if (ledger != &root_ledger)
		ledger->ram_denials++;
	else
		machine_denials[resource - LEDGER_RESOURCES]++;
	strlcpy(denial.ledger, ledger->name, sizeof(denial.ledger));
	mem_denied(&denial);
}

void ledger_deny_shortage(unsigned resource, const struct ledger_shortage *shortage, const struct alloc_site *site)
{
	if (policy_zalloc_panics)
		policy_zalloc_panic(resource, shortage);
	ledger_deny(shortage->ledger, shortage->resource, shortage->used, shortage->limit, shortage->wanted, site);
}

static void shortage_of_account(struct ledger_shortage *shortage, struct ledger *ledger, unsigned resource,
				uint64_t wanted)
{
	const struct ledger_account *account = &ledger->account[resource];

	*shortage = (struct ledger_shortage){ledger, resource, account->used, account->limit, wanted};
}

/* First pass: whether every ledger up to the covering guarantee has room. *rooted: things that reach the root. */
static bool charge_fits(struct ledger *ledger, unsigned resource, uint64_t n, uint64_t *rooted,
			struct ledger_shortage *shortage)
{
	uint64_t up;

	*rooted = 0;
	do {
		if (unlikely(!account_fits(&ledger->account[resource], n)) && !policy_ledgers_count_only) {
			shortage_of_account(shortage, ledger, resource, n);
			return false;
		}
		up = ledger->parent == NULL ? n : account_passes_on(&ledger->account[resource], n);
		if (unlikely(!ledger_memory_fits(ledger, resource, up, shortage)))
			return false;
		if (ledger->parent == NULL) {
			*rooted = n;
			return true;
		}
		n = up;
		ledger = ledger->parent;
	} while (n != 0);
	return true;
}

static inline void account_add(struct ledger *ledger, unsigned resource, uint64_t n)
{
	struct ledger_account *account = &ledger->account[resource];

	account->used += n;
	/* At most what was easy: neither can be. */
	if (unlikely(account->used > account->easy))
		ledger_watched(ledger, resource);
}

/* Second pass: cannot fail. All slack is settled, so that a peak is one. */
static inline void charge_commit(struct ledger *ledger, unsigned resource, uint64_t n)
{
	uint64_t each = ledger_thing_bytes[resource];

	do {
		struct ledger_account *account = &ledger->account[resource];
		uint64_t up = account_passes_on(account, n);

		if (up != 0)
			account_cover(account, account->covers + up);
		account_add(ledger, resource, n);
		if (each != 0)
			account_add(ledger, LEDGER_KMEM, n * each);
		n = up;
		ledger = ledger->parent;
	} while (n != 0 && ledger != NULL);
}

static inline void account_sub(struct ledger *ledger, unsigned resource, uint64_t n)
{
	uint64_t bytes = n * ledger_thing_bytes[resource];

	assert(ledger->account[resource].used >= n && ledger->account[LEDGER_KMEM].used >= bytes);
	ledger->account[resource].used -= n;
	ledger->account[LEDGER_KMEM].used -= bytes;
}

void ledger_undo(struct ledger *ledger, unsigned resource, uint64_t n)
{
	for (; n != 0; ledger = ledger->parent) {
		struct ledger_account *account = &ledger->account[resource];

		account_sub(ledger, resource, n);
		if (ledger->parent == NULL)
			return;
		n = account->covers - account_claims(account);
		account->covers -= n;
		account_quick(account);
	}
}

/* Room in all ledgers, and memory behind what reaches the root. False: *shortage tells what is short. */
static bool charge_ready(struct ledger *ledger, unsigned resource, uint64_t n, struct ledger_shortage *shortage)
{
	uint64_t rooted, things;

	if (!charge_fits(ledger, resource, n, &rooted, shortage))
		return false;
	things = root_ledger.account[resource].used + rooted;
	return rooted == 0 || things <= ledger_backed[resource] ||
	       backing_ensure(resource, things, false, shortage);
}

/* Takes a piece of what is free or dead back before something is denied; false: there is none. It refunds, and
   may move charges, so that everything must be looked at again. The caller's caller is in the middle of something, but
   nothing here is: interrupts get a window between the pieces, whose handlers touch per-CPU data only. */
static bool memory_take_back(const struct ledger_shortage *shortage)
{
	/* RAM or the zone map, no ledger's limit. */
	bool memory = shortage->resource >= LEDGER_RESOURCES && shortage->ledger == &root_ledger;
	bool some = (memory && zone_reclaim_some(RECLAIM_PIECE) != 0) || reap_dead_one();

	if (some)
		machine_window();
	return some;
}

static __attribute__((noinline)) bool charge_prepare(struct ledger *ledger, unsigned resource, uint64_t n,
						     const struct alloc_site *site)
{
	struct ledger_shortage shortage;

	for (;;) {
		/* Also what taking back has left. */
		ledger_settle();
		if (charge_ready(ledger, resource, n, &shortage))
			break;
		if (!memory_take_back(&shortage)) {
			ledger_deny_shortage(resource, &shortage, site);
			return false;
		}
	}
	return true;
}

static bool fail_nth(struct ledger *ledger, unsigned resource, uint64_t n, const struct alloc_site *site)
{
	if (likely(!mem_fail_enabled) || !mem_fail_nth(site))
		return false;
	ledger_settle();
	ledger_deny(ledger, resource, ledger->account[resource].used, ledger->account[resource].limit, n, site);
	return true;
}

static void guarantee_set(struct ledger *ledger, unsigned resource, uint64_t amount)
{
	struct ledger_account *account = &ledger->account[resource];

	ledger->guaranteed_bytes -= account->guarantee * ledger_thing_bytes[resource];
	ledger->guaranteed_bytes += amount * ledger_thing_bytes[resource];
	account->guarantee = amount;
	account->covers = account_claims(account);
	account->floor = LEDGER_UNLIMITED;
	account_quick(account);
	ledger_ease(ledger, LEDGER_KMEM);
}

int ledger_guarantee_raise(struct ledger *ledger, unsigned resource, uint64_t amount, const struct alloc_site *site)
{
	struct ledger_account *account = &ledger->account[resource];
	struct ledger_shortage shortage;
	uint64_t claimed, n;

	if (fail_nth(ledger, resource, amount, site))
		return KERN_RESOURCE_SHORTAGE;
	for (;;) {
		ledger_settle();
		claimed = account_claims(account);
		n = amount > claimed ? amount - claimed : 0;
		if (n == 0 || (ledger_memory_fits(ledger, resource, n, &shortage) &&
			       charge_ready(ledger->parent, resource, n, &shortage)))
			break;
		if (!memory_take_back(&shortage)) {
			ledger_deny(shortage.ledger, shortage.resource, shortage.used, shortage.limit,
				    shortage.wanted, site);
			return KERN_RESOURCE_SHORTAGE;
		}
	}
	if (n != 0)
		charge_commit(ledger->parent, resource, n);
	guarantee_set(ledger, resource, amount);
	return KERN_SUCCESS;
}

void ledger_guarantee_lower(struct ledger *ledger, unsigned resource, uint64_t amount)
{
	struct ledger_account *account = &ledger->account[resource];
	uint64_t before;

	ledger_settle();
	before = account->covers;
	guarantee_set(ledger, resource, amount);
	ledger_undo(ledger->parent, resource, before - account->covers);
	backing_trim(resource);
}

static __attribute__((noinline)) bool refuse_dead(struct ledger *ledger, unsigned resource, uint64_t n,
						  const struct alloc_site *site)
{
	ledger_deny(ledger, resource, ledger->account[resource].used, 0, n, site);
	return false;
}

__attribute__((noinline)) bool ledger_alive_slow(struct ledger *ledger, unsigned resource, const struct alloc_site *site)
{
	return !ledger_dying(ledger) || refuse_dead(ledger, resource, 1, site);
}

/* Charges when nothing is in the way (ledger_ease). False: nothing has changed. */
static bool charge_easy(struct ledger *ledger, unsigned resource, uint64_t n)
{
	uint64_t each = ledger_thing_bytes[resource], up = n;
	struct ledger *level;

	if (ledger->account[resource].used + n > ledger->account[resource].covers)
		ledger_slack_elsewhere(ledger, resource);
	for (level = ledger; up != 0; level = level->parent) {
		const struct ledger_account *account = &level->account[resource];

		if (account->used + up > account->easy ||
		    level->account[LEDGER_KMEM].used + up * each > level->account[LEDGER_KMEM].easy)
			return false;
		up = account_passes_on(account, up);
	}
	for (level = ledger; n != 0; level = level->parent) {
		struct ledger_account *account = &level->account[resource];

		account->used += n;
		level->account[LEDGER_KMEM].used += n * each;
		n = account->used > account->covers ? account->used - account->covers : 0;
		if (n != 0)
			account_cover(account, account->used);
	}
	return true;
}

bool ledger_take(struct ledger *ledger, unsigned resource, uint64_t n, const struct alloc_site *site)
{
	if (likely(charge_easy(ledger, resource, n)))
		return true;
	if (unlikely(ledger->dead))
		return refuse_dead(ledger, resource, n, site);
	ledger_settle();
	if (charge_easy(ledger, resource, n))
		return true;
	if (!charge_prepare(ledger, resource, n, site))
		return false;
	charge_commit(ledger, resource, n);
	return true;
}

bool ledger_charge_at(struct ledger *ledger, unsigned resource, uint64_t n, const struct alloc_site *site)
{
	return !fail_nth(ledger, resource, n, site) && ledger_take(ledger, resource, n, site);
}

/* -- the fast way, one level up and on (ledger_fast.h) -- */

bool ledger_charge_above(struct ledger *ledger, size_t offset, uint64_t bytes)
{
	struct ledger_account *account;
	struct ledger *level = ledger;
	uint64_t used;

	do {
		if (!ledger_easy(level, offset, bytes))
			return false;
		account = ledger_account_at(level, offset);
		level = level->parent;
	} while (account->used >= account->covers);
	for (level = ledger;; level = level->parent) {
		account = ledger_account_at(level, offset);
		used = ++account->used;
		level->account[LEDGER_KMEM].used += bytes;
		if (used <= account->covers)
			return true;
		account_cover(account, used);
	}
}

void ledger_force(struct ledger *ledger, unsigned resource, uint64_t n)
{
	struct ledger_shortage shortage;

	if (charge_easy(ledger, resource, n))
		return;
	ledger_settle();
	charge_commit(ledger, resource, n);
	if (root_ledger.account[resource].used > ledger_backed[resource])
		(void)backing_ensure(resource, root_ledger.account[resource].used, true, &shortage);
}

void ledger_refund(struct ledger *ledger, unsigned resource, uint64_t n)
{
	const struct ledger_account *account = &ledger->account[resource];

	account_sub(ledger, resource, n);
	if (likely(account->used >= account->floor))
		return;
	ledger_refund_above(ledger, resource);
	if (unlikely(ledger->dead))
		ledger_emptied(ledger);
}

void ledger_move(struct ledger *from, struct ledger *to, unsigned resource, uint64_t n)
{
	if (from == to || n == 0)
		return;
	/* Refund first, so that no peak is counted twice; `to` may be an ancestor's shell that this would bury. */
	ledger_hold(to);
	ledger_refund(from, resource, n);
	ledger_force(to, resource, n);
	ledger_unhold(to);
}

void ledger_hold(struct ledger *ledger)
{
	ledger->holds++;
}

void ledger_unhold(struct ledger *ledger)
{
	assert(ledger->holds > 0);
	ledger->holds--;
	if (ledger->dead)
		ledger_emptied(ledger);
}

/* Frees a dead shell when it is empty. Its own refund may empty its parent's: at most LEDGER_DEPTH deep. */
void ledger_emptied(struct ledger *ledger)
{
	struct ledger *parent = ledger->parent;

	if (ledger->holds != 0)
		return;
	/* Shells of children are things of it. */
	for (unsigned r = 0; r < LEDGER_RESOURCES; r++) {
		if (ledger->account[r].used != 0)
			return;
	}
	assert(TAILQ_EMPTY(&ledger->children) && parent != NULL);
	TAILQ_REMOVE(&parent->children, ledger, sibling);
	LIST_REMOVE(ledger, all);
	ledger_free(ledger, parent);
}
