/* SPDX-License-Identifier: BSD-2-Clause */
/* panic: says what broke and where, and ends the machine. It allocates nothing, takes no lock
   and waits for nothing; a panic inside a panic ends at once. */
#include "kern/panic.h"
#include <stdbool.h>
#include <stddef.h>
#include "kern/printf.h"
#include "mem/zone.h"

/* A release is compiled without frame pointers (Makefile). */
#ifdef NDEBUG
#define HAS_FRAMES false
#else
#define HAS_FRAMES true
#endif

struct ksym {
	uint64_t addr;
	uint32_t name_off;
};
/* Made by tools/ksyms from a first link. */
extern const struct ksym ksyms[] __attribute__((weak));
extern const uint32_t ksyms_count __attribute__((weak));
extern const char ksyms_names[] __attribute__((weak));

static bool panicking;

const char *ksym_find(uint64_t address, uint64_t *offset)
{
	/* A link without a table leaves the weak symbols at 0. */
	if (!&ksyms_count || ksyms_count == 0 || address < ksyms[0].addr)
		return NULL;
	uint32_t low = 0, high = ksyms_count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (ksyms[middle].addr <= address)
			low = middle;
		else
			high = middle;
	}
	*offset = address - ksyms[low].addr;
	return ksyms_names + ksyms[low].name_off;
}

static void print_place(uint64_t rip)
{
	uint64_t offset = 0;
	const char *name = ksym_find(rip, &offset);

	if (name)
		printf("  %016lx %s+0x%lx\n", rip, name, offset);
	else
		printf("  %016lx\n", rip);
}

static void print_regs(const struct regs *r)
{
	printf("rip %016lx rsp %016lx rflags %08lx cs %lx ss %lx\n", r->rip, r->rsp, r->rflags, r->cs, r->ss);
	printf("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
	printf("rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
	printf("r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
	printf("r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
}

static _Noreturn void panic_report(const struct regs *regs, const char *format, va_list args)
{
	if (panicking) {
		printf("\npanic inside a panic: ");
		vprintf(format, args);
		printf("\n");
		machine_panic_end();
	}
	panicking = true;
	machine_panic_begin();
	printf("\npanic: ");
	vprintf(format, args);
	printf("\n");
	print_regs(regs);
	printf("backtrace:\n");
	print_place(regs->rip);
	if (HAS_FRAMES)
		machine_backtrace(regs->rbp, print_place);
	zone_print();
	machine_panic_end();
}

void panic_regs(const struct regs *regs, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	panic_report(regs, format, args);
}

/* The callee-saved registers still are the caller's in spirit: those that it kept across the
   call. */
void panic(const char *format, ...)
{
	struct regs regs = {0};
	uint64_t frame = (uint64_t)__builtin_frame_address(0);
	va_list args;

	__asm__ volatile("mov %%rbx, %0; mov %%r12, %1; mov %%r13, %2; mov %%r14, %3; mov %%r15, %4"
		: "=m"(regs.rbx), "=m"(regs.r12), "=m"(regs.r13), "=m"(regs.r14), "=m"(regs.r15));
	__asm__ volatile("pushfq; popq %0" : "=r"(regs.rflags));
	regs.rip = (uint64_t)__builtin_return_address(0);
	regs.rbp = *(const uint64_t *)frame;
	regs.rsp = frame + 16;
	va_start(args, format);
	panic_report(&regs, format, args);
}
