/* SPDX-License-Identifier: BSD-2-Clause */
/* Server routines on tasks: mach.defs and gnumach.defs. */
#include <mach/kern_return.h>
#include <mach/task_info.h>
#include <mach/task_special_ports.h>
#include "gnumach_server.h"
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/krpc_call.h"
#include "ipc/port.h"
#include "kern/ast.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/task_fork.h"
#include "kern/thread.h"
#include "kern/time.h"
#include "mach_server.h"
#include "mem/page.h"
#include "vm/map.h"
#include "x86_64/machine.h"

#define TASK_WINDOW 64		/* threads looked at before interrupts get a window */

static void task_uncreate(void *object)
{
	task_kill(object);
}

/* What task_create answers behind a pause. */
struct reply_create {
	mig_reply_header_t head;
	mach_msg_type_t type;
	struct port *child;
};

static void create_done(struct thread *thread, struct task *child, kern_return_t code)
{
	struct reply_create reply = {
		.type = { .msgt_name = MACH_MSG_TYPE_PORT_SEND, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 },
	};

	if (code != KERN_SUCCESS) {
		krpc_reply(thread, code);
		return;
	}
	reply.child = right_make_send(child->self);
	krpc_created(child->self, task_uncreate);
	krpc_reply_data(thread, code, &reply, sizeof(reply), true);
	krpc_created_settle();
}

kern_return_t task_create(struct task *parent, boolean_t inherit_memory, struct port **child)
{
	struct task *task;
	int error;

	if (parent == NULL)
		return KERN_INVALID_ARGUMENT;
	if (inherit_memory)
		error = task_fork(parent, create_done, &task);
	else
		task = task_make(parent, parent->ledger, false, &error);
	if (error != KERN_SUCCESS)
		return error;
	*child = right_make_send(task->self);
	krpc_created(*child, task_uncreate);
	return KERN_SUCCESS;
}

kern_return_t task_terminate(struct task *task)
{
	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	task_kill(task);
	return KERN_SUCCESS;
}

kern_return_t task_suspend(struct task *task)
{
	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	if (task->suspend_count == UINT32_MAX)
		return KERN_FAILURE;
	task->suspend_count++;		/* its threads stop when they are chosen to run */
	task->map.pmap.changes++;	/* and no message is written straight into their buffers */
	ast_set();
	return KERN_SUCCESS;
}

kern_return_t task_resume(struct task *task)
{
	struct thread *thread;
	unsigned n = 0;

	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	if (task->suspend_count == 0)
		return KERN_FAILURE;
	if (--task->suspend_count > 0)
		return KERN_SUCCESS;
	LIST_FOREACH(thread, &task->threads, task_link) {
		sched_resume(thread);
		if (++n % TASK_WINDOW == 0)
			machine_window();
	}
	return KERN_SUCCESS;
}

kern_return_t task_threads(struct task *task, struct port_array **list, mach_msg_type_number_t *count)
{
	struct thread *thread;
	mach_msg_type_number_t n = 0;

	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	*list = NULL;
	*count = 0;
	if (task->thread_count == 0)
		return KERN_SUCCESS;
	*list = port_array_make(task->thread_count, MACH_MSG_TYPE_PORT_SEND, thread_current()->task->ledger);
	if (*list == NULL)
		return KERN_RESOURCE_SHORTAGE;
	LIST_FOREACH(thread, &task->threads, task_link) {
		*port_array_slot(*list, n++) = right_make_send(thread->self);
		if (n % TASK_WINDOW == 0)
			machine_window();
	}
	*count = n;
	return KERN_SUCCESS;
}

/* --- information --- */

uint64_t task_live_cpu_ns(const struct task *task)
{
	uint64_t total = 0;
	const struct thread *thread;
	unsigned n = 0;

	LIST_FOREACH(thread, &task->threads, task_link) {
		total += sched_cpu_ns(thread);
		if (++n % TASK_WINDOW == 0)
			machine_window();
	}
	return total;
}

static void time_both(uint64_t ns, rpc_time_value_t *micro, time_value64_t *nano)
{
	*nano = time_of_ns(ns);
	micro->seconds = nano->seconds;
	micro->microseconds = (integer_t)(nano->nanoseconds / 1000);
}

static void task_basic_info(const struct task *task, struct task_basic_info *info)
{
	memset(info, 0, sizeof(*info));
	info->suspend_count = (integer_t)task->suspend_count;
	info->base_priority = task->priority;
	info->virtual_size = task->map.size_bytes;
	info->resident_size = task->map.pmap.mapped * (uint64_t)PAGE_SIZE;
	/* Time of threads that have gone; the live ones' is TASK_THREAD_TIMES_INFO. */
	time_both(clock_ticks_ns(task->dead_threads_cpu_ticks), &info->user_time, &info->user_time64);
	time_both(clock_boot_time_s() * 1000000000 + task->created_ns, &info->creation_time, &info->creation_time64);
}

static void task_events_info(const struct task *task, struct task_events_info *info)
{
	memset(info, 0, sizeof(*info));
	info->faults = (rpc_long_natural_t)task->map.faults;
	info->zero_fills = (rpc_long_natural_t)task->map.zero_fills;
	info->cow_faults = (rpc_long_natural_t)task->map.cow_faults;
	info->messages_sent = (rpc_long_natural_t)task->messages_sent;
	info->messages_received = (rpc_long_natural_t)task->messages_received;
}

kern_return_t task_info(struct task *task, int flavor, integer_t *info, mach_msg_type_number_t *count)
{
	struct task_thread_times_info *times = (struct task_thread_times_info *)info;

	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	switch (flavor) {
	case TASK_BASIC_INFO:
		if (*count < TASK_BASIC_INFO_COUNT)
			return KERN_INVALID_ARGUMENT;
		task_basic_info(task, (struct task_basic_info *)info);
		*count = TASK_BASIC_INFO_COUNT;
		return KERN_SUCCESS;
	case TASK_EVENTS_INFO:
		if (*count < TASK_EVENTS_INFO_COUNT)
			return KERN_INVALID_ARGUMENT;
		task_events_info(task, (struct task_events_info *)info);
		*count = TASK_EVENTS_INFO_COUNT;
		return KERN_SUCCESS;
	case TASK_THREAD_TIMES_INFO:
		if (*count < TASK_THREAD_TIMES_INFO_COUNT)
			return KERN_INVALID_ARGUMENT;
		memset(times, 0, sizeof(*times));
		time_both(task_live_cpu_ns(task), &times->user_time, &times->user_time64);
		*count = TASK_THREAD_TIMES_INFO_COUNT;
		return KERN_SUCCESS;
	default:
		return KERN_INVALID_ARGUMENT;
	}
}

/* --- special ports --- */

static struct port **special_port(struct task *task, int which)
{
	switch (which) {
	case TASK_KERNEL_PORT: return &task->kernel_port;
	case TASK_EXCEPTION_PORT: return &task->exception_port;
	case TASK_BOOTSTRAP_PORT: return &task->bootstrap_port;
	default: return NULL;
	}
}

kern_return_t task_get_special_port(struct task *task, int which, struct port **port)
{
	struct port **slot;

	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	slot = special_port(task, which);
	if (slot == NULL)
		return KERN_INVALID_ARGUMENT;
	if (which == TASK_KERNEL_PORT && *slot == NULL) {
		*port = right_make_send(task->self);
		return KERN_SUCCESS;
	}
	*port = *slot != NULL ? right_copy_send(*slot) : NULL;
	return KERN_SUCCESS;
}

/* Puts a right into a slot and gives up the one that was there. A dead right counts as none. */
static void slot_set(struct port **slot, struct port *port)
{
	struct port *old = *slot;

	*slot = port_valid(port) ? port : NULL;
	if (old != NULL)
		right_release_send(old);
}

kern_return_t task_set_special_port(struct task *task, int which, struct port *port)
{
	struct port **slot;

	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	slot = special_port(task, which);
	if (slot == NULL)
		return KERN_INVALID_ARGUMENT;
	slot_set(slot, port);
	task->asks_for = task->kernel_port == NULL ? task->self : NULL;
	return KERN_SUCCESS;
}

kern_return_t mach_ports_register(struct task *task, struct port_array *list, mach_msg_type_number_t count)
{
	struct port *port;
	unsigned i;

	if (task == NULL || count > TASK_PORT_REGISTER_MAX)
		return KERN_INVALID_ARGUMENT;
	for (i = 0; i < TASK_PORT_REGISTER_MAX; i++) {
		port = NULL;
		if (i < count) {
			port = *port_array_slot(list, i);
			*port_array_slot(list, i) = NULL;
		}
		slot_set(&task->registered[i], port);
	}
	if (list != NULL)
		port_array_discard(list);
	return KERN_SUCCESS;
}

kern_return_t mach_ports_lookup(struct task *task, struct port_array **list, mach_msg_type_number_t *count)
{
	unsigned i;

	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	*list = port_array_make(TASK_PORT_REGISTER_MAX, MACH_MSG_TYPE_PORT_SEND, thread_current()->task->ledger);
	if (*list == NULL)
		return KERN_RESOURCE_SHORTAGE;
	for (i = 0; i < TASK_PORT_REGISTER_MAX; i++)
		*port_array_slot(*list, i) = task->registered[i] != NULL ? right_copy_send(task->registered[i]) : NULL;
	*count = TASK_PORT_REGISTER_MAX;
	return KERN_SUCCESS;
}

kern_return_t task_set_name(struct task *task, const char *name)
{
	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	strlcpy(task->name, name, sizeof(task->name));
	return KERN_SUCCESS;
}

kern_return_t task_set_essential(struct task *task, boolean_t essential)
{
	(void)essential;	/* a hint to a policy that Weir does not have: ledgers protect every task */
	return task == NULL ? KERN_INVALID_ARGUMENT : KERN_SUCCESS;
}
