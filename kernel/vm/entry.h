/* SPDX-License-Identifier: BSD-2-Clause */
/* Map entries: what the files of vm/ share about them. Nobody outside vm/ includes this. */
#ifndef VM_ENTRY_H
#define VM_ENTRY_H
#include "kern/assert.h"
#include "kern/likely.h"
#include "mem/ledger_fast.h"
#include "mem/page.h"
#include "mem/zone.h"
#include "vm/map.h"
#include "vm/object.h"
#include "x86_64/machine.h"

#define VM_PIECE 32 /* pages worked on between two windows */

extern struct zone vm_entry_zone, vm_object_zone;

static inline uint64_t vm_entry_pages(const struct vm_entry *entry)
{
	return (entry->end - entry->start) >> PAGE_SHIFT;
}

/* The page index in entry->object of an address inside the entry. */
static inline uint64_t vm_entry_index(const struct vm_entry *entry, uint64_t address)
{
	return (entry->offset + (address - entry->start)) >> PAGE_SHIFT;
}

/* In loops over many: a window after every VM_PIECE rounds. */
static inline void vm_breathe(uint64_t *rounds)
{
	if (++*rounds % VM_PIECE == 0)
		machine_window();
}

/* An entry of nothing in no map, charged (LEDGER_ENTRIES) to payer; NULL: denied. */
struct vm_entry *vm_entry_make(struct ledger *payer);
/* Gives the element back; it has no object and no pages charged any more. NULL is fine. */
void vm_entry_free(struct vm_entry *entry);
/* vm_entry_make for [start, end), whose pages are charged too (LEDGER_VIRTUAL_PAGES). */
struct vm_entry *vm_entry_make_range(struct ledger *payer, uint64_t start, uint64_t end);
/* Of an element: an entry in no map, which nobody knows yet. The tree and the object set their links themselves, who makes a
   chain what its first entry knows. */
static inline void vm_entry_init(struct vm_entry *entry, struct ledger *payer, uint64_t start, uint64_t end, vm_prot_t protection,
				 vm_prot_t max_protection, vm_inherit_t inheritance)
{
	entry->payer = payer;
	entry->start = start;
	entry->end = end;
	entry->offset = 0;
	entry->object = NULL;
	entry->next = NULL;
	entry->range = 0;
	entry->protection = (uint8_t)protection;
	entry->max_protection = (uint8_t)max_protection;
	entry->inheritance = (uint8_t)inheritance;
	entry->in_map = entry->red = entry->needs_copy = entry->shared = entry->mapped = entry->wired = false;
	entry->unused = 0;
}
/* vm_entry_make_range in line, and with these rights. */
static inline struct vm_entry *vm_entry_new(struct ledger *payer, uint64_t start, uint64_t end, vm_prot_t protection,
					    vm_prot_t max_protection, vm_inherit_t inheritance)
{
	struct vm_entry *entry = zone_alloc(&vm_entry_zone, payer);

	if (unlikely(entry == NULL))
		return NULL;
	if (unlikely(!ledger_charge_quick(payer, LEDGER_VIRTUAL_PAGES, (end - start) >> PAGE_SHIFT, 0))) {
		zone_free(&vm_entry_zone, entry, payer);
		return NULL;
	}
	vm_entry_init(entry, payer, start, end, protection, max_protection, inheritance);
	return entry;
}
/* Gives the entry an object at offset (bytes), taking over one reference. */
void vm_entry_set_object(struct vm_entry *entry, struct vm_object *object, uint64_t offset);
/* The same of a fresh object with the same payer, at offset 0; the entry, which had none, is its only user. */
static inline void vm_entry_set_first(struct vm_entry *entry, struct vm_object *object)
{
	assert(entry->object == NULL && entry->offset == 0 && LIST_EMPTY(&object->entries));
	entry->object = object;
	LIST_INSERT_HEAD(&object->entries, entry, object_link);
}
/* The same of `other`'s object, at offset (bytes), for copy on write; the reference is made here. */
static inline void vm_entry_set_copy(struct vm_entry *entry, struct vm_entry *other, uint64_t offset)
{
	vm_object_ref(other->object);
	entry->object = other->object;
	entry->offset = offset;
	entry->needs_copy = true;
	/* Not in front of the first, who pays. */
	LIST_INSERT_AFTER(other, entry, object_link);
}
/* Gives the reference back; the entry is zero fill then. */
void vm_entry_drop_object(struct vm_entry *entry);
/* Clears `shared` when nobody shares any more; says what is left. */
bool vm_entry_is_shared(struct vm_entry *entry);
/* True: nobody else can see the object's pages in the entry's window, so they go with it. */
bool vm_entry_exclusive(const struct vm_entry *entry);
/* Splits at `at`, strictly inside: entry keeps [start, at), second (fresh from vm_entry_make)
   becomes the rest and is linked into the map. Cannot fail. */
void vm_entry_split(struct vm_entry *entry, uint64_t at, struct vm_entry *second);
/* Joins entry with the one behind when they are pieces of one range and equal. Frees the one
   behind. */
void vm_entry_join_next(struct vm_entry *entry);
/* Joins what can be joined at the edges and inside of [start, end). */
void vm_map_join(struct vm_map *map, uint64_t start, uint64_t end);
/* Makes the entry's object its own to write: makes one when there is none, a shadow when it must be
   copied. False: denied. */
bool vm_entry_own(struct vm_entry *entry);
/* Attaches object `fresh` (offset 0) as the entry's own: in front of what it had if that needs a
   copy. */
void vm_entry_adopt(struct vm_entry *entry, struct vm_object *fresh);
/* Makes the chain below short enough that one more shadow fits: merges, or copies what is seen into
   a fresh object. Not for shared entries. False: denied, nothing seen has changed. */
bool vm_entry_shorten(struct vm_entry *entry);
/* A fresh object with a copy of what is seen in [start, end) of the entry; *object NULL for zero
   fill. False: denied. */
bool vm_entry_copy_pages(struct vm_entry *entry, uint64_t start, uint64_t end, struct ledger *payer,
			 struct vm_object **object);
/* Bounded piece of taking apart an entry that is in no map: true when it is gone. Refunds its
   pages. */
bool vm_entry_dismantle(struct vm_entry *entry, unsigned max_pages);
/* The same to the end, with windows. */
void vm_entry_destroy(struct vm_entry *entry);

/* -- map.c, for the other files -- */
/* Links an entry that the map's ledger pays for in front of `next`, the first one above it (NULL: it is
   the last). */
void vm_map_link(struct vm_map *map, struct vm_entry *entry, struct vm_entry *next);
/* It is in no map then; the same ledger pays. */
void vm_map_unlink(struct vm_entry *entry);
/* A free place: its address, and the entry behind it, NULL: none. */
struct vm_place {
	uint64_t start;
	struct vm_entry *next;
};
/* Lowest address where size bytes fit so that no bit of mask is set; KERN_NO_SPACE. */
kern_return_t vm_map_find_space(struct vm_map *map, uint64_t size, uint64_t mask,
				struct vm_place *place);
/* The same with mask 0, of whole pages. */
kern_return_t vm_map_find_fit(struct vm_map *map, uint64_t size, struct vm_place *place);
/* The entry behind the place that it would find, where that is the last one again, as mostly: the place begins next->gap in front
   of it. NULL: to be looked for. */
static inline struct vm_entry *vm_map_fit_again(const struct vm_map *map, uint64_t size)
{
	struct vm_entry *next = map->found;

	if (unlikely(map->loose != NULL || next == NULL || size >> PAGE_SHIFT < map->found_pages || size > next->gap))
		return NULL;
	return next;
}
static inline kern_return_t vm_map_fit(struct vm_map *map, uint64_t size, struct vm_place *place)
{
	struct vm_entry *next = vm_map_fit_again(map, size);

	if (unlikely(next == NULL))
		return vm_map_find_fit(map, size, place);
	place->next = next;
	place->start = next->start - next->gap;
	return KERN_SUCCESS;
}
/* KERN_NO_SPACE when the size limit forbids `size` more bytes. */
static inline kern_return_t vm_map_size_check(const struct vm_map *map, uint64_t size)
{
	if (unlikely(map->size_bytes > map->size_limit || size > map->size_limit - map->size_bytes))
		return KERN_NO_SPACE;
	return KERN_SUCCESS;
}
/* True: removing [start, end) leaves two pieces of this entry, so one new entry is needed. */
static inline bool vm_entry_makes_hole(const struct vm_entry *entry, uint64_t start, uint64_t end)
{
	return entry->start < start && end < entry->end;
}
/* The pages of exclusive windows in this range are somebody else's now: not to be freed. */
struct vm_kept {
	uint64_t start, end;
};
extern const struct vm_kept vm_kept_none;
/* Removes what is mapped in [start, end). *spare is used (set NULL) for a hole. Never fails. Opens
   windows. */
void vm_map_remove(struct vm_map *map, uint64_t start, uint64_t end, struct vm_entry **spare,
		   const struct vm_kept *kept);
/* Whole range allocated, and with these rights? KERN_INVALID_ADDRESS, KERN_PROTECTION_FAILURE. */
kern_return_t vm_map_range_check(struct vm_map *map, uint64_t start, uint64_t end,
				 vm_prot_t access);
/* The same of a range that is not empty; entry: the one that holds start, NULL: none. */
kern_return_t vm_entry_range_check(struct vm_entry *entry, uint64_t start, uint64_t end,
				   vm_prot_t access);
/* May all of the range be given this protection? KERN_INVALID_ADDRESS, KERN_PROTECTION_FAILURE. */
kern_return_t vm_map_protect_check(struct vm_map *map, uint64_t start, uint64_t end, vm_prot_t protection);
/* Rounds to pages; KERN_INVALID_ADDRESS: wraps or passes the end of user space. */
kern_return_t vm_range(uint64_t address, uint64_t size, uint64_t *start, uint64_t *end);
/* Spares for cutting [start, end) out of the entries at its edges: up to two. False: denied, none
   is left. */
bool vm_map_clip_reserve(struct vm_map *map, uint64_t start, uint64_t end,
			 struct vm_entry *spare[2]);
/* Splits at start and end where needed, with the spares. */
void vm_map_clip(struct vm_map *map, uint64_t start, uint64_t end, struct vm_entry *spare[2]);
/* All of pmap_remove and pmap_restrict for the entry's [start, end), with windows in between; nothing
   when it is not mapped. */
void vm_entry_unmap_mapped(struct vm_entry *entry, uint64_t start, uint64_t end);
static inline void vm_entry_unmap(struct vm_entry *entry, uint64_t start, uint64_t end)
{
	if (entry->mapped)
		vm_entry_unmap_mapped(entry, start, end);
}
void vm_entry_restrict(struct vm_entry *entry, uint64_t start, uint64_t end, vm_prot_t allowed);
/* If the object that the entry at this address is to copy from has no users but pieces of the entry's own range, which do
   not overlap, nobody needs the copy: they are one again. */
void vm_copy_unmark(struct vm_map *map, uint64_t address);
/* Copies some `most` of the pages seen from *next on in `from` into `to`, which covers the same addresses and has a fresh
   object; *next moves on, to the end of one of the two when no page is left. KERN_RESOURCE_SHORTAGE: denied.
   (copy_piece.c) */
kern_return_t vm_fill_some(const struct vm_entry *from, uint64_t *next, struct vm_entry *to, unsigned most);
/* Reads on from the byte at *offset of *entry, one of a copy's; both move on. (copy.c) */
void vm_chain_read(struct vm_entry **entry, uint64_t *offset, void *to, uint64_t size);
/* Reads what is seen in an allocated range, without faults: cannot fail. */
void vm_map_peek(struct vm_map *map, uint64_t from, void *to, uint64_t size);
/* Reads size bytes at offset (bytes) of what is seen of an object; NULL: zeros. */
void vm_object_peek(struct vm_object *object, uint64_t offset, void *to, uint64_t size);
/* The object's name port, made at the first call (charged to the object's payer); *name NULL for no
   object. The send right is the caller's. KERN_RESOURCE_SHORTAGE. (vm_server.c) */
kern_return_t vm_object_name(struct vm_object *object, struct port **name);
/* In debug builds, when the map is small: vm_map_check. */
#ifdef NDEBUG
static inline void vm_map_debug_check(struct vm_map *map)
{
	(void)map;
}
#else
static inline void vm_map_debug_check(struct vm_map *map)
{
	if (map->entry_count < 32)
		vm_map_check(map);
}
#endif

#endif
