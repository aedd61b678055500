/* SPDX-License-Identifier: BSD-2-Clause */
/* Merging of objects in a shadow chain. Theory in object.c.

   `top` shadows `below`. If top is below's only user, one of them is superfluous:

    up    below's pages that top does not hide move to top, the others are freed; then top takes
          over below's shadow;

    down  (top has one user too) top's pages replace below's; then top's user looks into below
          directly.

   If below has no pages, top passes it by, however many users it has. Every step leaves what
   anybody sees as it was, so a piece is a good place to stop: for the budget, or because a radix
   node is denied. */
#include "kern/assert.h"
#include "vm/entry.h"
#include "vm/pages.h"
#include "vm/object.h"
#include "vm/shadow.h"
#include "x86_64/machine.h"

static void page_rehome(struct page *page, struct vm_object *from, struct vm_object *to,
			uint64_t index)
{
	page->owner = to;
	page->offset = index;
	from->resident--;
	to->resident++;
	if (from->payer != to->payer)
		ledger_move(from->payer, to->payer, LEDGER_RESIDENT_PAGES, 1);
}

/* False: denied. */
static bool page_move(struct vm_object *from, uint64_t from_index, struct vm_object *to,
		      uint64_t to_index)
{
	struct page *page;

	if (!vm_object_reserve(to, to_index))
		return false;
	page = vm_pages_remove(from, from_index);
	vm_pages_insert(to, to_index, page);
	page_rehome(page, from, to, to_index);
	return true;
}

/* One page of below; false: denied. */
static bool step_up(struct vm_object *top, struct vm_object *below)
{
	uint64_t first = top->shadow_offset >> PAGE_SHIFT, key = 0;

	vm_pages_next(below, &key);
	if (key < first || key - first >= top->size_pages ||
	    vm_object_page(top, key - first) != NULL) {
		vm_object_page_remove(below, key);
		return true;
	}
	return page_move(below, key, top, key - first);
}

/* top takes over below's shadow; below, empty and without another user, goes. */
static void finish_up(struct vm_object *top, struct vm_object *below)
{
	uint64_t offset = top->shadow_offset + below->shadow_offset;
	struct vm_object *next = below->shadow;

	vm_object_leave_shadow(top);
	if (next != NULL) {
		vm_object_ref(next);
		vm_object_set_shadow(top, next, offset);
	}
	vm_object_release(below);
}

/* One page; false: denied. Pages of below that top's window does not show go first. */
static bool step_down(struct vm_object *top, struct vm_object *below, bool *done)
{
	uint64_t first = top->shadow_offset >> PAGE_SHIFT, last = first + top->size_pages;
	uint64_t key = 0;

	if (!vm_object_free_range(below, 0, first, 1) ||
	    !vm_object_free_range(below, last, UINT64_MAX, 1))
		return true;
	*done = vm_pages_next(top, &key) == NULL;
	if (*done)
		return true;
	if (vm_object_page(below, first + key) != NULL)
		vm_object_page_remove(below, first + key);
	return page_move(top, key, below, first + key);
}

/* top's only user takes below in its place; top goes. */
static void finish_down(struct vm_object *top, struct vm_object *below)
{
	struct vm_entry *entry = LIST_FIRST(&top->entries);
	struct vm_object *user = LIST_FIRST(&top->shadows);
	uint64_t offset = top->shadow_offset;

	vm_object_ref(below);
	if (entry != NULL) {
		LIST_REMOVE(entry, object_link);
		vm_entry_set_object(entry, below, entry->offset + offset);
	} else {
		offset += user->shadow_offset;
		LIST_REMOVE(user, shadow_link);
		user->shadow = NULL;
		vm_object_set_shadow(user, below, offset);
	}
	vm_object_release(top);
}

static bool may_go_down(const struct vm_object *top, const struct vm_object *below)
{
	return top->refs == 1 && !top->kernel_held && top->name_port == NULL && top->pinned == 0 &&
	       top->resident < below->resident &&
	       (!LIST_EMPTY(&top->entries) || !LIST_EMPTY(&top->shadows));
}

/* Merges with below, which has no other user; returns where to go on, NULL: stop. */
static struct vm_object *merge(struct vm_object *top, struct vm_object *below, unsigned *budget)
{
	bool down = may_go_down(top, below), done = false;

	for (; *budget != 0; --*budget) {
		if (down ? done : below->resident == 0)
			break;
		if (!(down ? step_down(top, below, &done) : step_up(top, below)))
			return NULL;
		if (*budget % VM_PIECE == 0)
			machine_window();
	}
	if (down && done) {
		finish_down(top, below);
		return below;
	}
	if (!down && below->resident == 0) {
		finish_up(top, below);
		return top;
	}
	return NULL;
}

void vm_object_collapse(struct vm_object *object, unsigned budget)
{
	while (object != NULL && object->shadow != NULL && budget != 0) {
		struct vm_object *below = object->shadow;

		budget--;
		if (below->kernel_held || below->pinned)
			object = below;
		else if (below->refs == 1)
			object = merge(object, below, &budget);
		else if (below->resident == 0)
			finish_up(object, below);
		else
			object = below;
	}
}
