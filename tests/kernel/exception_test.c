/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exceptions: what each fault is called, who is told, what the answer does.
 * RUN: in root exception_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/exception.h>
#include <mach/machine/exception.h>
#include <mach/threads.h>
#include "catch.h"
#include "child.h"
#include "denial.h"
#include "snapshot.h"
#include "tap.h"

#define BAD_ADDRESS	0x7000dead0000

/* What a child shares with the test. */
struct shared {
	uint32_t reached;	/* 1: the child went on behind the fault */
	uint64_t value;
};
static struct shared *shared;

/* Each faults at the label and would go on at ..._after. */
extern char fault_read[], fault_write[], fault_execute[], fault_ud[], fault_int3[], fault_divide[],
	fault_hlt[], fault_after[];
void fault_at(void *place, uint64_t address);
__asm__(".text\n"
	".globl fault_at\n"
	"fault_at:	movl $1, %eax; xorl %edx, %edx; xorl %ecx, %ecx; jmp *%rdi\n"
	"fault_read:	movq (%rsi), %rax; jmp fault_after\n"
	"fault_write:	movq %rax, (%rsi); jmp fault_after\n"
	"fault_execute:	jmp *%rsi\n"
	"fault_ud:	ud2; jmp fault_after\n"
	"fault_int3:	int3; jmp fault_after\n"
	"fault_divide:	divl %ecx; jmp fault_after\n"
	"fault_hlt:	hlt; jmp fault_after\n"
	"fault_after:	ret\n");

struct fault {
	const char *name;
	char *place;
	uint64_t address;
	int exception, code;
	uint64_t subcode, rip_behind;	/* bytes that the saved rip is behind the place */
	bool subcode_matters;
};
static const struct fault *fault;
static uint64_t readonly_page;

static void child_faults(void *argument)
{
	(void)argument;
	fault_at(fault->place, fault->address);
	shared->value = 4711;
	word_post(&shared->reached, 1);
}

static kern_return_t before_task_port(struct child *child, void *argument)
{
	return task_set_special_port(child->task, TASK_EXCEPTION_PORT, *(const mach_port_t *)argument);
}

static kern_return_t before_thread_port(struct child *child, void *argument)
{
	return thread_set_special_port(child->thread, THREAD_EXCEPTION_PORT,
				       *(const mach_port_t *)argument);
}

static void check_exception(const struct fault *what, const struct caught *caught,
			    const struct child *child)
{
	struct i386_thread_state state;

	is((uint64_t)caught->exception, (uint64_t)what->exception, "%s: the exception's number", what->name);
	is((uint64_t)caught->code, (uint64_t)what->code, "%s: its code", what->name);
	if (what->subcode_matters)
		is(caught->subcode, what->subcode, "%s: its subcode is the address", what->name);
	is(caught->thread, child->thread, "%s: the message names the thread", what->name);
	is(caught->task, child->task, "%s: the message names the task", what->name);
	registers_get(child->thread, &state);
	is(state.rip, what->rip_behind == ~0ull ? what->address :
						  (uint64_t)(uintptr_t)what->place + what->rip_behind,
	   "%s: the thread stands at the fault", what->name);
	is(state.rdi, (uint64_t)(uintptr_t)what->place, "%s: its registers are those of the fault", what->name);
}

/* The handler moves the thread behind the fault and lets it go on. */
static void test_handled(const struct fault *what, bool by_thread)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = by_thread ? before_thread_port : before_task_port };
	struct i386_thread_state state;
	struct caught caught;
	struct child child;

	fault = what;
	shared->reached = 0;
	need(child_start(&child, child_faults, &port, &options), "a child");
	if (!ok(catch_next(port, 5000, &caught), "%s: the %s's port is told", what->name,
		by_thread ? "thread" : "task")) {
		child_finish(&child);
		catch_port_destroy(port);
		return;
	}
	check_exception(what, &caught, &child);
	registers_get(child.thread, &state);
	state.rip = (uint64_t)(uintptr_t)fault_after;
	registers_set(child.thread, &state);
	catch_answer(&caught, KERN_SUCCESS);
	ok(word_await(&shared->reached, 1, 5000), "%s: it goes on where the handler put it", what->name);
	ok(child_wait(&child, 5000), "%s: and comes to its end", what->name);
	child_finish(&child);
	catch_port_destroy(port);
}

/* Nobody is told: the task ends. */
static void test_unhandled(const struct fault *what)
{
	struct child child;

	fault = what;
	shared->reached = 0;
	need(child_start(&child, child_faults, NULL, NULL), "a child");
	ok(child_wait(&child, 5000), "%s: without a handler the task ends", what->name);
	is(shared->reached, 0, "%s: and nothing behind it was carried out", what->name);
	child_finish(&child);
}

static mach_port_t thread_port, task_port;

static kern_return_t before_both(struct child *child, void *argument)
{
	kern_return_t code = thread_set_special_port(child->thread, THREAD_EXCEPTION_PORT, thread_port);

	(void)argument;
	return code != KERN_SUCCESS ? code :
	       task_set_special_port(child->task, TASK_EXCEPTION_PORT, task_port);
}

/* The thread's handler first; when it says no the task's; when that says no the end. */
static void test_order(bool task_helps, bool lose_reply)
{
	struct child_options options = { .before = before_both };
	struct i386_thread_state state;
	struct caught caught;
	struct child child;

	thread_port = catch_port();
	task_port = catch_port();
	shared->reached = 0;
	need(child_start(&child, child_faults, NULL, &options), "a child");
	ok(catch_next(thread_port, 5000, &caught), "the thread's handler is asked first");
	ok(!catch_next(task_port, 0, &(struct caught){ 0 }), "the task's is not asked at the same time");
	if (lose_reply) {
		give_back_right(caught.reply);
		give_back_right(caught.thread);
		give_back_right(caught.task);
	} else {
		catch_answer(&caught, KERN_FAILURE);
	}
	ok(catch_next(task_port, 5000, &caught), "the task's is asked when the thread's %s",
	   lose_reply ? "has given the reply right up" : "has said no");
	registers_get(child.thread, &state);
	state.rip = (uint64_t)(uintptr_t)fault_after;
	registers_set(child.thread, &state);
	/* A handler whose ledger is full must be able to answer. */
	deny_next(1);
	catch_answer(&caught, task_helps ? KERN_SUCCESS : KERN_FAILURE);
	ok(!deny_struck(NULL), "the answer takes no memory that could be denied");
	if (task_helps)
		ok(word_await(&shared->reached, 1, 5000), "it goes on when the task's handler helped");
	ok(child_wait(&child, 5000), "the task %s", task_helps ? "ends by itself" : "is ended when both said no");
	is(shared->reached, task_helps, "it went on only if it was helped");
	child_finish(&child);
	catch_port_destroy(thread_port);
	catch_port_destroy(task_port);
}

/* A handler that makes the memory: the instruction is done again. */
static void test_repaired(void)
{
	static const struct fault read = {
		.name = "a repaired read", .place = fault_read, .address = BAD_ADDRESS,
	};
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	vm_address_t address = BAD_ADDRESS;
	struct caught caught;
	struct child child;

	fault = &read;
	shared->reached = 0;
	need(child_start(&child, child_faults, &port, &options), "a child");
	ok(catch_next(port, 5000, &caught), "the handler of a read of nothing is told");
	is_code(vm_allocate(child.task, &address, vm_page_size, FALSE), KERN_SUCCESS,
		"it can make memory there");
	catch_answer(&caught, KERN_SUCCESS);
	ok(word_await(&shared->reached, 1, 5000), "the instruction is done again, and goes well");
	child_finish(&child);
	catch_port_destroy(port);
}

/* The handler dies with the message in its queue, or with the reply right in its hand. */
static void test_handler_dies(bool taken)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	struct caught caught;
	struct child child;

	shared->reached = 0;
	need(child_start(&child, child_faults, &port, &options), "a child");
	if (taken && ok(catch_next(port, 5000, &caught), "the handler is told")) {
		give_back_right(caught.thread);
		give_back_right(caught.task);
		give_back_right(caught.reply);
	} else {
		thread_await_waiting(child.thread, 5000);
	}
	catch_port_destroy(port);
	ok(child_wait(&child, 5000), "the task ends when its handler dies with the message %s",
	   taken ? "in its hands" : "in its queue");
	child_finish(&child);
}

/* --- a page that the ledger denies --- */

struct hungry {
	mach_port_t port;
	ledger_t ledger;
};

static void child_hungry(void *argument)
{
	volatile char *memory;
	vm_address_t address = 0;

	(void)argument;
	if (syscall_vm_allocate(mach_task_self(), &address, 64 * vm_page_size, TRUE) != KERN_SUCCESS)
		return;
	memory = (volatile char *)address;
	shared->value = address;
	for (unsigned i = 0; i < 64; i++)
		memory[i * vm_page_size] = 1;
	word_post(&shared->reached, 1);
}

static kern_return_t before_hungry(struct child *child, void *argument)
{
	struct hungry *hungry = argument;

	return task_set_special_port(child->task, TASK_EXCEPTION_PORT, hungry->port);
}

static void test_denied_page(void)
{
	struct hungry hungry = { .port = catch_port() };
	struct child_options options = { .before = before_hungry };
	struct ledger_denial denial = { 0 };
	struct caught caught;
	struct child child;

	hungry.ledger = ledger_new(test_ledger(), "hungry");
	need(ledger_set_limit(hungry.ledger, LEDGER_RESIDENT_PAGES, 40), "a limit");
	options.ledger = hungry.ledger;
	shared->reached = 0;
	need(child_start(&child, child_hungry, &hungry, &options), "a child");
	if (ok(catch_next(hungry.port, 5000, &caught), "a page that the ledger denies is an exception")) {
		is((uint64_t)caught.exception, EXC_BAD_ACCESS, "it is EXC_BAD_ACCESS");
		is((uint64_t)caught.code, KERN_RESOURCE_SHORTAGE, "its code is KERN_RESOURCE_SHORTAGE");
		ok(caught.subcode >= shared->value && caught.subcode < shared->value + 64 * vm_page_size,
		   "its subcode is the address");
		is_code(ledger_last_denial(caught.thread, &denial), KERN_SUCCESS, "the thread's denial can be read");
		is(denial.resource, LEDGER_RESIDENT_PAGES, "it names the resource");
		is_text(denial.ledger, "hungry", "it names the ledger");
		is(denial.limit, 40, "it tells the limit");
		is(denial.used, 40, "it tells what was used");
		need(ledger_set_limit(hungry.ledger, LEDGER_RESIDENT_PAGES, LEDGER_UNLIMITED), "no limit");
		catch_answer(&caught, KERN_SUCCESS);
		ok(word_await(&shared->reached, 1, 5000), "with the limit lifted the write is done again");
	}
	child_finish(&child);
	ledger_terminate(hungry.ledger);
	give_back_right(hungry.ledger);
	catch_port_destroy(hungry.port);
}

/* A thread that waits for the answer can be killed and aborted. */
static void test_terminated_while_waiting(void)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	struct caught caught;
	struct child child;

	shared->reached = 0;
	need(child_start(&child, child_faults, &port, &options), "a child");
	ok(catch_next(port, 5000, &caught), "the handler is told");
	is_code(task_terminate(child.task), KERN_SUCCESS, "the task can be ended meanwhile");
	ok(child_wait(&child, 5000), "and ends");
	catch_answer(&caught, KERN_SUCCESS);
	ok(!catch_next(port, 0, &caught), "the late answer does nothing");
	child_finish(&child);
	catch_port_destroy(port);
}

static unsigned messages_at(mach_port_t port)
{
	mach_port_status_t status;

	need(mach_port_get_receive_status(mach_task_self(), port, &status), "mach_port_get_receive_status");
	return status.mps_msgcount;
}

/* The thread goes on behind the fault. */
static void help(struct caught *caught)
{
	struct i386_thread_state state;

	registers_get(caught->thread, &state);
	state.rip = (uint64_t)(uintptr_t)fault_after;
	registers_set(caught->thread, &state);
	catch_answer(caught, KERN_SUCCESS);
}

/* Nothing is prepaid for it, and more wait than the queue's limit allows. */
static void test_many_at_once(void)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	struct child children[8];
	struct caught caught;
	unsigned known = 0;

	for (unsigned i = 0; i < countof(children); i++)
		need(child_start(&children[i], child_faults, &port, &options), "a child");
	for (unsigned i = 0; i < countof(children); i++)
		thread_await_waiting(children[i].thread, 5000);
	is(messages_at(port), countof(children), "as many exceptions wait at one port");
	for (unsigned n = 0; n < countof(children) && catch_next(port, 5000, &caught); n++) {
		for (unsigned i = 0; i < countof(children); i++)
			known += children[i].thread == caught.thread && children[i].task == caught.task;
		help(&caught);
	}
	is(known, countof(children), "each tells of its own thread and task");
	for (unsigned i = 0; i < countof(children); i++) {
		ok(child_wait(&children[i], 5000), "child %u goes on and ends", i);
		child_finish(&children[i]);
	}
	catch_port_destroy(port);
}

/* The message is called back, and another one may come. */
static void test_aborted_while_queued(void)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	struct caught caught;
	struct child child;

	need(child_start(&child, child_faults, &port, &options), "a child");
	thread_await_waiting(child.thread, 5000);
	is(messages_at(port), 1, "an exception waits at the port");
	need(thread_suspend(child.thread), "thread_suspend");
	is_code(thread_abort(child.thread), KERN_SUCCESS, "its thread can be aborted");
	is(messages_at(port), 0, "the message is called back");
	need(thread_resume(child.thread), "thread_resume");
	ok(catch_next(port, 5000, &caught), "the instruction is done again, and has its exception again");
	is((uint64_t)caught.exception, (uint64_t)fault->exception, "which is the same");
	help(&caught);
	ok(child_wait(&child, 5000), "it goes on when it was helped");
	child_finish(&child);
	catch_port_destroy(port);
}

/* The wait is aborted while the handler has the message, `times` over. */
static void abort_taken(struct child *child, mach_port_t port, struct caught *caught, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		ok(catch_next(port, 5000, &caught[i]), "an exception is received");
		need(thread_suspend(child->thread), "thread_suspend");
		need(thread_abort(child->thread), "thread_abort");
		need(thread_resume(child->thread), "thread_resume");
	}
	ok(catch_next(port, 5000, &caught[times]), "its thread, aborted, has its exception again");
}

/* Answers to exceptions that were aborted are not taken for that of the next one, in whatever order and way they come. */
static void test_aborted_while_received(unsigned times, bool lose_reply, bool late)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	struct caught caught[4], again;
	struct child child;

	shared->reached = 0;
	need(child_start(&child, child_faults, &port, &options), "a child");
	abort_taken(&child, port, caught, times);
	for (unsigned i = 0; i < times; i++) {
		if (late && i + 1 == times)
			help(&caught[times]);
		if (!lose_reply) {
			catch_answer(&caught[i], KERN_SUCCESS);
			continue;
		}
		give_back_right(caught[i].reply);
		give_back_right(caught[i].thread);
		give_back_right(caught[i].task);
	}
	if (!late) {
		ok(!catch_next(port, 100, &again), "an old answer %s does not resume it", lose_reply ? "lost" : "given");
		is(shared->reached, 0, "nor end it");
		help(&caught[times]);
	}
	ok(word_await(&shared->reached, 1, 5000), "the answer to this exception does");
	ok(child_wait(&child, 5000), "and the child comes to its end");
	child_finish(&child);
	catch_port_destroy(port);
}

/* With an old right about, the one for the answer costs the receiver a port: denied, it is lost. */
static void test_aborted_and_denied(void)
{
	mach_port_t port = catch_port();
	struct child_options options = { .before = before_task_port };
	struct caught caught[2];
	struct ledger_usage usage;
	struct child child;
	ledger_t own;

	shared->reached = 0;
	need(child_start(&child, child_faults, &port, &options), "a child");
	ok(catch_next(port, 5000, &caught[0]), "an exception is received");
	need(thread_suspend(child.thread), "thread_suspend");
	need(thread_abort(child.thread), "thread_abort");
	need(thread_resume(child.thread), "thread_resume");
	thread_await_waiting(child.thread, 5000);
	need(task_get_ledger_control(test_host_priv(), mach_task_self(), &own), "the test's ledger");
	need(ledger_get_usage(own, LEDGER_PORTS, &usage), "its ports");
	need(ledger_set_limit(own, LEDGER_PORTS, usage.used), "no port more");
	ok(catch_next(port, 5000, &caught[1]), "the next one is received without memory for a port");
	need(ledger_set_limit(own, LEDGER_PORTS, usage.limit), "the limit from before");
	is(caught[1].reply, MACH_PORT_DEAD, "its right to answer is dead");
	ok(child_wait(&child, 5000), "and the task ends, as when it is lost");
	catch_answer(&caught[1], KERN_SUCCESS);
	catch_answer(&caught[0], KERN_SUCCESS);
	give_back_right(own);
	child_finish(&child);
	catch_port_destroy(port);
}

int main(int argc, char **argv)
{
	struct fault faults[] = {
		{ "a read of nothing", fault_read, BAD_ADDRESS, EXC_BAD_ACCESS, KERN_INVALID_ADDRESS,
		  BAD_ADDRESS, 0, true },
		{ "a write to nothing", fault_write, BAD_ADDRESS, EXC_BAD_ACCESS, KERN_INVALID_ADDRESS,
		  BAD_ADDRESS, 0, true },
		{ "a read of the kernel", fault_read, 0xffffffff80100000, EXC_BAD_ACCESS,
		  KERN_INVALID_ADDRESS, 0xffffffff80100000, 0, true },
		{ "a write to read-only memory", fault_write, 0, EXC_BAD_ACCESS, KERN_PROTECTION_FAILURE,
		  0, 0, true },
		{ "a jump to nothing", fault_execute, BAD_ADDRESS, EXC_BAD_ACCESS, KERN_INVALID_ADDRESS,
		  BAD_ADDRESS, ~0ull, true },
		{ "a jump to data", fault_execute, 0, EXC_BAD_ACCESS, KERN_PROTECTION_FAILURE, 0, ~0ull, true },
		{ "a bad instruction", fault_ud, 0, EXC_BAD_INSTRUCTION, EXC_I386_INVOP, 0, 0, false },
		{ "a privileged instruction", fault_hlt, 0, EXC_BAD_INSTRUCTION, EXC_I386_GPFLT, 0, 0, false },
		{ "a breakpoint", fault_int3, 0, EXC_BREAKPOINT, EXC_I386_BPT, 0, 1, false },
		{ "a division by zero", fault_divide, 0, EXC_ARITHMETIC, EXC_I386_DIV, 0, 0, false },
		{ "a non-canonical read", fault_read, 0x900000000000, EXC_BAD_INSTRUCTION, EXC_I386_GPFLT,
		  0, 0, false },
	};

	test_begin(argc, argv, 120);
	shared = shared_alloc(vm_page_size);
	need(vm_allocate(mach_task_self(), &readonly_page, vm_page_size, TRUE), "a page");
	need(vm_protect(mach_task_self(), readonly_page, vm_page_size, FALSE, VM_PROT_READ), "vm_protect");
	faults[3].address = faults[3].subcode = readonly_page;
	faults[5].address = faults[5].subcode = readonly_page;
	for (unsigned i = 0; i < countof(faults); i++) {
		test_handled(&faults[i], true);
		test_handled(&faults[i], false);
		test_unhandled(&faults[i]);
	}
	fault = &faults[6];
	test_order(true, false);
	test_order(false, false);
	test_order(true, true);
	test_repaired();
	fault = &faults[6];
	test_handler_dies(false);
	test_handler_dies(true);
	test_terminated_while_waiting();
	test_many_at_once();
	test_aborted_while_queued();
	for (unsigned times = 1; times <= 3; times++) {
		test_aborted_while_received(times, false, false);
		test_aborted_while_received(times, true, false);
		test_aborted_while_received(times, false, true);
		test_aborted_while_received(times, true, true);
	}
	test_aborted_and_denied();
	test_denied_page();
	give_back_memory(readonly_page, vm_page_size);
	shared_free(shared, vm_page_size);
	return done_testing();
}
