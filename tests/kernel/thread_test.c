/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads: made, given a state, run, stopped, aborted out of each kind of wait, ended.
 * RUN: in root thread_test
 * LIMIT: 120
 */
#include <mach.h>
#include <mach/gsync.h>
#include <mach/machine/exception.h>
#include <mach/machine/thread_status.h>
#include <mach/mig_support.h>
#include <mach/thread_switch.h>
#include <mach/threads.h>
#include <mach_i386_user.h>
#include <string.h>
#include "catch.h"
#include "child.h"
#include "snapshot.h"
#include "tap.h"

/* --- a bare thread, that the library knows nothing of --- */

static char bare_stack[4][16384] __attribute__((aligned(16)));

static void set_start(thread_t thread, unsigned stack, void (*function)(uint64_t), uint64_t argument)
{
	struct i386_thread_state state = {
		.rip = (uint64_t)(uintptr_t)function,
		.rdi = argument,
		.ursp = (uint64_t)(uintptr_t)(bare_stack[stack] + sizeof bare_stack[stack]) - 8,
	};

	registers_set(thread, &state);
}

static thread_t bare_thread(unsigned stack, void (*function)(uint64_t), uint64_t argument)
{
	thread_t thread;

	need(thread_create(mach_task_self(), &thread), "a thread");
	set_start(thread, stack, function, argument);
	return thread;
}

static void end_thread(thread_t thread)
{
	need(thread_terminate(thread), "the end of a thread");
	give_back_right(thread);
}

static volatile uint64_t counter, seen;

static void count_up(uint64_t step)
{
	for (;;)
		counter += step;
}

static bool counts(void)
{
	uint64_t before = counter, start = clock_uptime_ns();

	while (counter == before && clock_uptime_ns() - start < 2000000000ull)
		thread_yield();
	return counter != before;
}

/* Whether it stays as it is while others have had plenty of turns. */
static bool stands_still(void)
{
	uint64_t before = counter;

	thread_sleep(60);
	return counter == before;
}

static void test_run_and_suspend(void)
{
	thread_t thread = bare_thread(0, count_up, 1);
	struct thread_basic_info info;
	mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;

	ok(stands_still(), "a new thread does not run");
	is_code(thread_info(thread, THREAD_BASIC_INFO, (integer_t *)&info, &count), KERN_SUCCESS, "thread_info works");
	is((uint64_t)info.suspend_count, 1, "it is suspended once");
	is_code(thread_resume(thread), KERN_SUCCESS, "it can be resumed");
	ok(counts(), "resumed it runs");
	is_code(thread_resume(thread), KERN_FAILURE, "a thread that runs cannot be resumed");
	is_code(thread_suspend(thread), KERN_SUCCESS, "it can be suspended");
	ok(stands_still(), "suspended it does not run");
	is_code(thread_suspend(thread), KERN_SUCCESS, "it can be suspended twice");
	is_code(thread_resume(thread), KERN_SUCCESS, "and resumed once");
	ok(stands_still(), "suspended once it does not run");
	count = THREAD_BASIC_INFO_COUNT;
	need(thread_info(thread, THREAD_BASIC_INFO, (integer_t *)&info, &count), "thread_info");
	is((uint64_t)info.run_state, TH_STATE_STOPPED, "it is stopped");
	is((uint64_t)info.suspend_count, 1, "it is suspended once again");
	need(thread_resume(thread), "thread_resume");
	ok(counts(), "resumed twice it runs");
	count = THREAD_BASIC_INFO_COUNT;
	need(thread_info(thread, THREAD_BASIC_INFO, (integer_t *)&info, &count), "thread_info");
	ok(info.user_time64.seconds > 0 || info.user_time64.nanoseconds > 0, "its CPU time is counted");
	is_code(thread_terminate(thread), KERN_SUCCESS, "it can be ended");
	ok(stands_still(), "ended it does not run");
	is_code(thread_resume(thread), MACH_SEND_INVALID_DEST, "its port is dead");
	give_back_right(thread);
}

static void stand(uint64_t word)
{
	seen = word;
	for (;;)
		__asm__ volatile("pause");
}

static void test_registers(void)
{
	thread_t thread = bare_thread(0, stand, 1);
	struct i386_thread_state state, back;
	struct i386_fsgs_base_state bases = { .fs_base = 0x12345000, .gs_base = 0x6789a000 }, bases_back;
	natural_t flavors[16];
	mach_msg_type_number_t count;
	uint64_t *words = (uint64_t *)&state;

	registers_get(thread, &state);
	for (unsigned i = 0; i < 16; i++)
		words[i] = 0x0102030405060708ull * (i + 1);
	state.rip = 0x400123;
	state.ursp = 0x500456;
	state.rfl = 0x202;
	is_code(thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT),
		KERN_SUCCESS, "registers can be set");
	registers_get(thread, &back);
	back.rsp = state.rsp;			/* means nothing */
	ok(memcmp(&state, &back, 16 * 8) == 0, "all general registers are read as they were set");
	ok(back.rip == state.rip && back.ursp == state.ursp, "rip and rsp too");
	is(back.rfl, 0x202, "and the flags");
	state.rfl = ~0ull;
	need(thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT), "flags");
	registers_get(thread, &back);
	is(back.rfl & ~0x240dd5ull, 0x202, "flags that are not the user's cannot be set");
	state.rfl = 0x202;
	state.rip = 0x900000000000;
	is_code(thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT),
		KERN_INVALID_ARGUMENT, "a rip that is no address is refused");
	state.rip = 0xffffffff80100000;
	is_code(thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT),
		KERN_INVALID_ARGUMENT, "a rip in the kernel is refused");
	is_code(thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, i386_THREAD_STATE_COUNT - 1),
		KERN_INVALID_ARGUMENT, "a state that is too short is refused");
	is_code(thread_set_state(thread, 77, (natural_t *)&state, i386_THREAD_STATE_COUNT),
		KERN_INVALID_ARGUMENT, "a state of no flavor is refused");
	is_code(thread_set_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT),
		KERN_SUCCESS, "the bases of fs and gs can be set");
	count = i386_FSGS_BASE_STATE_COUNT;
	is_code(thread_get_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases_back, &count), KERN_SUCCESS,
		"and read");
	ok(bases_back.fs_base == bases.fs_base && bases_back.gs_base == bases.gs_base, "as they were set");
	bases.gs_base = 0x900000000000;
	is_code(thread_set_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT),
		KERN_INVALID_ARGUMENT, "a base that is no address is refused");
	bases.gs_base = 0xffff888000000000;
	is_code(thread_set_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT),
		KERN_INVALID_ARGUMENT, "a base in the kernel is refused");
	count = countof(flavors);
	is_code(thread_get_state(thread, THREAD_STATE_FLAVOR_LIST, flavors, &count), KERN_SUCCESS, "flavors are listed");
	ok(count >= 3 && flavors[0] == i386_THREAD_STATE, "the general registers first");
	is_code(thread_get_state(test_thread(), i386_THREAD_STATE, (natural_t *)&back, &count),
		KERN_INVALID_ARGUMENT, "a thread does not read its own registers");
	end_thread(thread);
}

/* A new thread's registers are its own from the beginning: nothing of one that was there before. A processor sets RF in the flags that a
   fault leaves (Intel SDM volume 3, 18.3.1.1); QEMU does so since some version. */
#define RFLAGS_RF 0x10000u
static bool all_zero(const struct i386_thread_state *state)
{
	struct i386_thread_state expected = { .cs = state->cs, .ss = state->ss, .rfl = 0x202 | (state->rfl & RFLAGS_RF), .rip = state->rip,
					      .ursp = state->ursp };

	return memcmp(state, &expected, sizeof(expected)) == 0;
}

static void test_new_registers(void)
{
	struct i386_thread_state state, full;
	struct i386_fsgs_base_state bases = { .fs_base = 0x12345000, .gs_base = 0x6789a000 }, bases_back = { .fs_base = 1 };
	mach_msg_type_number_t count = i386_FSGS_BASE_STATE_COUNT;
	mach_port_t port = catch_port();
	struct caught caught;
	thread_t thread;

	memset(&full, 0x5a, sizeof(full));
	full.rip = 0x400123;
	for (unsigned i = 0; i < 8; i++) {
		thread = bare_thread(0, stand, 1);
		registers_set(thread, &full);
		need(thread_set_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT), "bases");
		end_thread(thread);
	}
	need(thread_create(mach_task_self(), &thread), "a thread");
	registers_get(thread, &state);
	ok(all_zero(&state) && state.rip == 0 && state.ursp == 0, "the registers of a new thread are zero");
	end_thread(thread);
	need(thread_create(mach_task_self(), &thread), "a thread");
	need(thread_get_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases_back, &count), "bases");
	ok(bases_back.fs_base == 0 && bases_back.gs_base == 0, "its bases too");
	need(thread_set_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT), "bases");
	need(thread_set_special_port(thread, THREAD_EXCEPTION_PORT, port), "a handler");
	need(thread_resume(thread), "thread_resume");
	ok(catch_next(port, 2000, &caught), "one that runs without any has an exception");
	registers_get(thread, &state);
	ok(all_zero(&state) && state.rip == 0, "at address 0, with all registers zero");
	count = i386_FSGS_BASE_STATE_COUNT;
	need(thread_get_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases_back, &count), "bases");
	ok(bases_back.fs_base == bases.fs_base && bases_back.gs_base == bases.gs_base, "but the bases, which it was given");
	end_thread(thread);
	catch_answer(&caught, KERN_FAILURE);
	catch_port_destroy(port);
	need(thread_create(mach_task_self(), &thread), "a thread");
	full.rip = 0x900000000000;
	is_code(thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&full, i386_THREAD_STATE_COUNT),
		KERN_INVALID_ARGUMENT, "a state that is refused");
	is_code(thread_abort(thread), KERN_SUCCESS, "an abort");
	registers_get(thread, &state);
	ok(all_zero(&state) && state.rip == 0, "leave a new thread as it is");
	end_thread(thread);
}

static uint64_t fs_words[2] = { 0, 0x1122334455667788 }, gs_words[2] = { 0, 0x99aabbccddeeff00 };

static void read_bases(uint64_t nothing)
{
	uint64_t fs, gs;

	(void)nothing;
	__asm__ volatile("movq %%fs:8, %0; movq %%gs:8, %1" : "=r" (fs), "=r" (gs));
	seen = fs ^ gs;
	for (;;)
		__asm__ volatile("pause");
}

static void test_bases_work(void)
{
	thread_t thread = bare_thread(0, read_bases, 0);
	struct i386_fsgs_base_state bases = {
		.fs_base = (uint64_t)(uintptr_t)fs_words, .gs_base = (uint64_t)(uintptr_t)gs_words,
	};
	uint64_t start = clock_uptime_ns();

	need(thread_set_state(thread, i386_FSGS_BASE_STATE, (natural_t *)&bases, i386_FSGS_BASE_STATE_COUNT), "bases");
	seen = 0;
	need(thread_resume(thread), "thread_resume");
	while (seen == 0 && clock_uptime_ns() - start < 2000000000ull)
		thread_yield();
	is(seen, fs_words[1] ^ gs_words[1], "a thread reads through the bases that it was given");
	end_thread(thread);
}

/* --- floating point --- */

#define FLOATERS	4

static volatile uint64_t float_errors, float_rounds[FLOATERS];

/* Holds a pattern in xmm registers and the x87 stack across switches. */
static void hold_pattern(uint64_t which)
{
	uint64_t pattern[2] = { 0x0101010101010101ull * (which + 1), ~which }, got[2], x87 = which * 1000 + 7, back;

	for (;;) {
		__asm__ volatile("movdqu (%0), %%xmm3\n\tmovdqu (%0), %%xmm15\n\tfildq %1"
				 : : "r" (pattern), "m" (x87) : "memory");
		for (unsigned i = 0; i < 20000; i++)
			__asm__ volatile("pause");
		__asm__ volatile("movdqu %%xmm15, (%1)\n\tpxor %%xmm3, %%xmm15\n\tfistpq %0"
				 : "=m" (back) : "r" (got) : "memory");
		if (got[0] != pattern[0] || got[1] != pattern[1] || back != x87)
			float_errors++;
		float_rounds[which]++;
	}
}

static void test_fpu_switches(void)
{
	thread_t threads[FLOATERS];
	uint64_t start = clock_uptime_ns();
	bool all = false;

	for (unsigned i = 0; i < FLOATERS; i++) {
		threads[i] = bare_thread(i, hold_pattern, i);
		need(thread_resume(threads[i]), "thread_resume");
	}
	while (!all && clock_uptime_ns() - start < 10000000000ull) {
		all = true;
		for (unsigned i = 0; i < FLOATERS; i++)
			all = all && float_rounds[i] >= 20;
		thread_sleep(10);
	}
	ok(all, "%u threads calculate side by side", FLOATERS);
	is(float_errors, 0, "each keeps its XMM and x87 registers across switches");
	for (unsigned i = 0; i < FLOATERS; i++)
		end_thread(threads[i]);
}

static void float_once(uint64_t where)
{
	__asm__ volatile("movdqu (%0), %%xmm5" : : "r" (where) : "memory");
	seen = 1;
	for (;;)
		__asm__ volatile("pause");
}

static void float_store(uint64_t where)
{
	__asm__ volatile("movdqu %%xmm6, (%0)" : : "r" (where) : "memory");
	seen = 1;
	for (;;)
		__asm__ volatile("pause");
}

static bool await_seen(void)
{
	uint64_t start = clock_uptime_ns();

	while (seen == 0 && clock_uptime_ns() - start < 5000000000ull)
		thread_yield();
	return seen != 0;
}

/* Offsets in the FXSAVE image: Intel SDM volume 1, table 10-2. */
#define FX_XMM(n)	(160 + 16 * (n))
#define FX_MXCSR	24

static natural_t xfloat[1024] __attribute__((aligned(16)));

static void test_xfloat(void)
{
	static uint64_t words[2] __attribute__((aligned(16))) = { 0xfeedface12345678, 0x0badcafe87654321 };
	struct i386_xfloat_state *state = (struct i386_xfloat_state *)xfloat;
	host_t host = mach_host_self();
	mach_msg_type_number_t count;
	uint64_t pattern[2] = { 0x5555aaaa5555aaaa, 0x1234123412341234 };
	thread_t thread = bare_thread(0, float_once, (uint64_t)(uintptr_t)words);
	vm_size_t size = 0;
	uint32_t mxcsr;

	is_code(i386_get_xstate_size(host, &size), KERN_SUCCESS, "the size of the floating-point state can be asked for");
	give_back_right(host);
	is_between(size, 512 + 16, sizeof xfloat, "it has room for an FXSAVE image");
	count = (mach_msg_type_number_t)(size / 4);
	is_code(thread_get_state(thread, i386_XFLOAT_STATE, xfloat, &count), KERN_SUCCESS,
		"a thread without a floating-point state has one to read");
	is((uint64_t)state->initialized, 0, "it says that it is not initialized");
	seen = 0;
	need(thread_resume(thread), "thread_resume");
	ok(await_seen(), "the thread has loaded a register");
	need(thread_suspend(thread), "thread_suspend");
	count = (mach_msg_type_number_t)(size / 4);
	is_code(thread_get_state(thread, i386_XFLOAT_STATE, xfloat, &count), KERN_SUCCESS, "its state can be read");
	is((uint64_t)state->initialized, 1, "it is initialized");
	ok(memcmp(state->hw_state + FX_XMM(5), words, 16) == 0, "the register is in it");
	memcpy(state->hw_state + FX_XMM(6), pattern, 16);
	is_code(thread_set_state(thread, i386_XFLOAT_STATE, xfloat, count), KERN_SUCCESS, "it can be set");
	set_start(thread, 0, float_store, (uint64_t)(uintptr_t)words);
	seen = 0;
	need(thread_resume(thread), "thread_resume");
	ok(await_seen(), "the thread has stored another register");
	ok(memcmp(words, pattern, 16) == 0, "with what was set");
	need(thread_suspend(thread), "thread_suspend");
	mxcsr = 0xffffffff;
	memcpy(state->hw_state + FX_MXCSR, &mxcsr, 4);
	is_code(thread_set_state(thread, i386_XFLOAT_STATE, xfloat, count), KERN_INVALID_ARGUMENT,
		"reserved bits of MXCSR are refused");
	is_code(thread_set_state(thread, i386_XFLOAT_STATE, xfloat, 10), KERN_INVALID_ARGUMENT,
		"a state that is too short is refused");
	end_thread(thread);
}

/* --- abort --- */

struct waiter {
	uint32_t done;		/* posted with 1 when the call has returned */
	int64_t result;
};
static struct waiter waiter;
static mach_port_t wait_port;
static uint32_t wait_word;

static void wait_receive(void *argument)
{
	mach_msg_header_t head;

	(void)argument;
	waiter.result = mach_msg_trap(&head, MACH_RCV_MSG, 0, sizeof head, wait_port, 0, MACH_PORT_NULL);
	word_post(&waiter.done, 1);
}

static void wait_send(void *argument)
{
	mach_msg_header_t head;

	(void)argument;
	do {
		head = (mach_msg_header_t){
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0),
			.msgh_size = sizeof head, .msgh_remote_slot = wait_port,
		};
		waiter.result = mach_msg_trap(&head, MACH_SEND_MSG, sizeof head, 0, MACH_PORT_NULL, 0,
					      MACH_PORT_NULL);
	} while (waiter.result == MACH_MSG_SUCCESS);
	/* The send was taken back: the right that it made is ours. */
	give_back_right(head.msgh_remote_port);
	word_post(&waiter.done, 1);
}

static void wait_sleep(void *argument)
{
	(void)argument;
	waiter.result = thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, 1000000);
	word_post(&waiter.done, 1);
}

static void wait_gsync(void *argument)
{
	(void)argument;
	waiter.result = gsync_wait(mach_task_self(), (vm_address_t)&wait_word, 0, 0, 0, 0);
	word_post(&waiter.done, 1);
}

static void wait_rpc(void *argument)
{
	struct {
		mach_msg_header_t head;
		char room[64];
	} message = { .head = {
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
		.msgh_size = sizeof(mach_msg_header_t), .msgh_remote_slot = wait_port,
		.msgh_local_slot = mig_get_reply_port(),
	} };

	(void)argument;
	waiter.result = mach_msg_trap(&message.head, MACH_SEND_MSG | MACH_RCV_MSG, sizeof message.head,
				      sizeof message, mig_get_reply_port(), 0, MACH_PORT_NULL);
	word_post(&waiter.done, 1);
}

struct wait_case {
	const char *name;
	void (*function)(void *);
	int64_t result;
	bool in_rax;		/* the result of the very trap, so that the saved rax has it */
};

static const struct wait_case wait_cases[] = {
	{ "a receive", wait_receive, MACH_RCV_INTERRUPTED, true },
	{ "a send to a full port", wait_send, MACH_SEND_INTERRUPTED, true },
	{ "a timed sleep", wait_sleep, KERN_ABORTED, true },
	{ "a wait for a word", wait_gsync, KERN_INTERRUPTED, false },
	{ "the receive of an RPC", wait_rpc, MACH_RCV_INTERRUPTED, true },
};

static void test_abort(const struct wait_case *wait, bool suspended)
{
	struct i386_thread_state state;
	struct thread *thread;

	waiter = (struct waiter){ 0 };
	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &wait_port), "a port");
	need(thread_spawn(wait->function, NULL, 0, &thread), "a thread");
	ok(thread_await_waiting(thread->port, 5000), "%s: the thread waits", wait->name);
	if (suspended) {
		need(thread_suspend(thread->port), "thread_suspend");
		ok(thread_await_state(thread->port, TH_STATE_STOPPED, 0), "%s: suspended, it is stopped", wait->name);
	}
	is_code(thread_abort(thread->port), KERN_SUCCESS, "%s%s can be aborted", wait->name,
		suspended ? " of a suspended thread" : "");
	if (suspended) {
		registers_get(thread->port, &state);
		if (wait->in_rax)
			is_code((kern_return_t)state.rax, (kern_return_t)wait->result,
				"%s: the saved rax has the result at once", wait->name);
		ok(!word_await(&waiter.done, 1, 30), "%s: the thread does not run yet", wait->name);
		need(thread_resume(thread->port), "thread_resume");
	}
	if (!ok(word_await(&waiter.done, 1, 5000), "%s: the call returns", wait->name))
		give_up("an aborted wait ends");
	is_code((kern_return_t)waiter.result, (kern_return_t)wait->result, "%s: with the code of an interruption",
		wait->name);
	thread_join(thread);
	mach_port_mod_refs(mach_task_self(), wait_port, MACH_PORT_RIGHT_RECEIVE, -1);
}

/* The state that is set after an abort wins. */
static void test_abort_then_set_state(void)
{
	struct i386_thread_state state;
	struct thread *thread;

	waiter = (struct waiter){ 0 };
	need(thread_spawn(wait_sleep, NULL, 0, &thread), "a thread");
	ok(thread_await_waiting(thread->port, 5000), "the thread waits");
	need(thread_suspend(thread->port), "thread_suspend");
	need(thread_abort(thread->port), "thread_abort");
	registers_get(thread->port, &state);
	state.rax = 0x7654;
	registers_set(thread->port, &state);
	need(thread_resume(thread->port), "thread_resume");
	ok(word_await(&waiter.done, 1, 5000), "the call returns");
	is((uint64_t)waiter.result, 0x7654, "with what was set after the abort");
	thread_join(thread);
}

/* --- registers set while a message is awaited --- */

static mach_port_t landing_port;
static uint64_t landed[4] __attribute__((used));		/* rcx, r11, r12, rax */
static uint32_t has_landed __attribute__((used));

/* Where the receiver finds itself: it notes its registers, and stays. */
void landing(void);
__asm__(".text\nlanding:\n\tmovq %rcx, landed\n\tmovq %r11, landed + 8\n\tmovq %r12, landed + 16\n\tmovq %rax, landed + 24\n\t"
	"movl $1, has_landed\n1:\tpause\n\tjmp 1b\n");

struct echo { mach_msg_header_t h; uint8_t trailer[64]; };

/* Answers each message; the receive is that of the reply, as fast servers have it. Bare threads make traps only. */
static struct echo served;
static void echo_thread(uint64_t unused)
{
	mach_msg_return_t code = mach_msg_trap(&served.h, MACH_RCV_MSG, 0, sizeof served, landing_port, 0, MACH_PORT_NULL);

	(void)unused;
	while (code == MACH_MSG_SUCCESS) {
		served.h.msgh_bits &= MACH_MSGH_BITS_REMOTE_MASK;
		served.h.msgh_local_port = MACH_PORT_NULL;
		code = mach_msg_trap(&served.h, MACH_SEND_MSG | MACH_RCV_MSG, sizeof served.h, sizeof served, landing_port, 0,
				     MACH_PORT_NULL);
	}
}

static mach_msg_return_t echo_call(mach_port_t reply)
{
	static struct echo m;

	m.h = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
				   .msgh_remote_port = landing_port, .msgh_local_port = reply };
	return mach_msg_trap(&m.h, MACH_SEND_MSG | MACH_RCV_MSG, sizeof m.h, sizeof m, reply, 0, MACH_PORT_NULL);
}

static void call_thread(uint64_t reply)
{
	echo_call((mach_port_t)reply);
}

/* A message that goes straight to a receiver whose registers were changed meanwhile lets it go on with all of these. */
static void test_set_state_of_receiver(void)
{
	mach_port_t reply = mach_reply_port(), last = mach_reply_port();
	struct i386_thread_state state;
	thread_t server, caller;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &landing_port), "a port");
	need(mach_port_insert_right(mach_task_self(), landing_port, landing_port, MACH_MSG_TYPE_MAKE_SEND), "its send right");
	server = bare_thread(0, echo_thread, 0);
	need(thread_resume(server), "thread_resume");
	for (unsigned i = 0; i < 3; i++)
		need(echo_call(reply), "a call");
	ok(thread_await_waiting(server, 5000), "a server waits for the next call");
	registers_get(server, &state);
	state.rip = (uint64_t)(uintptr_t)landing;
	state.rcx = 0x1111;
	state.r11 = 0x2222;
	state.r12 = 0x3333;
	registers_set(server, &state);
	caller = bare_thread(1, call_thread, last);
	need(thread_resume(caller), "thread_resume");
	ok(word_await(&has_landed, 1, 5000), "the message lets it go on where it was set to");
	ok(landed[0] == 0x1111 && landed[1] == 0x2222 && landed[2] == 0x3333, "with the registers that were set");
	is(landed[3], MACH_MSG_SUCCESS, "and its receive's result");
	end_thread(caller);
	end_thread(server);
	mach_port_mod_refs(mach_task_self(), landing_port, MACH_PORT_RIGHT_RECEIVE, -1);
	give_back_right(landing_port);
	mach_port_mod_refs(mach_task_self(), reply, MACH_PORT_RIGHT_RECEIVE, -1);
	mach_port_mod_refs(mach_task_self(), last, MACH_PORT_RIGHT_RECEIVE, -1);
	give_back_right(served.h.msgh_remote_port);
}

static void test_abort_nothing(void)
{
	thread_t thread = bare_thread(0, count_up, 1);

	is_code(thread_abort(thread), KERN_SUCCESS, "a thread that does not wait can be aborted");
	need(thread_resume(thread), "thread_resume");
	ok(counts(), "and runs as before");
	end_thread(thread);
	is_code(thread_abort(test_thread()), KERN_INVALID_ARGUMENT, "a thread does not abort itself");
}

/* --- ends, ports, info --- */

static void test_terminate_waiting(void)
{
	for (unsigned i = 0; i < countof(wait_cases); i++) {
		struct thread *thread;
		struct snapshot before;

		need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &wait_port), "a port");
		snapshot_take(&before, test_ledger());
		waiter = (struct waiter){ 0 };
		need(thread_spawn(wait_cases[i].function, NULL, 0, &thread), "a thread");
		ok(thread_await_waiting(thread->port, 5000), "%s: the thread waits", wait_cases[i].name);
		is_code(thread_terminate(thread->port), KERN_SUCCESS, "%s: it can be ended in it", wait_cases[i].name);
		is(waiter.done, 0, "%s: the call never returns", wait_cases[i].name);
		give_back_right(thread->port);
		/* What the library would have given back at its end. */
		if (thread->reply_port != MACH_PORT_NULL)
			mach_port_destroy(mach_task_self(), thread->reply_port);
		give_back_memory(thread->stack, thread->stack_size);
		thread->state = THREAD_FINISHED;
		thread_join(thread);
		mach_port_destroy(mach_task_self(), wait_port);
	}
}

static void test_special_ports(void)
{
	thread_t thread = bare_thread(0, count_up, 1), same;
	mach_port_t port = catch_port(), back = MACH_PORT_NULL;
	mach_port_status_t status;
	char name[64];

	is_code(thread_get_special_port(thread, THREAD_KERNEL_PORT, &same), KERN_SUCCESS, "the kernel port can be read");
	is(same, thread, "it is the thread's");
	give_back_right(same);
	is_code(thread_get_special_port(thread, THREAD_EXCEPTION_PORT, &back), KERN_SUCCESS, "the exception port can be read");
	is(back, MACH_PORT_NULL, "a new thread has none");
	is_code(thread_set_special_port(thread, THREAD_EXCEPTION_PORT, port), KERN_SUCCESS, "it can be set");
	need(thread_get_special_port(thread, THREAD_EXCEPTION_PORT, &back), "the exception port");
	is(back, port, "and is read as it was set");
	give_back_right(back);
	is_code(thread_set_special_port(thread, 99, port), KERN_INVALID_ARGUMENT, "special port 99 is none");
	is_code(thread_set_name(thread, "nominee"), KERN_SUCCESS, "a thread can be named");
	is_code(thread_get_name(thread, name), KERN_SUCCESS, "the name can be read");
	is_text(name, "nominee", "as it was given");
	is_code(thread_set_special_port(thread, THREAD_EXCEPTION_PORT, port), KERN_SUCCESS, "the same port can be set again");
	end_thread(thread);
	give_back_right(port);
	need(mach_port_get_receive_status(mach_task_self(), port, &status), "the status of a port");
	ok(!status.mps_srights, "a thread that has ended has left no right to it");
	catch_port_destroy(port);
}

static void test_priorities(void)
{
	thread_t thread = bare_thread(0, count_up, 1);
	struct thread_sched_info info;
	mach_msg_type_number_t count = THREAD_SCHED_INFO_COUNT;
	int base, max;

	is_code(thread_info(thread, THREAD_SCHED_INFO, (integer_t *)&info, &count), KERN_SUCCESS,
		"THREAD_SCHED_INFO can be read");
	base = info.base_priority;
	max = info.max_priority;
	ok(max <= base && base < 64, "the priority is between the greatest and the lowest");
	is_code(thread_priority(thread, base + 3, FALSE), KERN_SUCCESS, "the priority can be lowered");
	count = THREAD_SCHED_INFO_COUNT;
	need(thread_info(thread, THREAD_SCHED_INFO, (integer_t *)&info, &count), "thread_info");
	is((uint64_t)info.base_priority, (uint64_t)base + 3, "it is lower then");
	is((uint64_t)info.max_priority, (uint64_t)max, "its maximum stays");
	is_code(thread_priority(thread, base + 2, TRUE), KERN_SUCCESS, "it can be raised again, with its maximum");
	is_code(thread_priority(thread, base, FALSE), KERN_FAILURE, "above the maximum it cannot be raised");
	is_code(thread_priority(thread, 64, FALSE), KERN_INVALID_ARGUMENT, "priority 64 is none");
	is_code(thread_priority(thread, -1, FALSE), KERN_INVALID_ARGUMENT, "priority -1 is none");
	end_thread(thread);
}

static void test_switch(void)
{
	thread_t thread = bare_thread(0, count_up, 1);

	need(thread_resume(thread), "thread_resume");
	is_code(thread_switch(thread, SWITCH_OPTION_NONE, 0), KERN_SUCCESS, "thread_switch hands the CPU over");
	is_code(thread_switch(MACH_PORT_NULL, SWITCH_OPTION_DEPRESS, 10), KERN_SUCCESS, "thread_switch depresses");
	is_code(thread_switch(MACH_PORT_NULL, 9, 10), KERN_INVALID_ARGUMENT, "option 9 is none");
	is_code(thread_switch(0x123456, SWITCH_OPTION_NONE, 0), KERN_INVALID_ARGUMENT, "a name of nothing is no hint");
	is_code(thread_switch(mach_task_self(), SWITCH_OPTION_WAIT, 10), KERN_INVALID_ARGUMENT, "nor is a task's");
	swtch();
	ok(true, "swtch comes back");
	swtch_pri(0);
	ok(true, "swtch_pri comes back");
	need(mach_port_mod_refs(mach_task_self(), thread, MACH_PORT_RIGHT_SEND, 1), "a second reference");
	end_thread(thread);
	is_code(thread_switch(thread, SWITCH_OPTION_NONE, 0), KERN_SUCCESS, "a thread that has ended is a hint without effect");
	mach_port_deallocate(mach_task_self(), thread);
}

/* --- thread_create by hand: the right in its reply --- */

#define REPLY_BYTES	64
#define RIGHT_AT	56	/* in the reply */

/* The request at `at`, where its reply goes too; without a reply port none is asked for. */
static mach_msg_return_t create_by_hand(void *at, mach_port_t reply)
{
	mach_msg_header_t *head = at;

	*head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, reply != 0 ? MACH_MSG_TYPE_MAKE_SEND_ONCE : 0),
		.msgh_size = sizeof *head, .msgh_remote_slot = mach_task_self(), .msgh_local_slot = reply,
		.msgh_id = MSGID_thread_create,
	};
	return mach_msg_trap(head, reply != 0 ? MACH_SEND_MSG | MACH_RCV_MSG : MACH_SEND_MSG, sizeof *head,
			     reply != 0 ? REPLY_BYTES : 0, reply, 0, 0);
}

static void test_right_in_reply(void)
{
	mach_port_t reply = mig_get_reply_port();
	vm_address_t pages;
	struct snapshot before;
	thread_t thread;
	char *at;

	need(vm_allocate(mach_task_self(), &pages, 2 * vm_page_size, TRUE), "two pages");
	/* The place of the right is on the second page. */
	at = (char *)pages + vm_page_size - RIGHT_AT;
	*at = 0;
	is_code(create_by_hand(at, reply), MACH_MSG_SUCCESS, "the right comes into a page that was not there");
	memcpy(&thread, at + RIGHT_AT, sizeof thread);
	is_code(thread_terminate(thread), KERN_SUCCESS, "and is the thread's");
	give_back_right(thread);
	is_code(create_by_hand(at, reply), MACH_MSG_SUCCESS, "it comes into one that is there");
	memcpy(&thread, at + RIGHT_AT, sizeof thread);
	is_code(thread_terminate(thread), KERN_SUCCESS, "and is the thread's");
	give_back_right(thread);
	snapshot_take(&before, test_ledger());
	is_code(create_by_hand(at - RIGHT_AT, MACH_PORT_NULL), MACH_MSG_SUCCESS, "thread_create may be sent without a reply port");
	snapshot_settles(&before, 1u << LEDGER_THREADS | 1u << LEDGER_PORTS | SNAPSHOT_NAMES_HERE,
			 "a thread to which nobody gets a right is not there then");
	give_back_memory(pages, 2 * vm_page_size);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 120);
	test_run_and_suspend();
	test_registers();
	test_new_registers();
	test_bases_work();
	test_fpu_switches();
	test_xfloat();
	for (unsigned i = 0; i < countof(wait_cases); i++) {
		test_abort(&wait_cases[i], false);
		test_abort(&wait_cases[i], true);
	}
	test_abort_then_set_state();
	test_set_state_of_receiver();
	test_abort_nothing();
	test_terminate_waiting();
	test_special_ports();
	test_priorities();
	test_switch();
	test_right_in_reply();
	return done_testing();
}
