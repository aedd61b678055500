/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor tables, stacks and system registers of the CPU. (AMD64 manual volume 2: 4.8
   descriptors, 8.2 vectors, 12.2.5 TSS; Intel SDM volume 3, 2.5 control registers.) */
#include "x86_64/cpu.h"
#include <stddef.h>
#include "kern/thread.h"
#include "x86_64/io.h"
#include "x86_64/offsets.h"

_Static_assert(offsetof(struct cpu, thread) == CPU_THREAD, "offsets.h");
_Static_assert(offsetof(struct cpu, stack_top) == CPU_STACK_TOP, "offsets.h");
_Static_assert(offsetof(struct cpu, scratch) == CPU_SCRATCH, "offsets.h");
_Static_assert(offsetof(struct cpu, ast) == CPU_AST, "offsets.h");
_Static_assert(offsetof(struct cpu, handoff) == CPU_HANDOFF && CPU_HANDOFF == CPU_AST + 1, "entry.S looks at both at once");
_Static_assert(offsetof(struct regs, r15) == REGS_R15, "offsets.h");
_Static_assert(offsetof(struct regs, rbx) == REGS_RBX, "offsets.h");
_Static_assert(offsetof(struct regs, rdi) == REGS_RDI, "offsets.h");
_Static_assert(offsetof(struct regs, vector) == REGS_VECTOR, "offsets.h");
_Static_assert(offsetof(struct regs, ss) == REGS_SS, "offsets.h");
_Static_assert(sizeof(struct regs) == REGS_SIZE, "offsets.h");
_Static_assert(offsetof(struct thread, regs) == 0, "traps push into struct thread");
_Static_assert(REGS_VECTOR_SYSCALL == VECTOR_SYSCALL, "offsets.h");

#define CR0_MP (1u << 1)
#define CR0_EM (1u << 2)
#define CR0_TS (1u << 3)
#define CR0_NE (1u << 5)
#define CR0_WP (1u << 16)
#define CR4_PGE (1u << 7)
#define CR4_OSFXSR (1u << 9)
#define CR4_OSXMMEXCPT (1u << 10)
#define CR4_UMIP (1u << 11)
#define CR4_SMEP (1u << 20)
#define CR4_SMAP (1u << 21)
#define EFER_SCE (1u << 0)
#define EFER_NXE (1u << 11)
#define RFLAGS_TF (1u << 8)
#define RFLAGS_IF (1u << 9)
#define RFLAGS_DF (1u << 10)
#define RFLAGS_NT (1u << 14)
#define RFLAGS_AC (1u << 18)

#define VECTOR_BREAKPOINT 3
#define VECTOR_OVERFLOW 4
#define IST_NMI 1
#define IST_DOUBLE_FAULT 2
#define IST_MACHINE_CHECK 3
#define TRAP_STUB_SIZE 16

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "long mode gate");

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, io_map;
} __attribute__((packed));
_Static_assert(sizeof(struct tss) == 104, "long mode TSS");

struct table_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct cpu boot_cpu;
static struct tss tss __attribute__((aligned(16)));
static struct gate idt[VECTORS] __attribute__((aligned(16)));
/* Entry 3 stays empty: no code may run in compatibility mode. */
static uint64_t gdt[8] __attribute__((aligned(16))) = {
	[KERNEL_CS / 8] = 0x00af9b000000ffff,
	[KERNEL_DS / 8] = 0x00cf93000000ffff,
	[USER_DS / 8] = 0x00cff3000000ffff,
	[USER_CS / 8] = 0x00affb000000ffff,
};
static char ist_stacks[3][IST_STACK_SIZE] __attribute__((aligned(16)));

/* kernel_stack_guard is a page that boot.c leaves unmapped. */
__asm__(".pushsection .bss.kernel_stack, \"aw\", @nobits\n"
	".balign 4096\n"
	".globl kernel_stack_guard, kernel_stack, kernel_stack_top\n"
	"kernel_stack_guard: .skip 4096\n"
	"kernel_stack: .skip 16384\n"
	"kernel_stack_top:\n"
	".popsection\n");
_Static_assert(KERNEL_STACK_SIZE == 16384, "as reserved above");

extern const char trap_stubs[];
extern const char syscall_entry[];

struct smap_patch {
	uint64_t address;
	uint32_t bytes, unused;
};
extern const struct smap_patch patch_smap_start[], patch_smap_end[];

static void load_descriptors(void)
{
	struct table_pointer gdt_pointer = {sizeof(gdt) - 1, (uint64_t)gdt};
	struct table_pointer idt_pointer = {sizeof(idt) - 1, (uint64_t)idt};
	uint64_t base = (uint64_t)&tss;

	gdt[TSS_SELECTOR / 8] = (sizeof(tss) - 1) | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
	tss.io_map = sizeof(tss);
	for (unsigned i = 0; i < 3; i++)
		tss.ist[i] = (uint64_t)(ist_stacks[i] + IST_STACK_SIZE);
	for (unsigned vector = 0; vector < VECTORS; vector++) {
		uint64_t stub = (uint64_t)trap_stubs + vector * TRAP_STUB_SIZE;
		bool user = vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW;
		uint8_t ist = vector == 2 ? IST_NMI : vector == 8 ? IST_DOUBLE_FAULT :
			vector == 18 ? IST_MACHINE_CHECK : 0;

		idt[vector] = (struct gate){
			.offset_low = stub & 0xffff, .offset_middle = stub >> 16 & 0xffff, .offset_high = stub >> 32,
			.selector = KERNEL_CS, .ist = ist, .type = user ? 0xee : 0x8e,
		};
	}
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(gdt_pointer), "m"(idt_pointer), "r"(TSS_SELECTOR));
}

/* Kernel text is still writable. */
static void patch_smap(void)
{
	for (const struct smap_patch *p = patch_smap_start; p < patch_smap_end; p++) {
		uint8_t *code = (uint8_t *)p->address;
		for (unsigned i = 0; i < 3; i++)
			code[i] = p->bytes >> (8 * i);
	}
}

static void init_control_registers(void)
{
	struct cpuid basic = cpuid(1, 0), extended = cpuid(0x80000001, 0), structured = {0};
	uint64_t cr4 = cr4_read();

	if (!(extended.d & 1u << 20))
		machine_cannot_boot("the processor has no no-execute bit");
	if (!(basic.d & 1u << 24))
		machine_cannot_boot("the processor has no FXSAVE");
	if (cpuid(0, 0).a >= 7)
		structured = cpuid(7, 0);
	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	if (basic.d & 1u << 13)
		cr4 |= CR4_PGE;
	if (structured.b & 1u << 7)
		cr4 |= CR4_SMEP;
	if (structured.c & 1u << 2)
		cr4 |= CR4_UMIP;
	if (structured.b & 1u << 20) {
		patch_smap();
		cr4 |= CR4_SMAP;
	}
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
	cr4_write(cr4);
	cr0_write((cr0_read() & ~(uint64_t)CR0_EM) | CR0_MP | CR0_NE | CR0_WP | CR0_TS);
}

void cpu_init(void)
{
	boot_cpu.stack_top = (uint64_t)kernel_stack_top;
	load_descriptors();
	wrmsr(MSR_GS_BASE, (uint64_t)&boot_cpu);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	init_control_registers();
	wrmsr(MSR_STAR, (uint64_t)SYSRET_BASE << 48 | (uint64_t)KERNEL_CS << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC);
	fpu_init();
}

inline void cpu_set_trap_stack(struct thread *thread)
{
	tss.rsp[0] = (uint64_t)thread + REGS_SIZE;
}

uint64_t cpu_physical_limit(void)
{
	unsigned bits = 36;

	if (cpuid(0x80000000, 0).a >= 0x80000008)
		bits = cpuid(0x80000008, 0).a & 0xff;
	return 1ull << (bits < 46 ? bits : 46);
}

bool cpu_has_1g_pages(void)
{
	return cpuid(0x80000001, 0).d & 1u << 26;
}

bool cpu_stack_readable(uint64_t address)
{
	uint64_t ist = (uint64_t)ist_stacks;

	if (address % 8 != 0)
		return false;
	if (address >= (uint64_t)kernel_stack && address <= (uint64_t)kernel_stack_top - 16)
		return true;
	return address >= ist && address <= ist + sizeof(ist_stacks) - 16;
}
