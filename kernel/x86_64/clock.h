/* SPDX-License-Identifier: BSD-2-Clause */
/* Time beyond what machine.h offers: real time, and the page that programs may map. */
#ifndef X86_64_CLOCK_H
#define X86_64_CLOCK_H
#include <stdint.h>
#include "x86_64/machine.h"

/* Nanoseconds since 1970, from the battery-backed clock at boot or as set since. */
uint64_t clock_real_ns(void);
void clock_real_set_ns(uint64_t now_ns);
/* Real time gains (or loses) adjust_ns, by 1/200 of the time that passes, so it never goes backwards. What was left of
   the last adjustment is given up; returns it. clock_real_set_ns gives it up too. */
int64_t clock_real_adjust_ns(int64_t adjust_ns);
/* What is left of the adjustment. */
int64_t clock_real_adjusting_ns(void);
/* Ticks of the time stamp counter in a second. */
uint64_t clock_tsc_hz(void);
/* Physical address of the page that holds a struct mapped_time_value, written at each tick. It
   lies in the kernel's image, the rest of it is 0. */
uint64_t clock_map_physical(void);

/* The TSC at the kernel's entry: before anything else of this file. */
void clock_boot_begun(uint64_t tsc);

#endif
