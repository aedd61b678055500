/* SPDX-License-Identifier: BSD-2-Clause */
/* Long copies in pieces, for calls that may pause (kern/pause.c): each step does a bounded part, and between two steps
   anything may happen to the map.

   Taking a copy: the chain (copy.c) grows by what vm_copy_in makes of a few entries. One that cannot be shared, and has
   many pages, is copied page by page into an entry that has its full length from the beginning.

   Overwriting: first all pages are made present and writable, which may be denied, then they are written. A page that
   others have taken away meanwhile is made again. What has been written leaves the copy, so that the rest is always a copy
   too. */
#include "vm/copy_piece.h"
#include "kern/assert.h"
#include "vm/entry.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* -- taking a copy -- */

/* Must its pages be copied at once? */
static bool is_unsharable(struct vm_entry *entry)
{
	return entry->object != NULL && (vm_entry_is_shared(entry) || entry->wired);
}

static void append(struct vm_copying *c, struct vm_copy *piece)
{
	struct vm_entry *first;

	if (c->copy == NULL) {
		c->copy = piece;
		return;
	}
	first = &c->copy->first;
	first->last->next = &piece->first;
	first->last = piece->first.last;
	first->entries += piece->first.entries;
	first->size += piece->first.size;
}

/* Appends an entry for [next, to), whose pages are still to be copied. */
static kern_return_t fill_begin(struct vm_copying *c, uint64_t to)
{
	struct vm_entry *entry = vm_entry_make_range(c->map->pmap.payer, c->next, to);
	struct vm_object *object;

	if (entry == NULL)
		return KERN_RESOURCE_SHORTAGE;
	object = vm_object_make(vm_entry_pages(entry), c->map->pmap.payer);
	if (object == NULL) {
		vm_entry_destroy(entry);
		return KERN_RESOURCE_SHORTAGE;
	}
	entry->protection = VM_PROT_DEFAULT;
	entry->max_protection = VM_PROT_ALL;
	entry->inheritance = VM_INHERIT_DEFAULT;
	vm_entry_set_object(entry, object, 0);
	entry->last = entry;
	entry->entries = 1;
	entry->size = to - c->next;
	entry->page_offset = 0;
	append(c, (struct vm_copy *)entry);
	c->filling = true;
	return KERN_SUCCESS;
}

/* Copies the next page that is there, if one is before end, into `to`. False: denied. */
static bool fill_page(const struct vm_entry *from, uint64_t *next, struct vm_entry *to, uint64_t end)
{
	uint64_t first = vm_entry_index(from, *next), index = first;
	struct page *page = from->object != NULL ? vm_object_visible_next(from->object, &index) : NULL;
	struct page *copy;

	if (page == NULL || index - first >= (end - *next) >> PAGE_SHIFT) {
		*next = end;
		return true;
	}
	*next += (index - first) << PAGE_SHIFT;
	copy = vm_object_page_add(to->object, (*next - to->start) >> PAGE_SHIFT, false);
	if (copy == NULL)
		return false;
	machine_page_copy(page_address(copy), page_address(page));
	*next += PAGE_SIZE;
	return true;
}

kern_return_t vm_fill_some(const struct vm_entry *from, uint64_t *next, struct vm_entry *to, unsigned most)
{
	uint64_t end = least(from->end, to->end);

	for (; *next < end && most > 0; most--)
		if (!fill_page(from, next, to, end))
			return KERN_RESOURCE_SHORTAGE;
	return KERN_SUCCESS;
}

/* From whatever is mapped there now. */
static kern_return_t fill(struct vm_copying *c, unsigned most)
{
	struct vm_entry *to = c->copy->first.last, *from = vm_map_lookup(c->map, c->next);
	kern_return_t result;

	if (from == NULL)
		return KERN_INVALID_ADDRESS;
	if (!(from->protection & VM_PROT_READ))
		return KERN_PROTECTION_FAILURE;
	result = vm_fill_some(from, &c->next, to, most);
	c->filling = c->next < to->end;
	return result;
}

/* Where the next piece ends: behind some entries that can be shared, or some pages of such that cannot. It has two pages or
   more, for less is never shared, and so has what is left. */
static uint64_t piece_end(const struct vm_copying *c, unsigned most)
{
	struct vm_entry *entry = vm_map_lookup(c->map, c->next);
	uint64_t end = c->next, enough = round_page(c->next) + 2 * PAGE_SIZE;

	for (; entry != NULL && end < c->end && (most > 0 || end < enough); entry = vm_map_next(entry)) {
		uint64_t cost = is_unsharable(entry) ? (entry->end - end) >> PAGE_SHIFT : 1;

		if (cost > most && cost > 1) {
			end = end < enough ? enough : end;
			break;
		}
		end = entry->end;
		most -= least(cost, most);
	}
	/* At a hole vm_copy_in gets the rest, and refuses it. */
	return entry == NULL || end + 2 * PAGE_SIZE > c->end ? c->end : end;
}

bool vm_copying_is_long(struct vm_map *map, uint64_t address, uint64_t size, unsigned most)
{
	struct vm_entry *entry = vm_map_lookup(map, address);
	uint64_t end = address + size, at = address, cost = 0;

	for (; entry != NULL && entry->start <= at && at < end && cost <= most; entry = vm_map_next(entry)) {
		cost += is_unsharable(entry) ? (least(entry->end, end) - at) >> PAGE_SHIFT : 1;
		at = entry->end;
	}
	return cost > most;
}

kern_return_t vm_copying_step(struct vm_copying *c, unsigned most)
{
	struct vm_entry *entry;
	struct vm_copy *piece;
	kern_return_t result;
	uint64_t to;

	if (c->filling)
		return fill(c, most);
	entry = vm_map_lookup(c->map, c->next);
	if (entry == NULL)
		return KERN_INVALID_ADDRESS;
	to = least(entry->end, trunc_page(c->end));
	if ((c->next & PAGE_MASK) == 0 && to > c->next && (to - c->next) >> PAGE_SHIFT > most && is_unsharable(entry))
		return fill_begin(c, to);
	to = piece_end(c, most);
	result = vm_copy_in(c->map, c->next, to - c->next, false, c->map->pmap.payer, &piece);
	if (result != KERN_SUCCESS)
		return result;
	append(c, piece);
	c->next = to;
	return KERN_SUCCESS;
}

struct vm_copy *vm_copy_undo_some(struct vm_map *map, struct vm_copy *copy, unsigned most)
{
	struct vm_entry *entry = (struct vm_entry *)copy, *next;

	for (; entry != NULL && most > 0; entry = next, most--) {
		/* Entries that share pages still have their source's addresses. */
		uint64_t start = entry->start;
		bool shares = entry->needs_copy;

		next = entry->next;
		vm_entry_destroy(entry);
		if (shares)
			vm_copy_unmark(map, start);
	}
	vm_map_debug_check(map);
	return (struct vm_copy *)entry;
}

void vm_copy_undo(struct vm_map *map, struct vm_copy *copy)
{
	while ((copy = vm_copy_undo_some(map, copy, VM_PIECE)) != NULL)
		machine_window();
}

/* -- overwriting -- */

/* The whole pages before the one that byte `offset` lies in leave the entry, which is in no map. */
static void entry_cut(struct vm_entry *entry, uint64_t offset)
{
	uint64_t length = trunc_page(offset), first = entry->offset >> PAGE_SHIFT;

	if (length == 0)
		return;
	if (vm_entry_exclusive(entry))
		while (!vm_object_free_range(entry->object, first, first + (length >> PAGE_SHIFT), VM_PIECE))
			machine_window();
	entry->start += length;
	if (entry->object != NULL)
		entry->offset += length;
	ledger_refund(entry->payer, LEDGER_VIRTUAL_PAGES, length >> PAGE_SHIFT);
}

/* What is left of the copy without its first bytes; NULL: nothing. */
static struct vm_copy *copy_cut(struct vm_copy *copy, uint64_t bytes)
{
	struct vm_entry *entry = &copy->first, *last = entry->last, *next;
	uint64_t size = entry->size - bytes, offset = entry->page_offset + bytes;
	uint32_t entries = entry->entries;

	if (size == 0) {
		vm_copy_discard(copy);
		return NULL;
	}
	for (; offset >= entry->end - entry->start; entry = next, entries--) {
		offset -= entry->end - entry->start;
		next = entry->next;
		vm_entry_destroy(entry);
	}
	entry_cut(entry, offset);
	entry->last = last;
	entry->entries = entries;
	entry->size = size;
	entry->page_offset = offset & PAGE_MASK;
	return (struct vm_copy *)entry;
}

/* The page's frame, which can be written to. */
static kern_return_t writable_page(struct vm_map *map, uint64_t at, uint8_t **page)
{
	vm_prot_t protection;
	uint64_t frame;

	while (!pmap_lookup(&map->pmap, at, &frame, &protection) || !(protection & VM_PROT_WRITE)) {
		kern_return_t result = vm_fault(map, at, VM_PROT_WRITE);

		if (result != KERN_SUCCESS)
			return result;
	}
	*page = phys_to_virt(frame << PAGE_SHIFT);
	return KERN_SUCCESS;
}

/* Makes the next pages present. */
static kern_return_t prepare(struct vm_overwriting *w, uint64_t end, unsigned most)
{
	kern_return_t result = KERN_SUCCESS;

	for (; result == KERN_SUCCESS && w->ready < end && most > 0; most--) {
		if (!pmap_is_writable(&w->map->pmap, w->ready))
			result = vm_fault(w->map, w->ready, VM_PROT_WRITE);
		if (result == KERN_SUCCESS)
			w->ready += PAGE_SIZE;
		/* Each of these pages may be copied, and its tables made. */
		if (most % (VM_PIECE / 2) == 0)
			machine_window();
	}
	return result;
}

/* Writes the next pages. */
static kern_return_t write(struct vm_overwriting *w, unsigned most)
{
	uint64_t done = 0, offset = w->copy->first.page_offset;
	struct vm_entry *entry = &w->copy->first;
	kern_return_t result = KERN_SUCCESS;

	for (; done < w->copy->first.size && most > 0; most--) {
		uint64_t at = w->at + done, n = least(PAGE_SIZE - (at & PAGE_MASK), w->copy->first.size - done);
		uint8_t *page;

		result = writable_page(w->map, at, &page);
		if (result != KERN_SUCCESS)
			break;
		vm_chain_read(&entry, &offset, page + (at & PAGE_MASK), n);
		done += n;
	}
	if (done != 0)
		w->copy = copy_cut(w->copy, done);
	w->at += done;
	return result;
}

kern_return_t vm_overwriting_step(struct vm_overwriting *w, unsigned most)
{
	uint64_t end = w->at + w->copy->first.size;
	kern_return_t result = KERN_SUCCESS;

	if (w->ready >= end)
		return write(w, most);
	if (w->ready == trunc_page(w->at))
		result = vm_range(w->at, w->copy->first.size, &w->ready, &end);
	if (result == KERN_SUCCESS && w->ready == trunc_page(w->at))
		result = vm_map_range_check(w->map, w->ready, end, VM_PROT_WRITE);
	return result == KERN_SUCCESS ? prepare(w, end, most) : result;
}

kern_return_t vm_copy_overwrite(struct vm_map *map, uint64_t address, struct vm_copy *copy)
{
	struct vm_overwriting writing = { .map = map, .at = address, .ready = trunc_page(address), .copy = copy };
	kern_return_t result = KERN_SUCCESS;

	while (result == KERN_SUCCESS && writing.copy != NULL) {
		result = vm_overwriting_step(&writing, VM_PIECE);
		machine_window();
	}
	return result;
}

struct vm_copy *vm_copy_trim(struct vm_copy *copy, uint64_t size)
{
	uint64_t pages = round_page(size) >> PAGE_SHIFT, all;

	if (copy == NULL || size == 0) {
		vm_copy_discard(copy);
		return NULL;
	}
	all = vm_copy_pages(copy);
	assert(copy->first.entries == 1 && copy->first.page_offset == 0 && size <= copy->first.size);
	while (pages < all && !vm_object_free_range(copy->first.object, pages, all, VM_PIECE))
		machine_window();
	copy->first.end -= (all - pages) << PAGE_SHIFT;
	ledger_refund(copy->first.payer, LEDGER_VIRTUAL_PAGES, all - pages);
	copy->first.size = size;
	return copy;
}
