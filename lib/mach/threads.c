/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads: made, ended, and the record that %fs finds. */
#include <mach/threads.h>
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/mig_support.h>
#include <mach/thread_switch.h>
#include <stdlib.h>
#include "calls_private.h"

static mach_port_t host_self;

/* From now on this is what thread_self() finds. */
static kern_return_t set_self(struct thread *thread)
{
	struct i386_fsgs_base_state bases = { .fs_base = (uint64_t)(uintptr_t)thread };

	thread->self = thread;
	return thread_set_self_state(i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT);
}

void thread_adopt(struct thread *thread)
{
	thread->reply_port = thread->rpc_port = MACH_PORT_NULL;
	thread->port = MACH_PORT_NULL;
	thread->replacing_port = false;
	thread->watcher = thread->serving = NULL;
	calls_forget();
	/* In a forked task this is still its parent's name. */
	host_self = MACH_PORT_NULL;
	if (set_self(thread) != KERN_SUCCESS) {
		mach_print("cannot set the fs base of the first thread\n");
		__builtin_trap();
	}
}

_Noreturn static void thread_begin(struct thread *thread)
{
	thread->function(thread->argument);
	thread_finish();
}

static kern_return_t set_registers(struct thread *thread)
{
	struct i386_thread_state state = {
		.rdi = (uint64_t)(uintptr_t)thread,
		.rip = (uint64_t)(uintptr_t)thread_begin,
		.ursp = thread->stack + thread->stack_size - 8,
	};
	struct i386_fsgs_base_state bases = { .fs_base = (uint64_t)(uintptr_t)thread };
	kern_return_t code = thread_set_state(thread->port, i386_THREAD_STATE, (natural_t *)&state,
					      i386_THREAD_STATE_COUNT);

	if (code != KERN_SUCCESS)
		return code;
	return thread_set_state(thread->port, i386_FSGS_BASE_STATE, (natural_t *)&bases,
				i386_FSGS_BASE_STATE_COUNT);
}

kern_return_t thread_spawn(void (*function)(void *), void *argument, vm_size_t stack_size,
			   struct thread **result)
{
	struct thread *thread = calloc(1, sizeof *thread);
	kern_return_t code;

	if (thread == NULL)
		return KERN_RESOURCE_SHORTAGE;
	thread->self = thread;
	thread->function = function;
	thread->argument = argument;
	thread->watcher = thread_self()->watcher;
	thread->stack_size = round_page(stack_size != 0 ? stack_size : THREAD_STACK_SIZE);
	code = memory_allocate(&thread->stack, thread->stack_size);
	if (code != KERN_SUCCESS)
		goto out_thread;
	code = thread_create(mach_task_self(), &thread->port);
	if (code != KERN_SUCCESS)
		goto out_stack;
	code = set_registers(thread);
	*result = thread;
	if (code == KERN_SUCCESS)
		code = thread_resume(thread->port);
	if (code == KERN_SUCCESS)
		return KERN_SUCCESS;
	thread_terminate(thread->port);
	give_back_right(thread->port);
out_stack:
	give_back_memory(thread->stack, thread->stack_size);
out_thread:
	free(thread);
	return code;
}

void thread_join(struct thread *thread)
{
	while (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) == THREAD_RUNS)
		word_wait(&thread->state, THREAD_RUNS, 0);
	free(thread);
}

/* From running to the given state; false: it had ended or been detached before. */
static bool leave_running(struct thread *thread, uint32_t state)
{
	uint32_t running = THREAD_RUNS;

	return __atomic_compare_exchange_n(&thread->state, &running, state, false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void thread_detach(struct thread *thread)
{
	if (!leave_running(thread, THREAD_DETACHED))
		free(thread);
}

/*
 * The end: the kernel takes the stack, the thread's name and its reply port
 * with it. The reply port is made first, so that freeing cannot make another. From
 * then on the record may be freed by whoever joins; the last call has one on the stack.
 */
_Noreturn void thread_finish(void)
{
	struct thread *thread = thread_self();
	mach_port_t port = thread->port, reply = mig_get_reply_port();
	vm_address_t stack = thread->stack;
	vm_size_t size = thread->stack_size;
	struct thread last = { .port = port, .reply_port = reply };

	if (port == MACH_PORT_NULL)
		port = mach_thread_self();
	set_self(&last);
	if (leave_running(thread, THREAD_FINISHED))
		word_wake(&thread->state, true);
	else
		free(thread);
	for (;;) {
		thread_terminate_release(port, mach_task_self(), port, reply, stack, size);
		/* Denied the memory for this message: try until others have given back. */
		thread_yield();
	}
}

void thread_yield(void)
{
	swtch_pri(0);
}

void thread_sleep(unsigned milliseconds)
{
	if (milliseconds == 0)
		thread_yield();
	else
		thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, milliseconds);
}

uint64_t clock_uptime_ns(void)
{
	time_value64_t now;

	if (host_self == MACH_PORT_NULL)
		host_self = mach_host_self();
	if (host_get_uptime64(host_self, &now) != KERN_SUCCESS)
		return 0;
	return (uint64_t)now.seconds * 1000000000 + (uint64_t)now.nanoseconds;
}
