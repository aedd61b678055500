/* SPDX-License-Identifier: BSD-2-Clause */
/* The time of day: the machine's clock, set by host_set_time. */
#include "kern/time.h"
#include "x86_64/clock.h"

struct time_value64 time_of_ns(uint64_t ns)
{
	struct time_value64 time = {(int64_t)(ns / 1000000000), (int64_t)(ns % 1000000000)};

	return time;
}

void time_now(struct time_value64 *now)
{
	*now = time_of_ns(clock_real_ns());
}

void time_set(const struct time_value64 *now)
{
	clock_real_set_ns((uint64_t)now->seconds * 1000000000 + (uint64_t)now->nanoseconds);
}
