/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Deadlines: hierarchical timing wheels (Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7).
 *
 * Time is counted in units of UNIT_NS. A slot of the first wheel holds the threads whose deadline is in one unit, one of the next
 * wheel those of SLOTS units, and so on. A thread is in the first wheel in which its deadline has the same turn as now, so
 * all in a slot are nearer than those of later ones. When the time enters a slot of a higher wheel, its threads are
 * spread over the wheels below (at most WHEELS - 1 times each). So starting and stopping take a fixed time, and
 * two words of the thread.
 *
 * The unit of now may have deadlines that have passed and others; those are looked at each time.
 */
#include "kern/timer.h"
#include "kern/assert.h"
#include "kern/thread.h"
#include "mem/upcalls.h"
#include "x86_64/machine.h"

/* Threads looked at in one go before interrupts get a window. */
#define TIMER_BATCH 32

#define UNIT_SHIFT 20		/* 1.05 ms, about a tick of the clock */
#define SLOT_SHIFT 8
#define SLOTS (1u << SLOT_SHIFT)
#define WHEELS 4		/* 52 days, more than a time-out's 32 bits of ms; what is further off goes around again */

LIST_HEAD(timer_list, thread);
static struct timer_list wheels[WHEELS][SLOTS];
static uint64_t unit_now;	/* the unit that timer_expire has come to: all before are over */
static uint64_t occupied[WHEELS][SLOTS / 64];	/* a bit for each slot that may have threads: looked at when its time comes */
static unsigned looked_at;

static unsigned slot_of(unsigned wheel, uint64_t unit)
{
	return unit >> wheel * SLOT_SHIFT & (SLOTS - 1);
}

static void insert(struct thread *thread)
{
	uint64_t unit = thread->wait.deadline_ns >> UNIT_SHIFT;
	unsigned wheel = 0, slot;

	if (unit < unit_now)
		unit = unit_now;
	while (wheel < WHEELS - 1 && (unit ^ unit_now) >> (wheel + 1) * SLOT_SHIFT != 0)
		wheel++;
	slot = slot_of(wheel, unit);
	occupied[wheel][slot / 64] |= 1ull << slot % 64;
	LIST_INSERT_HEAD(&wheels[wheel][slot], thread, timer);
}

void timer_start(struct thread *thread)
{
	assert(!thread->timed);
	thread->timed = true;
	insert(thread);
}

static void batch_count(void)
{
	if (++looked_at % TIMER_BATCH == 0)
		machine_window();
}

static void expire(struct thread *thread)
{
	if (thread->depressed)
		thread_depress_end(thread);
	else
		wait_cancel(thread, WAIT_TIMED_OUT);
}

/* The slot of now is empty. */
static void slot_clear(unsigned wheel)
{
	unsigned slot = slot_of(wheel, unit_now);

	assert(LIST_EMPTY(&wheels[wheel][slot]));
	occupied[wheel][slot / 64] &= ~(1ull << slot % 64);
}

/* Of the slot of now. What is done may stop others, so it is the first that is looked at, until there is none. */
static void expire_slot(uint64_t now_ns)
{
	struct timer_list *slot = &wheels[0][slot_of(0, unit_now)], later = LIST_HEAD_INITIALIZER(later);
	struct thread *thread;

	while ((thread = LIST_FIRST(slot)) != NULL) {
		if (thread->wait.deadline_ns <= now_ns) {
			expire(thread);
		} else {
			LIST_REMOVE(thread, timer);
			LIST_INSERT_HEAD(&later, thread, timer);
		}
		batch_count();
	}
	LIST_SWAP(slot, &later, thread, timer);
}

/* The time has entered a slot of this wheel. */
static void spread(unsigned wheel)
{
	struct timer_list due = LIST_HEAD_INITIALIZER(due);
	struct thread *thread;

	/* Some may come back to the same slot of the last wheel. */
	LIST_SWAP(&wheels[wheel][slot_of(wheel, unit_now)], &due, thread, timer);
	slot_clear(wheel);
	while ((thread = LIST_FIRST(&due)) != NULL) {
		LIST_REMOVE(thread, timer);
		insert(thread);
		batch_count();
	}
}

/* The first slot behind that of now, in the same turn of the wheel, that may have threads; SLOTS: none. */
static unsigned next_slot(unsigned wheel)
{
	for (unsigned slot = slot_of(wheel, unit_now) + 1; slot < SLOTS; slot = (slot | 63) + 1) {
		uint64_t rest = occupied[wheel][slot / 64] >> slot % 64;

		if (rest != 0)
			return slot + (unsigned)__builtin_ctzll(rest);
	}
	return SLOTS;
}

/* The next unit in which there may be something to do: the clock may have stood still for days, with the whole machine. */
static uint64_t next_unit(void)
{
	unsigned wheel = 0, slot;

	while ((slot = next_slot(wheel)) == SLOTS && wheel < WHEELS - 1)
		wheel++;
	return ((unit_now >> (wheel + 1) * SLOT_SHIFT << SLOT_SHIFT) + slot) << wheel * SLOT_SHIFT;
}

void timer_expire(void)
{
	uint64_t now_ns = clock_uptime_ns(), last = now_ns >> UNIT_SHIFT, next;

	while (unit_now < last) {
		expire_slot(now_ns);
		slot_clear(0);
		next = next_unit();
		unit_now = next < last ? next : last;
		for (unsigned wheel = 1; wheel < WHEELS && unit_now % (1ull << wheel * SLOT_SHIFT) == 0; wheel++)
			spread(wheel);
	}
	expire_slot(now_ns);
}
