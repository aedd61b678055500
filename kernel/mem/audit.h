/* SPDX-License-Identifier: BSD-2-Clause */
/* The audit: all accounts recounted by walking the objects (promise P3). */
#ifndef MEM_AUDIT_H
#define MEM_AUDIT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger;
struct page;

/* What mem cannot know, set by vm at boot (NULL: there are none such). */
struct audit_hooks {
	/* Who pays for this PAGE_USER frame. */
	struct ledger *(*page_user_payer)(const struct page *page);
	/* Virtual pages that this element of the LEDGER_ENTRIES zone pays for. */
	uint64_t (*entry_virtual_pages)(const void *entry);
};
extern struct audit_hooks audit_hooks;

/* Recounts everything by walking zones and frames and compares with the accounts. True: all is as it should be; else text
   names the first mismatch. Changes only the ledgers' scratch. Takes long: for tests and debugging. */
bool ledger_audit(char *text, size_t size);

#endif
