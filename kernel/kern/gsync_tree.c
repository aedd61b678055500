/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The tree of gsync's waiters: a treap (Seidel and Aragon, "Randomized Search Trees", Algorithmica 16, 1996).
 *
 * In the order of its keys it is a search tree: what the thread waits on, where in it, and when it came. In the order of
 * the threads' ranks, which look random, it is a heap: the rank of a child is never above its parent's. So its shape is that of a
 * tree into which the threads were put in random order, about 2 ln n deep, and nothing is kept but two links: a rank is a hash
 * of the thread's address.
 */
#include "kern/gsync_tree.h"
#include "kern/assert.h"

enum { KEY_OFFSET, KEY_ARRIVAL };	/* words of the wait record */

/* The finalizer of MurmurHash3 (Appleby), which lets each bit of the address change half the others. */
static uint64_t rank(const struct thread *thread)
{
	uint64_t x = (uintptr_t)thread;

	x = (x ^ x >> 33) * 0xff51afd7ed558ccdull;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

/* Does the thread's key come before this one? */
static bool is_before(const struct thread *thread, const void *space, uint64_t offset, uint64_t arrival)
{
	const uint64_t *word = thread->wait.word;

	if (thread->wait.object != space)
		return (uintptr_t)thread->wait.object < (uintptr_t)space;
	return word[KEY_OFFSET] != offset ? word[KEY_OFFSET] < offset : word[KEY_ARRIVAL] < arrival;
}

static bool precedes(const struct thread *a, const struct thread *b)
{
	return is_before(a, b->wait.object, b->wait.word[KEY_OFFSET], b->wait.word[KEY_ARRIVAL]);
}

void gsync_tree_insert(struct gsync_tree *tree, struct thread *thread, uint64_t offset)
{
	struct thread **place = &tree->root, **left = &thread->wait.node.left, **right = &thread->wait.node.right, *rest;

	thread->wait.word[KEY_OFFSET] = offset;
	thread->wait.word[KEY_ARRIVAL] = tree->arrivals++;
	while (*place != NULL && rank(*place) >= rank(thread))
		place = precedes(*place, thread) ? &(*place)->wait.node.right : &(*place)->wait.node.left;
	/* What was there is cut in two, along the way to the thread's key. */
	rest = *place;
	*place = thread;
	while (rest != NULL) {
		if (precedes(rest, thread)) {
			*left = rest;
			left = &rest->wait.node.right;
			rest = *left;
		} else {
			*right = rest;
			right = &rest->wait.node.left;
			rest = *right;
		}
	}
	*left = *right = NULL;
}

void gsync_tree_remove(struct gsync_tree *tree, struct thread *thread)
{
	struct thread **place = &tree->root, *left = thread->wait.node.left, *right = thread->wait.node.right;

	while (*place != thread) {
		assert(*place != NULL);
		place = precedes(*place, thread) ? &(*place)->wait.node.right : &(*place)->wait.node.left;
	}
	/* All of the left comes before all of the right. */
	while (left != NULL && right != NULL) {
		if (rank(left) >= rank(right)) {
			*place = left;
			place = &left->wait.node.right;
			left = *place;
		} else {
			*place = right;
			place = &right->wait.node.left;
			right = *place;
		}
	}
	*place = left != NULL ? left : right;
}

struct thread *gsync_tree_from(const struct gsync_tree *tree, const void *space, uint64_t offset)
{
	struct thread *thread = tree->root, *first = NULL;

	while (thread != NULL) {
		if (is_before(thread, space, offset, 0)) {
			thread = thread->wait.node.right;
		} else {
			first = thread;
			thread = thread->wait.node.left;
		}
	}
	return first != NULL && first->wait.object == space ? first : NULL;
}
