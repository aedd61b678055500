/* SPDX-License-Identifier: BSD-2-Clause */
/* Where a program starts: the stack holds argc, argv, NULL, envp, NULL. */
	.text
	.globl	_start
	.type	_start, @function
_start:
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	andq	$-16, %rsp
	call	program_start
	ud2
	.size	_start, . - _start
	.section .note.GNU-stack, "", @progbits
