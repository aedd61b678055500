/* SPDX-License-Identifier: BSD-2-Clause */
/* Server routines of mach_host.defs: the host, its processor, its processor set, time, priorities. */
#include <mach/host_info.h>
#include <mach/kern_return.h>
#include <mach/policy.h>
#include <mach/processor_info.h>
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/assert.h"
#include "kern/host.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "kern/time.h"
#include "kern/version.h"
#include "mach_host_server.h"
#include "mem/page.h"
#include "x86_64/clock.h"
#include "x86_64/machine.h"

struct host the_host;
struct processor the_processor;
struct processor_set the_processor_set;

static struct port *boot_port(enum kobject type, void *object)
{
	struct port *port = port_make_kernel(type, object, &root_ledger);

	if (port == NULL)
		machine_cannot_boot("there is no memory for the host's ports");
	return port;
}

void host_init(void)
{
	the_host.port = boot_port(KOBJECT_HOST, &the_host);
	the_host.priv_port = boot_port(KOBJECT_HOST_PRIV, &the_host);
	the_processor.port = boot_port(KOBJECT_PROCESSOR, &the_processor);
	the_processor_set.port = boot_port(KOBJECT_PSET, &the_processor_set);
	the_processor_set.name_port = boot_port(KOBJECT_PSET_NAME, &the_processor_set);
}

/* --- information --- */

kern_return_t host_info(struct host *host, int flavor, integer_t *info, mach_msg_type_number_t *count)
{
	struct host_basic_info *basic = (struct host_basic_info *)info;
	struct host_sched_info *sched = (struct host_sched_info *)info;

	if (host == NULL)
		return KERN_INVALID_ARGUMENT;
	switch (flavor) {
	case HOST_BASIC_INFO:
		if (*count < HOST_BASIC_INFO_COUNT)
			return KERN_FAILURE;
		memset(basic, 0, sizeof(*basic));
		basic->max_cpus = basic->avail_cpus = 1;
		basic->memory_size = boot_info.memory_bytes;
		basic->cpu_type = CPU_TYPE_X86_64;
		basic->cpu_subtype = CPU_SUBTYPE_AT386;
		*count = HOST_BASIC_INFO_COUNT;
		return KERN_SUCCESS;
	case HOST_PROCESSOR_SLOTS:
		if (*count < 1)
			return KERN_INVALID_ARGUMENT;
		info[0] = 0;
		*count = 1;
		return KERN_SUCCESS;
	case HOST_SCHED_INFO:
		if (*count < HOST_SCHED_INFO_COUNT)
			return KERN_FAILURE;
		sched->min_timeout = 1000 / CLOCK_TICK_HZ;
		sched->min_quantum = SCHED_QUANTUM_MS;
		*count = HOST_SCHED_INFO_COUNT;
		return KERN_SUCCESS;
	case HOST_LOAD_INFO:
		if (*count < HOST_LOAD_INFO_COUNT)
			return KERN_FAILURE;
		memset(info, 0, sizeof(struct host_load_info));
		*count = HOST_LOAD_INFO_COUNT;
		return KERN_SUCCESS;
	default:
		return KERN_INVALID_ARGUMENT;
	}
}

kern_return_t host_get_kernel_version(struct host *host, char *version)
{
	if (host == NULL)
		return KERN_INVALID_HOST;
	strlcpy(version, "Weir " WEIR_VERSION, KERNEL_VERSION_MAX);
	return KERN_SUCCESS;
}

kern_return_t host_reboot(struct host *host, int options)
{
	(void)options;
	if (host == NULL)
		return KERN_INVALID_HOST;
	machine_reboot();
}

/* --- time --- */

kern_return_t host_get_time(struct host *host, time_value_t *time)
{
	struct time_value64 now;

	if (host == NULL)
		return KERN_INVALID_HOST;
	time_now(&now);
	time->seconds = now.seconds;
	time->microseconds = (integer_t)(now.nanoseconds / 1000);
	return KERN_SUCCESS;
}

kern_return_t host_get_time64(struct host *host, time_value64_t *time)
{
	if (host == NULL)
		return KERN_INVALID_HOST;
	time_now(time);
	return KERN_SUCCESS;
}

kern_return_t host_get_uptime64(struct host *host, time_value64_t *uptime)
{
	if (host == NULL)
		return KERN_INVALID_HOST;
	*uptime = time_of_ns(clock_uptime_ns());
	return KERN_SUCCESS;
}

kern_return_t host_set_time(struct host *host, time_value_t time)
{
	struct time_value64 wide = {time.seconds, (int64_t)time.microseconds * 1000};

	if (time.microseconds < 0 || time.microseconds >= 1000000)
		return KERN_INVALID_ARGUMENT;
	return host_set_time64(host, wide);
}

kern_return_t host_set_time64(struct host *host, time_value64_t time)
{
	if (host == NULL)
		return KERN_INVALID_HOST;
	if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= 1000000000)
		return KERN_INVALID_ARGUMENT;
	time_set(&time);
	return KERN_SUCCESS;
}

#define NS_PER_S 1000000000ll
#define ADJUST_MAX_S 1000000000ll

/* A fraction of MACH_ADJTIME_NSECS_OMIT asks without changing. */
kern_return_t host_adjust_time64(struct host *host, time_value64_t change, time_value64_t *old)
{
	bool omit = change.nanoseconds == MACH_ADJTIME_NSECS_OMIT;
	int64_t left;

	if (host == NULL)
		return KERN_INVALID_HOST;
	if (!omit && (change.seconds < -ADJUST_MAX_S || change.seconds > ADJUST_MAX_S ||
		      change.nanoseconds <= -NS_PER_S || change.nanoseconds >= NS_PER_S))
		return KERN_INVALID_ARGUMENT;
	left = omit ? clock_real_adjusting_ns() :
		      clock_real_adjust_ns(change.seconds * NS_PER_S + change.nanoseconds);
	old->seconds = left / NS_PER_S;
	old->nanoseconds = left % NS_PER_S;
	return KERN_SUCCESS;
}

kern_return_t host_adjust_time(struct host *host, time_value_t change, time_value_t *old)
{
	time_value64_t wide = { .seconds = change.seconds, .nanoseconds = (int64_t)change.microseconds * 1000 }, before;
	kern_return_t error;

	/* MACH_ADJTIME_USECS_OMIT becomes MACH_ADJTIME_NSECS_OMIT. */
	error = host_adjust_time64(host, wide, &before);
	if (error != KERN_SUCCESS)
		return error;
	old->seconds = before.seconds;
	old->microseconds = (integer_t)(before.nanoseconds / 1000);
	return KERN_SUCCESS;
}

/* --- processors --- */

static kern_return_t one_port(struct port *port, struct port_array **list, mach_msg_type_number_t *count)
{
	struct thread *thread = thread_current();

	*list = port_array_make(1, MACH_MSG_TYPE_PORT_SEND, thread->task->ledger);
	if (*list == NULL)
		return KERN_RESOURCE_SHORTAGE;
	*port_array_slot(*list, 0) = right_make_send(port);
	*count = 1;
	return KERN_SUCCESS;
}

kern_return_t host_processors(struct host *host, struct port_array **list, mach_msg_type_number_t *count)
{
	return host == NULL ? KERN_INVALID_ARGUMENT : one_port(the_processor.port, list, count);
}

kern_return_t host_processor_sets(struct host *host, struct port_array **list, mach_msg_type_number_t *count)
{
	return host == NULL ? KERN_INVALID_ARGUMENT : one_port(the_processor_set.name_port, list, count);
}

kern_return_t processor_set_processors(struct processor_set *set, struct port_array **list, mach_msg_type_number_t *count)
{
	return set == NULL ? KERN_INVALID_ARGUMENT : one_port(the_processor.port, list, count);
}

kern_return_t processor_set_default(struct host *host, struct port **set)
{
	if (host == NULL)
		return KERN_INVALID_ARGUMENT;
	*set = right_make_send(the_processor_set.name_port);
	return KERN_SUCCESS;
}

kern_return_t host_processor_set_priv(struct host *host, struct processor_set *name, struct port **set)
{
	if (host == NULL || name == NULL)
		return KERN_INVALID_ARGUMENT;
	*set = right_make_send(the_processor_set.port);
	return KERN_SUCCESS;
}

kern_return_t processor_get_assignment(struct processor *processor, struct port **set)
{
	if (processor == NULL)
		return KERN_INVALID_ARGUMENT;
	*set = right_make_send(the_processor_set.name_port);
	return KERN_SUCCESS;
}

kern_return_t processor_info(struct processor *processor, int flavor, struct port **host, integer_t *info,
			     mach_msg_type_number_t *count)
{
	struct processor_basic_info *basic = (struct processor_basic_info *)info;

	if (processor == NULL)
		return KERN_INVALID_ARGUMENT;
	if (flavor != PROCESSOR_BASIC_INFO)
		return KERN_INVALID_ARGUMENT;
	if (*count < PROCESSOR_BASIC_INFO_COUNT)
		return KERN_FAILURE;
	basic->cpu_type = CPU_TYPE_X86_64;
	basic->cpu_subtype = CPU_SUBTYPE_AT386;
	basic->running = 1;
	basic->slot_num = 0;
	basic->is_master = 1;
	*count = PROCESSOR_BASIC_INFO_COUNT;
	*host = right_make_send(host_port);
	return KERN_SUCCESS;
}

static void set_basic_info(struct processor_set_basic_info *info)
{
	memset(info, 0, sizeof(*info));
	info->processor_count = 1;
	ledger_settle();
	info->task_count = (int)root_ledger.account[LEDGER_TASKS].used;
	info->thread_count = (int)root_ledger.account[LEDGER_THREADS].used;
}

kern_return_t processor_set_info(struct processor_set *set, int flavor, struct port **host, integer_t *info,
				 mach_msg_type_number_t *count)
{
	struct processor_set_sched_info *sched = (struct processor_set_sched_info *)info;

	if (set == NULL)
		return KERN_INVALID_ARGUMENT;
	switch (flavor) {
	case PROCESSOR_SET_BASIC_INFO:
		if (*count < PROCESSOR_SET_BASIC_INFO_COUNT)
			return KERN_FAILURE;
		set_basic_info((struct processor_set_basic_info *)info);
		*count = PROCESSOR_SET_BASIC_INFO_COUNT;
		break;
	case PROCESSOR_SET_SCHED_INFO:
		if (*count < PROCESSOR_SET_SCHED_INFO_COUNT)
			return KERN_FAILURE;
		sched->policies = POLICY_TIMESHARE;
		sched->max_priority = set->max_priority > SCHED_PRIORITY_USER ? set->max_priority : SCHED_PRIORITY_USER;
		*count = PROCESSOR_SET_SCHED_INFO_COUNT;
		break;
	default:
		return KERN_INVALID_ARGUMENT;
	}
	*host = right_make_send(host_port);
	return KERN_SUCCESS;
}

kern_return_t processor_set_tasks(struct processor_set *set, struct port_array **list, mach_msg_type_number_t *count)
{
	mach_msg_type_number_t n = 0;
	struct task *task;

	if (set == NULL)
		return KERN_INVALID_ARGUMENT;
	LIST_FOREACH(task, &task_list, all)
		if (++n % 64 == 0)
			machine_window();
	*list = port_array_make(n, MACH_MSG_TYPE_PORT_SEND, thread_current()->task->ledger);
	if (*list == NULL)
		return KERN_RESOURCE_SHORTAGE;
	*count = n;
	n = 0;
	/* The allocation may have reaped, never made, tasks: what is left of the array stays null. */
	LIST_FOREACH(task, &task_list, all) {
		*port_array_slot(*list, n++) = right_make_send(task->self);
		if (n % 64 == 0)
			machine_window();
	}
	return KERN_SUCCESS;
}

/* --- assignment: there is one set, so everything is in it --- */

kern_return_t task_get_assignment(struct task *task, struct port **set)
{
	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	*set = right_make_send(the_processor_set.name_port);
	return KERN_SUCCESS;
}

kern_return_t thread_get_assignment(struct thread *thread, struct port **set)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	*set = right_make_send(the_processor_set.name_port);
	return KERN_SUCCESS;
}

/* --- priorities: 0 is the most urgent --- */

kern_return_t thread_priority(struct thread *thread, int priority, boolean_t set_max)
{
	if (thread == NULL || priority < 0 || priority >= SCHED_PRIORITIES)
		return KERN_INVALID_ARGUMENT;
	if (priority < thread->max_priority)
		return KERN_FAILURE;
	if (set_max)
		thread->max_priority = (uint8_t)priority;
	thread_set_base_priority(thread, (unsigned)priority);
	return KERN_SUCCESS;
}

kern_return_t thread_max_priority(struct thread *thread, struct processor_set *set, int priority)
{
	if (thread == NULL || set == NULL || priority < 0 || priority >= SCHED_PRIORITIES)
		return KERN_INVALID_ARGUMENT;
	thread->max_priority = (uint8_t)priority;
	if (thread->base_priority < priority)
		thread_set_base_priority(thread, (unsigned)priority);
	return KERN_SUCCESS;
}

kern_return_t task_priority(struct task *task, int priority, boolean_t change_threads)
{
	kern_return_t result = KERN_SUCCESS;
	struct thread *thread;
	unsigned n = 0;

	if (task == NULL || priority < 0 || priority >= SCHED_PRIORITIES)
		return KERN_INVALID_ARGUMENT;
	sched_task_priority(task, (uint8_t)priority);
	if (!change_threads)
		return KERN_SUCCESS;
	LIST_FOREACH(thread, &task->threads, task_link) {
		if (thread_priority(thread, priority, FALSE) != KERN_SUCCESS)
			result = KERN_FAILURE;
		if (++n % 64 == 0)
			machine_window();
	}
	return result;
}

kern_return_t thread_policy(struct thread *thread, int policy, int data)
{
	(void)data;
	if (thread == NULL || (policy != POLICY_TIMESHARE && policy != POLICY_FIXEDPRI))
		return KERN_INVALID_ARGUMENT;
	return policy == POLICY_TIMESHARE ? KERN_SUCCESS : KERN_FAILURE;	/* fixed priority is not enabled */
}

kern_return_t thread_depress_abort(struct thread *thread)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	thread_depress_end(thread);
	return KERN_SUCCESS;
}

kern_return_t thread_wire(struct host *host, struct thread *thread, boolean_t wired)
{
	(void)wired;		/* kernel memory of threads is never paged */
	if (host == NULL || thread == NULL)
		return KERN_INVALID_ARGUMENT;
	return KERN_SUCCESS;
}
