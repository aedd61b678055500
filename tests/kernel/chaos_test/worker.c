/* SPDX-License-Identifier: BSD-2-Clause */
/* A task of chaos_test: its threads, and the choice of what they do. */
#include "chaos.h"
#include <mach/mig_support.h>

struct worker workers[WORKERS];
static struct thread *threads[WORKERS];
static char out_room[WORKERS][OUT_ROOM] __attribute__((aligned(4096)));
static mach_port_t worker_ports[WORKERS];

/* -- choices -- */

mach_port_name_t some_name(struct worker *worker)
{
	static const uint32_t odd[] = { 0, ~0u, 1, 2, 3, 0x100, 0x7fffffff, 0x80000000 };

	switch (below(worker, 16)) {
	case 0: case 1: return worker->recent[below(worker, 16)];
	case 2: return one_in(worker, 4) ? odd[below(worker, 8)] : worker->reply;
	case 3: return SLOT_NAME(below(worker, SLOT_COMMON));
	default: return SLOT_NAME(SLOT_COMMON + below(worker, SLOTS - SLOT_COMMON));
	}
}

mach_port_name_t some_slot(struct worker *worker, unsigned first, unsigned count)
{
	return one_in(worker, 12) ? some_name(worker) : SLOT_NAME(first + below(worker, count));
}

mach_port_name_t some_task(struct worker *worker)
{
	return one_in(worker, 3) ? some_slot(worker, SLOT_TASKS, TASKS) : mach_task_self();
}

mach_port_name_t some_thread(struct worker *worker)
{
	switch (below(worker, 4)) {
	case 0: return worker->recent[below(worker, 16)];
	case 1: return some_slot(worker, SLOT_THREAD, 1);
	default: return worker_ports[below(worker, WORKERS)];
	}
}

vm_address_t some_address(struct worker *worker)
{
	vm_address_t at = below(worker, one_in(worker, 3) ? ARENA_PAGES * 4096 : 8 * 4096);

	if (one_in(worker, 3))
		at &= ~4095ull;
	if (one_in(worker, 3))
		return (vm_address_t)shared_arena + at % (SHARED_PAGES * 4096);
	if (one_in(worker, 8) && worker->regions[0].address != 0)
		return worker->regions[0].address + at % 8192;
	return ARENA + at;
}

vm_size_t some_size(struct worker *worker)
{
	static const vm_size_t odd[] = { 0, 1, 4095, 4097, 16 * 4096, 64 * 4096, 1 << 22, 1ull << 32, ~0ull, 1ull << 47 };

	if (one_in(worker, 12))
		return odd[below(worker, sizeof odd / sizeof odd[0])];
	return (1 + below(worker, 5)) * 4096;
}

uint64_t some_word(struct worker *worker)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 4095, 4096, 4097, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
		0x7fffffffe000, 0x7ffffffff000, 0x800000000000,
	};

	switch (below(worker, 6)) {
	case 0: return some_name(worker);
	case 1: case 2: return some_address(worker);
	case 3: return below(worker, 40);
	case 4: return random_next(&worker->random) >> 20;
	default: return values[below(worker, sizeof values / sizeof values[0])];
	}
}

void keep_name(struct worker *worker, mach_port_name_t name)
{
	mach_port_name_t slot = SLOT_NAME(SLOT_FREE + below(worker, SLOTS - SLOT_FREE));

	if (name == 0 || name == ~0u)
		return;
	if (one_in(worker, 2) && mach_port_destroy(mach_task_self(), slot) != KERN_INVALID_TASK &&
	    mach_port_rename(mach_task_self(), name, slot) == KERN_SUCCESS)
		return;
	/* What has been kept longest goes. */
	if (worker->recent[worker->recent_next] >= SLOT_NAME(SLOTS) || worker->recent[worker->recent_next] < SLOT_NAME(0))
		mach_port_mod_refs(mach_task_self(), worker->recent[worker->recent_next], MACH_PORT_RIGHT_SEND, -1);
	worker->recent[worker->recent_next] = name;
	worker->recent_next = (worker->recent_next + 1) % 16;
}

void keep_region(struct worker *worker, vm_address_t address, vm_size_t size)
{
	unsigned i = (unsigned)below(worker, 8);

	if (worker->regions[i].address != 0)
		vm_deallocate(mach_task_self(), worker->regions[i].address, worker->regions[i].size);
	worker->regions[i].address = address;
	worker->regions[i].size = size;
}

/* -- the loop -- */

static void operate(struct worker *worker)
{
	static void (*const operations[])(struct worker *) = {
		message_operation, message_operation, message_operation, message_operation, message_operation, message_operation,
		message_operation, message_operation, right_operation, right_operation, right_operation, memory_operation,
		memory_operation, memory_operation, thread_operation, thread_operation, nonsense_operation, ledger_operation,
		other_operation,
	};

	if (one_in(worker, worker->messages_mostly ? 100 : 10))
		arm(worker, worker_ports[worker->index]);
	if (worker->messages_mostly && !one_in(worker, 30))
		message_operation(worker);
	else
		operations[below(worker, sizeof operations / sizeof operations[0])](worker);
	common->progress[worker->task][worker->index]++;
	if (one_in(worker, 500)) {
		mach_port_mod_refs(mach_task_self(), worker->reply, MACH_PORT_RIGHT_RECEIVE, -1);
		worker->reply = mach_reply_port();
	}
}

_Noreturn static void work(void *argument)
{
	struct worker *worker = argument;

	worker->out = out_room[worker->index];
	if (worker->reply == MACH_PORT_NULL)
		worker->reply = mach_reply_port();
	for (;;)
		operate(worker);
}

static void begin(void *argument)
{
	struct worker *worker = argument;

	worker_ports[worker->index] = mach_thread_self();
	work(worker);
}

/* The worker whose thread this is begins anew, on a fresh stack. */
_Noreturn __attribute__((used)) static void again(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (threads[i] == thread_self())
			work(&workers[i]);
	for (;;)
		mach_msg_trap(NULL, MACH_RCV_MSG, 0, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
}
__asm__(".text; .globl chaos_restart, chaos_restart_end\n"
	"chaos_restart:	movq %fs:0, %rax\n"
	"	movq 32(%rax), %rsp\n"
	"	addq 40(%rax), %rsp\n"
	"	subq $64, %rsp\n"
	"	call again\n"
	"chaos_restart_end:\n");
_Static_assert(__builtin_offsetof(struct thread, stack) == 32 && __builtin_offsetof(struct thread, stack_size) == 40,
	       "chaos_restart");

static void fill_slots(struct worker *worker)
{
	task_t self = mach_task_self();

	mach_port_insert_right(self, SLOT_NAME(SLOT_SELF), self, MACH_MSG_TYPE_COPY_SEND);
	for (unsigned i = 0; i < 4; i++)
		mach_port_allocate_name(self, MACH_PORT_RIGHT_PORT_SET, SLOT_NAME(SLOT_SETS + i));
	for (unsigned i = 0; i < 12; i++) {
		mach_port_name_t name = SLOT_NAME(SLOT_PORTS + i);

		mach_port_allocate_name(self, MACH_PORT_RIGHT_RECEIVE, name);
		mach_port_insert_right(self, name, name, MACH_MSG_TYPE_MAKE_SEND);
		if (one_in(worker, 2))
			mach_port_move_member(self, name, SLOT_NAME(SLOT_SETS + below(worker, 4)));
	}
}

/* A worker that has done nothing for a while, or is no more, is replaced. */
static void tend(struct worker *worker)
{
	static struct { uint64_t seen; unsigned idle; } state[WORKERS];
	uint64_t done = common->progress[worker->task][worker->index];
	unsigned i = worker->index;

	if (threads[i] != NULL && (done != state[i].seen || ++state[i].idle < 6)) {
		if (done != state[i].seen)
			state[i].idle = 0;
		state[i].seen = done;
		return;
	}
	state[i].idle = 0;
	thread_terminate(worker_ports[i]);
	random_next(&worker->random);
	worker->reply = worker->answer_to = MACH_PORT_NULL;
	thread_spawn(begin, worker, 0, &threads[i]);
}

void chaos_child(void *argument)
{
	unsigned task = (unsigned)(uintptr_t)argument;
	vm_address_t arena = ARENA;

	vm_allocate(mach_task_self(), &arena, ARENA_PAGES * 4096, FALSE);
	for (unsigned i = 0; i < WORKERS; i++) {
		workers[i].task = task;
		workers[i].index = i;
		workers[i].messages_mostly = i % 3 == 0;
	}
	fill_slots(&workers[0]);
	mach_port_insert_right(mach_task_self(), SLOT_NAME(SLOT_THREAD), mach_thread_self(), MACH_MSG_TYPE_COPY_SEND);
	for (;;) {
		for (unsigned i = 0; i < WORKERS; i++)
			tend(&workers[i]);
		thread_sleep(3);
	}
}
