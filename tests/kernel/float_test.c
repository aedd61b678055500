/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * i386_FLOAT_STATE: the x87 registers of another thread, read, changed and reset.
 * RUN: in root float_test
 */
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/threads.h>
#include <string.h>
#include "catch.h"
#include "tap.h"

#define TAG_VALID	0u
#define TAG_EMPTY	3u

static uint8_t stack[4096] __attribute__((aligned(16)));
static volatile uint32_t loaded, go, stored;
static uint64_t result;			/* bits of a double */

/* Leaves 1.5 and pi in the registers, and later stores what is on top then. */
static void load_then_store(void)
{
	uint64_t value = 0x3ff8ull << 48;	/* 1.5 */

	__asm__ volatile("fninit\n\tfldl %0\n\tfldpi" : : "m"(value));
	loaded = 1;
	while (!go)
		__asm__ volatile("pause");
	__asm__ volatile("fstpl %0" : "=m"(result));
	stored = 1;
	for (;;)
		__asm__ volatile("pause");
}

static bool await(volatile uint32_t *word)
{
	for (unsigned i = 0; i < 1000 && !*word; i++)
		thread_switch(MACH_PORT_NULL, 2, 1);
	return *word != 0;
}

/* Does ST(i) hold this number? (SDM volume 1, 4.2.2: significand, then sign and exponent.) */
static bool holds(const struct i386_float_state *state, unsigned i, uint64_t significand, uint16_t exponent)
{
	const uint8_t *reg = state->hw_state + sizeof(struct i386_fp_save) + 10 * i;

	return memcmp(reg, &significand, 8) == 0 && memcmp(reg + 8, &exponent, 2) == 0;
}

int main(int argc, char **argv)
{
	struct i386_thread_state start = {
		.rip = (uint64_t)(uintptr_t)load_then_store, .ursp = (uint64_t)(uintptr_t)(stack + sizeof stack) - 8,
	};
	struct i386_float_state state;
	struct i386_fp_save save;
	mach_msg_type_number_t count = i386_FLOAT_STATE_COUNT;
	thread_t thread = MACH_PORT_NULL;
	const uint64_t significand = 0xc8ull << 56;	/* -6.25 */
	const uint16_t exponent = 0xc001;

	test_begin(argc, argv, 60);
	need(thread_create(mach_task_self(), &thread), "a thread");
	registers_set(thread, &start);
	memset(&state, 0xff, sizeof state);
	is_code(thread_get_state(thread, i386_FLOAT_STATE, (natural_t *)&state, &count), KERN_SUCCESS,
		"the state of a thread that never calculated can be read");
	is(count, i386_FLOAT_STATE_COUNT, "with its whole count");
	is((uint64_t)state.initialized, 0, "it is not initialized");
	is((uint64_t)state.fpkind, FP_387FX, "the processor knows FXSAVE");
	need(thread_resume(thread), "thread_resume");
	ok(await(&loaded), "the thread has loaded two registers");
	need(thread_suspend(thread), "thread_suspend");
	is_code(thread_get_state(thread, i386_FLOAT_STATE, (natural_t *)&state, &count), KERN_SUCCESS, "they can be read");
	memcpy(&save, state.hw_state, sizeof save);
	is((uint64_t)state.initialized, 1, "it is initialized");
	is(save.fp_control, 0x37f, "the control word is FNINIT's");
	is(save.fp_status >> 11 & 7, 6, "two are on the stack");
	is(save.fp_tag >> 12, TAG_VALID, "both hold numbers");
	is(save.fp_tag & 0xfff, 0xfff, "all others are empty");
	ok(holds(&state, 0, 0xc90fdaa22168c235, 0x4000) && holds(&state, 1, 3ull << 62, 0x3fff), "ST(0) is pi and ST(1) is 1.5");
	memcpy(state.hw_state + sizeof save, &significand, 8);
	memcpy(state.hw_state + sizeof save + 8, &exponent, 2);
	is_code(thread_set_state(thread, i386_FLOAT_STATE, (natural_t *)&state, count), KERN_SUCCESS, "ST(0) can be changed");
	go = 1;
	need(thread_resume(thread), "thread_resume");
	ok(await(&stored) && result == 0xc019ull << 48, "and the thread finds what was set");
	need(thread_suspend(thread), "thread_suspend");
	need(thread_get_state(thread, i386_FLOAT_STATE, (natural_t *)&state, &count), "its state");
	memcpy(&save, state.hw_state, sizeof save);
	is(save.fp_tag >> 12 & 3, TAG_EMPTY, "what it took off the stack is empty");
	is_code(thread_set_state(thread, i386_FLOAT_STATE, (natural_t *)&state, count - 1), KERN_INVALID_ARGUMENT,
		"a state that is too short is refused");
	count = i386_FLOAT_STATE_COUNT - 1;
	is_code(thread_get_state(thread, i386_FLOAT_STATE, (natural_t *)&state, &count), KERN_INVALID_ARGUMENT,
		"so is too little room");
	state.initialized = 0;
	count = i386_FLOAT_STATE_COUNT;
	is_code(thread_set_state(thread, i386_FLOAT_STATE, (natural_t *)&state, count), KERN_SUCCESS, "it can be reset");
	need(thread_get_state(thread, i386_FLOAT_STATE, (natural_t *)&state, &count), "its state");
	is((uint64_t)state.initialized, 0, "then it is as if it had never calculated, and nobody pays for a state");
	need(thread_terminate(thread), "the thread's end");
	give_back_right(thread);
	return done_testing();
}
