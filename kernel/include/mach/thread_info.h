/* SPDX-License-Identifier: BSD-2-Clause */
/* What thread_info tells. */
#ifndef MACH_THREAD_INFO_H
#define MACH_THREAD_INFO_H

#include <mach/boolean.h>
#include <mach/layout_check.h>
#include <mach/policy.h>
#include <mach/time_value.h>

typedef integer_t	*thread_info_t;
#define THREAD_INFO_MAX	(1024)		/* integers in a reply */
typedef integer_t	thread_info_data_t[THREAD_INFO_MAX];

#define THREAD_BASIC_INFO 1
struct thread_basic_info {
	rpc_time_value_t	user_time;
	rpc_time_value_t	system_time;
	integer_t		cpu_usage;	/* of TH_USAGE_SCALE */
	integer_t		base_priority;
	integer_t		cur_priority;
	integer_t		run_state;	/* TH_STATE_... */
	integer_t		flags;		/* TH_FLAGS_... */
	integer_t		suspend_count;
	integer_t		sleep_time;	/* seconds */
	rpc_time_value_t	creation_time;
	time_value64_t		user_time64;
	time_value64_t		system_time64;
	time_value64_t		creation_time64;
};
typedef struct thread_basic_info	thread_basic_info_data_t;
typedef struct thread_basic_info	*thread_basic_info_t;
#define THREAD_BASIC_INFO_COUNT \
	(sizeof(thread_basic_info_data_t) / sizeof(natural_t))

#define TH_USAGE_SCALE		1000

#define TH_STATE_RUNNING	1
#define TH_STATE_STOPPED	2
#define TH_STATE_WAITING	3
#define TH_STATE_UNINTERRUPTIBLE 4
#define TH_STATE_HALTED		5

#define TH_FLAGS_SWAPPED	0x1
#define TH_FLAGS_IDLE		0x2

#define THREAD_SCHED_INFO 2
struct thread_sched_info {
	integer_t	policy;
	integer_t	data;
	integer_t	base_priority;
	integer_t	max_priority;
	integer_t	cur_priority;
	integer_t	depressed;		/* truth value */
	integer_t	depress_priority;
	integer_t	last_processor;
};
typedef struct thread_sched_info	thread_sched_info_data_t;
typedef struct thread_sched_info	*thread_sched_info_t;
#define THREAD_SCHED_INFO_COUNT \
	(sizeof(thread_sched_info_data_t) / sizeof(natural_t))

LAYOUT_AT(struct thread_basic_info, user_time, 0);
LAYOUT_AT(struct thread_basic_info, system_time, 16);
LAYOUT_AT(struct thread_basic_info, cpu_usage, 32);
LAYOUT_AT(struct thread_basic_info, base_priority, 36);
LAYOUT_AT(struct thread_basic_info, cur_priority, 40);
LAYOUT_AT(struct thread_basic_info, run_state, 44);
LAYOUT_AT(struct thread_basic_info, flags, 48);
LAYOUT_AT(struct thread_basic_info, suspend_count, 52);
LAYOUT_AT(struct thread_basic_info, sleep_time, 56);
LAYOUT_AT(struct thread_basic_info, creation_time, 64);
LAYOUT_AT(struct thread_basic_info, user_time64, 80);
LAYOUT_AT(struct thread_basic_info, system_time64, 96);
LAYOUT_AT(struct thread_basic_info, creation_time64, 112);
LAYOUT_SIZE(struct thread_basic_info, 128);
LAYOUT_AT(struct thread_sched_info, policy, 0);
LAYOUT_AT(struct thread_sched_info, data, 4);
LAYOUT_AT(struct thread_sched_info, base_priority, 8);
LAYOUT_AT(struct thread_sched_info, max_priority, 12);
LAYOUT_AT(struct thread_sched_info, cur_priority, 16);
LAYOUT_AT(struct thread_sched_info, depressed, 20);
LAYOUT_AT(struct thread_sched_info, depress_priority, 24);
LAYOUT_AT(struct thread_sched_info, last_processor, 28);
LAYOUT_SIZE(struct thread_sched_info, 32);

#endif
