/* SPDX-License-Identifier: BSD-2-Clause */
/* task_create with inherited memory, which may pause. Theory in task_fork.c. */
#ifndef KERN_TASK_FORK_H
#define KERN_TASK_FORK_H
#include <mach/kern_return.h>

struct task;
struct thread;

/* The end of such a call behind a pause, in the thread's context or, with KERN_INTERRUPTED, in any: answers. child: made,
   NULL: an error. */
typedef void task_fork_done(struct thread *thread, struct task *child, kern_return_t code);

/* The current thread's call makes a task as task_make does, of the parent's ledger. KERN_BLOCKED: it pauses, and done will be
   called; else its code, and on success *child. */
kern_return_t task_fork(struct task *parent, task_fork_done *done, struct task **child);

#endif
