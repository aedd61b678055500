/* SPDX-License-Identifier: BSD-2-Clause */
/* Zones: slabs of one page each, for objects of one size. Theory in zone.c. */
#ifndef MEM_ZONE_H
#define MEM_ZONE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/queue.h>
#include "kern/likely.h"
#include "mem/ledger.h"
#include "mem/upcalls.h"

struct slab;

/* Debug builds (without NDEBUG) poison, red-zone, keep sites and quarantine. */
#ifdef NDEBUG
#define ZONE_DEBUG 0
#else
#define ZONE_DEBUG 1
#endif
#define ZONE_QUARANTINE 8
#define ZONE_ELEM_MAX 4000

struct zone {
	void *spare;			/* the element freed last that is charged still, to spare_payer, for whom it is kept (zone.c) */
	struct ledger *spare_payer;	/* NULL: there is none; ZONE_NO_SPARE: nor was there since all were returned */
	SLIST_ENTRY(zone) spare_link;	/* unless spare_payer is ZONE_NO_SPARE: among the zones to return them from */
	const char *name;
	uint32_t elem_size;		/* bytes, as rounded */
	uint32_t stride;		/* with the red zone */
	uint32_t cost;			/* kernel bytes charged for one: its share of a slab's page */
	uint32_t first;			/* offset of the first in the slab */
	uint32_t per_slab;
	uint32_t account;		/* offset of the resource's account in a ledger */
	uint8_t resource;		/* LEDGER_...: what each element is charged as */
	uint64_t max;			/* elements at most; LEDGER_UNLIMITED */
	uint64_t warn;			/* mark that prints one warning, 0: none */
	uint64_t peak;			/* the most live elements ever */
	int64_t below_peak;		/* how many fewer there are now (zone_count) */
	uint64_t slabs, empties;	/* slabs held; those without a live element */
	uint64_t allocs, failures;	/* frees: allocs - zone_count */
	struct slab *current;		/* the first partial one, where elements are taken; never NULL */
	TAILQ_HEAD(slab_list, slab) partial, full, empty;
	void *quarantine[ZONE_QUARANTINE];	/* freed last: not given out again soon; a ring */
	uint32_t quarantine_next, quarantined;
	bool warned;
	LIST_ENTRY(zone) all;
	/* For the audit: who pays for this live element. */
	struct ledger *(*payer)(const void *element);
};

/* Registers a zone; elements have at most ZONE_ELEM_MAX bytes and are aligned to 16 (64 from 64 bytes up when cheap). A resource
   has one zone at most: kinds of one resource share it, with the size of the largest. Boot only, before the first charge. */
void zone_init(struct zone *zone, const char *name, size_t elem_size, unsigned resource,
	       struct ledger *(*payer)(const void *));
/* The same for elements aligned to 8, which may be a word smaller (64 all the same when cheap), or to 16. */
void zone_init_aligned(struct zone *zone, const char *name, size_t elem_size, uint32_t align, unsigned resource,
		       struct ledger *(*payer)(const void *));
/* One element (contents undefined), charged to payer; NULL: denied, nothing changed. Never waits. */
static inline void *zone_alloc_at(struct zone *zone, struct ledger *payer, const struct alloc_site *site) __attribute__((malloc));
#define zone_alloc(zone, payer) zone_alloc_at(zone, payer, ALLOC_SITE())
/* Gives the element back and refunds payer, who must be the one it is charged to now. Cannot fail. */
static inline void zone_free(struct zone *zone, void *element, struct ledger *payer);
/* Is an element kept for the payer? Then zone_take_spare is zone_alloc, and cannot fail. */
static inline bool zone_has_spare(const struct zone *zone, const struct ledger *payer);
static inline void *zone_take_spare_at(struct zone *zone, const struct alloc_site *site);
#define zone_take_spare(zone) zone_take_spare_at(zone, ALLOC_SITE())
/* zone_free, if nothing else is kept, and something was before. False: not done. */
static inline bool zone_keep_spare(struct zone *zone, void *element, struct ledger *payer);
/* Frees what all zones keep for somebody, so that figures are exact: by ledger_settle. */
void zone_spares_return(void);
/* Live elements. */
static inline uint64_t zone_count(const struct zone *zone)
{
	return zone->peak - (uint64_t)zone->below_peak;
}
/* Each element begins at a multiple of this many bytes. */
static inline uint32_t zone_align(const struct zone *zone)
{
	return zone->stride % 64 == 0 && zone->first % 64 == 0 ? 64 : zone->stride % 16 == 0 ? 16 : 8;
}
/* Free elements in the slabs held; elements that guarantees keep back. */
uint64_t zone_free_count(const struct zone *zone);
uint64_t zone_reserve(const struct zone *zone);
/* By name; NULL: none. */
struct zone *zone_find(const char *name);
/* At most so many elements (LEDGER_UNLIMITED: no bound) and a mark that prints one warning (0: none). Below what is used or
   guaranteed only new, not guaranteed ones are denied. */
void zone_set_max(struct zone *zone, uint64_t max);
void zone_set_warning(struct zone *zone, uint64_t mark);
/* Boot option reclaim=eager: a slab goes, poisoned, the moment it is empty. */
extern bool zone_reclaim_eager;
/* May something of the resource be kept charged to the payer while it is not in use? */
static inline bool zone_may_keep(const struct ledger *payer, unsigned resource)
{
	return !zone_reclaim_eager && !payer->dead && !ledger_beyond(payer, resource);
}
/* Calls visit for each live element; stops at false. The audit's walk. */
void zone_walk(struct zone *zone, bool (*visit)(void *element, void *context), void *context);
/* Gives back empty slabs of all zones, except what guarantees hold back. Returns pages freed. Opens windows. */
uint64_t zone_reclaim(void);
/* The same, at most so many pages and without windows. */
uint64_t zone_reclaim_some(uint64_t most);
/* Prints the table of zones (panic, debugging). */
void zone_print(void);
/* Prints who allocated the live elements, by site (debug builds). */
void zone_print_sites(struct zone *zone);
/* Invariants of one zone: counters, lists, red zones. Panics when broken. */
void zone_check(struct zone *zone);
LIST_HEAD(zone_list, zone);
extern struct zone_list zone_list;

/* zone_map: bound in pages for slabs and kernel pages. Root-only pseudo resources ZONE_MAP and RAM. used counts
   the kernel pages that are guaranteed and not there yet. In page.c. */
void zone_map_init(uint64_t limit_pages);
uint64_t zone_map_used_pages(void);
uint64_t zone_map_limit_pages(void);

/* -- inline: an element that is kept. The rest is in zone.c -- */

#define ZONE_NO_SPARE ((struct ledger *)1)

void *zone_alloc_more(struct zone *zone, struct ledger *payer, const struct alloc_site *site);
void zone_free_more(struct zone *zone, void *element, struct ledger *payer);
void zone_element_give(struct zone *zone, void *element, const struct alloc_site *site);

static inline bool zone_has_spare(const struct zone *zone, const struct ledger *payer)
{
	return likely(zone->spare_payer == payer) && likely(!mem_fail_enabled);
}

static inline void *zone_take_spare_at(struct zone *zone, const struct alloc_site *site)
{
	void *element = zone->spare;

	zone->spare_payer = NULL;
	zone->allocs++;
	if (ZONE_DEBUG)
		zone_element_give(zone, element, site);
	if (element == NULL)
		__builtin_unreachable();
	return element;
}

static inline void *zone_alloc_at(struct zone *zone, struct ledger *payer, const struct alloc_site *site)
{
	return zone_has_spare(zone, payer) ? zone_take_spare_at(zone, site) : zone_alloc_more(zone, payer, site);
}

static inline bool zone_keep_spare(struct zone *zone, void *element, struct ledger *payer)
{
	if (ZONE_DEBUG || unlikely(zone->spare_payer != NULL) || unlikely(payer->dead))
		return false;
	zone->spare = element;
	zone->spare_payer = payer;
	return true;
}

static inline void zone_free(struct zone *zone, void *element, struct ledger *payer)
{
	if (!zone_keep_spare(zone, element, payer))
		zone_free_more(zone, element, payer);
}

#endif
