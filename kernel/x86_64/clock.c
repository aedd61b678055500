/* SPDX-License-Identifier: BSD-2-Clause */
/* Time: the time stamp counter, measured against the 8254 at boot; the 8254's channel 0 ticks.
   (Intel 8254 datasheet: control word, counter latch, modes 0 and 2. Port 61h bit 0 gates
   channel 2.) */
#include "x86_64/clock.h"
#include <mach/time_value.h>
#include "x86_64/cpu.h"
#include "x86_64/io.h"

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
#define IRQ_TIMER 0
#define NS_PER_S 1000000000ull
#define ADJUST_PART 200u		/* a change of 5 ms a second */

#define MEASURE_COUNTS 1800u		/* 1.5 ms */
#define MEASURE_TRIES 6

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

struct sample { uint64_t tsc; uint16_t count; };

/* The counter and the TSC at the same moment: the quickest of a few readings, which nothing has
   interrupted. */
static struct sample sample(void)
{
	struct sample best = {0};
	uint64_t quickest = ~0ull;

	for (unsigned i = 0; i < 4; i++) {
		uint64_t before = rdtsc();
		outb(PIT_CONTROL, PIT_LATCH2);
		uint64_t after = rdtsc();
		uint16_t count = inb(PIT_CHANNEL2);
		count |= (uint16_t)inb(PIT_CHANNEL2) << 8;
		if (after - before < quickest) {
			quickest = after - before;
			best = (struct sample){before + (after - before) / 2, count};
		}
	}
	return best;
}

/* TSC ticks a second, from one short measurement; good while it is shorter than the counter's 55
   ms. */
static uint64_t measure_hz(void)
{
	struct sample first, last;
	uint16_t counts;

	outb(GATE_PORT, (inb(GATE_PORT) & ~GATE_SPEAKER) | GATE_CH2);
	outb(PIT_CONTROL, PIT_CH2_MODE0);
	outb(PIT_CHANNEL2, 0xff);
	outb(PIT_CHANNEL2, 0xff);
	first = sample();
	do {
		last = sample();
		counts = first.count - last.count;
	} while (counts < MEASURE_COUNTS);
	return (last.tsc - first.tsc) * PIT_HZ / counts;
}

/* Two measurements in a row that agree within 1/256; the emulator's host may have paused us in
   one. */
static uint64_t calibrate(void)
{
	uint64_t hz = measure_hz();

	for (unsigned i = 0; i < MEASURE_TRIES; i++) {
		uint64_t next = measure_hz();
		uint64_t difference = next > hz ? next - hz : hz - next;
		if (difference < hz / 256)
			return (hz + next) / 2;
		hz = next;
	}
	return hz;
}

void clock_init(void)
{
	unsigned divisor = (PIT_HZ + CLOCK_TICK_HZ / 2) / CLOCK_TICK_HZ;

	tsc_base = rdtsc();
	tsc_hz = calibrate();
	if (tsc_hz == 0)
		machine_cannot_boot("the time stamp counter stands still");
	ns_per_tsc = (NS_PER_S << 32) / tsc_hz;
	boot_time_s = rtc_read_s() - clock_uptime_ns() / NS_PER_S;
	clock_real_set_ns(boot_time_s * NS_PER_S + clock_uptime_ns());
	outb(PIT_CONTROL, PIT_CH0_MODE2);
	outb(PIT_CHANNEL0, divisor & 0xff);
	outb(PIT_CHANNEL0, divisor >> 8);
	pic_unmask(IRQ_TIMER);
}

void clock_boot_begun(uint64_t tsc)
{
	boot_tsc = tsc;
}

void clock_boot_ended(void)
{
	boot_tsc = rdtsc() - boot_tsc;
}

uint64_t clock_boot_ticks(void)
{
	return boot_tsc;
}

uint64_t clock_uptime_ns(void)
{
	return (unsigned __int128)(rdtsc() - tsc_base) * ns_per_tsc >> 32;
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
	struct cpu *cpu = cpu_current();

	cpu->ticks++;
	cpu->tick = true;
	cpu->ast = true;
	map_update();
}
