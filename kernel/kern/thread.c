/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: made, suspended, resumed, killed.
 *
 * A thread is its saved registers and a wait record. It is charged to its task's ledger: one thread,
 * one port (its kernel port), and from its first FPU instruction on, or when it is named or gets a handler of exceptions of its
 * own, what else there may be of a thread (struct thread_extra).
 *
 * Only the current thread runs in the kernel, so any other is ready, waiting or stopped and can be
 * killed on the spot. The current thread is marked dead and buried by sched_switch, when neither
 * the CPU nor the address space is its own any more. Its task lives as long (dying_current).
 */
#include "kern/thread.h"
#include "ipc/kmsg.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/port.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/ast.h"
#include "kern/denials.h"
#include "kern/host.h"
#include "kern/likely.h"
#include "kern/pause.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/timer.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

struct zone thread_zone;
static struct zone extra_zone;

static struct ledger *thread_payer(const void *element)
{
	return ((const struct thread *)element)->task->ledger;
}

static struct ledger *extra_payer(const void *element)
{
	return ((const struct thread_extra *)element)->payer;
}

void thread_init(void)
{
	zone_init(&thread_zone, "thread", sizeof(struct thread), LEDGER_THREADS, thread_payer);
	zone_init(&extra_zone, "fpu", sizeof(struct thread_extra), LEDGER_FPUS, extra_payer);
}

struct thread *thread_current(void)
{
	return cpu_current()->thread;
}

/* What is more urgent than threads may be now is not what new ones get. */
static inline void thread_bound_priority(struct thread *thread)
{
	uint8_t most = the_processor_set.max_priority;

	if (likely(thread->max_priority >= most))
		return;
	thread->max_priority = most;
	if (thread->priority < most)
		thread->priority = thread->base_priority = most;
}

void thread_begin_at(struct thread *thread, uint64_t rip, uint64_t rsp)
{
	machine_thread_init(&thread->regs, rip, rsp);
	thread->wait.kind = NULL;
}

static void new_continue(struct thread *thread, int result)
{
	(void)result;
	thread_begin_at(thread, 0, 0);
}

const struct wait_kind thread_new = { "first registers", new_continue, NULL, false };

/* What must have a value; the rest gets one before it is looked at. That is most of it: a wait record is filled by wait_begin,
   the arguments of a call when it begins, the registers by thread_set_state or else by new_continue. Debug builds have poison there. */
static void thread_init_fields(struct thread *thread)
{
	thread->regs.fs_base = thread->regs.gs_base = 0;
	thread->wait.kind = &thread_new;
	thread->msg.kmsg = NULL;
	thread->msg.reply_port = NULL;
	thread->msg.room = NULL;
	thread->suspend_count = 1;
	thread->reply_direct = false;
	thread->denial = 0;
	thread->serves = NULL;
	thread->cpu_ticks = 0;
	thread->extra = NULL;
}

struct thread *thread_make(struct task *task)
{
	struct ledger *payer = task->ledger;
	struct thread *thread = ledger_alive(payer, LEDGER_THREADS) ? zone_alloc(&thread_zone, payer) : NULL;

	if (thread == NULL)
		return NULL;
	thread->self = port_make_kernel(KOBJECT_THREAD, thread, payer);
	if (thread->self == NULL) {
		zone_free(&thread_zone, thread, payer);
		return NULL;
	}
	thread->task = task;
	thread_init_fields(thread);
	thread->standing = task->new_standing;
	thread_bound_priority(thread);
	thread->created_ns = clock_uptime_ns();
	LIST_INSERT_HEAD(&task->threads, thread, task_link);
	task->thread_count++;
	return thread;
}

/* What can go while the thread may still be current. */
static void thread_detach(struct thread *thread)
{
	struct task *task = thread->task;

	LIST_REMOVE(thread, task_link);
	task->thread_count--;
	port_destroy_kernel(thread->self);
	thread->self = NULL;
	if (thread_exception_port(thread) != NULL)
		right_release_send(thread->extra->exception_port);
	if (thread->serves != NULL)
		throttle_leave(thread);
	msg_abandon(thread);
}

bool thread_extra_make(struct thread *thread)
{
	struct thread_extra *extra;

	if (thread->extra != NULL)
		return true;
	extra = zone_alloc(&extra_zone, thread->task->ledger);
	if (extra == NULL)
		return false;
	extra->payer = thread->task->ledger;
	extra->exception_port = NULL;
	extra->fail_site = NULL;
	extra->fail_nth = extra->fail_armed = 0;
	extra->name[0] = 0;
	thread->extra = extra;
	return true;
}

bool thread_fpu_make(struct thread *thread)
{
	if (thread->has_fpu)
		return true;
	if (!thread_extra_make(thread))
		return false;
	fpu_state_init(thread->extra->fpu);
	thread->has_fpu = true;
	return true;
}

static void extra_free(struct thread *thread)
{
	zone_free(&extra_zone, thread->extra, thread->extra->payer);
	thread->extra = NULL;
}

void thread_fpu_free(struct thread *thread)
{
	struct thread_extra *extra = thread->extra;

	if (!thread->has_fpu)
		return;
	fpu_forget(thread);
	thread->has_fpu = false;
	if (extra->exception_port == NULL && extra->fail_site == NULL && (extra->fail_nth | extra->fail_armed) == 0 &&
	    extra->name[0] == 0)
		extra_free(thread);
}

static inline void thread_free(struct thread *thread)
{
	struct task *task = thread->task;

	assert(thread->state == THREAD_DEAD);
	task->dead_threads_cpu_ticks += thread->cpu_ticks;
	if (thread->extra != NULL) {
		if (thread->has_fpu)
			fpu_forget(thread);
		extra_free(thread);
	}
	if (thread->denial != 0)
		denial_forget(thread);
	zone_free(&thread_zone, thread, task->ledger);
}

void thread_bury(struct thread *thread)
{
	struct task *task = thread->task;

	thread_free(thread);
	task_buried(task);
}

void thread_kill(struct thread *thread)
{
	if (thread->state == THREAD_DEAD)
		return;
	if (thread->state == THREAD_WAITING || thread_pauses(thread))
		wait_cancel(thread, WAIT_KILLED);
	thread_depress_end(thread);
	if (thread->state == THREAD_READY)
		sched_unready(thread);
	thread_detach(thread);
	thread->state = THREAD_DEAD;
	thread->suspend_count = UINT32_MAX;
	if (thread != thread_current()) {
		thread_free(thread);
		return;
	}
	thread->task->dying_current = true;
	ast_set_current();
}

/*
 * A woken thread that has not run yet still has its continuation before it. Whoever looks at its
 * registers or changes them wants the call to be over: the continuation runs here, for it works on
 * the thread's own map whatever address space is active. It may make the thread wait again.
 * A long call that pauses is not over, no more than a wait: its thread's registers are as it called.
 */
void thread_settle_slow(struct thread *thread)
{
	const struct wait_kind *woken = thread->wait.kind;
	bool ready = thread->state == THREAD_READY;

	if (woken->pause || (!ready && thread->state != THREAD_STOPPED))
		return;
	if (ready)
		sched_unready(thread);
	thread->wait.kind = NULL;
	woken->continuation(thread, thread->wait.result);
	if (ready && thread->state == THREAD_STOPPED)
		sched_ready(thread);
	else
		throttle_sleeps(thread);
}

void thread_suspend_one(struct thread *thread)
{
	thread->straight_room = 0;
	if (thread->suspend_count++ > 0)
		return;
	if (thread->state == THREAD_READY)
		sched_unready(thread);
	if (thread->state == THREAD_STOPPED)
		throttle_sleeps(thread);
	mqueue_room_return(thread, false);
	if (thread == thread_current())
		ast_set_current();
}

kern_return_t thread_resume_one(struct thread *thread)
{
	if (thread->suspend_count == 0)
		return KERN_FAILURE;
	if (--thread->suspend_count == 0)
		sched_resume(thread);
	return KERN_SUCCESS;
}

/*
 * Depression: the thread steps behind all others for a while (thread_switch, swtch_pri). The end of
 * it uses the thread's deadline, which no wait needs meanwhile: a thread that waits is not depressed.
 */
void thread_depress(struct thread *thread, uint32_t time_ms)
{
	bool already = thread->depressed;
	uint64_t end_ns = clock_uptime_ns() + (uint64_t)time_ms * 1000000 + 1;

	if (already) {
		/* Both are over when the next tick looks. */
		if (time_ms == 0 && thread->wait.deadline_ns <= end_ns)
			return;
		timer_stop(thread);
	}
	thread->depressed = true;
	thread->wait.deadline_ns = end_ns;
	thread->deadline_kept = false;
	timer_start(thread);
	if (!already)
		sched_set_priority(thread, SCHED_PRIORITY_LOWEST);
}

void thread_depress_end(struct thread *thread)
{
	if (!thread->depressed)
		return;
	thread->depressed = false;
	timer_stop(thread);
	sched_set_priority(thread, thread->base_priority);
}

void thread_set_base_priority(struct thread *thread, unsigned priority)
{
	thread->base_priority = (uint8_t)priority;
	if (!thread->depressed)
		sched_set_priority(thread, priority);
}
