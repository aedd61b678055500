/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames never handed out: which are taken, which have begun, what the audit makes of them. */
/* SOURCES: mem */
#include <stdlib.h>
#include "host.h"
#include "mem/fresh.h"
#include "mem/page.h"
#include "tap.h"

#define PAGES 4096

static void test_stretches(void)
{
	fresh_init();
	is_u64(fresh_take(), 0, "without RAM there is no frame");
	ok(fresh_stretch(0) == NULL, "and no stretch");
	fresh_add(10, 2);
	fresh_add(5, 0);
	fresh_add(20, 3);
	ok(!fresh_begun(10) && !fresh_begun(9) && !fresh_begun(20), "nothing has begun");
	is_u64(fresh_take(), 10, "the lowest frame of the first stretch is taken first");
	ok(fresh_begun(10) && !fresh_begun(11) && !fresh_begun(9), "and has begun, its neighbours have not");
	is_u64(fresh_take(), 11, "then the next");
	is_u64(fresh_take(), 20, "then those of the next stretch");
	fresh_adopt(12);
	fresh_adopt(13);
	ok(fresh_begun(12) && fresh_begun(13) && !fresh_begun(14), "what is adopted has begun");
	ok(fresh_stretch(2) != NULL && fresh_stretch(3) == NULL, "adopted frames in a row are one stretch");
	is_u64(fresh_take(), 21, "adopted frames are not handed out");
	fresh_add(30, 1);
	is_u64(fresh_take(), 22, "a stretch that comes later");
	is_u64(fresh_take(), 30, "is used when its turn comes");
	is_u64(fresh_take(), 0, "and then there are no more");
	ok(!fresh_begun(31) && !fresh_begun(0), "what was never RAM has not begun");
}

/* All frames once, then all again: the second time they come from the lists. */
static void test_pages(void)
{
	static struct page *taken[PAGES];
	static bool seen[PAGES];
	uint64_t count = 0, again = 0, total, begun = 0;

	host_memory(PAGES, PAGES);
	total = page_frames_total();
	is_u64(total, PAGES - 1, "all frames but the first are RAM");
	is_u64(page_frames_free(), total, "and free, though none has begun");
	for (unsigned i = 0; i < PAGES; i++)
		begun += fresh_begun(i);
	is_u64(begun, 0, "the frame table is not looked at");
	taken[0] = kpage_alloc(&root_ledger);
	kpage_free(taken[0]);
	ok(kpage_alloc(&root_ledger) == taken[0], "a page that was given back is used before a fresh one");
	kpage_free(taken[0]);
	claim_begin("each page is another one, and its entry is clean whatever the RAM held before");
	while (count < PAGES && (taken[count] = kpage_alloc(&root_ledger)) != NULL) {
		const struct page *page = taken[count++];
		uint64_t frame = page_frame(page);

		claim(frame > 0 && frame < PAGES && !seen[frame], "frame %lu", (unsigned long)frame);
		claim(page->kind == PAGE_KERNEL && page->wire == 0 && page->count == 0 && page->next == 0 &&
		      page->owner == &root_ledger, "entry of frame %lu", (unsigned long)frame);
		claim(fresh_begun(frame), "frame %lu has begun", (unsigned long)frame);
		seen[frame] = true;
	}
	claim_end();
	ok(count > PAGES - 100 && host_denials > 0, "all but the reserve are handed out, then one is denied");
	ok(host_audit(), "the audit counts fresh frames as free");
	while (again < count)
		kpage_free(taken[again++]);
	is_u64(page_frames_free(), total, "all come back");
	ok(host_audit(), "and the books agree");
}

int main(void)
{
	tap_begin("mem_fresh_test");
	test_stretches();
	test_pages();
	return tap_done();
}
