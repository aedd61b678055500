/* SPDX-License-Identifier: BSD-2-Clause */
/* Inheritance: a child's map made from its parent's (manual, vm_inherit). Costs an entry each, and
   no page but where memory is wired or shared and yet to be copied, or a chain of shadows has
   become too long. */
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

static bool fork_copy(struct vm_entry *entry, struct vm_entry *child)
{
	struct vm_object *pages;

	if (entry->object == NULL)
		return true;
	if (vm_entry_is_shared(entry) || entry->wired) {
		if (!vm_entry_copy_pages(entry, entry->start, entry->end, vm_entry_payer(child), &pages))
			return false;
		vm_entry_set_object(child, pages, 0);
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

static kern_return_t fork_entry(struct vm_entry *entry, struct vm_map *map)
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
						      : fork_copy(entry, child);
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

/* The child is denied: it goes at once, so that what was marked for copying and sharing can be as it was. Entries up to
   the one at `last` were. */
static void fork_undo(struct vm_map *parent, struct vm_map *child, uint64_t last)
{
	struct vm_entry *entry = vm_map_lookup_next(parent, 0);
	uint64_t rounds = 0;

	while (!vm_map_dismantle(child))
		machine_window();
	while (entry != NULL && entry->start <= last) {
		uint64_t start = entry->start, end = entry->end;

		if (entry->shared && !vm_entry_is_shared(entry))
			share_undo(entry);
		vm_copy_unmark(parent, start);
		entry = vm_map_lookup_next(parent, end);
		vm_breathe(&rounds);
	}
	vm_map_debug_check(parent);
}

kern_return_t vm_map_fork(struct vm_map *parent, struct vm_map *child)
{
	struct vm_entry *entry = vm_map_lookup_next(parent, 0);

	assert(child->entry_count == 0);
	child->size_limit = parent->size_limit;
	child->size_limit_max = parent->size_limit_max;
	child->next_range = parent->next_range;
	for (; entry != NULL; entry = vm_map_next(entry)) {
		kern_return_t result;

		if (entry->inheritance == VM_INHERIT_NONE)
			continue;
		result = fork_entry(entry, child);
		if (result != KERN_SUCCESS) {
			fork_undo(parent, child, entry->start);
			return result;
		}
		machine_window();
	}
	vm_map_debug_check(parent);
	vm_map_debug_check(child);
	return KERN_SUCCESS;
}
