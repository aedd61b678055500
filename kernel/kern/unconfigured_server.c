/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Server routines for what this kernel has one of, or none: a single processor and a single processor set, no
 * profiling, no emulation of system calls, no restartable sequences, no stacks of threads.
 *
 * They give the codes of the GNU Mach manual (Processors and Processor Sets, Profiling, Task Interface): what is already
 * so succeeds, what is not supported is KERN_FAILURE, and no object or a wrong one is KERN_INVALID_ARGUMENT.
 */
#include <mach/kern_return.h>
#include <mach/policy.h>
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/host.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mach4_server.h"
#include "mach_debug_server.h"
#include "mach_host_server.h"
#include "mach_server.h"
#include "x86_64/cpu.h"
#include "x86_64/machine.h"

#define WALK_PIECE 64		/* tasks or threads before interrupts get a window */

/* The answer for an object, when the object is there. */
static kern_return_t answer(const void *object, kern_return_t code)
{
	return object == NULL ? KERN_INVALID_ARGUMENT : code;
}

/* --- processors: the one is running, and must --- */

kern_return_t processor_start(struct processor *processor)
{
	return answer(processor, KERN_FAILURE);
}

kern_return_t processor_exit(struct processor *processor)
{
	return answer(processor, KERN_FAILURE);
}

kern_return_t processor_control(struct processor *processor, const integer_t *command, mach_msg_type_number_t count)
{
	(void)command;
	(void)count;
	return answer(processor, KERN_FAILURE);
}

/* The master processor stays where it is. */
kern_return_t processor_assign(struct processor *processor, struct processor_set *set, boolean_t wait)
{
	(void)wait;
	return processor == NULL ? KERN_INVALID_ARGUMENT : answer(set, KERN_FAILURE);
}

/* --- processor sets: there is the default one --- */

kern_return_t processor_set_create(struct host *host, struct port **set, struct port **name)
{
	(void)set;
	(void)name;
	return answer(host, KERN_FAILURE);
}

kern_return_t processor_set_destroy(struct processor_set *set)
{
	return answer(set, KERN_FAILURE);
}

kern_return_t thread_assign(struct thread *thread, struct processor_set *set)
{
	return thread == NULL ? KERN_INVALID_ARGUMENT : answer(set, KERN_SUCCESS);
}

kern_return_t thread_assign_default(struct thread *thread)
{
	return answer(thread, KERN_SUCCESS);
}

kern_return_t task_assign(struct task *task, struct processor_set *set, boolean_t threads)
{
	(void)threads;
	return task == NULL ? KERN_INVALID_ARGUMENT : answer(set, KERN_SUCCESS);
}

kern_return_t task_assign_default(struct task *task, boolean_t threads)
{
	(void)threads;
	return answer(task, KERN_SUCCESS);
}

/* Timesharing is always enabled, fixed priority never. */
kern_return_t processor_set_policy_enable(struct processor_set *set, int policy)
{
	if (set == NULL || invalid_policy(policy))
		return KERN_INVALID_ARGUMENT;
	return policy == POLICY_TIMESHARE ? KERN_SUCCESS : KERN_FAILURE;
}

kern_return_t processor_set_policy_disable(struct processor_set *set, int policy, boolean_t threads)
{
	(void)threads;
	if (set == NULL || invalid_policy(policy) || policy == POLICY_TIMESHARE)
		return KERN_INVALID_ARGUMENT;
	return KERN_SUCCESS;
}

/* Calls visit for each thread of the machine, with windows between, and counts them. */
static uint32_t threads_walk(void (*visit)(struct thread *thread, void *context), void *context)
{
	struct thread *thread;
	struct task *task;
	uint32_t n = 0, steps = 0;

	LIST_FOREACH(task, &task_list, all) {
		LIST_FOREACH(thread, &task->threads, task_link) {
			if (thread->self == NULL)
				continue;
			n++;
			if (visit != NULL)
				visit(thread, context);
			if (++steps % WALK_PIECE == 0)
				machine_window();
		}
		if (++steps % WALK_PIECE == 0)
			machine_window();
	}
	return n;
}

static void bound_priority(struct thread *thread, void *context)
{
	uint8_t priority = *(uint8_t *)context;

	thread->max_priority = priority;
	if (thread->base_priority < priority)
		thread_set_base_priority(thread, priority);
}

/* Holds for threads made from now on (thread.c), and for all when change_threads is true. */
kern_return_t processor_set_max_priority(struct processor_set *set, int priority, boolean_t change_threads)
{
	if (set == NULL || priority < 0 || priority >= SCHED_PRIORITIES)
		return KERN_INVALID_ARGUMENT;
	set->max_priority = (uint8_t)priority;
	if (change_threads)
		threads_walk(bound_priority, &set->max_priority);
	return KERN_SUCCESS;
}

struct thread_list {
	struct port_array *array;
	uint32_t next;
};

static void list_add(struct thread *thread, void *context)
{
	struct thread_list *list = context;

	*port_array_slot(list->array, list->next++) = right_make_send(thread->self);
}

/* Paid by the caller. */
kern_return_t processor_set_threads(struct processor_set *set, struct port_array **threads, mach_msg_type_number_t *count)
{
	struct thread_list list = {0};

	if (set == NULL)
		return KERN_INVALID_ARGUMENT;
	*count = threads_walk(NULL, NULL);
	if (*count > PORT_ARRAY_MAX)
		return KERN_RESOURCE_SHORTAGE;
	list.array = port_array_make(*count, MACH_MSG_TYPE_PORT_SEND, thread_current()->task->ledger);
	if (list.array == NULL)
		return KERN_RESOURCE_SHORTAGE;
	/* The allocation may have reaped, never made, threads: what is left of the array stays null. */
	threads_walk(list_add, &list);
	*threads = list.array;
	return KERN_SUCCESS;
}

/* --- profiling --- */

kern_return_t task_enable_pc_sampling(struct task *task, int *tick, sampled_pc_flavor_t flavor)
{
	(void)tick;
	(void)flavor;
	return answer(task, KERN_FAILURE);
}

kern_return_t task_disable_pc_sampling(struct task *task, int *count)
{
	(void)count;
	return answer(task, KERN_FAILURE);
}

kern_return_t task_get_sampled_pcs(struct task *task, sampled_pc_seqno_t *seqno, sampled_pc_t *pcs,
				   mach_msg_type_number_t *count)
{
	(void)seqno;
	(void)pcs;
	(void)count;
	return answer(task, KERN_FAILURE);
}

kern_return_t thread_enable_pc_sampling(struct thread *thread, int *tick, sampled_pc_flavor_t flavor)
{
	(void)tick;
	(void)flavor;
	return answer(thread, KERN_FAILURE);
}

kern_return_t thread_disable_pc_sampling(struct thread *thread, int *count)
{
	(void)count;
	return answer(thread, KERN_FAILURE);
}

kern_return_t thread_get_sampled_pcs(struct thread *thread, sampled_pc_seqno_t *seqno, sampled_pc_t *pcs,
				     mach_msg_type_number_t *count)
{
	(void)seqno;
	(void)pcs;
	(void)count;
	return answer(thread, KERN_FAILURE);
}

/* --- emulation, restartable sequences --- */

kern_return_t task_get_emulation_vector(struct task *task, int *start, struct vm_copy **vector,
					mach_msg_type_number_t *count)
{
	(void)start;
	(void)vector;
	(void)count;
	return answer(task, KERN_FAILURE);
}

kern_return_t task_set_emulation_vector(struct task *task, int start, struct vm_copy *vector,
					mach_msg_type_number_t count)
{
	(void)start;
	(void)vector;
	(void)count;
	return answer(task, KERN_FAILURE);
}

kern_return_t task_set_emulation(struct task *task, vm_address_t entry, int number)
{
	(void)entry;
	(void)number;
	return answer(task, KERN_FAILURE);
}

kern_return_t task_ras_control(struct task *task, vm_address_t start, vm_address_t end, int flavor)
{
	(void)start;
	(void)end;
	(void)flavor;
	return answer(task, KERN_FAILURE);
}

/* --- tables and stacks --- */

/* One stack for the processor, whatever runs; how far it was used is not known. */
kern_return_t host_stack_usage(struct host *host, vm_size_t *reserved, unsigned *total, vm_size_t *space,
			       vm_size_t *resident, vm_size_t *maxusage, vm_offset_t *maxstack)
{
	if (host == NULL)
		return KERN_INVALID_HOST;
	*reserved = 0;
	*total = 1;
	*space = *resident = KERNEL_STACK_SIZE;
	*maxusage = 0;
	*maxstack = 0;
	return KERN_SUCCESS;
}

/* Threads have none. */
kern_return_t processor_set_stack_usage(struct processor_set *set, unsigned *total, vm_size_t *space, vm_size_t *resident,
					vm_size_t *maxusage, vm_offset_t *maxstack)
{
	*total = 0;
	*space = *resident = *maxusage = 0;
	*maxstack = 0;
	return answer(set, KERN_SUCCESS);
}

kern_return_t host_virtual_physical_table_info(struct host *host, struct vm_copy **info, mach_msg_type_number_t *count)
{
	(void)info;
	(void)count;
	return host == NULL ? KERN_INVALID_HOST : KERN_FAILURE;
}

kern_return_t host_ipc_marequest_info(struct host *host, unsigned *max_requests, struct vm_copy **info,
				      mach_msg_type_number_t *count)
{
	(void)max_requests;
	(void)info;
	(void)count;
	return host == NULL ? KERN_INVALID_HOST : KERN_FAILURE;
}

/* The kernel has its own table, and no debugger in it. */
kern_return_t host_load_symbol_table(struct host *host, struct task *task, const char *name, struct vm_copy *table,
				     mach_msg_type_number_t size)
{
	(void)name;
	(void)table;
	(void)size;
	return host == NULL ? KERN_INVALID_HOST : answer(task, KERN_FAILURE);
}
