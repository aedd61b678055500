/* SPDX-License-Identifier: BSD-2-Clause */
/* How a trap is entered on x86-64: syscall, number in rax. */
#ifndef MACH_MACHINE_SYSCALL_SW_H
#define MACH_MACHINE_SYSCALL_SW_H

/*
 * Arguments in rdi, rsi, rdx, r10, r8, r9, then on the stack from rsp+8 on;
 * result in rax; rcx and r11 are lost.
 */
#ifdef __ASSEMBLER__
#define kernel_trap(trap_name, trap_number, number_args)	\
	.globl	trap_name;					\
	.type	trap_name, @function;				\
trap_name:							\
	movq	$(trap_number), %rax;				\
	movq	%rcx, %r10;					\
	syscall;						\
	ret;							\
	.size	trap_name, . - trap_name
#endif

#endif
