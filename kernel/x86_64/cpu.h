/* SPDX-License-Identifier: BSD-2-Clause */
/* Private to the machine: descriptor tables, model-specific registers, and the parts that start
   in order. */
#ifndef X86_64_CPU_H
#define X86_64_CPU_H
#include <stdbool.h>
#include <stdint.h>
#include "kern/likely.h"
#include "x86_64/io.h"
#include "x86_64/machine.h"
#include "x86_64/offsets.h"

/* Descriptor tables, %gs, system call registers, control registers. Needs only the boot page
   tables; before the kernel's text becomes read-only, because the SMAP instructions are patched
   in. Ends the machine when the processor lacks something. */
void cpu_init(void);
/* Where traps from user mode push: behind regs.ss of the thread. */
void cpu_set_trap_stack(struct thread *thread);
/* Largest physical address + 1 that the processor can form. */
uint64_t cpu_physical_limit(void);
bool cpu_has_1g_pages(void);
extern struct cpu boot_cpu;
/* Where the kernel's image is linked; it was loaded at physical 0 plus the offset. */
#define KERNEL_BASE 0xffffffff80000000ull
static inline uint64_t kernel_image_physical(const volatile void *address)
{
	return (uint64_t)address - KERNEL_BASE;
}

/* A kernel stack has an unmapped page below it. */
#define KERNEL_STACK_SIZE 16384
#define IST_STACK_SIZE 8192
extern char kernel_stack_guard[], kernel_stack[], kernel_stack_top[];
/* True when [address, address + 16) lies in a kernel stack: safe to read in a panic. */
bool cpu_stack_readable(uint64_t address);

/* trap.c */
struct regs;
void trap_kernel(struct regs *regs);
_Noreturn void trap_fatal(struct regs *regs);
void machine_interrupt(unsigned vector);
/* pic.c: the 8259 pair, vectors from VECTOR_IRQ_BASE. */
void pic_init(void);
void pic_unmask(unsigned irq);
/* Acknowledges; false: a spurious interrupt, nothing to do. */
bool pic_acknowledge(unsigned irq);
/* clock.c, rtc.c */
void clock_init(void);
void clock_tick(void);
uint64_t rtc_read_s(void);
/* pmap.c: the root that the CPU uses now. */
void pmap_activate(struct pmap *pmap);
/* fpu.c */
void fpu_init(void);
/* Saves from's state if it is live, and lets `to` go on with its own if it still is in the
   registers. */
void fpu_switch(struct thread *from, struct thread *to);

#endif
