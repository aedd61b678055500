/* SPDX-License-Identifier: BSD-2-Clause */
/* The saved user registers of a thread: the first member of struct thread. System calls and
   traps push them right there: TSS.rsp0 points behind `ss`, so a thread needs no kernel stack.
   16-byte aligned size. */
#ifndef X86_64_REGS_H
#define X86_64_REGS_H
#include <stdint.h>

struct regs {
	uint64_t fs_base, gs_base;	/* user's; saved and loaded at thread switch, not at entry */
	uint64_t r15, r14, r13, r12, rbp, rbx;
	uint64_t r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector;		/* trap number; 256: system call */
	uint64_t error;
	uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct regs) == 24 * 8, "regs end 16-byte aligned");
#define REGS_VECTOR_SYSCALL 256

/* The FPU's registers: an image by FXSAVE of so many bytes, 16-byte aligned. */
#define FPU_STATE_SIZE 512

#endif
