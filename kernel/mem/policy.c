/* SPDX-License-Identifier: BSD-2-Clause */
/* policy=mach: the kernel without its protection, to see what a flood does to it (make duel). */
/*
 * Two switches, looked at only where a refusal is about to happen:
 *
 *  - ledgers count, and refuse nothing;
 *  - where no memory is left to take back, zalloc panics. Mach's did when the zone map was exhausted
 *    ("panic: zalloc failed: zone map exhausted"), and when a zone that was not exhaustible had reached
 *    its maximum.
 *
 * All else is Weir: what a thing costs, what is given back before anything is short, CPU shares,
 * guarantees (one that does not fit is still denied: Mach had none).
 *
 * RAM is another matter. For a user's page, and in kmem_alloc_wired for the zone map's own pages, Mach
 * waited until its pager had made one free (vm_page_wait). When all memory is the flood's, and there is
 * nothing to page to, no page comes: every thread that touches a new page sleeps, the servers' too,
 * and the machine hangs; so today's GNU Mach ends (docs/floods.md). A hang and a dead watchdog tell
 * nobody why. So this panic stands for that hang, and says so.
 *
 * A dead ledger goes on to refuse (it is being taken apart, not full), and so does fail-nth.
 */
#include "mem/policy.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/ledger.h"
#include "mem/zone.h"

bool policy_ledgers_count_only, policy_zalloc_panics;

bool policy_choose(const char *name, size_t length)
{
	bool mach = length == 4 && strncmp(name, "mach", 4) == 0;

	policy_ledgers_count_only = policy_zalloc_panics = mach;
	return mach;
}

/* The zone of these things; pages have none and go by their resource's name. */
static const char *zone_name(unsigned resource)
{
	const struct zone *zone;

	LIST_FOREACH(zone, &zone_list, all) {
		if (zone->resource == resource)
			return zone->name;
	}
	return ledger_resource_name(resource);
}

void policy_zalloc_panic(unsigned resource, const struct ledger_shortage *shortage)
{
	const char *zone = zone_name(resource);

	if (resource == LEDGER_RESIDENT_PAGES)
		panic("vm_page_wait: memory exhausted, and no pager to wait for (Mach hangs here)");
	if (shortage->resource == LEDGER_ZONE_MAP)
		panic("zalloc failed: zone map exhausted (zone %s)", zone);
	if (shortage->resource == LEDGER_RAM)
		panic("zalloc failed: memory exhausted (zone %s; Mach hangs here)", zone);
	panic("zalloc failed: zone %s exhausted (%llu of %llu elements)", zone,
	      (unsigned long long)shortage->used, (unsigned long long)shortage->limit);
}
