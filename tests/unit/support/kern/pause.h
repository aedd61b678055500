/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/kern/pause.h: nothing comes up, so no call ever pauses. */
#ifndef KERN_PAUSE_H
#define KERN_PAUSE_H
#include <stdint.h>
#include <stdlib.h>
#include <mach/kern_return.h>
#include "kern/thread.h"

struct task;

#define pause_eager false
#define pause_piece 32u

static inline bool pause_large(uint64_t bytes)
{
	return bytes >= (pause_piece + 1) * 4096;
}

static inline bool pause_due(void)
{
	return false;
}
static inline kern_return_t pause_begin(const struct wait_kind *kind, struct task *task)
{
	(void)kind;
	(void)task;
	abort();
}
static inline struct task *pause_end(struct thread *thread)
{
	(void)thread;
	abort();
}
static inline struct vm_map *pause_end_map(struct thread *thread)
{
	(void)thread;
	abort();
}
static inline bool thread_pauses(const struct thread *thread)
{
	return thread->wait.kind != NULL && thread->wait.kind->pause;
}

#endif
