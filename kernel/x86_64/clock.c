/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: the time stamp counter, its rate told by CPUID or measured against the 8254 at boot; the
   8254's channel 0 ticks.
   (Intel 8254 datasheet: control word, counter latch, modes 0 and 2. Port 61h bit 0 gates
   channel 2.) */
#include "x86_64/clock.h"
#include <mach/time_value.h>
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/tsc_rate.h"

#define PIT_HZ 1193182u
#define PIT_CHANNEL0 0x40
#define PIT_CHANNEL2 0x42
#define PIT_CONTROL 0x43
#define PIT_CH0_MODE2 0x34
#define PIT_CH2_MODE0 0xb0
#define PIT_LATCH2 0x80
#define GATE_PORT 0x61
#define GATE_CH2 0x01
#define GATE_SPEAKER 0x02
#define GATE_OUT2 0x20
#define IRQ_TIMER 0
#define NS_PER_S 1000000000ull
#define ADJUST_PART 200u		/* a change of 5 ms a second */

#define MEASURE_COUNTS 1193u		/* 1 ms */
#define ERROR_PART 256u			/* of what is measured may be uncertain */
#define MEASURE_TRIES 6
#define STILL_MOST 100000u		/* readings at one count: some 0.1 s, where a count takes 838 ns */
#define FIRST_TICK_NS 100000000ull	/* a hundred times what it should take */

static uint64_t tsc_base, tsc_hz;
static uint64_t ns_per_tsc;		/* times 2^32 */
static uint64_t boot_tsc;		/* at the kernel's entry; then what the boot took */
static int64_t real_offset_ns;		/* real time minus uptime */
/* Of a gradual change: in all, since when (uptime). */
static int64_t adjust_ns;
static uint64_t adjust_start_ns;
static uint64_t boot_time_s;
/* Alone in its page: programs map it. */
static union {
	volatile struct mapped_time_value time;
	char page[4096];
} mapped __attribute__((aligned(4096)));

/* The counter and the TSC at the same moment, give or take half of `within`. */
struct sample { uint64_t tsc, within; uint16_t count; };

/* The quickest of a few readings, which nothing has interrupted. */
static struct sample sample(void)
{
	struct sample best = {.within = ~0ull};

	for (unsigned i = 0; i < 4; i++) {
		uint64_t before = clock_ticks();
		outb(PIT_CONTROL, PIT_LATCH2);
		uint64_t after = clock_ticks();
		uint16_t count = inb(PIT_CHANNEL2);
		count |= (uint16_t)inb(PIT_CHANNEL2) << 8;
		if (after - before < best.within)
			best = (struct sample){before + (after - before) / 2, after - before, count};
	}
	return best;
}

/* TSC ticks a second, from one short measurement. False: not to be trusted, as it was paused (an emulator may be, at
   any place) for longer than the counter's 55 ms, or while it read. */
static bool measure_hz(uint64_t *hz)
{
	struct sample first, last;
	uint16_t counts = 0, before;
	unsigned still = 0;

	outb(GATE_PORT, (inb(GATE_PORT) & ~GATE_SPEAKER) | GATE_CH2);
	/* The output is low until the count ends. */
	outb(PIT_CONTROL, PIT_CH2_MODE0);
	outb(PIT_CHANNEL2, 0xff);
	outb(PIT_CHANNEL2, 0xff);
	first = sample();
	do {
		before = counts;
		last = sample();
		counts = first.count - last.count;
		still = counts == before ? still + 1 : 0;
		if (still == STILL_MOST)
			machine_cannot_boot("this machine has no 8254 timer: it does not count");
	} while (counts < MEASURE_COUNTS);
	*hz = (last.tsc - first.tsc) * PIT_HZ / counts;
	return !(inb(GATE_PORT) & GATE_OUT2) && (first.within + last.within) / 2 < (last.tsc - first.tsc) / ERROR_PART;
}

static void ask_cpuid(uint32_t leaf, uint32_t words[4])
{
	struct cpuid answer = cpuid(leaf, 0);

	words[CPUID_A] = answer.a;
	words[CPUID_B] = answer.b;
	words[CPUID_C] = answer.c;
	words[CPUID_D] = answer.d;
}

/* Ticks a second: as we are told, or else as we measure. */
static uint64_t calibrate(void)
{
	uint64_t hz = tsc_rate_told(ask_cpuid);

	for (unsigned i = 0; hz == 0 && i < MEASURE_TRIES; i++) {
		uint64_t measured;

		if (measure_hz(&measured) || i == MEASURE_TRIES - 1)
			hz = measured;
	}
	return hz;
}

/* The ticks begin before the rest of the boot, so that the first one is there when clock_await_tick looks. */
static void start_ticks(void)
{
	unsigned divisor = (PIT_HZ + CLOCK_TICK_HZ / 2) / CLOCK_TICK_HZ;

	outb(PIT_CONTROL, PIT_CH0_MODE2);
	outb(PIT_CHANNEL0, divisor & 0xff);
	outb(PIT_CHANNEL0, divisor >> 8);
	pic_unmask(IRQ_TIMER);
}

void clock_init(void)
{
	start_ticks();
	tsc_base = clock_ticks();
	tsc_hz = calibrate();
	if (tsc_hz == 0)
		machine_cannot_boot("the time stamp counter stands still");
	ns_per_tsc = (NS_PER_S << 32) / tsc_hz;
	boot_time_s = rtc_read_s() - clock_uptime_ns() / NS_PER_S;
	clock_real_set_ns(boot_time_s * NS_PER_S + clock_uptime_ns());
}

void clock_await_tick(void)
{
	const cpu_local *cpu = cpu_current();
	uint64_t begun = clock_uptime_ns();

	do {
		machine_window();
		if (cpu->ticks > 0)
			return;
	} while (clock_uptime_ns() - begun < FIRST_TICK_NS);
	machine_cannot_boot("no clock interrupt within 100 ms: the 8254's does not come through the 8259");
}

void clock_boot_begun(uint64_t tsc)
{
	boot_tsc = tsc;
}

void clock_boot_ended(void)
{
	boot_tsc = clock_ticks() - boot_tsc;
}

uint64_t clock_boot_ticks(void)
{
	return boot_tsc;
}

uint64_t clock_ticks_ns(uint64_t ticks)
{
	uint64_t high;

	/* ticks * ns_per_tsc >> 32. With a variable of 128 bits the compiler would align the stack, wherever this is in line. */
	__asm__("mulq %2; shrdq $32, %1, %0" : "+a"(ticks), "=&d"(high) : "rm"(ns_per_tsc) : "cc");
	return ticks;
}

uint64_t clock_uptime_ns(void)
{
	return clock_ticks_ns(clock_ticks() - tsc_base);
}

uint64_t clock_tsc_hz(void)
{
	return tsc_hz;
}

uint64_t clock_boot_time_s(void)
{
	return boot_time_s;
}

/* How much of the gradual change has happened. */
static int64_t adjusted_ns(uint64_t uptime_ns)
{
	uint64_t all = adjust_ns < 0 ? -(uint64_t)adjust_ns : (uint64_t)adjust_ns;
	uint64_t done = (uptime_ns - adjust_start_ns) / ADJUST_PART;

	if (done > all)
		done = all;
	return adjust_ns < 0 ? -(int64_t)done : (int64_t)done;
}

static uint64_t real_at(uint64_t uptime_ns)
{
	return uptime_ns + real_offset_ns + adjusted_ns(uptime_ns);
}

uint64_t clock_real_ns(void)
{
	return real_at(clock_uptime_ns());
}

int64_t clock_real_adjusting_ns(void)
{
	return adjust_ns - adjusted_ns(clock_uptime_ns());
}

int64_t clock_real_adjust_ns(int64_t change_ns)
{
	uint64_t uptime = clock_uptime_ns();
	int64_t done = adjusted_ns(uptime), left = adjust_ns - done;

	real_offset_ns += done;
	adjust_ns = change_ns;
	adjust_start_ns = uptime;
	return left;
}

/* A reader takes seconds, fraction, check: so written in the reverse order. One store each, in
   program order. */
static void map_write64(volatile int64_t *check, volatile struct time_value64 *value, uint64_t ns)
{
	*check = ns / NS_PER_S;
	value->nanoseconds = ns % NS_PER_S;
	value->seconds = ns / NS_PER_S;
}

static void map_update(void)
{
	uint64_t uptime = clock_uptime_ns(), real = real_at(uptime);

	mapped.time.check_seconds = real / NS_PER_S;
	mapped.time.microseconds = real % NS_PER_S / 1000;
	mapped.time.seconds = real / NS_PER_S;
	map_write64(&mapped.time.check_seconds64, &mapped.time.time_value, real);
	map_write64(&mapped.time.check_upseconds64, &mapped.time.uptime_value, uptime);
}

void clock_real_set_ns(uint64_t now_ns)
{
	adjust_ns = 0;
	real_offset_ns = now_ns - clock_uptime_ns();
	map_update();
}

uint64_t clock_map_physical(void)
{
	return kernel_image_physical(&mapped);
}

void clock_tick(void)
{
	cpu_local *cpu = cpu_current();

	cpu->ticks++;
	cpu->tick = true;
	cpu->ast = true;
	map_update();
}
