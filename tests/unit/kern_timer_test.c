/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines: each ends in the first look at the clock after it, whatever is started and stopped, however long the looks are apart. */
/* SOURCES: mem kernel/kern/timer.c */
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "host_pmap.h"
#include "kern/timer.h"
#include "tap.h"

#define THREADS 500
#define NEVER UINT64_MAX

static struct thread threads[THREADS];
static uint64_t model[THREADS];		/* deadlines, NEVER: none */
static uint64_t now_ns;

uint64_t clock_uptime_ns(void)
{
	return now_ns;
}

static struct thread *also_stops;

static void over(struct thread *thread)
{
	size_t i = (size_t)(thread - threads);

	timer_stop(thread);
	claim(model[i] <= now_ns, "a deadline at %lu ns is not over at %lu", (long)model[i], (long)now_ns);
	model[i] = NEVER;
	if (also_stops != NULL) {
		timer_stop(also_stops);
		model[also_stops - threads] = NEVER;
		also_stops = NULL;
	}
}

void wait_cancel(struct thread *thread, enum wait_reason reason)
{
	claim(reason == WAIT_TIMED_OUT && !thread->depressed, "a wait ends by its time-out");
	over(thread);
}

void thread_depress_end(struct thread *thread)
{
	over(thread);
	thread->depressed = false;
}

static void start(unsigned i, uint64_t deadline_ns)
{
	model[i] = threads[i].wait.deadline_ns = deadline_ns;
	threads[i].depressed = random_below(4) == 0;
	timer_start(&threads[i]);
}

static void look(void)
{
	timer_expire();
	for (unsigned i = 0; i < THREADS; i++) {
		claim(model[i] == NEVER || model[i] > now_ns, "a deadline at %lu ns is over at %lu", (long)model[i], (long)now_ns);
		claim(threads[i].timed == (model[i] != NEVER), "thread %u is awaited as it should be", i);
	}
}

/* Lengths of all magnitudes, up to the longest time-out. */
static uint64_t random_length(void)
{
	return random_below(1u << (1 + random_below(31))) * (uint64_t)(1 + random_below(1 + random_below(1000000)));
}

static void at_random(void)
{
	claim_begin("deadlines of all lengths end in time");
	for (unsigned n = 0; n < 20000; n++) {
		unsigned i = random_below(THREADS);

		if (model[i] != NEVER && random_below(2) == 0) {
			timer_stop(&threads[i]);
			model[i] = NEVER;
		} else if (model[i] == NEVER) {
			start(i, now_ns + random_length());
		}
		if (random_below(20) == 0)
			also_stops = &threads[random_below(THREADS)];
		/* Mostly ticks, now and then a long sleep. */
		now_ns += random_below(100) == 0 ? random_length() % (1ull << 42) : random_below(1100000);
		if (random_below(2) == 0)
			look();
	}
	also_stops = NULL;
	for (unsigned i = 0; i < THREADS; i++) {
		timer_stop(&threads[i]);
		model[i] = NEVER;
	}
	claim_end();
}

static void edges(void)
{
	static const uint64_t units[] = { 0, 1, 255, 256, 257, 65535, 65536, 65537, 1u << 24, (1u << 24) + 1, UINT32_MAX, 1ull << 32 };

	claim_begin("deadlines at the ends of wheels end neither sooner nor later");
	for (unsigned from = 0; from < 3; from++) {
		/* So that the ends lie at different distances. */
		now_ns = ((now_ns >> 28) + 1) << 28;
		now_ns -= from;
		look();
		for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
			uint64_t deadline_ns = now_ns + (units[i] << 20);

			start(i, deadline_ns);
			if (i % 2 == 0)
				start(20 + i, deadline_ns + 1);
		}
		for (unsigned i = 0; i + 1 < sizeof(units) / sizeof(units[0]); i++) {
			now_ns = model[i] == NEVER ? now_ns : model[i] - 1;
			look();
			now_ns++;
			look();
		}
		for (unsigned i = 0; i < THREADS; i++) {
			timer_stop(&threads[i]);
			model[i] = NEVER;
		}
	}
	claim_end();
}

static void many(void)
{
	claim_begin("very many that end at once leave windows for interrupts");
	for (unsigned i = 0; i < THREADS; i++)
		start(i, now_ns + 5000000);
	now_ns += 6000000;
	host_windows = 0;
	look();
	claim(host_windows >= THREADS / 32, "%u windows for %u threads", (unsigned)host_windows, THREADS);
	claim_end();
}

int main(void)
{
	tap_begin("kern_timer_test");
	for (unsigned i = 0; i < THREADS; i++)
		model[i] = NEVER;
	at_random();
	edges();
	many();
	return tap_done();
}
