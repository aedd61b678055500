/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables come and go with what is mapped by them: whatever a task maps and unmaps, in whichever order, its ledger pays for
 * no table more afterwards, and one that may have no table more can go on as long as it gives back what it has.
 * RUN: in root tables_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/thread_switch.h>
#include <stdlib.h>
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define PAGE		4096ul
#define TABLE		(2ul << 20)	/* what a leaf table maps */
#define FAR		(1ul << 39)	/* nothing is shared so far apart but the root */
#define FIRST		(16 * FAR)
#define TABLES_OF_PAGE	3		/* below the root */

/* In a leaf table of their own, in the same, side by side, and far away. */
static const vm_address_t places[] = {
	FIRST, FIRST + PAGE, FIRST + TABLE - PAGE, FIRST + TABLE, FIRST + 5 * TABLE, FIRST + 512 * TABLE, FIRST + FAR, FIRST + FAR + TABLE,
	FIRST + 2 * FAR, FIRST + 3 * FAR,
};
#define PLACES (sizeof places / sizeof places[0])

static kern_return_t map(vm_address_t address)
{
	kern_return_t code = vm_allocate(mach_task_self(), &address, PAGE, FALSE);

	if (code == KERN_SUCCESS)
		*(volatile char *)address = 1;
	return code;
}

static kern_return_t unmap(vm_address_t address)
{
	return vm_deallocate(mach_task_self(), address, PAGE);
}

/* Maps what is free and unmaps what is not, by chance, and all at the end. False: a call has failed. */
static bool come_and_go(uint64_t seed, unsigned steps)
{
	struct random random = { seed };
	bool mapped[PLACES] = { false }, good = true;

	for (unsigned i = 0; i < steps + PLACES; i++) {
		unsigned n = i < steps ? (unsigned)random_below(&random, PLACES) : i - steps;

		if (i >= steps && !mapped[n])
			continue;
		good = good && (mapped[n] ? unmap(places[n]) : map(places[n])) == KERN_SUCCESS;
		mapped[n] = !mapped[n];
		if (random_below(&random, 16) == 0)
			swtch_pri(0);
	}
	return good;
}

struct shared {
	uint32_t good;
	uint64_t seed;
};

static void child_comes_and_goes(void *argument)
{
	struct shared *shared = argument;

	shared->good = come_and_go(shared->seed, 2000);
}

/* Each place in turn, in a task that may have no table beside those of one page. */
static void child_one_by_one(void *argument)
{
	struct shared *shared = argument;
	bool good = true;

	for (unsigned i = 0; i < 20 * PLACES; i++)
		good = good && map(places[i * 3 % PLACES]) == KERN_SUCCESS && unmap(places[i * 3 % PLACES]) == KERN_SUCCESS;
	shared->good = good;
}

static void alone(uint64_t seed)
{
	uint64_t before = used_now(test_ledger(), LEDGER_KPAGES);

	need(map(FIRST), "a page far from all others");
	is(used_now(test_ledger(), LEDGER_KPAGES), before + TABLES_OF_PAGE, "it needs tables");
	need(unmap(FIRST), "which goes");
	is(used_now(test_ledger(), LEDGER_KPAGES), before, "and they go with it");
	for (unsigned round = 0; round < 8; round++) {
		ok(come_and_go(seed + round, 500), "pages come and go by chance, %u", round);
		is(used_now(test_ledger(), LEDGER_KPAGES), before, "and no table is left");
	}
	ok(books_agree(), "the books agree: %s", books_text());
}

static void two(uint64_t seed)
{
	struct shared *shared = shared_alloc(PAGE);
	struct snapshot before;
	struct child child;

	/* The copy of the task is of memory, too. */
	shared->seed = seed;
	snapshot_take(&before, test_ledger());
	need(child_start(&child, child_comes_and_goes, shared, NULL), "another task");
	ok(come_and_go(seed + 1, 2000), "a task beside another that does the same");
	ok(child_wait(&child, 20000) && shared->good, "which comes to its end");
	child_finish(&child);
	snapshot_settles(&before, 1u << LEDGER_KPAGES, "no table is left of either");
	shared_free(shared, PAGE);
}

static void limited(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "tables");
	struct shared *shared = shared_alloc(PAGE);
	struct child_options options = { .ledger = ledger, .suspended = true };
	struct child child;

	need(child_start(&child, child_one_by_one, shared, &options), "a task in a ledger of its own");
	/* Its stack and data, which it has yet to touch, lie in at most four tables. */
	need(ledger_set_limit(ledger, LEDGER_KPAGES, used_now(ledger, LEDGER_KPAGES) + 4 + TABLES_OF_PAGE), "a limit");
	need(thread_resume(child.thread), "it runs");
	ok(child_wait(&child, 20000) && shared->good, "pages far from each other, one at a time, need but one page's tables");
	child_finish(&child);
	is(used_now(ledger, LEDGER_KPAGES), 0, "none is left");
	ledger_drop(ledger);
	shared_free(shared, PAGE);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;

	test_begin(argc, argv, 60);
	alone(seed);
	two(seed + 100);
	limited();
	return done_testing();
}
