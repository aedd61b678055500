/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen: 80x25 text (IBM VGA: text memory at b8000h; CRT controller registers 0ch to 0fh,
   start and cursor).

   The screen is a window of 25 lines on the 32 KiB of text memory; scrolling moves the window
   down a line. At the end of the memory the window goes back to its start, with the lines copied
   from a shadow in RAM: reading or moving video memory is slow. */
#include "kern/string.h"
#include "x86_64/console.h"
#include "x86_64/io.h"
#include "x86_64/machine.h"

#define COLUMNS 80u
#define ROWS 25u
#define MEMORY 0xb8000
#define MEMORY_ROWS (32768 / 2 / COLUMNS)
#define TAB 8u
#define CRTC_INDEX 0x3d4
#define CRTC_DATA 0x3d5
#define CRTC_START 0x0c
#define CRTC_CURSOR 0x0e
#define BLANK 0x0720u

static bool present;
static uint16_t shadow[ROWS][COLUMNS];	/* ring: line of row r is (first + r) % ROWS */
static unsigned first;
static unsigned top;			/* line of the memory shown first */
static unsigned row, column;

static volatile uint16_t *memory_row(unsigned r)
{
	return (volatile uint16_t *)phys_to_virt(MEMORY) + (top + r) * COLUMNS;
}

static uint16_t *shadow_row(unsigned r)
{
	return shadow[(first + r) % ROWS];
}

static void crtc_write(unsigned index, unsigned value)
{
	outb(CRTC_INDEX, index);
	outb(CRTC_DATA, value >> 8);
	outb(CRTC_INDEX, index + 1);
	outb(CRTC_DATA, value & 0xff);
}

static void redraw_row(unsigned r)
{
	volatile uint64_t *to = (volatile uint64_t *)memory_row(r);
	const uint64_t *from = (const uint64_t *)shadow_row(r);

	for (unsigned i = 0; i < COLUMNS / 4; i++)
		to[i] = from[i];
}

static void scroll(void)
{
	first = (first + 1) % ROWS;
	for (unsigned c = 0; c < COLUMNS; c++)
		shadow_row(ROWS - 1)[c] = BLANK;
	if (top + ROWS < MEMORY_ROWS) {
		top++;
		redraw_row(ROWS - 1);
	} else {
		top = 0;
		for (unsigned r = 0; r < ROWS; r++)
			redraw_row(r);
	}
	crtc_write(CRTC_START, top * COLUMNS);
}

void vga_init(void)
{
	volatile uint16_t *cell = phys_to_virt(MEMORY);
	uint16_t before = *cell;

	*cell = 0x5aa5;
	present = *cell == 0x5aa5;
	*cell = before;
	if (!present)
		return;
	for (unsigned r = 0; r < ROWS; r++) {
		for (unsigned c = 0; c < COLUMNS; c++)
			shadow[r][c] = BLANK;
		redraw_row(r);
	}
	crtc_write(CRTC_START, 0);
	crtc_write(CRTC_CURSOR, 0);
}

static void put(char c)
{
	switch (c) {
	case '\n':
		column = 0;
		row++;
		break;
	case '\r':
		column = 0;
		return;
	case '\b':
		if (column > 0)
			column--;
		return;
	case '\t':
		column = (column / TAB + 1) * TAB;
		break;
	default:
		if ((uint8_t)c < ' ')
			return;
		shadow_row(row)[column] = (BLANK & 0xff00) | (uint8_t)c;
		memory_row(row)[column] = shadow_row(row)[column];
		column++;
	}
	if (column >= COLUMNS) {
		column = 0;
		row++;
	}
	if (row >= ROWS) {
		row = ROWS - 1;
		scroll();
	}
}

void vga_write(const char *bytes, uint64_t size)
{
	if (!present)
		return;
	for (uint64_t i = 0; i < size; i++)
		put(bytes[i]);
	crtc_write(CRTC_CURSOR, (top + row) * COLUMNS + column);
}
