/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel does when it is about to refuse: deny, or (boot option policy=mach) what Mach did. Theory in policy.c. */
#ifndef MEM_POLICY_H
#define MEM_POLICY_H
#include <stdbool.h>
#include <stddef.h>

struct ledger_shortage;

/* Without policy.c (WEIR_POLICY of the Makefile) all of this is nothing. */
#if defined(WEIR_POLICY) && WEIR_POLICY
/* The two switches. */
extern bool policy_ledgers_count_only;	/* a full ledger lets it pass */
extern bool policy_zalloc_panics;	/* no memory for an element, or for a page: the end of the machine */
/* Panics: no memory for things of the resource, as the shortage tells. */
_Noreturn void policy_zalloc_panic(unsigned resource, const struct ledger_shortage *shortage);
/* By the option's value, which need not end with a zero. False: this kernel has no such policy. */
bool policy_choose(const char *name, size_t length);
#else
#define policy_ledgers_count_only false
#define policy_zalloc_panics false
static inline void policy_zalloc_panic(unsigned resource, const struct ledger_shortage *shortage)
{
	(void)resource, (void)shortage;
}
static inline bool policy_choose(const char *name, size_t length)
{
	(void)name, (void)length;
	return false;
}
#endif

#endif
