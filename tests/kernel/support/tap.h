/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Results of a booted test, in TAP on the second serial port.
 *
 *	int main(int argc, char **argv)
 *	{
 *		test_begin(argc, argv, 60);
 *		is_code(vm_allocate(...), KERN_SUCCESS, "a page can be had");
 *		...
 *		return done_testing();
 *	}
 *
 * A claim is in words and says what is true when the test passes; claims take printf formats.
 * Each returns whether it held. Only the test's own task may claim, from any of its threads.
 * A test runs `in root`, or as the only module of a boot: "NAME --alone ${host-port}
 * ${device-port}"; then it halts the machine at its end.
 */
#ifndef TAP_H
#define TAP_H

#include <mach/kern_return.h>
#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Opens the output, writes down what the task's ledger holds, and starts the watchdog: a test
 * that has not ended after so many seconds ends with a failure that names its last claim.
 */
void test_begin(int argc, char **argv, unsigned limit_seconds);
/*
 * Claims that all was given back (see snapshot.h) and that the books agree, prints the plan and
 * the end. The program's status: 0 when all claims held. Nothing may be printed after it.
 */
int done_testing(void);

bool ok(bool passed, const char *claim, ...) PRINTF(2, 3);
/* Numbers; on a failure both are shown, decimal and hexadecimal. */
bool is(uint64_t got, uint64_t expected, const char *claim, ...) PRINTF(3, 4);
/* Return codes; on a failure both are shown with their texts. */
bool is_code(kern_return_t got, kern_return_t expected, const char *claim, ...) PRINTF(3, 4);
bool is_text(const char *got, const char *expected, const char *claim, ...) PRINTF(3, 4);
/* low <= got <= high. */
bool is_between(uint64_t got, uint64_t low, uint64_t high, const char *claim, ...) PRINTF(4, 5);
void skip(const char *why, const char *claim, ...) PRINTF(2, 3);
/* A comment; belongs to the claim before it. */
void diag(const char *format, ...) PRINTF(1, 2);
/* For what the test itself needs: without it there is no use in going on. */
void need(kern_return_t code, const char *what);
/* Ends the test at once, failed. */
_Noreturn void give_up(const char *claim, ...) PRINTF(1, 2);
/* True when claims have failed since the last call. */
unsigned failures(void);

/* The privileged host port; the device master port (null unless alone). */
mach_port_t test_host_priv(void);
mach_port_t test_device_master(void);
/* The ledger that pays for this task. */
mach_port_t test_ledger(void);
/* The main thread's port. */
thread_t test_thread(void);

#define countof(array)	(sizeof(array) / sizeof((array)[0]))

#endif
