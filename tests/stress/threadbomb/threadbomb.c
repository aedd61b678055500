/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads until denied.
 *   run      each has a stack (of a page, or -z) and sleeps
 *   created  none ever runs: no more than the kernel holds of a thread
 */
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/thread_switch.h>
#include "engine.h"

#define SLEEP_MS	1000000
#define STACK_MAX	(64 * 1024 * 1024)

static const char *const shapes[] = { "run", "created", NULL };
static bool runs;
static vm_size_t stack_size;

/* Has no record that %fs would find: only traps that need none. */
static void sleep_on(void)
{
	for (;;)
		thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, SLEEP_MS);
}

static kern_return_t start(thread_t thread, vm_address_t stack)
{
	struct i386_thread_state state = {
		.rip = (uint64_t)(uintptr_t)sleep_on,
		.ursp = stack + stack_size - 8,
	};
	kern_return_t code = thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state,
					      i386_THREAD_STATE_COUNT);

	return code == KERN_SUCCESS ? thread_resume(thread) : code;
}

static kern_return_t begin(const struct flood_options *options)
{
	runs = options->shape == 0;
	stack_size = options->size > 0 ? round_page(options->size) : vm_page_size;
	return KERN_SUCCESS;
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	kern_return_t code = KERN_SUCCESS;

	(void)index;
	if (runs)
		code = memory_allocate(&record->address, stack_size);
	if (code != KERN_SUCCESS) {
		record->address = 0;
		return code;
	}
	code = thread_create(mach_task_self(), &record->port);
	if (code != KERN_SUCCESS)
		record->port = MACH_PORT_NULL;
	return code == KERN_SUCCESS && runs ? start(record->port, record->address) : code;
}

/* The stack goes after its thread. */
static kern_return_t give_back(struct flood_record *record)
{
	kern_return_t code = KERN_SUCCESS;

	if (record->port != MACH_PORT_NULL) {
		code = thread_terminate(record->port);
		give_back_right(record->port);
	}
	if (code == KERN_SUCCESS && record->address != 0)
		code = give_back_memory(record->address, stack_size);
	return code;
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "threads",
		.syntax = { "snptrSkz", shapes, "threads until denied", "bytes of a stack", STACK_MAX },
		.begin = begin,
		.take = take,
		.give_back = give_back,
	};

	return flood_main(argc, argv, &flood);
}
