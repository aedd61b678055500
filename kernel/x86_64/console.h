/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of the console, and its input as interrupts bring it. */
#ifndef X86_64_CONSOLE_H
#define X86_64_CONSOLE_H
#include <stdbool.h>
#include <stdint.h>

/* IRQ of the keyboard (1) or COM1 (4). */
void console_interrupt(unsigned irq);
/* Before the last words of a machine whose console may not be initialised yet: the screen shows
   them too. */
void console_emergency(void);
/* Waits until all output has left the machine (bounded), before it ends. */
void console_drain(void);

/* serial.c: 16550 ports. Nothing happens on a port that is not there. */
struct serial {
	uint16_t port;
	bool present;
	bool stuck;		/* it took nothing for seconds */
};
extern struct serial serial_com1, serial_com2;
void serial_init(struct serial *serial);
void serial_enable_interrupt(struct serial *serial);
/* Waits until it takes 16 bytes at once or is stuck. Interrupts get windows, so not for their handlers. */
void serial_await(struct serial *serial);
void serial_write(struct serial *serial, const char *bytes, uint64_t size);
void serial_drain(struct serial *serial);
int serial_getc(struct serial *serial);		/* -1: none */

/* vga.c: 80x25 text. */
void vga_init(void);
void vga_write(const char *bytes, uint64_t size);

/* keyboard.c: PS/2, US layout. */
void keyboard_init(void);
int keyboard_getc(void);			/* takes one scan code; -1: it made no character */

#endif
