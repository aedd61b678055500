/* SPDX-License-Identifier: BSD-2-Clause */
/* The x87 registers in FSAVE's layout, compared with what this processor makes of the same state. */
/* SOURCES: mem kernel/x86_64/fpu_x87.c */
#include <stdlib.h>
#include <string.h>
#include "tap.h"
#include "x86_64/fpu_x87.h"

struct fsave { struct i386_fp_save save; struct i386_fp_regs regs; };
static uint8_t image[512] __attribute__((aligned(16)));
static uint8_t host[512] __attribute__((aligned(16)));

/* Loads the state into the processor and stores it as FSAVE does; the host's own comes back. */
static void processor(struct fsave *got)
{
	__asm__ volatile("fxsave64 %0\n\tfxrstor64 %1\n\tfnsave %2\n\tfxrstor64 %0" : "+m"(host), "+m"(image), "=m"(*got));
}

/* Empty registers' contents are kept, so all ten bytes count. The selectors are not: the image has none. */
static bool alike(const struct fsave *a, const struct fsave *b)
{
	return a->save.fp_control == b->save.fp_control && a->save.fp_status == b->save.fp_status &&
	       a->save.fp_tag == b->save.fp_tag && memcmp(&a->regs, &b->regs, sizeof(a->regs)) == 0;
}

/* A value of each kind: zero, finite, denormal, infinite, no number, and bits at random. */
static void value(uint8_t *reg)
{
	uint64_t significand = 1ull << 63 | (uint64_t)random() << 20;
	uint16_t exponent = (uint16_t)(random() & 0x7ffe);

	switch (random() % 6) {
	case 0: significand = exponent = 0; break;
	case 1: exponent = 0; significand >>= 1; break;
	case 2: exponent = 0x7fff; significand = 1ull << 63; break;
	case 3: exponent = 0x7fff; break;
	case 4: significand = (uint64_t)random() << 32 | (uint64_t)random(); break;
	default: break;
	}
	if (random() % 2)
		exponent |= 0x8000;
	memcpy(reg, &significand, 8);
	memcpy(reg + 8, &exponent, 2);
}

int main(void)
{
	unsigned n, same = 0, back = 0, rounds = 2000;
	struct fsave ours, theirs;
	uint8_t first[512];
	uint32_t mxcsr = 0x1f80;

	tap_begin("x86_fpu_x87_test");
	srandom(20261122);
	for (n = 0; n < rounds; n++) {
		uint16_t control = 0x037f, status = (uint16_t)(random() & 0x3800);

		memset(image, 0, sizeof(image));
		memcpy(image, &control, 2);
		memcpy(image + 2, &status, 2);
		image[4] = (uint8_t)random();
		memcpy(image + 24, &mxcsr, 4);
		for (unsigned i = 0; i < 8; i++)
			value(image + 32 + 16 * i);
		for (unsigned i = 160; i < 416; i++)
			image[i] = (uint8_t)random();
		memset(&ours, 0xa5, sizeof(ours));
		fpu_x87_get(image, &ours.save, &ours.regs);
		processor(&theirs);
		same += alike(&ours, &theirs);
		memcpy(first, image, sizeof(first));
		memset(image, 0x5a, 24);
		memset(image + 32, 0, 128);
		fpu_x87_set(image, &ours.save, &ours.regs);
		back += memcmp(first, image, sizeof(first)) == 0;
	}
	is_u64(same, rounds, "each state has the words that FNSAVE writes");
	is_u64(back, rounds, "and what is made of them is the state again, with the SSE part as it was");
	return tap_done();
}
