/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers against a model that is too simple to be wrong: trees of all depths, limits and guarantees everywhere. */
/* SOURCES: mem */
#include <mach/kern_return.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/zone.h"
#include "tap.h"

#define LEDGERS 24
#define STEPS 8000
#define MODEL_RESOURCES 4

/* One without bytes, one with a zone, two of pages. */
static const unsigned resources[MODEL_RESOURCES] = {
	LEDGER_VIRTUAL_PAGES, LEDGER_NODES, LEDGER_KPAGES, LEDGER_RESIDENT_PAGES,
};

/* The model: what is charged to each directly; everything else is computed anew each time. */
struct model {
	struct ledger *ledger;
	int parent;			/* index, -1: root */
	uint64_t own[LEDGER_RESOURCES], guarantee[LEDGER_RESOURCES], limit[LEDGER_RESOURCES], ram_limit;
};
static struct model models[LEDGERS];
static int model_count;

static uint64_t model_used(const struct model *all, int index, unsigned r)
{
	uint64_t used = all[index].own[r];

	for (int i = 0; i < model_count; i++) {
		if (all[i].parent == index) {
			uint64_t child = model_used(all, i, r);

			used += child > all[i].guarantee[r] ? child : all[i].guarantee[r];
		}
	}
	return used;
}

static uint64_t model_bytes(const struct model *all, int index)
{
	uint64_t bytes = 0;

	for (unsigned r = 0; r < LEDGER_KMEM; r++)
		bytes += model_used(all, index, r) * ledger_thing_bytes[r];
	return bytes;
}

/* Bytes used or promised. */
static uint64_t model_claimed(const struct model *all, int index)
{
	uint64_t bytes = 0;

	for (unsigned r = 0; r < LEDGER_KMEM; r++) {
		uint64_t used = model_used(all, index, r), guarantee = all[index].guarantee[r];

		bytes += (used > guarantee ? used : guarantee) * ledger_thing_bytes[r];
	}
	return bytes;
}

/* Those, and pages used or promised. */
static uint64_t model_ram_claimed(const struct model *all, int index)
{
	uint64_t used = model_used(all, index, LEDGER_RESIDENT_PAGES);
	uint64_t guarantee = all[index].guarantee[LEDGER_RESIDENT_PAGES];

	return model_claimed(all, index) + (used > guarantee ? used : guarantee) * PAGE_SIZE;
}

/* A change is right when no ledger that counts more, or claims more bytes, than before is beyond its limit. */
static bool model_allows(const struct model *before, const struct model *after, unsigned r)
{
	for (int i = 0; i < model_count; i++) {
		uint64_t used = model_used(after, i, r), bytes = model_claimed(after, i);
		uint64_t ram = model_ram_claimed(after, i);

		if (used > model_used(before, i, r) && used > after[i].limit[r])
			return false;
		if (bytes > model_claimed(before, i) && bytes > after[i].limit[LEDGER_KMEM])
			return false;
		if (ram > model_ram_claimed(before, i) && ram > after[i].ram_limit)
			return false;
	}
	return true;
}

static bool model_agrees(void)
{
	ledger_settle();
	for (int i = 0; i < model_count; i++) {
		for (unsigned k = 0; k < MODEL_RESOURCES; k++) {
			if (model_used(models, i, resources[k]) != models[i].ledger->account[resources[k]].used)
				return false;
		}
		if (model_bytes(models, i) != models[i].ledger->account[LEDGER_KMEM].used)
			return false;
		if (model_bytes(models, i) + model_used(models, i, LEDGER_RESIDENT_PAGES) * PAGE_SIZE !=
		    ledger_ram_used(models[i].ledger))
			return false;
	}
	return true;
}

static void make_tree(void)
{
	models[0] = (struct model){.ledger = &root_ledger, .parent = -1};
	model_count = 1;
	for (int i = 1; i < LEDGERS; i++) {
		/* The first eight are a chain, the rest hang anywhere. */
		int parent = i < LEDGER_DEPTH ? i - 1 : (int)random_below(i);
		int error;
		char name[16];

		while (models[parent].ledger->depth == LEDGER_DEPTH)
			parent = models[parent].parent;
		snprintf(name, sizeof(name), "l%d", i);
		models[i] = (struct model){.ledger = ledger_new(models[parent].ledger, name, &error), .parent = parent};
		models[parent].own[LEDGER_LEDGERS]++;
		model_count++;
	}
	for (int i = 0; i < LEDGERS; i++) {
		memset(models[i].limit, 0xff, sizeof(models[i].limit));
		models[i].ram_limit = LEDGER_UNLIMITED;
	}
}

static void step_charge(const struct model *before, struct model *m, unsigned r, uint64_t n)
{
	bool allowed, charged;
	char *snapshot;

	m->own[r] += n;
	allowed = model_allows(before, models, r);
	snapshot = host_snapshot();
	charged = ledger_charge(m->ledger, r, n);
	claim(charged == allowed, "charge of %lu %s to %s: %s", n, ledger_resource_name(r), m->ledger->name,
	      charged ? "allowed" : "denied");
	if (!charged) {
		m->own[r] -= n;
		claim(host_unchanged(snapshot), "a denied charge changed something");
		claim(host_denial.used + host_denial.wanted > host_denial.limit, "the denial names no full ledger");
	} else {
		free(snapshot);
	}
}

static void step_guarantee(const struct model *before, struct model *m, unsigned r, uint64_t n)
{
	uint64_t old = m->guarantee[r];
	bool allowed;
	char *snapshot;
	int result;

	m->guarantee[r] = n;
	allowed = n <= old || model_allows(before, models, r);
	snapshot = host_snapshot();
	result = ledger_guarantee(m->ledger, r, n);
	if (n > m->limit[r]) {
		claim(result == KERN_INVALID_ARGUMENT, "a guarantee above the limit");
		allowed = false;
	} else {
		claim((result == KERN_SUCCESS) == allowed, "guarantee of %lu %s to %s: %d", n, ledger_resource_name(r),
		      m->ledger->name, result);
	}
	if (!allowed) {
		m->guarantee[r] = old;
		claim(host_unchanged(snapshot), "a denied guarantee changed something");
	} else {
		free(snapshot);
	}
}

static void step_limit(struct model *m, unsigned r)
{
	uint64_t limit = random_below(4) == 0 ? LEDGER_UNLIMITED : random_below(120);
	int result;

	if (random_below(3) == 0) {
		m->ram_limit = limit == LEDGER_UNLIMITED ? limit : random_below(800000);
		result = ledger_limit(m->ledger, LEDGER_RAM, m->ram_limit);
		claim(result == KERN_SUCCESS, "limit of RAM");
		return;
	}
	if (random_below(3) == 0) {
		r = LEDGER_KMEM;
		if (limit != LEDGER_UNLIMITED)
			limit = random_below(400000);
	}
	result = ledger_limit(m->ledger, r, limit);
	claim((result == KERN_SUCCESS) == (limit >= m->guarantee[r]), "limit");
	if (result == KERN_SUCCESS)
		m->limit[r] = limit;
}

static void step_move(struct model *m, struct model *to, unsigned r)
{
	uint64_t n = m->own[r] == 0 ? 0 : 1 + random_below(m->own[r]);

	ledger_move(m->ledger, to->ledger, r, n);
	m->own[r] -= n;
	to->own[r] += n;
}

static void random_steps(void)
{
	static struct model before[LEDGERS];

	claim_begin("charges, refunds, moves, limits and guarantees agree with the model; denials change nothing");
	for (unsigned step = 0; step < STEPS; step++) {
		struct model *m = &models[random_below(model_count)];
		unsigned r = resources[random_below(MODEL_RESOURCES)];
		uint64_t n = 1 + random_below(12);

		memcpy(before, models, sizeof(models));
		switch (random_below(9)) {
		case 0: case 1: case 2: case 3:
			step_charge(before, m, r, n);
			break;
		case 4: case 5:
			n = n < m->own[r] ? n : m->own[r];
			if (n == 0)
				break;
			ledger_refund(m->ledger, r, n);
			m->own[r] -= n;
			break;
		case 6:
			if (m->parent >= 0)
				step_guarantee(before, m, r, random_below(60));
			break;
		case 7:
			if (m->parent >= 0)
				step_limit(m, r);
			break;
		default:
			step_move(m, &models[random_below(model_count)], r);
		}
		if (!claim(model_agrees(), "step %u: figures differ", step))
			break;
	}
	claim_end();
}

static void give_back(void)
{
	for (int i = 0; i < model_count; i++) {
		for (unsigned k = 0; k < MODEL_RESOURCES; k++) {
			if (models[i].own[resources[k]] != 0)
				ledger_refund(models[i].ledger, resources[k], models[i].own[resources[k]]);
		}
	}
	for (int i = model_count - 1; i > 0; i--)
		ledger_kill(models[i].ledger);
	models[0].own[LEDGER_LEDGERS] = 0;
	zone_reclaim();
}

static uint64_t used_of_root(void)
{
	uint64_t sum = 0;

	for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
		sum += root_ledger.account[r].used;
	return sum;
}

static void shells(void)
{
	int error;
	struct ledger *a = ledger_new(&root_ledger, "a", &error), *b = ledger_new(a, "b", &error);
	struct ledger *c = &root_ledger;

	ok(ledger_charge(b, LEDGER_VIRTUAL_PAGES, 3), "a charge to a grandchild");
	ledger_kill(b);
	ledger_kill(a);
	is_u64(root_ledger.account[LEDGER_LEDGERS].used, 2, "dead ledgers stay as shells, counted above, while charged");
	ok(!ledger_charge(b, LEDGER_VIRTUAL_PAGES, 1), "a dead ledger refuses charges");
	ok(ledger_new(b, "c", &error) == NULL && error == KERN_TERMINATED, "and children");
	ledger_refund(b, LEDGER_VIRTUAL_PAGES, 3);
	is_u64(root_ledger.account[LEDGER_LEDGERS].used, 0, "the last refund buries both");
	for (int i = 1; i < LEDGER_DEPTH; i++)
		c = ledger_new(c, "deep", &error);
	ok(c != NULL && ledger_new(c, "deeper", &error) == NULL && error == KERN_INVALID_ARGUMENT,
	   "eight levels and no more");
	for (struct ledger *up; c != &root_ledger; c = up) {
		up = c->parent;
		ledger_kill(c);
	}
	a = ledger_new(&root_ledger, "a", &error);
	b = ledger_new(a, "b", &error);
	ledger_charge(b, LEDGER_VIRTUAL_PAGES, 1);
	ledger_kill(b);
	ledger_kill(a);
	ledger_move(b, a, LEDGER_VIRTUAL_PAGES, 1);
	is_u64(root_ledger.account[LEDGER_LEDGERS].used, 1, "a charge may move to a shell, which then stays");
	ledger_refund(a, LEDGER_VIRTUAL_PAGES, 1);
	is_u64(root_ledger.account[LEDGER_LEDGERS].used, 0, "until it is refunded");
}

/* The two parts of a limit of RAM grow and shrink by turns: neither is denied before both together fill it. */
static void ram(void)
{
	int error;
	struct ledger *a = ledger_new(&root_ledger, "ram", &error), *b = ledger_new(a, "below", &error);
	unsigned parts[2] = {LEDGER_RESIDENT_PAGES, LEDGER_KPAGES}, n = 0;
	uint64_t before = ledger_ram_used(a);

	is_u64(ledger_limit(&root_ledger, LEDGER_RAM, PAGE_SIZE), KERN_INVALID_ARGUMENT, "the root's RAM is the machine's");
	is_u64(ledger_limit(a, LEDGER_ZONE_MAP, PAGE_SIZE), KERN_INVALID_ARGUMENT, "and so is the zone map");
	is_u64(ledger_guarantee(a, LEDGER_RAM, PAGE_SIZE), KERN_INVALID_ARGUMENT, "RAM is not guaranteed");
	ledger_limit(a, LEDGER_RAM, before + 100 * PAGE_SIZE);
	for (unsigned way = 0; way < 2; way++) {
		for (n = 0; ledger_charge(b, parts[way], 1); n++)
			;
		is_u64(n, 100, way == 0 ? "pages may fill a limit of RAM" : "and so may kernel memory");
		is_str(host_denial.ledger, "ram", "then the ledger denies");
		ok(host_denial.resource == LEDGER_RAM && host_denial.used == before + 100 * PAGE_SIZE &&
		   host_denial.limit == host_denial.used, "and tells how much RAM it has");
		ok(!ledger_charge(b, parts[!way], 1), "the other part is denied as well");
		ledger_refund(b, parts[way], 40);
		for (n = 0; ledger_charge(b, parts[!way], 1); n++)
			;
		is_u64(n, 40, "it may have what was given back");
		ledger_refund(b, parts[!way], 40);
		ledger_refund(b, parts[way], 60);
	}
	is_u64(a->ram_denials, 6, "denials are counted");
	is_u64(ledger_guarantee(b, LEDGER_RESIDENT_PAGES, 101), KERN_RESOURCE_SHORTAGE, "a guarantee beyond it is refused");
	is_u64(ledger_guarantee(b, LEDGER_RESIDENT_PAGES, 100), KERN_SUCCESS, "within it, it fills it");
	ok(!ledger_charge(a, LEDGER_KPAGES, 1), "for others");
	ok(ledger_charge(b, LEDGER_RESIDENT_PAGES, 100), "and is there");
	ledger_refund(b, LEDGER_RESIDENT_PAGES, 100);
	ledger_kill(b);
	ledger_kill(a);
}

static void marks(void)
{
	int error;
	struct ledger *a = ledger_new(&root_ledger, "marked", &error);

	ledger_charge(a, LEDGER_VIRTUAL_PAGES, 100);
	ledger_refund(a, LEDGER_VIRTUAL_PAGES, 100);
	ledger_mark(a, LEDGER_VIRTUAL_PAGES, 10);
	host_marks = 0;
	ledger_charge(a, LEDGER_VIRTUAL_PAGES, 9);
	is_u64(host_marks, 0, "a mark below an old peak is not reached yet");
	ledger_charge(a, LEDGER_VIRTUAL_PAGES, 1);
	is_u64(host_marks, 1, "a mark is told when it is reached");
	ledger_charge(a, LEDGER_VIRTUAL_PAGES, 100);
	is_u64(host_marks, 1, "and once only");
	ledger_mark(a, LEDGER_VIRTUAL_PAGES, 50);
	is_u64(host_marks, 2, "a mark that has been passed is told at once");
	is_u64(a->account[LEDGER_VIRTUAL_PAGES].peak, 110, "the peak is kept beside marks");
	ledger_refund(a, LEDGER_VIRTUAL_PAGES, 110);
	ledger_kill(a);
}

static void bad_arguments(void)
{
	int error;
	struct ledger *a = ledger_new(&root_ledger, "bad", &error);

	is_u64(ledger_guarantee(a, LEDGER_KMEM, 1), KERN_INVALID_ARGUMENT, "bytes are not guaranteed");
	is_u64(ledger_guarantee(a, LEDGER_VIRTUAL_PAGES, ~0ull), KERN_INVALID_ARGUMENT, "nor more than can be counted");
	is_u64(ledger_guarantee(a, LEDGER_RESOURCES, 1), KERN_INVALID_ARGUMENT, "nor what is no resource");
	is_u64(ledger_limit(a, LEDGER_ALL_RESOURCES, 1), KERN_INVALID_ARGUMENT, "no limit for what is no resource");
	is_u64(ledger_guarantee(a, LEDGER_NODES, LEDGER_GUARANTEE_MAX), KERN_RESOURCE_SHORTAGE,
	       "a guarantee that does not fit is refused");
	is_str(host_denial.ledger, "root", "in the name of the root ledger");
	ok(host_denial.resource == LEDGER_ZONE_MAP || host_denial.resource == LEDGER_RAM, "for the machine's memory");
	ledger_kill(a);
}

int main(void)
{
	tap_begin("mem_ledger_test");
	host_memory(8192, 4096);
	make_tree();
	random_steps();
	give_back();
	is_u64(used_of_root(), 0, "given back: the root counts nothing");
	is_u64(page_frames_free(), page_frames_total(), "and all pages are free");
	shells();
	ram();
	marks();
	bad_arguments();
	zone_reclaim();
	is_u64(used_of_root(), 0, "given back again: the root counts nothing");
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
