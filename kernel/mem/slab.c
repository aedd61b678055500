/* SPDX-License-Identifier: BSD-2-Clause */
/* Slabs: the pages of zones, how they come and go. */
/*
 * Each zone has one resource, and each resource at most one zone: the root's used figure for the
 * resource says how many elements exist or are promised, and the zone holds at least as many
 *
 *	slabs * per_slab >= root.used[resource]		(I3 of ledger.c)
 *
 * The charge makes that true (backing_ensure) before it is committed. A slab is given back only when the rest
 * still suffices. What a charge may reach without coming here is ledger_backed[resource]: the
 * elements held, but no more than the zone's maximum, nor than a warning mark not yet passed.
 *
 * Empty slabs are kept up to a mark (one, and a sixteenth of all, beside the current slab; at least one
 * beside what is guaranteed), beyond it the page goes back at once. No zone keeps its pages for ever.
 */
#include "mem/slab.h"
#include "kern/assert.h"
#include "kern/printf.h"
#include "kern/string.h"
#include "mem/ledger_fast.h"
#include "mem/upcalls.h"
#include "x86_64/machine.h"

#define POISON_SLAB 0xdb

struct zone *zone_of_resource[LEDGER_RESOURCES];

void zone_backed_update(struct zone *zone)
{
	uint64_t things = zone_capacity(zone);

	if (things > zone->max)
		things = zone->max;
	if (zone->warn != 0 && !zone->warned && things >= zone->warn)
		things = zone->warn - 1;
	ledger_backed[zone->resource] = things;
	ledger_ease(&root_ledger, zone->resource);
}

/* -- making and releasing -- */

bool slab_add(struct zone *zone)
{
	struct page *page = page_alloc_slab(zone);
	struct slab *slab;

	if (page == NULL)
		return false;
	slab = page_address(page);
	slab->zone = zone;
	slab->free = NULL;
	slab->used = 0;
	slab->quarantined = 0;
	for (uint32_t i = zone->per_slab; i-- > 0;) {
		void *element = slab_element(slab, i);

		*(void **)element = slab->free;
		slab->free = element;
		element_poison(zone, element);
		if (ZONE_DEBUG)
			red_zone_of(zone, element)->site = NULL;
	}
	TAILQ_INSERT_HEAD(&zone->empty, slab, link);
	zone->empties++;
	zone->slabs++;
	zone_backed_update(zone);
	return true;
}

/* Whether the other slabs, and `keep` fewer, hold all that the root counts but for so much slack. */
static inline bool slab_superfluous(const struct zone *zone, uint64_t keep, uint64_t slack)
{
	return zone_capacity(zone) + slack >= root_ledger.account[zone->resource].used + (keep + 1) * zone->per_slab;
}

/* Would the same be so without slack, which is nobody's? Then that is settled, by which slabs may go too: look again. */
static bool slab_kept_by_slack(const struct zone *zone, uint64_t keep)
{
	uint64_t slack = ledger_slack(zone->resource);

	if (slack == 0 || !slab_superfluous(zone, keep, slack))
		return false;
	ledger_settle();
	return true;
}

/* Gives an empty slab's page back. */
static void slab_release(struct zone *zone, struct slab *slab)
{
	assert(slab->used == 0);
	TAILQ_REMOVE(&zone->empty, slab, link);
	zone->empties--;
	zone->slabs--;
	zone_backed_update(zone);
	if (ZONE_DEBUG || zone_reclaim_eager) {
		memory_show(slab, PAGE_SIZE);
		memset(slab, POISON_SLAB, PAGE_SIZE);
	}
	page_free_slab(page_of_address(slab));
}

uint64_t zone_trim_some(struct zone *zone, uint64_t mark, uint64_t most)
{
	/* One more than the root counts, if any may stay: or one thing more or less would make a slab and release it each time. */
	uint64_t pages = 0, keep = mark != 0;

	while (pages < most && zone->empties > mark) {
		if (slab_superfluous(zone, keep, 0)) {
			slab_release(zone, TAILQ_FIRST(&zone->empty));
			pages++;
		} else if (!slab_kept_by_slack(zone, keep)) {
			break;
		}
	}
	return pages;
}

void zone_trim(struct zone *zone, uint64_t mark)
{
	while (zone_trim_some(zone, mark, SLAB_PIECE) == SLAB_PIECE)
		machine_window();
}

/* -- what stands behind the ledgers' figures (ledger.h) -- */

static bool zone_grow(struct zone *zone, uint64_t things, bool last, struct ledger_shortage *shortage)
{
	uint64_t slabs;

	if (things > zone->max && !last) {
		*shortage = (struct ledger_shortage){
			&root_ledger, zone->resource, root_ledger.account[zone->resource].used, zone->max,
			things - root_ledger.account[zone->resource].used,
		};
		return false;
	}
	if (things > zone_capacity(zone)) {
		slabs = (things - zone_capacity(zone) + zone->per_slab - 1) / zone->per_slab;
		if (!page_fits(slabs, 0, last, shortage))
			return false;
		for (; slabs > 0; slabs--) {
			if (!slab_add(zone))
				break;
			if (slabs % SLAB_PIECE == 0)
				machine_window();
		}
		if (slabs > 0) {
			zone_trim(zone, 0);
			page_shortage(shortage);
			return false;
		}
	}
	if (zone->warn != 0 && !zone->warned && things >= zone->warn) {
		zone->warned = true;
		printf("zone %s: %llu elements in use or promised, warning mark %llu\n", zone->name,
		       (unsigned long long)things, (unsigned long long)zone->warn);
	}
	zone_backed_update(zone);
	return true;
}

bool backing_ensure(unsigned resource, uint64_t things, bool last, struct ledger_shortage *shortage)
{
	uint64_t more = things - root_ledger.account[resource].used;

	switch (resource) {
	case LEDGER_KPAGES:
		return page_back(more, 0, last, shortage);
	case LEDGER_RESIDENT_PAGES:
		return page_back(0, more, last, shortage);
	default:
		return zone_grow(zone_of_resource[resource], things, last, shortage);
	}
}

void backing_trim(unsigned resource)
{
	struct zone *zone = zone_of_resource[resource];

	if (zone != NULL)
		zone_trim(zone, empty_mark(zone));
	mem_pressure_update();
}
