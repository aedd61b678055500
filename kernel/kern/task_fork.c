/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks that inherit memory: the parent's map is copied entry by entry (vm/fork.c), with pauses (kern/pause.h). Until that is done
   the child is in no list, and nobody has a right to it. Denied, the child goes, and what was marked in the parent for
   copying is as it was, in steps as well. */
#include "kern/task_fork.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/pause.h"
#include "kern/task.h"

/* A call under way. In a pause all but the parent in wait.word, and done in the child. */
struct forking {
	struct task *parent, *child;
	task_fork_done *done;
	uint64_t at;		/* the address reached, of the copying or of the undoing */
	uint64_t last;		/* undoing: to this page */
	kern_return_t error;	/* not KERN_SUCCESS: it is undone */
};
enum { FORK_CHILD, FORK_AT, FORK_LAST_AND_ERROR };

static const struct wait_kind forking;

static kern_return_t fork_pause(const struct forking *f)
{
	uint64_t *word = thread_current()->wait.word;

	word[FORK_CHILD] = (uint64_t)f->child;
	f->child->created_ns = (uint64_t)f->done;	/* it has not been created yet */
	word[FORK_AT] = f->at;
	/* Kernel codes are small. */
	word[FORK_LAST_AND_ERROR] = trunc_page(f->last) | (uint64_t)f->error;
	return pause_begin(&forking, f->parent);
}

/* One step; true: that was all. */
static bool fork_step(struct forking *f)
{
	if (f->error != KERN_SUCCESS)
		return vm_map_fork_undo(&f->parent->map, &f->child->map, &f->at, f->last, pause_piece);
	f->error = vm_map_fork_some(&f->parent->map, &f->child->map, &f->at, pause_piece);
	if (f->error == KERN_SUCCESS && f->at == UINT64_MAX) {
		if (task_commit(f->child, f->parent))
			return true;
		f->error = KERN_RESOURCE_SHORTAGE;
	}
	if (f->error != KERN_SUCCESS) {
		f->last = f->at;
		f->at = 0;
	}
	return false;
}

static kern_return_t fork_on(struct forking *f, struct task **child)
{
	while (!fork_step(f))
		if (pause_due())
			return fork_pause(f);
	if (f->error != KERN_SUCCESS)
		task_unmake(f->child);
	*child = f->error == KERN_SUCCESS ? f->child : NULL;
	return f->error;
}

static void fork_go_on(struct thread *thread, int result)
{
	const uint64_t *word = thread->wait.word;
	struct forking f = {
		.parent = pause_end(thread), .child = (struct task *)word[FORK_CHILD], .at = word[FORK_AT],
		.last = trunc_page(word[FORK_LAST_AND_ERROR]), .error = (kern_return_t)(word[FORK_LAST_AND_ERROR] & PAGE_MASK),
	};
	struct task *child = NULL;

	f.done = (task_fork_done *)f.child->created_ns;
	if (f.parent == NULL)
		task_unmake(f.child);
	result = f.parent != NULL ? fork_on(&f, &child) : KERN_INVALID_ARGUMENT;
	if (result != KERN_BLOCKED)
		f.done(thread, child, result);
}

static void fork_cancel(struct thread *thread, enum wait_reason reason)
{
	struct task *child = (struct task *)thread->wait.word[FORK_CHILD];
	task_fork_done *done = (task_fork_done *)child->created_ns;

	pause_end(thread);
	task_unmake(child);
	if (reason != WAIT_KILLED)
		done(thread, NULL, KERN_INTERRUPTED);
}

static const struct wait_kind forking = { "task_create", fork_go_on, fork_cancel, true };

kern_return_t task_fork(struct task *parent, task_fork_done *done, struct task **child)
{
	struct forking f = { .parent = parent, .child = task_begin(parent->ledger), .done = done };

	return f.child != NULL ? fork_on(&f, child) : KERN_RESOURCE_SHORTAGE;
}
