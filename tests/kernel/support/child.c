/* SPDX-License-Identifier: BSD-2-Clause */
/* Children: forked into a ledger, watched, ended; memory and events shared with them. */
#include "child.h"
#include <ledger_user.h>
#include <mach.h>
#include <mach/gsync.h>
#include <mach/machine/thread_status.h>
#include <mach/mig_support.h>
#include <mach/notify.h>
#include <mach/program.h>
#include <mach/threads.h>
#include "tap.h"

#define STACK_SIZE	(32 * 1024)

/* Each child runs on its own copy of these; the test itself never does. */
static char stack[STACK_SIZE] __attribute__((aligned(4096)));
static struct thread child_record;

_Noreturn static void child_begin(void (*function)(void *), void *argument)
{
	thread_adopt(&child_record);
	mach_task_self_ = mach_task_self_trap();
	program_set_output(MACH_PORT_NULL);
	function(argument);
	for (;;) {
		give_back_task(mach_task_self());
		thread_yield();
	}
}

static kern_return_t set_registers(thread_t thread, void (*function)(void *), void *argument)
{
	struct i386_thread_state state = {
		.rdi = (uint64_t)(uintptr_t)function,
		.rsi = (uint64_t)(uintptr_t)argument,
		.rip = (uint64_t)(uintptr_t)child_begin,
		.ursp = (uint64_t)(uintptr_t)(stack + sizeof stack) - 8,
	};

	return thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state,
				i386_THREAD_STATE_COUNT);
}

static void destroy_receive(mach_port_t port)
{
	if (MACH_PORT_VALID(port))
		mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static kern_return_t watch_end(struct child *child)
{
	kern_return_t code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &child->end);

	return code != KERN_SUCCESS ? code :
	       mach_request_notification(child->task, MACH_NOTIFY_DEAD_NAME, 0, child->end);
}

static void forget(struct child *child)
{
	give_back_right(child->thread);
	give_back_right(child->task);
	destroy_receive(child->end);
	*child = (struct child){ .ended = true };
}

kern_return_t child_start(struct child *child, void (*function)(void *), void *argument,
			  const struct child_options *options)
{
	static const struct child_options none;
	kern_return_t code;

	options = options != NULL ? options : &none;
	*child = (struct child){ 0 };
	if (options->ledger != MACH_PORT_NULL)
		code = task_create_in_ledger(mach_task_self(), options->ledger, TRUE, &child->task);
	else
		code = task_create(mach_task_self(), TRUE, &child->task);
	if (code != KERN_SUCCESS)
		return code;
	code = watch_end(child);
	if (code == KERN_SUCCESS)
		code = thread_create(child->task, &child->thread);
	if (code == KERN_SUCCESS)
		code = set_registers(child->thread, function, argument);
	if (code == KERN_SUCCESS && options->before != NULL)
		code = options->before(child, argument);
	if (code == KERN_SUCCESS && !options->suspended)
		code = thread_resume(child->thread);
	if (code != KERN_SUCCESS) {
		task_terminate(child->task);
		/* The notification, if one was asked for, has a reference to the dead name. */
		child_wait(child, 0);
		forget(child);
	}
	return code;
}

bool word_becomes(const uint32_t *word, uint32_t value, unsigned milliseconds)
{
	for (unsigned i = 0; i < milliseconds; i++) {
		if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value)
			return true;
		thread_sleep(1);
	}
	return false;
}

int message_await(mach_port_t port, unsigned milliseconds)
{
	union {
		mach_msg_header_t head;
		char room[1024];
	} message;
	mach_msg_return_t code = mach_msg(&message.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
					  sizeof message, port, milliseconds, MACH_PORT_NULL);

	if (code != MACH_MSG_SUCCESS)
		return 0;
	mach_msg_destroy(&message.head);
	return message.head.msgh_id;
}

bool child_wait(struct child *child, unsigned milliseconds)
{
	if (!child->ended && message_await(child->end, milliseconds) == MACH_NOTIFY_DEAD_NAME) {
		child->ended = true;
		/* The notification brought a reference to the dead name. */
		give_back_right(child->task);
	}
	return child->ended;
}

void child_finish(struct child *child)
{
	if (!child->ended) {
		task_terminate(child->task);
		if (!child_wait(child, 10000))
			give_up("a terminated child's port dies");
	}
	forget(child);
}

kern_return_t child_empty(task_t *task, ledger_t ledger)
{
	return ledger != MACH_PORT_NULL ?
		       task_create_in_ledger(mach_task_self(), ledger, FALSE, task) :
		       task_create(mach_task_self(), FALSE, task);
}

void *shared_alloc(vm_size_t size)
{
	vm_address_t address = 0;

	need(vm_allocate(mach_task_self(), &address, size, TRUE), "memory to share");
	need(vm_inherit(mach_task_self(), address, round_page(size), VM_INHERIT_SHARE),
	     "memory that is shared");
	need(memory_touch(address, size), "memory that is present");
	return (void *)address;
}

void shared_free(void *memory, vm_size_t size)
{
	give_back_memory((vm_address_t)memory, size);
}

void word_post(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	gsync_wake(mach_task_self(), (vm_address_t)word, 0, GSYNC_SHARED | GSYNC_BROADCAST);
}

bool word_await(uint32_t *word, uint32_t value, unsigned milliseconds)
{
	uint64_t start = clock_uptime_ns();
	uint32_t seen;

	while ((seen = __atomic_load_n(word, __ATOMIC_SEQ_CST)) < value) {
		uint64_t gone = (clock_uptime_ns() - start) / 1000000;

		if (gone >= milliseconds)
			return false;
		gsync_wait(mach_task_self(), (vm_address_t)word, seen, 0,
			   milliseconds - (natural_t)gone, GSYNC_SHARED | GSYNC_TIMED);
	}
	return true;
}

bool thread_await_state(thread_t thread, int state, unsigned milliseconds)
{
	uint64_t start = clock_uptime_ns();
	struct thread_basic_info info;
	mach_msg_type_number_t count;

	do {
		count = THREAD_BASIC_INFO_COUNT;
		if (thread_info(thread, THREAD_BASIC_INFO, (integer_t *)&info, &count) != KERN_SUCCESS)
			return false;
		if (info.run_state == state)
			return true;
		thread_sleep(1);
	} while (clock_uptime_ns() - start < milliseconds * 1000000ull);
	return false;
}

bool thread_await_waiting(thread_t thread, unsigned milliseconds)
{
	return thread_await_state(thread, TH_STATE_WAITING, milliseconds);
}

uint64_t random_next(struct random *random)
{
	uint64_t x = random->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	random->state = x;
	return x * 0x2545f4914f6cdd1d;
}

uint64_t random_below(struct random *random, uint64_t bound)
{
	return random_next(random) % bound;
}
