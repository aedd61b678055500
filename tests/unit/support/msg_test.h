/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of messages share: tasks of one thread with real spaces and maps, and a stand-in for the scheduler: a
   woken thread runs its continuation when the test says so. */
#ifndef MSG_TEST_H
#define MSG_TEST_H
#include "vm_test.h"
#include <setjmp.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include <mach/notify.h>
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/krpc.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "ipc/right.h"
#include "ipc/space.h"
#include "kern/device.h"
#include "kern/exception.h"
#include "kern/sched.h"
#include "kern/timer.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "kern/timer.h"
#include "vm/upcalls.h"

#define BUFFER_SIZE 8192
#define NONE MACH_PORT_NAME_NULL

void space_system_init(void);
static struct thread *test_current;
static unsigned test_handoffs;

struct thread *thread_current(void)
{
	return test_current;
}

/* Of waits with a time-out; no time passes here. */
static LIST_HEAD(, thread) test_timers;

void wait_begin(struct thread *thread, const struct wait_kind *kind, void *object, int64_t timeout_ms)
{
	assert(thread->wait.kind == NULL && thread->state == THREAD_RUNNING && kind->cancel != NULL);
	thread->wait.kind = kind;
	thread->wait.object = object;
	thread->state = THREAD_WAITING;
	if (timeout_ms == WAIT_FOREVER)
		return;
	assert(timeout_ms >= 0 || thread->deadline_kept);
	if (timeout_ms >= 0) {
		thread->wait.deadline_ns = (uint64_t)timeout_ms;
		thread->deadline_kept = true;
	}
	thread->timed = true;
	LIST_INSERT_HEAD(&test_timers, thread, timer);
}

/* The fast path's end: back in test_mach_msg. The thread that has the CPU now is ready for test_run. */
static jmp_buf test_passed;
static unsigned test_passes;
void sched_pass(struct thread *from, struct thread *to)
{
	assert(from->state == THREAD_WAITING && to->state == THREAD_WAITING && to->wait.kind == NULL);
	timer_stop(to);
	to->state = THREAD_READY;
	thread_set_result(to, MACH_MSG_SUCCESS);
	test_passes++;
	longjmp(test_passed, 1);
}

/* Another end of it, which does not return to its caller either. */
static int64_t test_ended;
void syscall_end(struct thread *thread, int64_t result)
{
	(void)thread;
	test_ended = result;
	longjmp(test_passed, 2);
}

/* mach_msg with the arguments in the thread's registers. */
static inline int64_t test_trap(struct thread *thread)
{
	const struct regs *regs = &thread->regs;
	int way = setjmp(test_passed);

	if (way == 0)
		return trap_mach_msg(thread, regs->rsi, regs->rdx, regs->rdi, regs->r8, regs->r9);
	return way == 1 ? KERN_BLOCKED : test_ended;
}

void thread_wake(struct thread *thread, int result)
{
	assert(thread->state == THREAD_WAITING);
	timer_stop(thread);
	/* A ready thread's links are those of its run queue. */
	memset(&thread->wait.run, 0xee, sizeof(thread->wait.run));
	thread->wait.object = NULL;
	thread->wait.result = result;
	thread->state = THREAD_READY;
}

void thread_wake_handoff(struct thread *thread, int result)
{
	test_handoffs++;
	thread_wake(thread, result);
}

void wait_cancel(struct thread *thread, enum wait_reason reason)
{
	const struct wait_kind *kind;

	if (thread->state != THREAD_WAITING)
		return;
	kind = thread->wait.kind;
	thread->wait.kind = NULL;
	kind->cancel(thread, reason);
	thread_wake(thread, 0);
}

void task_kill(struct task *task)
{
	struct thread *thread;

	task->dead = true;
	task->suspend_count = UINT32_MAX;
	LIST_FOREACH(thread, &task->threads, task_link) {
		wait_cancel(thread, WAIT_KILLED);
		thread->state = THREAD_DEAD;
		thread->suspend_count = UINT32_MAX;
	}
}

/* Nothing runs between here and the end of a test's call. */
void task_kill_later(struct task *task)
{
	task_kill(task);
}

bool vm_name_unused(struct vm_object *object)
{
	panic("object's name %p", (void *)object);
}
void device_no_senders(struct device *device)
{
	panic("no devices here: %p", (void *)device);
}

/* As thread_suspend_one does with a thread that is not ready; and task_suspend. */
static inline void test_suspend(struct thread *thread)
{
	thread->suspend_count = 1;
	thread->straight_room = 0;
}

static inline void test_task_suspend(struct task *task)
{
	task->suspend_count = 1;
	task->map.pmap.changes++;
}

/* Runs a woken thread; its result, or KERN_BLOCKED when it waits again. */
static inline int64_t test_run(struct thread *thread)
{
	const struct wait_kind *woken = thread->wait.kind;

	if (thread->state != THREAD_READY)
		return KERN_BLOCKED;
	test_current = thread;
	thread->state = THREAD_RUNNING;
	thread->wait.kind = NULL;
	if (woken != NULL)
		woken->continuation(thread, thread->wait.result);
	return thread->state == THREAD_RUNNING ? (int64_t)thread->regs.rax : KERN_BLOCKED;
}

static inline void test_msg_init(uint64_t pages)
{
	host_memory(pages, pages / 2);
	vm_init();
	port_system_init();
	space_system_init();
	kmsg_system_init();
	krpc_system_init();
}

/* The thread's buffers: at buf it sends from, receives to. */
static inline uint64_t test_buffer(struct thread *thread)
{
	return thread->regs.rbx;
}

static inline void test_write(struct thread *thread, uint64_t to, const void *bytes, uint64_t size)
{
	for (uint64_t done = 0, piece; done < size; done += piece) {
		piece = PAGE_SIZE - (to + done) % PAGE_SIZE;
		piece = piece < size - done ? piece : size - done;
		if (test_access(&thread->task->map, to + done, (char *)bytes + done, piece, true) != KERN_SUCCESS)
			panic("cannot write");
	}
}

static inline void test_read(struct thread *thread, uint64_t from, void *bytes, uint64_t size)
{
	for (uint64_t done = 0, piece; done < size; done += piece) {
		piece = PAGE_SIZE - (from + done) % PAGE_SIZE;
		piece = piece < size - done ? piece : size - done;
		if (test_access(&thread->task->map, from + done, (char *)bytes + done, piece, false) != KERN_SUCCESS)
			panic("cannot read");
	}
}

static inline void test_exception_port(struct thread *thread, struct port *right)
{
	thread->extra = calloc(1, sizeof(*thread->extra));
	thread->extra->exception_port = right;
}

static inline struct thread *test_thread_in(struct task *task)
{
	static const uint8_t zeros[BUFFER_SIZE];
	struct thread *thread = calloc(1, sizeof(*thread));

	thread->task = task;
	thread->state = THREAD_RUNNING;
	thread->self = port_make_kernel(KOBJECT_THREAD, thread, task->ledger);
	thread->regs.vector = REGS_VECTOR_SYSCALL;
	thread->regs.rbx = test_allocate(&task->map, BUFFER_SIZE / PAGE_SIZE);
	test_write(thread, thread->regs.rbx, zeros, BUFFER_SIZE);
	LIST_INSERT_HEAD(&task->threads, thread, task_link);
	return thread;
}

static inline struct thread *test_thread(struct ledger *ledger)
{
	struct task *task = calloc(1, sizeof(*task));

	task->ledger = ledger;
	if (!vm_map_create(&task->map, ledger))
		panic("no map");
	space_init(&task->space, ledger);
	task->self = port_make_kernel(KOBJECT_TASK, task, ledger);
	return test_thread_in(task);
}

static inline void test_thread_end(struct thread *thread)
{
	wait_cancel(thread, WAIT_KILLED);
	port_destroy_kernel(thread->self);
	msg_abandon(thread);
	if (thread_exception_port(thread) != NULL)
		right_release_send(thread->extra->exception_port);
	LIST_REMOVE(thread, task_link);
	free(thread->extra);
	free(thread);
}

static inline void test_task_end(struct task *task)
{
	while (!LIST_EMPTY(&task->threads))
		test_thread_end(LIST_FIRST(&task->threads));
	if (task->exception_port != NULL)
		right_release_send(task->exception_port);
	port_destroy_kernel(task->self);
	while (!space_dismantle(&task->space))
		;
	while (!vm_map_dismantle(&task->map))
		;
	reap_all();
	free(task);
}

/* mach_msg as the thread calls it, on its buffer. */
static inline int64_t test_mach_msg(struct thread *thread, uint32_t option, uint32_t send_size, uint32_t receive_size,
				    mach_port_name_t receive_name, uint32_t timeout, uint32_t notify)
{
	uint64_t stack = test_buffer(thread) + BUFFER_SIZE - 64;
	int64_t result;

	assert(thread->state == THREAD_RUNNING);
	test_current = thread;
	test_write(thread, stack + 8, &notify, sizeof(notify));
	thread->regs.rsp = stack;
	thread->regs.rdi = test_buffer(thread);
	thread->regs.rsi = option;
	thread->regs.rdx = send_size;
	thread->regs.r10 = receive_size;
	thread->regs.r8 = receive_name;
	thread->regs.r9 = timeout;
	host_pmap_current = &thread->task->map.pmap;
	result = test_trap(thread);
	host_pmap_current = NULL;
	if (result != KERN_BLOCKED)
		thread->regs.rax = (uint64_t)result;
	return result;
}

/* A message under construction, and the same received. */
struct test_message {
	mach_msg_header_t h;
	uint64_t body[BUFFER_SIZE / 8 - 16];
};

static inline uint32_t test_header(struct test_message *m, uint32_t bits, mach_port_name_t remote, mach_port_name_t local,
				   int id)
{
	memset(m, 0, sizeof(*m));
	m->h.msgh_bits = bits;
	m->h.msgh_remote_port = remote;
	m->h.msgh_local_port = local;
	m->h.msgh_id = id;
	return sizeof(m->h);
}

static inline uint64_t *test_item(struct test_message *m, uint32_t *size, mach_msg_type_t type, uint32_t bytes)
{
	uint64_t *data;

	memcpy((char *)m + *size, &type, 8);
	data = (uint64_t *)((char *)m + *size + 8);
	*size += 8 + (bytes + 7) / 8 * 8;
	m->h.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
	return data;
}

static inline void test_add_port(struct test_message *m, uint32_t *size, uint32_t type, mach_port_name_t name)
{
	*test_item(m, size, (mach_msg_type_t){ .msgt_name = type, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 }, 8) = name;
}

static inline void test_add_region(struct test_message *m, uint32_t *size, uint64_t address, uint32_t bytes, bool deallocate)
{
	*test_item(m, size, (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8, .msgt_longform = 1,
					       .msgt_deallocate = deallocate, .msgt_number = bytes }, 8) = address;
}

static inline void test_add_array(struct test_message *m, uint32_t *size, uint32_t type, uint64_t address, uint32_t count)
{
	*test_item(m, size, (mach_msg_type_t){ .msgt_name = type, .msgt_size = 32, .msgt_longform = 1,
					       .msgt_number = count }, 8) = address;
}

static inline int64_t test_send(struct thread *thread, struct test_message *m, uint32_t size, uint32_t option, uint32_t timeout)
{
	test_write(thread, test_buffer(thread), m, size);
	return test_mach_msg(thread, MACH_SEND_MSG | option, size, 0, NONE, timeout, 0);
}

static inline void test_received(struct thread *thread, struct test_message *m)
{
	test_read(thread, test_buffer(thread), m, BUFFER_SIZE - 256);
}

static inline int64_t test_receive(struct thread *thread, struct test_message *m, mach_port_name_t name, uint32_t option)
{
	int64_t result = test_mach_msg(thread, MACH_RCV_MSG | option, 0, BUFFER_SIZE - 256, name, 0, 0);

	if (result != KERN_BLOCKED)
		test_received(thread, m);
	return result;
}

static inline mach_port_name_t test_port(struct thread *thread)
{
	mach_port_name_t name = NONE;

	if (space_allocate(&thread->task->space, MACH_PORT_RIGHT_RECEIVE, &name) != KERN_SUCCESS)
		panic("no port");
	return name;
}

static inline struct port *test_port_of(struct thread *thread, mach_port_name_t name)
{
	struct name *entry = space_lookup(&thread->task->space, name);

	return entry != NULL ? entry->port : NULL;
}

static inline uint32_t test_type(struct thread *thread, mach_port_name_t name)
{
	struct name *entry = space_lookup(&thread->task->space, name);

	return entry != NULL ? entry->type & NAME_TYPE_MASK & ~MACH_PORT_TYPE_DNREQUEST : 0;
}

static inline uint32_t test_urefs(struct thread *thread, mach_port_name_t name)
{
	struct name *entry = space_lookup(&thread->task->space, name);

	return entry != NULL ? entry->urefs : 0;
}

/* A send right to `of`'s port `name`, for `to`. */
static inline mach_port_name_t test_send_right(struct thread *to, struct thread *of, mach_port_name_t name)
{
	mach_port_name_t result;

	if (space_insert(&to->task->space, right_make_send(test_port_of(of, name)), MACH_MSG_TYPE_PORT_SEND, &result) !=
	    KERN_SUCCESS)
		panic("no send right");
	return result;
}

/* All that the ledger has used is as the copy says; else it is told what is not. */
static inline bool test_same_usage(struct ledger *ledger, const uint64_t *before)
{
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		if (host_used(ledger, i) != before[i]) {
			diag("%s: %s %lu, was %lu", ledger->name, ledger_resource_name(i), (long)host_used(ledger, i),
			     (long)before[i]);
			return false;
		}
	return true;
}

static inline void test_usage(struct ledger *ledger, uint64_t *to)
{
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		to[i] = host_used(ledger, i);
}

/* The end of a test of two threads: their tasks go, and with them all that their ledgers paid. */
static inline int test_pair_end(struct thread *a, struct thread *b, struct ledger *ledger_a, struct ledger *ledger_b)
{
	space_check(&a->task->space);
	space_check(&b->task->space);
	test_task_end(a->task);
	test_task_end(b->task);
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		ok(host_used(ledger_a, i) == 0 && host_used(ledger_b, i) == 0, "no %s is charged at the end: %lu %lu",
		   ledger_resource_name(i), (long)host_used(ledger_a, i), (long)host_used(ledger_b, i));
	ok(host_audit(), "the audit agrees");
	return tap_done();
}

#endif
