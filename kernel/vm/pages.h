/* SPDX-License-Identifier: BSD-2-Clause */
/* An object's pages by index: in a radix tree or, as an object of one page needs none, in the object
   itself. The same rules as in mem/radix.h. */
#ifndef VM_PAGES_H
#define VM_PAGES_H
#include "vm/object.h"

static inline struct page *vm_pages_lookup(const struct vm_object *object, uint64_t index)
{
	if (object->size_pages != 1)
		return radix_lookup(&object->pages, index);
	return index == 0 ? object->only : NULL;
}

static inline struct page *vm_pages_next(const struct vm_object *object, uint64_t *index)
{
	if (object->size_pages != 1)
		return radix_next(&object->pages, index);
	return *index == 0 ? object->only : NULL;
}

/* The payer must not move meanwhile: vm_object_reserve, but in object.c. */
static inline bool vm_pages_reserve(struct vm_object *object, uint64_t index)
{
	return object->size_pages == 1 || radix_reserve(&object->pages, index);
}

static inline void vm_pages_unreserve(struct vm_object *object, uint64_t index)
{
	if (object->size_pages != 1)
		radix_unreserve(&object->pages, index);
}

static inline void vm_pages_insert(struct vm_object *object, uint64_t index, struct page *page)
{
	if (object->size_pages != 1)
		radix_insert(&object->pages, index, page);
	else
		object->only = page;
}

static inline struct page *vm_pages_remove(struct vm_object *object, uint64_t index)
{
	struct page *page = object->only;

	if (object->size_pages != 1)
		return radix_remove(&object->pages, index);
	object->only = NULL;
	return page;
}

#endif
