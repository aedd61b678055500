/* SPDX-License-Identifier: BSD-2-Clause */
/* The 8259A pair (Intel 8259A datasheet: initialisation words, OCW2, OCW3). */
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/offsets.h"

#define MASTER 0x20
#define SLAVE 0xa0
#define COMMAND 0
#define DATA 1
#define ICW1 0x11		/* edge, cascade, ICW4 follows */
#define ICW4_8086 0x01
#define CASCADE_IRQ 2
#define OCW2_EOI 0x20
#define OCW3_READ_ISR 0x0b

static uint16_t mask = 0xffff & ~(1u << CASCADE_IRQ);

static void set_mask(void)
{
	outb(MASTER + DATA, mask & 0xff);
	outb(SLAVE + DATA, mask >> 8);
}

void pic_init(void)
{
	outb(MASTER + COMMAND, ICW1);
	outb(SLAVE + COMMAND, ICW1);
	outb(MASTER + DATA, VECTOR_IRQ_BASE);
	outb(SLAVE + DATA, VECTOR_IRQ_BASE + 8);
	outb(MASTER + DATA, 1 << CASCADE_IRQ);
	outb(SLAVE + DATA, CASCADE_IRQ);
	outb(MASTER + DATA, ICW4_8086);
	outb(SLAVE + DATA, ICW4_8086);
	set_mask();
}

void pic_unmask(unsigned irq)
{
	mask &= ~(1u << irq);
	set_mask();
}

static bool in_service(uint16_t chip, unsigned line)
{
	outb(chip + COMMAND, OCW3_READ_ISR);
	return inb(chip + COMMAND) & 1u << line;
}

bool pic_acknowledge(unsigned irq)
{
	/* Line 7 of either chip is also what it says when a request went away again. */
	if (irq == 7 && !in_service(MASTER, 7))
		return false;
	if (irq == 15 && !in_service(SLAVE, 7)) {
		outb(MASTER + COMMAND, OCW2_EOI);
		return false;
	}
	if (irq >= 8)
		outb(SLAVE + COMMAND, OCW2_EOI);
	outb(MASTER + COMMAND, OCW2_EOI);
	return true;
}
