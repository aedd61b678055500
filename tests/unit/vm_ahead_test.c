/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fault maps besides its page: only what is there, with the rights that it has, for nothing.

   SOURCES: mem vm */
#include "support/vm_test.h"

#define TABLE (512 * PAGE_SIZE) /* what a leaf table maps */

static struct ledger *ledger, *other;

/* count pages at an address, those with a bit set in `there` present. */
static void fill(struct vm_map *map, uint64_t at, uint64_t count, uint64_t there)
{
	if (vm_map_allocate(map, &at, count * PAGE_SIZE, false) != KERN_SUCCESS)
		panic("cannot allocate");
	for (uint64_t i = 0; i < count; i++)
		if (there >> i & 1)
			test_poke(map, at + i * PAGE_SIZE, 100 + i);
}

/* Hands [from, count pages) of a map over to another, where nothing of it is mapped yet. */
static uint64_t hand_over(struct vm_map *from, uint64_t at, uint64_t count, bool move, struct vm_map *to)
{
	struct vm_copy *copy;

	if (vm_copy_in(from, at, count * PAGE_SIZE, move, ledger, &copy) != KERN_SUCCESS ||
	    vm_copy_out(to, copy, &at) != KERN_SUCCESS)
		panic("cannot hand over");
	return at;
}

/* Bit i: page i from address on can be read (written). */
static uint64_t mapped(struct vm_map *map, uint64_t address, unsigned count, bool write)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < count; i++)
		bits |= (uint64_t)(host_user_page(&map->pmap, address + i * PAGE_SIZE, write) != NULL) << i;
	return bits;
}

static void end(struct vm_map *a, struct vm_map *b, const char *what)
{
	vm_map_check(a);
	test_map_end(a);
	if (b != NULL)
		test_map_end(b);
	reap_all();
	ok(host_audit(), "%s: the audit agrees", what);
	ok(test_empty(ledger) && test_empty(other), "%s: nothing is left", what);
}

static void sixteen_of_a_copy(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);
	uint64_t at, calls, tables;

	fill(a, TABLE, 64, UINT64_MAX);
	at = hand_over(a, TABLE, 64, false, b);
	is_u64(mapped(b, at, 64, false), 0, "nothing of a copy is mapped when it comes");
	test_peek(b, at + 20 * PAGE_SIZE);
	is_u64(mapped(b, at, 64, false), 0xffff0000, "one read maps the sixteen around it");
	is_u64(mapped(b, at, 64, true), 0, "none of them for writing");
	calls = host_fail_calls;
	tables = host_used(other, LEDGER_KPAGES);
	test_peek(b, at);
	is_u64(host_fail_calls, calls, "the next fault allocates nothing");
	is_u64(host_used(other, LEDGER_KPAGES), tables, "and charges nothing");
	test_poke(b, at + 21 * PAGE_SIZE, 7);
	is_u64(test_peek(b, at + 21 * PAGE_SIZE), 7, "a page mapped ahead is copied when it is written");
	is_u64(test_peek(a, TABLE + 21 * PAGE_SIZE), 121, "and its first owner keeps what it had");
	test_poke(a, TABLE + 22 * PAGE_SIZE, 8);
	is_u64(test_peek(b, at + 22 * PAGE_SIZE), 122, "nor is the owner's later write seen");
	end(a, b, "a copy");
}

static void own_pages_are_writable(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);
	uint64_t at;

	fill(a, TABLE, 16, 0xffff);
	at = hand_over(a, TABLE, 16, true, b);
	test_poke(b, at + 3 * PAGE_SIZE, 1);
	is_u64(mapped(b, at, 16, true), 0xffff, "a write to what was moved maps all of it for writing");
	vm_map_protect(b, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, false, VM_PROT_READ);
	is_u64(mapped(b, at, 16, true), 0xff, "vm_protect takes that away");
	end(a, b, "own pages");
}

static void only_what_is_there(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);
	uint64_t at, resident;

	fill(a, TABLE, 32, 0x00f0a5a5);
	at = hand_over(a, TABLE, 32, false, b);
	resident = host_used(ledger, LEDGER_RESIDENT_PAGES) + host_used(other, LEDGER_RESIDENT_PAGES);
	test_peek(b, at + 2 * PAGE_SIZE);
	is_u64(mapped(b, at, 32, false), 0xa5a5, "holes are left alone");
	is_u64(host_used(ledger, LEDGER_RESIDENT_PAGES) + host_used(other, LEDGER_RESIDENT_PAGES), resident,
	       "no page was made for them");
	test_peek(b, at + PAGE_SIZE);
	is_u64(mapped(b, at, 32, false), 0xa5a7, "a page of zeros is made alone");
	is_u64(test_peek(b, at + 4 * PAGE_SIZE), 0, "a hole reads as zeros");
	end(a, b, "holes");
}

static void ends_of_entries(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);
	uint64_t at;

	fill(a, TABLE, 32, UINT32_MAX);
	at = hand_over(a, TABLE, 32, false, b);
	vm_map_protect(b, at + 4 * PAGE_SIZE, 2 * PAGE_SIZE, false, VM_PROT_NONE);
	vm_map_deallocate(b, at + 9 * PAGE_SIZE, PAGE_SIZE);
	test_peek(b, at + 7 * PAGE_SIZE);
	is_u64(mapped(b, at, 32, false), 0x1c0, "not beyond the entry, to other rights or to a hole");
	test_peek(b, at);
	is_u64(mapped(b, at, 32, false), 0x1cf, "in front of them too");
	test_peek(b, at + 12 * PAGE_SIZE);
	is_u64(mapped(b, at, 32, false), 0xfdcf, "behind them");
	is_u64(vm_fault(b, at + 4 * PAGE_SIZE, VM_PROT_READ), KERN_PROTECTION_FAILURE, "no access stays none");
	end(a, b, "ends");
}

static void parts_of_a_chain(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);

	fill(a, TABLE, 16, 0x0fff);
	vm_map_fork(a, b);
	/* b's own: 0, 1; the rest below. Unmapped, and found again. */
	test_poke(b, TABLE, 7);
	test_poke(b, TABLE + PAGE_SIZE, 8);
	vm_map_protect(b, TABLE, 16 * PAGE_SIZE, false, VM_PROT_NONE);
	is_u64(mapped(b, TABLE, 16, false), 0, "nothing is mapped without rights");
	vm_map_protect(b, TABLE, 16 * PAGE_SIZE, false, VM_PROT_DEFAULT);
	test_peek(b, TABLE + 5 * PAGE_SIZE);
	is_u64(mapped(b, TABLE, 16, false), 0x0fff, "own pages and those below are mapped together");
	is_u64(mapped(b, TABLE, 16, true), 3, "its own only for writing");
	is_u64(test_peek(b, TABLE + PAGE_SIZE), 8, "what hides is seen");
	is_u64(test_peek(b, TABLE + 2 * PAGE_SIZE), 102, "and what is hidden by nothing");
	end(a, b, "a chain");
}

static void sharers(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other), *old = test_map(ledger);

	fill(a, TABLE, 16, 0xffff);
	vm_map_fork(a, old);
	vm_map_inherit(a, TABLE, 16 * PAGE_SIZE, VM_INHERIT_SHARE);
	vm_map_fork(a, b);
	is_u64(mapped(a, TABLE, 16, false), 0, "who comes to share maps no page below any more");
	test_peek(b, TABLE);
	is_u64(mapped(b, TABLE, 16, false), 1, "a sharer maps the shared object's pages only: a copy of the one that it reads");
	test_poke(a, TABLE + 9 * PAGE_SIZE, 5);
	test_poke(a, TABLE + 10 * PAGE_SIZE, 6);
	is_u64(test_peek(b, TABLE + 9 * PAGE_SIZE), 5, "another's write is seen");
	is_u64(mapped(b, TABLE, 16, false), 0x601, "and mapped, with what else has been written");
	is_u64(test_peek(old, TABLE + 9 * PAGE_SIZE), 109, "but by the sharers only");
	test_map_end(old);
	end(a, b, "sharers");
}

/* The entry goes on in a second table, which the ledger would not give. */
static void ends_of_tables(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);
	uint64_t at = 2 * TABLE - 8 * PAGE_SIZE, size;

	fill(a, at, 16, 0xffff);
	vm_map_fork(a, b);
	size = host_used(other, LEDGER_KPAGES);
	ledger_limit(other, LEDGER_KPAGES, size + 3);
	test_peek(b, at + 2 * PAGE_SIZE);
	is_u64(mapped(b, at, 16, false), 0xff, "no further than the table");
	is_u64(host_used(other, LEDGER_KPAGES), size + 3, "which is all that was taken");
	is_u64(vm_fault(b, at + 8 * PAGE_SIZE, VM_PROT_READ), KERN_RESOURCE_SHORTAGE, "the next is denied");
	ledger_limit(other, LEDGER_KPAGES, LEDGER_UNLIMITED);
	test_peek(b, at + 8 * PAGE_SIZE);
	is_u64(mapped(b, at, 16, false), 0xffff, "until there is room");
	is_u64(vm_map_deallocate(b, at, 16 * PAGE_SIZE), KERN_SUCCESS, "deallocated");
	is_u64(host_used(other, LEDGER_KPAGES), size, "the tables come back with the last page");
	end(a, b, "tables");
}

/* Entries that nothing is mapped of leave the page tables alone; those that know it wrongly would leave a page mapped. */
static void what_entries_know(void)
{
	struct vm_map *a = test_map(ledger), *b = test_map(other);
	uint64_t at;

	fill(a, TABLE, 48, (1ull << 48) - 1);
	at = hand_over(a, TABLE, 48, false, b);
	ok(!vm_map_lookup(b, at)->mapped, "a region received is not mapped");
	test_peek(b, at + 32 * PAGE_SIZE);
	vm_map_protect(b, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, false, VM_PROT_READ);
	vm_map_protect(b, at + 8 * PAGE_SIZE, 8 * PAGE_SIZE, false, VM_PROT_DEFAULT);
	is_u64(b->entry_count, 1, "cut, and joined again");
	vm_map_deallocate(b, at + 24 * PAGE_SIZE, 16 * PAGE_SIZE);
	is_u64(mapped(b, at, 48, false), 0xff0000000000, "a part that goes is unmapped");
	vm_map_deallocate(b, at, 48 * PAGE_SIZE);
	is_u64(mapped(b, at, 48, false) + b->pmap.tables, 0, "so is the rest");
	end(a, b, "knowledge");
}

int main(void)
{
	tap_begin("vm_ahead_test");
	host_memory(8192, 4096);
	vm_init();
	ledger = test_ledger("ledger");
	other = test_ledger("other");
	sixteen_of_a_copy();
	own_pages_are_writable();
	only_what_is_there();
	ends_of_entries();
	parts_of_a_chain();
	sharers();
	ends_of_tables();
	what_entries_know();
	return tap_done();
}
