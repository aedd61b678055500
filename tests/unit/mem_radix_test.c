/* SPDX-License-Identifier: BSD-2-Clause */
/* Radix trees against a model, with every allocation denied in its turn. */
/* SOURCES: mem */
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "mem/radix.h"
#include "mem/reap.h"
#include "mem/zone.h"
#include "tap.h"

#define KEYS 600
#define STEPS 150000
#define KEY_END (1ull << 52)

/* The model: sorted keys and their values. */
struct pair { uint64_t key; void *value; };
static struct pair pairs[KEYS];
static unsigned pair_count;
static struct radix tree;
static struct ledger *payer;

/* Index of the first key >= key. */
static unsigned model_find(uint64_t key)
{
	unsigned low = 0, high = pair_count;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (pairs[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool model_has(uint64_t key)
{
	unsigned i = model_find(key);

	return i < pair_count && pairs[i].key == key;
}

static uint64_t model_lowest_free(uint64_t from)
{
	for (unsigned i = model_find(from); i < pair_count && pairs[i].key == from; i++)
		from++;
	return from;
}

/* Keys small and dense, middling, and anything below 2^52. */
static uint64_t random_key(void)
{
	switch (random_below(4)) {
	case 0:
		return random_below(64);
	case 1:
		return 200 + random_below(400);
	case 2:
		return KEY_END - 1 - random_below(64);
	default:
		return random_u64() % (1ull << random_below(53));
	}
}

static void model_insert(uint64_t key, void *value)
{
	unsigned i = model_find(key);

	memmove(&pairs[i + 1], &pairs[i], (pair_count - i) * sizeof(pairs[0]));
	pairs[i] = (struct pair){key, value};
	pair_count++;
}

static void insert(uint64_t key, void *value)
{
	if (random_below(2) != 0) {
		claim(radix_put(&tree, key, value), "denied");
		model_insert(key, value);
		return;
	}
	if (!radix_reserve(&tree, key)) {
		claim(false, "denied");
		return;
	}
	radix_insert(&tree, key, value);
	model_insert(key, value);
}

/* A neighbour in the same leaf, the next free one in its order; none when there would be no other left, or but one beside a key
   that is there. */
static void insert_beside(uint64_t key, void *value)
{
	uint64_t first = key & ~(uint64_t)(RADIX_SLOTS - 1), want = 0, got;
	struct radix_node *leaf = radix_leaf_of(&tree, key);
	uint32_t nodes = tree.nodes;
	unsigned free = 0, there = 0;

	for (unsigned i = 1; i <= RADIX_SLOTS; i++) {
		uint64_t other = first + (key + i) % RADIX_SLOTS;

		there += model_has(other);
		if (model_has(other) || other == 0)
			continue;
		free++;
		if (want == 0)
			want = other;
	}
	if (there == 0 || free < (key == 0 || model_has(key) ? 3 : 2))
		want = 0;
	claim(there != 1 || !model_has(key) || radix_lonely(&tree, key), "%lx is alone", key);
	claim(there < 2 || !model_has(key) || !radix_lonely(&tree, key), "%lx is not alone", key);
	got = key;
	if (leaf == NULL || !radix_leaf_put_beside(leaf, &got, value))
		got = 0;
	claim(got == want && tree.nodes == nodes, "beside %lx: %lx, not %lx", key, got, want);
	if (got != 0)
		model_insert(got, value);
}

/* A free key whose leaf is there. */
static void insert_in_leaf(uint64_t key, void *value)
{
	uint64_t first = key & ~(uint64_t)(RADIX_SLOTS - 1);
	uint32_t nodes = tree.nodes;
	bool there = false, put;

	for (unsigned i = 0; i < RADIX_SLOTS; i++)
		there = there || model_has(first + i);
	there = there && !model_has(key);
	put = radix_put_in_leaf(&tree, key, value);
	claim(put == there && tree.nodes == nodes, "%lx in its leaf: %d", key, put);
	if (put)
		model_insert(key, value);
}

static void remove_at(unsigned i)
{
	claim(radix_remove(&tree, pairs[i].key) == pairs[i].value, "removed another value");
	memmove(&pairs[i], &pairs[i + 1], (--pair_count - i) * sizeof(pairs[0]));
}

static void compare(uint64_t key)
{
	unsigned i = model_find(key);
	uint64_t next = key;
	void *value = radix_next(&tree, &next);

	claim(value == (i < pair_count ? pairs[i].value : NULL), "next of %lx: another value", key);
	claim(value == NULL || next == pairs[i].key, "next of %lx: %lx", key, next);
	claim(radix_lookup(&tree, key) == (model_has(key) ? pairs[i].value : NULL), "lookup of %lx", key);
	claim(radix_lowest_free(&tree, key) == model_lowest_free(key), "lowest free from %lx: %lx", key,
	      radix_lowest_free(&tree, key));
}

/* Denies the 1st, 2nd, ... allocation of a reservation: each leaves everything as it was. */
static void deny_each(uint64_t key)
{
	for (unsigned n = 1; n < 64; n++) {
		bool reserved;

		host_fail_nth(n);
		reserved = radix_reserve(&tree, key);
		claim(reserved == !host_fail_fired, "denied without a reason, or not at all");
		radix_check(&tree);
		if (reserved) {
			host_fail_nth(0);
			radix_unreserve(&tree, key);
			return;
		}
		claim(tree.nodes == host_used(payer, LEDGER_NODES), "nodes and charges differ");
	}
}

static void random_steps(void)
{
	claim_begin("insert, remove, lookup, next and lowest free agree with the model");
	for (unsigned step = 0; step < STEPS; step++) {
		uint64_t key = random_key();

		switch (random_below(10)) {
		case 9:
			if (pair_count < KEYS)
				insert_in_leaf(key, (void *)(uintptr_t)(step * 16 + 16));
			break;
		case 8:
			if (pair_count < KEYS)
				insert_beside(key, (void *)(uintptr_t)(step * 16 + 16));
			break;
		case 0: case 1: case 2:
			if (pair_count < KEYS && !model_has(key))
				insert(key, (void *)(uintptr_t)(step * 16 + 16));
			break;
		case 3: case 4:
			if (pair_count > 0)
				remove_at(random_below(pair_count));
			break;
		case 5:
			if (model_has(key)) {
				pairs[model_find(key)].value = (void *)(uintptr_t)(step * 16 + 24);
				radix_replace(&tree, key, pairs[model_find(key)].value);
			} else {
				uint32_t nodes = tree.nodes;

				deny_each(key);
				claim(tree.nodes == nodes, "a reservation left nodes behind");
			}
			break;
		default:
			compare(key);
		}
		if (step % 64 == 0)
			radix_check(&tree);
		if (step % 20000 == 0)
			while (pair_count > 0)
				remove_at(0);
	}
	claim(tree.nodes == host_used(payer, LEDGER_NODES), "nodes and charges differ");
	claim(host_audit(), "the audit");
	claim_end();
}

static void dense(void)
{
	claim_begin("5000 names from 1: always the lowest free one");
	for (uint64_t i = 1; i <= 5000; i++) {
		uint64_t key = radix_lowest_free(&tree, 1);

		claim(key == i, "%lu instead of %lu", key, i);
		claim(radix_reserve(&tree, key), "denied");
		radix_insert(&tree, key, &tree);
	}
	radix_check(&tree);
	claim(radix_remove(&tree, 4097) == &tree && radix_remove(&tree, 16) == &tree, "not there");
	claim(radix_lowest_free(&tree, 1) == 16 && radix_lowest_free(&tree, 17) == 4097, "holes are not found");
	for (uint64_t i = 1; i <= 5000; i++)
		radix_remove(&tree, i);
	claim(tree.root == NULL && tree.nodes == 0 && tree.height == 0, "an empty tree keeps nodes");
	claim_end();
}

static void reservations(void)
{
	claim_begin("several reservations in one node do not disturb one another");
	claim(radix_reserve(&tree, 3) && radix_reserve(&tree, 4) && radix_reserve(&tree, 70000), "denied");
	radix_unreserve(&tree, 3);
	radix_insert(&tree, 70000, &tree);
	claim(radix_remove(&tree, 70000) == &tree, "not there");
	radix_check(&tree);
	radix_insert(&tree, 4, &payer);
	claim(radix_lookup(&tree, 4) == &payer, "not there");
	radix_check(&tree);
	claim(radix_remove(&tree, 4) == &payer && tree.nodes == 0, "nodes are left");
	claim_end();
}

static void move(void)
{
	int error;
	struct ledger *to = ledger_new(&root_ledger, "to", &error);

	ledger_limit(to, LEDGER_NODES, 0);
	insert(1, &tree);
	insert(1000, &tree);
	radix_move_payer(&tree, to);
	ok(host_used(to, LEDGER_NODES) == tree.nodes && host_used(payer, LEDGER_NODES) == 0,
	   "nodes move to another ledger, unrefused");
	ok(host_audit(), "and the audit agrees");
	ok(!radix_reserve(&tree, 1ull << 40), "but new ones are denied there");
	radix_check(&tree);
	remove_at(1);
	remove_at(0);
	is_u64(host_used(to, LEDGER_NODES), 0, "all come back");
	ledger_kill(to);
}

/* -- memory that comes back in the middle of a reservation -- */

static struct reap dying;
static uint64_t dying_keys[4];

static bool dying_step(struct reap *item)
{
	(void)item;
	for (unsigned i = 0; i < 4; i++) {
		if (dying_keys[i] != 0)
			radix_remove(&tree, dying_keys[i]);
	}
	return true;
}

/* The tree holds `stays` and the keys, which a reap step takes out when a node for `wanted` is denied. */
static void shrinks_meanwhile(uint64_t stays, const uint64_t *keys, uint64_t wanted, uint64_t room)
{
	uint64_t limit;

	if (stays != 0 && radix_reserve(&tree, stays))
		radix_insert(&tree, stays, &tree);
	for (unsigned i = 0; i < 4; i++) {
		dying_keys[i] = keys[i];
		if (keys[i] != 0 && radix_reserve(&tree, keys[i]))
			radix_insert(&tree, keys[i], &tree);
	}
	limit = host_used(payer, LEDGER_NODES) + room;
	ledger_limit(payer, LEDGER_NODES, limit);
	reap_defer(&dying, dying_step);
	ok(radix_reserve(&tree, wanted), "key %lx: a tree that shrank while the path was made", (long)wanted);
	ok(!reap_pending(), "in the middle of it");
	ledger_limit(payer, LEDGER_NODES, LEDGER_UNLIMITED);
	radix_check(&tree);
	radix_insert(&tree, wanted, &tree);
	radix_check(&tree);
	ok(radix_lookup(&tree, wanted) == &tree && (stays == 0 || radix_lookup(&tree, stays) == &tree),
	   "holds what it should");
	radix_remove(&tree, wanted);
	if (stays != 0)
		radix_remove(&tree, stays);
	is_u64(tree.nodes, 0, "and nothing more");
}

static void shrinking(void)
{
	static const uint64_t far[4] = {0x300, 0x310, 0x320, 0x3ff}, near[4] = {1, 2, 3, 4};

	for (uint64_t room = 0; room < 4; room++) {
		if (room < 2)
			shrinks_meanwhile(0, far, 0x500, room);
		shrinks_meanwhile(5, far, 0x1000, room);
		if (room < 1)
			shrinks_meanwhile(0x20, far, 0x310 + 0x40, room);
		if (room == 2)
			shrinks_meanwhile(0, near, 0x700, room);
	}
}

int main(void)
{
	int error;

	tap_begin("mem_radix_test");
	host_memory(2048, 1024);
	payer = ledger_new(&root_ledger, "payer", &error);
	radix_init(&tree, payer);
	random_steps();
	while (pair_count > 0)
		remove_at(0);
	is_u64(tree.nodes, 0, "an emptied tree has no nodes");
	dense();
	reservations();
	shrinking();
	move();
	return tap_done();
}
