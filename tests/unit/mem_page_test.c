/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages: those known to hold zeros, what is lent to be charged without a look, and the levels of pressure. */
/* SOURCES: mem */
#include <string.h>
#include "host.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/zone.h"
#include "tap.h"

#define PAGES 1024
#define ZONE_MAP 512
#define STEPS 20000

static struct page *kernel_pages[PAGES], *user_pages[PAGES];
static unsigned kernel_count, user_count;

static bool is_filled(const struct page *page, int byte)
{
	const uint8_t *at = page_address(page);

	return at[0] == byte && memcmp(at, at + 1, PAGE_SIZE - 1) == 0;
}

static void zeros(void)
{
	struct page *table = kpage_alloc_zeroed(&root_ledger), *dirty = kpage_alloc(&root_ledger), *again;

	ok(is_filled(table, 0), "a page of zeros");
	memset(page_address(dirty), 0xaa, PAGE_SIZE);
	kpage_free_zeroed(table);
	kpage_free(dirty);
	again = frame_alloc(&root_ledger);
	ok(again == dirty, "who does not ask for zeros gets another page");
	frame_free(again, &root_ledger);
	again = frame_alloc_zeroed(&root_ledger);
	ok(again == table && is_filled(again, 0), "who asks for zeros gets the one that holds them");
	table = frame_alloc_zeroed(&root_ledger);
	ok(table == dirty && is_filled(table, 0), "or one that is cleared");
	frame_free(table, &root_ledger);
	frame_free(again, &root_ledger);
	ok(host_audit(), "the audit agrees");
}

/* All of RAM can be had, and then nothing more, in any mixture: what is lent to one kind is not kept from the others. */
static void to_the_last(void)
{
	struct page_counts pages;

	page_count(&pages);
	while (kernel_count < 300 && (kernel_pages[kernel_count] = kpage_alloc(&root_ledger)) != NULL)
		kernel_count++;
	is_u64(kernel_count, 300, "300 kernel pages");
	while ((user_pages[user_count] = frame_alloc(&root_ledger)) != NULL)
		user_count++;
	is_u64(page_frames_free(), pages.reserve, "user pages take all but the reserve");
	ok(kpage_alloc(&root_ledger) == NULL && host_denial.resource == LEDGER_RAM, "RAM is what is short then");
	while (kernel_count > 0)
		kpage_free(kernel_pages[--kernel_count]);
	while (user_count > 600)
		frame_free(user_pages[--user_count], &root_ledger);
	while ((kernel_pages[kernel_count] = kpage_alloc(&root_ledger)) != NULL)
		kernel_count++;
	is_u64(page_frames_free(), pages.reserve, "what users gave back the kernel can have");
	while (user_count > 0)
		frame_free(user_pages[--user_count], &root_ledger);
	while ((kernel_pages[kernel_count] = kpage_alloc(&root_ledger)) != NULL)
		kernel_count++;
	is_u64(zone_map_used_pages(), ZONE_MAP, "up to the zone map");
	ok(host_denial.resource == LEDGER_ZONE_MAP, "which is what is short then");
	while (kernel_count > 0)
		kpage_free(kernel_pages[--kernel_count]);
	ok(host_audit(), "the audit agrees");
}

/* -- pressure, by a model that looks each time -- */

static unsigned model_level;
static uint64_t model_peak_ram, model_peak_map;

static unsigned level_of(uint64_t used, uint64_t limit)
{
	uint64_t left = limit > used ? limit - used : 0;

	for (unsigned level = 3; level > 0; level--) {
		uint64_t mark = limit >> (2 + level);

		if (left < mark || (model_level >= level && left < mark + mark / 2))
			return level;
	}
	return 0;
}

static void model_look(void)
{
	struct page_counts pages;
	uint64_t ram, map = zone_map_used_pages();
	unsigned by_ram, by_map;

	page_count(&pages);
	ram = pages.slab + root_ledger.account[LEDGER_KPAGES].used + root_ledger.account[LEDGER_RESIDENT_PAGES].used;
	by_ram = level_of(ram, pages.total - pages.reserve);
	by_map = level_of(map, ZONE_MAP);
	model_level = by_ram > by_map ? by_ram : by_map;
	model_peak_ram = ram > model_peak_ram ? ram : model_peak_ram;
	model_peak_map = map > model_peak_map ? map : model_peak_map;
}

/* Grows or shrinks for a while, then the other way. */
static void step(unsigned n)
{
	bool grow = n / 2500 % 2 == 0, user = random_below(3) != 0;

	if (random_below(5) == 0)
		grow = !grow;
	if (grow && user && user_count < PAGES - 1) {
		user_pages[user_count] = frame_alloc(&root_ledger);
		user_count += user_pages[user_count] != NULL;
	} else if (grow && kernel_count < PAGES - 1) {
		kernel_pages[kernel_count] = kpage_alloc(&root_ledger);
		kernel_count += kernel_pages[kernel_count] != NULL;
	} else if (!grow && user && user_count > 0) {
		frame_free(user_pages[--user_count], &root_ledger);
	} else if (!grow && kernel_count > 0) {
		kpage_free(kernel_pages[--kernel_count]);
	}
}

static void pressure(void)
{
	unsigned changes = 0;

	model_level = mem_pressure();
	model_peak_ram = page_peak(LEDGER_RAM);
	model_peak_map = page_peak(LEDGER_ZONE_MAP);
	claim_begin("level and peaks are those of a look at each step");
	for (unsigned n = 0; n < STEPS; n++) {
		unsigned before = model_level;

		step(n);
		model_look();
		changes += model_level != before;
		claim(mem_pressure() == model_level, "step %u: level %u, not %u", n, mem_pressure(), model_level);
		claim(page_peak(LEDGER_RAM) == model_peak_ram && page_peak(LEDGER_ZONE_MAP) == model_peak_map,
		      "step %u: a peak", n);
	}
	claim_end();
	ok(changes > 20, "%u changes of level", changes);
	while (kernel_count > 0)
		kpage_free(kernel_pages[--kernel_count]);
	while (user_count > 0)
		frame_free(user_pages[--user_count], &root_ledger);
	ok(host_audit(), "the audit agrees");
}

int main(void)
{
	tap_begin("mem_page_test");
	host_memory(PAGES, ZONE_MAP);
	zeros();
	to_the_last();
	pressure();
	return tap_done();
}
