/* SPDX-License-Identifier: BSD-2-Clause */
/* Map entries: made, split, joined, taken apart; and how they come by an object of their own. */
#include "vm/entry.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/audit.h"
#include "mem/ledger_fast.h"
#include "vm/object.h"
#include "vm/tree.h"
#include "vm/upcalls.h"
#include "x86_64/machine.h"

struct zone vm_entry_zone;
struct vm_counters vm_counters;

_Static_assert(sizeof(struct vm_entry) == 104, "a map entry");

static struct ledger *entry_payer(const void *element)
{
	return vm_entry_payer(element);
}

static struct ledger *object_payer(const void *element)
{
	return ((const struct vm_object *)element)->payer;
}

static struct ledger *frame_payer(const struct page *page)
{
	return ((const struct vm_object *)page->owner)->payer;
}

static uint64_t entry_virtual_pages(const void *element)
{
	return vm_entry_pages(element);
}

void vm_init(void)
{
	audit_hooks.page_user_payer = frame_payer;
	audit_hooks.entry_virtual_pages = entry_virtual_pages;
	zone_init_aligned(&vm_entry_zone, "vm_entry", sizeof(struct vm_entry), 8, LEDGER_ENTRIES,
			  entry_payer);
	zone_init(&vm_object_zone, "vm_object", sizeof(struct vm_object), LEDGER_OBJECTS,
		  object_payer);
}

struct vm_entry *vm_entry_make(struct ledger *payer)
{
	struct vm_entry *entry = zone_alloc(&vm_entry_zone, payer);

	if (entry != NULL)
		vm_entry_init(entry, payer, 0, 0, VM_PROT_NONE, VM_PROT_NONE, VM_INHERIT_SHARE);
	return entry;
}

struct vm_entry *vm_entry_make_range(struct ledger *payer, uint64_t start, uint64_t end)
{
	return vm_entry_new(payer, start, end, VM_PROT_NONE, VM_PROT_NONE, VM_INHERIT_SHARE);
}

void vm_entry_free(struct vm_entry *entry)
{
	if (entry == NULL)
		return;
	assert(entry->object == NULL);
	assert(!entry->in_map);
	zone_free(&vm_entry_zone, entry, entry->payer);
}

void vm_entry_set_object(struct vm_entry *entry, struct vm_object *object, uint64_t offset)
{
	struct vm_entry *first = LIST_FIRST(&object->entries);

	entry->object = object;
	entry->offset = offset;
	/* The first pays, so the new one comes behind it. */
	if (first != NULL) {
		LIST_INSERT_AFTER(first, entry, object_link);
		return;
	}
	LIST_INSERT_HEAD(&object->entries, entry, object_link);
	if (object->payer != vm_entry_payer(entry))
		vm_object_fix_payer(object);
}

/* The object is the entry's no more; what the entry says of it is left. */
static inline void leave_object(struct vm_entry *entry, struct vm_object *object)
{
	bool paid = LIST_FIRST(&object->entries) == entry;

	LIST_REMOVE(entry, object_link);
	if (object->refs == 1) {
		vm_object_release(object);
		return;
	}
	if (paid)
		vm_object_fix_payer(object);
	vm_object_leave(object);
}

void vm_entry_drop_object(struct vm_entry *entry)
{
	struct vm_object *object = entry->object;

	if (object == NULL)
		return;
	entry->object = NULL;
	entry->offset = 0;
	entry->needs_copy = false;
	entry->shared = false;
	leave_object(entry, object);
}

bool vm_entry_is_shared(struct vm_entry *entry)
{
	if (!entry->shared || entry->object->refs > 1 || entry->object->kernel_held)
		return entry->shared;
	entry->shared = false;
	if (entry->inheritance != VM_INHERIT_SHARE && entry->object->awaited)
		vm_waiters_wake(entry->object);
	return false;
}

bool vm_entry_exclusive(const struct vm_entry *entry)
{
	if (entry->object == NULL || entry->object->kernel_held)
		return false;
	return (!entry->needs_copy && !entry->shared) || entry->object->refs == 1;
}

void vm_entry_split(struct vm_entry *entry, uint64_t at, struct vm_entry *second)
{
	struct vm_map *map = entry->map;
	struct vm_entry *next = vm_map_next(entry);

	assert(entry->start < at && at < entry->end && second->payer == map->pmap.payer);
	*second = *entry;
	second->in_map = false;
	second->payer = map->pmap.payer;
	second->start = at;
	if (entry->object != NULL) {
		vm_object_ref(entry->object);
		vm_entry_set_object(second, entry->object, entry->offset + (at - entry->start));
	}
	entry->end = at;
	vm_tree_moved(entry);
	vm_map_link(map, second, next);
}

static bool entry_joins(const struct vm_entry *a, const struct vm_entry *b)
{
	if (b == NULL || a->range != b->range || a->end != b->start || a->object != b->object)
		return false;
	if (a->object != NULL && a->offset + (a->end - a->start) != b->offset)
		return false;
	return a->protection == b->protection && a->max_protection == b->max_protection &&
	       a->inheritance == b->inheritance && a->needs_copy == b->needs_copy &&
	       a->shared == b->shared && a->wired == b->wired;
}

void vm_entry_join_next(struct vm_entry *entry)
{
	struct vm_entry *next = vm_map_next(entry);

	if (!entry_joins(entry, next))
		return;
	vm_map_unlink(next);
	entry->end = next->end;
	entry->mapped |= next->mapped;
	vm_tree_moved(entry);
	vm_entry_drop_object(next);
	vm_entry_free(next);
}

void vm_entry_adopt(struct vm_entry *entry, struct vm_object *fresh)
{
	struct vm_object *old = entry->object;

	assert(fresh->size_pages == vm_entry_pages(entry));
	if (old == NULL) {
		vm_entry_set_object(entry, fresh, 0);
		return;
	}
	LIST_REMOVE(entry, object_link);
	/* Takes the entry's reference to old over. */
	vm_object_set_shadow(fresh, old, entry->offset);
	vm_entry_set_object(entry, fresh, 0);
	vm_object_fix_payer(old);
	entry->needs_copy = false;
	/* Who waits on a word of it that could only be read so far has to do so on the fresh one. */
	if (old->awaited)
		vm_waiters_wake(old);
}

bool vm_entry_own(struct vm_entry *entry)
{
	struct vm_object *fresh;

	if (entry->object != NULL && !entry->needs_copy)
		return true;
	if (entry->object != NULL && entry->object->refs == 1) {
		entry->needs_copy = false;
		return true;
	}
	fresh = vm_object_make(vm_entry_pages(entry), vm_entry_payer(entry));
	if (fresh == NULL)
		return false;
	vm_entry_adopt(entry, fresh);
	return true;
}

bool vm_entry_copy_pages(struct vm_entry *entry, uint64_t start, uint64_t end, struct ledger *payer,
			 struct vm_object **object)
{
	uint64_t count = (end - start) >> PAGE_SHIFT;

	*object = NULL;
	if (entry->object == NULL)
		return true;
	*object = vm_object_make(count, payer);
	if (*object == NULL)
		return false;
	if (vm_object_copy_visible(*object, entry->object, vm_entry_index(entry, start), count))
		return true;
	vm_object_release(*object);
	*object = NULL;
	return false;
}

bool vm_entry_shorten(struct vm_entry *entry)
{
	struct vm_object *flat;

	assert(!entry->shared);
	if (entry->object == NULL || vm_object_depth(entry->object) < VM_SHADOW_DEPTH_MAX)
		return true;
	vm_object_collapse(entry->object, UINT32_MAX);
	if (vm_object_depth(entry->object) < VM_SHADOW_DEPTH_MAX)
		return true;
	if (!vm_entry_copy_pages(entry, entry->start, entry->end, vm_entry_payer(entry), &flat))
		return false;
	if (entry->in_map)
		vm_entry_unmap(entry, entry->start, entry->end);
	vm_entry_drop_object(entry);
	vm_entry_set_object(entry, flat, 0);
	return true;
}

/* At most so many pages of an exclusive window; true: none is left. */
static __attribute__((noinline)) bool free_window(struct vm_entry *entry, unsigned max_pages)
{
	uint64_t first = entry->offset >> PAGE_SHIFT;

	return vm_object_free_range(entry->object, first, first + vm_entry_pages(entry), max_pages);
}

/* It has left its object. */
static inline void entry_end(struct vm_entry *entry)
{
	assert(!entry->in_map);
	ledger_refund_quick(entry->payer, LEDGER_VIRTUAL_PAGES, vm_entry_pages(entry), 0);
	zone_free(&vm_entry_zone, entry, entry->payer);
}

bool vm_entry_dismantle(struct vm_entry *entry, unsigned max_pages)
{
	struct vm_object *object = entry->object;

	if (object != NULL) {
		/* The pages of a whole object go with it; those of an exclusive window go here. */
		if (object->refs > 1 && vm_entry_exclusive(entry) && !free_window(entry, max_pages))
			return false;
		leave_object(entry, object);
	}
	entry_end(entry);
	return true;
}

static __attribute__((noinline)) void destroy_pieces(struct vm_entry *entry)
{
	while (!vm_entry_dismantle(entry, VM_PIECE))
		machine_window();
}

/* Of an object's only user. */
static __attribute__((noinline)) void destroy_last(struct vm_entry *entry, struct vm_object *object)
{
	LIST_REMOVE(entry, object_link);
	vm_object_release(object);
	entry_end(entry);
}

/* The calls are all tail calls, so that the usual ways save no registers. */
void vm_entry_destroy(struct vm_entry *entry)
{
	struct vm_object *object = entry->object;

	if (object != NULL) {
		if (object->refs == 1) {
			destroy_last(entry, object);
			return;
		}
		/* Pages may be its alone, it may be who pays, or the last user but a shadow. */
		if (!entry->needs_copy || LIST_FIRST(&object->entries) == entry || !LIST_EMPTY(&object->shadows)) {
			destroy_pieces(entry);
			return;
		}
		LIST_REMOVE(entry, object_link);
		object->refs--;
	}
	entry_end(entry);
}
