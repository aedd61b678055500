/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads and tasks: made and ended; the CPU handed over. The names of what is dead are given back between samples. */
#include "bench.h"
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/thread_switch.h>
#include <mach/threads.h>

#define THREAD_TERMINATE_ID	2016

static mach_port_t made;

static void made_again(void)
{
	need(syscall_mach_port_deallocate(mach_task_self(), made), "the name of what is dead");
}

static void thread_create_terminate(void)
{
	need(thread_create(mach_task_self(), &made), "thread_create");
	need(thread_terminate(made), "thread_terminate");
}

/* --- a thread that runs --- */

static char stack[4096] __attribute__((aligned(16)));
static mach_msg_header_t last_words;

/* Runs without a record of the library's (%fs), so it sends the message by hand. */
_Noreturn static void run_and_exit(void)
{
	last_words = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0), .msgh_size = sizeof last_words,
		.msgh_remote_slot = made, .msgh_id = THREAD_TERMINATE_ID,
	};
	mach_msg_trap(&last_words, MACH_SEND_MSG, sizeof last_words, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
	__builtin_trap();
}

static void thread_create_run_exit(void)
{
	struct i386_thread_state state = {
		.rip = (uint64_t)(uintptr_t)run_and_exit, .ursp = (uint64_t)(uintptr_t)(stack + sizeof stack) - 8,
	};

	last_words.msgh_size = 0;
	need(thread_create(mach_task_self(), &made), "thread_create");
	need(thread_set_state(made, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT),
	     "thread_set_state");
	need(thread_resume(made), "thread_resume");
	/* The other is the only one that can run: it has ended when this returns. */
	swtch_pri(0);
	if (last_words.msgh_size == 0)
		bench_fail("the thread has not run");
}

static void task_create_terminate(void)
{
	need(task_create(mach_task_self(), FALSE, &made), "task_create");
	need(task_terminate(made), "task_terminate");
}

/* --- the CPU to another thread and back --- */

static struct thread *other;
static mach_port_t this;
static volatile bool ending;

static void switch_back(void *argument)
{
	(void)argument;
	while (!ending)
		thread_switch(this, SWITCH_OPTION_NONE, 0);
}

static void switch_setup(void)
{
	ending = false;
	this = mach_thread_self();
	need(thread_spawn(switch_back, NULL, 0, &other), "a thread");
}

static void switch_teardown(void)
{
	ending = true;
	thread_join(other);
	give_back_right(this);
}

static void switch_there_and_back(void)
{
	thread_switch(other->port, SWITCH_OPTION_NONE, 0);
}

/* --- a thread that waits becomes able to run --- */

static struct thread *sleeper;
static mach_port_t bed;

static void sleep_there(void *argument)
{
	struct {
		mach_msg_header_t head;
		uint64_t room[8];
	} message;

	(void)argument;
	do
		mach_msg_trap(&message.head, MACH_RCV_MSG, 0, sizeof message, bed, 0, MACH_PORT_NULL);
	while (!ending);
}

/* Wakes the sleeper, which has not the CPU yet. */
static void wake_up(void)
{
	mach_msg_header_t message = {
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0), .msgh_size = sizeof message,
		.msgh_remote_slot = bed,
	};

	need(mach_msg_trap(&message, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL), "a send");
}

/* It goes back to its wait. */
static void sleep_again(void)
{
	thread_switch(sleeper->port, SWITCH_OPTION_NONE, 0);
}

static void wake_setup(void)
{
	ending = false;
	bed = bench_port();
	need(thread_spawn(sleep_there, NULL, 0, &sleeper), "a thread");
	sleep_again();
}

static void wake_teardown(void)
{
	ending = true;
	wake_up();
	thread_join(sleeper);
	bench_port_free(bed);
}

const struct operation task_operations[] = {
	{ .name = "thread_create_terminate", .run = thread_create_terminate, .again = made_again,
	  .kind = CROWD_THREADS },
	{ .name = "thread_create_run_exit", .run = thread_create_run_exit, .again = made_again,
	  .kind = CROWD_THREADS },
	{ .name = "switch_there_and_back", .setup = switch_setup, .teardown = switch_teardown, .run = switch_there_and_back,
	  .kind = CROWD_THREADS },
	{ .name = "switch_there_and_back", .setup = switch_setup, .teardown = switch_teardown, .run = switch_there_and_back,
	  .kind = CROWD_RUNNABLE, .crowd_only = true },
	{ .name = "wake_up", .setup = wake_setup, .teardown = wake_teardown, .run = wake_up, .again = sleep_again,
	  .kind = CROWD_THREADS, .crowd_only = true },
	{ .name = "wake_up", .setup = wake_setup, .teardown = wake_teardown, .run = wake_up, .again = sleep_again,
	  .kind = CROWD_RUNNABLE, .crowd_only = true },
	{ .name = "task_create_terminate", .run = task_create_terminate, .again = made_again, .kind = CROWD_TASKS },
	{ 0 },
};
