/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The traps as functions. The kernel wants the fourth argument in r10 (rcx is
 * lost) and the seventh and later ones above the return address: where a
 * caller puts them anyway.
 */
#include <mach/syscall_sw.h>

#define THREAD_WATCHER		56		/* in struct thread; mach_msg.c checks it */
#define MACH_SEND_INTERRUPTED	0x10000007
#define MACH_RCV_INTERRUPTED	0x10004005

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

/*
 * mach_msg: the trap, unless the thread's calls are watched; interrupted, it goes on in C (mach_msg.c), with the
 * arguments as they were: the kernel keeps the registers of arguments.
 */
	.globl	mach_msg
	.type	mach_msg, @function
	.balign	16
mach_msg:
	cmpq	$0, %fs:THREAD_WATCHER
	jne	mach_msg_watched
	movl	$TRAP_mach_msg_trap, %eax
	movq	%rcx, %r10
	syscall
	testl	%eax, %eax
	jne	1f
	ret
1:	movq	%r10, %rcx
	cmpl	$MACH_SEND_INTERRUPTED, %eax
	je	mach_msg_sent_again
	cmpl	$MACH_RCV_INTERRUPTED, %eax
	je	mach_msg_received_again
	ret
	.size	mach_msg, . - mach_msg

	.section .note.GNU-stack, "", @progbits
