/* SPDX-License-Identifier: BSD-2-Clause */
/* Offsets and numbers that assembly shares with C; cpu.c checks them against the structs. */
#ifndef X86_64_OFFSETS_H
#define X86_64_OFFSETS_H

/* struct cpu */
#define CPU_THREAD	0
#define CPU_STACK_TOP	8
#define CPU_SCRATCH	16
#define CPU_AST		24
#define CPU_HANDOFF	25

/* struct regs, at the start of struct thread */
#define REGS_R15	16
#define REGS_R14	24
#define REGS_R13	32
#define REGS_R12	40
#define REGS_RBP	48
#define REGS_RBX	56
#define REGS_R11	64
#define REGS_R10	72
#define REGS_R9		80
#define REGS_R8		88
#define REGS_RAX	96
#define REGS_RCX	104
#define REGS_RDX	112
#define REGS_RSI	120
#define REGS_RDI	128
#define REGS_VECTOR	136
#define REGS_ERROR	144
#define REGS_RIP	152
#define REGS_CS		160
#define REGS_RFLAGS	168
#define REGS_RSP	176
#define REGS_SS		184
#define REGS_SIZE	192

#define SYSCALLS	130		/* length of syscall_table */
#define KERN_BLOCKED	(-1000)		/* kern/wait.h */

#define VECTOR_PAGE_FAULT 14
#define VECTOR_SYSCALL	256
#define VECTOR_IRQ_BASE	32
#define VECTORS		48

/* Selectors. SYSRET takes SS = STAR[63:48] + 8 and CS = STAR[63:48] + 16 (AMD64 manual volume 3,
   SYSRET). */
#define KERNEL_CS	0x08
#define KERNEL_DS	0x10
#define SYSRET_BASE	0x1b
#define USER_DS		0x23
#define USER_CS		0x2b
#define TSS_SELECTOR	0x30

#define MSR_EFER	0xc0000080
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_SFMASK	0xc0000084
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102

#endif
