/* SPDX-License-Identifier: BSD-2-Clause */
/* Serial ports (National Semiconductor PC16550D datasheet: registers, FIFO control, line
   status). */
#include "x86_64/console.h"
#include "x86_64/io.h"
#include "x86_64/machine.h"

#define DATA 0
#define INTERRUPT_ENABLE 1
#define FIFO_CONTROL 2
#define LINE_CONTROL 3
#define MODEM_CONTROL 4
#define LINE_STATUS 5
#define SCRATCH 7
#define IER_RECEIVED 0x01
#define FCR_ON_CLEAR 0x07
#define LCR_8N1 0x03
#define LCR_DIVISOR 0x80
#define MCR_DTR_RTS_OUT2 0x0b
#define LSR_RECEIVED 0x01
#define LSR_HOLDING_EMPTY 0x20
#define LSR_ALL_EMPTY 0x40
#define FIFO_SIZE 16
#define DIVISOR_115200 1
/* A byte takes 87 us at 115200 baud, and under QEMU as long as its reader leaves it waiting. A port
   that stays busy for this many looks (seconds) is stuck: until it is ready again, what is written
   is lost at once. */
#define BUSY_LOOKS 10000000
#define LOOKS_PIECE 16		/* before interrupts get a window */

struct serial serial_com1 = {.port = 0x3f8};
struct serial serial_com2 = {.port = 0x2f8};

void serial_init(struct serial *serial)
{
	uint16_t port = serial->port;

	outb(port + SCRATCH, 0x5a);
	serial->present = inb(port + SCRATCH) == 0x5a;
	if (!serial->present)
		return;
	outb(port + INTERRUPT_ENABLE, 0);
	outb(port + LINE_CONTROL, LCR_DIVISOR);
	outb(port + DATA, DIVISOR_115200);
	outb(port + INTERRUPT_ENABLE, 0);
	outb(port + LINE_CONTROL, LCR_8N1);
	outb(port + FIFO_CONTROL, FCR_ON_CLEAR);
	outb(port + MODEM_CONTROL, MCR_DTR_RTS_OUT2);
}

void serial_enable_interrupt(struct serial *serial)
{
	if (serial->present)
		outb(serial->port + INTERRUPT_ENABLE, IER_RECEIVED);
}

static bool wait_for(struct serial *serial, uint8_t status, bool windows)
{
	unsigned looks = serial->stuck ? 1 : BUSY_LOOKS;

	serial->stuck = false;
	for (unsigned i = 1; i <= looks; i++) {
		if (inb(serial->port + LINE_STATUS) & status)
			return true;
		if (windows && i % LOOKS_PIECE == 0)
			machine_window();
	}
	serial->stuck = true;
	return false;
}

void serial_await(struct serial *serial)
{
	if (serial->present)
		wait_for(serial, LSR_HOLDING_EMPTY, true);
}

void serial_write(struct serial *serial, const char *bytes, uint64_t size)
{
	if (!serial->present)
		return;
	/* An empty holding register means an empty FIFO: it takes 16 bytes without another look. */
	for (uint64_t done = 0; done < size;) {
		if (!wait_for(serial, LSR_HOLDING_EMPTY, false))
			return;
		for (unsigned i = 0; i < FIFO_SIZE && done < size; i++)
			outb(serial->port + DATA, bytes[done++]);
	}
}

void serial_drain(struct serial *serial)
{
	if (serial->present)
		wait_for(serial, LSR_ALL_EMPTY, false);
}

int serial_getc(struct serial *serial)
{
	if (!serial->present || !(inb(serial->port + LINE_STATUS) & LSR_RECEIVED))
		return -1;
	return inb(serial->port + DATA);
}

void com2_await(void)
{
	serial_await(&serial_com2);
}

void com2_write(const char *bytes, uint64_t size)
{
	serial_write(&serial_com2, bytes, size);
}

int com2_getc(void)
{
	return serial_getc(&serial_com2);
}
