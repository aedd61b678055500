/* SPDX-License-Identifier: BSD-2-Clause */
/* What CPUID says of the time stamp counter's rate. (Intel SDM volume 2A, CPUID: leaf 15H, crystal clock
   and ratio. VMware's proposal of 2008 for hypervisors, which KVM follows: leaf 40000010H, kHz.) Leaf 16H
   is left out: its megahertz are nominal, rounded. */
#include "x86_64/tsc_rate.h"
#include <stdbool.h>

#define LEAF_MAX 0u
#define LEAF_FEATURES 1u
#define LEAF_CRYSTAL 0x15u
#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_TSC_KHZ 0x40000010u
#define FEATURE_C_HYPERVISOR (1u << 31)
/* Anything else is a mistake of who says so. */
#define HZ_MIN 100000000ull
#define HZ_MAX 100000000000ull

static uint64_t plausible(uint64_t hz)
{
	return hz >= HZ_MIN && hz <= HZ_MAX ? hz : 0;
}

/* Others use the leaf for something else. */
static bool has_signature(const uint32_t words[4], uint32_t b, uint32_t c, uint32_t d)
{
	return words[CPUID_B] == b && words[CPUID_C] == c && words[CPUID_D] == d;
}

static uint64_t of_hypervisor(void (*ask)(uint32_t leaf, uint32_t words[4]))
{
	uint32_t words[4];

	ask(LEAF_FEATURES, words);
	if (!(words[CPUID_C] & FEATURE_C_HYPERVISOR))
		return 0;
	ask(LEAF_HYPERVISOR, words);
	/* "KVMKVMKVM", "VMwareVMware" */
	if (words[CPUID_A] < LEAF_TSC_KHZ || !(has_signature(words, 0x4b4d564b, 0x564b4d56, 0x0000004d) ||
					      has_signature(words, 0x61774d56, 0x4d566572, 0x65726177)))
		return 0;
	ask(LEAF_TSC_KHZ, words);
	return plausible(words[CPUID_A] * 1000ull);
}

static uint64_t of_crystal(void (*ask)(uint32_t leaf, uint32_t words[4]))
{
	uint32_t words[4];

	ask(LEAF_MAX, words);
	if (words[CPUID_A] < LEAF_CRYSTAL)
		return 0;
	ask(LEAF_CRYSTAL, words);
	if (words[CPUID_A] == 0 || words[CPUID_B] == 0 || words[CPUID_C] == 0)
		return 0;
	return plausible((uint64_t)words[CPUID_C] * words[CPUID_B] / words[CPUID_A]);
}

uint64_t tsc_rate_told(void (*ask)(uint32_t leaf, uint32_t words[4]))
{
	uint64_t hz = of_hypervisor(ask);

	/* A hypervisor may scale the counter and pass the processor's leaf on. */
	return hz != 0 ? hz : of_crystal(ask);
}
