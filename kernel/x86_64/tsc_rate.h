/* SPDX-License-Identifier: BSD-2-Clause */
/* The rate of the time stamp counter, where the processor or a hypervisor tells it. */
#ifndef X86_64_TSC_RATE_H
#define X86_64_TSC_RATE_H
#include <stdint.h>

enum { CPUID_A, CPUID_B, CPUID_C, CPUID_D };

/* Ticks a second; 0: nobody says. ask: the CPUID instruction for a leaf, subleaf 0. */
uint64_t tsc_rate_told(void (*ask)(uint32_t leaf, uint32_t words[4]));

#endif
