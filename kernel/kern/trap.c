/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps from user mode: page faults are resolved, the FPU is given out, the rest become exceptions. */
#include <mach/exception.h>
#include <mach/kern_return.h>
#include "kern/ast.h"
#include "kern/exception.h"
#include "kern/likely.h"
#include "kern/stretch.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

/* Vectors and the page-fault error code: Intel SDM volume 3, chapter 6. */
#define VECTOR_FPU_UNAVAILABLE 7
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

/* Fail-nth is about a call, and that is over. */
static inline void fail_nth_over(struct thread *thread)
{
	if (unlikely(mem_fail_enabled) && thread->extra != NULL)
		thread->extra->fail_armed = 0;
}

/* The thread's first FPU instruction: it gets a state, charged to its ledger, or an exception. */
static void trap_fpu(struct thread *thread)
{
	cpu_local *cpu = cpu_current();

	if (!thread_fpu_make(thread)) {
		exception_raise(thread, EXC_BAD_ACCESS, KERN_RESOURCE_SHORTAGE, thread->regs.rip);
		return;
	}
	fpu_enable();
	if (cpu->fpu_owner != thread)
		fpu_restore(thread->extra->fpu);
	cpu->fpu_owner = thread;
}

/* An exception may have been raised. */
static void trap_end(struct thread *thread)
{
	if (thread->state != THREAD_RUNNING)
		sched_switch();
	sched_handoff_undo();
	stretch_note(trap_user);
}

static __attribute__((noinline)) bool page_fault_raise(struct thread *thread, kern_return_t result, uint64_t address)
{
	exception_raise(thread, EXC_BAD_ACCESS, (unsigned)result, address);
	trap_end(thread);
	return false;
}

/* The two bits of the error code that tell rights, moved to where they are in vm_prot_t. */
static inline vm_prot_t fault_access(uint64_t error)
{
	_Static_assert(PAGE_FAULT_WRITE == VM_PROT_WRITE && PAGE_FAULT_FETCH == VM_PROT_EXECUTE << 2, "bits of an error code");
	return VM_PROT_READ | (error & PAGE_FAULT_WRITE) | (error & PAGE_FAULT_FETCH) >> 2;
}

bool trap_page_fault(struct thread *thread, uint64_t address, uint64_t error)
{
	kern_return_t result = KERN_INVALID_ADDRESS;

	stretch_begin();
	fail_nth_over(thread);
	if (likely(address < USER_ADDRESS_MAX))
		result = vm_fault(&thread->task->map, address, fault_access(error));
	if (unlikely(result != KERN_SUCCESS))
		return page_fault_raise(thread, result, address);
	stretch_note(trap_page_fault);
	return true;
}

void trap_user(struct thread *thread, unsigned vector, uint64_t error)
{
	stretch_begin();
	fail_nth_over(thread);
	if (vector == VECTOR_FPU_UNAVAILABLE)
		trap_fpu(thread);
	else if (vector < 32 && trap_table[vector].exception != 0)
		exception_raise(thread, trap_table[vector].exception, trap_table[vector].code, error);
	else
		exception_raise(thread, EXC_BAD_INSTRUCTION, EXC_I386_INVOP, vector);
	trap_end(thread);
}
