/* SPDX-License-Identifier: BSD-2-Clause */
/* Times as they travel, and the page of the mapped clock. */
#ifndef MACH_TIME_VALUE_H
#define MACH_TIME_VALUE_H

#include <mach/layout_check.h>
#include <mach/machine/vm_types.h>

#define TIME_MICROS_MAX		1000000
#define TIME_NANOS_MAX		1000000000

/* Given as the fraction to host_adjust_time to ask without changing. */
#define MACH_ADJTIME_USECS_OMIT	TIME_MICROS_MAX
#define MACH_ADJTIME_NSECS_OMIT	TIME_NANOS_MAX

struct rpc_time_value {
	rpc_long_integer_t	seconds;
	integer_t		microseconds;
};
typedef struct rpc_time_value rpc_time_value_t;

struct time_value {
	long_integer_t		seconds;
	integer_t		microseconds;
};
typedef struct time_value time_value_t;

struct time_value64 {
	int64_t			seconds;
	int64_t			nanoseconds;
};
typedef struct time_value64 time_value64_t;

/*
 * A reader takes the seconds, then the fraction, then check_seconds, and
 * repeats when the two seconds differ; the kernel writes in reverse order.
 */
typedef struct mapped_time_value {
	integer_t		seconds;
	integer_t		microseconds;
	integer_t		check_seconds;
	struct time_value64	time_value;
	int64_t			check_seconds64;
	struct time_value64	uptime_value;
	int64_t			check_upseconds64;
} mapped_time_value_t;

LAYOUT_AT(struct rpc_time_value, seconds, 0);
LAYOUT_AT(struct rpc_time_value, microseconds, 8);
LAYOUT_SIZE(struct rpc_time_value, 16);
LAYOUT_AT(struct time_value, seconds, 0);
LAYOUT_AT(struct time_value, microseconds, 8);
LAYOUT_SIZE(struct time_value, 16);
LAYOUT_AT(struct time_value64, seconds, 0);
LAYOUT_AT(struct time_value64, nanoseconds, 8);
LAYOUT_SIZE(struct time_value64, 16);
LAYOUT_AT(struct mapped_time_value, seconds, 0);
LAYOUT_AT(struct mapped_time_value, microseconds, 4);
LAYOUT_AT(struct mapped_time_value, check_seconds, 8);
LAYOUT_AT(struct mapped_time_value, time_value, 16);
LAYOUT_AT(struct mapped_time_value, check_seconds64, 32);
LAYOUT_AT(struct mapped_time_value, uptime_value, 40);
LAYOUT_AT(struct mapped_time_value, check_upseconds64, 56);
LAYOUT_SIZE(struct mapped_time_value, 64);

#define TIME_VALUE_TO_TIMESPEC(tv, ts) do {				\
	(ts)->tv_sec = (tv)->seconds;					\
	(ts)->tv_nsec = (tv)->microseconds * 1000L;			\
} while (0)
#define TIMESPEC_TO_TIME_VALUE(tv, ts) do {				\
	(tv)->seconds = (ts)->tv_sec;					\
	(tv)->microseconds = (integer_t) ((ts)->tv_nsec / 1000);	\
} while (0)

#endif
