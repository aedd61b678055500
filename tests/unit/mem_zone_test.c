/* SPDX-License-Identifier: BSD-2-Clause */
/* Zones, pages and guarantees under floods: what is promised is served, what is denied changes nothing, all comes back. */
/* SOURCES: mem */
#include <mach/kern_return.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "mem/audit.h"
#include "mem/page.h"
#include "mem/radix.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "tap.h"

#define ZONES 6
#define LEDGERS 9
#define OBJECTS_MAX (1 << 20)
#define STEPS 120000

/* What every element of the test's zones begins with. */
struct object {
	struct ledger *payer;
	uint64_t pattern;
};

static struct zone zones[ZONES];
static const struct { const char *name; size_t size; unsigned resource; } kinds[ZONES] = {
	{"tasks", 700, LEDGER_TASKS}, {"threads", 1300, LEDGER_THREADS}, {"ports", 240, LEDGER_PORTS},
	{"names", 64, LEDGER_NAMES}, {"messages", 360, LEDGER_MESSAGES}, {"fpus", 4000, LEDGER_FPUS},
};
static struct ledger *ledgers[LEDGERS];
static uint64_t free_at_first;

/* Live things of the model: elements of zones (kind < ZONES), kernel pages, user pages. */
enum { KIND_KPAGE = ZONES, KIND_FRAME, KINDS };
struct live { void *object; struct ledger *payer; unsigned kind; uint64_t pattern; };
static struct live live[OBJECTS_MAX];
static unsigned live_count;

static struct ledger *object_payer(const void *element)
{
	return ((const struct object *)element)->payer;
}

static unsigned resource_of(unsigned kind)
{
	return kind == KIND_KPAGE ? LEDGER_KPAGES : kind == KIND_FRAME ? LEDGER_RESIDENT_PAGES : kinds[kind].resource;
}

static struct ledger *frame_payer(const struct page *page)
{
	return page->owner;
}

static void make(void)
{
	int error;

	for (unsigned i = 0; i < ZONES; i++)
		zone_init(&zones[i], kinds[i].name, kinds[i].size, kinds[i].resource, object_payer);
	ledgers[0] = &root_ledger;
	for (unsigned i = 1; i < LEDGERS; i++) {
		unsigned parent = i < LEDGER_DEPTH ? i - 1 : random_below(LEDGER_DEPTH - 1);
		char name[16];

		snprintf(name, sizeof(name), "l%u", i);
		ledgers[i] = ledger_new(ledgers[parent], name, &error);
	}
}

static bool live_add(unsigned kind, struct ledger *payer)
{
	struct live *new = &live[live_count];

	if (live_count == OBJECTS_MAX)
		return false;
	*new = (struct live){.payer = payer, .kind = kind, .pattern = random_u64()};
	if (kind < ZONES) {
		struct object *object = zone_alloc(&zones[kind], payer);

		new->object = object;
		if (object != NULL) {
			memset(object, (int)new->pattern & 0xff, zones[kind].elem_size);
			*object = (struct object){payer, new->pattern};
		}
	} else {
		struct page *page = kind == KIND_KPAGE ? kpage_alloc(payer) : frame_alloc(payer);

		new->object = page;
		if (page != NULL) {
			page->owner = payer;
			*(uint64_t *)page_address(page) = new->pattern;
		}
	}
	live_count += new->object != NULL;
	return new->object != NULL;
}

static void live_remove(unsigned index)
{
	struct live gone = live[index];
	uint64_t pattern;

	if (gone.kind < ZONES) {
		const uint8_t *bytes = gone.object;

		pattern = ((struct object *)gone.object)->pattern;
		claim(bytes[zones[gone.kind].elem_size - 1] == (uint8_t)gone.pattern ||
		      zones[gone.kind].elem_size <= sizeof(struct object), "an element's end was overwritten");
		zone_free(&zones[gone.kind], gone.object, gone.payer);
	} else {
		pattern = *(uint64_t *)page_address(gone.object);
		if (gone.kind == KIND_KPAGE)
			kpage_free(gone.object);
		else
			frame_free(gone.object, gone.payer);
	}
	claim(pattern == gone.pattern, "an element was overwritten");
	live[index] = live[--live_count];
}

static void live_remove_all(void)
{
	while (live_count > 0)
		live_remove(random_below(live_count));
}

static uint64_t used_of_root(void)
{
	uint64_t sum = 0;

	for (unsigned r = 0; r < LEDGER_RESOURCES; r++) {
		if (r != LEDGER_LEDGERS && r != LEDGER_KMEM)
			sum += root_ledger.account[r].used;
	}
	return sum;
}

/* Invariants I3..I5 of ledger.c. */
static bool backed(void)
{
	struct page_counts pages;
	struct zone *zone;

	page_count(&pages);
	LIST_FOREACH(zone, &zone_list, all) {
		if (zone->slabs * zone->per_slab < root_ledger.account[zone->resource].used)
			return false;
	}
	return pages.slab + root_ledger.account[LEDGER_KPAGES].used <= zone_map_limit_pages() &&
	       pages.slab + root_ledger.account[LEDGER_KPAGES].used + root_ledger.account[LEDGER_RESIDENT_PAGES].used +
	       pages.reserve <= pages.total;
}

/* Whether a guarantee of the ledger covers one more, and no limit up to there stands against it. */
static bool covered(const struct ledger *ledger, unsigned r)
{
	uint64_t each = ledger_thing_bytes[r];

	for (; ledger != NULL; ledger = ledger->parent) {
		const struct ledger_account *a = &ledger->account[r], *bytes = &ledger->account[LEDGER_KMEM];
		uint64_t claimed = bytes->used;

		for (unsigned i = 0; i < LEDGER_KMEM; i++)
			if (ledger->account[i].guarantee > ledger->account[i].used)
				claimed += (ledger->account[i].guarantee - ledger->account[i].used) * ledger_thing_bytes[i];
		if (a->used + 1 > a->limit)
			return false;
		if (a->used < a->guarantee)	/* its bytes too: prepaid */
			return true;
		if (claimed + each > bytes->limit)
			return false;
	}
	return false;
}

static void random_limits(struct ledger *ledger, unsigned kind)
{
	unsigned r = resource_of(kind);

	switch (random_below(4)) {
	case 0:
		ledger_limit(ledger, r, random_below(3) == 0 ? LEDGER_UNLIMITED : random_below(400));
		break;
	case 1:
		ledger_limit(ledger, LEDGER_KMEM, random_below(2) == 0 ? LEDGER_UNLIMITED : random_below(4000000));
		break;
	case 2:
		ledger_guarantee(ledger, r, random_below(3) == 0 ? 0 : random_below(60));
		break;
	default:
		ledger_guarantee(ledger, r, random_below(100000));
	}
}

static void random_steps(uint64_t map_pages, unsigned steps)
{
	uint64_t denied = 0;

	zone_map_init(map_pages);
	claim_begin("zone map of %lu pages: guarantees are served, denials change nothing, promises are backed", map_pages);
	for (unsigned step = 0; step < steps; step++) {
		struct ledger *ledger = ledgers[random_below(LEDGERS)];
		unsigned kind = random_below(KINDS), burst = 1 + random_below(40);

		switch (random_below(16)) {
		case 0: case 1: case 2: case 3: case 4: case 5: case 6: case 7: case 8:
			while (burst-- > 0) {
				bool must = covered(ledger, resource_of(kind));
				char *snapshot = random_below(64) == 0 ? host_snapshot() : NULL;
				bool done = live_add(kind, ledger);

				denied += !done;
				claim(done || !must || live_count == OBJECTS_MAX, "step %u: a guaranteed %s was denied",
				      step, ledger_resource_name(resource_of(kind)));
				if (snapshot != NULL && !done)
					claim(host_unchanged(snapshot), "step %u: a denial changed something", step);
				else
					free(snapshot);
				if (!done)
					break;
			}
			break;
		case 9: case 10: case 11: case 12: case 13:
			while (burst-- > 0 && live_count > 0)
				live_remove(random_below(live_count));
			break;
		case 14:
			if (ledger != &root_ledger)
				random_limits(ledger, kind);
			break;
		default:
			if (random_below(200) == 0)
				live_remove_all();
			else if (random_below(20) == 0)
				zone_reclaim();
		}
		if (!claim(backed(), "step %u: something promised is not there", step))
			break;
		if (step % 5000 == 0)
			claim(host_audit(), "step %u: the audit", step);
	}
	claim(host_audit(), "the audit at the end");
	claim_end();
	ok(denied > 0, "denials happened (%lu)", denied);
}

static void give_back(void)
{
	struct zone *zone;

	claim_begin("everything comes back");
	live_remove_all();
	for (unsigned i = 1; i < LEDGERS; i++) {
		for (unsigned r = 0; r < LEDGER_KMEM; r++) {
			ledger_guarantee(ledgers[i], r, 0);
			ledger_limit(ledgers[i], r, LEDGER_UNLIMITED);
		}
		ledger_limit(ledgers[i], LEDGER_KMEM, LEDGER_UNLIMITED);
	}
	zone_reclaim();
	claim(used_of_root() == 0, "the root still counts %lu", used_of_root());
	LIST_FOREACH(zone, &zone_list, all) {
		if (zone->resource != LEDGER_LEDGERS)
			claim(zone->slabs == 0 && zone_count(zone) == 0, "zone %s keeps slabs", zone->name);
	}
	claim(page_frames_free() == free_at_first, "%lu pages are free", page_frames_free());
	claim(host_audit(), "the audit");
	claim_end();
}

/* One ledger takes all it can get; another's guarantee is there all the same, to the last thing. */
static void flood_and_guarantee(unsigned kind, uint64_t promised)
{
	struct ledger *hog = ledgers[1], *quiet = ledgers[LEDGERS - 1];
	uint64_t served = 0, taken = 0;

	is_u64(ledger_guarantee(quiet, resource_of(kind), promised), KERN_SUCCESS, "%lu %s promised", promised,
	       ledger_resource_name(resource_of(kind)));
	while (live_add(kind, hog))
		taken++;
	while (live_add((kind + 1) % KINDS, hog))
		taken++;
	while (served < promised && live_add(kind, quiet))
		served++;
	is_u64(served, promised, "%s: all that was promised is served after a flood of %lu",
	       ledger_resource_name(resource_of(kind)), taken);
	ok(!live_add(kind, quiet), "and one more is not");
	is_u64(host_denial.ledger_id, root_ledger.id, "the denial names the root");
}

static void maxima(void)
{
	zone_set_max(&zones[2], 3);
	for (unsigned i = 0; i < 3; i++)
		live_add(2, &root_ledger);
	ok(!live_add(2, ledgers[3]), "a zone's maximum denies");
	ok(host_denial.resource == LEDGER_PORTS && host_denial.used == 3 && host_denial.limit == 3 &&
	   strcmp(host_denial.ledger, "root") == 0, "and is named as the root's resource");
	is_u64(ledger_guarantee(ledgers[1], LEDGER_PORTS, 1), KERN_RESOURCE_SHORTAGE, "it holds for guarantees too");
	zone_set_max(&zones[2], LEDGER_UNLIMITED);
	zone_set_warning(&zones[2], 5);
	while (live_count < 10)
		live_add(2, &root_ledger);
	ok(zones[2].warned && live_count == 10, "a warning mark warns and denies nothing");
	zone_set_warning(&zones[2], 0);
	ok(zone_find("ports") == &zones[2] && zone_find("no such") == NULL, "zones are found by name");
}

static void eager(void)
{
	uint64_t before;

	zone_reclaim();
	before = page_frames_free();
	zone_reclaim_eager = true;
	live_add(5, &root_ledger);
	is_u64(page_frames_free(), before - 1, "eager: a slab is taken");
	live_remove(0);
	is_u64(page_frames_free(), before, "and goes the moment it is empty");
	zone_reclaim_eager = false;
}

static void fail_every(void)
{
	struct ledger *ledger = ledgers[4];

	for (unsigned kind = 0; kind < KINDS; kind++) {
		char *snapshot = host_snapshot();

		host_fail_nth(1);
		claim_begin("%s: fail-nth denies and changes nothing", ledger_resource_name(resource_of(kind)));
		claim(!live_add(kind, ledger), "it was given");
		claim(host_fail_fired && host_fail_site != NULL && strstr(host_fail_site->file, "mem_zone_test.c") != NULL,
		      "the site is not known");
		claim(host_unchanged(snapshot), "something changed");
		claim_end();
	}
	host_fail_nth(0);
}


static void pressure(void)
{
	unsigned level;

	live_remove_all();
	is_u64(mem_pressure(), 0, "no pressure when all is free");
	while (live_add(KIND_FRAME, &root_ledger))
		continue;
	is_u64(mem_pressure(), 3, "the highest when all is taken");
	for (level = 3; live_count > 0 && level == 3; level = host_pressure)
		live_remove(0);
	is_u64(level, 2, "it ends a level at a time");
	ok(live_add(KIND_FRAME, &root_ledger) && mem_pressure() == 2, "and not to and fro");
	live_remove_all();
	is_u64(host_pressure, 0, "none in the end");
}

/* Charges that move are never refused, even out of a guarantee that was the last memory: then what is not guaranteed is
   denied until things come back, and the books stay right. */
static void moves_when_full(void)
{
	struct ledger *from = ledgers[1], *to = ledgers[LEDGERS - 1];
	unsigned moved = 0;

	zone_map_init(256);
	ledger_guarantee(from, LEDGER_PORTS, 200);
	for (unsigned i = 0; i < 200; i++)
		live_add(2, from);
	while (live_add(2, &root_ledger))
		continue;
	for (unsigned i = 0; i < 200; i++) {
		if (live[i].payer != from)
			continue;
		((struct object *)live[i].object)->payer = to;
		live[i].payer = to;
		ledger_move(from, to, LEDGER_PORTS, 1);
		moved++;
	}
	is_u64(moved, 200, "charges move when all is full");
	ok(host_audit(), "and the books are right");
	ok(!live_add(2, &root_ledger), "what is not guaranteed is denied");
	for (unsigned i = 0; i < 20; i++)
		live_add(2, from);
	ok(host_audit(), "and what is guaranteed is served or denied, no more");
	while (live_count > 0)
		live_remove(live_count - 1);
	ledger_guarantee(from, LEDGER_PORTS, 0);
	zone_reclaim();
	ok(backed() && host_audit(), "all is well when things have come back");
	is_u64(page_frames_free(), free_at_first, "and all of them have");
}

static bool count_visit(void *element, void *context)
{
	(void)element;
	++*(uint64_t *)context;
	return true;
}

/* The audit finds what is wrong: each kind of miscount, put in and taken out again. */
static void audit_detects(void)
{
	struct object *object;
	uint64_t visited = 0;
	struct page_counts pages;

	live_add(0, ledgers[2]);
	live_add(KIND_KPAGE, ledgers[2]);
	live_add(KIND_FRAME, ledgers[2]);
	ok(host_audit(), "before: the audit agrees");
	object = live[0].object;
	object->payer = ledgers[3];
	ok(!host_audit(), "an element whose payer changed without a charge is found");
	object->payer = ledgers[2];
	ledgers[2]->account[LEDGER_TASKS].used++;
	ok(!host_audit(), "a wrong figure is found");
	ledgers[2]->account[LEDGER_TASKS].used--;
	root_ledger.account[LEDGER_KMEM].used++;
	ok(!host_audit(), "a wrong figure of bytes is found");
	root_ledger.account[LEDGER_KMEM].used--;
	((struct page *)live[2].object)->owner = ledgers[3];
	ok(!host_audit(), "a page of another payer is found");
	((struct page *)live[2].object)->owner = ledgers[2];
	ledgers[2]->account[LEDGER_TASKS].covers++;
	ok(!host_audit(), "what a parent counts too much is found");
	ledgers[2]->account[LEDGER_TASKS].covers--;
	((struct page *)live[1].object)->kind = PAGE_FREE;
	ok(!host_audit(), "a page of another kind is found");
	((struct page *)live[1].object)->kind = PAGE_KERNEL;
	ok(host_audit(), "after: the audit agrees again");
	zone_walk(&zones[0], count_visit, &visited);
	is_u64(visited, 1, "a walk visits each live element once");
	page_count(&pages);
	is_u64(pages.kernel + pages.user, 2, "pages are counted by kind");
	live_remove_all();
}

/* A zone's empty slabs that hold what is promised are none to spare: else a slab would come and go with one thing. */
static void hysteresis(void)
{
	struct zone *zone = &zones[2];
	uint64_t promised = 4 * (uint64_t)zone->per_slab;

	zone_reclaim();
	is_u64(ledger_guarantee(ledgers[1], LEDGER_PORTS, promised), KERN_SUCCESS, "four slabs full are promised");
	ok(live_add(2, &root_ledger) && zone->slabs == 5, "one thing more needs a fifth");
	ledger_guarantee(ledgers[1], LEDGER_PORTS, promised - 1);
	is_u64(zone->slabs, 5, "which is kept when one thing less is needed");
	ledger_guarantee(ledgers[1], LEDGER_PORTS, promised - 1 - zone->per_slab);
	is_u64(zone->slabs, 4, "and goes when a slab less is");
	ledger_guarantee(ledgers[1], LEDGER_PORTS, 0);
	live_remove_all();
}

int main(void)
{
	static const uint64_t maps_mib[] = {1, 2, 4, 8, 16, 32, 64};

	tap_begin("mem_zone_test");
	host_memory(64 * 256, 1 << 20);
	audit_hooks.page_user_payer = frame_payer;
	make();
	free_at_first = page_frames_free();
	audit_detects();
	maxima();
	live_remove_all();
	hysteresis();
	eager();
	fail_every();
	pressure();
	moves_when_full();
	for (unsigned i = 0; i < sizeof(maps_mib) / sizeof(maps_mib[0]); i++) {
		random_steps(maps_mib[i] * 256, STEPS / 7);
		give_back();
		for (unsigned kind = 0; kind < KINDS; kind++) {
			flood_and_guarantee(kind, 20);
			give_back();
		}
	}
	return tap_done();
}
