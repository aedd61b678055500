/* SPDX-License-Identifier: BSD-2-Clause */
/* Denies each allocation of a call in turn (fail-nth): each time a code, and nothing changed. */
#ifndef DENIAL_H
#define DENIAL_H

#include <mach/kern_return.h>
#include <mach/mach_types.h>
#include <stdbool.h>
#include <weir/ledger.h>

struct denial_case {
	const char *what;			/* for the claims: "task_create" */
	/* The call; its only system call must be the one that is tested, so a stub or a trap. */
	kern_return_t (*call)(void *argument);
	/* Takes back what a successful call made. */
	void (*undo)(void *argument);
	/* Called before each call, unarmed; may be NULL. */
	void (*prepare)(void *argument);
	/* Claims more of the state after a denied call; may be NULL. */
	void (*check)(void *argument, kern_return_t code);
	void *argument;
	unsigned except;			/* SNAPSHOT_ bits that may differ after a denial */
	bool may_overcome;			/* a denial may be got round: success, once undone, is right too */
	ledger_t ledger;			/* whose usage must not change; null: the test's */
};

/*
 * Calls with the first, second, third... allocation denied until none is left to deny, and claims
 * of each that the code tells of a shortage and that the ledger and this task's names are as
 * before; of the last that it succeeds. Returns how many denials there were. The calling
 * thread's other calls must not be counted on to be the next.
 */
unsigned for_each_denial(const struct denial_case *denial);

/* The codes that a shortage may have: the call's own, or of the message that carried it. */
bool is_shortage(kern_return_t code);

/* The nth allocation of this thread's next call is denied. */
void deny_next(unsigned nth);
/* Disarms; true: it had struck. *site (may be NULL, else WEIR_SITE_MAX bytes): where. */
bool deny_struck(char *site);

#endif
