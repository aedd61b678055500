/* SPDX-License-Identifier: BSD-2-Clause */
/* Page tables of one task. Table pages are LEDGER_KPAGES of the payer; each counts its live slots
   (page->count) and is given back when empty. */
#ifndef X86_64_PMAP_H
#define X86_64_PMAP_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/vm_prot.h>

struct ledger;
struct page;

struct pmap {
	uint64_t root;			/* physical address of the PML4; 0: not made */
	struct ledger *payer;
	uint32_t tables;		/* table pages below the root */
	uint64_t mapped;		/* pages mapped */
	uint64_t changes;		/* counts up when a present slot changes: what was found in one may be so no more */
	/* The leaf tables walked to last, the latest first: two, as the buffers of two threads that talk lie apart. */
	struct {
		uint64_t tag;		/* address / 2 MiB */
		uint64_t *table;
	} leaf[2];
};

/* Makes the root table. False: denied. */
bool pmap_create(struct pmap *pmap, struct ledger *payer);
/* Frees what is left; all user mappings must be removed (pmap_remove over everything is bounded
   by tables that exist). */
void pmap_destroy(struct pmap *pmap);
/* Maps one page, with some access, replacing what was there. False: a table page was denied; nothing changed. */
bool pmap_enter(struct pmap *pmap, uint64_t address, uint64_t frame, vm_prot_t protection);
#define PMAP_TABLE_PAGES 512u		/* pages that a leaf table maps, from a multiple of as many on */
/* Maps those of count pages (NULL: none) from address on whose place is free, within one leaf table. With
   protection, but to be written only where the bit of `writable` is set. For what need not be mapped: does nothing
   when there is no table. */
void pmap_fill(struct pmap *pmap, uint64_t address, unsigned count, struct page *const *pages, uint32_t writable,
	       vm_prot_t protection);
/* Removes mappings in [start, end); skips missing tables at once. Stops after at most 1,023 slots
   of tables looked at and returns the address reached (end: all done), so that callers can
   open windows. Never fails. */
uint64_t pmap_remove(struct pmap *pmap, uint64_t start, uint64_t end);
/* Takes rights away (never adds) in [start, end); same return as pmap_remove. */
uint64_t pmap_restrict(struct pmap *pmap, uint64_t start, uint64_t end, vm_prot_t allowed);
/* The frame mapped at address: false if none. */
bool pmap_lookup(struct pmap *pmap, uint64_t address, uint64_t *frame, vm_prot_t *protection);
/* Where the kernel finds size bytes that the map lets a user write at address, all in one page; NULL: there are none. */
void *pmap_writable(struct pmap *pmap, uint64_t address, uint64_t size);
/* True: address is mapped, and may be written. */
bool pmap_is_writable(struct pmap *pmap, uint64_t address);
/* True if a hardware dirty/accessed bit is set; not cleared. */
bool pmap_modified(struct pmap *pmap, uint64_t address);
/* True when the CPU's address space is this one: user addresses reach it. */
bool pmap_is_current(const struct pmap *pmap);
/* The kernel's own address space: no user half. */
extern struct pmap kernel_pmap;

#endif
