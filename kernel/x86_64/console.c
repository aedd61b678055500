/* SPDX-License-Identifier: BSD-2-Clause */
/* The console: output to COM1 and the screen, input from COM1 and the keyboard through one ring. */
#include "x86_64/console.h"
#include "kern/string.h"
#include "x86_64/cpu.h"

#define IRQ_COM1 4
#define IRQ_KEYBOARD 1
#define RING_SIZE 1024u		/* a power of two */
#define FIFO_SIZE 16

static bool started, initialised;
static bool to_serial = true, to_vga;
static char ring[RING_SIZE];
static volatile uint32_t ring_in, ring_out;

/* Output may come before console_init: to COM1. */
static void start(void)
{
	if (started)
		return;
	started = true;
	serial_init(&serial_com1);
	serial_init(&serial_com2);
}

void console_init(const char *which)
{
	start();
	initialised = true;
	to_vga = !which || strcmp(which, "com") != 0;
	to_serial = !which || strcmp(which, "vga") != 0;
	if (to_vga) {
		vga_init();
		keyboard_init();
	}
	if (to_serial) {
		serial_enable_interrupt(&serial_com1);
		pic_unmask(IRQ_COM1);
	}
}

void console_emergency(void)
{
	start();
	if (initialised)
		return;
	initialised = true;
	vga_init();
}

/* A terminal wants a carriage return before each line feed. Runs are written whole. */
static void write_serial(const char *bytes, uint64_t size)
{
	char buffer[256];
	uint64_t used = 0;

	for (uint64_t i = 0; i < size; i++) {
		if (bytes[i] == '\n')
			buffer[used++] = '\r';
		buffer[used++] = bytes[i];
		if (used >= sizeof(buffer) - 1) {
			serial_write(&serial_com1, buffer, used);
			used = 0;
		}
	}
	serial_write(&serial_com1, buffer, used);
}

/* What a serial port takes at once, the carriage return included, and at most one line: the screen may scroll for each. */
uint32_t console_step(const char *bytes, uint32_t size)
{
	uint32_t step = 0;

	while (step < size && step < FIFO_SIZE - 1) {
		if (bytes[step++] == '\n')
			break;
	}
	return step;
}

void console_await(void)
{
	if (to_serial)
		serial_await(&serial_com1);
}

void console_write(const char *bytes, uint64_t size)
{
	start();
	if (to_serial)
		write_serial(bytes, size);
	if (to_vga)
		vga_write(bytes, size);
}

void console_putc(char c)
{
	console_write(&c, 1);
}

void console_drain(void)
{
	start();
	serial_drain(&serial_com1);
	serial_drain(&serial_com2);
}

/* A full ring loses what comes. */
static void ring_put(int c)
{
	if (c < 0 || ring_in - ring_out >= RING_SIZE)
		return;
	ring[ring_in % RING_SIZE] = c;
	ring_in++;
}

void console_interrupt(unsigned irq)
{
	if (irq == IRQ_KEYBOARD) {
		ring_put(keyboard_getc());
	} else {
		int c;
		for (unsigned i = 0; i < FIFO_SIZE && (c = serial_getc(&serial_com1)) >= 0; i++)
			ring_put(c);
	}
	cpu_current()->input = true;
	cpu_current()->ast = true;
}

uint32_t console_peek(char *to, uint32_t max)
{
	uint32_t count = 0;

	for (; count < max && ring_out + count != ring_in; count++)
		to[count] = ring[(ring_out + count) % RING_SIZE];
	return count;
}

void console_drop(uint32_t count)
{
	ring_out += count;
}

int console_getc(void)
{
	char c;

	if (console_peek(&c, 1) == 0)
		return -1;
	console_drop(1);
	return (uint8_t)c;
}
