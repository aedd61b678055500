/* SPDX-License-Identifier: BSD-2-Clause */
/* VM objects: pages in a radix tree, copy on write by shadows. Theory in object.c. */
#ifndef VM_OBJECT_H
#define VM_OBJECT_H
#include <stdbool.h>
#include <stdint.h>
#include <weir/queue.h>
#include "kern/assert.h"
#include "mem/page.h"
#include "mem/radix.h"
#include "mem/reap.h"

struct vm_entry;
struct port;

struct vm_object {
	union {               /* pages.h */
		struct radix pages; /* page index -> struct page * */
		struct page *only;  /* of an object of one page; takes the place of pages.root */
	};
	struct ledger *payer; /* of the object, its nodes and its pages: the first entry's ledger */
	uint64_t size_pages;
	uint64_t resident;
	uint32_t refs;    /* entries, shadows, kernel holders */
	bool kernel_held; /* ramdisk: never freed, may be mapped by its port, its payer stays */
	bool merge_due;   /* its `merge` is on the reap list, to merge it with its only user */
	bool gone : 1;    /* has ended while merge_due */
	bool awaited : 1; /* gsync has had threads wait on it: they are to hear of its end */
	uint8_t pinned;   /* an allocation for it is under way: the payer must not move now */
	struct vm_object *shadow;       /* what it is a copy of, NULL: zero fill behind */
	uint64_t shadow_offset;         /* bytes */
	LIST_HEAD(, vm_entry) entries;  /* reverse mapping */
	LIST_HEAD(, vm_object) shadows; /* objects whose shadow this is */
	LIST_ENTRY(vm_object) shadow_link;
	struct port *name_port; /* vm_region's object name; pager port of device_map; NULL: none */
	struct reap reap, merge;
};
#define VM_SHADOW_DEPTH_MAX 16

struct vm_object *vm_object_make(uint64_t size_pages,
				 struct ledger *payer); /* NULL: denied; refs 1 */
/* The same with a page of zeros at index: returns that page, whose owner the object is. */
struct page *vm_object_make_zero(uint64_t size_pages, uint64_t index, struct ledger *payer);
static inline void vm_object_ref(struct vm_object *object)
{
	assert(object->refs > 0);
	object->refs++;
}
void vm_object_release(struct vm_object *object); /* never fails; pages go by reaping */
void vm_object_merge_later(struct vm_object *object);
/* The same where it is not the last. */
static inline void vm_object_leave(struct vm_object *object)
{
	assert(object->refs > 1);
	if (--object->refs == 1 && !LIST_EMPTY(&object->shadows))
		vm_object_merge_later(object);
}
/* A fresh zeroed page at index, charged; NULL: denied. */
struct page *vm_object_page_add(struct vm_object *object, uint64_t index, bool zero);
/* The page of this very object at index, NULL: none. */
struct page *vm_object_page(struct vm_object *object, uint64_t index);
/* The page seen at index of object, in it or in what it shadows; NULL: zero fill. *holder: whose
   page it is. */
struct page *vm_object_visible(struct vm_object *object, uint64_t index, struct vm_object **holder);
/* The first page seen at *index or behind; *index is set to where. NULL: none. */
struct page *vm_object_visible_next(struct vm_object *object, uint64_t *index);
/* The pages of this very object from index, which is in it, to the end of its node (pages.h), NULL where there are none.
   One of that node's must be there. */
struct page *const *vm_object_slots(struct vm_object *object, uint64_t index);
/* Puts the object's own pages of [first, first + count) into those of `pages` that are NULL; returns how many still are. */
unsigned vm_object_gather(struct vm_object *object, uint64_t first, unsigned count, struct page **pages);
/* Takes a page away and frees it. The page must be there and unmapped. */
void vm_object_page_remove(struct vm_object *object, uint64_t index);
/* Frees at most max pages with indexes in [first, last); true: none is left there. */
bool vm_object_free_range(struct vm_object *object, uint64_t first, uint64_t last, unsigned max);
/* Puts fresh, unused `top` above `below`, window at offset (bytes); takes over one reference to
   below. */
void vm_object_set_shadow(struct vm_object *top, struct vm_object *below, uint64_t offset);
/* Number of objects below. At most VM_SHADOW_DEPTH_MAX, except in a moment of merging. */
unsigned vm_object_depth(const struct vm_object *object);
/* Merges objects of the chain that have a single user with that user, at most `budget` pages' worth
   of work. An entry's object may be another afterwards. Optional: stops at a denial. */
void vm_object_collapse(struct vm_object *object, unsigned budget);
/* Copies what is seen of count pages of source from index first into fresh object `to` at 0. False:
   denied (some pages may have been made). Opens windows. */
bool vm_object_copy_visible(struct vm_object *to, struct vm_object *source, uint64_t first,
			    uint64_t count);
/* Moves the charges to the ledger that must pay now, down the chain as far as that changes. After
   any change of the lists of entries and shadows. */
void vm_object_fix_payer(struct vm_object *object);
/* Invariants; panics when broken. O(pages). */
void vm_object_check(struct vm_object *object);
/* Boot: an object out of a module's frames, held by the kernel for ever. */
struct vm_object *vm_object_from_frames(uint64_t physical, uint64_t size_bytes);

#endif
