/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/kern/pause.h: nothing comes up, so no call ever pauses. */
#ifndef KERN_PAUSE_H
#define KERN_PAUSE_H
#include <stdint.h>
#include <stdlib.h>
#include <mach/kern_return.h>
#include "kern/thread.h"

struct port;

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
static inline kern_return_t pause_begin(struct thread *thread, const struct wait_kind *kind, struct port *port)
{
	(void)thread;
	(void)kind;
	(void)port;
	abort();
}
static inline struct port *pause_end(struct thread *thread)
{
	(void)thread;
	abort();
}
static inline bool thread_pauses(const struct thread *thread)
{
	return thread->wait.kind != NULL && thread->wait.kind->pause;
}

#endif
