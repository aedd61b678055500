/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls for what this kernel has one of, or none (processor sets, profiling, emulation), gradual changes of the time, and
 * requests with the longest arrays. All as a program written for GNU Mach would have them: by its headers.
 * RUN: in root unconfigured_test
 */
#include <string.h>
#include <mach.h>
#include <mach/gnumach.h>
#include <mach/mach.h>
#include <mach/mach4.h>
#include <mach/mach_host.h>
#include <mach/mach_interface.h>
#include <mach/mach_port.h>
#include <mach/machine/mach_i386.h>
#include <mach/policy.h>
#include <mach_debug/mach_debug.h>
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

static mach_port_t self, host;
static processor_set_t set;
static processor_set_name_t set_name;

static void sets_and_processors(void)
{
	processor_t *processors = NULL;
	processor_set_t made, made_name;
	mach_msg_type_number_t count = 0;
	integer_t nothing = 0;

	need(host_processors(host, &processors, &count), "the processors");
	is_code(processor_start(processors[0]), KERN_FAILURE, "the processor cannot be started again");
	is_code(processor_exit(processors[0]), KERN_FAILURE, "nor taken away");
	is_code(processor_control(processors[0], &nothing, 1), KERN_FAILURE, "nor controlled");
	is_code(processor_assign(processors[0], set, FALSE), KERN_FAILURE, "nor assigned");
	is_code(processor_start(self), KERN_INVALID_ARGUMENT, "a task is no processor");
	is_code(processor_assign(processors[0], self, FALSE), KERN_INVALID_ARGUMENT, "and no set");
	mach_port_deallocate(self, processors[0]);
	give_back_memory((vm_address_t)processors, count * sizeof *processors);
	is_code(processor_set_create(host, &made, &made_name), KERN_FAILURE, "no further processor set can be made");
	is_code(processor_set_create(mach_host_self(), &made, &made_name), KERN_FAILURE, "nor by the host's name");
	is_code(processor_set_create(self, &made, &made_name), KERN_INVALID_ARGUMENT, "the less by a task");
	is_code(processor_set_destroy(set), KERN_FAILURE, "the default set cannot be destroyed");
	is_code(processor_set_destroy(set_name), KERN_INVALID_ARGUMENT, "a set's name does not do");
	is_code(task_assign(self, set, TRUE), KERN_SUCCESS, "a task can be assigned to the set that it is in");
	is_code(task_assign(self, set_name, TRUE), KERN_INVALID_ARGUMENT, "not by the set's name");
	is_code(task_assign_default(self, FALSE), KERN_SUCCESS, "or to the default one");
	is_code(thread_assign(test_thread(), set), KERN_SUCCESS, "so can a thread");
	is_code(thread_assign_default(test_thread()), KERN_SUCCESS, "both ways");
	is_code(thread_assign_default(self), KERN_INVALID_ARGUMENT, "a task is no thread");
	is_code(processor_set_policy_enable(set, POLICY_TIMESHARE), KERN_SUCCESS, "timesharing is enabled");
	is_code(processor_set_policy_disable(set, POLICY_TIMESHARE, FALSE), KERN_INVALID_ARGUMENT, "for ever");
	is_code(processor_set_policy_enable(set, POLICY_FIXEDPRI), KERN_FAILURE, "fixed priority is not to be had");
	is_code(processor_set_policy_disable(set, POLICY_FIXEDPRI, TRUE), KERN_SUCCESS, "nor is it enabled");
	is_code(processor_set_policy_enable(set, 77), KERN_INVALID_ARGUMENT, "there is no policy 77");
}

static void threads_of_the_set(void)
{
	struct thread_sched_info info;
	mach_msg_type_number_t count = 0, info_count = THREAD_SCHED_INFO_COUNT;
	thread_t *threads = NULL, thread = MACH_PORT_NULL;
	bool found = false;

	is_code(processor_set_threads(set, &threads, &count), KERN_SUCCESS, "the threads of the set can be listed");
	for (unsigned i = 0; i < count; i++) {
		found |= threads[i] == test_thread();
		mach_port_deallocate(self, threads[i]);
	}
	ok(found && count > 1, "all %u, this one among them", count);
	give_back_memory((vm_address_t)threads, count * sizeof *threads);
	is_code(processor_set_threads(set_name, &threads, &count), KERN_INVALID_ARGUMENT, "not by its name");
	is_code(processor_set_max_priority(set, 40, FALSE), KERN_SUCCESS, "a maximum priority can be set");
	need(thread_create(self, &thread), "a thread");
	need(thread_info(thread, THREAD_SCHED_INFO, (thread_info_t)&info, &info_count), "its priorities");
	ok(info.max_priority == 40 && info.base_priority >= 40, "and holds for new threads");
	need(thread_terminate(thread), "the thread's end");
	mach_port_deallocate(self, thread);
	is_code(processor_set_max_priority(set, 0, FALSE), KERN_SUCCESS, "and be taken back");
	is_code(processor_set_max_priority(set, -1, FALSE), KERN_INVALID_ARGUMENT, "no priority is negative");
}

static void descriptions(void)
{
	struct processor_set_sched_info sched = { 0 };
	struct processor_basic_info basic;
	struct host_basic_info about;
	mach_msg_type_number_t count = PROCESSOR_SET_SCHED_INFO_COUNT;
	processor_t *processors = NULL;
	mach_port_t got = MACH_PORT_NULL, *sets = NULL, name = mach_host_self();

	is_code(processor_set_info(set_name, PROCESSOR_SET_SCHED_INFO, &got, (processor_set_info_t)&sched, &count), KERN_SUCCESS,
		"the set tells how it schedules");
	ok(count == 2 && sched.policies == POLICY_TIMESHARE && sched.max_priority == 25, "sharing time, 25 at most");
	give_back_right(got);
	is_code(processor_set_info(set_name, 99, &got, (processor_set_info_t)&sched, &count), KERN_INVALID_ARGUMENT,
		"it tells nothing else");
	count = HOST_BASIC_INFO_COUNT;
	is_code(host_info(self, HOST_BASIC_INFO, (host_info_t)&about, &count), KERN_INVALID_ARGUMENT, "a task is no host to ask about");
	is_code(host_processors(name, &processors, &count), KERN_INVALID_ARGUMENT, "processors are not for who only knows the host");
	give_back_right(name);
	is_code(host_processor_sets(self, &sets, &count), KERN_INVALID_ARGUMENT, "a task has no sets");
	is_code(processor_set_default(self, &got), KERN_INVALID_ARGUMENT, "and none of them is its default");
	need(host_processors(host, &processors, &count), "the processors");
	count = PROCESSOR_BASIC_INFO_COUNT;
	is_code(processor_info(processors[0], 99, &got, (processor_info_t)&basic, &count), KERN_INVALID_ARGUMENT,
		"a processor tells one thing only");
	give_back_right(processors[0]);
	give_back_memory((vm_address_t)processors, sizeof *processors);
}

static void not_there(void)
{
	sampled_pc_t samples[4];
	sampled_pc_seqno_t seqno = 0;
	mach_msg_type_number_t count = 4;
	vm_size_t reserved, space, resident, most;
	vm_offset_t stack;
	unsigned total = 99;
	int ticks = 0;

	is_code(task_enable_pc_sampling(self, &ticks, 0), KERN_FAILURE, "there is no profiling");
	is_code(task_disable_pc_sampling(self, &ticks), KERN_FAILURE, "to be disabled");
	is_code(task_get_sampled_pcs(self, &seqno, samples, &count), KERN_FAILURE, "or read");
	is_code(thread_enable_pc_sampling(test_thread(), &ticks, 0), KERN_FAILURE, "of threads either");
	is_code(thread_enable_pc_sampling(self, &ticks, 0), KERN_INVALID_ARGUMENT, "and a task is no thread");
	is_code(task_set_emulation(self, 0x1000, 7), KERN_FAILURE, "no emulation");
	is_code(task_ras_control(self, 0, 0, TASK_RAS_CONTROL_PURGE_ALL), KERN_FAILURE, "no restartable sequences");
	is_code(host_stack_usage(host, &reserved, &total, &space, &resident, &most, &stack), KERN_SUCCESS,
		"the kernel's stacks can be asked for");
	is(total, 1, "there is one");
	is_code(processor_set_stack_usage(set_name, &total, &space, &resident, &most, &stack), KERN_SUCCESS,
		"those of threads too");
	is(total, 0, "there are none");
}

static void gradual_time(void)
{
	time_value_t change = { .seconds = 0, .microseconds = 500000 }, old = { .seconds = 9 };
	time_value_t ask = { .microseconds = MACH_ADJTIME_USECS_OMIT };
	time_value64_t wide = { .seconds = -1, .nanoseconds = -500000000 }, wide_old;

	is_code(host_adjust_time(host, change, &old), KERN_SUCCESS, "the time can be changed gradually");
	ok(old.seconds == 0 && old.microseconds == 0, "no other change was under way");
	is_code(host_adjust_time(host, ask, &old), KERN_SUCCESS, "what is left can be asked for");
	ok(old.seconds == 0 && old.microseconds > 300000 && old.microseconds <= 500000, "most of it, so soon");
	is_code(host_adjust_time64(host, wide, &wide_old), KERN_SUCCESS, "another change can take its place, backwards");
	ok(wide_old.seconds == 0 && wide_old.nanoseconds > 300000000, "and tells what was left of the first");
	memset(&wide, 0, sizeof wide);
	is_code(host_adjust_time64(host, wide, &wide_old), KERN_SUCCESS, "none ends it");
	ok(wide_old.seconds == -1 && wide_old.nanoseconds < -300000000, "with the rest of the second left");
	wide.seconds = INT64_MAX;
	is_code(host_adjust_time64(host, wide, &wide_old), KERN_INVALID_ARGUMENT, "no change is of more than 31 years");
	is_code(host_adjust_time(mach_task_self(), change, &old), KERN_INVALID_HOST, "a task is no host");
}

static void long_requests(void)
{
	static natural_t state[THREAD_STATE_MAX];
	static struct { mach_msg_header_t head; char body[12 * 1024]; } huge;
	struct snapshot before;
	thread_t thread;
	kern_return_t code;

	need(thread_create(self, &thread), "a thread");
	snapshot_take(&before, test_ledger());
	code = thread_set_state(thread, 12345, state, THREAD_STATE_MAX);
	is_code(code, KERN_INVALID_ARGUMENT, "the longest state comes to the kernel, whose flavour it is not");
	code = thread_set_state(thread, i386_THREAD_STATE, state, THREAD_STATE_MAX);
	ok(code != MIG_BAD_ARGUMENTS && code != MACH_SEND_NO_BUFFER, "and one with a flavour is looked at: %#x", (unsigned)code);
	snapshot_same(&before, SNAPSHOT_THINGS, "neither costs the caller anything");
	huge.head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0), .msgh_remote_port = self, .msgh_id = 2018,
	};
	is_code(mach_msg(&huge.head, MACH_SEND_MSG, sizeof huge, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL), MACH_MSG_SUCCESS,
		"a request that is longer than any can be sent, and is for no routine");
	need(thread_terminate(thread), "the thread's end");
	mach_port_deallocate(self, thread);
}

/* The send-once right may be made as it goes. */
static void notification(void)
{
	mach_port_t port = port_new_send(), told = port_new(), previous = MACH_PORT_NULL;

	is_code(mach_port_request_notification(self, port, MACH_NOTIFY_NO_SENDERS, 1, told, MACH_MSG_TYPE_MAKE_SEND_ONCE,
					       &previous), KERN_SUCCESS,
		"a notification can be requested with a right that is made as it is sent");
	ok(previous == MACH_PORT_NULL, "the first of the port");
	mach_port_deallocate(self, port);
	is((unsigned)msg_receive_plain(told), MACH_NOTIFY_NO_SENDERS, "and comes");
	port_free(port);
	port_free(told);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	host = test_host_priv();
	need(processor_set_default(host, &set_name), "the default set");
	need(host_processor_set_priv(host, set_name, &set), "its control port");
	sets_and_processors();
	threads_of_the_set();
	descriptions();
	not_there();
	gradual_time();
	long_requests();
	notification();
	mach_port_deallocate(self, set);
	mach_port_deallocate(self, set_name);
	return done_testing();
}
