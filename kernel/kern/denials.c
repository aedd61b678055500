/* SPDX-License-Identifier: BSD-2-Clause */
/* What mem tells the kernel: denials, fail-nth, memory pressure. */
/*
 * A denial leaves two traces: the record of the thread whose call it was (ledger_last_denial), and
 * an event in a ring of the last DENIALS_KEPT of the machine (ledger_denials). A flood is denied
 * thousands of times in a row for the same reason; that is one event with a count, so that it does
 * not push the others out.
 *
 * The records are in the task, for the DENIALS_OF_TASK threads of it that were denied something last: a thread asks at
 * once, when its call has failed, or never. They are short: there is the ledger's number. Its name is looked for when the
 * record is read, among the ledgers that pay for the thread, which is where nearly all denials are, and in the ring.
 */
#include "kern/denials.h"
#include "kern/assert.h"
#include "kern/opaque.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/ledger.h"
#include "mem/reap.h"
#include "mem/upcalls.h"
#include "mem/zone.h"

static struct ledger_denial ring[DENIALS_KEPT];
static uint32_t ring_next, ring_count;

uint32_t denials_kept(void)
{
	return ring_count;
}

static const struct ledger_denial *denial_kept(uint32_t index)
{
	assert(index < ring_count);
	return &ring[(ring_next + DENIALS_KEPT - ring_count + index) % DENIALS_KEPT];
}

void denial_of_machine(uint32_t index, struct ledger_denial *denial)
{
	*denial = *denial_kept(index);
	denial->site = opaque_of((const void *)(uintptr_t)denial->site);
}

static bool same_kind(const struct ledger_denial *a, const struct ledger_denial *b)
{
	return a->resource == b->resource && a->ledger_id == b->ledger_id && a->site == b->site &&
	       strcmp(a->task, b->task) == 0;
}

static struct denial_record *record_of(const struct thread *thread)
{
	return thread->denial != 0 ? &thread->task->denials[thread->denial - 1] : NULL;
}

void denial_forget(struct thread *thread)
{
	struct denial_record *record = record_of(thread);

	if (record == NULL)
		return;
	record->thread = NULL;
	thread->denial = 0;
}

/* The thread gets a record, empty: one that is nobody's, or that of the thread whose denial is the oldest. */
static struct denial_record *record_take(struct thread *thread)
{
	struct denial_record *records = thread->task->denials, *record = records;

	for (unsigned i = 1; i < DENIALS_OF_TASK && record->thread != NULL; i++)
		if (records[i].thread == NULL || records[i].when_ns < record->when_ns)
			record = &records[i];
	if (record->thread != NULL)
		denial_forget(record->thread);
	*record = (struct denial_record){ .thread = thread };
	thread->denial = (uint8_t)(record - records + 1);
	return record;
}

static void record_keep(struct thread *thread, const struct ledger_denial *denial)
{
	const struct alloc_site *site = (const struct alloc_site *)(uintptr_t)denial->site;
	struct denial_record *record = thread->denial != 0 ? record_of(thread) : record_take(thread);
	uint32_t count = record->count;

	if (record->resource != denial->resource || record->ledger_id != denial->ledger_id || record->site != site)
		count = 0;
	*record = (struct denial_record){
		.thread = thread, .used = denial->used, .limit = denial->limit, .wanted = denial->wanted, .site = site,
		.when_ns = denial->when_ns, .ledger_id = denial->ledger_id, .resource = (uint8_t)denial->resource,
		.count = count < DENIAL_COUNT_MAX ? count + 1 : count,
	};
}

static const char *ledger_name_find(const struct thread *thread, uint32_t ledger_id)
{
	for (const struct ledger *ledger = thread->task->ledger; ledger != NULL; ledger = ledger->parent) {
		if (ledger->id == ledger_id)
			return ledger->name;
	}
	for (uint32_t i = denials_kept(); i-- > 0;) {
		if (denial_kept(i)->ledger_id == ledger_id)
			return denial_kept(i)->ledger;
	}
	return "";
}

void denial_of_thread(const struct thread *thread, struct ledger_denial *denial)
{
	const struct denial_record *record = record_of(thread);

	memset(denial, 0, sizeof(*denial));
	if (record == NULL)
		return;
	denial->resource = record->resource;
	denial->ledger_id = record->ledger_id;
	denial->used = record->used;
	denial->limit = record->limit;
	denial->wanted = record->wanted;
	denial->site = opaque_of(record->site);
	denial->when_ns = record->when_ns;
	denial->count = record->count;
	strlcpy(denial->ledger, ledger_name_find(thread, record->ledger_id), sizeof(denial->ledger));
	strlcpy(denial->task, thread->task->name, sizeof(denial->task));
}

static void ring_add(const struct ledger_denial *denial)
{
	struct ledger_denial *last = &ring[(ring_next + DENIALS_KEPT - 1) % DENIALS_KEPT];

	if (ring_count != 0 && same_kind(last, denial)) {
		uint64_t count = last->count + 1;

		*last = *denial;
		last->count = count;
		return;
	}
	ring[ring_next] = *denial;
	ring_next = (ring_next + 1) % DENIALS_KEPT;
	if (ring_count < DENIALS_KEPT)
		ring_count++;
}

void mem_denied(const struct ledger_denial *denial)
{
	struct thread *thread = thread_current();
	struct ledger_denial event = *denial;

	strlcpy(event.task, thread != NULL ? thread->task->name : "kernel", sizeof(event.task));
	if (thread != NULL)
		record_keep(thread, &event);
	ring_add(&event);
}

bool mem_fail_nth(const struct alloc_site *site)
{
	struct thread *thread = thread_current();

	if (thread == NULL || thread->extra == NULL || thread->extra->fail_armed == 0 || --thread->extra->fail_armed != 0)
		return false;
	thread->extra->fail_site = site;
	return true;
}

/* -- memory pressure -- */

#define PRESSURE_PIECE 32	/* slabs given back in one piece */

static struct reap pressure_work;
static bool pressure_pending;

static bool pressure_step(struct reap *item)
{
	(void)item;
	if (zone_reclaim_some(PRESSURE_PIECE) != 0)
		return false;
	pressure_pending = false;
	return true;
}

/* Under pressure all zones give their empty slabs back, as soon as nobody is in the middle of one. */
void mem_pressure_changed(unsigned level)
{
	if (level == 0 || pressure_pending)
		return;
	pressure_pending = true;
	reap_defer_live(&pressure_work, pressure_step);
}
