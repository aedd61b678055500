/* SPDX-License-Identifier: BSD-2-Clause */
/* Pages: the frame table, and who holds each frame. All RAM is mapped directly; everything is one page. */
#ifndef MEM_PAGE_H
#define MEM_PAGE_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/vm_param.h>
#include "mem/ledger.h"
#include "x86_64/machine.h"

enum page_kind {
	PAGE_FREE, PAGE_SLAB,
	PAGE_KERNEL,			/* page tables, message bodies: LEDGER_KPAGES */
	PAGE_USER,			/* of a vm object: LEDGER_RESIDENT_PAGES */
};

struct page {
	void *owner;			/* PAGE_USER: struct vm_object; PAGE_KERNEL: the paying struct ledger; PAGE_SLAB: zone */
	uint64_t offset;		/* PAGE_USER: page index in the object */
	uint32_t next, prev;		/* frame numbers; 0 ends a list */
	uint16_t wire;
	uint8_t kind;
	uint8_t zeroed;			/* PAGE_FREE: it holds zeros only */
	uint32_t count;			/* page tables: live slots */
};
_Static_assert(sizeof(struct page) == 32, "frame table entry");

/* Frames [0, frames): a table at `table`, whose contents do not matter (fresh.h). None is the allocator's before
   page_add_free. */
void page_init(struct page *table, uint64_t frames);
void page_add_free(uint64_t first_frame, uint64_t frames);
uint64_t page_frames_total(void);	/* ever given to page_add_free */
uint64_t page_frames_free(void);
extern struct page *page_table;		/* of the frames, by number */
static inline struct page *page_of_frame(uint64_t frame)
{
	return &page_table[frame];
}
static inline uint64_t page_frame(const struct page *page)
{
	return (uint64_t)(page - page_table);
}
/* The direct map's address of the page. */
static inline void *page_address(const struct page *page)
{
	return phys_to_virt(page_frame(page) << PAGE_SHIFT);
}
static inline struct page *page_of_address(const void *address)
{
	return page_of_frame(virt_to_phys(address) >> PAGE_SHIFT);
}

/* A page for the kernel (page table, message body), charged as LEDGER_KPAGES, within the zone map; contents undefined,
   or (zeroed) zeros. NULL: denied. The payer is kept in page->owner. */
struct page *kpage_alloc_at(struct ledger *payer, bool zeroed, const struct alloc_site *site);
#define kpage_alloc(payer) kpage_alloc_at(payer, false, ALLOC_SITE())
#define kpage_alloc_zeroed(payer) kpage_alloc_at(payer, true, ALLOC_SITE())
void kpage_free(struct page *page);
/* The same of a page that holds nothing but zeros: it need not be cleared when zeros are asked for. */
void kpage_free_zeroed(struct page *page);
/* A page for user memory, charged as LEDGER_RESIDENT_PAGES; contents undefined, or (zeroed) zeros; owner and offset are the
   caller's to set. */
struct page *frame_alloc_at(struct ledger *payer, bool zeroed, const struct alloc_site *site);
#define frame_alloc(payer) frame_alloc_at(payer, false, ALLOC_SITE())
#define frame_alloc_zeroed(payer) frame_alloc_at(payer, true, ALLOC_SITE())
void frame_free(struct page *page, struct ledger *payer);
/* Turns a boot page (of a module) into a user page, charged unrefused to payer, or (payer NULL) into a free one. It counts
   as RAM of the allocator from then on. */
void frame_adopt(struct page *page, struct ledger *payer);
/* A page for a slab: no charge. The caller has asked page_fits; NULL all the same when things were moved, unrefused, beyond
   what guarantees had left (ledger.c): nothing is recorded. */
struct page *page_alloc_slab(void *zone);
void page_free_slab(struct page *page);

/* Whether this many more pages for slabs or the kernel, and for users, fit beside all that is charged and guaranteed.
   last: the reserve counts too. False: *shortage tells what is short, the zone map or RAM. */
bool page_fits(uint64_t zone_map_pages, uint64_t user_pages, bool last, struct ledger_shortage *shortage);

/* The same for kernel and user pages that are charged next, and sets anew what may be charged without asking
   (ledger_backed). */
bool page_back(uint64_t kernel_pages, uint64_t user_pages, bool last, struct ledger_shortage *shortage);

/* The shortage when a page that fits is not there: one page of RAM. */
void page_shortage(struct ledger_shortage *shortage);

struct page_counts { uint64_t total, free, slab, kernel, user, reserve; };
void page_count(struct page_counts *counts);
/* The most pages that the zone map or RAM (LEDGER_ZONE_MAP, LEDGER_RAM) ever had charged and promised. */
uint64_t page_peak(unsigned resource);
/* Frames of the table, those never given to the allocator included. */
uint64_t page_frames_all(void);
/* The level of memory pressure, 0 (none) to 3, of RAM or the zone map, whichever is worse. With hysteresis. */
unsigned mem_pressure(void);
/* Looks at the levels again. */
void mem_pressure_update(void);

#endif
