/* SPDX-License-Identifier: BSD-2-Clause */
/* Amounts and denials as texts. */
#include <inttypes.h>
#include <mach/mach_error.h>
#include <stdbool.h>
#include <stdio.h>

static bool counts_bytes(uint32_t resource)
{
	return resource == LEDGER_KMEM || resource == LEDGER_ZONE_MAP || resource == LEDGER_RAM;
}

char *ledger_amount_string(uint32_t resource, uint64_t amount, char buffer[LEDGER_AMOUNT_MAX])
{
	const char *suffix = "";

	if (amount == LEDGER_UNLIMITED) {
		snprintf(buffer, LEDGER_AMOUNT_MAX, "none");
		return buffer;
	}
	if (counts_bytes(resource) && amount != 0) {
		if (amount % (1 << 20) == 0) {
			amount >>= 20;
			suffix = "M";
		} else if (amount % (1 << 10) == 0) {
			amount >>= 10;
			suffix = "K";
		}
	}
	snprintf(buffer, LEDGER_AMOUNT_MAX, "%" PRIu64 "%s", amount, suffix);
	return buffer;
}

char *ledger_denial_string(const struct ledger_denial *denial, char buffer[LEDGER_DENIAL_MAX])
{
	char used[LEDGER_AMOUNT_MAX], limit[LEDGER_AMOUNT_MAX];

	snprintf(buffer, LEDGER_DENIAL_MAX, "denied: %s in ledger %.*s: %s of %s",
		 ledger_resource_name(denial->resource), LEDGER_NAME_MAX, denial->ledger,
		 ledger_amount_string(denial->resource, denial->used, used),
		 ledger_amount_string(denial->resource, denial->limit, limit));
	return buffer;
}
