/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages: the frame table, the free list, and what the zone map and RAM still have room for. */
/*
 * Theory.
 *
 * One entry a frame, 32 bytes; lists of frames are linked by frame numbers. The free list is a
 * stack: taking and giving back is O(1) and the page given last is the warmest. Nothing is ever
 * larger than a page, so nothing fragments. Pages known to hold zeros (page tables are given back
 * so) have a stack of their own: who wants zeros looks there first, all others there last. Frames never
 * handed out are on no list, and their entries mean nothing yet (fresh.c): the start takes as long
 * whatever the size of RAM.
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
 * Weighing that for each page would be slow. So of what is free half is lent to user pages, a
 * quarter each to kernel pages and to slabs (lend), such that all loans together fit: up to its
 * loan (ledger_backed, slabs_lent) each may grow without a look at the others; beyond it, the true
 * figures are weighed and all is lent anew.
 *
 * Memory pressure is how much of RAM or of the zone map, whichever is worse, is committed: levels
 * 1, 2, 3 begin when less than 1/8, 1/16, 1/32 is left, and end only when half as much again is.
 * `quiet` says from where to where the two figures may move before level or peak change; it is looked at when the root's
 * figures have moved at all.
 */
#include "mem/page.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "mem/fresh.h"
#include "mem/hide.h"
#include "mem/ledger_fast.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

#define RESERVE_SHARE 128	/* of RAM, within these bounds, in pages */
#define RESERVE_MIN 8
#define RESERVE_MAX 64
#define PRESSURE_LEVELS 3

struct page *page_table;
static uint64_t page_frames;
static uint32_t free_first[2];		/* [1]: of pages known to hold zeros */
static struct page_counts counts;
static uint64_t zone_map_limit = LEDGER_UNLIMITED;
static unsigned pressure_level;
static uint64_t peak_ram, peak_zone_map;
static uint64_t slabs_lent;
static struct quiet { uint64_t from, below; } quiet_ram, quiet_zone_map;	/* empty: look */
static uint64_t seen_kernel, seen_user;	/* the root's figures, pages, when that was last looked at */

void page_init(struct page *table, uint64_t frames)
{
	fresh_init();
	page_table = table;
	page_frames = frames;
	free_first[false] = free_first[true] = 0;
	counts = (struct page_counts){0};
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

static void free_push(struct page *page, bool zeroed)
{
	page->kind = PAGE_FREE;
	page->zeroed = zeroed;
	page->owner = NULL;
	page->next = free_first[zeroed];
	free_first[zeroed] = (uint32_t)page_frame(page);
	counts.free++;
	memory_hide(page_address(page), PAGE_SIZE);
}

/* Whether nobody wrote to a free page: a table that was still in use somewhere would show here. */
static bool is_zero(const struct page *page)
{
	const uint64_t *word = page_address(page);

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++) {
		if (word[i] != 0)
			return false;
	}
	return true;
}

static struct page *list_pop(bool zeroed)
{
	struct page *page = page_of_frame(free_first[zeroed]);

	assert(page->kind == PAGE_FREE && page->zeroed == zeroed);
	free_first[zeroed] = page->next;
	return page;
}

static struct page *fresh_pop(void)
{
	uint64_t frame = fresh_take();

	return frame != 0 ? page_of_frame(frame) : NULL;
}

/* A page of no list is somebody's; zero: it is known to hold zeros. */
static inline struct page *page_take(struct page *page, bool zero, enum page_kind kind, void *owner, bool zeroed)
{
	counts.free--;
	*page = (struct page){.owner = owner, .kind = kind};
	memory_show(page_address(page), PAGE_SIZE);
	assert(!zero || is_zero(page));
	if (zeroed && !zero)
		machine_page_clear(page_address(page));
	return page;
}

/* Neither a page that was given back nor, where zeros are asked for, one that holds some: a fresh one, or the last kind left. */
static __attribute__((noinline)) struct page *free_pop_fresh(enum page_kind kind, void *owner, bool zeroed)
{
	struct page *page = fresh_pop();
	bool zero = page == NULL && free_first[true] != 0;

	if (zero)
		page = list_pop(true);
	return page != NULL ? page_take(page, zero, kind, owner, zeroed) : NULL;
}

static inline struct page *free_pop(enum page_kind kind, void *owner, bool zeroed)
{
	bool zero = zeroed && free_first[true] != 0;

	if (unlikely(free_first[zero] == 0))
		return free_pop_fresh(kind, owner, zeroed);
	return page_take(list_pop(zero), zero, kind, owner, zeroed);
}

/* So many frames become part of RAM. */
static void total_add(uint64_t frames)
{
	uint64_t reserve = (counts.total += frames) / RESERVE_SHARE;

	if (reserve > RESERVE_MAX)
		reserve = RESERVE_MAX;
	counts.reserve = reserve < RESERVE_MIN ? RESERVE_MIN : reserve;
	quiet_ram.below = 0;
	seen_user = UINT64_MAX;
}

void page_add_free(uint64_t first_frame, uint64_t frames)
{
	assert(first_frame + frames <= page_frames);
	/* Frame 0 is the end of lists. */
	if (first_frame == 0 && frames > 0) {
		first_frame++;
		frames--;
	}
	fresh_add(first_frame, frames);
	total_add(frames);
	counts.free += frames;
	memory_hide(phys_to_virt(first_frame << PAGE_SHIFT), frames * PAGE_SIZE);
}

/* -- what fits -- */

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

static uint64_t left_of(uint64_t limit, uint64_t used, uint64_t more)
{
	return limit > used + more ? limit - used - more : 0;
}

/* What may be charged without a look here, anew; so many more kernel and user pages are about to be. */
static void lend(uint64_t kernel_pages, uint64_t user_pages)
{
	uint64_t map = left_of(zone_map_limit, zone_map_used_pages(), kernel_pages);
	uint64_t ram = left_of(ram_limit_pages(false), ram_used_pages(), kernel_pages + user_pages);
	uint64_t share = map / 2 < ram / 4 ? map / 2 : ram / 4;

	slabs_lent = counts.slab + share;
	ledger_backed[LEDGER_KPAGES] = root_ledger.account[LEDGER_KPAGES].used + kernel_pages + share;
	ledger_backed[LEDGER_RESIDENT_PAGES] = root_ledger.account[LEDGER_RESIDENT_PAGES].used + user_pages + ram / 2;
	ledger_ease(&root_ledger, LEDGER_KPAGES);
	ledger_ease(&root_ledger, LEDGER_RESIDENT_PAGES);
}

void zone_map_init(uint64_t limit_pages)
{
	zone_map_limit = limit_pages;
	quiet_zone_map.below = 0;
	lend(0, 0);
	mem_pressure_update();
}

bool page_back(uint64_t kernel_pages, uint64_t user_pages, bool last, struct ledger_shortage *shortage)
{
	if (!page_fits(kernel_pages, user_pages, last, shortage))
		return false;
	lend(kernel_pages, user_pages);
	return true;
}

/* -- pressure -- */

/* What is left when a level begins or, if it is there already, when it ends: then half as much again. */
static uint64_t mark_of(unsigned level, uint64_t limit)
{
	uint64_t mark = limit >> (2 + level);

	return pressure_level >= level ? mark + mark / 2 : mark;
}

static unsigned level_of(uint64_t used, uint64_t limit)
{
	uint64_t left = limit > used ? limit - used : 0;

	for (unsigned level = PRESSURE_LEVELS; level > 0; level--) {
		if (left < mark_of(level, limit))
			return level;
	}
	return 0;
}

/* Where `used` may move without a change of level_of or of the peak. */
static struct quiet quiet_around(uint64_t used, uint64_t limit, uint64_t peak)
{
	struct quiet quiet = {0, peak + 1};

	for (unsigned level = 1; level <= PRESSURE_LEVELS; level++) {
		uint64_t begin = limit - mark_of(level, limit) + 1;

		if (begin <= used && begin > quiet.from)
			quiet.from = begin;
		if (begin > used && begin < quiet.below)
			quiet.below = begin;
	}
	return quiet;
}

unsigned mem_pressure(void)
{
	return pressure_level;
}

uint64_t page_peak(unsigned resource)
{
	return resource == LEDGER_RAM ? peak_ram : peak_zone_map;
}

static bool is_quiet(const struct quiet *quiet, uint64_t used)
{
	return used >= quiet->from && used < quiet->below;
}

static __attribute__((noinline)) void pressure_look(void)
{
	uint64_t ram_used, map_used;
	unsigned level, map, before;

	/* What that frees may lead here too. */
	ledger_settle();
	before = pressure_level;
	ram_used = ram_used_pages();
	map_used = zone_map_used_pages();
	level = level_of(ram_used, ram_limit_pages(false));
	map = level_of(map_used, zone_map_limit);
	if (ram_used > peak_ram)
		peak_ram = ram_used;
	if (map_used > peak_zone_map)
		peak_zone_map = map_used;
	if (map > level)
		level = map;
	pressure_level = level;
	quiet_ram = quiet_around(ram_used, ram_limit_pages(false), peak_ram);
	quiet_zone_map = quiet_around(map_used, zone_map_limit, peak_zone_map);
	if (level != before)
		mem_pressure_changed(level);
}

void mem_pressure_update(void)
{
	if (!is_quiet(&quiet_ram, ram_used_pages()) || !is_quiet(&quiet_zone_map, zone_map_used_pages()))
		pressure_look();
	seen_kernel = root_ledger.account[LEDGER_KPAGES].used;
	seen_user = root_ledger.account[LEDGER_RESIDENT_PAGES].used;
}

/* After a kernel or user page came or went: mostly the root's figure, which is what counts, has not changed by it (slack:
   ledger.c). */
static inline void pressure_kernel(void)
{
	if (unlikely(root_ledger.account[LEDGER_KPAGES].used != seen_kernel))
		mem_pressure_update();
}

static inline void pressure_user(void)
{
	if (unlikely(root_ledger.account[LEDGER_RESIDENT_PAGES].used != seen_user))
		mem_pressure_update();
}

/* -- taking and giving back -- */

struct page *page_alloc_slab(void *zone)
{
	struct page *page = free_pop(PAGE_SLAB, zone, false);

	if (page == NULL)
		return NULL;
	if (++counts.slab > slabs_lent)
		lend(0, 0);
	mem_pressure_update();
	return page;
}

void page_free_slab(struct page *page)
{
	assert(page->kind == PAGE_SLAB);
	counts.slab--;
	free_push(page, false);
	mem_pressure_update();
}

void page_shortage(struct ledger_shortage *shortage)
{
	*shortage = (struct ledger_shortage){
		&root_ledger, LEDGER_RAM, ram_used_pages() * PAGE_SIZE, ram_limit_pages(false) * PAGE_SIZE, PAGE_SIZE,
	};
}

/* A charged page is not there: only after unrefused moves beyond the reserve. */
static __attribute__((noinline)) void *deny_ram(struct ledger *payer, unsigned resource, const struct alloc_site *site)
{
	struct ledger_shortage shortage;

	ledger_refund(payer, resource, 1);
	page_shortage(&shortage);
	ledger_deny_shortage(resource, &shortage, site);
	return NULL;
}

struct page *kpage_alloc_at(struct ledger *payer, bool zeroed, const struct alloc_site *site)
{
	struct page *page;

	if (!ledger_charge_quick_at(payer, LEDGER_KPAGES, 1, PAGE_SIZE, site))
		return NULL;
	page = free_pop(PAGE_KERNEL, payer, zeroed);
	if (unlikely(page == NULL))
		return deny_ram(payer, LEDGER_KPAGES, site);
	counts.kernel++;
	pressure_kernel();
	return page;
}

static void kpage_put(struct page *page, bool zeroed)
{
	struct ledger *payer = page->owner;

	assert(page->kind == PAGE_KERNEL);
	counts.kernel--;
	free_push(page, zeroed);
	ledger_refund_quick(payer, LEDGER_KPAGES, 1, PAGE_SIZE);
	pressure_kernel();
}

void kpage_free(struct page *page)
{
	kpage_put(page, false);
}

void kpage_free_zeroed(struct page *page)
{
	kpage_put(page, true);
}

struct page *frame_alloc_at(struct ledger *payer, bool zeroed, const struct alloc_site *site)
{
	struct page *page;

	if (!ledger_charge_quick_at(payer, LEDGER_RESIDENT_PAGES, 1, 0, site))
		return NULL;
	page = free_pop(PAGE_USER, NULL, zeroed);
	if (unlikely(page == NULL))
		return deny_ram(payer, LEDGER_RESIDENT_PAGES, site);
	counts.user++;
	pressure_user();
	return page;
}

void frame_free(struct page *page, struct ledger *payer)
{
	assert(page->kind == PAGE_USER);
	counts.user--;
	free_push(page, false);
	ledger_refund_quick(payer, LEDGER_RESIDENT_PAGES, 1, 0);
	pressure_user();
}

void frame_adopt(struct page *page, struct ledger *payer)
{
	fresh_adopt(page_frame(page));
	total_add(1);
	if (payer == NULL) {
		free_push(page, false);
		return;
	}
	*page = (struct page){.kind = PAGE_USER};
	counts.user++;
	ledger_force(payer, LEDGER_RESIDENT_PAGES, 1);
}
