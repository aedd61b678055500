/* SPDX-License-Identifier: BSD-2-Clause */
/* Zones: slabs of one page each, for objects of one size. */
/*
 * Theory (Bonwick, "The Slab Allocator", USENIX Summer 1994; the names are Mach's).
 *
 * A slab is one page: a header, then elements. Free elements are linked through their first word,
 * so an element's slab is found by masking its address and nothing else is kept. Partial slabs
 * are used first, so that others become empty. Slabs come and go as slab.c says: the zone holds as
 * many elements as are charged. So zone_alloc is: the charge, then taking a free element, which is
 * there.
 *
 * Most of what is allocated for a moment is freed before the next of its kind is allocated, for the same ledger. So a zone keeps the
 * element freed last, its spare, charged as it was: its payer's next allocation takes it, and neither the ledger nor the slab is looked
 * at. It goes when another payer frees one, and wherever slack goes (ledger_settle): before a denial, a peak, a mark, or a look at any
 * figure. So nothing is denied for it, and nobody sees it (decisions/0022).
 *
 * Debug builds put a red zone behind each element: a word derived from its address that says live
 * or free, and the allocation site. Free elements are filled with poison, looked at when they are
 * given out again, and wait in a small quarantine first; so does a spare. Elements there count as taken from their
 * slab; what needs elements or pages empties the quarantine.
 */
#include "mem/zone.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/string.h"
#include "mem/hide.h"
#include "mem/ledger_fast.h"
#include "mem/page.h"
#include "mem/slab.h"
#include "mem/upcalls.h"
#include "x86_64/machine.h"

#define POISON_NEW 0xa5

struct zone_list zone_list;
bool zone_reclaim_eager;
/* The current slab of a zone that has no partial one. */
static struct slab slab_none;

/* -- registering -- */

static uint32_t round_up(uint32_t size, uint32_t unit)
{
	return (size + unit - 1) / unit * unit;
}

static void zone_layout(struct zone *zone, size_t elem_size, uint32_t align)
{
	uint32_t red = ZONE_DEBUG ? sizeof(struct red_zone) : 0;
	uint32_t small = round_up(elem_size < 16 ? 16 : elem_size, align);
	uint32_t large = round_up(small + red, 64);
	uint32_t first = round_up(sizeof(struct slab), 16), first64 = round_up(sizeof(struct slab), 64);

	zone->elem_size = small;
	zone->stride = small + red;
	zone->first = first;
	zone->per_slab = (PAGE_SIZE - first) / zone->stride;
	/* Whole cache lines when no element is lost by it. */
	if (small >= 64 && (PAGE_SIZE - first64) / large == zone->per_slab) {
		zone->elem_size = large - red;
		zone->stride = large;
		zone->first = first64;
	}
	assert(zone->per_slab > 0);
	zone->cost = (PAGE_SIZE + zone->per_slab - 1) / zone->per_slab;
}

void zone_init(struct zone *zone, const char *name, size_t elem_size, unsigned resource,
	       struct ledger *(*payer)(const void *))
{
	zone_init_aligned(zone, name, elem_size, 16, resource, payer);
}

void zone_init_aligned(struct zone *zone, const char *name, size_t elem_size, uint32_t align, unsigned resource,
		       struct ledger *(*payer)(const void *))
{
	if (elem_size > ZONE_ELEM_MAX || resource >= LEDGER_KMEM || payer == NULL)
		panic("zone %s: no element size, resource or payer", name);
	if (zone_of_resource[resource] != NULL)
		panic("zone %s: %s are elements of the zone %s already", name, ledger_resource_name(resource),
		      zone_of_resource[resource]->name);
	if (root_ledger.account[resource].used != 0)
		panic("zone %s: %s are charged already", name, ledger_resource_name(resource));
	*zone = (struct zone){
		.name = name, .resource = resource, .account = ledger_account_offset(resource),
		.max = LEDGER_UNLIMITED, .payer = payer, .spare_payer = ZONE_NO_SPARE,
	};
	zone_layout(zone, elem_size, align);
	TAILQ_INIT(&zone->partial);
	TAILQ_INIT(&zone->full);
	TAILQ_INIT(&zone->empty);
	zone->current = &slab_none;
	LIST_INSERT_HEAD(&zone_list, zone, all);
	zone_of_resource[resource] = zone;
	ledger_thing_bytes[resource] = zone->cost;
	zone_backed_update(zone);
}

struct zone *zone_find(const char *name)
{
	struct zone *zone;

	LIST_FOREACH(zone, &zone_list, all) {
		if (strcmp(zone->name, name) == 0)
			return zone;
	}
	return NULL;
}

void zone_set_max(struct zone *zone, uint64_t max)
{
	ledger_settle();
	zone->max = max;
	zone_backed_update(zone);
}

void zone_set_warning(struct zone *zone, uint64_t mark)
{
	zone->warn = mark;
	zone->warned = false;
	zone_backed_update(zone);
}

uint64_t zone_free_count(const struct zone *zone)
{
	return zone_capacity(zone) - zone_count(zone);
}

uint64_t zone_reserve(const struct zone *zone)
{
	return root_ledger.account[zone->resource].used - zone_count(zone);
}

/* -- debugging aids: all are nothing in release builds -- */

static _Noreturn void element_panic(const struct zone *zone, const void *element, const char *what)
{
	const struct alloc_site *site = red_zone_of(zone, element)->site;

	panic("zone %s: element %p %s (last allocated at %s:%u)", zone->name, element, what,
	      site != NULL ? site->file : "?", site != NULL ? site->line : 0);
}

inline void zone_element_give(struct zone *zone, void *element, const struct alloc_site *site)
{
	struct red_zone *red;

	if (!ZONE_DEBUG)
		return;
	red = red_zone_of(zone, element);
	memory_show(element, zone->elem_size);
	if (red->word != (RED_FREE ^ (uintptr_t)element))
		element_panic(zone, element, "overrun while free, or its neighbour");
	for (uint32_t i = sizeof(void *); i < zone->elem_size; i++) {
		if (((uint8_t *)element)[i] != POISON_FREE)
			element_panic(zone, element, "written to while free");
	}
	memset(element, POISON_NEW, zone->elem_size);
	red->word = RED_LIVE ^ (uintptr_t)element;
	red->site = site;
}

static inline void element_check_live(struct zone *zone, void *element)
{
	const struct red_zone *red = red_zone_of(zone, element);

	if (!ZONE_DEBUG)
		return;
	if (slab_of(element)->zone != zone)
		panic("zone %s: element %p of the zone %s freed", zone->name, element,
		      page_of_address(element)->kind == PAGE_SLAB ? slab_of(element)->zone->name : "?");
	if (red->word == (RED_FREE ^ (uintptr_t)element))
		element_panic(zone, element, "freed twice");
	if (red->word != (RED_LIVE ^ (uintptr_t)element))
		element_panic(zone, element, "overrun");
}

/* -- slabs -- */

/* The first partial slab is the current one. It stays where it is when its last element is taken, and when its last one
   comes back, so that who takes and gives back at such a place moves no slabs; all others are where they belong. */
static inline void current_set(struct zone *zone)
{
	zone->current = TAILQ_EMPTY(&zone->partial) ? &slab_none : TAILQ_FIRST(&zone->partial);
}

/* Puts it where it belongs when it is full. */
static void current_retire(struct zone *zone)
{
	struct slab *slab = zone->current;

	if (slab == &slab_none || slab->free != NULL)
		return;
	TAILQ_REMOVE(&zone->partial, slab, link);
	TAILQ_INSERT_HEAD(&zone->full, slab, link);
	current_set(zone);
}

/* It goes to the list of empty ones. */
static void slab_emptied(struct zone *zone, struct slab *slab)
{
	TAILQ_INSERT_HEAD(&zone->empty, slab, link);
	zone->empties++;
}

/* The same when it is empty: it may be given back. */
static void current_give_up(struct zone *zone)
{
	struct slab *slab = zone->current;

	if (slab == &slab_none || slab->used != 0)
		return;
	TAILQ_REMOVE(&zone->partial, slab, link);
	slab_emptied(zone, slab);
	current_set(zone);
}

/* Of a slab that was full or is empty now: is it in the wrong list? The current one may stay, unless it is to be given back. */
static inline bool slab_misplaced(const struct zone *zone, const struct slab *slab)
{
	return slab != zone->current || (slab->used == 0 && empty_mark(zone) == 0);
}

/* It changes lists. */
static __attribute__((noinline)) void slab_moved(struct zone *zone, struct slab *slab)
{
	bool full = slab->used + 1 == zone->per_slab && slab != zone->current;

	TAILQ_REMOVE(full ? &zone->full : &zone->partial, slab, link);
	if (slab->used != 0 && zone->current->free != NULL) {
		/* It comes next. Were it current now, elements taken and freed in turn would move both slabs each time. */
		TAILQ_INSERT_AFTER(&zone->partial, zone->current, slab, link);
		return;
	}
	if (slab->used != 0) {
		current_retire(zone);
		TAILQ_INSERT_HEAD(&zone->partial, slab, link);
		zone->current = slab;
		return;
	}
	slab_emptied(zone, slab);
	current_set(zone);
	zone_trim(zone, empty_mark(zone));
}

/* Puts a free element back on its slab's list. */
static inline void slab_put(struct zone *zone, void *element)
{
	struct slab *slab = slab_of(element);
	void *next = slab->free;

	*(void **)element = next;
	slab->free = element;
	if (likely(--slab->used != 0) && likely(next != NULL))
		return;
	if (slab_misplaced(zone, slab))
		slab_moved(zone, slab);
}

/* The oldest element of the quarantine, out of it; NULL: it is empty. */
static void *quarantine_take(struct zone *zone)
{
	uint32_t oldest = (zone->quarantine_next + ZONE_QUARANTINE - zone->quarantined) % ZONE_QUARANTINE;

	if (zone->quarantined == 0)
		return NULL;
	zone->quarantined--;
	slab_of(zone->quarantine[oldest])->quarantined--;
	return zone->quarantine[oldest];
}

static bool quarantine_drain(struct zone *zone)
{
	bool drained = zone->quarantined != 0;
	void *element;

	while ((element = quarantine_take(zone)) != NULL)
		slab_put(zone, element);
	return drained;
}

/* Holds a freed element back for a while: gives the oldest one for it, if there are enough, else NULL; or the element, where there is no
   quarantine. */
static inline void *quarantine_pass(struct zone *zone, void *element)
{
	void *oldest = NULL;

	if (!ZONE_DEBUG || zone_reclaim_eager)
		return element;
	if (zone->quarantined == ZONE_QUARANTINE)
		oldest = quarantine_take(zone);
	zone->quarantine[zone->quarantine_next] = element;
	zone->quarantine_next = (zone->quarantine_next + 1) % ZONE_QUARANTINE;
	zone->quarantined++;
	slab_of(element)->quarantined++;
	return oldest;
}

/* The element, no longer charged, goes back. */
static inline void element_put(struct zone *zone, void *element)
{
	zone->below_peak++;
	element = quarantine_pass(zone, element);
	if (!ZONE_DEBUG || element != NULL)
		slab_put(zone, element);
}

/* The payer's parent is to be told, or the payer is dead: this refund may free it. */
static __attribute__((noinline)) void element_return_above(struct zone *zone, void *element, struct ledger *payer)
{
	/* While the element still counts as live: a dead ledger is an element of perhaps this very zone. */
	ledger_refund(payer, zone->resource, 1);
	element_put(zone, element);
}

/* A freed element is refunded, and goes back. */
static inline void element_return(struct zone *zone, void *element, struct ledger *payer)
{
	/* Of the dead the parent is always told. */
	if (unlikely(!ledger_alone_less(ledger_account_at(payer, zone->account)))) {
		element_return_above(zone, element, payer);
		return;
	}
	ledger_uncount_one(payer, zone->account, zone->cost);
	element_put(zone, element);
}

/* -- spares: they are charged and count as live, but are poisoned as what is free -- */

/* Zones that have one, or had since all were returned: few, and memory that grows has them returned at each new peak. */
static SLIST_HEAD(, zone) spare_zones = SLIST_HEAD_INITIALIZER(spare_zones);

/* none: what spare_payer is then. */
static void spare_return(struct zone *zone, struct ledger *none)
{
	struct ledger *payer = zone->spare_payer;

	if (payer == ZONE_NO_SPARE)
		return;
	zone->spare_payer = none;
	if (payer != NULL)
		element_return(zone, zone->spare, payer);
}

void zone_spares_return(void)
{
	struct zone *zone;

	while ((zone = SLIST_FIRST(&spare_zones)) != NULL) {
		SLIST_REMOVE_HEAD(&spare_zones, spare_link);
		spare_return(zone, ZONE_NO_SPARE);
	}
}

/* May an element be kept for the payer? In debug builds it waits in the quarantine as well, which gives another one for it. */
static inline bool spare_may(const struct zone *zone, const struct ledger *payer)
{
	return zone_may_keep(payer, zone->resource) && (!ZONE_DEBUG || zone->quarantined == ZONE_QUARANTINE);
}

/* The freed element is kept in place of another payer's. */
static __attribute__((noinline)) void spare_change(struct zone *zone, void *element, struct ledger *payer)
{
	/* A page that this frees may have all spares returned. */
	spare_return(zone, NULL);
	if (zone->spare_payer == ZONE_NO_SPARE)
		SLIST_INSERT_HEAD(&spare_zones, zone, spare_link);
	zone->spare = quarantine_pass(zone, element);
	zone->spare_payer = payer;
}

uint64_t zone_reclaim_some(uint64_t most)
{
	struct zone *zone;
	uint64_t pages = 0;

	LIST_FOREACH(zone, &zone_list, all) {
		uint64_t before = zone->slabs;

		/* Draining may trim by itself, so there may be a few pages more. */
		spare_return(zone, NULL);
		quarantine_drain(zone);
		current_give_up(zone);
		if (pages < most)
			zone_trim_some(zone, 0, most - pages);
		pages += before - zone->slabs;
	}
	return pages;
}

uint64_t zone_reclaim(void)
{
	uint64_t pages = 0, some;

	while ((some = zone_reclaim_some(SLAB_PIECE)) != 0) {
		pages += some;
		machine_window();
	}
	return pages;
}

/* -- allocating and freeing -- */

/* A slab with a free element becomes the current one: a partial or an empty one. NULL only when charges were moved
   unrefused (ledger.c). */
static __attribute__((noinline)) struct slab *slab_begin(struct zone *zone)
{
	struct slab *slab;

	current_retire(zone);
	if (zone->current == &slab_none && zone->empties == 0)
		quarantine_drain(zone);
	if (zone->current != &slab_none)
		return zone->current;
	if (zone->empties == 0 && !slab_add(zone))
		return NULL;
	slab = TAILQ_FIRST(&zone->empty);
	TAILQ_REMOVE(&zone->empty, slab, link);
	zone->empties--;
	TAILQ_INSERT_HEAD(&zone->partial, slab, link);
	zone->current = slab;
	return slab;
}

/* More elements live than ever before. */
static inline void zone_peaked(struct zone *zone)
{
	zone->below_peak = 0;
	zone->peak++;
}

/* Takes the first free element of the current slab. */
static inline void *slab_get(struct zone *zone, struct slab *slab, const struct alloc_site *site)
{
	void *element = slab->free;

	slab->free = *(void **)element;
	zone->allocs++;
	zone->below_peak--;
	if (unlikely(zone->below_peak < 0))
		zone_peaked(zone);
	zone_element_give(zone, element, site);
	slab->used++;
	return element;
}

/* Charged, but the current slab has no free element. */
static __attribute__((noinline)) void *zone_alloc_charged(struct zone *zone, struct ledger *payer,
							  const struct alloc_site *site)
{
	struct slab *slab = slab_begin(zone);
	struct ledger_shortage shortage;

	if (slab != NULL)
		return slab_get(zone, slab, site);
	zone->failures++;
	ledger_refund(payer, zone->resource, 1);
	page_shortage(&shortage);
	ledger_deny_shortage(zone->resource, &shortage, site);
	return NULL;
}

static inline void *zone_take(struct zone *zone, struct ledger *payer, const struct alloc_site *site)
{
	struct slab *slab = zone->current;

	if (unlikely(slab->free == NULL))
		return zone_alloc_charged(zone, payer, site);
	return slab_get(zone, slab, site);
}

/* Something stands in the way of the charge. */
static __attribute__((noinline)) void *zone_alloc_slow(struct zone *zone, struct ledger *payer,
						       const struct alloc_site *site)
{
	if (ledger_charge_at(payer, zone->resource, 1, site))
		return zone_take(zone, payer, site);
	zone->failures++;
	return NULL;
}

/* Not quick: perhaps only because the payer's parent counts it too. */
static __attribute__((noinline)) void *zone_alloc_above(struct zone *zone, struct ledger *payer,
							const struct alloc_site *site)
{
	if (unlikely(mem_fail_enabled) || unlikely(!ledger_easy(payer, zone->account, zone->cost)))
		return zone_alloc_slow(zone, payer, site);
	if (ledger_slack_elsewhere(payer, zone->resource))
		return zone_alloc_more(zone, payer, site);
	if (unlikely(!ledger_charge_above(payer->parent, zone->account, zone->cost)))
		return zone_alloc_slow(zone, payer, site);
	ledger_count_one(payer, zone->account, zone->cost);
	account_cover(ledger_account_at(payer, zone->account), ledger_account_at(payer, zone->account)->used);
	return zone_take(zone, payer, site);
}

/* The calls are all tail calls, so that the usual way saves no registers. */
void *zone_alloc_more(struct zone *zone, struct ledger *payer, const struct alloc_site *site)
{
	if (unlikely(mem_fail_enabled) || unlikely(!ledger_quick(payer, zone->account, zone->cost)))
		return zone_alloc_above(zone, payer, site);
	ledger_count_one(payer, zone->account, zone->cost);
	return zone_take(zone, payer, site);
}

/* Frees the element, whatever else is kept. */
void zone_free_more(struct zone *zone, void *element, struct ledger *payer)
{
	element_check_live(zone, element);
	element_poison(zone, element);
	if (zone->spare_payer != payer && spare_may(zone, payer))
		spare_change(zone, element, payer);
	else
		element_return(zone, element, payer);
}
