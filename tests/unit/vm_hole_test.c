/* SPDX-License-Identifier: BSD-2-Clause */
/* Giving back: what was given can be given back as it was given, in any order, without needing
   anything (P2).

   SOURCES: mem vm */
#include "support/vm_test.h"

#define PAGES 4096

static struct ledger *ledger;

/* Deallocates with the next allocation or charge denied; true: it worked and asked for nothing. */
static bool give_back(struct vm_map *map, uint64_t address, uint64_t pages)
{
	uint64_t calls = host_fail_calls;
	bool good;

	host_fail_nth(1);
	good = vm_map_deallocate(map, address, pages * PAGE_SIZE) == KERN_SUCCESS &&
	       host_fail_calls == calls;
	host_fail_nth(0);
	return good;
}

static void single_pages(bool touch)
{
	struct vm_map *map = test_map(ledger);
	static uint64_t at[PAGES];

	claim_begin("every second of %d single pages goes without needing anything%s", PAGES,
		    touch ? ", touched" : "");
	for (unsigned i = 0; i < PAGES; i++) {
		at[i] = test_allocate(map, 1);
		claim(i == 0 || at[i] == at[i - 1] + PAGE_SIZE, "not side by side");
		if (touch)
			test_poke(map, at[i], i);
	}
	claim(map->entry_count == PAGES, "entries of different calls were joined");
	for (unsigned i = 0; i < PAGES; i += 2)
		claim(give_back(map, at[i], 1), "page %u", i);
	for (unsigned i = 1; i < PAGES; i += 2)
		claim(!touch || test_peek(map, at[i]) == i, "page %u changed", i);
	vm_map_check(map);
	claim_end();
	is_u64(host_used(ledger, LEDGER_VIRTUAL_PAGES), PAGES / 2, "half of the pages are charged");
	is_u64(test_allocate(map, 1), at[0], "the lowest hole is found");
	is_u64(test_allocate(map, 2), at[PAGES - 1] + PAGE_SIZE,
	       "what does not fit into holes goes behind");
	claim_begin("the rest goes too");
	for (unsigned i = 1; i < PAGES; i += 2)
		claim(give_back(map, at[i], 1), "page %u", i);
	claim(give_back(map, at[0], 1) && give_back(map, at[PAGES - 1] + PAGE_SIZE, 2),
	      "the later ones");
	claim_end();
	is_u64(map->entry_count, 0, "nothing is mapped");
	test_map_end(map);
	reap_all();
	ok(test_empty(ledger), "nothing is charged");
}

static void one_range(void)
{
	struct vm_map *map = test_map(ledger);
	uint64_t base = test_allocate(map, PAGES);

	for (unsigned i = 0; i < PAGES; i++)
		test_poke(map, base + i * PAGE_SIZE, i);
	claim_begin("every second page of one range of %d: a hole costs one entry", PAGES);
	for (unsigned i = 1; i < PAGES - 1; i += 2) {
		host_fail_nth(1);
		claim(vm_map_deallocate(map, base + i * PAGE_SIZE, PAGE_SIZE) ==
			      KERN_RESOURCE_SHORTAGE,
		      "not denied");
		host_fail_nth(0);
		claim(test_peek(map, base + i * PAGE_SIZE) == i, "a denied call changed page %u",
		      i);
		claim(vm_map_deallocate(map, base + i * PAGE_SIZE, PAGE_SIZE) == KERN_SUCCESS,
		      "hole %u", i);
	}
	claim(map->entry_count == PAGES / 2, "%u entries", map->entry_count);
	vm_map_check(map);
	vm_object_check(vm_map_lookup(map, base)->object);
	claim_end();
	is_u64(host_used(ledger, LEDGER_RESIDENT_PAGES), PAGES / 2 + 1,
	       "the holes' pages are free");
	ok(host_audit(), "the audit agrees");
	claim_begin("what is left is as it was");
	for (unsigned i = 0; i < PAGES; i += 2)
		claim(test_peek(map, base + i * PAGE_SIZE) == i, "page %u", i);
	claim_end();
	ok(give_back(map, base, PAGES),
	   "the range goes in one call as it was given, needing nothing");
	is_u64(map->entry_count, 0, "nothing is mapped");
	test_map_end(map);
	reap_all();
	ok(test_empty(ledger), "nothing is charged");
}

static void ends(void)
{
	struct vm_map *map = test_map(ledger);
	uint64_t base = test_allocate(map, 100), next = test_allocate(map, 10);

	for (unsigned i = 0; i < 100; i++)
		test_poke(map, base + i * PAGE_SIZE, i);
	ok(give_back(map, base, 10) && give_back(map, base + 90 * PAGE_SIZE, 10),
	   "cutting ends off needs nothing");
	ok(give_back(map, base + 80 * PAGE_SIZE, 25),
	   "a tail, a gap and a head of the next range too");
	is_u64(test_peek(map, base + 10 * PAGE_SIZE), 10, "the rest stays (head)");
	is_u64(test_peek(map, base + 79 * PAGE_SIZE), 79, "the rest stays (tail)");
	is_u64(vm_map_lookup(map, next + 5 * PAGE_SIZE)->start, next + 5 * PAGE_SIZE,
	       "the next range lost its head");
	is_u64(host_used(ledger, LEDGER_RESIDENT_PAGES), 70, "the cut pages are free");
	is_u64(vm_map_deallocate(map, base, PAGE_SIZE), KERN_INVALID_ADDRESS,
	       "twice is an invalid address");
	is_u64(vm_map_deallocate(map, UINT64_MAX - 100, 4096), KERN_INVALID_ADDRESS,
	       "so is a range that wraps");
	test_map_end(map);
	reap_all();
	ok(test_empty(ledger), "nothing is charged");
}

static void split_and_join(void)
{
	struct vm_map *map = test_map(ledger);
	uint64_t base = test_allocate(map, 30);

	test_poke(map, base, 1);
	vm_map_protect(map, base + 10 * PAGE_SIZE, 10 * PAGE_SIZE, false, VM_PROT_READ);
	is_u64(map->entry_count, 3, "protecting the middle makes three pieces");
	ok(test_poke(map, base + 10 * PAGE_SIZE, 1) == KERN_PROTECTION_FAILURE,
	   "which cannot be written");
	vm_map_protect(map, base + 10 * PAGE_SIZE, 10 * PAGE_SIZE, false, VM_PROT_DEFAULT);
	is_u64(map->entry_count, 1, "equal pieces of one range are joined again");
	is_u64(host_used(ledger, LEDGER_ENTRIES), 1, "and their entries refunded");
	ok(test_poke(map, base + 10 * PAGE_SIZE, 1) == KERN_SUCCESS, "and written");
	vm_map_protect(map, base + PAGE_SIZE, PAGE_SIZE, false, VM_PROT_READ);
	host_fail_nth(1);
	is_u64(vm_map_inherit(map, base + 20 * PAGE_SIZE, PAGE_SIZE, VM_INHERIT_NONE),
	       KERN_RESOURCE_SHORTAGE, "a split may be denied");
	host_fail_nth(2);
	is_u64(vm_map_inherit(map, base + 20 * PAGE_SIZE, PAGE_SIZE, VM_INHERIT_NONE),
	       KERN_RESOURCE_SHORTAGE, "the second one too");
	host_fail_nth(0);
	is_u64(map->entry_count, 3, "and has changed nothing");
	ok(give_back(map, base, 30), "pieces go as one range without needing anything");
	test_map_end(map);
	ok(test_empty(ledger), "nothing is charged");
}

static void limits(void)
{
	struct vm_map *map = test_map(ledger);
	uint64_t at = 0x100000, mask = 0;

	is_u64(vm_map_allocate(map, &at, 2 * PAGE_SIZE, false), KERN_SUCCESS, "a fixed address");
	is_u64(vm_map_allocate(map, &at, PAGE_SIZE, false), KERN_NO_SPACE, "which is taken then");
	at = USER_ADDRESS_MAX;
	is_u64(vm_map_allocate(map, &at, PAGE_SIZE, false), KERN_INVALID_ADDRESS,
	       "the end of user space");
	is_u64(vm_map_allocate(map, &at, USER_ADDRESS_MAX, true), KERN_NO_SPACE,
	       "more than user space");
	is_u64(vm_map_allocate(map, &at, UINT64_MAX, true), KERN_NO_SPACE,
	       "as much as a size can say");
	map->size_limit = 3 * PAGE_SIZE;
	is_u64(vm_map_allocate(map, &at, 2 * PAGE_SIZE, true), KERN_NO_SPACE, "the size limit");
	is_u64(vm_map_allocate(map, &at, PAGE_SIZE, true), KERN_SUCCESS, "up to the size limit");
	map->size_limit = UINT64_MAX;
	claim_begin("an alignment mask is kept to");
	for (unsigned bits = 13; bits < 40; bits++) {
		mask = (1ull << bits) - 1;
		claim(vm_map_enter(map, &at, PAGE_SIZE, mask, true, NULL, 0, false, VM_PROT_READ,
				   VM_PROT_ALL, VM_INHERIT_COPY) == KERN_SUCCESS &&
			      (at & mask) == 0,
		      "%u bits: %lx", bits, (long)at);
	}
	mask = 0xffffffff80000000;
	claim(vm_map_enter(map, &at, PAGE_SIZE, mask, true, NULL, 0, false, VM_PROT_READ,
			   VM_PROT_ALL, VM_INHERIT_COPY) == KERN_SUCCESS &&
		      (at & mask) == 0,
	      "high bits: %lx", (long)at);
	mask = 0x5000;
	claim(vm_map_enter(map, &at, PAGE_SIZE, mask, true, NULL, 0, false, VM_PROT_READ,
			   VM_PROT_ALL, VM_INHERIT_COPY) == KERN_SUCCESS &&
		      (at & mask) == 0,
	      "scattered bits: %lx", (long)at);
	claim_end();
	vm_map_check(map);
	test_map_end(map);
	ok(test_empty(ledger), "nothing is charged");
}

int main(void)
{
	tap_begin("vm_hole_test");
	host_memory(32768, 16384);
	vm_init();
	ledger = test_ledger("holes");
	single_pages(false);
	single_pages(true);
	one_range();
	ends();
	split_and_join();
	limits();
	ok(host_audit(), "the audit agrees in the end");
	return tap_done();
}
