/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads as the machine sees them: first registers, what users may ask for, switching, idling. */
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

void machine_switch(struct thread *from, struct thread *to, struct pmap *pmap)
{
	struct cpu *cpu = cpu_current();

	pmap_activate(pmap ? pmap : &kernel_pmap);
	fpu_switch(from, to);
	cpu->thread = to;
	if (!to)
		return;
	cpu_set_trap_stack(to);
	cpu_load_bases(to->regs.fs_base, to->regs.gs_base);
}

static inline __attribute__((always_inline)) _Noreturn void pass(struct cpu *cpu, struct thread *to)
{
	cpu->thread = to;
	cpu_set_trap_stack(to);
	cpu_load_bases(to->regs.fs_base, to->regs.gs_base);
	syscall_return(to);
}

/* Apart, so that the common way need not keep anything over a call. */
static _Noreturn __attribute__((noinline)) void pass_with_fpu(struct thread *from, struct thread *to)
{
	fpu_switch(from, to);
	pass(cpu_current(), to);
}

void machine_pass(struct thread *from, struct thread *to, struct pmap *pmap)
{
	struct cpu *cpu = cpu_current();

	pmap_activate(pmap);
	if (to->has_fpu || cpu->fpu_enabled)
		pass_with_fpu(from, to);
	pass(cpu, to);
}

void machine_load_bases(const struct regs *regs)
{
	cpu_load_bases(regs->fs_base, regs->gs_base);
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
