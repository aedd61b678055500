/* SPDX-License-Identifier: BSD-2-Clause */
/* The end of a run, announced twice: a line to QEMU's debug console (port e9h), a value to its
   isa-debug-exit (port f4h). On a machine without these the CPU stops, or restarts through the
   keyboard controller. */
#include "kern/panic.h"
#include "kern/printf.h"
#include "kern/string.h"
#include "x86_64/console.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"

#define DEBUG_CONSOLE 0xe9
#define DEBUG_EXIT 0xf4
#define EXIT_HALT 0x20
#define EXIT_REBOOT 0x21
#define EXIT_PANIC 0x22
#define EXIT_CANNOT_BOOT 0x23
#define KEYBOARD_COMMAND 0x64
#define KEYBOARD_RESET 0xfe

static void announce(const char *line, unsigned value)
{
	__asm__ volatile("cli");
	console_drain();
	for (const char *c = line; *c; c++)
		outb(DEBUG_CONSOLE, *c);
	outl(DEBUG_EXIT, value);
}

static _Noreturn void stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

void machine_halt(unsigned status)
{
	char line[32];

	snprintf(line, sizeof(line), "halt %u\n", status & 0xff);
	announce(line, EXIT_HALT);
	stop();
}

void machine_triple_fault(void)
{
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) none = {0, 0};

	__asm__ volatile("lidt %0; int3" : : "m"(none));
	stop();
}

void machine_reboot(void)
{
	announce("reboot\n", EXIT_REBOOT);
	outb(KEYBOARD_COMMAND, KEYBOARD_RESET);
	/* It takes a moment; a triple fault resets where there is no such controller. */
	for (unsigned i = 0; i < 100000; i++)
		inb(KEYBOARD_COMMAND);
	machine_triple_fault();
}

void machine_cannot_boot(const char *reason)
{
	char line[160];

	snprintf(line, sizeof(line), "cannot boot: %s\n", reason);
	console_emergency();
	console_write(line, strlen(line));
	announce(line, EXIT_CANNOT_BOOT);
	stop();
}

void machine_panic_begin(void)
{
	__asm__ volatile("cli");
	console_emergency();
}

void machine_panic_end(void)
{
	announce("panic\n", EXIT_PANIC);
	stop();
}

void machine_backtrace(uint64_t frame, void (*visit)(uint64_t rip))
{
	/* Frames lie one above the other, so the walk ends. */
	while (cpu_stack_readable(frame)) {
		const uint64_t *words = (const uint64_t *)frame;
		visit(words[1]);
		if (words[0] <= frame)
			return;
		frame = words[0];
	}
}
