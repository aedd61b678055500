/* SPDX-License-Identifier: BSD-2-Clause */
/* Traps that strike the kernel itself, interrupts, and copying of user memory. */
#include <stddef.h>
#include "kern/panic.h"
#include "kern/stretch.h"
#include "x86_64/console.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/offsets.h"

#define IRQ_TIMER 0
#define IRQ_KEYBOARD 1
#define IRQ_COM1 4

/* Instructions that may fault on user addresses, and where to go on. */
struct fixup { uint64_t begin, end, target; };
extern const struct fixup fixup_start[], fixup_end[];
bool user_copy(void *to, const void *from, uint64_t size, uint64_t *fault);

static const struct fixup *fixup_find(uint64_t rip)
{
	for (const struct fixup *f = fixup_start; f < fixup_end; f++)
		if (rip >= f->begin && rip < f->end)
			return f;
	return NULL;
}

void trap_kernel(struct regs *regs)
{
	if (regs->vector >= VECTOR_IRQ_BASE) {
		machine_interrupt(regs->vector);
		return;
	}
	uint64_t address = cr2_read();
	const struct fixup *fixup = fixup_find(regs->rip);
	if (regs->vector == VECTOR_PAGE_FAULT && address < USER_ADDRESS_MAX && fixup) {
		regs->rip = fixup->target;
		regs->rax = address;
		return;
	}
	panic_regs(regs, "trap %lu in the kernel, error %lx, address %lx", regs->vector, regs->error, address);
}

void trap_fatal(struct regs *regs)
{
	const char *what = regs->vector == 2 ? "non-maskable interrupt" :
		regs->vector == 8 ? "double fault" : "machine check";

	panic_regs(regs, "%s, address %lx", what, cr2_read());
}

void machine_interrupt(unsigned vector)
{
	unsigned irq = vector - VECTOR_IRQ_BASE;

	stretch_begin();
	if (!pic_acknowledge(irq))
		return;
	if (irq == IRQ_TIMER)
		clock_tick();
	else if (irq == IRQ_COM1 || irq == IRQ_KEYBOARD)
		console_interrupt(irq);
	stretch_note(machine_interrupt);
}

static bool user_range_valid(uint64_t address, uint64_t size, uint64_t *fault)
{
	if (address < USER_ADDRESS_MAX && size <= USER_ADDRESS_MAX - address)
		return true;
	*fault = address;
	return false;
}

bool user_copy_in(void *to, uint64_t from, uint64_t size, uint64_t *fault)
{
	return user_range_valid(from, size, fault) && user_copy(to, (const void *)from, size, fault);
}

bool user_copy_out(uint64_t to, const void *from, uint64_t size, uint64_t *fault)
{
	return user_range_valid(to, size, fault) && user_copy((void *)to, from, size, fault);
}
