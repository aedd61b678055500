/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages: the frame table, the free list, and what the zone map and RAM still have room for. */
/*
 * Theory.
 *
 * One entry a frame, 32 bytes; lists of frames are linked by frame numbers. The free list is a
 * stack: taking and giving back is O(1) and the page given last is the warmest. Nothing is ever
 * larger than a page, so nothing fragments.
 *
 * Whether a page may be taken is never a question to the free list. What counts is what has been
 * charged and promised (ledger.c, I4 and I5):
 *
 *	committed = slab pages + root.used[KPAGES] + root.used[RESIDENT_PAGES]
 *
 * is at most RAM less the reserve, and the first two at most the zone map. So a page that has been
 * charged for is there: free pages = RAM - pages in use >= RAM - committed >= reserve.
 * The reserve serves charges that move unrefused (ledger_force), nothing else.
 *
 * Memory pressure is how much of RAM or of the zone map, whichever is worse, is committed: levels
 * 1, 2, 3 begin when less than 1/8, 1/16, 1/32 is left, and end only when half as much again is.
 */
#include "mem/page.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/hide.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

#define RESERVE_SHARE 128	/* of RAM, within these bounds, in pages */
#define RESERVE_MIN 8
#define RESERVE_MAX 64
#define PRESSURE_LEVELS 3

static struct page *page_table;
static uint64_t page_frames;
static uint32_t free_first;
static struct page_counts counts;
static uint64_t zone_map_limit = LEDGER_UNLIMITED;
static unsigned pressure_level;
static uint64_t peak_ram, peak_zone_map;

void page_init(struct page *table, uint64_t frames)
{
	memset(table, 0, frames * sizeof(*table));
	for (uint64_t i = 0; i < frames; i++)
		table[i].kind = PAGE_BOOT;
	page_table = table;
	page_frames = frames;
	free_first = 0;
	counts = (struct page_counts){0};
}

struct page *page_of_frame(uint64_t frame)
{
	return &page_table[frame];
}

uint64_t page_frame(const struct page *page)
{
	return (uint64_t)(page - page_table);
}

void *page_address(const struct page *page)
{
	return phys_to_virt(page_frame(page) << PAGE_SHIFT);
}

struct page *page_of_address(const void *address)
{
	return page_of_frame(virt_to_phys(address) >> PAGE_SHIFT);
}

uint64_t page_frames_all(void)
{
	return page_frames;
}

uint64_t page_frames_total(void)
{
	return counts.total;
}

uint64_t page_frames_free(void)
{
	return counts.free;
}

void page_count(struct page_counts *copy)
{
	*copy = counts;
}

static void free_push(struct page *page)
{
	page->kind = PAGE_FREE;
	page->owner = NULL;
	page->next = free_first;
	free_first = (uint32_t)page_frame(page);
	counts.free++;
	memory_hide(page_address(page), PAGE_SIZE);
}

static struct page *free_pop(enum page_kind kind, void *owner)
{
	struct page *page;

	if (free_first == 0)
		return NULL;
	page = page_of_frame(free_first);
	assert(page->kind == PAGE_FREE);
	free_first = page->next;
	counts.free--;
	*page = (struct page){.owner = owner, .kind = kind};
	memory_show(page_address(page), PAGE_SIZE);
	return page;
}

/* A frame becomes part of RAM. */
static void total_add(void)
{
	uint64_t reserve = ++counts.total / RESERVE_SHARE;

	if (reserve > RESERVE_MAX)
		reserve = RESERVE_MAX;
	counts.reserve = reserve < RESERVE_MIN ? RESERVE_MIN : reserve;
}

void page_add_free(uint64_t first_frame, uint64_t frames)
{
	assert(first_frame + frames <= page_frames);
	/* Downwards, so that the lowest frame is taken first. Frame 0 is the end of lists. */
	for (uint64_t frame = first_frame + frames; frame-- > first_frame;) {
		if (frame == 0)
			continue;
		assert(page_table[frame].kind == PAGE_BOOT);
		total_add();
		free_push(&page_table[frame]);
	}
}

/* -- what fits -- */

void zone_map_init(uint64_t limit_pages)
{
	zone_map_limit = limit_pages;
	mem_pressure_update();
}

uint64_t zone_map_limit_pages(void)
{
	return zone_map_limit;
}

uint64_t zone_map_used_pages(void)
{
	return counts.slab + root_ledger.account[LEDGER_KPAGES].used;
}

static uint64_t ram_used_pages(void)
{
	return zone_map_used_pages() + root_ledger.account[LEDGER_RESIDENT_PAGES].used;
}

static uint64_t ram_limit_pages(bool last)
{
	uint64_t reserve = last ? 0 : counts.reserve;

	return counts.total > reserve ? counts.total - reserve : 0;
}

static bool pages_fit(unsigned resource, uint64_t used, uint64_t limit, uint64_t more,
		      struct ledger_shortage *shortage)
{
	if (more == 0 || (used <= limit && more <= limit - used))
		return true;
	*shortage = (struct ledger_shortage){
		&root_ledger, resource, used * PAGE_SIZE, limit * PAGE_SIZE, more * PAGE_SIZE,
	};
	return false;
}

bool page_fits(uint64_t zone_map_pages, uint64_t user_pages, bool last, struct ledger_shortage *shortage)
{
	return pages_fit(LEDGER_ZONE_MAP, zone_map_used_pages(), zone_map_limit, zone_map_pages, shortage) &&
	       pages_fit(LEDGER_RAM, ram_used_pages(), ram_limit_pages(last), zone_map_pages + user_pages, shortage);
}

/* -- pressure -- */

static unsigned level_of(uint64_t used, uint64_t limit)
{
	uint64_t left = limit > used ? limit - used : 0;

	for (unsigned level = PRESSURE_LEVELS; level > 0; level--) {
		uint64_t mark = limit >> (2 + level);

		/* A level that is there ends only when half as much again is left. */
		if (left < mark || (pressure_level >= level && left < mark + mark / 2))
			return level;
	}
	return 0;
}

unsigned mem_pressure(void)
{
	return pressure_level;
}

uint64_t page_peak(unsigned resource)
{
	return resource == LEDGER_RAM ? peak_ram : peak_zone_map;
}

void mem_pressure_update(void)
{
	uint64_t ram_used = ram_used_pages(), map_used = zone_map_used_pages();
	unsigned level = level_of(ram_used, ram_limit_pages(false));
	unsigned map = level_of(map_used, zone_map_limit);

	if (ram_used > peak_ram)
		peak_ram = ram_used;
	if (map_used > peak_zone_map)
		peak_zone_map = map_used;
	if (map > level)
		level = map;
	if (level == pressure_level)
		return;
	pressure_level = level;
	mem_pressure_changed(level);
}

/* -- taking and giving back -- */

struct page *page_alloc_slab(void *zone)
{
	struct page *page = free_pop(PAGE_SLAB, zone);

	if (page == NULL)
		return NULL;
	counts.slab++;
	mem_pressure_update();
	return page;
}

void page_free_slab(struct page *page)
{
	assert(page->kind == PAGE_SLAB);
	counts.slab--;
	free_push(page);
	mem_pressure_update();
}

void page_shortage(struct ledger_shortage *shortage)
{
	*shortage = (struct ledger_shortage){
		&root_ledger, LEDGER_RAM, ram_used_pages() * PAGE_SIZE, ram_limit_pages(false) * PAGE_SIZE, PAGE_SIZE,
	};
}

/* A charged page is not there: only after unrefused moves beyond the reserve. */
static void deny_ram(unsigned resource, const struct alloc_site *site)
{
	struct ledger_shortage shortage;

	page_shortage(&shortage);
	ledger_deny_shortage(resource, &shortage, site);
}

struct page *kpage_alloc_at(struct ledger *payer, const struct alloc_site *site)
{
	struct page *page;

	if (!ledger_charge_at(payer, LEDGER_KPAGES, 1, site))
		return NULL;
	page = free_pop(PAGE_KERNEL, payer);
	if (page == NULL) {
		ledger_refund(payer, LEDGER_KPAGES, 1);
		deny_ram(LEDGER_KPAGES, site);
		return NULL;
	}
	counts.kernel++;
	mem_pressure_update();
	return page;
}

void kpage_free(struct page *page)
{
	struct ledger *payer = page->owner;

	assert(page->kind == PAGE_KERNEL);
	counts.kernel--;
	free_push(page);
	ledger_refund(payer, LEDGER_KPAGES, 1);
	mem_pressure_update();
}

struct page *frame_alloc_at(struct ledger *payer, const struct alloc_site *site)
{
	struct page *page;

	if (!ledger_charge_at(payer, LEDGER_RESIDENT_PAGES, 1, site))
		return NULL;
	page = free_pop(PAGE_USER, NULL);
	if (page == NULL) {
		ledger_refund(payer, LEDGER_RESIDENT_PAGES, 1);
		deny_ram(LEDGER_RESIDENT_PAGES, site);
		return NULL;
	}
	counts.user++;
	mem_pressure_update();
	return page;
}

void frame_free(struct page *page, struct ledger *payer)
{
	assert(page->kind == PAGE_USER);
	counts.user--;
	free_push(page);
	ledger_refund(payer, LEDGER_RESIDENT_PAGES, 1);
	mem_pressure_update();
}

void frame_adopt(struct page *page, struct ledger *payer)
{
	assert(page->kind == PAGE_BOOT);
	total_add();
	if (payer == NULL) {
		free_push(page);
		return;
	}
	*page = (struct page){.kind = PAGE_USER};
	counts.user++;
	ledger_force(payer, LEDGER_RESIDENT_PAGES, 1);
}
