/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions in transit: out-of-line memory between a sender's map and a receiver's.

   A copy is a chain of entries in no map, charged to the sender's ledger: each entry, its virtual
   pages, and what its object comes to hold. The first entry is the copy, and knows about the whole.
   It is made in two steps: everything that can be denied first (entries, spares for cutting the source, pages of ends and of
   small data), then the links.

    - Less than two pages, and the unaligned ends of longer data, are copied into fresh pages;
      what is around the data is zero, so that no foreign byte is seen.

    - The pages between are shared: the source's window is cut out of its entry and
      write-protected, both sides copy at their next write. Source entries that share their
      pages with others, or are wired, are copied at once.

    - A move (destroy) of pages of the sender's own hands them over as they are.

   Receiving puts the entries into the receiver's map as one range; the receiver's ledger is charged
   first, the sender's refunded at commit. */
#include "vm/copy.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "vm/entry.h"
#include "x86_64/machine.h"

#define ENTRIES_PIECE 8 /* entries dismantled at a time */
#define UNMARK_MAX    64 /* users of an object that are looked at to mend a source */

/* Where bytes are copied from: one of the three; none: zeros. */
struct source {
	struct vm_map *map;
	struct vm_object *object;
	const uint8_t *bytes;
};

static void source_read(const struct source *source, uint64_t at, void *to, uint64_t size)
{
	if (source->map != NULL)
		vm_map_peek(source->map, at, to, size);
	else if (source->object != NULL)
		vm_object_peek(source->object, at, to, size);
	else if (source->bytes != NULL)
		memcpy(to, source->bytes + at, size);
	else
		memset(to, 0, size);
}

/* A copy being made. */
struct chain {
	struct ledger *payer;
	struct vm_entry *first, *last;
	uint32_t entries;
};

/* An entry with what a receiver may do with the data. NULL: denied. */
static inline struct vm_entry *entry_for_data(struct ledger *payer, uint64_t start, uint64_t end)
{
	return vm_entry_new(payer, start, end, VM_PROT_DEFAULT, VM_PROT_ALL, VM_INHERIT_DEFAULT);
}

/* A zero-fill entry for [start, end) at the end of the chain; NULL: denied. */
static struct vm_entry *chain_add(struct chain *chain, uint64_t start, uint64_t end)
{
	struct vm_entry *entry = entry_for_data(chain->payer, start, end);

	if (entry == NULL)
		return NULL;
	if (chain->last != NULL)
		chain->last->next = entry;
	else
		chain->first = entry;
	chain->last = entry;
	chain->entries++;
	return entry;
}

static struct vm_copy *chain_finish(const struct chain *chain, uint64_t size, uint64_t page_offset)
{
	struct vm_entry *first = chain->first;

	first->last = chain->last;
	first->entries = chain->entries;
	first->size = size;
	first->page_offset = page_offset;
	return (struct vm_copy *)first;
}

static void chain_discard(const struct chain *chain)
{
	vm_copy_discard((struct vm_copy *)chain->first);
}

/* Adds an entry with `lead` zero bytes, then size bytes of the source, then zeros to the page's
 * end. */
static bool chain_add_bytes(struct chain *chain, const struct source *source, uint64_t at,
			    uint64_t size, uint64_t lead)
{
	uint64_t end = round_page(lead + size), done = 0;
	struct vm_entry *entry = chain_add(chain, 0, end);
	struct vm_object *object;

	if (entry == NULL)
		return false;
	object = vm_object_make(end >> PAGE_SHIFT, chain->payer);
	if (object == NULL)
		return false;
	vm_entry_set_object(entry, object, 0);
	for (uint64_t i = 0; i < end >> PAGE_SHIFT; i++) {
		uint64_t room = PAGE_SIZE - lead;
		uint64_t n = size - done < room ? size - done : room;
		struct page *page = vm_object_page_add(object, i, n != PAGE_SIZE);

		if (page == NULL)
			return false;
		source_read(source, at + done, (uint8_t *)page_address(page) + lead, n);
		done += n;
		lead = 0;
		if (i % VM_PIECE == VM_PIECE - 1)
			machine_window();
	}
	return true;
}

/* A vm_copy_in under way. */
struct copying {
	struct vm_map *map;
	bool destroy;
	struct chain chain;
	uint64_t start, end;       /* of the whole pages shared */
	struct vm_entry *source;   /* the one that holds the first byte, and start unless it ends there */
	struct vm_entry *middle;   /* first of the copy's entries for them */
	struct vm_entry *spare[2]; /* for cutting the source at start and end */
};

/* What marking the source's part [from, to) for copy on write will need. */
static bool plan_mark(struct copying *c, struct vm_entry *source, uint64_t from, uint64_t to)
{
	if (source->start < from && (c->spare[0] = vm_entry_make(c->map->pmap.payer)) == NULL)
		return false;
	if (source->end > to && (c->spare[1] = vm_entry_make(c->map->pmap.payer)) == NULL)
		return false;
	return vm_entry_shorten(source);
}

/* Makes the copy's entry for one source entry's part [from, to); copies what cannot be shared. */
static bool plan_entry(struct copying *c, struct vm_entry *source, uint64_t from, uint64_t to)
{
	struct vm_entry *entry = chain_add(&c->chain, from, to);
	struct vm_object *pages;

	if (entry == NULL)
		return false;
	if (c->middle == NULL)
		c->middle = entry;
	if (source->object == NULL)
		return true;
	if (vm_entry_is_shared(source) || (source->wired && !c->destroy)) {
		if (!vm_entry_copy_pages(source, from, to, c->chain.payer, &pages))
			return false;
		vm_entry_set_object(entry, pages, 0);
		return true;
	}
	return c->destroy || source->needs_copy || plan_mark(c, source, from, to);
}

static struct vm_entry *first_source(const struct copying *c)
{
	return c->source->end > c->start ? c->source : vm_map_next(c->source);
}

static bool plan_middle(struct copying *c)
{
	struct vm_entry *source = first_source(c);

	for (;; source = vm_map_next(source)) {
		uint64_t from = source->start > c->start ? source->start : c->start;
		uint64_t to = source->end < c->end ? source->end : c->end;

		if (!plan_entry(c, source, from, to))
			return false;
		machine_window();
		if (to == c->end)
			return true;
	}
}

/* Cuts the source to the window and makes it copy at the next write. */
static struct vm_entry *mark_source(struct copying *c, struct vm_entry *source, uint64_t from,
				    uint64_t to)
{
	if (source->start < from) {
		vm_entry_split(source, from, c->spare[0]);
		source = c->spare[0];
		c->spare[0] = NULL;
	}
	if (source->end > to) {
		vm_entry_split(source, to, c->spare[1]);
		c->spare[1] = NULL;
	}
	source->needs_copy = true;
	vm_entry_restrict(source, from, to, VM_PROT_READ | VM_PROT_EXECUTE);
	return source;
}

static void commit_middle(struct copying *c)
{
	struct vm_entry *entry = c->middle, *source = first_source(c);
	uint64_t rounds = 0;

	for (; entry != NULL && entry->start < c->end && entry->start >= c->start; entry = entry->next) {
		bool needs_copy = true;

		vm_breathe(&rounds);
		if (entry != c->middle)
			source = vm_map_next(source);
		if (source->object == NULL || entry->object != NULL)
			continue;
		if (c->destroy)
			needs_copy = source->needs_copy;
		else if (!source->needs_copy)
			source = mark_source(c, source, entry->start, entry->end);
		vm_object_ref(source->object);
		vm_entry_set_object(entry, source->object,
				    source->offset + (entry->start - source->start));
		entry->needs_copy = needs_copy;
	}
}

static bool copy_build(struct copying *c, uint64_t address, uint64_t size)
{
	struct source source = { .map = c->map };
	uint64_t end = address + size;

	if (size < 2 * PAGE_SIZE)
		return chain_add_bytes(&c->chain, &source, address, size, 0);
	c->start = round_page(address);
	c->end = trunc_page(end);
	if (address < c->start &&
	    !chain_add_bytes(&c->chain, &source, address, c->start - address, address & PAGE_MASK))
		return false;
	if (!plan_middle(c))
		return false;
	if (c->end < end && !chain_add_bytes(&c->chain, &source, c->end, end - c->end, 0))
		return false;
	commit_middle(c);
	return true;
}

/* Where the data begins in the first page: small data at its start. */
static uint64_t copy_offset(uint64_t address, uint64_t size)
{
	return size < 2 * PAGE_SIZE ? 0 : address & PAGE_MASK;
}

/* The usual case: whole pages inside one entry, of which there is a copy already, so that nothing of it need change. */
static bool is_simple(const struct vm_entry *source, uint64_t address, uint64_t size)
{
	return source != NULL && ((address | size) & PAGE_MASK) == 0 && size >= 2 * PAGE_SIZE &&
	       size <= source->end - address && source->needs_copy && !source->wired &&
	       (source->protection & VM_PROT_READ);
}

/* Like any fresh entry of a chain (chain_add), which it is all of. NULL: denied. */
static inline struct vm_copy *simple_copy(struct vm_entry *source, uint64_t address, uint64_t size, struct ledger *payer)
{
	struct chain chain = { .payer = payer, .entries = 1 };
	struct vm_entry *entry = entry_for_data(payer, address, address + size);

	if (unlikely(entry == NULL))
		return NULL;
	vm_entry_set_copy(entry, source, source->offset + (address - source->start));
	chain.first = chain.last = entry;
	return chain_finish(&chain, size, 0);
}

/* Any other. */
static __attribute__((noinline)) kern_return_t copy_in(struct vm_map *map, uint64_t address, uint64_t size, bool destroy,
						       struct ledger *payer, struct vm_copy **result)
{
	struct copying c = { .map = map, .destroy = destroy, .chain.payer = payer };
	struct vm_entry *hole = NULL;
	kern_return_t code;
	uint64_t start, end;
	bool built;

	*result = NULL;
	if (size == 0)
		return KERN_SUCCESS;
	if (vm_range(address, size, &start, &end) != KERN_SUCCESS)
		return KERN_INVALID_ADDRESS;
	c.source = vm_map_lookup(map, start);
	code = vm_entry_range_check(c.source, start, end, VM_PROT_READ);
	if (code != KERN_SUCCESS)
		return code;
	if (destroy && vm_entry_makes_hole(c.source, start, end) &&
	    (hole = vm_entry_make(map->pmap.payer)) == NULL)
		return KERN_RESOURCE_SHORTAGE;
	built = copy_build(&c, address, size);
	/* A spare is left over when its entry came to need no mark after all. */
	vm_entry_free(c.spare[0]);
	vm_entry_free(c.spare[1]);
	if (!built) {
		vm_entry_free(hole);
		chain_discard(&c.chain);
		return KERN_RESOURCE_SHORTAGE;
	}
	if (destroy) {
		struct vm_kept kept = { c.start, c.end };

		vm_map_remove(map, start, end, &hole, &kept);
	}
	vm_map_debug_check(map);
	*result = chain_finish(&c.chain, size, copy_offset(address, size));
	return KERN_SUCCESS;
}

kern_return_t vm_copy_in(struct vm_map *map, uint64_t address, uint64_t size, bool destroy,
			 struct ledger *payer, struct vm_copy **result)
{
	struct vm_entry *source = vm_map_lookup(map, address);

	if (destroy || !is_simple(source, address, size))
		return copy_in(map, address, size, destroy, payer, result);
	*result = simple_copy(source, address, size, payer);
	return likely(*result != NULL) ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

/* A copy of bytes only. */
static kern_return_t copy_whole(const struct source *source, uint64_t at, uint64_t size,
				struct ledger *payer, struct vm_copy **result)
{
	struct chain chain = { .payer = payer };

	*result = NULL;
	if (size == 0)
		return KERN_SUCCESS;
	if (!chain_add_bytes(&chain, source, at, size, 0)) {
		chain_discard(&chain);
		return KERN_RESOURCE_SHORTAGE;
	}
	*result = chain_finish(&chain, size, 0);
	return KERN_SUCCESS;
}

kern_return_t vm_copy_from_kernel(const void *bytes, uint64_t size, struct ledger *payer,
				  struct vm_copy **result)
{
	struct source source = { .bytes = bytes };

	return copy_whole(&source, 0, size, payer, result);
}

kern_return_t vm_copy_alloc(uint64_t size, struct ledger *payer, struct vm_copy **result)
{
	struct source source = { .bytes = NULL };

	return copy_whole(&source, 0, size, payer, result);
}

void vm_copy_write(struct vm_copy *copy, uint64_t offset, const void *bytes, uint64_t size)
{
	struct vm_object *object = copy->first.object;

	assert(copy->first.entries == 1 && offset + size >= offset && offset + size <= copy->first.size);
	while (size != 0) {
		uint64_t in_page = offset & PAGE_MASK, n = PAGE_SIZE - in_page;

		if (n > size)
			n = size;
		memcpy((uint8_t *)page_address(vm_object_page(object, offset >> PAGE_SHIFT)) +
			       in_page,
		       bytes, n);
		bytes = (const uint8_t *)bytes + n;
		offset += n;
		size -= n;
	}
}

/* Whole pages [start, end) of the object, shared. */
static bool chain_add_shared(struct chain *chain, struct vm_object *object, uint64_t start,
			     uint64_t end)
{
	struct vm_entry *entry = chain_add(chain, start, end);

	if (entry == NULL)
		return false;
	vm_object_ref(object);
	vm_entry_set_object(entry, object, start);
	entry->needs_copy = true;
	return true;
}

static bool copy_object_build(struct chain *chain, struct vm_object *object, uint64_t offset,
			      uint64_t size)
{
	struct source source = { .object = object };
	uint64_t end = offset + size, first = round_page(offset), last = trunc_page(end);

	if (size < 2 * PAGE_SIZE)
		return chain_add_bytes(chain, &source, offset, size, 0);
	if (offset < first &&
	    !chain_add_bytes(chain, &source, offset, first - offset, offset & PAGE_MASK))
		return false;
	return chain_add_shared(chain, object, first, last) &&
	       (last == end || chain_add_bytes(chain, &source, last, end - last, 0));
}

kern_return_t vm_copy_from_object(struct vm_object *object, uint64_t offset, uint64_t size,
				  struct ledger *payer, struct vm_copy **result)
{
	struct chain chain = { .payer = payer };

	*result = NULL;
	if (offset + size < offset || offset + size > object->size_pages << PAGE_SHIFT)
		return KERN_INVALID_ARGUMENT;
	if (size == 0)
		return KERN_SUCCESS;
	if (!copy_object_build(&chain, object, offset, size)) {
		chain_discard(&chain);
		return KERN_RESOURCE_SHORTAGE;
	}
	*result = chain_finish(&chain, size, copy_offset(offset, size));
	return KERN_SUCCESS;
}

void vm_chain_read(struct vm_entry **entry, uint64_t *offset, void *to, uint64_t size)
{
	while (size != 0) {
		uint64_t length = (*entry)->end - (*entry)->start, n;

		if (*offset >= length) {
			*offset -= length;
			*entry = (*entry)->next;
			continue;
		}
		n = length - *offset < size ? length - *offset : size;
		vm_object_peek((*entry)->object, (*entry)->offset + *offset, to, n);
		to = (uint8_t *)to + n;
		size -= n;
		*offset += n;
	}
}

kern_return_t vm_copy_read(struct vm_copy *copy, uint64_t offset, void *to, uint64_t size)
{
	struct vm_entry *entry = &copy->first;

	if (size == 0)
		return KERN_SUCCESS;
	if (copy == NULL || offset + size < offset || offset + size > copy->first.size)
		return KERN_INVALID_ARGUMENT;
	offset += copy->first.page_offset;
	vm_chain_read(&entry, &offset, to, size);
	return KERN_SUCCESS;
}

/* Takes at most ENTRIES_PIECE entries apart; returns the first one left, NULL: none. */
static struct vm_entry *chain_dismantle(struct vm_entry *entry)
{
	for (unsigned i = 0; i < ENTRIES_PIECE && entry != NULL; i++) {
		struct vm_entry *next = entry->next;

		if (!vm_entry_dismantle(entry, VM_PIECE))
			return entry;
		entry = next;
	}
	return entry;
}

static bool copy_reap_step(struct reap *item)
{
	struct vm_entry *first =
		(struct vm_entry *)((char *)item - __builtin_offsetof(struct vm_entry, reap));
	struct vm_entry *left = chain_dismantle(first);

	if (left == first)
		return false;
	if (left != NULL)
		reap_defer(&left->reap, copy_reap_step);
	return true;
}

void vm_copy_discard(struct vm_copy *copy)
{
	struct vm_entry *left = chain_dismantle((struct vm_entry *)copy);

	if (left != NULL)
		reap_defer(&left->reap, copy_reap_step);
}

void vm_copy_unmark(struct vm_map *map, uint64_t address)
{
	struct vm_entry *entry = vm_map_lookup(map, address), *piece;
	uint64_t low = UINT64_MAX, high = 0;
	uint32_t pieces = 0;

	if (entry == NULL || !entry->needs_copy || entry->object->kernel_held ||
	    entry->object->refs > UNMARK_MAX)
		return;
	LIST_FOREACH (piece, &entry->object->entries, object_link) {
		if (!piece->in_map || piece->map != map || piece->range != entry->range)
			return;
		low = piece->start < low ? piece->start : low;
		high = piece->end > high ? piece->end : high;
		pieces++;
	}
	if (pieces != entry->object->refs)
		return;
	LIST_FOREACH (piece, &entry->object->entries, object_link)
		piece->needs_copy = false;
	vm_map_join(map, low + 1, high);
}
