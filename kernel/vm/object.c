/* SPDX-License-Identifier: BSD-2-Clause */
/* VM objects: pages in a radix tree (pages.h), copy on write by shadows.

   The picture. A map entry looks through a window (offset, length) into an object; a shadow object
   looks through a window into the object that it shadows. A page is looked for in the entry's
   object, then down the chain; nothing at the bottom means zeros. Writes go to the entry's own
   object only.

   Invariants

    - refs counts the entries and shadows on the object's lists, and kernel holders.

    - For each page index, either all who see it only read it (entries with needs_copy, shadows,
      read-only mappings of the kernel's objects): it is frozen; or one entry alone sees it
      (neither needs_copy nor shared: exclusive); or it is seen by `shared` entries, which map
      the pages of this very object only, none from below. So an exclusive window's pages go with
      it, and a write that hides a page below concerns nobody but who makes it.

    - A chain is at most VM_SHADOW_DEPTH_MAX long below its top: whoever shares an object for
      copy on write shortens it first (vm_entry_shorten), by merging objects that have one user,
      or by copying.

    - The payer of the object, its nodes, its pages and its name's port is the ledger of the first entry on its
      list, or else the payer of its first shadow, or else whoever was. It moves in one step
      (vm_object_fix_payer), never while an allocation for the object is under way (pinned):
      memory pressure works off the reap list, which may change lists of entries.

   Merging (Mach's collapse): an object with one user, a shadow, is merged with it by moving pages,
   up or down, what is less; in pieces, as each step leaves what is seen unchanged. See Rashid et
   al., "Machine-Independent Virtual Memory Management for Paged Uniprocessor and Multiprocessor
   Architectures", ASPLOS 1987, for shadows. The merging itself is in collapse.c. */
#include "vm/object.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/string.h"
#include "vm/entry.h"
#include "vm/pages.h"
#include "vm/shadow.h"
#include "vm/upcalls.h"
#include "x86_64/machine.h"

struct zone vm_object_zone;

struct vm_object *vm_object_make(uint64_t size_pages, struct ledger *payer)
{
	struct vm_object *object = zone_alloc(&vm_object_zone, payer);

	if (object == NULL)
		return NULL;
	radix_init(&object->pages, payer);
	object->payer = payer;
	object->size_pages = size_pages;
	object->resident = 0;
	object->refs = 1;
	object->kernel_held = object->merge_due = object->gone = object->awaited = false;
	object->pinned = 0;
	object->shadow = NULL;
	object->shadow_offset = 0;
	LIST_INIT(&object->entries);
	LIST_INIT(&object->shadows);
	object->name_port = NULL;
	return object;
}

static inline struct ledger *object_due_payer(struct vm_object *object)
{
	struct vm_entry *entry = LIST_FIRST(&object->entries);
	struct vm_object *shadow = LIST_FIRST(&object->shadows);

	if (object->kernel_held)
		return object->payer;
	if (entry != NULL)
		return vm_entry_payer(entry);
	return shadow != NULL ? shadow->payer : object->payer;
}

void vm_object_fix_payer(struct vm_object *object)
{
	for (; object != NULL; object = object->shadow) {
		struct ledger *from = object->payer, *to = object_due_payer(object);

		if (from == to || object->pinned)
			return;
		object->payer = to;
		/* The object's own charge goes last: it keeps `from` alive. */
		if (object->resident != 0)
			ledger_move(from, to, LEDGER_RESIDENT_PAGES, object->resident);
		radix_move_payer(&object->pages, to);
		if (object->name_port != NULL)
			vm_name_port_pay(object);
		ledger_move(from, to, LEDGER_OBJECTS, 1);
	}
}

static void object_pin(struct vm_object *object)
{
	object->pinned++;
}

static void object_unpin(struct vm_object *object)
{
	assert(object->pinned > 0);
	if (--object->pinned == 0 && object_due_payer(object) != object->payer)
		vm_object_fix_payer(object);
}

bool vm_object_reserve(struct vm_object *object, uint64_t index)
{
	bool reserved;

	object_pin(object);
	reserved = vm_pages_reserve(object, index);
	object_unpin(object);
	return reserved;
}

/* The payer does not move meanwhile. */
static inline struct page *page_add(struct vm_object *object, uint64_t index, bool zero)
{
	struct page *page;

	assert(index < object->size_pages);
	if (!vm_pages_reserve(object, index))
		return NULL;
	page = frame_alloc_at(object->payer, zero, ALLOC_SITE());
	if (unlikely(page == NULL)) {
		vm_pages_unreserve(object, index);
		return NULL;
	}
	page->owner = object;
	page->offset = index;
	vm_pages_insert(object, index, page);
	object->resident++;
	return page;
}

struct page *vm_object_page_add(struct vm_object *object, uint64_t index, bool zero)
{
	struct page *page;

	object_pin(object);
	page = page_add(object, index, zero);
	object_unpin(object);
	return page;
}

struct page *vm_object_make_zero(uint64_t size_pages, uint64_t index, struct ledger *payer)
{
	struct vm_object *object = vm_object_make(size_pages, payer);
	struct page *page;

	if (unlikely(object == NULL))
		return NULL;
	/* It is on no list, and nobody on its own, so that it need not be pinned. */
	page = page_add(object, index, true);
	if (unlikely(page == NULL))
		vm_object_release(object);
	return page;
}

struct page *vm_object_page(struct vm_object *object, uint64_t index)
{
	return vm_pages_lookup(object, index);
}

struct page *vm_object_visible(struct vm_object *object, uint64_t index, struct vm_object **holder)
{
	for (; object != NULL; object = object->shadow) {
		struct page *page = vm_pages_lookup(object, index);

		*holder = object;
		if (page != NULL)
			return page;
		index += object->shadow_offset >> PAGE_SHIFT;
	}
	*holder = NULL;
	return NULL;
}

struct page *vm_object_visible_next(struct vm_object *object, uint64_t *index)
{
	uint64_t first = *index, offset = 0;
	struct page *found = NULL;

	for (; object != NULL; object = object->shadow) {
		uint64_t key = first + offset;
		struct page *page = vm_pages_next(object, &key);

		if (page != NULL && (found == NULL || key - offset < *index)) {
			found = page;
			*index = key - offset;
		}
		offset += object->shadow_offset >> PAGE_SHIFT;
	}
	return found;
}

struct page *const *vm_object_slots(struct vm_object *object, uint64_t index)
{
	if (object->size_pages == 1)
		return &object->only;
	return (struct page *const *)&radix_leaf_of(&object->pages, index)->slot[radix_slot_of(index, 0)];
}

/* The same of one node's slots; NULL: there is no node. */
static unsigned gather_slots(void *const *slots, unsigned count, struct page **pages)
{
	unsigned missing = 0;

	for (unsigned i = 0; i < count; i++) {
		if (pages[i] == NULL && slots != NULL)
			pages[i] = slots[i];
		missing += pages[i] == NULL;
	}
	return missing;
}

unsigned vm_object_gather(struct vm_object *object, uint64_t first, unsigned count, struct page **pages)
{
	unsigned missing = 0, done = 0;

	if (object->size_pages == 1)
		return gather_slots((void *const *)&object->only, count, pages);
	while (done < count) {
		unsigned slot = radix_slot_of(first + done, 0), n = RADIX_SLOTS - slot;
		struct radix_node *leaf = radix_leaf_of(&object->pages, first + done);

		if (n > count - done)
			n = count - done;
		missing += gather_slots(leaf != NULL ? &leaf->slot[slot] : NULL, n, pages + done);
		done += n;
	}
	return missing;
}

void vm_object_page_remove(struct vm_object *object, uint64_t index)
{
	struct page *page = vm_pages_remove(object, index);

	assert(page != NULL && page->owner == object);
	object->resident--;
	frame_free(page, object->payer);
}

bool vm_object_free_range(struct vm_object *object, uint64_t first, uint64_t last, unsigned max)
{
	for (;;) {
		uint64_t key = first;

		if (object->resident == 0 || vm_pages_next(object, &key) == NULL ||
		    key >= last)
			return true;
		if (max-- == 0)
			return false;
		vm_object_page_remove(object, key);
		first = key + 1;
	}
}

static inline void object_free(struct vm_object *object)
{
	assert(object->resident == 0 && object->shadow == NULL);
	assert(LIST_EMPTY(&object->entries) && LIST_EMPTY(&object->shadows));
	if (object->name_port != NULL)
		vm_name_port_destroy(object->name_port);
	object->name_port = NULL;
	if (object->awaited)
		vm_waiters_wake(object);
	object->awaited = false;
	/* The reap list still leads here; all but the structure is gone. */
	if (object->merge_due) {
		object->gone = true;
		return;
	}
	zone_free(&vm_object_zone, object, object->payer);
}

static bool object_reap_step(struct reap *item)
{
	struct vm_object *object =
		(struct vm_object *)((char *)item - __builtin_offsetof(struct vm_object, reap));

	if (!vm_object_free_range(object, 0, UINT64_MAX, VM_PIECE))
		return false;
	object_free(object);
	return true;
}

struct vm_object *vm_object_leave_shadow(struct vm_object *object)
{
	struct vm_object *below = object->shadow;

	if (below == NULL)
		return NULL;
	LIST_REMOVE(object, shadow_link);
	object->shadow = NULL;
	object->shadow_offset = 0;
	vm_object_fix_payer(below);
	return below;
}

static bool object_merge_step(struct reap *item)
{
	struct vm_object *object =
		(struct vm_object *)((char *)item - __builtin_offsetof(struct vm_object, merge));
	struct vm_object *top = LIST_FIRST(&object->shadows);

	object->merge_due = false;
	if (object->gone)
		object_free(object);
	else if (object->refs == 1 && top != NULL)
		vm_object_collapse(top, UINT32_MAX);
	return true;
}

/* Its last user but a shadow has gone: what the shadow hides would be held for nobody. */
void vm_object_merge_later(struct vm_object *object)
{
	if (object->kernel_held || object->merge_due)
		return;
	object->merge_due = true;
	reap_defer_live(&object->merge, object_merge_step);
}

/* Nobody uses it any more: one of a page or none, which nothing else leads to. */
static inline bool object_is_plain(const struct vm_object *object)
{
	return object->shadow == NULL && object->size_pages == 1 && object->name_port == NULL && !object->awaited &&
	       !object->merge_due;
}

static inline void object_end_plain(struct vm_object *object)
{
	assert(!object->kernel_held && LIST_EMPTY(&object->entries) && LIST_EMPTY(&object->shadows));
	assert((object->only != NULL) == (object->resident == 1));
	if (object->only != NULL)
		frame_free(object->only, object->payer);
	zone_free(&vm_object_zone, object, object->payer);
}

/* Nobody uses it any more. Returns the object that it was a shadow of. */
static __attribute__((noinline)) struct vm_object *object_end(struct vm_object *object)
{
	struct vm_object *below = vm_object_leave_shadow(object);

	assert(!object->kernel_held);
	if (object->resident > VM_PIECE) {
		reap_defer(&object->reap, object_reap_step);
		return below;
	}
	if (object->size_pages == 1 && object->resident != 0)
		vm_object_page_remove(object, 0);
	else if (object->resident != 0)
		vm_object_free_range(object, 0, UINT64_MAX, VM_PIECE);
	object_free(object);
	return below;
}

void vm_object_release(struct vm_object *object)
{
	for (; object != NULL; object = object_end(object)) {
		assert(object->refs > 0);
		if (object->refs > 1) {
			vm_object_leave(object);
			return;
		}
		object->refs = 0;
		if (object_is_plain(object)) {
			object_end_plain(object);
			return;
		}
	}
}

void vm_object_set_shadow(struct vm_object *top, struct vm_object *below, uint64_t offset)
{
	struct vm_object *first = LIST_FIRST(&below->shadows);

	assert(top->shadow == NULL);
	assert((offset >> PAGE_SHIFT) + top->size_pages <= below->size_pages);
	top->shadow = below;
	top->shadow_offset = offset;
	if (first != NULL)
		LIST_INSERT_AFTER(first, top, shadow_link);
	else
		LIST_INSERT_HEAD(&below->shadows, top, shadow_link);
	vm_object_fix_payer(below);
}

unsigned vm_object_depth(const struct vm_object *object)
{
	unsigned depth = 0;

	for (; object->shadow != NULL; object = object->shadow)
		depth++;
	return depth;
}

bool vm_object_copy_visible(struct vm_object *to, struct vm_object *source, uint64_t first,
			    uint64_t count)
{
	uint64_t base = first, done = 0;

	for (; source != NULL; source = source->shadow) {
		struct page *page, *copy;

		for (uint64_t key = base;
		     (page = vm_pages_next(source, &key)) != NULL && key - base < count;
		     key++) {
			if (vm_object_page(to, key - base) != NULL)
				continue;
			copy = vm_object_page_add(to, key - base, false);
			if (copy == NULL)
				return false;
			machine_page_copy(page_address(copy), page_address(page));
			if (++done % VM_PIECE == 0)
				machine_window();
		}
		base += source->shadow_offset >> PAGE_SHIFT;
	}
	return true;
}

struct vm_object *vm_object_from_frames(uint64_t physical, uint64_t size_bytes)
{
	uint64_t pages = (size_bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
	struct vm_object *object = vm_object_make(pages, &root_ledger);

	assert((physical & (PAGE_SIZE - 1)) == 0);
	if (object == NULL)
		return NULL;
	object->kernel_held = true;
	for (uint64_t i = 0; i < pages; i++) {
		struct page *page = page_of_frame((physical >> PAGE_SHIFT) + i);

		if (!vm_pages_reserve(object, i))
			goto denied;
		frame_adopt(page, &root_ledger);
		page->owner = object;
		page->offset = i;
		vm_pages_insert(object, i, page);
		object->resident++;
	}
	/* What is behind the last byte must not be seen. */
	if (size_bytes % PAGE_SIZE != 0)
		memset((char *)phys_to_virt(physical) + size_bytes, 0,
		       pages * PAGE_SIZE - size_bytes);
	return object;
denied:
	object->kernel_held = false;
	vm_object_release(object);
	return NULL;
}

void vm_object_check(struct vm_object *object)
{
	struct vm_entry *entry;
	struct vm_object *shadow;
	struct page *page;
	uint64_t found = 0, users = object->kernel_held;

	assert(object->refs > 0 && object->pages.payer == object->payer && object->pinned == 0);
	for (uint64_t key = 0; (page = vm_pages_next(object, &key)) != NULL; key++) {
		assert(page->owner == object && page->offset == key && page->kind == PAGE_USER);
		assert(key < object->size_pages);
		found++;
	}
	assert(found == object->resident);
	LIST_FOREACH (entry, &object->entries, object_link) {
		assert(entry->object == object);
		assert((entry->offset >> PAGE_SHIFT) + vm_entry_pages(entry) <= object->size_pages);
		users++;
	}
	LIST_FOREACH (shadow, &object->shadows, shadow_link) {
		assert(shadow->shadow == object);
		users++;
	}
	assert(users <= object->refs);
	assert(object_due_payer(object) == object->payer);
	assert(vm_object_depth(object) <= VM_SHADOW_DEPTH_MAX);
}
