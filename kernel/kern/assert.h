/* SPDX-License-Identifier: BSD-2-Clause */
/* panic and assert: invariants only, never user input. */
#ifndef KERN_ASSERT_H
#define KERN_ASSERT_H

/* Prints the message, registers, a symbolised backtrace and the zone table; ends the machine. */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#ifdef NDEBUG
#define assert(condition) ((void)sizeof(condition))
#else
#define assert(condition) \
	((condition) ? (void)0 : panic("assertion failed: %s, %s:%d", #condition, __FILE__, __LINE__))
#endif

#endif
