/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of a map's entries against an array that is looked through from end to end.

   SOURCES: mem vm */
#include "support/vm_test.h"
#include "vm/entry.h"
#include "vm/tree.h"

#define SLOTS 600 /* of addresses, PAGES_EACH pages each: an entry takes some of the first of a slot */
#define PAGES_EACH 4
#define STEPS 6000
#define AT(slot) (USER_ADDRESS_MIN + (uint64_t)(slot) * PAGES_EACH * PAGE_SIZE)

static struct vm_entry entries[SLOTS];
static bool linked[SLOTS];
static unsigned count;
static struct vm_map map;

/* The first one linked at or behind a slot; NULL: none. */
static struct vm_entry *from_slot(unsigned slot)
{
	for (; slot < SLOTS; slot++)
		if (linked[slot])
			return &entries[slot];
	return NULL;
}

static void link_one(unsigned slot)
{
	struct vm_entry *entry = &entries[slot];

	entry->map = &map;
	entry->start = AT(slot) + random_below(2) * PAGE_SIZE;
	entry->end = entry->start + (1 + random_below(3)) * PAGE_SIZE;
	vm_tree_insert(&map, entry, from_slot(slot));
	linked[slot] = true;
	count++;
}

static void unlink_one(unsigned slot)
{
	vm_tree_remove(&map, &entries[slot]);
	linked[slot] = false;
	count--;
}

static void change_one(unsigned slot)
{
	entries[slot].start = AT(slot) + random_below(2) * PAGE_SIZE;
	entries[slot].end = entries[slot].start + (1 + random_below(3)) * PAGE_SIZE;
	vm_tree_moved(&entries[slot]);
}

static struct vm_entry *gap_by_hand(uint64_t from, uint64_t size)
{
	uint64_t end = USER_ADDRESS_MIN;

	for (unsigned i = 0; i < SLOTS; i++) {
		if (!linked[i])
			continue;
		if (entries[i].start >= from && entries[i].start - end >= size)
			return &entries[i];
		end = entries[i].end;
	}
	return NULL;
}

static struct vm_entry *above_by_hand(uint64_t address)
{
	for (unsigned i = 0; i < SLOTS; i++)
		if (linked[i] && address < entries[i].end)
			return &entries[i];
	return NULL;
}

static void look(unsigned n)
{
	uint64_t address = AT(random_below(SLOTS)) + random_below(5) * PAGE_SIZE;
	uint64_t size = (1 + random_below(random_below(2) ? 6 : 60)) * PAGE_SIZE;
	uint64_t from = random_below(2) ? 0 : address;
	unsigned slot = random_below(SLOTS);

	claim(vm_tree_above(&map, address) == above_by_hand(address), "step %u: above %lx", n, (long)address);
	claim(vm_tree_gap(&map, from, size) == gap_by_hand(from, size), "step %u: a gap of %lx from %lx on", n,
	      (long)size, (long)from);
	claim(vm_tree_fit(&map, size) == gap_by_hand(0, size), "step %u: the first gap of %lx", n, (long)size);
	if (!linked[slot])
		return;
	claim(vm_tree_next(&entries[slot]) == from_slot(slot + 1), "step %u: the next one", n);
	claim(vm_tree_prev(&entries[slot]) == NULL || vm_tree_next(vm_tree_prev(&entries[slot])) == &entries[slot],
	      "step %u: the one in front", n);
}

/* The same without a settled tree: what stands outside is found all the same. */
static void look_loose(unsigned n)
{
	uint64_t address = AT(random_below(SLOTS)) + random_below(5) * PAGE_SIZE;
	unsigned slot = map.loose != NULL ? (unsigned)(map.loose - entries) : (unsigned)random_below(SLOTS), before = slot;

	claim(vm_tree_above(&map, address) == above_by_hand(address), "step %u: above %lx", n, (long)address);
	if (!linked[slot])
		return;
	claim(vm_tree_above(&map, entries[slot].start) == &entries[slot], "step %u: it itself", n);
	claim(vm_tree_next(&entries[slot]) == from_slot(slot + 1), "step %u: the next one", n);
	while (before > 0 && !linked[before - 1])
		before--;
	claim(vm_tree_prev(&entries[slot]) == (before > 0 ? &entries[before - 1] : NULL), "step %u: the one in front", n);
	claim(before == 0 || vm_tree_next(&entries[before - 1]) == &entries[slot], "step %u: behind the one in front", n);
}

/* Mostly links until the tree is full, then mostly unlinks, and so on. */
static void random_steps(void)
{
	claim_begin("%d random changes: order, balance, gaps and searches are right after each", STEPS);
	for (unsigned n = 0; n < STEPS; n++) {
		unsigned slot = random_below(SLOTS);
		bool grow = n / 1000 % 2 == 0 ? random_below(8) != 0 : random_below(8) == 0;

		if (linked[slot] && random_below(4) == 0)
			change_one(slot);
		else if (!linked[slot] && grow)
			link_one(slot);
		else if (linked[slot] && !grow)
			unlink_one(slot);
		vm_tree_check(&map);
		look_loose(n);
		/* Between looks bounds become ever more wrong. */
		if (n / 100 % 2 == 0 || random_below(40) == 0)
			look(n);
		vm_tree_check(&map);
	}
	claim_end();
	ok(count > 0, "%u are linked in the end", count);
}

static void in_order(bool up)
{
	claim_begin("linked and unlinked in %s order", up ? "rising" : "falling");
	for (unsigned i = 0; i < SLOTS; i++)
		if (linked[i])
			unlink_one(i);
	claim(map.root == NULL && map.last == NULL, "empty");
	for (unsigned i = 0; i < SLOTS; i++) {
		link_one(up ? i : SLOTS - 1 - i);
		vm_tree_check(&map);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		unlink_one(up ? i : SLOTS - 1 - i);
		vm_tree_check(&map);
	}
	claim(map.root == NULL && map.last == NULL, "empty again");
	claim_end();
}

/* Memory that comes and goes stays out of the tree, and finds its place again. */
static void come_and_go(void)
{
	struct vm_entry *entry = &entries[SLOTS / 2], *root, *next;

	claim_begin("what comes and goes does not change the tree");
	for (unsigned i = 0; i < SLOTS; i++)
		if (!linked[i])
			link_one(i);
	unlink_one(SLOTS / 2);
	next = vm_tree_gap(&map, 0, 2 * PAGE_SIZE);
	root = map.root;
	for (unsigned i = 0; i < 4; i++) {
		link_one(SLOTS / 2);
		claim(map.loose == entry, "it is loose");
		vm_tree_check(&map);
		unlink_one(SLOTS / 2);
		claim(map.loose == NULL && map.root == root, "it is gone");
		claim(map.found == next && map.found_pages == 2, "the first fit is remembered");
		claim(vm_tree_fit(&map, 3 * PAGE_SIZE) == gap_by_hand(0, 3 * PAGE_SIZE), "and checked");
		claim(vm_tree_fit(&map, 2 * PAGE_SIZE) == next, "one that is smaller is looked for");
		vm_tree_check(&map);
	}
	link_one(SLOTS / 2);
	claim(vm_tree_fit(&map, 2 * PAGE_SIZE) == gap_by_hand(0, 2 * PAGE_SIZE) && map.loose == NULL, "a look settles it");
	vm_tree_check(&map);
	claim_end();
}

/* Gaps of three pages in front of all entries; then of none. */
static void promise(void)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		if (!linked[i])
			link_one(i);
		entries[i].start = AT(i) + 3 * PAGE_SIZE;
		entries[i].end = AT(i) + 4 * PAGE_SIZE;
		vm_tree_moved(&entries[i]);
	}
	for (unsigned i = 0; i < SLOTS; i++) {
		entries[i].start = AT(i);
		vm_tree_moved(&entries[i]);
	}
}

static void promises_broken(uint64_t from)
{
	claim_begin("a search from %s meets %d gaps that have shrunk", from == 0 ? "the first" : "one", SLOTS);
	promise();
	vm_tree_check(&map);
	claim(map.root->gap_max >= 3 * PAGE_SIZE, "shrinking does not go up to the root");
	host_windows = 0;
	claim(vm_tree_gap(&map, from, 2 * PAGE_SIZE) == NULL, "none is left");
	claim(host_windows <= SLOTS / 8 / VM_PIECE, "few bounds were left to correct: %lu windows", (unsigned long)host_windows);
	vm_tree_check(&map);
	host_windows = 0;
	claim(vm_tree_gap(&map, from, 2 * PAGE_SIZE) == NULL, "nor the next time");
	claim(host_windows == 0, "which looks at nothing twice");
	claim(from != 0 || map.root->gap_max == 0, "the bounds are right");
	unlink_one(SLOTS - 2);
	claim(vm_tree_gap(&map, from, 2 * PAGE_SIZE) == &entries[SLOTS - 1], "one that grows is found");
	vm_tree_check(&map);
	claim_end();
}

int main(void)
{
	tap_begin("vm_tree_test");
	random_steps();
	in_order(true);
	in_order(false);
	come_and_go();
	promises_broken(0);
	promises_broken(AT(SLOTS / 2));
	return tap_done();
}
