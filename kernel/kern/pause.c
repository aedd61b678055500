/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Long calls.
 *
 * The kernel carries a call out with nothing but windows for interrupts. One that has much to do (vm_write of megabytes)
 * does it in pieces, and asks behind each whether something has come up. Then it notes in its thread's wait record how far
 * it has come, and pauses. That is as if the thread had been about to return to user mode: waits whose time is over end,
 * and the CPU goes to another if the quantum is over or somebody more urgent is ready (sched_pause). When the thread has
 * the CPU, its continuation goes on with the next piece.
 *
 * A paused thread is ready, running or stopped, never waiting: nothing has to happen for it to go on. Its wait.kind says
 * that it pauses, and where it goes on. Its call ends early when the thread is killed or aborted (thread_abort):
 * kind->cancel gives up what the call holds, and answers KERN_INTERRUPTED. It does not end because somebody wants to see
 * the thread's registers.
 *
 * Others run in a pause, so nothing that was looked at before is known behind it. What a call works on is held by its port,
 * which dies with it; addresses are looked up anew. So a call that pauses is as good as several calls for the parts: what
 * others change meanwhile it meets or misses, as they would. Where it can be denied, it first makes sure, in pieces,
 * of all that it needs, and then begins to change things: so it is denied in the midst only when others have taken that
 * away again.
 *
 * A call that is over before anything comes up never pauses.
 */
#include "kern/pause.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/ast.h"
#include "kern/sched.h"
#include "kern/task.h"

#define PIECE 32

bool pause_eager;
unsigned pause_piece = PIECE;
uint64_t pause_bytes = (PIECE + 1) * PAGE_SIZE - 1;

void pause_set_eager(void)
{
	pause_eager = true;
	pause_piece = 1;
	pause_bytes = 2 * PAGE_SIZE - 1;
}

kern_return_t pause_begin(const struct wait_kind *kind, struct task *task)
{
	struct thread *thread = thread_current();

	assert(thread->state == THREAD_RUNNING && thread->wait.kind == NULL && kind->pause);
	port_ref(task->self);
	thread->wait.kind = kind;
	thread->wait.object = task->self;
	if (pause_eager)
		ast_reschedule();
	return KERN_BLOCKED;
}

struct task *pause_end(struct thread *thread)
{
	struct port *port = thread->wait.object;
	struct task *task = convert_port_to_task(port);

	/* A living task has a reference to its port. */
	port_unref(port);
	return task;
}

struct vm_map *pause_end_map(struct thread *thread)
{
	struct task *task = pause_end(thread);

	return task != NULL ? &task->map : NULL;
}

void pause_cancel(struct thread *thread, enum wait_reason reason)
{
	const struct wait_kind *kind = thread->wait.kind;
	bool ready = thread->state == THREAD_READY;

	if (!thread_pauses(thread))
		return;
	/* As in wait_cancel. */
	if (thread->task->dead && reason != WAIT_KILLED)
		return;
	if (ready)
		sched_unready(thread);
	thread->wait.kind = NULL;
	kind->cancel(thread, reason);
	if (reason == WAIT_KILLED)
		return;
	if (ready && thread->state == THREAD_STOPPED)
		sched_ready(thread);
	else
		throttle_sleeps(thread);
}
