/* SPDX-License-Identifier: BSD-2-Clause */
/* Slack: refunds that the ledgers above are not told of yet. */
/*
 * Most refunds are followed by a charge of the same kind to the same ledger, and there may be eight levels. So a refund
 * may leave the ancestors' figures as they are: `covers`, what the parent counts, is then above max(used, guarantee), by
 * the slack, and works as if so much more were guaranteed, until it is used up by charges.
 *
 * For each resource one ledger at most has slack, slack_of[r], at most slack_max(r) things; when another one wants some,
 * or there is too much of it, it is given back: one walk for several refunds. Nobody may see that: whatever is not
 * easy (a limit, a peak, a mark, memory), whoever reads figures, and whatever changes the tree or a guarantee settles
 * all slack first. So a slack denies nothing, and is in no peak. A dead ledger never has any.
 */
#include "mem/ledger_parts.h"
#include "mem/ledger_fast.h"
#include "mem/zone.h"

#define SLACK_THINGS 16
#define SLACK_VIRTUAL_PAGES 1024	/* no memory stands behind them */

static struct ledger *slack_of[LEDGER_RESOURCES];

/* More than most operations have in use for a moment; little beside all memory. */
static inline uint64_t slack_max(unsigned resource)
{
	return resource == LEDGER_VIRTUAL_PAGES ? SLACK_VIRTUAL_PAGES : SLACK_THINGS;
}

/* Has the parent count no more than the ledger claims and the slack that it may keep. */
static void slack_cut(struct ledger *ledger, unsigned resource, uint64_t keep)
{
	struct ledger_account *account = &ledger->account[resource];
	uint64_t more = account->covers - account_claims(account);

	if (more <= keep)
		return;
	account->covers -= more - keep;
	account_quick(account);
	ledger_undo(ledger->parent, resource, more - keep);
}

/* Takes all slack of the resource away. */
static void slack_end(unsigned resource)
{
	struct ledger *ledger = slack_of[resource];

	if (ledger == NULL)
		return;
	slack_of[resource] = NULL;
	ledger->account[resource].floor = LEDGER_UNLIMITED;
	slack_cut(ledger, resource, 0);
}

uint64_t ledger_slack(unsigned resource)
{
	const struct ledger_account *account;

	if (slack_of[resource] == NULL)
		return 0;
	account = &slack_of[resource]->account[resource];
	return account->covers - account_claims(account);
}

void ledger_settle(void)
{
	zone_spares_return();
	mem_spares_return();
	for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
		slack_end(r);
}

bool ledger_slack_elsewhere(const struct ledger *ledger, unsigned resource)
{
	if (slack_of[resource] == NULL || slack_of[resource] == ledger)
		return false;
	slack_end(resource);
	return true;
}

void ledger_refund_above(struct ledger *ledger, unsigned resource)
{
	struct ledger_account *account = &ledger->account[resource];
	uint64_t most = slack_max(resource);

	if (account->covers == account_claims(account))
		return;
	if (slack_of[resource] != ledger) {
		slack_end(resource);
		if (ledger->dead) {
			slack_cut(ledger, resource, 0);
			return;
		}
		slack_of[resource] = ledger;
	}
	if (account->covers - account_claims(account) > most)
		slack_cut(ledger, resource, most / 2);
	account->floor = account->covers > account->guarantee + most ? account->covers - most : 0;
}
