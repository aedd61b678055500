/* SPDX-License-Identifier: BSD-2-Clause */
/* What is remembered of denials: the thread's record, the machine's ring, counts of equal ones; and fail-nth. */
/* SOURCES: mem kernel/kern/denials.c kernel/kern/opaque.c */
#include <string.h>
#include "host.h"
#include "kern/denials.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/reap.h"
#include "mem/upcalls.h"
#include "tap.h"

static struct task tasks[2];
static struct thread threads[2], others[DENIALS_OF_TASK];
static struct thread_extra extra;
static struct thread *current;

struct thread *thread_current(void)
{
	return current;
}

static uint32_t events_copy(struct ledger_denial events[DENIALS_KEPT])
{
	for (uint32_t i = 0; i < denials_kept(); i++)
		denial_of_machine(i, &events[i]);
	return denials_kept();
}

static uint64_t events_site(void)
{
	struct ledger_denial newest;

	denial_of_machine(denials_kept() - 1, &newest);
	return newest.site;
}

static uint64_t count_of(const struct thread *thread)
{
	struct ledger_denial denial;

	denial_of_thread(thread, &denial);
	return denial.count;
}

static void records(void)
{
	static struct ledger_denial events[DENIALS_KEPT];
	struct ledger *ledgers[100];
	struct ledger_denial denial;
	int error;

	threads[0].task->ledger = &root_ledger;
	denial_of_thread(&threads[0], &denial);
	is_u64(denial.count, 0, "at first there is none");
	for (unsigned i = 0; i < 100; i++) {
		ledgers[i] = ledger_new(&root_ledger, "small", &error);
		ledger_limit(ledgers[i], LEDGER_VIRTUAL_PAGES, i);
	}
	for (unsigned i = 0; i < 1000; i++)
		ledger_charge(ledgers[7], LEDGER_VIRTUAL_PAGES, 8);
	denial_of_thread(&threads[0], &denial);
	ok(denial.used == 0 && denial.limit == 7 && denial.wanted == 8 && denial.resource == LEDGER_VIRTUAL_PAGES &&
	   denial.ledger_id == ledgers[7]->id && denial.count == 1000 && denial.site == events_site(), "the thread's record counts equal denials and says what was full");
	is_str(denial.task, "first", "with who asked");
	is_str(denial.ledger, "small", "and whose ledger it was, which is not the thread's own, from the event");
	is_u64(events_copy(events), 1, "a flood of them is one event");
	is_u64(events[0].count, 1000, "with its count");
	current = &threads[1];
	ledger_charge(ledgers[7], LEDGER_VIRTUAL_PAGES, 8);
	is_u64(count_of(&threads[1]), 1, "another thread has its own record");
	is_u64(count_of(&threads[0]), 1000, "and leaves the first one's alone");
	for (unsigned i = 0; i < 100; i++)
		ledger_charge(ledgers[i], LEDGER_VIRTUAL_PAGES, 200);
	is_u64(events_copy(events), DENIALS_KEPT, "the ring keeps the last ones");
	denial_of_thread(&threads[0], &denial);
	is_str(denial.ledger, "", "a record whose event has left the ring has the ledger's number only");
	is_u64(denial.ledger_id, ledgers[7]->id, "but has that");
	threads[0].task->ledger = ledgers[7];
	denial_of_thread(&threads[0], &denial);
	is_str(denial.ledger, "small", "and the name where the ledger is one of those that pay for the thread");
	threads[0].task->ledger = &root_ledger;
	ok(events[DENIALS_KEPT - 1].ledger_id == ledgers[99]->id && events[0].ledger_id == ledgers[100 - DENIALS_KEPT]->id,
	   "the oldest first");
	current = NULL;
	ledger_charge(ledgers[3], LEDGER_VIRTUAL_PAGES, 200);
	events_copy(events);
	is_str(events[DENIALS_KEPT - 1].task, "kernel", "without a thread it is the kernel's");
	for (unsigned i = 0; i < 100; i++)
		ledger_kill(ledgers[i]);
}

/* Threads of one task take the records from each other, the oldest first. */
static void takers(void)
{
	struct ledger_denial denial;
	int error;
	struct ledger *ledger = ledger_new(&root_ledger, "none", &error);

	ledger_limit(ledger, LEDGER_VIRTUAL_PAGES, 0);
	for (unsigned i = 0; i < DENIALS_OF_TASK; i++) {
		others[i].task = &tasks[1];
		current = &others[i];
		for (unsigned n = 0; n <= i; n++)
			ledger_charge(ledger, LEDGER_VIRTUAL_PAGES, 1 + i);
	}
	is_u64(count_of(&threads[1]), 0, "a thread whose denial is old has no record when others of its task need all");
	denial_of_thread(&others[0], &denial);
	ok(denial.count == 1 && denial.wanted == 1, "the first of those has its own");
	is_u64(count_of(&others[DENIALS_OF_TASK - 1]), DENIALS_OF_TASK, "and the last");
	is_u64(count_of(&threads[0]), 1000, "those of another task are left alone");
	denial_forget(&others[1]);
	is_u64(count_of(&others[1]), 0, "one that ends gives its record back");
	current = &threads[1];
	for (unsigned n = 1; n <= 2; n++) {
		ledger_charge(ledger, LEDGER_VIRTUAL_PAGES, 5);
		is_u64(count_of(&threads[1]), n, n == 1 ? "to the next" : "who keeps it for his later denials");
		is_u64(count_of(&others[0]), 1, "and nobody loses his");
	}
	for (unsigned i = 0; i < DENIALS_OF_TASK; i++)
		denial_forget(&others[i]);
	denial_forget(&threads[1]);
	ledger_kill(ledger);
}

static void fail_nth(void)
{
	current = &threads[0];
	threads[0].extra->fail_armed = 3;
	ok(ledger_charge(&root_ledger, LEDGER_VIRTUAL_PAGES, 1) && ledger_charge(&root_ledger, LEDGER_VIRTUAL_PAGES, 1),
	   "the first two charges are served");
	ok(!ledger_charge(&root_ledger, LEDGER_VIRTUAL_PAGES, 1), "the third is denied");
	ok(threads[0].extra->fail_site != NULL && strstr(threads[0].extra->fail_site->file, "mem_denials_test") != NULL, "and its site known");
	ok(ledger_charge(&root_ledger, LEDGER_VIRTUAL_PAGES, 1), "the fourth is served");
	current = &threads[1];
	threads[0].extra->fail_armed = 1;
	ok(ledger_charge(&root_ledger, LEDGER_VIRTUAL_PAGES, 1), "another thread's charges do not count");
	threads[0].extra->fail_armed = 0;
	ledger_refund(&root_ledger, LEDGER_VIRTUAL_PAGES, 4);
}

static void pressure(void)
{
	struct page *pages[4096];
	unsigned n = 0;

	while (n < 4096 && (pages[n] = frame_alloc(&root_ledger)) != NULL)
		n++;
	ok(reap_pending(), "pressure has empty slabs taken back when nobody is in the middle of anything");
	reap_all();
	ok(!reap_pending(), "once");
	while (n > 0)
		frame_free(pages[--n], &root_ledger);
	ok(host_audit(), "the audit agrees");
}

int main(void)
{
	tap_begin("mem_denials_test");
	host_memory(2048, 1024);
	for (unsigned i = 0; i < 2; i++)
		threads[i].task = &tasks[i];
	strcpy(tasks[0].name, "first");
	strcpy(tasks[1].name, "second");
	current = &threads[0];
	records();
	takers();
	threads[0].extra = &extra;
	fail_nth();
	pressure();
	return tap_done();
}
