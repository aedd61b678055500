/* SPDX-License-Identifier: BSD-2-Clause */
/* What is done before a return to user mode. */
#include "kern/ast.h"
#include "ipc/throttle.h"
#include "kern/device.h"
#include "kern/likely.h"
#include "kern/sched.h"
#include "kern/stretch.h"
#include "kern/task.h"
#include "kern/timer.h"
#include "mem/reap.h"
#include "mem/upcalls.h"
#include "x86_64/machine.h"

/* Pieces of long destruction worked off in one pass: many by the thread whose call deferred them, a
   single one by any other that comes past; a busy bystander hardly pays for the dead. */
#define AST_REAP_OWN 8
#define AST_REAP_OTHERS 1

static bool reschedule;
static bool for_current;	/* the ast is set for the current thread only */

/* Whoever leaves work behind does some of it before it goes on. */
void mem_deferred(void)
{
	struct thread *thread = thread_current();

	if (thread != NULL)
		thread->works_off = true;
	ast_set();
}

void ast_set(void)
{
	for_current = false;
	cpu_current()->ast = true;
}

void ast_set_current(void)
{
	cpu_local *cpu = cpu_current();

	for_current |= !cpu->ast;
	cpu->ast = true;
}

void ast_reschedule(void)
{
	reschedule = true;
	ast_set_current();
}

/* An interrupt in a window may have set it as well. */
static __attribute__((noinline)) void ast_clear_current(void)
{
	cpu_local *cpu = cpu_current();

	for_current = false;
	cpu->ast = cpu->tick || cpu->input;
}

void ast_rescheduled(void)
{
	reschedule = false;
	if (for_current)
		ast_clear_current();
}

/* Wakes those whose time has come. The devices are looked at as well, for readers behind the first. */
static __attribute__((noinline)) void ast_tick(void)
{
	cpu_current()->tick = false;
	cpu_current()->input = true;
	sched_tick();
	timer_expire();
}

static __attribute__((noinline)) void ast_input(void)
{
	cpu_current()->input = false;
	device_ast();
}

static inline void ast_events(void)
{
	cpu_current()->ast = for_current = false;
	if (cpu_current()->tick)
		ast_tick();
	throttle_run();
	if (cpu_current()->input)
		ast_input();
}

void ast_idle(void)
{
	ast_events();
}

/* own: of what the thread's call has put off. */
static void work_off(struct thread *thread, bool own)
{
	unsigned steps;

	for (steps = own ? AST_REAP_OWN : AST_REAP_OTHERS; steps > 0 && reap_one(); steps--)
		machine_window();
	thread->works_off = own && reap_pending();
	if (thread->works_off)
		ast_set();
}

void ast_handle(struct thread *thread)
{
	bool own = thread->works_off;

	ast_events();
	sched_handoff_undo();
	/* What happened to be due, for others, may have put something off too. */
	thread->works_off = false;
	if (unlikely(reap_pending()))
		work_off(thread, own);
	if (thread->state != THREAD_RUNNING)
		sched_switch();
	if (!sched_runnable(thread)) {
		thread->state = THREAD_STOPPED;
		sched_switch();
	}
	if (reschedule)
		sched_yield();
	stretch_note(ast_handle);
}
