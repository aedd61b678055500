/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables of tasks: four levels, each table page paid by the task's ledger and given back with
   its last slot, or soon after (emptied).

   Invariants

    - Below the root, page->count of a table is the number of its present slots, and is never 0
      while no function here runs, but of one leaf table (emptied). So a table that is given back holds zeros only. page->next
      is the frame of the table above.

    - The upper half of every root is the kernel's, copied once: it never changes after boot.
      Translations are global only in the kernel's half, so loading CR3 forgets all of a task's.

    - pmap->leaf are the leaf tables walked to last, of the 2 MiB with the number tag: they save
      the walk. Both are forgotten when one is given back.

    - pmap->changes counts up in each call that changes or clears a present slot. So whoever remembers what pmap_writable
      has found need only compare (thread->straight).

    - The processor keeps no translation whose accessed bit is clear (Intel SDM volume 3, 4.10.2.3),
      and nobody here clears that bit of a present slot: so what was mapped and never used needs no
      invalidation. */
#include "x86_64/pmap.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/string.h"
#include "mem/page.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/pte.h"

struct pmap kernel_pmap = {.leaf = {{.tag = UINT64_MAX}, {.tag = UINT64_MAX}}};
static uint64_t active_root;

#define WORK_MAX 512u			/* slots or missing tables looked at in one go, and at most as many again */
#define FLUSH_MAX 32u			/* above so many pages, all translations are dropped instead */
#define LEAF_NONE UINT64_MAX		/* no tag */

/* Translations to be forgotten, at once or with all others when flush_end is called. */
struct flush {
	bool active;			/* the CPU uses this pmap */
	unsigned count;
};

inline void pmap_activate(struct pmap *pmap)
{
	if (pmap->root == active_root)
		return;
	active_root = pmap->root;
	cr3_write(pmap->root);
}

bool pmap_is_current(const struct pmap *pmap)
{
	return pmap->root == active_root;
}

/* The slot of address has changed from `old`. */
static inline void flush_page(struct flush *flush, uint64_t address, uint64_t old)
{
	if (flush->active && (old & PTE_ACCESSED) && flush->count++ < FLUSH_MAX)
		invlpg(address);
}

static void flush_end(struct flush *flush)
{
	if (flush->count > FLUSH_MAX)
		cr3_write(active_root);
	flush->count = 0;
}

static uint64_t *table_of(uint64_t entry)
{
	return phys_to_virt(entry & PTE_FRAME);
}

static uint64_t leaf_flags(vm_prot_t protection)
{
	uint64_t flags = PTE_PRESENT | PTE_USER;

	if (protection & VM_PROT_WRITE)
		flags |= PTE_WRITE;
	if (!(protection & VM_PROT_EXECUTE))
		flags |= PTE_NX;
	return flags;
}

/* Puts the kernel's slots into a root (true), or takes them out again. They are few: found once. */
static void kernel_slots_set(uint64_t *root, bool in)
{
	static uint16_t slots[PTE_SLOTS - PTE_KERNEL_SLOT];
	static unsigned count;
	const uint64_t *kernel = table_of(kernel_pmap.root);

	if (count == 0) {
		for (unsigned i = PTE_KERNEL_SLOT; i < PTE_SLOTS; i++)
			if (kernel[i] != 0)
				slots[count++] = i;
	}
	for (unsigned i = 0; i < count; i++)
		root[slots[i]] = in ? kernel[slots[i]] : 0;
}

/* Frees the empty leaf table of address, and the tables above that are empty then. */
static void tables_free(struct pmap *pmap, struct page *table, uint64_t address)
{
	pmap->leaf[0].tag = pmap->leaf[1].tag = LEAF_NONE;
	for (unsigned level = 1; level <= PTE_ROOT_LEVEL; level++) {
		struct page *above = page_of_frame(table->next);

		((uint64_t *)page_address(above))[pte_index(address, level)] = 0;
		/* This drops all upper entries that the processor keeps (Intel SDM volume 3, 4.10.4.1). */
		if (pmap_is_current(pmap))
			invlpg(address);
		kpage_free_zeroed(table);
		pmap->tables--;
		if (level == PTE_ROOT_LEVEL || --above->count > 0)
			break;
		table = above;
	}
}

/*
 * The leaf table that became empty last stays in its place, charged as it was (as a zone keeps its spare: docs/decisions/0022): who maps a
 * page where nothing else is mapped, and unmaps it, does it again as a rule. It may have got pages since. pmap NULL: there is none.
 */
static struct {
	struct pmap *pmap;
	struct page *table;
	uint64_t address;
} emptied;

void mem_spares_return(void)
{
	struct pmap *pmap = emptied.pmap;

	emptied.pmap = NULL;
	if (pmap != NULL && emptied.table->count == 0)
		tables_free(pmap, emptied.table, emptied.address);
}

/* The leaf table of address has become empty. */
static __attribute__((noinline)) void leaf_emptied(struct pmap *pmap, struct page *table, uint64_t address)
{
	if (emptied.pmap == pmap && emptied.table == table)
		return;
	mem_spares_return();
	if (!zone_may_keep(pmap->payer, LEDGER_KPAGES)) {
		tables_free(pmap, table, address);
		return;
	}
	emptied.pmap = pmap;
	emptied.table = table;
	emptied.address = address;
}

bool pmap_create(struct pmap *pmap, struct ledger *payer)
{
	struct page *page = kpage_alloc_zeroed(payer);

	if (!page)
		return false;
	kernel_slots_set(page_address(page), true);
	page->count = 0;
	*pmap = (struct pmap){.root = page_frame(page) << PAGE_SHIFT, .payer = payer,
			       .leaf = {{.tag = LEAF_NONE}, {.tag = LEAF_NONE}}};
	return true;
}

void pmap_destroy(struct pmap *pmap)
{
	if (pmap->root == 0)
		return;
	/* Bounded: what is mapped still is removed in pieces, and a task's dismantling has left
	   nothing. */
	for (uint64_t at = 0; at < USER_ADDRESS_MAX && pmap->tables > 0;)
		at = pmap_remove(pmap, at, USER_ADDRESS_MAX);
	if (emptied.pmap == pmap)
		mem_spares_return();
	assert(pmap->tables == 0);
	if (pmap_is_current(pmap))
		pmap_activate(&kernel_pmap);
	kernel_slots_set(table_of(pmap->root), false);
	kpage_free_zeroed(page_of_frame(pmap->root >> PAGE_SHIFT));
	pmap->root = 0;
}

/* The levels' entries on the way to address, from the root (entries[3]) down; stops at the first
   missing table. Returns the level of the last entry reached: 0 when the leaf's slot exists. */
static unsigned walk(struct pmap *pmap, uint64_t address, uint64_t *entries[4])
{
	unsigned level = PTE_ROOT_LEVEL;

	entries[level] = &table_of(pmap->root)[pte_index(address, level)];
	while (level > 0 && *entries[level] & PTE_PRESENT) {
		level--;
		entries[level] = &table_of(*entries[level + 1])[pte_index(address, level)];
	}
	return level;
}

static void leaf_keep(struct pmap *pmap, uint64_t address, uint64_t *slot)
{
	pmap->leaf[1] = pmap->leaf[0];
	pmap->leaf[0].tag = address / pte_span(1);
	pmap->leaf[0].table = slot - pte_index(address, 0);
}

/* The slot of address in a table kept; NULL: it is in none of them. */
static inline uint64_t *kept_slot(const struct pmap *pmap, uint64_t address)
{
	uint64_t tag = address / pte_span(1);

	if (pmap->leaf[0].tag == tag)
		return &pmap->leaf[0].table[pte_index(address, 0)];
	return pmap->leaf[1].tag == tag ? &pmap->leaf[1].table[pte_index(address, 0)] : NULL;
}

static __attribute__((noinline)) uint64_t *leaf_find(struct pmap *pmap, uint64_t address)
{
	uint64_t *entries[4];

	if (walk(pmap, address, entries) > 0)
		return NULL;
	leaf_keep(pmap, address, entries[0]);
	return entries[0];
}

/* The slot of address in its leaf table, which is kept then; NULL: there is no table. */
static inline uint64_t *leaf_slot(struct pmap *pmap, uint64_t address)
{
	uint64_t *slot = kept_slot(pmap, address);

	return slot != NULL ? slot : leaf_find(pmap, address);
}

/* Adds the missing tables for a leaf below entries[level]. False: denied, nothing changed. */
static bool make_tables(struct pmap *pmap, uint64_t address, uint64_t *entries[4], unsigned level)
{
	struct page *made[PTE_ROOT_LEVEL];

	for (unsigned i = 0; i < level; i++) {
		made[i] = kpage_alloc_zeroed(pmap->payer);
		if (made[i])
			continue;
		while (i-- > 0)
			kpage_free_zeroed(made[i]);
		return false;
	}
	/* Commit: made[i] becomes the table of level i. */
	for (unsigned i = level; i-- > 0;) {
		uint64_t *table = page_address(made[i]);
		struct page *above = page_of_address(entries[i + 1]);
		*entries[i + 1] = page_frame(made[i]) << PAGE_SHIFT | PTE_PRESENT | PTE_WRITE | PTE_USER;
		made[i]->next = page_frame(above);
		if (i + 1 < PTE_ROOT_LEVEL)
			above->count++;
		entries[i] = &table[pte_index(address, i)];
	}
	pmap->tables += level;
	return true;
}

/* The slot of address, in tables that may be new; NULL: denied, nothing changed. */
static __attribute__((noinline)) uint64_t *make_slot(struct pmap *pmap, uint64_t address)
{
	uint64_t *entries[4];
	unsigned level = walk(pmap, address, entries);

	/* To charge for tables may settle figures, and give back an empty one with those above it on this very way. */
	if (level > 0 && emptied.pmap == pmap) {
		mem_spares_return();
		level = walk(pmap, address, entries);
	}
	if (level > 0 && !make_tables(pmap, address, entries, level))
		return NULL;
	leaf_keep(pmap, address, entries[0]);
	return entries[0];
}

static inline void enter_absent(struct pmap *pmap, uint64_t *slot, uint64_t new)
{
	*slot = new;
	page_of_address(slot)->count++;
	pmap->mapped++;
}

/* In a table that is not kept, or where a page is mapped. */
static __attribute__((noinline)) bool enter_other(struct pmap *pmap, uint64_t address, uint64_t new)
{
	uint64_t *slot = kept_slot(pmap, address), old;

	if (slot == NULL && (slot = make_slot(pmap, address)) == NULL)
		return false;
	old = *slot;
	if (!(old & PTE_PRESENT)) {
		enter_absent(pmap, slot, new);
		return true;
	}
	if ((old & ~(PTE_ACCESSED | PTE_DIRTY)) == new)
		return true;
	*slot = new;
	pmap->changes++;
	if (old & PTE_ACCESSED && pmap_is_current(pmap))
		invlpg(address);
	return true;
}

bool pmap_enter(struct pmap *pmap, uint64_t address, uint64_t frame, vm_prot_t protection)
{
	uint64_t *slot, new = frame << PAGE_SHIFT | leaf_flags(protection);

	assert(address < USER_ADDRESS_MAX && pmap->root != 0 && (protection & VM_PROT_ALL) != 0);
	slot = kept_slot(pmap, address);
	if (unlikely(slot == NULL) || *slot != 0)
		return enter_other(pmap, address, new);
	enter_absent(pmap, slot, new);
	return true;
}

void pmap_fill(struct pmap *pmap, uint64_t address, unsigned count, struct page *const *pages, uint32_t writable,
	       vm_prot_t protection)
{
	uint64_t flags = leaf_flags(protection), read_only = flags & ~(uint64_t)PTE_WRITE;
	uint64_t *slot = leaf_slot(pmap, address);
	unsigned made = 0;

	assert(count > 0 && (address + (count - 1) * PAGE_SIZE) / pte_span(1) == address / pte_span(1));
	if (slot == NULL)
		return;
	for (unsigned i = 0; i < count; i++, slot++, writable >>= 1) {
		if (pages[i] == NULL || *slot & PTE_PRESENT)
			continue;
		*slot = page_frame(pages[i]) << PAGE_SHIFT | (writable & 1 ? flags : read_only);
		made++;
	}
	page_of_address(slot - 1)->count += made;
	pmap->mapped += made;
}

/* The first address behind what the entry of this level covers; never beyond end. */
static uint64_t next_at(uint64_t address, unsigned level, uint64_t end)
{
	uint64_t span = pte_span(level), next = (address & ~(span - 1)) + span;

	return next < end ? next : end;
}

/* Clears the present slots of one leaf table for [at, end). */
static inline void remove_leaves(struct pmap *pmap, uint64_t *slot, uint64_t at, uint64_t end, struct flush *flush)
{
	struct page *table = page_of_address(slot);
	struct flush here = *flush;
	unsigned cleared = 0;

	for (; at < end; at += PAGE_SIZE, slot++) {
		uint64_t old = *slot;

		if (!(old & PTE_PRESENT))
			continue;
		*slot = 0;
		cleared++;
		flush_page(&here, at, old);
	}
	*flush = here;
	pmap->changes++;
	pmap->mapped -= cleared;
	table->count -= cleared;
	if (table->count == 0)
		leaf_emptied(pmap, table, end - PAGE_SIZE);
}

/* Takes the bits `off` away from the present slots of one leaf table for [at, end), and adds `on`. */
static void change_leaves(uint64_t *slot, uint64_t at, uint64_t end, uint64_t off, uint64_t on, struct flush *flush)
{
	for (; at < end; at += PAGE_SIZE, slot++) {
		uint64_t old = *slot, new = (old & ~off) | on;

		if (!(old & PTE_PRESENT) || new == old)
			continue;
		*slot = new;
		flush_page(flush, at, old);
	}
}

/* Clears the slots for [at, to) in one leaf table, or changes their bits. */
static inline void change_table(struct pmap *pmap, uint64_t *slot, uint64_t at, uint64_t to, bool clear, uint64_t off,
				uint64_t on, struct flush *flush)
{
	if (clear) {
		remove_leaves(pmap, slot, at, to, flush);
	} else {
		pmap->changes++;
		change_leaves(slot, at, to, off, on, flush);
	}
}

/* One leaf table after the other, or what lies behind where there is none, until WORK_MAX. clear: the slots;
   else their bits change. Tells how far. */
static __attribute__((noinline)) uint64_t change_range(struct pmap *pmap, uint64_t start, uint64_t end, bool clear,
						       uint64_t off, uint64_t on)
{
	struct flush flush = {.active = pmap_is_current(pmap)};
	uint64_t at = start, last = end < USER_ADDRESS_MAX ? end : USER_ADDRESS_MAX;
	uint64_t *entries[4];
	unsigned work = 0;

	while (at < last && work < WORK_MAX) {
		uint64_t *slot, to;

		if (pmap->mapped == 0) {
			at = last;
			break;
		}
		slot = leaf_slot(pmap, at);
		if (slot == NULL) {
			at = next_at(at, walk(pmap, at, entries), last);
			work++;
			continue;
		}
		to = next_at(at, 1, last);
		work += (to - at) >> PAGE_SHIFT;
		change_table(pmap, slot, at, to, clear, off, on, &flush);
		at = to;
	}
	flush_end(&flush);
	return at < last ? at : end;
}

uint64_t pmap_remove(struct pmap *pmap, uint64_t start, uint64_t end)
{
	struct flush flush = {.active = pmap_is_current(pmap)};
	uint64_t *slot = kept_slot(pmap, start);

	/* Mostly it is a little of one table kept. */
	if (slot == NULL || start / pte_span(1) != (end - 1) / pte_span(1))
		return change_range(pmap, start, end, true, 0, 0);
	remove_leaves(pmap, slot, start, end, &flush);
	flush_end(&flush);
	return end;
}

uint64_t pmap_restrict(struct pmap *pmap, uint64_t start, uint64_t end, vm_prot_t allowed)
{
	bool clear = !(allowed & (VM_PROT_READ | VM_PROT_WRITE | VM_PROT_EXECUTE));
	uint64_t off = allowed & VM_PROT_WRITE ? 0 : PTE_WRITE;
	uint64_t on = allowed & VM_PROT_EXECUTE ? 0 : PTE_NX;

	return change_range(pmap, start, end, clear, off, on);
}

bool pmap_lookup(struct pmap *pmap, uint64_t address, uint64_t *frame, vm_prot_t *protection)
{
	uint64_t *slot;

	if (pmap->root == 0 || address >= USER_ADDRESS_MAX)
		return false;
	slot = leaf_slot(pmap, address);
	if (slot == NULL || !(*slot & PTE_PRESENT))
		return false;
	*frame = (*slot & PTE_FRAME) >> PAGE_SHIFT;
	*protection = VM_PROT_READ;
	if (*slot & PTE_WRITE)
		*protection |= VM_PROT_WRITE;
	if (!(*slot & PTE_NX))
		*protection |= VM_PROT_EXECUTE;
	return true;
}

void *pmap_writable(struct pmap *pmap, uint64_t address, uint64_t size)
{
	const uint64_t need = PTE_PRESENT | PTE_WRITE, offset = address % PAGE_SIZE;
	uint64_t *slot;

	if (address >= USER_ADDRESS_MAX || offset + size > PAGE_SIZE)
		return NULL;
	slot = leaf_slot(pmap, address);
	return slot != NULL && (*slot & need) == need ? (char *)table_of(*slot) + offset : NULL;
}

bool pmap_is_writable(struct pmap *pmap, uint64_t address)
{
	uint64_t *slot;

	if (pmap->root == 0 || address >= USER_ADDRESS_MAX)
		return false;
	slot = leaf_slot(pmap, address);
	return slot != NULL && (*slot & PTE_PRESENT) && (*slot & PTE_WRITE);
}

bool pmap_modified(struct pmap *pmap, uint64_t address)
{
	uint64_t *slot;

	if (pmap->root == 0 || address >= USER_ADDRESS_MAX)
		return false;
	slot = leaf_slot(pmap, address);
	return slot != NULL && (*slot & PTE_PRESENT) && (*slot & PTE_DIRTY);
}
