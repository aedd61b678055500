/* SPDX-License-Identifier: BSD-2-Clause */
/* Long calls pause: others run, and then the call goes on. Theory in pause.c. */
#ifndef KERN_PAUSE_H
#define KERN_PAUSE_H
#include <stdbool.h>
#include <mach/kern_return.h>
#include "kern/likely.h"
#include "kern/thread.h"
#include "x86_64/machine.h"

struct task;
struct vm_map;

/* Option pause=eager (debugging): a call pauses behind each piece, which is small, and others run whenever one is ready. */
extern bool pause_eager;
/* Pages, entries and the like in one piece of a long call. */
extern unsigned pause_piece;
/* A call for more bytes of memory may be a long one: there are more than pause_piece pages. */
extern uint64_t pause_bytes;
static inline bool pause_large(uint64_t bytes) { return unlikely(bytes > pause_bytes); }
void pause_set_eager(void);

/* Behind each piece: a window for interrupts. True: something has come up since the call began or went on, a tick or
   somebody more urgent, so it should pause if there is more to do. */
static inline bool pause_due(void)
{
	machine_window();
	return cpu_current()->ast || pause_eager;
}

/*
 * The current thread's call, which works on this task, pauses. It goes on by kind's continuation, with what it has put into
 * wait.word (all three). Returns KERN_BLOCKED, for the handler to return.
 */
kern_return_t pause_begin(const struct wait_kind *kind, struct task *task);
/* For the continuation and cancel, once: the task, good until the next pause. NULL: it has ended. */
struct task *pause_end(struct thread *thread);
/* The same, of the task's memory. */
struct vm_map *pause_end_map(struct thread *thread);

static inline bool thread_pauses(const struct thread *thread)
{
	return thread->wait.kind != NULL && thread->wait.kind->pause;
}
/* Ends the pause of a thread that is not waiting, if it does pause: by cancel, as wait_cancel does. */
void pause_cancel(struct thread *thread, enum wait_reason reason);

#endif
