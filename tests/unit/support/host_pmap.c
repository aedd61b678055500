/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/x86_64/pmap.c: four levels of tables made of kernel pages, charged and
   given back as the machine's are, but looked at by software only; and user memory through them. */
#include "host_pmap.h"
#include <string.h>
#include "kern/assert.h"
#include "mem/page.h"
#include "x86_64/machine.h"
#include "x86_64/pmap.h"
#include "x86_64/usercopy.h"

#define PRESENT  8ull
#define WORK_MAX 512

struct pmap kernel_pmap;
const struct pmap *host_pmap_current;
uint64_t host_windows;
bool host_fast_off;
unsigned host_heads_read, host_items_read;

void machine_window(void)
{
	host_windows++;
}

bool pmap_is_current(const struct pmap *pmap)
{
	return pmap == host_pmap_current;
}

static unsigned slot_of(uint64_t address, unsigned level)
{
	return address >> (12 + 9 * level) & 511;
}

static uint64_t *table_at(uint64_t physical)
{
	return phys_to_virt(physical & ~0xfffull);
}

/* Tables from the root (path[3]) down as far as they are there; returns the lowest level reached.
 */
static unsigned walk(struct pmap *pmap, uint64_t address, uint64_t *path[4])
{
	unsigned level = 3;

	path[3] = table_at(pmap->root);
	while (level > 0 && (path[level][slot_of(address, level)] & PRESENT)) {
		path[level - 1] = table_at(path[level][slot_of(address, level)]);
		level--;
	}
	return level;
}

/* Frees tables that are empty from `level` up, never the root. */
static void prune(struct pmap *pmap, uint64_t address, uint64_t *path[4], unsigned level)
{
	for (; level < 3 && page_of_address(path[level])->count == 0; level++) {
		kpage_free(page_of_address(path[level]));
		pmap->tables--;
		path[level + 1][slot_of(address, level + 1)] = 0;
		page_of_address(path[level + 1])->count--;
	}
}

bool pmap_create(struct pmap *pmap, struct ledger *payer)
{
	struct page *page = kpage_alloc(payer);

	memset(pmap, 0, sizeof(*pmap));
	if (page == NULL)
		return false;
	memset(page_address(page), 0, PAGE_SIZE);
	page->count = 0;
	pmap->root = page_frame(page) << 12;
	pmap->payer = payer;
	return true;
}

void pmap_destroy(struct pmap *pmap)
{
	assert(pmap->tables == 0 && page_of_frame(pmap->root >> 12)->count == 0);
	kpage_free(page_of_frame(pmap->root >> 12));
	pmap->root = 0;
	if (host_pmap_current == pmap)
		host_pmap_current = NULL;
}

bool pmap_enter(struct pmap *pmap, uint64_t address, uint64_t frame, vm_prot_t protection)
{
	uint64_t *path[4], *slot;
	unsigned level;

	assert((protection & VM_PROT_ALL) != 0);
	for (level = walk(pmap, address, path); level > 0; level--) {
		struct page *page = kpage_alloc(pmap->payer);

		if (page == NULL) {
			prune(pmap, address, path, level);
			return false;
		}
		memset(page_address(page), 0, PAGE_SIZE);
		page->count = 0;
		path[level][slot_of(address, level)] = page_frame(page) << 12 | PRESENT;
		page_of_address(path[level])->count++;
		path[level - 1] = page_address(page);
		pmap->tables++;
	}
	slot = &path[0][slot_of(address, 0)];
	if (!(*slot & PRESENT))
		page_of_address(path[0])->count++;
	pmap->changes++;
	*slot = frame << 12 | PRESENT | (protection & VM_PROT_ALL);
	return true;
}

void pmap_fill(struct pmap *pmap, uint64_t address, unsigned count, struct page *const *pages, uint32_t writable,
	       vm_prot_t protection)
{
	uint64_t *path[4];

	assert(slot_of(address, 0) + count <= 512);
	for (unsigned i = 0; i < count; i++, address += PAGE_SIZE) {
		vm_prot_t allowed = writable >> i & 1 ? protection : protection & ~VM_PROT_WRITE;

		if (pages[i] == NULL || walk(pmap, address, path) != 0 || (path[0][slot_of(address, 0)] & PRESENT))
			continue;
		path[0][slot_of(address, 0)] = page_frame(pages[i]) << 12 | PRESENT | (allowed & VM_PROT_ALL);
		page_of_address(path[0])->count++;
	}
}

uint64_t pmap_remove(struct pmap *pmap, uint64_t start, uint64_t end)
{
	for (unsigned work = 0; start < end && work < WORK_MAX; work++) {
		uint64_t *path[4], size;
		unsigned level = walk(pmap, start, path);

		if (level == 0 && (path[0][slot_of(start, 0)] & PRESENT)) {
			path[0][slot_of(start, 0)] = 0;
			pmap->changes++;
			page_of_address(path[0])->count--;
			prune(pmap, start, path, 0);
		}
		size = 1ull << (12 + 9 * level);
		start = (start & ~(size - 1)) + size;
	}
	return start < end ? start : end;
}

uint64_t pmap_restrict(struct pmap *pmap, uint64_t start, uint64_t end, vm_prot_t allowed)
{
	for (unsigned work = 0; start < end && work < WORK_MAX; work++) {
		uint64_t *path[4], size;
		unsigned level = walk(pmap, start, path);

		pmap->changes++;
		if (level == 0)
			path[0][slot_of(start, 0)] &= ~(uint64_t)(VM_PROT_ALL & ~allowed);
		size = 1ull << (12 + 9 * level);
		start = (start & ~(size - 1)) + size;
	}
	return start < end ? start : end;
}

void *pmap_writable(struct pmap *pmap, uint64_t address, uint64_t size)
{
	vm_prot_t protection;
	uint64_t frame;

	if (host_fast_off || address % PAGE_SIZE + size > PAGE_SIZE || !pmap_lookup(pmap, address, &frame, &protection) ||
	    (protection & VM_PROT_WRITE) == 0)
		return NULL;
	return (char *)phys_to_virt(frame * PAGE_SIZE) + address % PAGE_SIZE;
}

bool pmap_lookup(struct pmap *pmap, uint64_t address, uint64_t *frame, vm_prot_t *protection)
{
	uint64_t *path[4], slot;

	if (walk(pmap, address, path) != 0)
		return false;
	slot = path[0][slot_of(address, 0)];
	if (!(slot & PRESENT))
		return false;
	*frame = slot >> 12;
	*protection = slot & VM_PROT_ALL;
	/* The machine cannot write without reading. */
	if (*protection & VM_PROT_WRITE)
		*protection |= VM_PROT_READ;
	return true;
}

bool pmap_is_writable(struct pmap *pmap, uint64_t address)
{
	uint64_t frame;
	vm_prot_t protection;

	return address < USER_ADDRESS_MAX && pmap_lookup(pmap, address, &frame, &protection) &&
	       (protection & VM_PROT_WRITE);
}

bool pmap_modified(struct pmap *pmap, uint64_t address)
{
	uint64_t frame;
	vm_prot_t protection;

	return pmap_lookup(pmap, address, &frame, &protection) && (protection & VM_PROT_WRITE);
}

void *host_user_page(struct pmap *pmap, uint64_t address, bool write)
{
	uint64_t frame;
	vm_prot_t protection;

	if (!pmap_lookup(pmap, address, &frame, &protection) || !(protection & VM_PROT_ALL) ||
	    (write && !(protection & VM_PROT_WRITE)))
		return NULL;
	return phys_to_virt(frame << 12);
}

/* Forwards, as the machine's copy, which matters where users' buffers overlap. */
static void copy_forwards(uint8_t *to, const uint8_t *from, uint64_t size)
{
	while (size-- != 0)
		*to++ = *from++;
}

static bool user_copy(uint64_t user, uint8_t *kernel, uint64_t size, bool write, uint64_t *fault)
{
	*fault = user;
	if (user >= USER_ADDRESS_MAX || size > USER_ADDRESS_MAX - user)
		return false;
	while (size != 0) {
		uint64_t n = PAGE_SIZE - (user & (PAGE_SIZE - 1));
		struct pmap *pmap = (struct pmap *)host_pmap_current;
		uint8_t *page = pmap != NULL ? host_user_page(pmap, user, write) : NULL;

		if (page == NULL) {
			*fault = user;
			return false;
		}
		page += user & (PAGE_SIZE - 1);
		if (n > size)
			n = size;
		if (write)
			copy_forwards(page, kernel, n);
		else
			copy_forwards(kernel, page, n);
		user += n;
		kernel += n;
		size -= n;
	}
	return true;
}

bool user_copy_in(void *to, uint64_t from, uint64_t size, uint64_t *fault)
{
	return user_copy(from, to, size, false, fault);
}

bool user_copy_out(uint64_t to, const void *from, uint64_t size, uint64_t *fault)
{
	return user_copy(to, (uint8_t *)from, size, true, fault);
}
