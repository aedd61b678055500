/* SPDX-License-Identifier: BSD-2-Clause */
/* The end after a broken invariant; panic itself is in kern/assert.h. */
#ifndef KERN_PANIC_H
#define KERN_PANIC_H
#include <stdint.h>
#include "kern/assert.h"
#include "x86_64/regs.h"

/* As panic, with the registers of a trap instead of the caller's. */
_Noreturn void panic_regs(const struct regs *regs, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The name of the function that holds the address and the offset in it; NULL: none known. */
const char *ksym_find(uint64_t address, uint64_t *offset);

/* x86_64/power.c: calls visit for each return address from the frame pointer up. Reads only
   kernel stacks. */
void machine_backtrace(uint64_t frame, void (*visit)(uint64_t rip));
/* Interrupts off, and a console that prints whatever has been initialised. */
void machine_panic_begin(void);
/* Ends the machine, announced as a panic. */
_Noreturn void machine_panic_end(void);

#endif
