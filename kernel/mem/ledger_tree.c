/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree of ledgers: making and killing them, limits, guarantees, marks. Theory in ledger.c. */
#include "mem/ledger_parts.h"
#include <mach/kern_return.h>
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/upcalls.h"
#include "mem/zone.h"

static struct zone ledger_zone;
static uint32_t ledger_last_id = 1;
uint32_t ledger_shells;

/* A ledger is paid for by its parent. */
static struct ledger *ledger_payer(const void *element)
{
	return ((const struct ledger *)element)->parent;
}

void ledger_system_init(void)
{
	zone_init(&ledger_zone, "ledgers", sizeof(struct ledger), LEDGER_LEDGERS, ledger_payer);
}

void ledger_free(struct ledger *ledger, struct ledger *parent)
{
	ledger_shells--;
	zone_free(&ledger_zone, ledger, parent);
}

bool ledger_dying_slow(const struct ledger *ledger)
{
	for (; ledger != NULL; ledger = ledger->parent) {
		if (ledger->dead)
			return true;
	}
	return false;
}

struct ledger *ledger_new_at(struct ledger *parent, const char *name, int *error, const struct alloc_site *site)
{
	struct ledger *ledger;

	if (ledger_dying(parent)) {
		*error = KERN_TERMINATED;
		return NULL;
	}
	if (parent->depth >= LEDGER_DEPTH) {
		*error = KERN_INVALID_ARGUMENT;
		return NULL;
	}
	ledger = zone_alloc_at(&ledger_zone, parent, site);
	if (ledger == NULL) {
		*error = KERN_RESOURCE_SHORTAGE;
		return NULL;
	}
	memset(ledger, 0, sizeof(*ledger));
	for (unsigned r = 0; r < LEDGER_RESOURCES; r++) {
		ledger->account[r].limit = LEDGER_UNLIMITED;
		ledger->account[r].floor = LEDGER_UNLIMITED;
	}
	ledger->ram_limit = LEDGER_UNLIMITED;
	ledger->parent = parent;
	ledger->depth = parent->depth + 1;
	ledger->weight = 1;
	ledger->id = ++ledger_last_id;
	for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
		ledger_ease(ledger, r);
	strlcpy(ledger->name, name, sizeof(ledger->name));
	TAILQ_INIT(&ledger->children);
	TAILQ_INSERT_HEAD(&parent->children, ledger, sibling);
	parent->child_count++;
	LIST_INSERT_HEAD(&ledger_list, ledger, all);
	*error = KERN_SUCCESS;
	return ledger;
}

void ledger_kill(struct ledger *ledger)
{
	assert(ledger != &root_ledger && !ledger->dead);
	ledger_hold(ledger);
	ledger_settle();
	ledger->dead = true;
	ledger_shells++;
	ledger->mark.at = 0;
	for (unsigned r = 0; r < LEDGER_RESOURCES; r++) {
		if (ledger->account[r].guarantee != 0)
			ledger_guarantee_lower(ledger, r, 0);
		ledger_ease(ledger, r);
	}
	TAILQ_REMOVE(&ledger->parent->children, ledger, sibling);
	TAILQ_INSERT_TAIL(&ledger->parent->children, ledger, sibling);
	ledger->parent->child_count--;
	ledger_unhold(ledger);
}

int ledger_limit(struct ledger *ledger, unsigned resource, uint64_t limit)
{
	/* What is kept for an allocation was not refused by this limit. */
	ledger_settle();
	if (resource == LEDGER_RAM && ledger != &root_ledger) {
		ledger->ram_limit = limit;
		ledger_ease(ledger, LEDGER_KMEM);
		ledger_ease(ledger, LEDGER_RESIDENT_PAGES);
		return KERN_SUCCESS;
	}
	if (resource >= LEDGER_RESOURCES || limit < ledger->account[resource].guarantee)
		return KERN_INVALID_ARGUMENT;
	ledger->account[resource].limit = limit;
	ledger_ease(ledger, resource);
	return KERN_SUCCESS;
}

int ledger_guarantee_at(struct ledger *ledger, unsigned resource, uint64_t amount, const struct alloc_site *site)
{
	struct ledger_account *account;

	if (resource >= LEDGER_RESOURCES || resource == LEDGER_KMEM || amount > LEDGER_GUARANTEE_MAX)
		return KERN_INVALID_ARGUMENT;
	account = &ledger->account[resource];
	if (amount > account->limit || ledger->parent == NULL)
		return KERN_INVALID_ARGUMENT;
	if (amount <= account->guarantee) {
		ledger_guarantee_lower(ledger, resource, amount);
		return KERN_SUCCESS;
	}
	if (ledger_dying(ledger))
		return KERN_TERMINATED;
	return ledger_guarantee_raise(ledger, resource, amount, site);
}

void ledger_mark(struct ledger *ledger, unsigned resource, uint64_t at)
{
	struct ledger_account *account = &ledger->account[resource];

	ledger_settle();
	ledger->mark.at = at;
	ledger->mark.resource = resource;
	if (at == 0)
		return;
	if (at <= account->used) {
		ledger->mark.at = 0;
		mem_mark_reached(ledger);
		return;
	}
	ledger_ease(ledger, resource);
}
