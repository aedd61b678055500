/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks: made empty or as copies, stopped and resumed, ended; their special ports, what is told of them.
 * RUN: in root task_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/task_info.h>
#include <mach/thread_switch.h>
#include <mach/threads.h>
#include <string.h>
#include "catch.h"
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define PAGES	8
#define BYTES	(PAGES * 4096)

/* --- creation --- */

static struct task_basic_info basic_info(task_t task)
{
	struct task_basic_info info = { 0 };
	mach_msg_type_number_t count = TASK_BASIC_INFO_COUNT;

	need(task_info(task, TASK_BASIC_INFO, (integer_t *)&info, &count), "task_info");
	return info;
}

static void test_empty(void)
{
	struct snapshot before;
	thread_array_t threads = NULL;
	mach_msg_type_number_t count = 99;
	vm_address_t address = 0;
	struct task_basic_info info;
	task_t task;

	snapshot_take(&before, test_ledger());
	is_code(task_create(mach_task_self(), FALSE, &task), KERN_SUCCESS, "an empty task can be made");
	info = basic_info(task);
	is(info.virtual_size, 0, "it has no memory");
	is(info.resident_size, 0, "and no pages");
	is((uint64_t)info.suspend_count, 0, "it is not suspended");
	is_code(task_threads(task, &threads, &count), KERN_SUCCESS, "its threads can be listed");
	is(count, 0, "it has none");
	is_code(vm_allocate(task, &address, BYTES, TRUE), KERN_SUCCESS, "memory can be given to it");
	is(basic_info(task).virtual_size, BYTES, "which it then has");
	is_code(task_terminate(task), KERN_SUCCESS, "it can be ended");
	is_code(task_terminate(task), MACH_SEND_INVALID_DEST, "ended, its port is dead");
	give_back_right(task);
	snapshot_settles(&before, SNAPSHOT_THINGS, "all it had comes back");
	is_code(task_create(test_thread(), FALSE, &task), KERN_INVALID_ARGUMENT, "a thread's port is no task");
}

/* What parent and child see of memory that is copied, shared or not inherited. */
struct inherited {
	vm_address_t copied, shared, none;
};
static struct inherited inherited;

struct seen {
	uint32_t go, stage;
	uint64_t copied[PAGES], shared[PAGES], copied_later;
	kern_return_t none;
};
static struct seen *seen;

static uint64_t *page_word(vm_address_t region, unsigned page)
{
	return (uint64_t *)(region + page * vm_page_size);
}

static void child_looks(void *argument)
{
	vm_address_t data = 0;
	mach_msg_type_number_t size = 0;

	(void)argument;
	word_await(&seen->go, 1, 10000);
	for (unsigned i = 0; i < PAGES; i++) {
		seen->copied[i] = *page_word(inherited.copied, i);
		seen->shared[i] = *page_word(inherited.shared, i);
		*page_word(inherited.copied, i) = 2000 + i;
		*page_word(inherited.shared, i) = 3000 + i;
	}
	seen->none = vm_read(mach_task_self(), inherited.none, vm_page_size, &data, &size);
	word_post(&seen->stage, 1);
	word_await(&seen->go, 2, 10000);
	seen->copied_later = *page_word(inherited.copied, 1);
	word_post(&seen->stage, 2);
}

static void test_inherit(void)
{
	unsigned copied = 0, shared = 0, kept = 0, changed = 0;
	struct snapshot before;
	struct child child;

	snapshot_take(&before, test_ledger());
	seen = shared_alloc(vm_page_size);
	need(vm_allocate(mach_task_self(), &inherited.copied, BYTES, TRUE), "memory");
	need(vm_allocate(mach_task_self(), &inherited.shared, BYTES, TRUE), "memory");
	need(vm_allocate(mach_task_self(), &inherited.none, BYTES, TRUE), "memory");
	is_code(vm_inherit(mach_task_self(), inherited.shared, BYTES, VM_INHERIT_SHARE), KERN_SUCCESS,
		"memory can be made shared");
	is_code(vm_inherit(mach_task_self(), inherited.none, BYTES, VM_INHERIT_NONE), KERN_SUCCESS,
		"memory can be kept from children");
	for (unsigned i = 0; i < PAGES; i++) {
		*page_word(inherited.copied, i) = 100 + i;
		*page_word(inherited.shared, i) = 200 + i;
	}
	need(child_start(&child, child_looks, NULL, NULL), "a child");
	/* After the fork and before the child looks: it must not see these. */
	*page_word(inherited.copied, 0) = 999;
	*page_word(inherited.shared, 0) = 888;
	word_post(&seen->go, 1);
	if (!word_await(&seen->stage, 1, 10000))
		give_up("a child looks at its memory");
	for (unsigned i = 0; i < PAGES; i++) {
		copied += seen->copied[i] == 100 + i;
		shared += seen->shared[i] == (i == 0 ? 888 : 200 + i);
		kept += *page_word(inherited.copied, i) == (i == 0 ? 999 : 100 + i);
		changed += *page_word(inherited.shared, i) == 3000 + i;
	}
	is(copied, PAGES, "a child sees copied memory as it was at the fork");
	is(shared, PAGES, "a child sees what the parent writes to shared memory");
	is(kept, PAGES, "what a child writes to copied memory the parent does not see");
	is(changed, PAGES, "what a child writes to shared memory the parent sees");
	is_code(seen->none, KERN_INVALID_ADDRESS, "memory not inherited is not there");
	*page_word(inherited.copied, 1) = 777;
	word_post(&seen->go, 2);
	ok(word_await(&seen->stage, 2, 10000), "the child looks again");
	is(seen->copied_later, 2001, "what the parent writes later the child does not see");
	ok(child_wait(&child, 5000), "the child ends");
	child_finish(&child);
	is(*page_word(inherited.copied, 2), 102, "the parent's memory outlives the child");
	give_back_memory(inherited.copied, BYTES);
	give_back_memory(inherited.shared, BYTES);
	give_back_memory(inherited.none, BYTES);
	shared_free(seen, vm_page_size);
	snapshot_settles(&before, SNAPSHOT_THINGS, "all comes back");
}

/* A child of a child of a child, each with its own copy. */
struct chain {
	uint32_t depth, done;
	uint64_t sum;
};
static struct chain *chain;
static uint64_t private_value = 1;

static void child_chain(void *argument)
{
	struct child child;

	private_value *= 2;
	__atomic_fetch_add(&chain->sum, private_value, __ATOMIC_SEQ_CST);
	if (__atomic_add_fetch(&chain->depth, 1, __ATOMIC_SEQ_CST) < 8 &&
	    child_start(&child, child_chain, argument, NULL) == KERN_SUCCESS) {
		child_wait(&child, 20000);
		/* Its own copy is as it left it. */
		__atomic_fetch_add(&chain->sum, private_value << 16, __ATOMIC_SEQ_CST);
	}
	word_post(&chain->done, chain->depth);
}

static void test_chain(void)
{
	struct child child;

	chain = shared_alloc(vm_page_size);
	need(child_start(&child, child_chain, NULL, NULL), "a child");
	ok(child_wait(&child, 30000), "a chain of forks comes to its end");
	is(chain->depth, 8, "it is eight tasks long");
	is(chain->sum & 0xffff, 2 + 4 + 8 + 16 + 32 + 64 + 128 + 256, "each had its parent's memory of its time");
	is(chain->sum >> 16, 2 + 4 + 8 + 16 + 32 + 64 + 128, "and kept its own");
	is(private_value, 1, "the first has its own still");
	child_finish(&child);
	shared_free(chain, vm_page_size);
}

/* --- suspend and resume --- */

struct counting {
	volatile uint64_t value;
	volatile uint64_t other;
};
static struct counting *counting;

static void count_other(void *argument)
{
	(void)argument;
	for (;;)
		counting->other++;
}

static void child_counts(void *argument)
{
	struct thread *thread;

	(void)argument;
	thread_spawn(count_other, NULL, 0, &thread);
	for (;;)
		counting->value++;
}

static bool moves(volatile uint64_t *value)
{
	uint64_t before = *value, start = clock_uptime_ns();

	while (*value == before && clock_uptime_ns() - start < 3000000000ull)
		thread_sleep(1);
	return *value != before;
}

static bool rests(volatile uint64_t *value)
{
	uint64_t before = *value;

	thread_sleep(80);
	return *value == before;
}

static void test_suspend(void)
{
	struct child child;
	thread_array_t threads = NULL;
	mach_msg_type_number_t count = 0;
	bool own = false;

	counting = shared_alloc(vm_page_size);
	need(child_start(&child, child_counts, NULL, NULL), "a child");
	ok(moves(&counting->value) && moves(&counting->other), "both threads of a child run");
	is_code(task_threads(child.task, &threads, &count), KERN_SUCCESS, "its threads can be listed");
	is(count, 2, "there are two");
	for (unsigned i = 0; i < count; i++) {
		own = own || threads[i] == child.thread;
		give_back_right(threads[i]);
	}
	ok(own, "the first is among them");
	if (count > 0)
		give_back_memory((vm_address_t)threads, count * sizeof *threads);
	is_code(task_suspend(child.task), KERN_SUCCESS, "the task can be suspended");
	ok(rests(&counting->value) && rests(&counting->other), "then neither thread runs");
	is((uint64_t)basic_info(child.task).suspend_count, 1, "its suspend count is 1");
	need(task_suspend(child.task), "task_suspend");
	need(task_resume(child.task), "task_resume");
	ok(rests(&counting->value), "suspended twice and resumed once it rests");
	is_code(task_resume(child.task), KERN_SUCCESS, "it can be resumed");
	ok(moves(&counting->value) && moves(&counting->other), "then both run");
	is_code(task_resume(child.task), KERN_FAILURE, "a task that runs cannot be resumed");
	need(thread_suspend(child.thread), "thread_suspend");
	ok(rests(&counting->value) && moves(&counting->other), "a suspended thread rests alone");
	need(task_suspend(child.task), "task_suspend");
	need(thread_resume(child.thread), "thread_resume");
	ok(rests(&counting->value), "a resumed thread of a suspended task rests");
	need(task_resume(child.task), "task_resume");
	ok(moves(&counting->value), "until the task is resumed");
	need(task_suspend(child.task), "task_suspend");
	is_code(task_terminate(child.task), KERN_SUCCESS, "a suspended task can be ended");
	ok(child_wait(&child, 5000), "and ends");
	child_finish(&child);
	shared_free(counting, vm_page_size);
}

/* --- special ports --- */

struct asking { uint32_t go, own, told, again; };

/* What the task is told when it asks for itself, and whether it can still be asked itself by the name that it had. */
static void child_asks_itself(void *argument)
{
	struct asking *asking = argument;

	asking->own = mach_task_self_trap();
	word_await(&asking->go, 1, 10000);
	asking->told = mach_task_self_trap();
	asking->again = mach_task_self_trap();
}

static kern_return_t other_kernel_port(struct child *child, void *argument)
{
	return task_set_special_port(child->task, TASK_KERNEL_PORT, *(mach_port_t *)argument);
}

static void test_stands_for_itself(void)
{
	mach_port_t port = catch_port();
	struct child_options options = { .suspended = true };
	struct asking *asking = shared_alloc(vm_page_size);
	struct child child;

	need(child_start(&child, child_asks_itself, asking, &options), "a child");
	need(thread_resume(child.thread), "thread_resume");
	for (unsigned i = 0; i < 1000 && asking->own == MACH_PORT_NULL; i++)
		thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, 1);
	need(other_kernel_port(&child, &port), "another port for it");
	word_post(&asking->go, 1);
	ok(child_wait(&child, 10000), "a child asked for itself before and after");
	ok(asking->own != MACH_PORT_NULL && asking->told != MACH_PORT_NULL && asking->told != asking->own,
	   "it is told the port that was set, no more its own");
	is(asking->again, asking->told, "under one name");
	child_finish(&child);
	catch_port_destroy(port);
	shared_free(asking, vm_page_size);
}

static void test_special_ports(void)
{
	static const struct { int which; const char *name; } ports[] = {
		{ TASK_EXCEPTION_PORT, "exception port" }, { TASK_BOOTSTRAP_PORT, "bootstrap port" },
	};
	mach_port_t port = catch_port(), back;
	task_t task, child;

	need(child_empty(&task, MACH_PORT_NULL), "a task");
	is_code(task_get_special_port(task, TASK_KERNEL_PORT, &back), KERN_SUCCESS, "the kernel port can be read");
	is(back, task, "it is the task's");
	give_back_right(back);
	for (unsigned i = 0; i < countof(ports); i++) {
		is_code(task_set_special_port(task, ports[i].which, port), KERN_SUCCESS, "the %s can be set", ports[i].name);
		is_code(task_get_special_port(task, ports[i].which, &back), KERN_SUCCESS, "and read");
		is(back, port, "as it was set");
		give_back_right(back);
		need(task_create(task, FALSE, &child), "a child of it");
		is_code(task_get_special_port(child, ports[i].which, &back), KERN_SUCCESS, "its child's %s can be read",
			ports[i].name);
		is(back, port, "it is inherited");
		give_back_right(back);
		task_terminate(child);
		give_back_right(child);
		is_code(task_set_special_port(task, ports[i].which, MACH_PORT_NULL), KERN_SUCCESS, "it can be taken away");
		need(task_get_special_port(task, ports[i].which, &back), "the special port");
		is(back, MACH_PORT_NULL, "then there is none");
	}
	is_code(task_set_special_port(task, TASK_KERNEL_PORT, port), KERN_SUCCESS, "another port can stand for the task's own");
	need(task_get_special_port(task, TASK_KERNEL_PORT, &back), "the kernel port");
	is(back, port, "and is what is read");
	give_back_right(back);
	need(task_create(task, FALSE, &child), "a child of it");
	need(task_get_special_port(child, TASK_KERNEL_PORT, &back), "the child's kernel port");
	is(back, child, "its child has its own");
	give_back_right(back);
	task_terminate(child);
	give_back_right(child);
	is_code(task_set_special_port(task, TASK_KERNEL_PORT, MACH_PORT_NULL), KERN_SUCCESS, "it can be taken away");
	need(task_get_special_port(task, TASK_KERNEL_PORT, &back), "the kernel port");
	is(back, task, "then the task's own is there again");
	give_back_right(back);
	need(task_set_special_port(task, TASK_KERNEL_PORT, port), "another port again");
	is_code(task_get_special_port(task, 99, &back), KERN_INVALID_ARGUMENT, "special port 99 is none");
	is_code(task_set_special_port(task, 99, port), KERN_INVALID_ARGUMENT, "and cannot be set");
	task_terminate(task);
	give_back_right(task);
	catch_port_destroy(port);
}

static void test_registered(void)
{
	mach_port_t port = catch_port(), list[4] = { port, MACH_PORT_NULL, port, port }, *back = NULL;
	mach_msg_type_number_t count = 0;
	task_t task;

	need(child_empty(&task, MACH_PORT_NULL), "a task");
	is_code(mach_ports_register(task, list, 4), KERN_SUCCESS, "four ports can be registered");
	is_code(mach_ports_lookup(task, &back, &count), KERN_SUCCESS, "and looked up");
	is(count, 4, "four are there");
	for (unsigned i = 0; i < count; i++) {
		is(back[i], list[i], "registered port %u is as it was", i);
		give_back_right(back[i]);
	}
	if (count > 0)
		give_back_memory((vm_address_t)back, count * sizeof *back);
	task_terminate(task);
	give_back_right(task);
	catch_port_destroy(port);
}

/* --- information --- */

static void child_busy(void *argument)
{
	uint32_t *ready = argument;
	volatile uint64_t work = 0;

	for (unsigned i = 0; i < 30000000; i++)
		work += i;
	word_post(ready, 1);
	for (;;)
		thread_sleep(10000);
}

static struct task_events_info events_info(task_t task)
{
	mach_msg_type_number_t count = TASK_EVENTS_INFO_COUNT;
	struct task_events_info events = {0};

	is_code(task_info(task, TASK_EVENTS_INFO, (integer_t *)&events, &count), KERN_SUCCESS, "a task's events can be read");
	return events;
}

/* Faults that make pages are told apart by what is in the page. */
static void test_events(void)
{
	struct task_events_info before, after;
	vm_address_t pages = 0;

	need(vm_allocate(mach_task_self(), &pages, 3 * vm_page_size, TRUE), "memory");
	before = events_info(mach_task_self());
	for (unsigned i = 0; i < 3; i++)
		*(volatile uint32_t *)(pages + i * vm_page_size) = 1;
	after = events_info(mach_task_self());
	is(after.zero_fills - before.zero_fills, 3, "three pages written to are three filled with zeroes");
	is(after.faults - before.faults, 3, "and three faults");
	is(after.cow_faults - before.cow_faults, 0, "and no copies");
	need(vm_deallocate(mach_task_self(), pages, 3 * vm_page_size), "memory to be given back");
}

static void test_info(void)
{
	struct task_thread_times_info times;
	struct task_events_info events;
	mach_msg_type_number_t count = TASK_THREAD_TIMES_INFO_COUNT;
	uint32_t *ready = shared_alloc(vm_page_size);
	struct task_basic_info info;
	time_value64_t now;
	host_t host = mach_host_self();
	struct child child;

	need(child_start(&child, child_busy, ready, NULL), "a child");
	ok(word_await(ready, 1, 20000), "a child has worked");
	info = basic_info(child.task);
	is(info.virtual_size, basic_info(mach_task_self()).virtual_size, "it has as much memory as its parent");
	ok(info.resident_size > 0 && info.resident_size <= info.virtual_size, "part of it is resident");
	need(host_get_time64(host, &now), "the time");
	ok(info.creation_time64.seconds <= now.seconds && info.creation_time64.seconds + 60 > now.seconds,
	   "its creation time is right");
	is_code(task_info(child.task, TASK_THREAD_TIMES_INFO, (integer_t *)&times, &count), KERN_SUCCESS,
		"the times of its threads can be read");
	ok(times.user_time64.seconds > 0 || times.user_time64.nanoseconds > 1000000, "it has had CPU time");
	events = events_info(child.task);
	ok(events.faults > 0, "it has had page faults");
	ok(events.cow_faults > 0, "and got pages of its own for those of its parent");
	ok(events.messages_sent > 0, "it has sent messages");
	count = 3;
	is_code(task_info(child.task, TASK_BASIC_INFO, (integer_t *)&info, &count), KERN_INVALID_ARGUMENT,
		"too little room for the answer is refused");
	count = TASK_BASIC_INFO_COUNT;
	is_code(task_info(child.task, 99, (integer_t *)&info, &count), KERN_INVALID_ARGUMENT, "flavor 99 is none");
	child_finish(&child);
	give_back_right(host);
	shared_free(ready, vm_page_size);
}

/* --- ends --- */

static void child_many_things(void *argument)
{
	uint32_t *ready = argument;
	mach_port_t port;

	for (unsigned i = 0; i < 3000; i++) {
		if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port) != KERN_SUCCESS)
			return;
	}
	for (unsigned i = 0; i < 200; i++) {
		vm_address_t address = 0;

		if (memory_allocate(&address, 2 * vm_page_size) != KERN_SUCCESS)
			return;
	}
	word_post(ready, 1);
	for (;;)
		thread_sleep(10000);
}

static void test_terminate_much(void)
{
	uint32_t *ready = shared_alloc(vm_page_size);
	struct snapshot before;
	struct child child;

	snapshot_take(&before, test_ledger());
	need(child_start(&child, child_many_things, ready, NULL), "a child");
	ok(word_await(ready, 1, 30000), "a child has 3000 ports and 200 regions");
	is_code(task_terminate(child.task), KERN_SUCCESS, "it can be ended");
	ok(child_wait(&child, 5000), "and ends");
	child_finish(&child);
	snapshot_settles(&before, SNAPSHOT_THINGS, "all it had comes back");
	shared_free(ready, vm_page_size);
}

static void child_ends_itself(void *argument)
{
	(void)argument;
	task_terminate(mach_task_self());
}

static void test_ends_itself(void)
{
	struct child child;

	for (unsigned i = 0; i < 20; i++) {
		need(child_start(&child, child_ends_itself, NULL, NULL), "a child");
		if (!child_wait(&child, 5000))
			give_up("a task that ends itself ends");
		child_finish(&child);
	}
	ok(true, "twenty tasks have ended themselves, one after the other");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	test_empty();
	test_inherit();
	test_chain();
	test_suspend();
	test_special_ports();
	test_stands_for_itself();
	test_registered();
	test_events();
	test_info();
	test_terminate_much();
	test_ends_itself();
	return done_testing();
}
