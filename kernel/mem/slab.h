/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of slabs, and their coming and going: between zone.c, slab.c and zone_debug.c only. Theory in slab.c. */
#ifndef MEM_SLAB_H
#define MEM_SLAB_H
#include "kern/string.h"
#include "mem/hide.h"
#include "mem/page.h"
#include "mem/zone.h"

#define SLAB_ELEMENTS_MAX (PAGE_SIZE / 16)
#define RED_LIVE 0x4c49564500000000ull	/* xor the address */
#define RED_FREE 0x4652454500000000ull
#define POISON_FREE 0xdf
#define EMPTY_SHARE 16			/* of the slabs may be empty, and one more */
#define SLAB_PIECE 32			/* made or released before interrupts get a window */

struct slab {
	TAILQ_ENTRY(slab) link;		/* in one of its zone's lists */
	struct zone *zone;
	void *free;			/* first free element, linked through their first words */
	uint32_t used;			/* elements not on the free list: live, or in quarantine */
	uint32_t quarantined;
};

/* Behind each element in debug builds. */
struct red_zone {
	uint64_t word;
	const struct alloc_site *site;	/* who allocated it last */
};
_Static_assert(sizeof(struct slab) + ZONE_ELEM_MAX + sizeof(struct red_zone) <= PAGE_SIZE, "one element fits a slab");

static inline struct slab *slab_of(const void *element)
{
	return (struct slab *)((uintptr_t)element & ~(uintptr_t)(PAGE_SIZE - 1));
}

static inline void *slab_element(const struct slab *slab, uint32_t index)
{
	return (char *)slab + slab->zone->first + index * slab->zone->stride;
}

static inline uint64_t zone_capacity(const struct zone *zone)
{
	return zone->slabs * zone->per_slab;
}

static inline struct red_zone *red_zone_of(const struct zone *zone, const void *element)
{
	return (struct red_zone *)((uintptr_t)element + zone->elem_size);
}

/* What becomes of a free element in debug builds. */
static inline void element_poison(struct zone *zone, void *element)
{
	if (!ZONE_DEBUG)
		return;
	memset((char *)element + sizeof(void *), POISON_FREE, zone->elem_size - sizeof(void *));
	red_zone_of(zone, element)->word = RED_FREE ^ (uintptr_t)element;
	memory_hide((char *)element + sizeof(void *), zone->elem_size - sizeof(void *));
}

/* NULL: the resource has no zone. */
extern struct zone *zone_of_resource[LEDGER_RESOURCES];
/* What the root may count without asking slab.c, after a change of the slabs, the maximum or the mark. */
void zone_backed_update(struct zone *zone);
/* One empty slab more. False: there is no page. */
bool slab_add(struct zone *zone);
/* Releases empty slabs above the mark, at most so many; returns how many. */
uint64_t zone_trim_some(struct zone *zone, uint64_t mark, uint64_t most);
/* Releases all above the mark. Opens windows. */
void zone_trim(struct zone *zone, uint64_t mark);
/* So many empty slabs are kept. */
static inline uint64_t empty_mark(const struct zone *zone)
{
	if (zone_reclaim_eager || mem_pressure() >= 2)
		return 0;
	return 1 + zone->slabs / EMPTY_SHARE;
}

#endif
