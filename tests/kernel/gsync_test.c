/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gsync: waiting on the value of a word, waking, moving waiters, between tasks too.
 * RUN: in root gsync_test
 */
#include <mach.h>
#include <mach/gsync.h>
#include <mach/threads.h>
#include <string.h>
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define WAITERS	5

struct waiter {
	struct thread *thread;
	vm_address_t address;
	uint32_t value, flags, msec;
	kern_return_t code;
	uint32_t done;
};

static uint32_t words[64] __attribute__((aligned(4096)));
static uint32_t finished, finish_order[WAITERS];
static struct waiter waiters[WAITERS];

static void wait_here(void *argument)
{
	struct waiter *waiter = argument;

	waiter->code = gsync_wait(mach_task_self(), waiter->address, waiter->value, 0, waiter->msec,
				  (int)waiter->flags);
	finish_order[__atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST)] = (uint32_t)(waiter - waiters);
	word_post(&waiter->done, 1);
}

/* Begins a wait and comes back when the thread waits. */
static void begin(unsigned i, uint32_t *word, uint32_t value)
{
	waiters[i] = (struct waiter){ .address = (vm_address_t)word, .value = value };
	need(thread_spawn(wait_here, &waiters[i], 0, &waiters[i].thread), "a thread");
	if (!thread_await_waiting(waiters[i].thread->port, 5000))
		give_up("a waiter comes to wait");
}

static bool done(unsigned i, unsigned ms)
{
	return word_await(&waiters[i].done, 1, ms);
}

static unsigned count_done(unsigned n)
{
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++)
		count += waiters[i].done;
	return count;
}

static void join(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (!done(i, 5000))
			give_up("waiter %u ends", i);
		thread_join(waiters[i].thread);
	}
	finished = 0;
}

static kern_return_t wake(uint32_t *word, uint32_t value, int flags)
{
	return gsync_wake(mach_task_self(), (vm_address_t)word, value, flags);
}

static void test_no_wait(void)
{
	task_t self = mach_task_self();
	vm_address_t word = (vm_address_t)&words[0];
	uint64_t start = clock_uptime_us();

	words[0] = 5;
	is_code(gsync_wait(self, word, 4, 0, 0, 0), KERN_INVALID_ARGUMENT, "another value: no wait");
	is_code(gsync_wait(self, word, 5, 0, 20, GSYNC_TIMED), KERN_TIMEDOUT, "a timed wait ends with the time");
	is_between(clock_uptime_us() - start, 20000, 100000, "after 20 ms, in microseconds");
	is_code(gsync_wait(self, word, 5, 0, 0, GSYNC_TIMED), KERN_TIMEDOUT, "a wait of no time ends at once");
	is_code(gsync_wait(self, 0x700000000000, 0, 0, 0, 0), KERN_INVALID_ADDRESS, "no memory: no wait");
	is_code(gsync_wait(self, 0xffffffff80000000, 0, 0, 0, 0), KERN_INVALID_ADDRESS, "the kernel's memory: no wait");
	is_code(gsync_wait(self, word + 1, 5, 0, 0, 0), KERN_INVALID_ARGUMENT, "a word that is not aligned: no wait");
	is_code(gsync_wait(self, word, 5, 0, 0, 0x4000), KERN_INVALID_ARGUMENT, "unknown flags: no wait");
	is_code(gsync_wait(test_thread(), word, 5, 0, 0, 0), KERN_INVALID_TASK, "a thread's port is no task");
	words[2] = 1;
	words[3] = 2;
	is_code(gsync_wait(self, (vm_address_t)&words[2], 1, 3, 0, GSYNC_QUAD), KERN_INVALID_ARGUMENT,
		"GSYNC_QUAD compares the upper half too");
	is_code(gsync_wait(self, (vm_address_t)&words[2], 1, 2, 10, GSYNC_QUAD | GSYNC_TIMED), KERN_TIMEDOUT,
		"GSYNC_QUAD waits when both halves are right");
}

static void test_wake_one(void)
{
	words[0] = 0;
	begin(0, &words[0], 0);
	ok(!waiters[0].done, "a waiter waits");
	is_code(wake(&words[1], 0, 0), KERN_SUCCESS, "waking at another word is sent");
	ok(!done(0, 30), "and does not wake it");
	wake(&words[0], 0, 0);
	ok(done(0, 5000), "waking at its word does");
	is_code(waiters[0].code, KERN_SUCCESS, "its wait has succeeded");
	join(1);
}

static void test_order(void)
{
	words[0] = 0;
	for (unsigned i = 0; i < WAITERS; i++)
		begin(i, &words[0], 0);
	for (unsigned i = 0; i < WAITERS; i++) {
		wake(&words[0], 0, 0);
		ok(done(i, 5000), "the waiter that has waited longest is woken (%u)", i);
		is(count_done(WAITERS), i + 1, "and only that one");
	}
	join(WAITERS);
}

static void test_broadcast(void)
{
	words[0] = 0;
	for (unsigned i = 0; i < WAITERS; i++)
		begin(i, i == 2 ? &words[1] : &words[0], 0);
	wake(&words[0], 0, GSYNC_BROADCAST);
	for (unsigned i = 0; i < WAITERS; i++) {
		if (i != 2)
			ok(done(i, 5000), "a broadcast wakes all (%u)", i);
	}
	ok(!done(2, 30), "but none that waits at another word");
	wake(&words[1], 0, 0);
	join(WAITERS);
}

static void test_mutate(void)
{
	words[0] = 0;
	begin(0, &words[0], 0);
	wake(&words[0], 77, GSYNC_MUTATE);
	ok(done(0, 5000), "GSYNC_MUTATE wakes");
	is(words[0], 77, "and has stored the value");
	join(1);
}

static void test_requeue(void)
{
	task_t self = mach_task_self();

	words[0] = words[1] = 0;
	for (unsigned i = 0; i < 4; i++)
		begin(i, &words[0], 0);
	gsync_requeue(self, (vm_address_t)&words[0], (vm_address_t)&words[1], TRUE, GSYNC_BROADCAST);
	ok(done(0, 5000), "requeue wakes the first when it shall");
	wake(&words[0], 0, GSYNC_BROADCAST);
	ok(!done(1, 30), "the others wait no more at the old word");
	wake(&words[1], 0, 0);
	ok(done(1, 5000), "but at the new one, in their order");
	is(count_done(4), 2, "one at a time");
	wake(&words[1], 0, GSYNC_BROADCAST);
	join(4);
	for (unsigned i = 0; i < 3; i++)
		begin(i, &words[0], 0);
	gsync_requeue(self, (vm_address_t)&words[0], (vm_address_t)&words[1], FALSE, 0);
	wake(&words[1], 0, GSYNC_BROADCAST);
	ok(done(0, 5000), "without GSYNC_BROADCAST one is moved, the first");
	is(count_done(3), 1, "and only that one");
	wake(&words[0], 0, GSYNC_BROADCAST);
	join(3);
}

/* --- between tasks --- */

struct shared {
	uint32_t word, pad[15];
	uint32_t ready, woken;
	kern_return_t code;
};

static void child_waits(void *argument)
{
	struct shared *shared = argument;

	word_post(&shared->ready, 1);
	shared->code = gsync_wait(mach_task_self(), (vm_address_t)&shared->word, 0, 0, 0, GSYNC_SHARED);
	word_post(&shared->woken, 1);
}

static void test_shared(void)
{
	struct shared *shared = shared_alloc(vm_page_size);
	struct child child;

	need(child_start(&child, child_waits, shared, NULL), "a child");
	ok(word_await(&shared->ready, 1, 5000), "a child is about to wait at a shared word");
	ok(thread_await_waiting(child.thread, 5000), "it waits");
	wake(&shared->word, 0, 0);
	ok(!word_await(&shared->woken, 1, 30), "waking at the same address without GSYNC_SHARED does not reach it");
	wake(&shared->word, 0, GSYNC_SHARED);
	ok(word_await(&shared->woken, 1, 5000), "waking with GSYNC_SHARED does");
	is_code(shared->code, KERN_SUCCESS, "its wait has succeeded");
	child_finish(&child);
	/* The parent may wake by the child's task, too. */
	*shared = (struct shared){ 0 };
	need(child_start(&child, child_waits, shared, NULL), "a child");
	ok(word_await(&shared->ready, 1, 5000) && thread_await_waiting(child.thread, 5000), "another child waits");
	gsync_wake(child.task, (vm_address_t)&shared->word, 0, GSYNC_SHARED);
	ok(word_await(&shared->woken, 1, 5000), "it can be woken in its own task");
	child_finish(&child);
	*shared = (struct shared){ 0 };
	need(child_start(&child, child_waits, shared, NULL), "a child");
	ok(word_await(&shared->ready, 1, 5000) && thread_await_waiting(child.thread, 5000), "a third child waits");
	is_code(task_terminate(child.task), KERN_SUCCESS, "it can be ended in its wait");
	ok(child_wait(&child, 5000), "and ends");
	wake(&shared->word, 0, GSYNC_SHARED | GSYNC_BROADCAST);
	is(shared->woken, 0, "the dead are not woken");
	child_finish(&child);
	shared_free(shared, vm_page_size);
}

/* A mutex that many threads fight for. */
static struct mutex mutex = MUTEX_INIT;
static volatile uint64_t guarded;

static void contend(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < 300; i++) {
		uint64_t value;

		mutex_lock(&mutex);
		value = guarded;
		if (i % 16 == 0)
			thread_yield();
		guarded = value + 1;
		mutex_unlock(&mutex);
	}
}

static void test_mutex(void)
{
	struct thread *threads[WAITERS];

	for (unsigned i = 0; i < WAITERS; i++)
		need(thread_spawn(contend, NULL, 0, &threads[i]), "a thread");
	for (unsigned i = 0; i < WAITERS; i++)
		thread_join(threads[i]);
	is(guarded, WAITERS * 300, "a mutex made of gsync lets one in at a time");
}

/* -- what is waited on goes -- */

struct elsewhere {
	task_t task;
	vm_address_t address;
	int flags;
	kern_return_t code;
	uint32_t done;
};

static void wait_elsewhere(void *argument)
{
	struct elsewhere *at = argument;

	at->code = gsync_wait(at->task, at->address, 0, 0, 0, at->flags);
	word_post(&at->done, 1);
}

static struct thread *elsewhere_start(struct elsewhere *at)
{
	struct thread *thread;

	need(thread_spawn(wait_elsewhere, at, 0, &thread), "a thread");
	if (!thread_await_waiting(thread->port, 5000))
		give_up("a waiter comes to wait");
	return thread;
}

/* Also when it was not woken. */
static void elsewhere_end(struct elsewhere *at, struct thread *thread)
{
	if (!at->done)
		thread_abort(thread->port);
	thread_join(thread);
}

/* What would come next in its place would have its first wake-up taken. */
static void test_end(bool shared)
{
	struct elsewhere at = { .task = mach_task_self(), .flags = shared ? GSYNC_SHARED : 0 };
	struct thread *thread;

	if (shared) {
		at.address = (vm_address_t)shared_alloc(vm_page_size);
	} else {
		need(child_empty(&at.task, MACH_PORT_NULL), "a task");
		need(vm_allocate(at.task, &at.address, vm_page_size, TRUE), "its memory");
	}
	thread = elsewhere_start(&at);
	if (shared) {
		shared_free((void *)at.address, vm_page_size);
	} else {
		give_back_task(at.task);
		give_back_right(at.task);
	}
	ok(word_await(&at.done, 1, 5000) && at.code == KERN_SUCCESS, "a waiter hears of the end of %s that it waits on",
	   shared ? "the shared memory" : "the task");
	elsewhere_end(&at, thread);
}

/* Waits as elsewhere, again and again until the word has changed. */
static void wait_for_word(void *argument)
{
	struct elsewhere *at = argument;

	do {
		at->code = gsync_wait(at->task, at->address, 0, 0, 0, at->flags);
	} while (at->code == KERN_SUCCESS && *(volatile uint32_t *)at->address == 0);
	word_post(&at->done, 1);
}

static void post_there(void *argument)
{
	word_post(argument, 1);
}

/* Memory begins or ceases to be shared while a thread waits on it; then who has it wakes. */
static void test_inherit(vm_inherit_t before, vm_inherit_t after, bool child_wakes)
{
	struct elsewhere at = { .task = mach_task_self(), .flags = GSYNC_SHARED };
	struct thread *thread;
	struct child child;

	need(vm_allocate(at.task, &at.address, vm_page_size, TRUE), "memory to wait on");
	need(vm_inherit(at.task, at.address, vm_page_size, before), "how it is inherited");
	need(thread_spawn(wait_for_word, &at, 0, &thread), "a thread");
	if (!thread_await_waiting(thread->port, 5000))
		give_up("a waiter comes to wait");
	need(vm_inherit(at.task, at.address, vm_page_size, after), "how it is inherited from now on");
	need(child_start(&child, post_there, (void *)at.address, &(struct child_options){ .suspended = !child_wakes }), "a child");
	if (!child_wakes)
		word_post((uint32_t *)at.address, 1);
	ok(word_await(&at.done, 1, 5000), "a waiter on memory that %s to be shared meanwhile is woken by %s",
	   after == VM_INHERIT_SHARE ? "begins" : "ceases", child_wakes ? "a child" : "its own task");
	elsewhere_end(&at, thread);
	child_finish(&child);
	need(vm_deallocate(at.task, at.address, vm_page_size), "memory to be given back");
}

/* After a fork the word that is written lies in another object than the one that was waited on. */
static void test_forked(void)
{
	struct elsewhere at = { .task = mach_task_self(), .flags = GSYNC_SHARED };
	struct thread *thread;
	struct child child;

	need(vm_allocate(at.task, &at.address, vm_page_size, TRUE), "private memory");
	thread = elsewhere_start(&at);
	need(child_start(&child, NULL, NULL, &(struct child_options){ .suspended = true }), "a child");
	wake((uint32_t *)at.address, 0, GSYNC_SHARED | GSYNC_MUTATE);
	ok(word_await(&at.done, 1, 5000), "a waiter with GSYNC_SHARED in private memory is woken after a fork");
	elsewhere_end(&at, thread);
	child_finish(&child);
	need(vm_deallocate(at.task, at.address, vm_page_size), "memory to be given back");
}

/* Memory that is to be shared, but still has its pages from what it was copied from: it gets an object when it is first written. */
static void test_first_write(void)
{
	struct elsewhere at = { .task = mach_task_self(), .flags = GSYNC_SHARED };
	mach_msg_type_number_t got;
	vm_size_t size = 64 * vm_page_size;
	vm_address_t from = 0;
	struct thread *thread;

	need(vm_allocate(at.task, &from, size, TRUE), "memory");
	memset((void *)from, 0, size);
	need(vm_read(at.task, from, size, &at.address, &got), "its copy");
	need(vm_inherit(at.task, at.address, size, VM_INHERIT_SHARE), "how it is inherited");
	need(vm_protect(at.task, at.address, size, FALSE, VM_PROT_READ), "protection");
	need(thread_spawn(wait_for_word, &at, 0, &thread), "a thread");
	if (!thread_await_waiting(thread->port, 5000))
		give_up("a waiter comes to wait");
	need(vm_protect(at.task, at.address, size, FALSE, VM_PROT_READ | VM_PROT_WRITE), "protection");
	__atomic_store_n((uint32_t *)at.address, 1, __ATOMIC_RELEASE);
	gsync_wake(at.task, at.address, 0, GSYNC_SHARED);
	ok(word_await(&at.done, 1, 5000), "a waiter on memory that is written for the first time only then is woken");
	elsewhere_end(&at, thread);
	need(vm_deallocate(at.task, at.address, size), "the copy to be given back");
	need(vm_deallocate(at.task, from, size), "memory to be given back");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	words[0] = 0;
	test_no_wait();
	test_wake_one();
	test_order();
	test_broadcast();
	test_mutate();
	test_requeue();
	test_shared();
	test_end(false);
	test_end(true);
	test_forked();
	test_inherit(VM_INHERIT_COPY, VM_INHERIT_SHARE, true);
	test_inherit(VM_INHERIT_COPY, VM_INHERIT_SHARE, false);
	test_inherit(VM_INHERIT_SHARE, VM_INHERIT_COPY, false);
	test_first_write();
	test_mutex();
	return done_testing();
}
