/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Crowds: many objects of one kind that only exist, while an operation is measured. What is made does
 * not run, is not looked at, and belongs to this task (so that its names, entries and threads count).
 */
#include "bench.h"
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/message.h>
#include <mach/syscall_sw.h>
#include <mach/threads.h>

#define COUNT_MAX	1000000
#define QUEUE		16			/* messages to a port */
#define PLACE_BYTES	(2 * 4096ul)		/* of an entry, with a hole behind it */

const char *const crowd_names[CROWDS] = { "none", "ports", "messages", "entries", "threads", "runnable", "timers",
					   "tasks" };

static uint64_t alive;
static mach_port_t names[COUNT_MAX];
static vm_address_t base;
static mach_port_t wait_port;
/* All threads of a crowd use it and none writes to it. */
static uint64_t wait_stack[4];
static mach_msg_header_t wait_message;

static kern_return_t make_port(uint64_t i)
{
	return syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &names[i]);
}

static void unmake_port(uint64_t i)
{
	need(mach_port_destroy(mach_task_self(), names[i]), "mach_port_destroy");
}

/* The first of each QUEUE messages has the port. */
static kern_return_t make_message(uint64_t i)
{
	mach_port_t port = names[i - i % QUEUE];
	kern_return_t code = KERN_SUCCESS;
	struct {
		mach_msg_header_t head;
		uint64_t body[4];
	} message = { 0 };

	if (i % QUEUE == 0) {
		names[i] = port = bench_port();
		code = mach_port_set_qlimit(mach_task_self(), port, QUEUE);
	}
	if (code != KERN_SUCCESS)
		return code;
	message.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	message.head.msgh_remote_slot = port;
	return mach_msg(&message.head, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
}

static void unmake_message(uint64_t i)
{
	if (i % QUEUE == 0)
		unmake_port(i);
}

/* Where the next new memory would be: the search for a place has to pass them. */
static kern_return_t make_entry(uint64_t i)
{
	kern_return_t code = KERN_SUCCESS;
	vm_address_t address;

	if (i == 0) {
		base = 0;
		code = syscall_vm_allocate(mach_task_self(), &base, COUNT_MAX * PLACE_BYTES, TRUE);
		if (code == KERN_SUCCESS)
			code = syscall_vm_deallocate(mach_task_self(), base, COUNT_MAX * PLACE_BYTES);
	}
	if (code != KERN_SUCCESS)
		return code;
	address = base + i * PLACE_BYTES;
	return syscall_vm_allocate(mach_task_self(), &address, vm_page_size, FALSE);
}

static void unmake_entry(uint64_t i)
{
	need(syscall_vm_deallocate(mach_task_self(), base + i * PLACE_BYTES, vm_page_size), "vm_deallocate");
}

/* A thread that does nothing but wait: its registers are those of one call of mach_msg_trap. */
void crowd_wait(void);
__asm__(".text\ncrowd_wait:\n\tsyscall\n\tud2\n");

static kern_return_t make_waiting(uint64_t i, int option, unsigned timeout_ms)
{
	struct i386_thread_state state = {
		.rip = (uint64_t)(uintptr_t)crowd_wait, .ursp = (uint64_t)(uintptr_t)wait_stack,
		.rax = (uint64_t)TRAP_mach_msg_trap, .rdi = (uint64_t)(uintptr_t)&wait_message,
		.rsi = (uint64_t)(MACH_RCV_MSG | option), .r10 = sizeof wait_message, .r9 = timeout_ms,
	};
	kern_return_t code;

	if (i == 0)
		wait_port = bench_port();
	state.r8 = wait_port;
	code = thread_create(mach_task_self(), &names[i]);
	if (code != KERN_SUCCESS)
		return code;
	need(thread_set_state(names[i], i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT),
	     "thread_set_state");
	need(thread_resume(names[i]), "thread_resume");
	swtch_pri(0);
	return KERN_SUCCESS;
}

static kern_return_t make_thread(uint64_t i)
{
	return make_waiting(i, 0, 0);
}

/* With time-outs in no order. */
static kern_return_t make_timer(uint64_t i)
{
	return make_waiting(i, MACH_RCV_TIMEOUT, 3600 * 1000 + (unsigned)(i * 7919 % 1000003));
}

static void unmake_thread(uint64_t i)
{
	need(thread_terminate(names[i]), "thread_terminate");
	give_back_right(names[i]);
	if (i == 0)
		bench_port_free(wait_port);
}

#define PRIORITY_LOW	50	/* what is measured is at 25 */

/* Threads that would run, were there nothing more urgent. */
void crowd_spin(void);
__asm__(".text\ncrowd_spin:\n\tpause\n\tjmp crowd_spin\n");

static kern_return_t make_runnable(uint64_t i)
{
	struct i386_thread_state state = {
		.rip = (uint64_t)(uintptr_t)crowd_spin, .ursp = (uint64_t)(uintptr_t)wait_stack,
	};
	kern_return_t code = thread_create(mach_task_self(), &names[i]);

	if (code != KERN_SUCCESS)
		return code;
	need(thread_set_state(names[i], i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT),
	     "thread_set_state");
	need(thread_priority(names[i], PRIORITY_LOW, FALSE), "thread_priority");
	need(thread_resume(names[i]), "thread_resume");
	return KERN_SUCCESS;
}

static void unmake_runnable(uint64_t i)
{
	need(thread_terminate(names[i]), "thread_terminate");
	give_back_right(names[i]);
}

static kern_return_t make_task(uint64_t i)
{
	return task_create(mach_task_self(), FALSE, &names[i]);
}

static void unmake_task(uint64_t i)
{
	need(task_terminate(names[i]), "task_terminate");
	give_back_right(names[i]);
}

static const struct {
	kern_return_t (*make)(uint64_t i);
	void (*unmake)(uint64_t i);
} kinds[CROWDS] = {
	[CROWD_PORTS] = { make_port, unmake_port },
	[CROWD_MESSAGES] = { make_message, unmake_message },
	[CROWD_ENTRIES] = { make_entry, unmake_entry },
	[CROWD_THREADS] = { make_thread, unmake_thread },
	[CROWD_RUNNABLE] = { make_runnable, unmake_runnable },
	[CROWD_TIMERS] = { make_timer, unmake_thread },
	[CROWD_TASKS] = { make_task, unmake_task },
};

bool crowd_set(enum crowd kind, uint64_t count)
{
	if (count > COUNT_MAX)
		return false;
	for (; alive < count; alive++) {
		if (kinds[kind].make(alive) != KERN_SUCCESS)
			return false;
	}
	while (alive > count)
		kinds[kind].unmake(--alive);
	return true;
}
