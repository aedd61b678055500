/* SPDX-License-Identifier: BSD-2-Clause */
/* Multiboot 1 header and the way from 32-bit protected mode to boot_start in long mode.
   (Multiboot Specification 0.6.96, 3.1 and 3.2; AMD64 manual volume 2, 14.6 for the order of the
   steps.) */
#include "x86_64/offsets.h"

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000003	/* modules page aligned, memory map wanted */

	.section .multiboot, "a"
	.balign 8
	.long MULTIBOOT_MAGIC, MULTIBOOT_FLAGS, -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

	.section .boot.text, "ax"
	.code32
	.globl boot_entry
boot_entry:
	cli
	cld
	movl $boot_stack_end, %esp
	movl %eax, %ebp			/* the loader's magic */
	movl %ebx, %esi			/* its information */
	rdtsc				/* where the boot's instructions are counted from */
	pushl %edx
	pushl %eax
	movl $0x80000000, %eax
	cpuid
	cmpl $0x80000001, %eax
	jb no_long_mode
	movl $0x80000001, %eax
	cpuid
	testl $(1 << 29), %edx
	jz no_long_mode

	/* 4 GiB in 2 MiB pages, seen at 0 and in the direct map; the first of them at the
	   kernel's place too. The loader has zeroed the tables (they are bss). */
	movl $boot_pd, %edi
	movl $0x83, %eax
	movl $2048, %ecx
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $boot_pdpt, %edi
	movl $boot_pd + 3, %eax
	movl $4, %ecx
1:	movl %eax, (%edi)
	addl $0x1000, %eax
	addl $8, %edi
	decl %ecx
	jnz 1b
	movl $boot_pd + 3, boot_pdpt_high + 510 * 8
	movl $boot_pdpt + 3, boot_pml4
	movl $boot_pdpt + 3, boot_pml4 + 256 * 8
	movl $boot_pdpt_high + 3, boot_pml4 + 511 * 8

	movl %cr4, %eax
	orl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl $boot_pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $0x100, %eax		/* LME */
	wrmsr
	movl %cr0, %eax
	orl $0x80000001, %eax		/* PG, PE */
	movl %eax, %cr0
	lgdt boot_gdt_pointer
	ljmp $KERNEL_CS, $boot_long

	/* Nothing of the kernel runs on such a processor, so the announcement is made here. */
no_long_mode:
	movl $no_long_mode_text, %esi
1:	lodsb
	testb %al, %al
	jz 2f
	movw $0xe9, %dx
	outb %al, %dx
	movw $0x3f8, %dx
	outb %al, %dx
	jmp 1b
2:	movw $0xf4, %dx
	movl $0x23, %eax
	outl %eax, %dx
3:	hlt
	jmp 3b

	.code64
boot_long:
	movl $KERNEL_DS, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	xorl %eax, %eax
	movl %eax, %fs
	movl %eax, %gs
	movl %ebp, %edi
	movl $boot_stack_end - 8, %eax
	movq (%rax), %rdx
	movabsq $kernel_stack_top, %rsp
	xorl %ebp, %ebp
	movabsq $boot_start, %rax
	call *%rax
	ud2

	.section .boot.data, "aw"
	.balign 8
boot_gdt:
	.quad 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
boot_gdt_pointer:
	.word . - boot_gdt - 1
	.quad boot_gdt
no_long_mode_text:
	.asciz "cannot boot: the processor has no 64-bit mode\n"

	.section .boot.bss, "aw", @nobits
	.balign 4096
boot_pml4:	.skip 4096
boot_pdpt:	.skip 4096
boot_pdpt_high:	.skip 4096
boot_pd:	.skip 4 * 4096
		.skip 512
boot_stack_end:

	.section .note.GNU-stack, "", @progbits
