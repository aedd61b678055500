/* SPDX-License-Identifier: BSD-2-Clause */
/* Reaping: long destruction in pieces. */
/*
 * An object whose end is long (a space with 100,000 names, a map of gigabytes) is detached in
 * one short step and put here. Whoever has time, or is short of memory, takes bounded steps.
 * The list is linked through the dead objects, so nothing is allocated; an object that meets
 * another long one defers it, so nothing recurses.
 *
 * The first item is worked on until it is gone: its memory comes back soonest. While its step
 * runs it is not on the list, so steps may defer others, but never call reap_one.
 *
 * Two lists: an allocation that would fail works off the first, so it holds only what nobody can
 * reach any more. The second is for work that touches what lives; it waits for a place where no
 * handler is under way.
 */
#include "mem/reap.h"
#include "kern/assert.h"
#include "mem/upcalls.h"

STAILQ_HEAD(reap_list, reap);
static struct reap_list dead_list = STAILQ_HEAD_INITIALIZER(dead_list);
static struct reap_list live_list = STAILQ_HEAD_INITIALIZER(live_list);
static bool reap_running;

static void defer(struct reap_list *list, struct reap *item, bool (*step)(struct reap *))
{
	item->step = step;
	STAILQ_INSERT_TAIL(list, item, link);
	if (!reap_running)
		mem_deferred();
}

void reap_defer(struct reap *item, bool (*step)(struct reap *))
{
	defer(&dead_list, item, step);
}

void reap_defer_live(struct reap *item, bool (*step)(struct reap *))
{
	defer(&live_list, item, step);
}

bool reap_pending(void)
{
	return !STAILQ_EMPTY(&dead_list) || !STAILQ_EMPTY(&live_list);
}

static bool reap_from(struct reap_list *list)
{
	struct reap *item = STAILQ_FIRST(list);
	bool nested = reap_running;

	if (item == NULL)
		return false;
	STAILQ_REMOVE_HEAD(list, link);
	reap_running = true;
	if (!item->step(item))
		STAILQ_INSERT_HEAD(list, item, link);
	reap_running = nested;
	return true;
}

bool reap_dead_one(void)
{
	/* A step of the living may allocate and come here; a step of the dead never allocates. */
	return reap_from(&dead_list);
}

bool reap_one(void)
{
	assert(!reap_running);
	return reap_from(&dead_list) || reap_from(&live_list);
}

void reap_all(void)
{
	while (reap_one())
		;
}
