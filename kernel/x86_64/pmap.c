/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables of tasks: four levels, each table page paid by the task's ledger and given back with
   its last slot.

   Invariant: below the root, page->count of a table is the number of its present slots, and is
   never 0 while no function here runs. The upper half of every root is the kernel's, copied
   once: it never changes after boot. Translations are global only in the kernel's half, so
   loading CR3 forgets all of a task's. */
#include "x86_64/pmap.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/page.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/pte.h"

struct pmap kernel_pmap;
static uint64_t active_root;

#define WORK_MAX 512u			/* pages or tables looked at in one go */
#define FLUSH_MAX 32u			/* above so many pages, all translations are dropped instead */

/* Translations to be forgotten before this call returns, or before a table page is freed. */
struct flush {
	bool active;			/* the CPU uses this pmap */
	unsigned count;
	uint64_t addresses[FLUSH_MAX];
};

void pmap_activate(struct pmap *pmap)
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

static void flush_add(struct flush *flush, uint64_t address)
{
	if (flush->active && flush->count <= FLUSH_MAX) {
		if (flush->count < FLUSH_MAX)
			flush->addresses[flush->count] = address;
		flush->count++;
	}
}

static void flush_now(struct flush *flush)
{
	if (flush->count > FLUSH_MAX)
		cr3_write(active_root);
	else
		for (unsigned i = 0; i < flush->count; i++)
			invlpg(flush->addresses[i]);
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

bool pmap_create(struct pmap *pmap, struct ledger *payer)
{
	struct page *page = kpage_alloc(payer);

	if (!page)
		return false;
	uint64_t *root = page_address(page);
	memset(root, 0, PAGE_SIZE / 2);
	memcpy(root + PTE_KERNEL_SLOT, table_of(kernel_pmap.root) + PTE_KERNEL_SLOT, PAGE_SIZE / 2);
	page->count = 0;
	*pmap = (struct pmap){.root = page_frame(page) << PAGE_SHIFT, .payer = payer};
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
	assert(pmap->tables == 0);
	if (pmap_is_current(pmap))
		pmap_activate(&kernel_pmap);
	kpage_free(page_of_frame(pmap->root >> PAGE_SHIFT));
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

/* The leaf of address went away: frees tables that are empty now, upwards. Returns how many. */
static unsigned slot_cleared(struct pmap *pmap, uint64_t *entries[4], uint64_t address, struct flush *flush)
{
	unsigned level;

	pmap->mapped--;
	for (level = 0; level < PTE_ROOT_LEVEL; level++) {
		struct page *table = page_of_address(entries[level]);
		if (--table->count > 0)
			break;
		*entries[level + 1] = 0;
		/* The processor may keep upper entries too: they go with any translation below
		   them. */
		flush_add(flush, address);
		flush_now(flush);
		kpage_free(table);
		pmap->tables--;
	}
	return level;
}

/* Adds the missing tables for a leaf below entries[level]. False: denied, nothing changed. */
static bool make_tables(struct pmap *pmap, uint64_t address, uint64_t *entries[4], unsigned level)
{
	struct page *made[PTE_ROOT_LEVEL];

	for (unsigned i = 0; i < level; i++) {
		made[i] = kpage_alloc(pmap->payer);
		if (made[i])
			continue;
		while (i-- > 0)
			kpage_free(made[i]);
		return false;
	}
	/* Commit: made[i] becomes the table of level i. */
	for (unsigned i = level; i-- > 0;) {
		uint64_t *table = page_address(made[i]);
		memset(table, 0, PAGE_SIZE);
		made[i]->count = 0;
		*entries[i + 1] = page_frame(made[i]) << PAGE_SHIFT | PTE_PRESENT | PTE_WRITE | PTE_USER;
		if (i + 1 < PTE_ROOT_LEVEL)
			page_of_address(entries[i + 1])->count++;
		entries[i] = &table[pte_index(address, i)];
	}
	pmap->tables += level;
	return true;
}

bool pmap_enter(struct pmap *pmap, uint64_t address, uint64_t frame, vm_prot_t protection)
{
	uint64_t *entries[4];
	unsigned level;

	assert(address < USER_ADDRESS_MAX && pmap->root != 0);
	if (!(protection & (VM_PROT_READ | VM_PROT_WRITE | VM_PROT_EXECUTE))) {
		pmap_remove(pmap, address, address + PAGE_SIZE);
		return true;
	}
	level = walk(pmap, address, entries);
	if (level > 0 && !make_tables(pmap, address, entries, level))
		return false;
	uint64_t old = *entries[0], new = frame << PAGE_SHIFT | leaf_flags(protection);
	if ((old & ~(PTE_ACCESSED | PTE_DIRTY)) == new)
		return true;
	*entries[0] = new;
	if (!(old & PTE_PRESENT)) {
		page_of_address(entries[0])->count++;
		pmap->mapped++;
	} else if (pmap_is_current(pmap))
		invlpg(address);
	return true;
}

/* The first address behind what the entry of this level covers; never beyond end. */
static uint64_t next_at(uint64_t address, unsigned level, uint64_t end)
{
	uint64_t span = pte_span(level), next = (address & ~(span - 1)) + span;

	return next < end ? next : end;
}

/* Applies an operation to every present leaf of [start, end), at most WORK_MAX leaves or tables;
   tells how far. clear: of the leaf; else the bits `off` are taken away and `on` added. */
static uint64_t change_range(struct pmap *pmap, uint64_t start, uint64_t end, bool clear, uint64_t off, uint64_t on)
{
	struct flush flush = {.active = pmap_is_current(pmap)};
	uint64_t at = start;
	unsigned work = 0;

	if (pmap->root == 0)
		return end;
	if (end > USER_ADDRESS_MAX)
		end = USER_ADDRESS_MAX;
	while (at < end && work < WORK_MAX) {
		uint64_t *entries[4];
		unsigned level = walk(pmap, at, entries);

		if (level > 0) {
			at = next_at(at, level, end);
			/* Empty slots of the root are many and cheap. */
			work++;
			continue;
		}
		/* The rest of this leaf table; it stays while a slot of it is left. */
		uint64_t table_end = next_at(at, 1, end);
		unsigned freed = 0;
		for (; at < table_end && work < WORK_MAX && freed == 0; at += PAGE_SIZE, entries[0]++) {
			uint64_t old = *entries[0];
			if (!(old & PTE_PRESENT))
				continue;
			work++;
			uint64_t new = clear ? 0 : (old & ~off) | on;
			if (new == old)
				continue;
			*entries[0] = new;
			flush_add(&flush, at);
			if (clear)
				freed = slot_cleared(pmap, entries, at, &flush);
		}
		work++;
		if (freed > 0)
			at = table_end;
	}
	flush_now(&flush);
	return at;
}

uint64_t pmap_remove(struct pmap *pmap, uint64_t start, uint64_t end)
{
	uint64_t reached = change_range(pmap, start, end, true, 0, 0);

	return reached >= USER_ADDRESS_MAX ? end : reached;
}

uint64_t pmap_restrict(struct pmap *pmap, uint64_t start, uint64_t end, vm_prot_t allowed)
{
	bool clear = !(allowed & (VM_PROT_READ | VM_PROT_WRITE | VM_PROT_EXECUTE));
	uint64_t off = allowed & VM_PROT_WRITE ? 0 : PTE_WRITE;
	uint64_t on = allowed & VM_PROT_EXECUTE ? 0 : PTE_NX;
	uint64_t reached = change_range(pmap, start, end, clear, off, on);

	return reached >= USER_ADDRESS_MAX ? end : reached;
}

bool pmap_lookup(struct pmap *pmap, uint64_t address, uint64_t *frame, vm_prot_t *protection)
{
	uint64_t *entries[4];

	if (pmap->root == 0 || address >= USER_ADDRESS_MAX)
		return false;
	if (walk(pmap, address, entries) > 0 || !(*entries[0] & PTE_PRESENT))
		return false;
	*frame = (*entries[0] & PTE_FRAME) >> PAGE_SHIFT;
	*protection = VM_PROT_READ;
	if (*entries[0] & PTE_WRITE)
		*protection |= VM_PROT_WRITE;
	if (!(*entries[0] & PTE_NX))
		*protection |= VM_PROT_EXECUTE;
	return true;
}

bool pmap_modified(struct pmap *pmap, uint64_t address)
{
	uint64_t *entries[4];

	if (pmap->root == 0 || address >= USER_ADDRESS_MAX || walk(pmap, address, entries) > 0)
		return false;
	return (*entries[0] & PTE_PRESENT) && (*entries[0] & PTE_DIRTY);
}

