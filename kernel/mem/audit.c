/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit: all accounts recounted by walking the objects. */
/*
 * Theory. Every thing that a ledger counts is an element of a zone, a frame, or a virtual page of
 * a map entry, and each of them knows who pays for it. So the audit forgets the accounts, counts
 * what each ledger pays for by itself, and carries it up the tree by the rule of ledger.c (a
 * parent counts the larger of its child's used and guarantee, when slack is settled). ledger_list has children before
 * their parents, so one pass does. Bytes follow from the things. Then pages: each frame of the
 * allocator is free, a slab's, the kernel's or a user's, and the sums must be those of the allocator;
 * a slab page is live elements, free elements and the rest of the page, which zone_check adds up.
 */
#include "mem/audit.h"
#include "kern/printf.h"
#include "kern/string.h"
#include "mem/fresh.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

#define FRAMES_PIECE 1024	/* looked at before interrupts get a window */

struct audit_hooks audit_hooks;

/* A walk over one zone. */
struct walk {
	struct zone *zone;
	const void *bad;		/* the first element without a payer */
};

static void forget(void)
{
	struct ledger *ledger;

	LIST_FOREACH(ledger, &ledger_list, all)
		memset(ledger->audit, 0, sizeof(ledger->audit));
}

static bool count_element(void *element, void *context)
{
	struct walk *walk = context;
	struct ledger *payer = walk->zone->payer(element);

	if (payer == NULL) {
		walk->bad = element;
		return false;
	}
	payer->audit[walk->zone->resource]++;
	if (walk->zone->resource == LEDGER_ENTRIES && audit_hooks.entry_virtual_pages != NULL)
		payer->audit[LEDGER_VIRTUAL_PAGES] += audit_hooks.entry_virtual_pages(element);
	return true;
}

static bool count_zones(char *text, size_t size, uint64_t *slabs)
{
	struct walk walk;
	struct zone *zone;

	*slabs = 0;
	LIST_FOREACH(zone, &zone_list, all) {
		zone_check(zone);
		*slabs += zone->slabs;
		walk = (struct walk){.zone = zone};
		zone_walk(zone, count_element, &walk);
		if (walk.bad != NULL) {
			snprintf(text, size, "zone %s: element %p has no payer", zone->name, walk.bad);
			return false;
		}
	}
	return true;
}

static bool count_frame(const struct page *page, struct page_counts *found)
{
	struct ledger *payer = NULL;

	switch (page->kind) {
	case PAGE_FREE:
		found->free++;
		return true;
	case PAGE_SLAB:
		found->slab++;
		return true;
	case PAGE_KERNEL:
		found->kernel++;
		payer = page->owner;
		if (payer != NULL)
			payer->audit[LEDGER_KPAGES]++;
		return payer != NULL;
	case PAGE_USER:
		found->user++;
		if (audit_hooks.page_user_payer != NULL)
			payer = audit_hooks.page_user_payer(page);
		if (payer != NULL)
			payer->audit[LEDGER_RESIDENT_PAGES]++;
		return payer != NULL;
	default:
		return false;
	}
}

static bool same(char *text, size_t size, const char *what, uint64_t found, uint64_t counted)
{
	if (found == counted)
		return true;
	snprintf(text, size, "%s: %llu found, %llu on the books", what, (unsigned long long)found,
		 (unsigned long long)counted);
	return false;
}

static bool count_frames(char *text, size_t size, uint64_t slabs)
{
	struct page_counts found = {0}, counted;
	const struct fresh_stretch *stretch;

	for (unsigned i = 0; (stretch = fresh_stretch(i)) != NULL; i++) {
		found.free += stretch->end - stretch->next;
		for (uint64_t frame = stretch->first; frame < stretch->next; frame++) {
			if (frame % FRAMES_PIECE == 0)
				machine_window();
			if (count_frame(page_of_frame(frame), &found))
				continue;
			snprintf(text, size, "frame %llu: no payer for a page of kind %u", (unsigned long long)frame,
				 page_of_frame(frame)->kind);
			return false;
		}
	}
	page_count(&counted);
	return same(text, size, "free pages", found.free, counted.free) &&
	       same(text, size, "slab pages", found.slab, counted.slab) &&
	       same(text, size, "slab pages of zones", found.slab, slabs) &&
	       same(text, size, "kernel pages", found.kernel, counted.kernel) &&
	       same(text, size, "user pages", found.user, counted.user) &&
	       same(text, size, "pages of RAM", found.free + found.slab + found.kernel + found.user, counted.total);
}

static bool wrong(char *text, size_t size, const struct ledger *ledger, const char *what, uint64_t found,
		  uint64_t counted)
{
	snprintf(text, size, "ledger %s (%u): %s: %llu found, %llu on the books", ledger->name, ledger->id, what,
		 (unsigned long long)found, (unsigned long long)counted);
	return false;
}

static bool compare_ledger(struct ledger *ledger, char *text, size_t size)
{
	uint64_t bytes = 0, claims;

	for (unsigned r = 0; r < LEDGER_KMEM; r++) {
		const struct ledger_account *account = &ledger->account[r];

		if (ledger->audit[r] != account->used)
			return wrong(text, size, ledger, ledger_resource_name(r), ledger->audit[r], account->used);
		claims = account->used > account->guarantee ? account->used : account->guarantee;
		if (ledger->parent != NULL && account->covers != claims)
			return wrong(text, size, ledger, "told to its parent", claims, account->covers);
		bytes += account->used * ledger_thing_bytes[r];
		if (ledger->parent != NULL)
			ledger->parent->audit[r] += claims;
	}
	if (bytes != ledger->account[LEDGER_KMEM].used)
		return wrong(text, size, ledger, ledger_resource_name(LEDGER_KMEM), bytes,
			     ledger->account[LEDGER_KMEM].used);
	return true;
}

bool ledger_audit(char *text, size_t size)
{
	struct ledger *ledger;
	uint64_t slabs;

	forget();
	ledger_settle();
	if (!count_zones(text, size, &slabs) || !count_frames(text, size, slabs))
		return false;
	LIST_FOREACH(ledger, &ledger_list, all) {
		if (!compare_ledger(ledger, text, size))
			return false;
	}
	if (size > 0)
		text[0] = 0;
	return true;
}
