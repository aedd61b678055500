/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on threads, tasks, ledgers and devices. */
#include <device_request_user.h>
#include <device_user.h>
#include <ledger_user.h>
#include <mach/machine/thread_status.h>
#include <mach/thread_switch.h>
#include <weir/weir.h>
#include <weir_user.h>
#include "chaos.h"

kern_return_t restart_thread(thread_t thread)
{
	struct i386_thread_state state;
	mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;
	kern_return_t code = thread_get_state(thread, i386_THREAD_STATE, (natural_t *)&state, &count);

	if (code != KERN_SUCCESS)
		return code;
	if (state.rip >= (uint64_t)(uintptr_t)chaos_restart && state.rip < (uint64_t)(uintptr_t)chaos_restart_end)
		return KERN_FAILURE;
	__atomic_add_fetch(&common->restarts, 1, __ATOMIC_RELAXED);
	state.rip = (uint64_t)(uintptr_t)chaos_restart;
	return thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT);
}

static void set_state(struct worker *worker, thread_t thread)
{
	struct i386_thread_state state;
	mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;

	if (one_in(worker, 3)) {
		restart_thread(thread);
		return;
	}
	if (thread_get_state(thread, i386_THREAD_STATE, (natural_t *)&state, &count) != KERN_SUCCESS)
		return;
	if (one_in(worker, 4))
		((uint64_t *)&state)[below(worker, sizeof state / 8)] = some_word(worker);
	thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state,
			 one_in(worker, 10) ? (natural_t)below(worker, 60) : i386_THREAD_STATE_COUNT);
}

/* An idle thread more, or one that begins in the loop's restart. */
static void create_thread(struct worker *worker, task_t task)
{
	thread_t thread;

	if (thread_create(task, &thread) != KERN_SUCCESS)
		return;
	if (one_in(worker, 2)) {
		struct i386_thread_state state = { .rip = some_address(worker), .ursp = some_address(worker) };

		thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT);
	}
	if (one_in(worker, 2))
		thread_resume(thread);
	if (one_in(worker, 2))
		thread_terminate(thread);
	keep_name(worker, thread);
}

static void create_task(struct worker *worker, task_t parent)
{
	task_t task;
	kern_return_t code = one_in(worker, 2) ? task_create(parent, one_in(worker, 2), &task) :
			     task_create_in_ledger(parent, some_slot(worker, SLOT_LEDGER, 1), one_in(worker, 2), &task);

	if (code != KERN_SUCCESS)
		return;
	create_thread(worker, task);
	if (!one_in(worker, 3))
		task_terminate(task);
	keep_name(worker, task);
}

static void stop_task(struct worker *worker)
{
	task_t task = some_slot(worker, SLOT_TASKS, TASKS);

	task_suspend(task);
	if (one_in(worker, 2))
		thread_switch(MACH_PORT_NULL, SWITCH_OPTION_DEPRESS, 1);
	task_resume(task);
}

static void all_threads(struct worker *worker, task_t task)
{
	thread_array_t threads = NULL;
	mach_msg_type_number_t n = 0;

	if (task_threads(task, &threads, &n) != KERN_SUCCESS)
		return;
	for (unsigned i = 0; i < n; i++)
		keep_name(worker, threads[i]);
	vm_deallocate(mach_task_self(), (vm_address_t)threads, n * sizeof *threads);
}

void thread_operation(struct worker *worker)
{
	thread_t thread = some_thread(worker);
	task_t task = some_task(worker);
	mach_port_t port = MACH_PORT_NULL;
	integer_t info[64];
	mach_msg_type_number_t count = 64;

	switch (below(worker, 30)) {
	case 0: thread_suspend(thread); thread_resume(thread); break;
	case 1: thread_suspend(thread); thread_abort(thread); set_state(worker, thread); thread_resume(thread); break;
	case 2: case 3: case 4: thread_abort(thread); break;
	case 5: if (one_in(worker, 4)) thread_terminate(thread); break;
	case 6: set_state(worker, thread); break;
	case 7: thread_switch(thread, (int)below(worker, 3), (natural_t)below(worker, 3)); break;
	case 8: thread_depress_abort(thread); break;
	case 9: thread_priority(thread, (int)below(worker, 64), one_in(worker, 4)); break;
	case 10: thread_policy(thread, (int)below(worker, 3), (int)below(worker, 100)); break;
	case 11: case 12: create_thread(worker, one_in(worker, 2) ? mach_task_self() : task); break;
	case 13: create_task(worker, task); break;
	case 14: stop_task(worker); break;
	case 15: all_threads(worker, task); break;
	case 16: case 17: thread_set_special_port(thread, (int)below(worker, 4), some_slot(worker, SLOT_COMMON, 16)); break;
	case 18: task_set_special_port(task, 1 + (int)below(worker, 4), some_slot(worker, SLOT_COMMON, 16)); break;
	case 19:
		if (thread_get_special_port(thread, 1 + (int)below(worker, 3), &port) == KERN_SUCCESS)
			keep_name(worker, port);
		break;
	case 20: thread_info(thread, 1 + (int)below(worker, 3), info, &count); break;
	case 21: task_info(task, 1 + (int)below(worker, 4), info, &count); break;
	case 22: if (one_in(worker, 20)) task_terminate(task); break;
	case 23: task_suspend(task); task_resume(task); break;
	case 24: thread_wire(HOST_PRIV_NAME, thread, one_in(worker, 2)); break;
	case 25: __asm__ volatile("ud2"); break;
	case 26: mach_ports_register(task, (mach_port_t[]){ some_name(worker), some_name(worker) }, 2); break;
	case 27:
		thread_terminate_release(thread, task, some_name(worker), some_name(worker), some_address(worker) & ~4095ull, some_size(worker));
		break;
	case 28: __asm__ volatile("fninit; fld1; fstp %%st(0)" ::: "memory"); break;
	default: swtch(); break;
	}
}

void ledger_operation(struct worker *worker)
{
	static const uint64_t limits[] = { 0, 1, 3, 10, 40, 100, 1000, 100000, 1000000, LEDGER_UNLIMITED };
	mach_port_t name = some_slot(worker, SLOT_LEDGER, 1);
	ledger_all_usage_t usage;
	ledger_t child;
	int resource = (int)below(worker, 17);
	uint64_t limit = limits[below(worker, sizeof limits / sizeof limits[0])];

	switch (below(worker, 10)) {
	case 0:
		if (ledger_create(name, "chaos", &child) == KERN_SUCCESS)
			keep_name(worker, child);
		break;
	case 1: ledger_terminate(worker->recent[below(worker, 16)]); break;
	case 2: case 3:
		/* Soon undone: with a limit in force little else happens. */
		ledger_set_limit(name, resource, limit);
		for (unsigned i = 0; i < 20; i++)
			one_in(worker, 2) ? message_operation(worker) : right_operation(worker);
		ledger_set_limit(name, resource, LEDGER_UNLIMITED);
		break;
	case 4: ledger_set_limit(worker->recent[below(worker, 16)], resource, limit); break;
	case 5: ledger_set_guarantee(one_in(worker, 2) ? name : worker->recent[below(worker, 16)], resource, below(worker, 50)); break;
	case 6: ledger_set_weight(name, 1 + (int)below(worker, 200)); break;
	case 7: ledger_notify_at(name, resource, below(worker, 1000), some_slot(worker, SLOT_PORTS, 12)); break;
	case 8: ledger_get_all_usage(name, (uint64_t *)usage); break;
	default:
		if (task_get_ledger(some_task(worker), &child) == KERN_SUCCESS)
			keep_name(worker, child);
		break;
	}
}

static void device_operation(struct worker *worker)
{
	device_t device = some_slot(worker, SLOT_CONSOLE, 2);
	mach_port_t reply = some_slot(worker, SLOT_PORTS, 12), port = MACH_PORT_NULL;
	io_buf_ptr_t data = NULL;
	mach_msg_type_number_t n = 0;
	int status[64], written;

	switch (below(worker, 10)) {
	case 0: case 1: device_read_request(device, reply, 0, 0, (int)below(worker, 5000)); break;
	case 2: device_read_request_inband(device, reply, 0, 0, (int)below(worker, 200)); break;
	case 3:
		if (device_read(SLOT_NAME(SLOT_TIME), 0, 0, (int)below(worker, 100), &data, &n) == KERN_SUCCESS)
			keep_region(worker, (vm_address_t)data, n);
		break;
	case 4: n = 64; device_get_status(device, (dev_flavor_t)below(worker, 4), status, &n); break;
	case 5:
		if (device_open(some_slot(worker, SLOT_MASTER, 1), 0, one_in(worker, 2) ? "time" : "console", &port) == KERN_SUCCESS)
			keep_name(worker, port);
		break;
	case 6: device_open_request(some_slot(worker, SLOT_MASTER, 1), reply, 0, "time"); break;
	case 7: device_close(device); break;
	case 8:
		if (device_map(device, VM_PROT_READ, 0, 4096, &port, 0) == KERN_SUCCESS)
			keep_name(worker, port);
		break;
	default: device_write(device, 0, 0, (io_buf_ptr_t)some_address(worker), 0, &written); break;
	}
}

void arm(struct worker *worker, thread_t thread)
{
	int fired;
	weir_site_t site;

	if (weir_debug_fail_nth(HOST_PRIV_NAME, thread, 1 + (int)below(worker, 6), &fired, site) == KERN_SUCCESS && fired)
		__atomic_add_fetch(&common->denials, 1, __ATOMIC_RELAXED);
}

void other_operation(struct worker *worker)
{
	if (one_in(worker, 3))
		arm(worker, some_thread(worker));
	else
		device_operation(worker);
}
