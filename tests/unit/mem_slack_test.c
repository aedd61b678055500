/* SPDX-License-Identifier: BSD-2-Clause */
/* Slack and spares: what a refund leaves with the ledgers above, and what a zone keeps for its payer, is never seen, by a limit, a
   peak, a mark or a reader. */
/* SOURCES: mem */
#include <mach/kern_return.h>
#include <stdio.h>
#include <string.h>
#include "host.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "tap.h"

#define LEDGERS 14
#define KINDS 4
#define ROUNDS 60
#define STEPS 4000

/* Things without bytes, pages, and elements of two zones. */
static const unsigned kinds[KINDS] = {LEDGER_VIRTUAL_PAGES, LEDGER_KPAGES, LEDGER_NAMES, LEDGER_ENTRIES};
static struct zone names, entries;

/* What is charged to each directly, and the most that it ever counted. */
struct model {
	struct ledger *ledger;
	int parent;
	uint64_t own[KINDS], guarantee[KINDS], limit[KINDS], used[KINDS], peak[KINDS], bytes, bytes_peak, bytes_limit;
};
static struct model models[LEDGERS];

static struct ledger *no_payer(const void *element)
{
	(void)element;
	return NULL;
}

/* All used figures anew. Parents come before their children. */
static void model_count(struct model *all)
{
	for (int i = 0; i < LEDGERS; i++)
		memcpy(all[i].used, all[i].own, sizeof(all[i].used));
	for (int i = LEDGERS - 1; i >= 0; i--) {
		all[i].bytes = 0;
		for (unsigned k = 0; k < KINDS; k++) {
			uint64_t claims = all[i].used[k] > all[i].guarantee[k] ? all[i].used[k] : all[i].guarantee[k];

			all[i].bytes += all[i].used[k] * ledger_thing_bytes[kinds[k]];
			if (i > 0)
				all[all[i].parent].used[k] += claims;
		}
	}
}

static void model_peaks(void)
{
	for (int i = 0; i < LEDGERS; i++) {
		for (unsigned k = 0; k < KINDS; k++) {
			if (models[i].used[k] > models[i].peak[k])
				models[i].peak[k] = models[i].used[k];
		}
		if (models[i].bytes > models[i].bytes_peak)
			models[i].bytes_peak = models[i].bytes;
	}
}

/* The model with n things more; false: a ledger that counts more would be beyond its limit. */
static bool model_charge(int at, unsigned k, uint64_t n)
{
	struct model after[LEDGERS];

	memcpy(after, models, sizeof(models));
	after[at].own[k] += n;
	model_count(after);
	for (int i = 0; i < LEDGERS; i++) {
		if (after[i].used[k] > models[i].used[k] && after[i].used[k] > after[i].limit[k])
			return false;
		if (after[i].bytes > models[i].bytes && after[i].bytes > after[i].bytes_limit)
			return false;
	}
	memcpy(models, after, sizeof(models));
	model_peaks();
	return true;
}

static bool agrees(void)
{
	const struct ledger_account *account;

	ledger_settle();
	for (int i = 0; i < LEDGERS; i++) {
		for (unsigned k = 0; k < KINDS; k++) {
			account = &models[i].ledger->account[kinds[k]];
			if (account->used != models[i].used[k] || account->peak != models[i].peak[k]) {
				diag("%s %s: used %lu, should be %lu; peak %lu, should be %lu", models[i].ledger->name,
				     ledger_resource_name(kinds[k]), account->used, models[i].used[k], account->peak,
				     models[i].peak[k]);
				return false;
			}
		}
	}
	return true;
}

/* A tree: a chain to the full depth and some beside it, limits here and there. */
static void make_tree(void)
{
	int error;
	char name[16];

	models[0] = (struct model){.ledger = &root_ledger};
	for (int i = 1; i < LEDGERS; i++) {
		int parent = i < LEDGER_DEPTH ? i - 1 : (int)random_below(i < LEDGER_DEPTH + 2 ? 4 : LEDGER_DEPTH - 1);

		snprintf(name, sizeof(name), "l%d", i);
		models[i] = (struct model){.ledger = ledger_new(models[parent].ledger, name, &error), .parent = parent};
	}
	for (int i = 0; i < LEDGERS; i++) {
		memset(models[i].limit, 0xff, sizeof(models[i].limit));
		models[i].bytes_limit = LEDGER_UNLIMITED;
	}
}

static void change_limit(int at, unsigned k)
{
	uint64_t limit = random_below(3) == 0 ? LEDGER_UNLIMITED : models[at].used[k] + random_below(40);

	if (limit < models[at].guarantee[k] || at == 0)
		return;
	models[at].limit[k] = limit;
	claim(ledger_limit(models[at].ledger, kinds[k], limit) == KERN_SUCCESS, "a limit");
}

/* Only lower ones, and those that limits do not refuse: mem_ledger_test has the rest. */
static void change_guarantee(int at, unsigned k)
{
	uint64_t amount = random_below(30);

	if (at == 0 || amount > models[at].limit[k])
		return;
	if (ledger_guarantee(models[at].ledger, kinds[k], amount) != KERN_SUCCESS)
		return;
	models[at].guarantee[k] = amount;
	model_count(models);
	model_peaks();
}

static void test_random(void)
{
	unsigned denied = 0;

	make_tree();
	claim_begin("charges are allowed, figures and peaks are, as if there were no slack");
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* Some rounds live in few ledgers and kinds, where there is slack most of the time. */
		int first = (int)random_below(LEDGERS), spread = 1 + (int)random_below(random_below(2) ? LEDGERS : 2);
		unsigned kind_first = (unsigned)random_below(KINDS), kind_spread = 1 + (unsigned)random_below(KINDS);

		for (unsigned step = 0; step < STEPS / ROUNDS; step++) {
			int at = (first + (int)random_below(spread)) % LEDGERS;
			unsigned k = (kind_first + (unsigned)random_below(kind_spread)) % KINDS;
			struct model *m = &models[at];
			uint64_t n = random_below(4) ? 1 : 1 + random_below(25);
			bool allowed;

			if (m->own[k] >= n && random_below(2)) {
				m->own[k] -= n;
				model_count(models);
				ledger_refund(m->ledger, kinds[k], n);
				continue;
			}
			allowed = model_charge(at, k, n);
			denied += !allowed;
			claim(ledger_charge(m->ledger, kinds[k], n) == allowed, "round %u, step %u: %lu %s to %s: not %s", round,
			      step, n, ledger_resource_name(kinds[k]), m->ledger->name, allowed ? "allowed" : "denied");
			if (!allowed)
				claim(host_denial.used + host_denial.wanted > host_denial.limit, "the denial is true");
		}
		if (random_below(2))
			change_limit((int)random_below(LEDGERS), (unsigned)random_below(KINDS));
		if (random_below(4) == 0)
			change_guarantee((int)random_below(LEDGERS), (unsigned)random_below(KINDS));
		if (random_below(2))
			claim(agrees(), "round %u", round);
	}
	claim_end();
	ok(denied > 20, "%u charges were denied", denied);
	for (int i = 0; i < LEDGERS; i++) {
		for (unsigned k = 0; k < KINDS; k++) {
			if (models[i].own[k] != 0)
				ledger_refund(models[i].ledger, kinds[k], models[i].own[k]);
			if (models[i].guarantee[k] != 0)
				ledger_guarantee(models[i].ledger, kinds[k], 0);
			models[i].own[k] = models[i].guarantee[k] = 0;
		}
	}
	model_count(models);
	ok(agrees(), "all comes back");
	for (int i = LEDGERS - 1; i > 0; i--)
		ledger_kill(models[i].ledger);
	ledger_settle();
	is_u64(root_ledger.account[LEDGER_LEDGERS].used, 0, "and the ledgers with it");
}

/* Depth does not matter to one who takes and gives back: the ledgers above are not touched. */
static void test_flat(void)
{
	struct ledger *deep = &root_ledger, *other;
	struct ledger_account *top = &root_ledger.account[LEDGER_NAMES];
	void *element[40];
	uint64_t before;
	int error;

	while (deep->depth < LEDGER_DEPTH)
		deep = ledger_new(deep, "deep", &error);
	other = ledger_new(&root_ledger, "other", &error);
	before = top->used;
	element[0] = zone_alloc(&names, deep);
	is_u64(top->used, before + 1, "a charge reaches the root");
	zone_free(&names, element[0], deep);
	is_u64(top->used, before + 1, "a refund need not");
	element[0] = zone_alloc(&names, deep);
	is_u64(top->used, before + 1, "and then the next charge does not");
	ledger_settle();
	is_u64(top->used, before + 1, "what is in use stays counted");
	zone_free(&names, element[0], deep);
	ledger_settle();
	is_u64(top->used, before, "settled, a refund is counted everywhere");
	for (unsigned i = 0; i < 40; i++)
		element[i] = zone_alloc(&names, deep);
	for (unsigned i = 0; i < 40; i++)
		zone_free(&names, element[i], deep);
	ok(top->used <= before + 16, "of many refunds at most sixteen are held back: %lu", (unsigned long)(top->used - before));
	element[0] = zone_alloc(&names, other);
	is_u64(top->used, before + 1, "and none beside another ledger's charge");
	ledger_limit(deep->parent, LEDGER_NAMES, 1);
	zone_free(&names, element[0], other);
	element[1] = zone_alloc(&names, deep);
	ok(element[1] != NULL && zone_alloc(&names, deep) == NULL, "a limit above counts what is there");
	zone_free(&names, element[1], deep);
	element[1] = zone_alloc(&names, deep->parent);
	ok(element[1] != NULL, "and not what is slack below");
	zone_free(&names, element[1], deep->parent);
}

/* Empty slabs go, though slack was counted for them. */
static void test_slabs(void)
{
	struct ledger *payer;
	void *element[600];
	uint64_t slabs;
	int error;

	payer = ledger_new(&root_ledger, "payer", &error);
	for (unsigned i = 0; i < 600; i++)
		element[i] = zone_alloc(&entries, payer);
	slabs = entries.slabs;
	for (unsigned i = 0; i < 600; i++)
		zone_free(&entries, element[i], payer);
	zone_reclaim();
	ok(slabs > 4 && entries.slabs == 0, "a zone gives all slabs back while there is slack");
	ledger_kill(payer);
	ok(host_audit(), "the books agree");
}

/* At the end of a slab, beside slabs that are kept for a guarantee: taking and giving back moves no pages. */
static void test_boundary(void)
{
	struct ledger *payer, *guaranteed;
	void *element[100], *last;
	uint64_t slabs, count;
	int error;

	payer = ledger_new(&root_ledger, "payer", &error);
	guaranteed = ledger_new(&root_ledger, "guaranteed", &error);
	ledger_guarantee(guaranteed, LEDGER_ENTRIES, 2 * entries.per_slab);
	for (count = 0; count < entries.per_slab; count++)
		element[count] = zone_alloc(&entries, payer);
	zone_free(&entries, zone_alloc(&entries, payer), payer);
	slabs = entries.slabs;
	claim_begin("a slab that is begun stays for the next element");
	for (unsigned i = 0; i < 100; i++) {
		last = zone_alloc(&entries, payer);
		claim(entries.slabs == slabs, "%lu slabs, were %lu", (unsigned long)entries.slabs, (unsigned long)slabs);
		zone_free(&entries, last, payer);
		claim(entries.slabs == slabs, "%lu slabs, were %lu", (unsigned long)entries.slabs, (unsigned long)slabs);
		if (i % 10 == 0)
			zone_check(&entries);
	}
	claim_end();
	while (count-- > 0)
		zone_free(&entries, element[count], payer);
	zone_reclaim();
	is_u64(entries.slabs, 2, "what a guarantee needs stays");
	ledger_guarantee(guaranteed, LEDGER_ENTRIES, 0);
	zone_reclaim();
	is_u64(entries.slabs, 0, "and goes with it");
	zone_check(&entries);
	ledger_kill(payer);
	ledger_kill(guaranteed);
}

static void test_mark_and_death(void)
{
	struct ledger *parent, *child;
	uint64_t marks = host_marks;
	int error;

	parent = ledger_new(&root_ledger, "parent", &error);
	child = ledger_new(parent, "child", &error);
	ledger_charge(child, LEDGER_VIRTUAL_PAGES, 3);
	ledger_refund(child, LEDGER_VIRTUAL_PAGES, 3);
	ledger_mark(parent, LEDGER_VIRTUAL_PAGES, 3);
	is_u64(host_marks, marks, "slack does not reach a mark");
	ledger_charge(parent, LEDGER_VIRTUAL_PAGES, 1);
	ledger_charge(child, LEDGER_VIRTUAL_PAGES, 1);
	is_u64(host_marks, marks, "nor beside a charge");
	ledger_charge(child, LEDGER_VIRTUAL_PAGES, 1);
	is_u64(host_marks, marks + 1, "what is charged does");
	ledger_refund(child, LEDGER_VIRTUAL_PAGES, 1);
	ledger_kill(child);
	is_u64(parent->account[LEDGER_VIRTUAL_PAGES].used, 2, "a ledger that dies has no slack");
	ledger_refund(child, LEDGER_VIRTUAL_PAGES, 1);
	is_u64(parent->account[LEDGER_VIRTUAL_PAGES].used, 1, "nor has a dead one, whose last refund buries it");
	ledger_refund(parent, LEDGER_VIRTUAL_PAGES, 1);
	ledger_kill(parent);
	ok(host_audit(), "the books agree");
}

/* A spare is there for its payer only, and until it would be seen. */
static void test_spare(void)
{
	struct ledger *payer, *other;
	void *element[ZONE_QUARANTINE + 1];
	uint64_t allocs, ledgers = host_used(&root_ledger, LEDGER_LEDGERS);
	int error;

	payer = ledger_new(&root_ledger, "payer", &error);
	other = ledger_new(&root_ledger, "other", &error);
	/* Freed elements wait for each other first. */
	for (unsigned i = 0; i <= ZONE_QUARANTINE; i++)
		element[i] = zone_alloc(&names, payer);
	for (unsigned i = 0; i <= ZONE_QUARANTINE; i++)
		zone_free(&names, element[i], payer);
	ok(zone_has_spare(&names, payer) && payer->account[LEDGER_NAMES].used == 1, "what is freed last stays charged");
	zone_check(&names);
	allocs = names.allocs;
	element[0] = zone_alloc(&names, payer);
	ok(element[0] != NULL && !zone_has_spare(&names, payer) && payer->account[LEDGER_NAMES].used == 1 && names.allocs == allocs + 1,
	   "until it is allocated again");
	element[1] = zone_alloc(&names, other);
	zone_free(&names, element[0], payer);
	zone_free(&names, element[1], other);
	ok(!zone_has_spare(&names, payer) && payer->account[LEDGER_NAMES].used == 0 && zone_has_spare(&names, other), "or another payer frees one");
	ledger_settle();
	ok(!zone_has_spare(&names, other) && other->account[LEDGER_NAMES].used == 0 && zone_count(&names) == 0, "or somebody reads figures");
	zone_free(&names, zone_alloc(&names, payer), payer);
	ledger_limit(payer, LEDGER_NAMES, 0);
	ok(zone_alloc(&names, payer) == NULL && host_denial.used == 0, "or there is a new limit, which holds for it");
	zone_free(&names, zone_alloc(&names, other), other);
	host_fail_nth(1);
	mem_fail_enabled = true;
	ok(zone_alloc(&names, other) == NULL, "a denial that was asked for comes");
	mem_fail_enabled = false;
	host_fail_nth(0);
	element[0] = zone_alloc(&names, other);
	zone_free(&names, zone_alloc(&names, other), other);
	ledger_kill(other);
	zone_free(&names, element[0], other);
	ok(host_used(&root_ledger, LEDGER_LEDGERS) == ledgers + 1 && !zone_has_spare(&names, other), "a dead payer keeps nothing");
	ledger_kill(payer);
}

/* Three payers under one limit, each with its own. */
static void test_spare_random(void)
{
	uint64_t live[3] = {0}, limit[3], most = 12, ledgers = host_used(&root_ledger, LEDGER_LEDGERS);
	struct ledger *parent, *payer[3];
	void *element[3][20];
	unsigned denied = 0;
	int error;

	parent = ledger_new(&root_ledger, "parent", &error);
	ledger_limit(parent, LEDGER_NAMES, most);
	for (unsigned i = 0; i < 3; i++) {
		payer[i] = ledger_new(parent, "payer", &error);
		limit[i] = LEDGER_UNLIMITED;
	}
	claim_begin("elements are allowed as if there were no spares");
	for (unsigned step = 0; step < 20000; step++) {
		unsigned i = (unsigned)random_below(random_below(20) != 0 ? 1 + step / 4000 % 3 : 3);
		bool allowed = live[i] < limit[i] && live[0] + live[1] + live[2] < most;

		if (random_below(2) && live[i] != 0) {
			zone_free(&names, element[i][--live[i]], payer[i]);
		} else {
			element[i][live[i]] = zone_alloc(&names, payer[i]);
			claim((element[i][live[i]] != NULL) == allowed, "step %u", step);
			live[i] += allowed;
			denied += !allowed;
		}
		if (random_below(100) == 0) {
			limit[i] = random_below(2) ? LEDGER_UNLIMITED : live[i] + random_below(3);
			ledger_limit(payer[i], LEDGER_NAMES, limit[i]);
		}
		if (random_below(50) == 0)
			claim(host_used(payer[i], LEDGER_NAMES) == live[i], "step %u: %lu, not %lu", step,
			      (unsigned long)host_used(payer[i], LEDGER_NAMES), (unsigned long)live[i]);
		if (random_below(50) == 0)
			zone_check(&names);
	}
	claim_end();
	ok(denied > 20, "%u were denied", denied);
	for (unsigned i = 0; i < 3; i++) {
		while (live[i] != 0)
			zone_free(&names, element[i][--live[i]], payer[i]);
		ledger_kill(payer[i]);
	}
	ledger_kill(parent);
	is_u64(host_used(&root_ledger, LEDGER_LEDGERS), ledgers, "all comes back");
}

int main(void)
{
	tap_begin("mem_slack_test");
	host_memory(4096, 2048);
	mem_fail_enabled = false;
	zone_init(&names, "names", 48, LEDGER_NAMES, no_payer);
	zone_init(&entries, "entries", 112, LEDGER_ENTRIES, no_payer);
	test_random();
	test_flat();
	test_slabs();
	test_boundary();
	test_mark_and_death();
	test_spare();
	test_spare_random();
	return tap_done();
}
