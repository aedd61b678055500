/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls: the table of Mach traps, and the small ones.
 *
 * The number is -eax; entry.S calls the handler. A handler returns the result for rax, or KERN_BLOCKED when it has made
 * the thread wait, stop or die. The traps "by name" do for a port name in the caller's own space what the
 * message of the same name does; where that does not apply they return MACH_SEND_INTERRUPTED, and
 * the user's stub sends the message instead.
 */
#include "kern/syscall.h"
#include <device/device_types.h>
#include <mach/exception.h>
#include <mach/kern_return.h>
#include <mach/machine/thread_status.h>
#include <mach/message.h>
#include <mach/thread_switch.h>
#include "ipc/kmsg.h"
#include "ipc/mach_msg.h"
#include "ipc/name.h"
#include "ipc/port.h"
#include "ipc/space.h"
#include "kern/ast.h"
#include "kern/device.h"
#include "kern/exception.h"
#include "kern/host.h"
#include "kern/sched.h"
#include "kern/stretch.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/task_fork.h"
#include "kern/thread_state.h"
#include "mach_port_server.h"
#include "mach_server.h"
#include "vm/copy.h"
#include "vm/vm_range.h"
#include "x86_64/machine.h"
#include "x86_64/usercopy.h"

#define ARG(thread, i) syscall_argument(thread, i)
#define NAME(thread, i) ((mach_port_name_t)ARG(thread, i))
#define PRINT_MAX 256
#define DEVICE_WRITEV_MAX 16		/* pieces */

bool syscall_stack_arguments(struct thread *thread, uint64_t *arguments, unsigned n)
{
	uint64_t stack = thread->regs.rsp + 8;
	kern_return_t error = copyin(&thread->task->map, arguments, stack, n * sizeof(*arguments));

	if (error == KERN_SUCCESS)
		return true;
	if (error != KERN_RESOURCE_SHORTAGE)
		error = KERN_INVALID_ADDRESS;
	exception_raise(thread, EXC_BAD_ACCESS, (unsigned)error, stack);
	return false;
}

static inline struct task *own_task(struct thread *thread, mach_port_name_t name)
{
	struct task *task = thread->task;
	const struct name *entry = *space_first(&task->space, name);

	/* Mostly it is the caller's own. */
	if (entry->name == name && (entry->type & MACH_PORT_TYPE_SEND) && entry->port == task->self)
		return task;
	return space_kobject(&thread->task->space, name, KOBJECT_TASK);
}

static int64_t trap_null(SYSCALL_ARGUMENTS)
{
	(void)thread;
	return 0;
}

static int64_t trap_mach_reply_port(SYSCALL_ARGUMENTS)
{
	struct space *space = &thread->task->space;
	mach_port_name_t name = MACH_PORT_NAME_NULL;

	if (space_allocate(space, MACH_PORT_RIGHT_RECEIVE, &name) != KERN_SUCCESS)
		return MACH_PORT_NAME_NULL;
	if (port_keep_reply(space_lookup(space, name)->port))
		return name;
	name_lose_receive(space_lookup(space, name));
	return MACH_PORT_NAME_NULL;
}

/* The port that was put in the task's place (task_set_special_port, TASK_KERNEL_PORT), as a copy of its right. */
static __attribute__((noinline)) int64_t other_self(struct thread *thread)
{
	mach_port_name_t name;
	struct port *port = thread->task->kernel_port;

	if (port == NULL)
		return MACH_PORT_NAME_NULL;
	port = right_copy_send(port);
	if (!port_valid(port))
		return MACH_PORT_NAME_DEAD;
	if (space_insert(&thread->task->space, port, MACH_MSG_TYPE_PORT_SEND, &name) == KERN_SUCCESS)
		return name;
	right_release_send(port);
	return MACH_PORT_NAME_NULL;
}

/* A send right to a kernel port for the caller; null when its ledger denies the name. port NULL: another is its self. */
static int64_t self_right(struct thread *thread, struct port *port)
{
	mach_port_name_t name;
	struct name *entry;

	if (port == NULL)
		return other_self(thread);
	/* Nearly always it has the right already: one reference more. (A kernel port has no receive right in a space.) */
	entry = name_of_port(&thread->task->space, port);
	if (entry != NULL && entry->urefs < MACH_PORT_UREFS_MAX) {
		entry->urefs++;
		port->make_send_count++;
		return entry->name;
	}
	right_make_send(port);
	if (space_insert(&thread->task->space, port, MACH_MSG_TYPE_PORT_SEND, &name) == KERN_SUCCESS)
		return name;
	right_release_send(port);
	return MACH_PORT_NAME_NULL;
}

static int64_t trap_mach_thread_self(SYSCALL_ARGUMENTS)
{
	return self_right(thread, thread->self);
}

static int64_t trap_mach_task_self(SYSCALL_ARGUMENTS)
{
	return self_right(thread, thread->task->asks_for);
}

static int64_t trap_mach_host_self(SYSCALL_ARGUMENTS)
{
	return self_right(thread, host_port);
}

static int64_t trap_mach_print(SYSCALL_ARGUMENTS)
{
	char text[PRINT_MAX];
	size_t at, length, piece;
	kern_return_t error = copyin_string(&thread->task->map, text, ARG(thread, 0), sizeof(text));

	if (error == KERN_INVALID_ARGUMENT)	/* longer: what fits */
		text[sizeof(text) - 1] = '\0';
	else if (error != KERN_SUCCESS)
		return error;
	for (at = 0, length = strlen(text); at < length; at += piece) {
		piece = console_step(text + at, (uint32_t)(length - at));
		console_await();
		console_write(text + at, piece);
		machine_window();
	}
	return KERN_SUCCESS;
}

/* The thread's call is over with this result; others may run before it goes on. */
_Noreturn static void yield_with(struct thread *thread, int64_t result)
{
	thread_set_result(thread, result);
	sched_yield();
}

/* FALSE: there is nobody to yield to, the caller may as well go on spinning (Reference Manual, Hand-Off Scheduling). */
static int64_t trap_swtch(SYSCALL_ARGUMENTS)
{
	if (!sched_others_ready())
		return FALSE;
	yield_with(thread, TRUE);
}

static int64_t trap_swtch_pri(SYSCALL_ARGUMENTS)
{
	if (!sched_others_ready())
		return FALSE;
	thread_depress(thread, 0);
	yield_with(thread, TRUE);
}

static void switch_wait_cancel(struct thread *thread, enum wait_reason reason)
{
	thread_set_result(thread, reason == WAIT_ABORTED ? KERN_ABORTED : KERN_SUCCESS);
}

static const struct wait_kind sleeping = { "sleep", NULL, switch_wait_cancel, false };

/* May a name that is no thread's be a hint: null, or that of a thread that has ended by now? */
static __attribute__((noinline)) bool switch_to_nobody(struct thread *thread, mach_port_name_t name)
{
	const struct name *entry = space_lookup(&thread->task->space, name);

	return name == MACH_PORT_NAME_NULL || (entry != NULL && (entry->type & MACH_PORT_TYPE_DEAD_NAME));
}

static int64_t trap_thread_switch(SYSCALL_ARGUMENTS)
{
	mach_port_name_t name = NAME(thread, 0);
	int option = (int)ARG(thread, 1);
	uint32_t time_ms = (uint32_t)ARG(thread, 2);
	struct thread *target = NULL;

	if (option != SWITCH_OPTION_NONE && option != SWITCH_OPTION_DEPRESS && option != SWITCH_OPTION_WAIT)
		return KERN_INVALID_ARGUMENT;
	if (name != MACH_PORT_NAME_NULL)
		target = space_kobject(&thread->task->space, name, KOBJECT_THREAD);
	if (target == NULL && !switch_to_nobody(thread, name))
		return KERN_INVALID_ARGUMENT;
	if (option == SWITCH_OPTION_WAIT) {
		wait_begin(thread, &sleeping, NULL, time_ms);
		return KERN_BLOCKED;
	}
	if (option == SWITCH_OPTION_DEPRESS)
		thread_depress(thread, time_ms);
	if (target != NULL && target->state == THREAD_READY && sched_same_share(target)) {
		sched_unready(target);
		sched_handoff(target);
	}
	yield_with(thread, KERN_SUCCESS);
}

/* The word at `where` in the caller's memory, which is made ready to be written by word_out. False: it cannot be had. */
static bool word_in(struct thread *thread, uint64_t where, uint64_t *word)
{
	struct vm_map *own = &thread->task->map;

	if (usercopy_range(where) && user_read_back(where, word))
		return true;
	return copyin(own, word, where, sizeof(*word)) == KERN_SUCCESS &&
	       copyout_prepare(own, where, sizeof(*word)) == KERN_SUCCESS;
}

static void word_out(struct thread *thread, uint64_t where, uint64_t word)
{
	if (!usercopy_range(where) || !user_write(where, word))
		copyout(&thread->task->map, where, &word, sizeof(word));
}

static int64_t trap_vm_allocate(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));
	uint64_t address;
	kern_return_t error;

	if (task == NULL || !word_in(thread, ARG(thread, 1), &address))
		return MACH_SEND_INTERRUPTED;
	error = vm_map_allocate(&task->map, &address, ARG(thread, 2), (uint32_t)ARG(thread, 3) != 0);
	if (error == KERN_SUCCESS)
		word_out(thread, ARG(thread, 1), address);
	return error;
}

static int64_t trap_vm_deallocate(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));

	if (task == NULL)
		return MACH_SEND_INTERRUPTED;
	return vm_range_deallocate(&task->map, ARG(thread, 1), ARG(thread, 2), true);
}

static int64_t trap_vm_map(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));
	mach_port_name_t object_name = NAME(thread, 5);
	struct port *object = NULL;
	uint64_t rest[5], address;
	kern_return_t error;

	if (!syscall_stack_arguments(thread, rest, 5))
		return KERN_BLOCKED;
	if (task == NULL)
		return MACH_SEND_INTERRUPTED;
	if (object_name != MACH_PORT_NAME_NULL) {
		object = space_port(&thread->task->space, object_name);
		if (object == NULL)
			return MACH_SEND_INTERRUPTED;
	}
	if (!word_in(thread, ARG(thread, 1), &address))
		return MACH_SEND_INTERRUPTED;
	if (object != NULL)
		return MACH_SEND_INTERRUPTED;	/* the message carries the right; this call would only borrow it */
	error = vm_map(&task->map, &address, ARG(thread, 2), ARG(thread, 3), (boolean_t)ARG(thread, 4), NULL,
		       rest[0], (boolean_t)rest[1], (vm_prot_t)rest[2], (vm_prot_t)rest[3], (vm_inherit_t)rest[4]);
	if (error == KERN_SUCCESS)
		word_out(thread, ARG(thread, 1), address);
	return error;
}

/* Copies a 4-byte result out; the place has been prepared. */
static void put_name(struct thread *thread, uint64_t where, mach_port_name_t name)
{
	copyout(&thread->task->map, where, &name, sizeof(name));
}

/* The caller gets its right to the new task. */
static int64_t task_created(struct thread *thread, struct task *child)
{
	struct space *space = &thread->task->space;
	mach_port_name_t name;
	int error;

	right_make_send(child->self);
	error = space_insert(space, child->self, MACH_MSG_TYPE_PORT_SEND, &name);
	if (error != KERN_SUCCESS) {
		right_release_send(child->self);
		task_kill(child);
		return error;
	}
	/* Forking write-protected the caller's pages: prepare again, which cannot be denied a table. */
	if (copyout_prepare(&thread->task->map, ARG(thread, 2), sizeof(name)) != KERN_SUCCESS) {
		mach_port_deallocate(space, name);
		task_kill(child);
		return KERN_RESOURCE_SHORTAGE;
	}
	put_name(thread, ARG(thread, 2), name);
	return KERN_SUCCESS;
}

/* Behind a pause. */
static void task_create_done(struct thread *thread, struct task *child, kern_return_t code)
{
	thread_set_result(thread, code == KERN_SUCCESS ? task_created(thread, child) : code);
}

static int64_t trap_task_create(SYSCALL_ARGUMENTS)
{
	struct task *parent = own_task(thread, NAME(thread, 0)), *child;
	int error;

	if (parent == NULL ||
	    copyout_prepare(&thread->task->map, ARG(thread, 2), sizeof(mach_port_name_t)) != KERN_SUCCESS)
		return MACH_SEND_INTERRUPTED;
	if ((uint32_t)ARG(thread, 1) != 0)
		error = task_fork(parent, task_create_done, &child);
	else
		child = task_make(parent, parent->ledger, false, &error);
	return error == KERN_SUCCESS ? task_created(thread, child) : error;
}

static int64_t trap_task_terminate(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));

	if (task == NULL)
		return MACH_SEND_INTERRUPTED;
	task_kill(task);
	return KERN_SUCCESS;
}

static int64_t trap_task_suspend(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));

	return task == NULL ? MACH_SEND_INTERRUPTED : task_suspend(task);
}

static int64_t trap_mach_port_allocate(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));
	mach_port_name_t name = MACH_PORT_NAME_NULL;
	kern_return_t error;

	if (task == NULL ||
	    copyout_prepare(&thread->task->map, ARG(thread, 2), sizeof(name)) != KERN_SUCCESS)
		return MACH_SEND_INTERRUPTED;
	error = mach_port_allocate(&task->space, (mach_port_right_t)ARG(thread, 1), &name);
	if (error == KERN_SUCCESS)
		put_name(thread, ARG(thread, 2), name);
	return error;
}

static int64_t trap_mach_port_deallocate(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));

	if (task == NULL)
		return MACH_SEND_INTERRUPTED;
	return mach_port_deallocate(&task->space, NAME(thread, 1));
}

static int64_t trap_mach_port_allocate_name(SYSCALL_ARGUMENTS)
{
	struct task *task = own_task(thread, NAME(thread, 0));

	if (task == NULL)
		return MACH_SEND_INTERRUPTED;
	return mach_port_allocate_name(&task->space, (mach_port_right_t)ARG(thread, 1), NAME(thread, 2));
}

static int64_t trap_thread_depress_abort(SYSCALL_ARGUMENTS)
{
	struct thread *target = space_kobject(&thread->task->space, NAME(thread, 0), KOBJECT_THREAD);

	if (target == NULL)
		return MACH_SEND_INTERRUPTED;
	thread_depress_end(target);
	return KERN_SUCCESS;
}

static int64_t trap_thread_set_self_state(SYSCALL_ARGUMENTS)
{
	uint32_t state[THREAD_STATE_WORDS_MAX];
	uint32_t count = (uint32_t)ARG(thread, 2);
	kern_return_t error;

	if (count > THREAD_STATE_WORDS_MAX)
		return KERN_INVALID_ARGUMENT;
	error = copyin(&thread->task->map, state, ARG(thread, 1), count * sizeof(state[0]));
	if (error != KERN_SUCCESS)
		return error;
	return thread_state_set(thread, (int)ARG(thread, 0), state, count);
}

/* Arguments 0 and 2: the caller's own task, and a right of its space with the kind that it has now, which is the callee's. */
static int64_t own_task_and_right(struct thread *thread, uint32_t type, struct task **task, struct port **port, uint32_t *kind)
{
	*task = own_task(thread, NAME(thread, 0));
	if (*task == NULL)
		return MACH_SEND_INTERRUPTED;
	if (!MACH_MSG_TYPE_PORT_ANY(type))
		return KERN_INVALID_VALUE;
	return space_take(&thread->task->space, NAME(thread, 2), type, port, kind);
}

/* The callee has not taken the right if this is an error. */
static int64_t right_used(kern_return_t error, struct port *port, uint32_t kind)
{
	if (error != KERN_SUCCESS)
		right_release(port, kind);
	return error;
}

static int64_t trap_task_set_special_port(SYSCALL_ARGUMENTS)
{
	struct task *task;
	struct port *port;
	uint32_t kind;
	int64_t error = own_task_and_right(thread, MACH_MSG_TYPE_COPY_SEND, &task, &port, &kind);

	return error != KERN_SUCCESS ? error :
				       right_used(task_set_special_port(task, (int)ARG(thread, 1), port), port, kind);
}

static int64_t trap_mach_port_insert_right(SYSCALL_ARGUMENTS)
{
	struct task *task;
	struct port *port;
	uint32_t kind;
	int64_t error = own_task_and_right(thread, (uint32_t)ARG(thread, 3), &task, &port, &kind);

	return error != KERN_SUCCESS ? error :
				       right_used(mach_port_insert_right(&task->space, NAME(thread, 1), port, kind), port, kind);
}

/* The reply port is for errors that come later; here none does. */
static int64_t trap_device_write_request(SYSCALL_ARGUMENTS)
{
	return device_write_user(space_kobject(&thread->task->space, NAME(thread, 0), KOBJECT_DEVICE), &thread->task->map,
				 ARG(thread, 4), ARG(thread, 5));
}

static int64_t trap_device_writev_request(SYSCALL_ARGUMENTS)
{
	struct device *device = space_kobject(&thread->task->space, NAME(thread, 0), KOBJECT_DEVICE);
	struct { uint64_t address, size; } piece;
	uint64_t count = (uint32_t)ARG(thread, 5), i;
	kern_return_t error = D_SUCCESS;

	if (count > DEVICE_WRITEV_MAX)
		return KERN_INVALID_VALUE;
	for (i = 0; i < count && error == D_SUCCESS; i++) {
		error = copyin(&thread->task->map, &piece, ARG(thread, 4) + i * sizeof(piece), sizeof(piece));
		if (error == KERN_SUCCESS)
			error = device_write_user(device, &thread->task->map, piece.address, piece.size);
	}
	return error;
}

static int64_t trap_none(SYSCALL_ARGUMENTS)
{
	(void)thread;
	return KERN_INVALID_ARGUMENT;
}

syscall_handler *const syscall_table[SYSCALLS] = {
	[0 ... 9] = trap_none,
	[10 ... 13] = trap_null,
	[14 ... 24] = trap_none,
	[25] = trap_mach_msg,
	[26] = trap_mach_reply_port,
	[27] = trap_mach_thread_self,
	[28] = trap_mach_task_self,
	[29] = trap_mach_host_self,
	[30] = trap_mach_print,
	[31 ... 38] = trap_none,
	[39] = trap_device_writev_request,
	[40] = trap_device_write_request,
	[41 ... 54] = trap_none,
	[55 ... 56] = trap_null,
	[57 ... 58] = trap_none,
	[59] = trap_swtch_pri,
	[60] = trap_swtch,
	[61] = trap_thread_switch,
	[62 ... 63] = trap_none,
	[64] = trap_vm_map,
	[65] = trap_vm_allocate,
	[66] = trap_vm_deallocate,
	[67] = trap_none,
	[68] = trap_task_create,
	[69] = trap_task_terminate,
	[70] = trap_task_suspend,
	[71] = trap_task_set_special_port,
	[72] = trap_mach_port_allocate,
	[73] = trap_mach_port_deallocate,
	[74] = trap_mach_port_insert_right,
	[75] = trap_mach_port_allocate_name,
	[76] = trap_thread_depress_abort,
	[77] = trap_thread_set_self_state,
	[78 ... SYSCALLS - 1] = trap_none,
};

uint32_t syscalls_common = SYSCALLS;

void syscalls_watch(void)
{
	syscalls_common = 0;
}

int64_t syscall_uncommon(struct thread *thread)
{
	uint32_t index = -(uint32_t)thread->regs.rax;
	int64_t result;

	stretch_begin();
	if (thread->extra != NULL) {
		thread->extra->fail_armed = thread->extra->fail_nth;
		thread->extra->fail_nth = 0;
	}
	if (index < SYSCALLS) {
		result = syscall_table[index](thread, ARG(thread, 1), ARG(thread, 2), ARG(thread, 0), ARG(thread, 4), ARG(thread, 5));
		stretch_note(syscall_uncommon);
		return result;
	}
	exception_raise(thread, EXC_BAD_INSTRUCTION, EXC_I386_INVOP, 0);
	return KERN_BLOCKED;
}

void syscall_end(struct thread *thread, int64_t result)
{
	if (result == KERN_BLOCKED)
		syscall_blocked(thread_current());
	thread_set_result(thread, result);
	sched_handoff_undo();
	stretch_note(syscall_end);
	user_return();
}

void syscall_blocked(struct thread *thread)
{
	if (thread->state != THREAD_RUNNING)
		sched_switch();
	if (thread->wait.kind != NULL)
		sched_pause(thread);
	sched_handoff_undo();
	stretch_note(syscall_blocked);
	user_return();
}
