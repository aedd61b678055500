/* SPDX-License-Identifier: BSD-2-Clause */
/* What is made of CPUID's words about the time stamp counter's rate. */
/* SOURCES: mem kernel/x86_64/tsc_rate.c */
#include <string.h>
#include "tap.h"
#include "x86_64/tsc_rate.h"

struct leaf { uint32_t leaf, words[4]; };
static struct leaf leaves[8];
static unsigned asked_beyond;

static void set(unsigned i, uint32_t leaf, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
	leaves[i] = (struct leaf){leaf, {a, b, c, d}};
}

/* As a processor does: a leaf beyond the greatest gives some other leaf's words. */
static void ask(uint32_t leaf, uint32_t words[4])
{
	for (unsigned i = 0; i < 8; i++) {
		if (leaves[i].leaf == leaf && i < 6) {
			memcpy(words, leaves[i].words, sizeof(leaves[i].words));
			return;
		}
	}
	asked_beyond++;
	memset(words, 0x5a, 4 * sizeof(*words));
}

static void machine(uint32_t max, uint32_t hypervisor)
{
	memset(leaves, 0xff, sizeof(leaves));
	asked_beyond = 0;
	set(0, 0, max, 0x756e6547, 0x6c65746e, 0x49656e69);
	set(1, 1, 0x663, 0, hypervisor ? 1u << 31 : 0, 0);
	if (hypervisor)
		set(2, 0x40000000, hypervisor, 0x4b4d564b, 0x564b4d56, 0x4d);
}

int main(void)
{
	tap_begin("x86_tsc_rate_test");
	machine(0xd, 0);
	is_u64(tsc_rate_told(ask), 0, "an old processor says nothing");
	machine(0x16, 0);
	set(3, 0x15, 2, 216, 24000000, 0);
	is_u64(tsc_rate_told(ask), 2592000000u, "crystal and ratio tell the rate");
	set(3, 0x15, 2, 216, 0, 0);
	is_u64(tsc_rate_told(ask), 0, "not without the crystal");
	set(3, 0x15, 0, 216, 24000000, 0);
	is_u64(tsc_rate_told(ask), 0, "nor without the ratio");
	set(3, 0x15, 2, 216, 24000, 0);
	is_u64(tsc_rate_told(ask), 0, "a rate that no processor has is not believed");
	machine(0x16, 0x40000010);
	set(3, 0x15, 2, 216, 24000000, 0);
	set(4, 0x40000010, 2100000, 0, 0, 0);
	is_u64(tsc_rate_told(ask), 2100000000u, "KVM is asked before the processor");
	set(2, 0x40000000, 0x40000010, 0x61774d56, 0x4d566572, 0x65726177);
	is_u64(tsc_rate_told(ask), 2100000000u, "and so is VMware");
	set(2, 0x40000000, 0x40000010, 0x7263694d, 0x666f736f, 0x76482074);
	is_u64(tsc_rate_told(ask), 2592000000u, "another hypervisor's leaf may be something else");
	machine(0xd, 0x40000001);
	is_u64(tsc_rate_told(ask), 0, "a hypervisor without the leaf says nothing");
	is_u64(asked_beyond, 0, "and leaves that are not there are not asked for");
	machine(0xd, 0x40000010);
	set(4, 0x40000010, 0, 0, 0, 0);
	is_u64(tsc_rate_told(ask), 0, "a rate of 0 is none");
	return tap_done();
}
