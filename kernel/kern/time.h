/* SPDX-License-Identifier: BSD-2-Clause */
/* The time of day: the uptime clock and an offset that host_set_time changes. */
#ifndef KERN_TIME_H
#define KERN_TIME_H
#include <mach/time_value.h>
#include <stdint.h>
struct time_value64 time_of_ns(uint64_t ns);
void time_now(struct time_value64 *now);
void time_set(const struct time_value64 *now);
#endif
