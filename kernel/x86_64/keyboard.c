/* SPDX-License-Identifier: BSD-2-Clause */
/* The PS/2 keyboard, US layout, scan code set 1 as the controller translates it.
   (Intel 8042 / IBM PS/2 technical reference: status and command byte, scan codes.) */
#include "x86_64/console.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"

#define DATA 0x60
#define STATUS 0x64
#define COMMAND 0x64
#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL 0x02
#define READ_COMMAND_BYTE 0x20
#define WRITE_COMMAND_BYTE 0x60
#define ENABLE_KEYBOARD 0xae
#define BYTE_INTERRUPT 0x01
#define BYTE_DISABLED 0x10
#define BYTE_TRANSLATE 0x40
#define LOOKS 100000
#define IRQ_KEYBOARD 1

#define KEY_RELEASED 0x80
#define KEY_EXTENDED 0xe0
#define KEY_LEFT_SHIFT 0x2a
#define KEY_RIGHT_SHIFT 0x36
#define KEY_CONTROL 0x1d
#define KEY_CAPS_LOCK 0x3a
#define KEY_ENTER 0x1c
#define KEY_SLASH 0x35
#define KEYS 58

static const char plain[KEYS] =
	"\0\0331234567890-=\b\tqwertyuiop[]\n\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 ";
static const char shifted[KEYS] =
	"\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\n\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 ";
static bool shift, control, caps, extended;

static bool wait_status(uint8_t bits, uint8_t value)
{
	for (unsigned i = 0; i < LOOKS; i++)
		if ((inb(STATUS) & bits) == value)
			return true;
	return false;
}

void keyboard_init(void)
{
	if (inb(STATUS) == 0xff)
		return;
	while (inb(STATUS) & STATUS_OUTPUT_FULL)
		inb(DATA);
	outb(COMMAND, READ_COMMAND_BYTE);
	if (!wait_status(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL))
		return;
	uint8_t byte = inb(DATA);
	outb(COMMAND, WRITE_COMMAND_BYTE);
	if (!wait_status(STATUS_INPUT_FULL, 0))
		return;
	outb(DATA, (byte | BYTE_INTERRUPT | BYTE_TRANSLATE) & ~BYTE_DISABLED);
	if (!wait_status(STATUS_INPUT_FULL, 0))
		return;
	outb(COMMAND, ENABLE_KEYBOARD);
	pic_unmask(IRQ_KEYBOARD);
}

static bool is_letter(char c)
{
	return c >= 'a' && c <= 'z';
}

static int character(uint8_t key)
{
	if (key >= KEYS)
		return -1;
	char c = plain[key];
	if (control && (is_letter(c) || c == '[' || c == '\\' || c == ']'))
		return c & 0x1f;
	if (shift != (caps && is_letter(c)))
		c = shifted[key];
	return c ? c : -1;
}

int keyboard_getc(void)
{
	if (!(inb(STATUS) & STATUS_OUTPUT_FULL))
		return -1;
	uint8_t code = inb(DATA), key = code & ~KEY_RELEASED;
	bool pressed = !(code & KEY_RELEASED), was_extended = extended;

	extended = code == KEY_EXTENDED;
	if (extended)
		return -1;
	if (key == KEY_CONTROL) {
		control = pressed;
		return -1;
	}
	if (was_extended)
		return pressed && key == KEY_ENTER ? '\n' : pressed && key == KEY_SLASH ? '/' : -1;
	if (key == KEY_LEFT_SHIFT || key == KEY_RIGHT_SHIFT) {
		shift = pressed;
		return -1;
	}
	if (key == KEY_CAPS_LOCK && pressed)
		caps = !caps;
	return pressed ? character(key) : -1;
}
