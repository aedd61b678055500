/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads as the machine sees them: first registers, what users may ask for, switching, idling. */
#include "kern/assert.h"
#include "kern/stretch.h"
#include "kern/thread.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/offsets.h"
#include "x86_64/pmap.h"

#define RFLAGS_ONE (1u << 1)
#define RFLAGS_IF (1u << 9)
/* What a user may set: CF PF AF ZF SF TF DF OF RF AC ID. */
#define RFLAGS_USER 0x250dd5u

void machine_thread_init(struct regs *regs, uint64_t rip, uint64_t rsp)
{
	/* Word by word: the compiler would clear it by a loop first. */
	regs->r15 = regs->r14 = regs->r13 = regs->r12 = regs->rbp = regs->rbx = 0;
	regs->r11 = regs->r10 = regs->r9 = regs->r8 = regs->rax = regs->rcx = regs->rdx = regs->rsi = regs->rdi = 0;
	regs->vector = regs->error = 0;
	regs->rip = rip;
	regs->cs = USER_CS;
	regs->rflags = RFLAGS_ONE | RFLAGS_IF;
	regs->rsp = rsp;
	regs->ss = USER_DS;
}

void machine_regs_changed(struct regs *regs)
{
	regs->cs = USER_CS;
	regs->ss = USER_DS;
	regs->rflags = (regs->rflags & RFLAGS_USER) | RFLAGS_ONE | RFLAGS_IF;
	/* No system call's registers any more: all of them are restored at the return, rcx and
	   r11 too. */
	regs->vector = 0;
	regs->error = 0;
}

/* What every switch to a thread does. The FS base is loaded always: most threads have one, and a user may have made it 0 by
   loading a selector. */
static inline __attribute__((always_inline)) void make_current(struct thread *to)
{
	cpu_current()->thread = to;
	cpu_set_trap_stack(to);
	wrmsr_from(MSR_FS_BASE, &to->regs.fs_base);
}

void machine_switch(struct thread *from, struct thread *to, struct pmap *pmap)
{
	cpu_local *cpu = cpu_current();

	pmap_activate(pmap);
	fpu_switch(from, to);
	if (!to) {
		cpu->thread = NULL;
		return;
	}
	make_current(to);
	if (to->has_gs_base || cpu->has_gs_base) {
		wrmsr(MSR_KERNEL_GS_BASE, to->regs.gs_base);
		cpu->has_gs_base = to->has_gs_base;
	}
}

void machine_pass(struct thread *from, struct thread *to, struct pmap *pmap)
{
	machine_switch(from, to, pmap);
	if (!cpu_current()->ast)
		syscall_return(from, to);
	to->regs.rax = 0;
	user_return();
}

void machine_pass_plain(struct thread *from, struct thread *to, struct pmap *pmap)
{
	assert(to->regs.vector == VECTOR_SYSCALL && !to->has_fpu && !to->has_gs_base && cpu_current()->unusual == 0);
	pmap_activate(pmap);
	make_current(to);
	syscall_return(from, to);
}

void machine_idle(void)
{
	stretch_note(machine_idle);
	__asm__ volatile("sti; hlt; cli" : : : "memory");
	stretch_begin();
}

void machine_window(void)
{
	stretch_note(__builtin_return_address(0));
	__asm__ volatile("sti; nop; cli" : : : "memory");
	stretch_begin();
}
