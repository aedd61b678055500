/* SPDX-License-Identifier: BSD-2-Clause */
/* The layout of slabs: between zone.c and zone_debug.c only. */
#ifndef MEM_SLAB_H
#define MEM_SLAB_H
#include "mem/page.h"
#include "mem/zone.h"

#define SLAB_ELEMENTS_MAX (PAGE_SIZE / 16)
#define RED_LIVE 0x4c49564500000000ull	/* xor the address */
#define RED_FREE 0x4652454500000000ull

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

#endif
