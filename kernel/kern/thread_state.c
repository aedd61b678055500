/* SPDX-License-Identifier: BSD-2-Clause */
/* Register states of threads: between struct regs and the interface's layouts. */
#include "kern/thread_state.h"
#include <mach/machine/thread_status.h>
#include <mach/thread_status.h>
#include "kern/string.h"
#include "kern/ast.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/zone.h"
#include "x86_64/fpu_x87.h"

#define FP_SAVE_FXSAVE 1		/* fp_save_kind: an FXSAVE image */

static void regs_get(const struct regs *regs, struct i386_thread_state *state)
{
	memset(state, 0, sizeof(*state));
	state->r8 = regs->r8;
	state->r9 = regs->r9;
	state->r10 = regs->r10;
	state->r11 = regs->r11;
	state->r12 = regs->r12;
	state->r13 = regs->r13;
	state->r14 = regs->r14;
	state->r15 = regs->r15;
	state->rdi = regs->rdi;
	state->rsi = regs->rsi;
	state->rbp = regs->rbp;
	state->rbx = regs->rbx;
	state->rdx = regs->rdx;
	state->rcx = regs->rcx;
	state->rax = regs->rax;
	state->rip = regs->rip;
	state->cs = (unsigned int)regs->cs;
	state->rfl = regs->rflags;
	state->ursp = regs->rsp;
	state->ss = (unsigned int)regs->ss;
}

/* Segments stay the user's own; a state with others cannot come into being. */
static kern_return_t regs_set(struct thread *thread, const struct i386_thread_state *state)
{
	struct regs *regs = &thread->regs;

	if (!machine_address_valid(state->rip))
		return KERN_INVALID_ARGUMENT;
	regs->r8 = state->r8;
	regs->r9 = state->r9;
	regs->r10 = state->r10;
	regs->r11 = state->r11;
	regs->r12 = state->r12;
	regs->r13 = state->r13;
	regs->r14 = state->r14;
	regs->r15 = state->r15;
	regs->rdi = state->rdi;
	regs->rsi = state->rsi;
	regs->rbp = state->rbp;
	regs->rbx = state->rbx;
	regs->rdx = state->rdx;
	regs->rcx = state->rcx;
	regs->rax = state->rax;
	regs->rip = state->rip;
	regs->rsp = state->ursp;
	/* Only the flags that a user may set himself (SDM volume 1, 3.4.3): status, TF, DF, AC, ID. */
	regs->rflags = state->rfl & 0x240dd5;
	machine_regs_changed(regs);
	if (thread_is_new(thread))
		thread->wait.kind = NULL;
	/* It does not go on by syscall_return: not after a message that comes straight, nor at the end of its own call. */
	thread->straight_room = 0;
	if (thread == thread_current())
		ast_set_current();
	return KERN_SUCCESS;
}

static __attribute__((noinline)) kern_return_t bases_set(struct thread *thread, const struct i386_fsgs_base_state *state)
{
	if (!machine_address_valid(state->fs_base) || !machine_address_valid(state->gs_base))
		return KERN_INVALID_ARGUMENT;
	thread->regs.fs_base = state->fs_base;
	thread->regs.gs_base = state->gs_base;
	thread->has_gs_base = state->gs_base != 0;
	if (thread == thread_current())
		machine_switch(thread, thread, &thread->task->map.pmap);
	return KERN_SUCCESS;
}

/* The registers' contents, if they are this thread's, into its state. */
static void fpu_flush(struct thread *thread)
{
	cpu_local *cpu = cpu_current();

	if (cpu->fpu_owner != thread)
		return;
	fpu_enable();
	fpu_save(thread->extra->fpu);
	cpu->fpu_owner = NULL;
	fpu_disable();
}

static kern_return_t xfloat_get(struct thread *thread, uint32_t *words, uint32_t *count)
{
	struct i386_xfloat_state *state = (struct i386_xfloat_state *)words;

	if (*count < THREAD_STATE_WORDS_MAX)
		return KERN_INVALID_ARGUMENT;
	*count = THREAD_STATE_WORDS_MAX;
	memset(state, 0, THREAD_STATE_WORDS_MAX * 4);
	state->fpkind = FP_387FX;
	state->fp_save_kind = FP_SAVE_FXSAVE;
	if (!thread->has_fpu)
		return KERN_SUCCESS;
	fpu_flush(thread);
	state->initialized = 1;
	memcpy(state->hw_state, thread->extra->fpu, FPU_STATE_SIZE);
	return KERN_SUCCESS;
}

/* An image in memory that may be changed. False: it is denied. */
static bool fpu_ready(struct thread *thread)
{
	fpu_flush(thread);
	return thread_fpu_make(thread);
}

static __attribute__((noinline)) kern_return_t xfloat_set(struct thread *thread, const uint32_t *words, uint32_t count)
{
	const struct i386_xfloat_state *state = (const struct i386_xfloat_state *)words;
	uint32_t control;

	if (count < THREAD_STATE_WORDS_MAX || (state->initialized && state->fp_save_kind != FP_SAVE_FXSAVE))
		return KERN_INVALID_ARGUMENT;
	/* Reserved MXCSR bits fault on FXRSTOR (SDM volume 1, 10.5.1.2). */
	memcpy(&control, state->hw_state + 24, sizeof(control));
	if (state->initialized && (control & 0xffff0000) != 0)
		return KERN_INVALID_ARGUMENT;
	if (!state->initialized) {
		thread_fpu_free(thread);
		return KERN_SUCCESS;
	}
	if (!fpu_ready(thread))
		return KERN_RESOURCE_SHORTAGE;
	memcpy(thread->extra->fpu, state->hw_state, FPU_STATE_SIZE);
	fpu_state_sanitise(thread->extra->fpu);
	return KERN_SUCCESS;
}

/* The x87 registers alone. */
static kern_return_t float_get(struct thread *thread, uint32_t *words, uint32_t *count)
{
	struct i386_float_state *state = (struct i386_float_state *)words;
	struct i386_fp_save save;
	struct i386_fp_regs regs;

	if (*count < i386_FLOAT_STATE_COUNT)
		return KERN_INVALID_ARGUMENT;
	*count = i386_FLOAT_STATE_COUNT;
	memset(state, 0, sizeof(*state));
	state->fpkind = FP_387FX;
	if (!thread->has_fpu)
		return KERN_SUCCESS;
	fpu_flush(thread);
	state->initialized = 1;
	fpu_x87_get(thread->extra->fpu, &save, &regs);
	memcpy(state->hw_state, &save, sizeof(save));
	memcpy(state->hw_state + sizeof(save), &regs, sizeof(regs));
	return KERN_SUCCESS;
}

static __attribute__((noinline)) kern_return_t float_set(struct thread *thread, const uint32_t *words, uint32_t count)
{
	const struct i386_float_state *state = (const struct i386_float_state *)words;
	struct i386_fp_save save;
	struct i386_fp_regs regs;

	if (count < i386_FLOAT_STATE_COUNT)
		return KERN_INVALID_ARGUMENT;
	if (!state->initialized) {
		thread_fpu_free(thread);
		return KERN_SUCCESS;
	}
	if (!fpu_ready(thread))
		return KERN_RESOURCE_SHORTAGE;
	memcpy(&save, state->hw_state, sizeof(save));
	memcpy(&regs, state->hw_state + sizeof(save), sizeof(regs));
	fpu_x87_set(thread->extra->fpu, &save, &regs);
	return KERN_SUCCESS;
}

kern_return_t thread_state_get(struct thread *thread, int flavor, uint32_t *state, uint32_t *count)
{
	static const uint32_t flavors[] = {i386_THREAD_STATE, i386_FLOAT_STATE, i386_REGS_SEGS_STATE, i386_FSGS_BASE_STATE,
					   i386_XFLOAT_STATE};
	struct i386_fsgs_base_state *bases = (struct i386_fsgs_base_state *)state;

	switch (flavor) {
	case THREAD_STATE_FLAVOR_LIST:
		if (*count < sizeof(flavors) / sizeof(flavors[0]))
			return KERN_INVALID_ARGUMENT;
		memcpy(state, flavors, sizeof(flavors));
		*count = sizeof(flavors) / sizeof(flavors[0]);
		return KERN_SUCCESS;
	case i386_THREAD_STATE:
	case i386_REGS_SEGS_STATE:
		if (*count < i386_THREAD_STATE_COUNT)
			return KERN_INVALID_ARGUMENT;
		regs_get(&thread->regs, (struct i386_thread_state *)state);
		*count = i386_THREAD_STATE_COUNT;
		return KERN_SUCCESS;
	case i386_FSGS_BASE_STATE:
		if (*count < i386_FSGS_BASE_STATE_COUNT)
			return KERN_INVALID_ARGUMENT;
		bases->fs_base = thread->regs.fs_base;
		bases->gs_base = thread->regs.gs_base;
		*count = i386_FSGS_BASE_STATE_COUNT;
		return KERN_SUCCESS;
	case i386_FLOAT_STATE:
		return float_get(thread, state, count);
	case i386_XFLOAT_STATE:
		return xfloat_get(thread, state, count);
	default:
		return KERN_INVALID_ARGUMENT;
	}
}

kern_return_t thread_state_set(struct thread *thread, int flavor, const uint32_t *state, uint32_t count)
{
	switch (flavor) {
	case i386_THREAD_STATE:
	case i386_REGS_SEGS_STATE:
		if (count < i386_THREAD_STATE_COUNT)
			return KERN_INVALID_ARGUMENT;
		return regs_set(thread, (const struct i386_thread_state *)state);
	case i386_FSGS_BASE_STATE:
		if (count < i386_FSGS_BASE_STATE_COUNT)
			return KERN_INVALID_ARGUMENT;
		return bases_set(thread, (const struct i386_fsgs_base_state *)state);
	case i386_FLOAT_STATE:
		return float_set(thread, state, count);
	case i386_XFLOAT_STATE:
		return xfloat_set(thread, state, count);
	default:
		return KERN_INVALID_ARGUMENT;
	}
}
