/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of codes and of denials. */
#ifndef MACH_MACH_ERROR_H
#define MACH_MACH_ERROR_H

#include <mach/kern_return.h>
#include <weir/ledger.h>

/* A text for a code of the kernel, mach_msg, MIG or devices; never NULL, need not be freed. */
const char *mach_error_string(kern_return_t code);

#define LEDGER_AMOUNT_MAX	32
/* "17", or for bytes "4M", "12K", "4100"; "none" for LEDGER_UNLIMITED. Returns buffer. */
char *ledger_amount_string(uint32_t resource, uint64_t amount, char buffer[LEDGER_AMOUNT_MAX]);

#define LEDGER_DENIAL_MAX	160
/* "denied: RESOURCE in ledger NAME: USED of LIMIT". Returns buffer. */
char *ledger_denial_string(const struct ledger_denial *denial, char buffer[LEDGER_DENIAL_MAX]);

#endif
