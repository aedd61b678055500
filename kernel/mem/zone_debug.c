/* SPDX-License-Identifier: BSD-2-Clause */
/* Zones: walking, checking and printing them. */
#include "mem/zone.h"
#include "kern/assert.h"
#include "kern/printf.h"
#include "mem/slab.h"
#include "x86_64/machine.h"

#define SLABS_PIECE 16		/* looked at before interrupts get a window */
#define SITES_MAX 24		/* of one zone that zone_print_sites tells apart */

static void check(const struct zone *zone, bool condition, const char *what)
{
	if (!condition)
		panic("zone %s: %s", zone->name, what);
}

static uint32_t element_index(const struct zone *zone, const struct slab *slab, const void *element)
{
	uintptr_t offset = (uintptr_t)element - (uintptr_t)slab - zone->first;

	check(zone, slab_of(element) == slab && offset % zone->stride == 0 && offset / zone->stride < zone->per_slab,
	      "a free list leads elsewhere");
	return (uint32_t)(offset / zone->stride);
}

/* Marks what is not live: on the free list, in quarantine or kept. Returns the length of the free list. */
static uint32_t mark_dead(const struct zone *zone, const struct slab *slab, bool dead[SLAB_ELEMENTS_MAX])
{
	uint32_t length = 0;

	for (uint32_t i = 0; i < zone->per_slab; i++)
		dead[i] = false;
	for (void *element = slab->free; element != NULL; element = *(void **)element) {
		uint32_t index = element_index(zone, slab, element);

		check(zone, !dead[index], "a free list has a loop");
		dead[index] = true;
		length++;
	}
	for (uint32_t i = 1; i <= zone->quarantined; i++) {
		void *element = zone->quarantine[(zone->quarantine_next + ZONE_QUARANTINE - i) % ZONE_QUARANTINE];

		if (slab_of(element) == slab)
			dead[element_index(zone, slab, element)] = true;
	}
	if (zone->spare_payer != NULL && zone->spare_payer != ZONE_NO_SPARE && slab_of(zone->spare) == slab)
		dead[element_index(zone, slab, zone->spare)] = true;
	return length;
}

static bool walk_list(struct zone *zone, struct slab_list *list, bool (*visit)(void *, void *), void *context)
{
	bool dead[SLAB_ELEMENTS_MAX];
	struct slab *slab;
	unsigned n = 0;

	TAILQ_FOREACH(slab, list, link) {
		if (++n % SLABS_PIECE == 0)
			machine_window();
		mark_dead(zone, slab, dead);
		for (uint32_t i = 0; i < zone->per_slab; i++) {
			if (!dead[i] && !visit(slab_element(slab, i), context))
				return false;
		}
	}
	return true;
}

void zone_walk(struct zone *zone, bool (*visit)(void *element, void *context), void *context)
{
	if (walk_list(zone, &zone->partial, visit, context))
		walk_list(zone, &zone->full, visit, context);
}

/* -- checking -- */

struct tally { uint64_t slabs, live, quarantined; };

static void check_element(const struct zone *zone, const void *element, bool dead)
{
	if (ZONE_DEBUG)
		check(zone, red_zone_of(zone, element)->word == ((dead ? RED_FREE : RED_LIVE) ^ (uintptr_t)element),
		      "a red zone was written to");
}

static void check_list(struct zone *zone, struct slab_list *list, uint32_t least, uint32_t most, struct tally *tally)
{
	bool dead[SLAB_ELEMENTS_MAX];
	struct slab *slab;

	TAILQ_FOREACH(slab, list, link) {
		uint32_t length = mark_dead(zone, slab, dead);

		if (tally->slabs % SLABS_PIECE == 0)
			machine_window();
		check(zone, slab->zone == zone && page_of_address(slab)->kind == PAGE_SLAB &&
		      page_of_address(slab)->owner == zone, "a foreign slab");
		check(zone, slab->used >= least && slab->used <= most, "a slab is on the wrong list");
		check(zone, length + slab->used == zone->per_slab, "a free list has the wrong length");
		for (uint32_t i = 0; i < zone->per_slab; i++)
			check_element(zone, slab_element(slab, i), dead[i]);
		tally->slabs++;
		tally->live += slab->used - slab->quarantined;
		tally->quarantined += slab->quarantined;
	}
}

void zone_check(struct zone *zone)
{
	struct tally tally = {0};
	const struct slab *slab;

	check_list(zone, &zone->empty, 0, 0, &tally);
	check(zone, tally.slabs == zone->empties, "empty slabs are miscounted");
	/* The current one may be full or empty without being on that list. */
	check_list(zone, &zone->partial, 0, zone->per_slab, &tally);
	TAILQ_FOREACH(slab, &zone->partial, link)
		check(zone, slab == zone->current || (slab->free != NULL && slab->used != 0), "a slab is not partial");
	check(zone, TAILQ_EMPTY(&zone->partial) ? zone->current->free == NULL : zone->current == TAILQ_FIRST(&zone->partial),
	      "the current slab is not the first");
	check_list(zone, &zone->full, zone->per_slab, zone->per_slab, &tally);
	check(zone, tally.slabs == zone->slabs, "slabs are miscounted");
	check(zone, tally.live == zone_count(zone), "elements are miscounted");
	check(zone, tally.quarantined == zone->quarantined, "the quarantine is miscounted");
}

/* -- printing -- */

void zone_print(void)
{
	struct zone *zone;

	printf("%-16s %6s %8s %8s %8s %6s %8s %8s\n", "zone", "size", "used", "free", "reserve", "slabs", "peak", "failed");
	LIST_FOREACH(zone, &zone_list, all) {
		printf("%-16s %6u %8llu %8llu %8llu %6llu %8llu %8llu\n", zone->name, zone->elem_size,
		       (unsigned long long)zone_count(zone), (unsigned long long)zone_free_count(zone),
		       (unsigned long long)zone_reserve(zone), (unsigned long long)zone->slabs,
		       (unsigned long long)zone->peak, (unsigned long long)zone->failures);
	}
	printf("zone map: %llu of %llu pages; RAM: %llu of %llu pages free\n",
	       (unsigned long long)zone_map_used_pages(), (unsigned long long)zone_map_limit_pages(),
	       (unsigned long long)page_frames_free(), (unsigned long long)page_frames_total());
}

struct site_count { const struct alloc_site *site; uint64_t count; };
struct site_table { struct zone *zone; struct site_count entries[SITES_MAX]; uint64_t others; };

static bool count_site(void *element, void *context)
{
	struct site_table *table = context;
	const struct alloc_site *site = red_zone_of(table->zone, element)->site;

	for (unsigned i = 0; i < SITES_MAX; i++) {
		if (table->entries[i].count == 0)
			table->entries[i].site = site;
		if (table->entries[i].site == site) {
			table->entries[i].count++;
			return true;
		}
	}
	table->others++;
	return true;
}

void zone_print_sites(struct zone *zone)
{
	struct site_table table = {.zone = zone};

	if (!ZONE_DEBUG)
		return;
	zone_walk(zone, count_site, &table);
	for (unsigned i = 0; i < SITES_MAX && table.entries[i].count != 0; i++) {
		const struct alloc_site *site = table.entries[i].site;

		printf("%-16s %8llu from %s:%u\n", zone->name, (unsigned long long)table.entries[i].count,
		       site != NULL ? site->file : "?", site != NULL ? site->line : 0);
	}
	if (table.others != 0)
		printf("%-16s %8llu from elsewhere\n", zone->name, (unsigned long long)table.others);
}
