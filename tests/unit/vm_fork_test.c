/* SPDX-License-Identifier: BSD-2-Clause */
/* Generations of copies: chains of shadows stay short and leave nothing behind.

   SOURCES: mem vm */
#include "support/vm_test.h"

#define PAGES       8
#define GENERATIONS 5000

static struct ledger *ledger;
static struct vm_map *all[GENERATIONS];
static uint64_t base;

static struct vm_map *child_of(struct vm_map *parent)
{
	struct vm_map *child = test_map(ledger);

	if (vm_map_fork(parent, child) != KERN_SUCCESS)
		panic("fork denied");
	return child;
}

static struct vm_map *first_map(void)
{
	struct vm_map *map = test_map(ledger);

	base = test_allocate(map, PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		test_poke(map, base + i * PAGE_SIZE, i);
	return map;
}

static unsigned depth_of(struct vm_map *map)
{
	struct vm_entry *entry = vm_map_lookup(map, base);

	vm_map_check(map);
	for (struct vm_object *o = entry->object; o != NULL; o = o->shadow)
		vm_object_check(o);
	return vm_object_depth(entry->object);
}

static void end_and_audit(const char *what)
{
	reap_all();
	ok(host_audit(), "%s: the audit agrees", what);
	ok(test_empty(ledger), "%s: nothing is left charged", what);
}

static void chain_of_dying_parents(void)
{
	struct vm_map *map = first_map();

	claim_begin("a chain of %d generations whose parents die stays short", GENERATIONS);
	for (unsigned n = 0; n < GENERATIONS; n++) {
		struct vm_map *child = child_of(map);

		test_poke(child, base + n % PAGES * PAGE_SIZE, 1000 + n);
		test_map_end(map);
		map = child;
		claim(depth_of(map) <= 2, "generation %u: depth %u", n, depth_of(map));
		claim(host_used(ledger, LEDGER_RESIDENT_PAGES) <= 3 * PAGES,
		      "generation %u: %lu pages resident", n,
		      (long)host_used(ledger, LEDGER_RESIDENT_PAGES));
	}
	claim_end();
	claim_begin("the last one sees the last writes");
	for (unsigned n = GENERATIONS - PAGES; n < GENERATIONS; n++)
		claim(test_peek(map, base + n % PAGES * PAGE_SIZE) == 1000 + n, "page %u",
		      n % PAGES);
	claim_end();
	test_map_end(map);
	end_and_audit("dying parents");
}

static void chain_of_living_parents(unsigned writes, bool parents_write)
{
	struct vm_map *map = first_map();
	unsigned count = 0;

	claim_begin("a chain of %d generations that all live, %u writes each: no chain is too deep",
		    GENERATIONS, writes);
	for (; count < GENERATIONS; count++) {
		struct vm_map *child = child_of(map);

		for (unsigned w = 0; w < writes; w++)
			test_poke(child, base + (count + w) % PAGES * PAGE_SIZE, 1000 * w + count);
		if (parents_write)
			test_poke(map, base, 77);
		claim(depth_of(map) <= VM_SHADOW_DEPTH_MAX, "generation %u", count);
		all[count] = map;
		map = child;
	}
	claim_end();
	is_u64(test_peek(map, base + (count - 1) % PAGES * PAGE_SIZE), count - 1,
	       "the last child's own write is seen");
	claim_begin("each sees its own write, whatever the others wrote");
	for (unsigned n = 1; n < GENERATIONS && !parents_write; n++)
		claim(test_peek(all[n], base + (n - 1) % PAGES * PAGE_SIZE) == n - 1,
		      "generation %u", n);
	claim_end();
	/* They die in a mixed order. */
	for (unsigned n = 0; n < GENERATIONS; n++)
		test_map_end(all[(uint64_t)n * 2741 % GENERATIONS]);
	is_u64(test_peek(map, base + (count - 1) % PAGES * PAGE_SIZE), count - 1,
	       "the survivor still sees it");
	test_map_end(map);
	end_and_audit("living parents");
}

static void wide(void)
{
	struct vm_map *map = first_map();
	uint64_t most = 0;

	claim_begin("a parent of %d living children stays short", GENERATIONS);
	for (unsigned n = 0; n < GENERATIONS; n++) {
		uint64_t before = host_used(ledger, LEDGER_RESIDENT_PAGES), grown;

		all[n] = child_of(map);
		test_poke(map, base, 1000 + n);
		grown = host_used(ledger, LEDGER_RESIDENT_PAGES) - before;
		most = grown > most ? grown : most;
		claim(depth_of(map) <= VM_SHADOW_DEPTH_MAX, "child %u", n);
	}
	claim_end();
	ok(most <= PAGES + 2, "no fork cost more than one copy of the memory (%lu pages)",
	   (long)most);
	claim_begin("each child sees what was there when it was made");
	for (unsigned n = 0; n < GENERATIONS; n++)
		claim(test_peek(all[n], base) == (n == 0 ? 0 : 999 + n), "child %u", n);
	claim_end();
	for (unsigned n = 0; n < GENERATIONS; n++)
		test_map_end(all[n]);
	test_poke(map, base, 5);
	ok(host_used(ledger, LEDGER_RESIDENT_PAGES) <= 2 * PAGES,
	   "without children the parent's memory shrinks again");
	test_map_end(map);
	end_and_audit("wide");
}

static void tree(void)
{
	unsigned count = 1;

	all[0] = first_map();
	claim_begin("a binary tree of %d tasks, each writing: contents are their own", GENERATIONS);
	for (; count < GENERATIONS; count++) {
		all[count] = child_of(all[(count - 1) / 2]);
		test_poke(all[count], base + PAGE_SIZE, count);
		claim(depth_of(all[count]) <= VM_SHADOW_DEPTH_MAX, "task %u", count);
	}
	for (unsigned n = 1; n < count; n++)
		claim(test_peek(all[n], base + PAGE_SIZE) == n && test_peek(all[n], base) == 0,
		      "task %u", n);
	claim_end();
	for (unsigned n = 0; n < count; n++)
		test_map_end(all[(uint64_t)n * 2741 % GENERATIONS]);
	end_and_audit("tree");
}

static void payers(void)
{
	struct ledger *other = test_ledger("other");
	struct vm_map *a = first_map(), *b = test_map(other);

	vm_map_fork(a, b);
	ok(host_used(other, LEDGER_RESIDENT_PAGES) == 0, "the parent pays for what both see");
	test_map_end(a);
	is_u64(host_used(other, LEDGER_RESIDENT_PAGES), PAGES,
	       "when the parent dies the child's ledger pays");
	is_u64(host_used(other, LEDGER_OBJECTS), 1, "for the object too");
	ok(test_empty(ledger), "and the parent's for nothing");
	ok(host_audit(), "payers: the audit agrees");
	test_map_end(b);
	ok(test_empty(other), "in the end nobody pays");
}

/* A write that hides a page which many see concerns nobody but the writer, and all see it. */
static void sharers(void)
{
	struct vm_map *map = first_map(), *copy = child_of(map);
	uint64_t at = base + 3 * PAGE_SIZE, windows;
	unsigned count = 200;

	test_poke(map, base, 100);
	for (unsigned i = 0; i < PAGES; i++)
		test_peek(map, base + i * PAGE_SIZE);
	vm_map_inherit(map, base, PAGES * PAGE_SIZE, VM_INHERIT_SHARE);
	for (unsigned n = 0; n < count; n++) {
		all[n] = child_of(map);
		if (n % 3 != 0)
			test_peek(all[n], at);
	}
	test_peek(map, at);
	windows = host_windows;
	test_poke(all[7], at, 33);
	is_u64(host_windows, windows, "a write beside %u sharers goes through none of them", count);
	claim_begin("each of them sees it");
	for (unsigned n = 0; n < count; n++)
		claim(test_peek(all[n], at) == 33, "sharer %u", n);
	claim(test_peek(map, at) == 33, "the first");
	claim_end();
	test_poke(map, at + PAGE_SIZE, 44);
	test_poke(all[9], base + 6 * PAGE_SIZE, 66);
	claim_begin("and writes to others that have been mapped or not");
	for (unsigned n = 0; n < count; n++)
		claim(test_peek(all[n], at + PAGE_SIZE) == 44 && test_peek(all[n], base + 6 * PAGE_SIZE) == 66 &&
		      test_peek(all[n], base) == 100 && test_peek(all[n], base + 7 * PAGE_SIZE) == 7, "sharer %u", n);
	claim(test_peek(map, base + 6 * PAGE_SIZE) == 66, "the first");
	claim_end();
	claim_begin("the copy is as it was");
	for (unsigned i = 0; i < PAGES; i++)
		claim(test_peek(copy, base + i * PAGE_SIZE) == i, "page %u", i);
	claim_end();
	ok(host_used(ledger, LEDGER_RESIDENT_PAGES) <= 2 * PAGES, "no page is there more than twice");
	for (unsigned n = 0; n < count; n++)
		test_map_end(all[n]);
	test_map_end(copy);
	test_map_end(map);
	end_and_audit("sharers");
}

/* Wired memory that comes to be shared stays mapped. */
static void wired_sharer(void)
{
	struct vm_map *map = first_map(), *copy = child_of(map), *child;

	test_poke(map, base, 100);
	if (vm_map_wire(map, base, PAGES * PAGE_SIZE, VM_PROT_READ, UINT64_MAX) != KERN_SUCCESS)
		panic("cannot wire");
	vm_map_inherit(map, base, PAGES * PAGE_SIZE, VM_INHERIT_SHARE);
	child = child_of(map);
	claim_begin("wired pages stay mapped, and are those that the child shares");
	for (unsigned i = 0; i < PAGES; i++) {
		test_poke(child, base + i * PAGE_SIZE, 50 + i);
		claim(host_user_page(&map->pmap, base + i * PAGE_SIZE, false) != NULL &&
		      test_peek(map, base + i * PAGE_SIZE) == 50 + i, "page %u", i);
	}
	claim_end();
	test_map_end(child);
	test_map_end(copy);
	test_map_end(map);
	end_and_audit("wired sharer");
}

static const unsigned kinds[] = { LEDGER_ENTRIES, LEDGER_OBJECTS, LEDGER_VIRTUAL_PAGES, LEDGER_RESIDENT_PAGES,
				  LEDGER_NODES, LEDGER_KPAGES, LEDGER_KMEM };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* Says whether all that the ledger pays for is as in `before`. */
static bool as_before(const uint64_t *before)
{
	for (unsigned i = 0; i < KINDS; i++) {
		if (host_used(ledger, kinds[i]) == before[i])
			continue;
		diag("%s %lu, before %lu", ledger_resource_name(kinds[i]), (long)host_used(ledger, kinds[i]), (long)before[i]);
		return false;
	}
	return true;
}

static void remember(uint64_t *before)
{
	for (unsigned i = 0; i < KINDS; i++)
		before[i] = host_used(ledger, kinds[i]);
}

static void denied_forks(void)
{
	struct vm_map *map = first_map(), *copy, *child;
	uint64_t before[KINDS], copied = test_allocate(map, PAGES), untouched;
	unsigned n = 0;
	bool fired = true;

	for (unsigned i = 0; i < PAGES; i++)
		test_poke(map, copied + i * PAGE_SIZE, i);
	copy = child_of(map);
	/* To be shared: one of which there is a copy, one that nobody has touched. */
	vm_map_inherit(map, copied, PAGES * PAGE_SIZE, VM_INHERIT_SHARE);
	untouched = test_allocate(map, PAGES);
	vm_map_inherit(map, untouched, PAGES * PAGE_SIZE, VM_INHERIT_SHARE);
	test_allocate(map, PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		test_poke(map, base + i * PAGE_SIZE, 10 + i);
	/* Pieces of one object. */
	vm_map_protect(map, base + 2 * PAGE_SIZE, PAGE_SIZE, false, VM_PROT_READ);
	remember(before);
	claim_begin("a denied fork leaves nothing behind, wherever it is denied");
	while (fired) {
		kern_return_t result;

		child = test_map(ledger);
		host_fail_nth(++n);
		result = vm_map_fork(map, child);
		fired = host_fail_fired;
		host_fail_nth(0);
		claim(result == (fired ? KERN_RESOURCE_SHORTAGE : KERN_SUCCESS), "denial %u: %d", n, result);
		test_map_end(child);
		reap_all();
		if (!fired)
			break;
		claim(as_before(before), "denial %u: what is charged", n);
		for (unsigned i = 0; i < PAGES; i++) {
			test_poke(map, base + i * PAGE_SIZE, 20 + i);
			test_peek(map, copied + i * PAGE_SIZE);
		}
		claim(as_before(before), "denial %u: writes need no copies", n);
		vm_map_check(map);
	}
	claim(n > 5, "only %u denials", n);
	claim_end();
	is_u64(test_peek(copy, base), 0, "the copy made before is as it was");
	is_u64(test_peek(copy, copied + PAGE_SIZE), 1, "and of what is shared");
	test_map_end(copy);
	test_map_end(map);
	end_and_audit("denied forks");
}

int main(void)
{
	tap_begin("vm_fork_test");
	host_memory(160000, 150000);
	vm_init();
	ledger = test_ledger("forks");
	payers();
	sharers();
	wired_sharer();
	denied_forks();
	chain_of_dying_parents();
	chain_of_living_parents(1, false);
	chain_of_living_parents(PAGES, true);
	wide();
	tree();
	return tap_done();
}
