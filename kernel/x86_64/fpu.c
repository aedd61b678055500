/* SPDX-License-Identifier: BSD-2-Clause */
/* The FPU: FXSAVE images, CR0.TS. (Intel SDM volume 1, 10.5; volume 3, 13.4.)

   TS is clear only while the current thread's state is in the registers. A thread's image in
   memory is right whenever it is not running: the state is saved at each switch away, so losing
   the registers loses nothing. cpu->fpu_owner names the thread whose image equals the registers;
   coming back to it needs no restore. */
#include "kern/string.h"
#include "kern/thread.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"

#define CR0_TS (1u << 3)
#define FX_FCW 0
#define FX_MXCSR 24
#define FX_MXCSR_MASK 28
#define MXCSR_INITIAL 0x1f80u
#define FCW_INITIAL 0x37fu
#define MXCSR_MASK_DEFAULT 0xffbfu

static uint32_t mxcsr_mask;

void fpu_init(void)
{
	/* Not on the stack: it has to be aligned. */
	static uint8_t image[FPU_STATE_SIZE] __attribute__((aligned(16)));

	fpu_enable();
	__asm__ volatile("fninit; fxsave %0" : "=m"(image));
	memcpy(&mxcsr_mask, image + FX_MXCSR_MASK, 4);
	if (mxcsr_mask == 0)
		mxcsr_mask = MXCSR_MASK_DEFAULT;
	fpu_disable();
}

void fpu_state_init(void *state)
{
	uint32_t mxcsr = MXCSR_INITIAL;
	uint16_t fcw = FCW_INITIAL;

	memset(state, 0, FPU_STATE_SIZE);
	memcpy((uint8_t *)state + FX_FCW, &fcw, 2);
	memcpy((uint8_t *)state + FX_MXCSR, &mxcsr, 4);
}

void fpu_state_sanitise(void *state)
{
	uint32_t mxcsr;

	memcpy(&mxcsr, (uint8_t *)state + FX_MXCSR, 4);
	mxcsr &= mxcsr_mask;
	memcpy((uint8_t *)state + FX_MXCSR, &mxcsr, 4);
}

void fpu_save(void *state)
{
	__asm__ volatile("fxsaveq %0" : "=m"(*(uint8_t (*)[FPU_STATE_SIZE])state));
}

void fpu_restore(const void *state)
{
	__asm__ volatile("fxrstorq %0" : : "m"(*(const uint8_t (*)[FPU_STATE_SIZE])state));
}

void fpu_enable(void)
{
	__asm__ volatile("clts" : : : "memory");
	cpu_current()->fpu_enabled = true;
}

void fpu_disable(void)
{
	cr0_write(cr0_read() | CR0_TS);
	cpu_current()->fpu_enabled = false;
}

void fpu_forget(struct thread *thread)
{
	cpu_local *cpu = cpu_current();

	if (cpu->fpu_owner != thread)
		return;
	cpu->fpu_owner = NULL;
	if (cpu->fpu_enabled)
		fpu_disable();
}

void fpu_switch(struct thread *from, struct thread *to)
{
	cpu_local *cpu = cpu_current();
	bool live = to && to->has_fpu && cpu->fpu_owner == to;

	if (from == to || (!live && !cpu->fpu_enabled))
		return;
	/* A thread that died is nobody's owner any more, and not looked at. */
	if (cpu->fpu_enabled && from && cpu->fpu_owner == from && from->has_fpu)
		fpu_save(from->extra->fpu);
	if (live && !cpu->fpu_enabled)
		fpu_enable();
	else if (!live && cpu->fpu_enabled)
		fpu_disable();
}
