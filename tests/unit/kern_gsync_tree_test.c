/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of gsync's waiters against an array that is searched from end to end; and that it stays flat. */
/* SOURCES: mem kernel/kern/gsync_tree.c */
#include <stdlib.h>
#include "host.h"
#include "kern/gsync_tree.h"
#include "tap.h"

#define THREADS 3000

static struct thread threads[THREADS];
static struct gsync_tree tree;
static struct { bool waits; uint64_t offset, arrival; } model[THREADS];
static uint64_t arrivals;
static char spaces[4];

static void insert(unsigned i, void *space, uint64_t offset)
{
	threads[i].wait.object = space;
	gsync_tree_insert(&tree, &threads[i], offset);
	model[i].waits = true;
	model[i].offset = offset;
	model[i].arrival = arrivals++;
}

static void remove_one(unsigned i)
{
	gsync_tree_remove(&tree, &threads[i]);
	model[i].waits = false;
}

static struct thread *model_from(const void *space, uint64_t offset)
{
	int first = -1;

	for (int i = 0; i < THREADS; i++) {
		if (!model[i].waits || threads[i].wait.object != space || model[i].offset < offset)
			continue;
		if (first < 0 || model[i].offset < model[first].offset ||
		    (model[i].offset == model[first].offset && model[i].arrival < model[first].arrival))
			first = i;
	}
	return first < 0 ? NULL : &threads[first];
}

static unsigned depth(const struct thread *thread)
{
	unsigned left, right;

	if (thread == NULL)
		return 0;
	left = depth(thread->wait.node.left);
	right = depth(thread->wait.node.right);
	return 1 + (left > right ? left : right);
}

static void at_random(void)
{
	claim_begin("the first waiter from an offset on is found");
	for (unsigned n = 0; n < 30000; n++) {
		unsigned i = random_below(THREADS);
		void *space = &spaces[random_below(4)];
		uint64_t offset = random_below(8) == 0 ? UINT64_MAX - random_below(2) : random_below(200) * 4;

		if (model[i].waits)
			remove_one(i);
		else
			insert(i, space, offset);
		space = &spaces[random_below(4)];
		offset = random_below(850);
		claim(gsync_tree_from(&tree, space, offset) == model_from(space, offset), "step %u: from %lu", n, (long)offset);
	}
	claim_end();
	ok(depth(tree.root) < 64, "the tree of some %u waiters is %u deep", THREADS / 2, depth(tree.root));
	for (unsigned i = 0; i < THREADS; i++)
		if (model[i].waits)
			remove_one(i);
	ok(tree.root == NULL, "and empty when all have left");
}

static void in_order(void)
{
	unsigned i = 0;
	struct thread *first;

	for (i = 0; i < THREADS; i++)
		insert(i, &spaces[0], 0);
	ok(depth(tree.root) < 64, "that of %u that came in order to one word is %u deep", THREADS, depth(tree.root));
	claim_begin("they leave in the order in which they came");
	for (i = 0; (first = gsync_tree_from(&tree, &spaces[0], 0)) != NULL; i++) {
		claim(first == &threads[i], "number %u", i);
		remove_one((unsigned)(first - threads));
	}
	claim(i == THREADS, "all of them: %u", i);
	claim_end();
}

int main(void)
{
	tap_begin("kern_gsync_tree_test");
	at_random();
	in_order();
	return tap_done();
}
