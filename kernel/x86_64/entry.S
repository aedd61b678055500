/* SPDX-License-Identifier: BSD-2-Clause */
/* The ways into the kernel and out of it.

   A thread has no kernel stack: user registers go straight into struct regs, the first member of
   struct thread. System calls store them there (the CPU tells nothing but rip and rflags); for
   traps TSS.rsp0 points behind regs.ss, so that the CPU itself pushes into the thread. C then runs
   on the CPU's one kernel stack, from its top.

   A thread in user mode has VECTOR_SYSCALL in regs.vector: each return leaves it there, so that a
   system call need not say what it is. A trap puts its own vector there until its return.

   %gs is the kernel's between swapgs at entry and swapgs at exit. Interrupts are off throughout. */
#include "x86_64/offsets.h"

/* Replaced by stac or clac at boot when the processor has SMAP (cpu.c). */
.macro SMAP instruction
900:	nopl (%rax)			/* 3 bytes */
	.pushsection .patch_smap, "a"
	.quad 900b
	.long \instruction
	.long 0
	.popsection
.endm
#define STAC 0xcb010f
#define CLAC 0xca010f

.macro PUSH_ALL
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rax
	pushq %r8
	pushq %r9
	pushq %r10
	pushq %r11
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	cld
	SMAP CLAC
.endm

/* Those that a function in C may change. */
.macro POP_SCRATCH
	popq %r11
	popq %r10
	popq %r9
	popq %r8
	popq %rax
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
.endm

.macro POP_ALL
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	POP_SCRATCH
.endm

	.text
/* rcx: user rip, r11: user rflags. SFMASK has cleared IF, DF, TF, AC and NT.

   The number is -eax, an index of syscall_table (kern/syscall.c). What is not the common case goes to C:
   numbers beyond the table, all of them while calls are denied things or measured (syscall_uncommon), calls that
   made the thread wait (syscall_blocked), and whatever must be done before the user goes on. */
	.globl syscall_entry
	.type syscall_entry, @function
	.balign 64
syscall_entry:
	swapgs
	movq %rsp, %gs:CPU_SCRATCH
	movq %gs:CPU_THREAD, %rsp
	movq %rcx, REGS_RIP(%rsp)
	movq %r11, REGS_RFLAGS(%rsp)
	movq %gs:CPU_SCRATCH, %rcx
	movq %rcx, REGS_RSP(%rsp)
	movq %rax, REGS_RAX(%rsp)
	movq %rdi, REGS_RDI(%rsp)
	movq %rsi, REGS_RSI(%rsp)
	movq %rdx, REGS_RDX(%rsp)
	movq %r10, REGS_R10(%rsp)
	movq %r8, REGS_R8(%rsp)
	movq %r9, REGS_R9(%rsp)
	movq %rbx, REGS_RBX(%rsp)
	movq %rbp, REGS_RBP(%rsp)
	movq %r12, REGS_R12(%rsp)
	movq %r13, REGS_R13(%rsp)
	movq %r14, REGS_R14(%rsp)
	movq %r15, REGS_R15(%rsp)
	movq %rdi, %rcx
	movq %rsp, %rdi
	movq %gs:CPU_STACK_TOP, %rsp
	negl %eax
	cmpl syscalls_common(%rip), %eax
	jae 3f
	call *syscall_table(,%rax,8)
1:	cmpq $KERN_BLOCKED, %rax
	je 4f
	movq %gs:CPU_THREAD, %rcx
	/* CPU_HANDOFF as well, the byte behind it. */
	cmpw $0, %gs:CPU_AST
	jne 2f
	/* Whoever changes the current thread's registers sets the ast (thread_state.c). It returned, so rbx, rbp and r12 to r15 still are the user's. */
	movq REGS_RDI(%rcx), %rdi
	movq REGS_RSI(%rcx), %rsi
	movq REGS_RDX(%rcx), %rdx
	movq REGS_R10(%rcx), %r10
	movq REGS_R8(%rcx), %r8
	movq REGS_R9(%rcx), %r9
	movq REGS_RFLAGS(%rcx), %r11
	movq REGS_RSP(%rcx), %rsp
	movq REGS_RIP(%rcx), %rcx
	swapgs
	sysretq
2:	movq %rax, REGS_RAX(%rcx)
	call sched_handoff_undo
	jmp user_return
3:	call syscall_uncommon
	jmp 1b
4:	movq %gs:CPU_THREAD, %rdi
	call syscall_blocked
	ud2
	.size syscall_entry, . - syscall_entry

	.globl user_return
	.type user_return, @function
user_return:
	movq %gs:CPU_STACK_TOP, %rsp
	xorl %ebp, %ebp
1:	cmpb $0, %gs:CPU_AST
	je 2f
	movq %gs:CPU_THREAD, %rdi
	call ast_handle
	jmp 1b
2:	movq %gs:CPU_THREAD, %rsp
	addq $REGS_R15, %rsp
	POP_ALL
	cmpl $VECTOR_SYSCALL, (%rsp)
	jne 3f
	movq REGS_RIP - REGS_VECTOR(%rsp), %rcx
	movq REGS_RFLAGS - REGS_VECTOR(%rsp), %r11
	movq REGS_RSP - REGS_VECTOR(%rsp), %rsp
	swapgs
	sysretq
3:	movq $VECTOR_SYSCALL, (%rsp)
	addq $REGS_RIP - REGS_VECTOR, %rsp
	swapgs
	iretq
	.size user_return, . - user_return

/* void syscall_return(struct thread *from, struct thread *thread): the thread, current now, had waited in a system call, whose result is 0. No ast is set. */
	.globl syscall_return
	.type syscall_return, @function
syscall_return:
	movq REGS_RBX(%rsi), %rbx
	movq REGS_RBP(%rsi), %rbp
	movq REGS_R12(%rsi), %r12
	movq REGS_R13(%rsi), %r13
	movq REGS_R14(%rsi), %r14
	movq REGS_R15(%rsi), %r15
	movq REGS_RDX(%rsi), %rdx
	movq REGS_R10(%rsi), %r10
	movq REGS_R8(%rsi), %r8
	movq REGS_R9(%rsi), %r9
	movq REGS_RFLAGS(%rsi), %r11
	movq REGS_RIP(%rsi), %rcx
	movq REGS_RSP(%rsi), %rsp
	movq REGS_RDI(%rsi), %rdi
	movq REGS_RSI(%rsi), %rsi
	xorl %eax, %eax
	swapgs
	sysretq
	.size syscall_return, . - syscall_return

	.globl stack_reset_call
	.type stack_reset_call, @function
stack_reset_call:
	movq %gs:CPU_STACK_TOP, %rsp
	xorl %ebp, %ebp
	movq %rdi, %rax
	movq %rsi, %rdi
	call *%rax
	ud2
	.size stack_reset_call, . - stack_reset_call

/* On the stack: vector, error, rip, cs, rflags, rsp, ss. */
	.type trap_common, @function
trap_common:
	testb $3, REGS_CS - REGS_VECTOR(%rsp)
	jz trap_in_kernel
	swapgs
	PUSH_ALL
	leaq -REGS_R15(%rsp), %rdi
	movl REGS_VECTOR(%rdi), %esi
	movq REGS_ERROR(%rdi), %rdx
	movq %gs:CPU_STACK_TOP, %rsp
	xorl %ebp, %ebp
	cmpl $VECTOR_IRQ_BASE, %esi
	jae 1f
	call trap_user
	jmp user_return
1:	movl %esi, %edi
	call machine_interrupt
	jmp user_return
	.size trap_common, . - trap_common

/* The same of a page fault. As after a system call, one that is resolved leaves rbx, rbp and r12 to r15 to C. */
	.type trap_fault, @function
trap_fault:
	testb $3, REGS_CS - REGS_VECTOR(%rsp)
	jz trap_in_kernel
	swapgs
	PUSH_ALL
	leaq -REGS_R15(%rsp), %rdi
	movq %cr2, %rsi
	movq REGS_ERROR(%rdi), %rdx
	movq %gs:CPU_STACK_TOP, %rsp
	call trap_page_fault
	testb %al, %al
	je user_return
	/* CPU_HANDOFF as well, the byte behind it. */
	cmpw $0, %gs:CPU_AST
	jne 1f
	movq %gs:CPU_THREAD, %rsp
	addq $REGS_R11, %rsp
	POP_SCRATCH
	movq $VECTOR_SYSCALL, (%rsp)
	addq $REGS_RIP - REGS_VECTOR, %rsp
	swapgs
	iretq
1:	call sched_handoff_undo
	jmp user_return
	.size trap_fault, . - trap_fault

/* Interrupts of the idle CPU and of windows, and faults that user_copy may take. */
	.type trap_in_kernel, @function
trap_in_kernel:
	PUSH_ALL
	subq $REGS_R15, %rsp
	movq %rsp, %rdi
	call trap_kernel
	addq $REGS_R15, %rsp
	POP_ALL
	addq $REGS_RIP - REGS_VECTOR, %rsp
	iretq
	.size trap_in_kernel, . - trap_in_kernel

/* NMI, double fault, machine check: on a stack of their own, and never back. They may have
   struck between an entry and its swapgs; users' bases are below 2^47, the kernel's is not. */
	.type trap_on_ist, @function
trap_on_ist:
	PUSH_ALL
	subq $REGS_R15, %rsp
	movl $MSR_GS_BASE, %ecx
	rdmsr
	testl %edx, %edx
	js 1f
	swapgs
1:	movq %rsp, %rdi
	call trap_fatal
	ud2
	.size trap_on_ist, . - trap_on_ist

/* One stub of 16 bytes for each vector; those without an error code push 0. */
	.globl trap_stubs
	.balign 16
	.type trap_stubs, @function
trap_stubs:
	.set vector, 0
	.rept VECTORS
	.balign 16
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21)
	.else
	pushq $0
	.endif
	pushq $vector
	.if (vector == 2) || (vector == 8) || (vector == 18)
	jmp trap_on_ist
	.elseif vector == VECTOR_PAGE_FAULT
	jmp trap_fault
	.else
	jmp trap_common
	.endif
	.set vector, vector + 1
	.endr
	.size trap_stubs, . - trap_stubs

/* bool user_copy(void *to, const void *from, uint64_t size, uint64_t *fault): one of to and from
   is a user's. A page fault in here continues at user_copy_fault with the address in rax. No
   string instructions: they are slow to start, and counted one for each step where instructions
   are counted. */
	.globl user_copy
	.type user_copy, @function
user_copy:
	SMAP STAC
user_copy_begin:
	subq $32, %rdx
	jb 2f
1:	movq (%rsi), %r8
	movq 8(%rsi), %r9
	movq 16(%rsi), %r10
	movq 24(%rsi), %r11
	movq %r8, (%rdi)
	movq %r9, 8(%rdi)
	movq %r10, 16(%rdi)
	movq %r11, 24(%rdi)
	addq $32, %rsi
	addq $32, %rdi
	subq $32, %rdx
	jae 1b
2:	addq $32, %rdx
	jz 6f
	testb $16, %dl
	jz 3f
	movq (%rsi), %r8
	movq 8(%rsi), %r9
	movq %r8, (%rdi)
	movq %r9, 8(%rdi)
	addq $16, %rsi
	addq $16, %rdi
3:	testb $8, %dl
	jz 4f
	movq (%rsi), %r8
	movq %r8, (%rdi)
	addq $8, %rsi
	addq $8, %rdi
4:	andl $7, %edx
	jz 6f
5:	movzbl (%rsi), %eax
	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decq %rdx
	jnz 5b
user_copy_end:
6:	SMAP CLAC
	movl $1, %eax
	ret
user_copy_fault:
	SMAP CLAC
	movq %rax, (%rcx)
	xorl %eax, %eax
	ret
	.size user_copy, . - user_copy

	.section .fixup, "a"
	.quad user_copy_begin, user_copy_end, user_copy_fault

	.section .note.GNU-stack, "", @progbits
