/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A copy of the task with one thread. The stack and the thread's record are
 * static: the child runs on its own copy of them, so one of each is enough for
 * any number of children.
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/program.h>
#include "program_private.h"

#define FORK_STACK_SIZE	(20 * 1024)

static char stack[FORK_STACK_SIZE] __attribute__((aligned(16)));
static struct thread child_thread;

_Noreturn static void child_begin(void (*function)(void *), void *argument)
{
	program_reset(&child_thread);
	function(argument);
	for (;;) {
		/* The name of the task itself may have been denied. */
		if (!MACH_PORT_VALID(mach_task_self()))
			mach_task_self_ = mach_task_self_trap();
		give_back_task(mach_task_self());
		thread_yield();
	}
}

/* ledger: who pays for it; MACH_PORT_NULL: our own. */
static kern_return_t create_task(mach_port_t ledger, task_t *child)
{
	kern_return_t code;

	if (ledger != MACH_PORT_NULL)
		return task_create_in_ledger(mach_task_self(), ledger, TRUE, child);
	code = syscall_task_create(mach_task_self(), TRUE, child);
	return code == MACH_SEND_INTERRUPTED ? task_create(mach_task_self(), TRUE, child) : code;
}

/*
 * Forking has made all our pages copy-on-write. Those of the stack that the
 * next calls write to are made ours again, so that a denial is a code here and
 * not an exception there.
 */
#define STACK_BELOW	(12 * 1024)

static kern_return_t own_stack_again(void)
{
	vm_address_t here = (vm_address_t)__builtin_frame_address(0);

	return memory_touch(here - STACK_BELOW, STACK_BELOW);
}

kern_return_t program_fork(void (*function)(void *), void *argument,
			   kern_return_t (*before)(task_t child, void *argument), task_t *child)
{
	return program_fork_in(MACH_PORT_NULL, function, argument, before, child);
}

kern_return_t program_fork_in(mach_port_t ledger, void (*function)(void *), void *argument,
			      kern_return_t (*before)(task_t child, void *argument),
			      task_t *child)
{
	struct i386_thread_state state = {
		.rdi = (uint64_t)(uintptr_t)function,
		.rsi = (uint64_t)(uintptr_t)argument,
		.rip = (uint64_t)(uintptr_t)child_begin,
		.ursp = (uint64_t)(uintptr_t)(stack + sizeof stack) - 8,
	};
	thread_t thread = MACH_PORT_NULL;
	kern_return_t code = create_task(ledger, child);

	if (code != KERN_SUCCESS)
		return code;
	code = own_stack_again();
	if (code == KERN_SUCCESS && before != NULL)
		code = before(*child, argument);
	if (code == KERN_SUCCESS)
		code = thread_create(*child, &thread);
	if (code == KERN_SUCCESS)
		code = thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state,
					i386_THREAD_STATE_COUNT);
	if (code == KERN_SUCCESS)
		code = thread_resume(thread);
	give_back_right(thread);
	if (code != KERN_SUCCESS) {
		give_back_task(*child);
		give_back_right(*child);
	}
	return code;
}
