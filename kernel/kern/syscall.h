/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls: arguments of the current one. */
#ifndef KERN_SYSCALL_H
#define KERN_SYSCALL_H
#include <stdbool.h>
#include <stdint.h>
#include "kern/thread.h"

/* Arguments 0..5 are in registers, 6 and up on the user stack. */
static inline uint64_t syscall_argument(const struct thread *thread, unsigned i)
{
	const struct regs *regs = &thread->regs;

	switch (i) {
	case 0: return regs->rdi;
	case 1: return regs->rsi;
	case 2: return regs->rdx;
	case 3: return regs->r10;
	case 4: return regs->r8;
	default: return regs->r9;
	}
}
/* Reads n arguments from the user stack (number 6 first). False: unreadable, the exception has been raised. */
bool syscall_stack_arguments(struct thread *thread, uint64_t *arguments, unsigned n);

/* What a handler gets: the thread, with all arguments in thread->regs, and those that are in registers still, as the user had them. */
#define UNUSED_ARGUMENT __attribute__((unused)) uint64_t
#define SYSCALL_ARGUMENTS struct thread *thread, UNUSED_ARGUMENT a1, UNUSED_ARGUMENT a2, UNUSED_ARGUMENT a0, UNUSED_ARGUMENT a4, UNUSED_ARGUMENT a5
/* Carries one system call out. Returns the result for rax, or KERN_BLOCKED. */
typedef int64_t syscall_handler(SYSCALL_ARGUMENTS);
/* By -eax. */
extern syscall_handler *const syscall_table[];
/* From now on every call takes the way by syscall_uncommon. */
void syscalls_watch(void);
/* -- for entry.S -- */
/* Calls below it go by the table at once. */
extern uint32_t syscalls_common;
/* The end of a call that does not return to entry.S, with that result. */
_Noreturn void syscall_end(struct thread *thread, int64_t result);
/* A call by a bad number, which is an exception, or one in which something may be denied on purpose (fail-nth). */
int64_t syscall_uncommon(struct thread *thread);
/* After KERN_BLOCKED: another thread runs; or this one, from its registers as they are now, or by its continuation when it
   pauses. */
_Noreturn void syscall_blocked(struct thread *thread);

#endif
