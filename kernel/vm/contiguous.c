/* SPDX-License-Identifier: BSD-2-Clause */
/* Physically contiguous memory. The allocator gives single frames; so frames are taken, each marked
   as held by this search, until some of them make a run of the kind wanted, and those that do not
   belong to it go back. Slow, and honest: it fails only when free memory, as far as the payer may
   take it, holds no such run. */
#include "vm/contiguous.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/fresh.h"
#include "vm/entry.h"
#include "vm/pages.h"
#include "vm/object.h"
#include "vm/shadow.h"
#include "x86_64/machine.h"

struct search {
	struct ledger *payer;
	uint64_t pages;       /* wanted */
	uint64_t first, last; /* frames allowed, [first, last) */
	uint64_t align;       /* in frames, at least 1 */
	struct page *held;    /* list through owner */
};

static char mark; /* its address in `offset` marks a frame held here */

static bool is_held(uint64_t frame)
{
	struct page *page = page_of_frame(frame);

	/* Its neighbours may never have been anyone's. */
	return fresh_begun(frame) && page->kind == PAGE_USER && page->offset == (uint64_t)(uintptr_t)&mark;
}

/* The run around this frame; true: *start is the first frame of one that will do. */
static bool run_at(const struct search *search, uint64_t frame, uint64_t *start)
{
	uint64_t low = frame, high = frame + 1, from;

	while (low > search->first && frame - low < search->pages && is_held(low - 1))
		low--;
	while (high < search->last && high - frame < search->pages && is_held(high))
		high++;
	from = (low + search->align - 1) & ~(search->align - 1);
	if (from < search->first || from + search->pages > high)
		return false;
	*start = from;
	return true;
}

static bool find_run(struct search *search, uint64_t *start)
{
	uint64_t taken = 0;

	for (;;) {
		struct page *page = frame_alloc(search->payer);
		uint64_t frame;

		if (page == NULL)
			return false;
		page->owner = search->held;
		page->offset = (uint64_t)(uintptr_t)&mark;
		search->held = page;
		frame = page_frame(page);
		if (frame >= search->first && frame < search->last && run_at(search, frame, start))
			return true;
		if (++taken % VM_PIECE == 0)
			machine_window();
	}
}

/* Gives back what is held but the run; start 0: all. */
static void give_back(struct search *search, uint64_t start)
{
	struct page *page = search->held, *next;
	uint64_t done = 0;

	for (; page != NULL; page = next) {
		uint64_t frame = page_frame(page);

		next = page->owner;
		page->offset = 0;
		page->owner = NULL;
		if (start == 0 || frame < start || frame >= start + search->pages)
			frame_free(page, search->payer);
		if (++done % VM_PIECE == 0)
			machine_window();
	}
}

static void adopt(struct vm_object *object, uint64_t index, uint64_t frame)
{
	struct page *page = page_of_frame(frame);

	machine_page_clear(page_address(page));
	page->owner = object;
	page->offset = index;
	vm_pages_insert(object, index, page);
	object->resident++;
}

/* Makes nodes for all pages, so that adopt cannot fail. */
static bool reserve_nodes(struct vm_object *object, uint64_t pages)
{
	uint64_t rounds = 0;

	for (uint64_t i = 0; i < pages; i++) {
		vm_breathe(&rounds);
		if (vm_object_reserve(object, i))
			continue;
		while (i-- > 0) {
			vm_pages_unreserve(object, i);
			vm_breathe(&rounds);
		}
		return false;
	}
	return true;
}

struct vm_object *vm_object_contiguous(struct ledger *payer, uint64_t size, uint64_t pmin,
				       uint64_t pmax, uint64_t palign, uint64_t *physical)
{
	struct search search = {
		.payer = payer,
		.pages = round_page(size) >> PAGE_SHIFT,
		.first = round_page(pmin) >> PAGE_SHIFT,
		.last = pmax == 0 || pmax >> PAGE_SHIFT > page_frames_all() ? page_frames_all()
									    : pmax >> PAGE_SHIFT,
		.align = palign > PAGE_SIZE ? palign >> PAGE_SHIFT : 1,
	};
	struct vm_object *object;
	uint64_t start = 0, rounds = 0;

	if (search.pages == 0 || search.first >= search.last ||
	    search.pages > search.last - search.first)
		return NULL;
	object = vm_object_make(search.pages, payer);
	if (object == NULL)
		return NULL;
	if (!reserve_nodes(object, search.pages)) {
		vm_object_release(object);
		return NULL;
	}
	if (!find_run(&search, &start)) {
		give_back(&search, 0);
		for (uint64_t i = 0; i < search.pages; i++) {
			vm_pages_unreserve(object, i);
			vm_breathe(&rounds);
		}
		vm_object_release(object);
		return NULL;
	}
	give_back(&search, start);
	for (uint64_t i = 0; i < search.pages; i++) {
		adopt(object, i, start + i);
		vm_breathe(&rounds);
	}
	*physical = start << PAGE_SHIFT;
	return object;
}
