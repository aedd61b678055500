/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps from user mode: page faults are resolved, the FPU is given out, the rest become exceptions. */
#include <mach/exception.h>
#include <mach/kern_return.h>
#include "kern/ast.h"
#include "kern/exception.h"
#include "kern/stretch.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

/* Vectors and the page-fault error code: Intel SDM volume 3, chapter 6. */
#define VECTOR_FPU_UNAVAILABLE 7
#define VECTOR_PAGE_FAULT 14
#define PAGE_FAULT_WRITE 2
#define PAGE_FAULT_FETCH 16

/* Exception and code for the vectors that are neither page faults nor the FPU's. */
static const struct { uint8_t exception, code; } trap_table[32] = {
	[0] = {EXC_ARITHMETIC, EXC_I386_DIV},
	[1] = {EXC_BREAKPOINT, EXC_I386_SGL},
	[2] = {EXC_SOFTWARE, EXC_I386_NMIFLT},
	[3] = {EXC_BREAKPOINT, EXC_I386_BPT},
	[4] = {EXC_ARITHMETIC, EXC_I386_INTO},
	[5] = {EXC_SOFTWARE, EXC_I386_BOUND},
	[6] = {EXC_BAD_INSTRUCTION, EXC_I386_INVOP},
	[10] = {EXC_BAD_INSTRUCTION, EXC_I386_INVTSSFLT},
	[11] = {EXC_BAD_INSTRUCTION, EXC_I386_SEGNPFLT},
	[12] = {EXC_BAD_INSTRUCTION, EXC_I386_STKFLT},
	[13] = {EXC_BAD_INSTRUCTION, EXC_I386_GPFLT},
	[16] = {EXC_ARITHMETIC, EXC_I386_EXTERR},
	[17] = {EXC_BAD_ACCESS, EXC_I386_GPFLT},
	[19] = {EXC_ARITHMETIC, EXC_I386_EXTERR},
};

/* The thread's first FPU instruction: it gets a state, charged to its ledger, or an exception. */
static void trap_fpu(struct thread *thread)
{
	struct cpu *cpu = cpu_current();

	if (!thread_fpu_make(thread)) {
		exception_raise(thread, EXC_BAD_ACCESS, KERN_RESOURCE_SHORTAGE, thread->regs.rip);
		return;
	}
	fpu_enable();
	if (cpu->fpu_owner != thread)
		fpu_restore(thread->fpu);
	cpu->fpu_owner = thread;
}

static void trap_page_fault(struct thread *thread, uint64_t error, uint64_t address)
{
	vm_prot_t access = VM_PROT_READ;
	kern_return_t result = KERN_INVALID_ADDRESS;

	if (error & PAGE_FAULT_WRITE)
		access |= VM_PROT_WRITE;
	if (error & PAGE_FAULT_FETCH)
		access |= VM_PROT_EXECUTE;
	if (address < USER_ADDRESS_MAX)
		result = vm_fault(&thread->task->map, address, access);
	if (result != KERN_SUCCESS)
		exception_raise(thread, EXC_BAD_ACCESS, (unsigned)result, address);
}

void trap_user(struct thread *thread, unsigned vector, uint64_t error, uint64_t address)
{
	stretch_begin();
	thread->fail_armed = 0;		/* fail-nth is about a call, and that is over */
	if (vector == VECTOR_PAGE_FAULT)
		trap_page_fault(thread, error, address);
	else if (vector == VECTOR_FPU_UNAVAILABLE)
		trap_fpu(thread);
	else if (vector < 32 && trap_table[vector].exception != 0)
		exception_raise(thread, trap_table[vector].exception, trap_table[vector].code, error);
	else
		exception_raise(thread, EXC_BAD_INSTRUCTION, EXC_I386_INVOP, vector);
	if (thread->state != THREAD_RUNNING)
		sched_switch();
	sched_handoff_undo();
	stretch_note(trap_user);
}
