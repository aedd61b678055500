/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The traps as functions. The kernel wants the fourth argument in r10 (rcx is
 * lost) and the seventh and later ones above the return address: where a
 * caller puts them anyway.
 */
#include <mach/syscall_sw.h>

	.text
#define T(name, number, arguments)	\
	.globl	name;			\
	.type	name, @function;	\
	.balign	16;			\
name:	movl	$number, %eax;		\
	movq	%rcx, %r10;		\
	syscall;			\
	ret;				\
	.size	name, . - name;

/* This one is wrapped: see mach_init.h. */
#define mach_task_self	mach_task_self_trap
MACH_TRAP_LIST(T)

	.section .note.GNU-stack, "", @progbits
