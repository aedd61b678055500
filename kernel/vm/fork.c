/* SPDX-License-Identifier: BSD-2-Clause */
/* Inheritance: a child's map made from its parent's (manual, vm_inherit). Costs an entry each, and
   no page but where memory is wired or shared and yet to be copied, or a chain of shadows has
   become too long. In steps, from an address on: whatever is mapped there then. */
#include "kern/assert.h"
#include "vm/entry.h"
#include "vm/map.h"
#include "x86_64/machine.h"

/* From now on the entry maps its own object's pages only (object.c). What is wired is copied, as far as it lies
   below; other pages are faulted in again. False: denied. */
static bool share_begin(struct vm_entry *entry)
{
	uint64_t rounds = 0;

	if (entry->shared)
		return true;
	entry->shared = true;
	if (entry->object->shadow == NULL)
		return true;
	if (!entry->wired)
		vm_entry_unmap(entry, entry->start, entry->end);
	for (uint64_t at = entry->start; entry->wired && at < entry->end; at += PAGE_SIZE) {
		if (vm_fault(entry->map, at, VM_PROT_READ) == KERN_RESOURCE_SHORTAGE) {
			entry->shared = false;
			return false;
		}
		vm_breathe(&rounds);
	}
	return true;
}

/* Both go on with one object. */
static bool fork_share(struct vm_entry *entry, struct vm_entry *child)
{
	if (!vm_entry_own(entry) || !share_begin(entry))
		return false;
	child->shared = true;
	vm_object_ref(entry->object);
	vm_entry_set_object(child, entry->object, entry->offset);
	return true;
}

/* *fills: its pages are still to be copied. */
static bool fork_copy(struct vm_entry *entry, struct vm_entry *child, bool *fills)
{
	struct vm_object *pages;

	if (entry->object == NULL)
		return true;
	if (vm_entry_is_shared(entry) || entry->wired) {
		pages = vm_object_make(vm_entry_pages(child), vm_entry_payer(child));
		if (pages == NULL)
			return false;
		vm_entry_set_object(child, pages, 0);
		*fills = true;
		return true;
	}
	if (!entry->needs_copy) {
		if (!vm_entry_shorten(entry))
			return false;
		entry->needs_copy = true;
		vm_entry_restrict(entry, entry->start, entry->end,
				  VM_PROT_READ | VM_PROT_EXECUTE);
	}
	child->needs_copy = true;
	vm_object_ref(entry->object);
	vm_entry_set_object(child, entry->object, entry->offset);
	return true;
}

static kern_return_t fork_entry(struct vm_entry *entry, struct vm_map *map, bool *fills)
{
	struct vm_entry *child = vm_entry_make_range(map->pmap.payer, entry->start, entry->end);
	bool made;

	if (child == NULL)
		return KERN_RESOURCE_SHORTAGE;
	child->protection = entry->protection;
	child->max_protection = entry->max_protection;
	child->inheritance = entry->inheritance;
	child->range = entry->range;
	made = entry->inheritance == VM_INHERIT_SHARE ? fork_share(entry, child)
						      : fork_copy(entry, child, fills);
	if (!made) {
		vm_entry_destroy(child);
		return KERN_RESOURCE_SHORTAGE;
	}
	if (child->max_protection != VM_PROT_NONE)
		map->size_bytes += child->end - child->start;
	vm_map_link(map, child, NULL);
	return KERN_SUCCESS;
}

/* A shared entry that nobody shares after all, with an object that holds nothing: that was made for it, or does not matter. */
static void share_undo(struct vm_entry *entry)
{
	struct vm_object *object = entry->object, *below = object->shadow;
	uint64_t offset = object->shadow_offset + entry->offset;

	if (object->resident != 0 || object->name_port != NULL || object->refs > 1 || object->kernel_held)
		return;
	if (below != NULL)
		vm_object_ref(below);
	vm_entry_drop_object(entry);
	if (below == NULL) {
		entry->mapped = false;
		return;
	}
	vm_entry_set_object(entry, below, offset);
	entry->needs_copy = true;
}

bool vm_map_fork_undo(struct vm_map *parent, struct vm_map *child, uint64_t *at, uint64_t last, unsigned most)
{
	struct vm_entry *entry;

	if (*at == 0 && !vm_map_dismantle(child))
		return false;
	entry = vm_map_lookup_next(parent, *at);
	for (; entry != NULL && entry->start <= last && most > 0; most--) {
		uint64_t start = entry->start, end = entry->end;

		if (entry->shared && !vm_entry_is_shared(entry))
			share_undo(entry);
		vm_copy_unmark(parent, start);
		*at = end;
		entry = vm_map_lookup_next(parent, end);
	}
	vm_map_debug_check(parent);
	return entry == NULL || entry->start > last;
}

/* What the next entry, or the pages of one that is being copied, come to. */
static kern_return_t fork_next(struct vm_map *child, struct vm_entry *entry, uint64_t *at, unsigned *most)
{
	/* The one linked last. */
	struct vm_entry *filled = child->loose != NULL ? child->loose : child->last;
	kern_return_t result = KERN_SUCCESS;
	bool fills = false;

	if (filled != NULL && filled->end > *at) {
		/* What is not there any more need not be copied. */
		if (entry->start > *at)
			*at = entry->start < filled->end ? entry->start : filled->end;
		else
			result = vm_fill_some(entry, at, filled, *most);
		*most = 0;
		return result;
	}
	if (entry->inheritance != VM_INHERIT_NONE)
		result = fork_entry(entry, child, &fills);
	*at = fills || result != KERN_SUCCESS ? entry->start : entry->end;
	*most -= 1;
	return result;
}

kern_return_t vm_map_fork_some(struct vm_map *parent, struct vm_map *child, uint64_t *at, unsigned most)
{
	struct vm_entry *entry = NULL;
	kern_return_t result;

	if (*at == 0) {
		assert(child->entry_count == 0);
		child->size_limit = parent->size_limit;
		child->size_limit_max = parent->size_limit_max;
	}
	child->next_range = parent->next_range;
	while (most > 0 && (entry = vm_map_lookup_next(parent, *at)) != NULL) {
		result = fork_next(child, entry, at, &most);
		if (result != KERN_SUCCESS)
			return result;
		machine_window();
	}
	if (entry == NULL)
		*at = UINT64_MAX;
	return KERN_SUCCESS;
}

kern_return_t vm_map_fork(struct vm_map *parent, struct vm_map *child)
{
	kern_return_t result = KERN_SUCCESS;
	uint64_t at = 0, undone = 0;

	while (at != UINT64_MAX && result == KERN_SUCCESS)
		result = vm_map_fork_some(parent, child, &at, VM_PIECE);
	while (result != KERN_SUCCESS && !vm_map_fork_undo(parent, child, &undone, at, VM_PIECE))
		machine_window();
	if (result == KERN_SUCCESS)
		vm_map_debug_check(child);
	vm_map_debug_check(parent);
	return result;
}
