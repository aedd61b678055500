/* SPDX-License-Identifier: BSD-2-Clause */
/* Server routines on threads: mach.defs and gnumach.defs. */
#include <mach/kern_return.h>
#include <mach/policy.h>
#include <mach/thread_info.h>
#include <mach/thread_special_ports.h>
#include "gnumach_server.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/ast.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "kern/thread_state.h"
#include "kern/time.h"
#include "mach_i386_server.h"
#include "mach_port_server.h"
#include "mach_server.h"
#include "x86_64/machine.h"

static void thread_uncreate(void *object)
{
	thread_kill(object);
}

kern_return_t thread_create(struct task *parent, struct port **child)
{
	struct thread *thread;

	if (parent == NULL)
		return KERN_INVALID_ARGUMENT;
	thread = thread_make(parent);
	if (thread == NULL)
		return KERN_RESOURCE_SHORTAGE;
	*child = right_make_send(thread->self);
	krpc_created(*child, thread_uncreate);
	return KERN_SUCCESS;
}

kern_return_t thread_terminate(struct thread *thread)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	thread_kill(thread);
	return KERN_SUCCESS;
}

/* For a thread that ends itself: its last rights and its stack go with it. */
kern_return_t thread_terminate_release(struct thread *thread, struct task *task, mach_port_name_t thread_name,
				       mach_port_name_t reply_port, vm_address_t address, vm_size_t size)
{
	if (thread == NULL || task == NULL)
		return KERN_INVALID_ARGUMENT;
	if (thread_name != MACH_PORT_NAME_NULL)
		mach_port_deallocate(&task->space, thread_name);
	if (reply_port != MACH_PORT_NAME_NULL)
		mach_port_mod_refs(&task->space, reply_port, MACH_PORT_RIGHT_RECEIVE, -1);
	if (size != 0)
		vm_map_deallocate(&task->map, address, size);
	thread_kill(thread);
	return KERN_SUCCESS;
}

kern_return_t thread_suspend(struct thread *thread)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	if (thread->suspend_count == UINT32_MAX)
		return KERN_FAILURE;
	thread_suspend_one(thread);
	return KERN_SUCCESS;
}

kern_return_t thread_resume(struct thread *thread)
{
	return thread == NULL ? KERN_INVALID_ARGUMENT : thread_resume_one(thread);
}

kern_return_t thread_abort(struct thread *thread)
{
	if (thread == NULL || thread == thread_current())
		return KERN_INVALID_ARGUMENT;
	thread_settle(thread);
	wait_cancel(thread, WAIT_ABORTED);
	return KERN_SUCCESS;
}

kern_return_t thread_get_state(struct thread *thread, int flavor, natural_t *state, mach_msg_type_number_t *count)
{
	if (thread == NULL || thread == thread_current())
		return KERN_INVALID_ARGUMENT;
	thread_settle(thread);
	return thread_state_get(thread, flavor, state, count);
}

kern_return_t thread_set_state(struct thread *thread, int flavor, const natural_t *state, mach_msg_type_number_t count)
{
	if (thread == NULL || thread == thread_current())
		return KERN_INVALID_ARGUMENT;
	/* A new one's may be all set at once. */
	if (!thread_is_new(thread))
		thread_settle(thread);
	return thread_state_set(thread, flavor, state, count);
}

/* --- information --- */

static int run_state(const struct thread *thread)
{
	switch (thread->state) {
	case THREAD_READY:
	case THREAD_RUNNING:
		return TH_STATE_RUNNING;
	case THREAD_WAITING:
		return thread->suspend_count > 0 || thread->task->suspend_count > 0 ? TH_STATE_STOPPED : TH_STATE_WAITING;
	case THREAD_STOPPED:
		return TH_STATE_STOPPED;
	default:
		return TH_STATE_HALTED;
	}
}

/* Of TH_USAGE_SCALE, over the thread's whole life: no shorter record is kept. */
static int cpu_usage(const struct thread *thread, uint64_t cpu_ns)
{
	uint64_t life_ns = clock_uptime_ns() - thread->created_ns;

	return cpu_ns < life_ns ? (int)(cpu_ns / (life_ns / TH_USAGE_SCALE + 1)) : TH_USAGE_SCALE;
}

static void thread_basic_info(struct thread *thread, struct thread_basic_info *info)
{
	struct time_value64 created = time_of_ns(clock_boot_time_s() * 1000000000 + thread->created_ns);
	uint64_t cpu_ns = sched_cpu_ns(thread);

	memset(info, 0, sizeof(*info));
	info->user_time64 = time_of_ns(cpu_ns);
	info->cpu_usage = cpu_usage(thread, cpu_ns);
	info->user_time.seconds = info->user_time64.seconds;
	info->user_time.microseconds = (integer_t)(info->user_time64.nanoseconds / 1000);
	info->base_priority = thread->base_priority;
	info->cur_priority = thread->priority;
	info->run_state = run_state(thread);
	info->suspend_count = (integer_t)thread->suspend_count;
	info->creation_time64 = created;
	info->creation_time.seconds = created.seconds;
	info->creation_time.microseconds = (integer_t)(created.nanoseconds / 1000);
}

static void thread_sched_info(struct thread *thread, struct thread_sched_info *info)
{
	memset(info, 0, sizeof(*info));
	info->policy = POLICY_TIMESHARE;
	info->base_priority = thread->base_priority;
	info->max_priority = thread->max_priority;
	info->cur_priority = thread->priority;
	info->depressed = thread->depressed;
	info->depress_priority = thread->depressed ? thread->base_priority : -1;
}

kern_return_t thread_info(struct thread *thread, int flavor, integer_t *info, mach_msg_type_number_t *count)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	switch (flavor) {
	case THREAD_BASIC_INFO:
		if (*count < THREAD_BASIC_INFO_COUNT)
			return KERN_INVALID_ARGUMENT;
		thread_basic_info(thread, (struct thread_basic_info *)info);
		*count = THREAD_BASIC_INFO_COUNT;
		return KERN_SUCCESS;
	case THREAD_SCHED_INFO:
		if (*count < THREAD_SCHED_INFO_COUNT)
			return KERN_INVALID_ARGUMENT;
		thread_sched_info(thread, (struct thread_sched_info *)info);
		*count = THREAD_SCHED_INFO_COUNT;
		return KERN_SUCCESS;
	default:
		return KERN_INVALID_ARGUMENT;
	}
}

kern_return_t thread_get_special_port(struct thread *thread, int which, struct port **port)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	if (which == THREAD_KERNEL_PORT)
		*port = right_make_send(thread->self);
	else if (which == THREAD_EXCEPTION_PORT)
		*port = thread_exception_port(thread) != NULL ? right_copy_send(thread->extra->exception_port) : NULL;
	else
		return KERN_INVALID_ARGUMENT;
	return KERN_SUCCESS;
}

kern_return_t thread_set_special_port(struct thread *thread, int which, struct port *port)
{
	struct port *old;

	if (thread == NULL || which != THREAD_EXCEPTION_PORT)
		return KERN_INVALID_ARGUMENT;
	if (!port_valid(port))
		port = NULL;
	if (port != NULL && !thread_extra_make(thread))
		return KERN_RESOURCE_SHORTAGE;
	old = thread_exception_port(thread);
	if (thread->extra != NULL)
		thread->extra->exception_port = port;
	if (old != NULL)
		right_release_send(old);
	return KERN_SUCCESS;
}

kern_return_t thread_set_name(struct thread *thread, const char *name)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	if (!thread_extra_make(thread))
		return KERN_RESOURCE_SHORTAGE;
	strlcpy(thread->extra->name, name, sizeof(thread->extra->name));
	return KERN_SUCCESS;
}

kern_return_t thread_get_name(struct thread *thread, char *name)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	strlcpy(name, thread->extra != NULL ? thread->extra->name : "", sizeof(thread->extra->name));
	return KERN_SUCCESS;
}

kern_return_t i386_get_xstate_size(struct host *host, vm_size_t *size)
{
	if (host == NULL)
		return KERN_INVALID_ARGUMENT;
	*size = THREAD_STATE_WORDS_MAX * 4;
	return KERN_SUCCESS;
}
