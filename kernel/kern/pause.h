/* SPDX-License-Identifier: BSD-2-Clause */
/* Long calls pause: others run, and then the call goes on. Theory in pause.c. */
#ifndef KERN_PAUSE_H
#define KERN_PAUSE_H
#include <stdbool.h>
#include <mach/kern_return.h>
#include "kern/likely.h"
#include "kern/thread.h"
#include "x86_64/machine.h"

struct port;

/* Option pause=eager (debugging): a call pauses behind each piece, which is small, and others run whenever one is ready. */
extern bool pause_eager;
/* Pages, entries and the like in one piece of a long call. */
extern unsigned pause_piece;
/* A call for more bytes of memory may be a long one: there are more than pause_piece pages. */
extern uint64_t pause_bytes;
static inline bool pause_large(uint64_t bytes) { return unlikely(bytes > pause_bytes); }
void pause_set_eager(void);

/* Has something come up since the call began or went on: a tick, somebody more urgent? Asked behind each piece. */
static inline bool pause_due(void)
{
	return cpu_current()->ast || pause_eager;
}

/*
 * The current thread's call pauses. It goes on by kind's continuation, with what it has put into wait.word (all three), and with a
 * reference to the port (NULL: none) for what it works on. Returns KERN_BLOCKED, for the handler to return.
 */
kern_return_t pause_begin(struct thread *thread, const struct wait_kind *kind, struct port *port);
/* For the continuation and cancel, once: the port, which may be dead, and whose reference is the caller's now. */
struct port *pause_end(struct thread *thread);
/* The same for a task's port whose memory is worked on: NULL: the task has ended. No reference: the map is good until the next pause. */
struct vm_map *pause_end_map(struct thread *thread);

static inline bool thread_pauses(const struct thread *thread)
{
	return thread->wait.kind != NULL && thread->wait.kind->pause;
}
/* Ends the pause of a thread that is not waiting, if it does pause: by cancel, as wait_cancel does. */
void pause_cancel(struct thread *thread, enum wait_reason reason);

#endif
