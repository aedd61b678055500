/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's machine for unit tests of mem, vm and ipc. */
#include "host.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "kern/assert.h"
#include "kern/ast.h"
#include "kern/string.h"
#include "mem/audit.h"
#include "mem/page.h"
#include "mem/radix.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "tap.h"
#include "x86_64/machine.h"

uint64_t host_direct_map_base;
bool host_fail_fired;
const struct alloc_site *host_fail_site;
uint64_t host_fail_calls;
uint64_t host_denials;
struct ledger_denial host_denial;
unsigned host_pressure;
uint64_t host_marks;
static uint64_t fail_countdown;

void host_memory(uint64_t pages, uint64_t zone_map_pages)
{
	void *memory = mmap(NULL, pages * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct page *table = malloc(pages * sizeof(*table));

	if (memory == MAP_FAILED || table == NULL)
		panic("host_memory: no memory");
	/* As after a warm start: what the RAM held before looks like pages in use. */
	for (uint64_t i = 0; i < pages; i++)
		table[i] = (struct page){.owner = &table[i], .next = 1, .kind = PAGE_USER, .wire = 1, .count = 1};
	host_direct_map_base = (uint64_t)(uintptr_t)memory;
	mem_fail_enabled = true;
	page_init(table, pages);
	page_add_free(1, pages - 1);
	zone_map_init(zone_map_pages);
	ledger_system_init();
	radix_system_init();
}

void host_fail_nth(uint64_t n)
{
	fail_countdown = n;
	host_fail_fired = false;
	host_fail_site = NULL;
}

__attribute__((weak)) bool mem_fail_nth(const struct alloc_site *site)
{
	host_fail_calls++;
	if (fail_countdown == 0 || --fail_countdown != 0)
		return false;
	host_fail_fired = true;
	host_fail_site = site;
	return true;
}

__attribute__((weak)) void mem_denied(const struct ledger_denial *denial)
{
	host_denials++;
	host_denial = *denial;
}

__attribute__((weak)) void mem_pressure_changed(unsigned level)
{
	host_pressure = level;
}

__attribute__((weak)) void mem_mark_reached(struct ledger *ledger)
{
	(void)ledger;
	host_marks++;
}

__attribute__((weak)) void mem_spares_return(void)
{
}

__attribute__((weak)) void mem_deferred(void)
{
}

void ast_set(void)
{
}

__attribute__((weak)) uint64_t clock_uptime_ns(void)
{
	static uint64_t ns;

	return ++ns;
}

_Noreturn void panic(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "panic: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n# SEED=%llu\n", (unsigned long long)tap_seed);
	abort();
}

size_t host_strlcpy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);

	if (size != 0) {
		size_t n = length < size ? length : size - 1;

		memcpy(to, from, n);
		to[n] = 0;
	}
	return length;
}

uint64_t host_used(const struct ledger *ledger, unsigned resource)
{
	ledger_settle();
	return ledger->account[resource].used;
}

bool host_audit(void)
{
	static char text[256];

	if (ledger_audit(text, sizeof(text)))
		return true;
	diag("audit: %s", text);
	return false;
}

char *host_snapshot(void)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct page_counts pages;
	struct ledger *ledger;
	struct zone *zone;

	ledger_settle();
	LIST_FOREACH(ledger, &ledger_list, all) {
		fprintf(out, "ledger %s %u dead %d\n", ledger->name, ledger->id, ledger->dead);
		for (unsigned r = 0; r < LEDGER_RESOURCES; r++) {
			const struct ledger_account *a = &ledger->account[r];

			fprintf(out, "ledger %s %u %s used %lu peak %lu limit %lu guarantee %lu\n", ledger->name,
				ledger->id, ledger_resource_name(r), (unsigned long)a->used, (unsigned long)a->peak,
				(unsigned long)a->limit, (unsigned long)a->guarantee);
		}
	}
	LIST_FOREACH(zone, &zone_list, all)
		fprintf(out, "zone %s count %lu peak %lu allocs %lu\n", zone->name, (unsigned long)zone_count(zone),
			(unsigned long)zone->peak, (unsigned long)zone->allocs);
	page_count(&pages);
	fprintf(out, "pages kernel %lu user %lu total %lu\n", (unsigned long)pages.kernel, (unsigned long)pages.user,
		(unsigned long)pages.total);
	fclose(out);
	return text;
}

bool host_unchanged(char *snapshot)
{
	char *now = host_snapshot();
	bool same = strcmp(now, snapshot) == 0;
	size_t at = 0, line = 0;

	for (; !same && snapshot[at] != 0 && snapshot[at] == now[at]; at++) {
		if (snapshot[at] == '\n')
			line = at + 1;
	}
	if (!same)
		diag("before: %.*s\n#    now: %.*s", (int)strcspn(snapshot + line, "\n"), snapshot + line,
		     (int)strcspn(now + line, "\n"), now + line);
	free(now);
	free(snapshot);
	return same;
}
