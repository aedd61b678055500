/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of gsync's waiters. Theory in gsync_tree.c. */
#ifndef KERN_GSYNC_TREE_H
#define KERN_GSYNC_TREE_H
#include <stdint.h>
#include "kern/thread.h"

struct gsync_tree {
	struct thread *root;
	uint64_t arrivals;
};

/* Where in wait.object the thread waits. */
static inline uint64_t gsync_offset(const struct thread *thread) { return thread->wait.word[0]; }
/* Behind all others that wait there. wait.object is set. */
void gsync_tree_insert(struct gsync_tree *tree, struct thread *thread, uint64_t offset);
void gsync_tree_remove(struct gsync_tree *tree, struct thread *thread);
/* The first waiter in the space that waits at the offset or further on; of those at one offset the one that came first.
   NULL: none. */
struct thread *gsync_tree_from(const struct gsync_tree *tree, const void *space, uint64_t offset);

#endif
