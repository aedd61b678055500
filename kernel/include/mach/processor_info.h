/* SPDX-License-Identifier: BSD-2-Clause */
/* What processor_info and processor_set_info tell. */
#ifndef MACH_PROCESSOR_INFO_H
#define MACH_PROCESSOR_INFO_H

#include <mach/layout_check.h>
#include <mach/machine.h>

typedef integer_t	*processor_info_t;
#define PROCESSOR_INFO_MAX	(1024)
typedef integer_t	processor_info_data_t[PROCESSOR_INFO_MAX];

typedef integer_t	*processor_set_info_t;
#define PROCESSOR_SET_INFO_MAX	(1024)
typedef integer_t	processor_set_info_data_t[PROCESSOR_SET_INFO_MAX];

#define PROCESSOR_BASIC_INFO 1
struct processor_basic_info {
	cpu_type_t	cpu_type;
	cpu_subtype_t	cpu_subtype;
	integer_t	running;	/* truth value */
	integer_t	slot_num;
	integer_t	is_master;	/* truth value */
};
typedef struct processor_basic_info	processor_basic_info_data_t;
typedef struct processor_basic_info	*processor_basic_info_t;
#define PROCESSOR_BASIC_INFO_COUNT \
	(sizeof(processor_basic_info_data_t) / sizeof(integer_t))

#define LOAD_SCALE 1000

#define PROCESSOR_SET_BASIC_INFO 1
struct processor_set_basic_info {
	integer_t	processor_count;
	integer_t	task_count;
	integer_t	thread_count;
	integer_t	load_average;	/* scaled by LOAD_SCALE */
	integer_t	mach_factor;	/* scaled by LOAD_SCALE */
};
typedef struct processor_set_basic_info	processor_set_basic_info_data_t;
typedef struct processor_set_basic_info	*processor_set_basic_info_t;
#define PROCESSOR_SET_BASIC_INFO_COUNT \
	(sizeof(processor_set_basic_info_data_t) / sizeof(integer_t))

#define PROCESSOR_SET_SCHED_INFO 2
struct processor_set_sched_info {
	integer_t	policies;	/* bit set of allowed policies */
	integer_t	max_priority;
};
typedef struct processor_set_sched_info	processor_set_sched_info_data_t;
typedef struct processor_set_sched_info	*processor_set_sched_info_t;
#define PROCESSOR_SET_SCHED_INFO_COUNT \
	(sizeof(processor_set_sched_info_data_t) / sizeof(integer_t))

LAYOUT_AT(struct processor_basic_info, cpu_type, 0);
LAYOUT_AT(struct processor_basic_info, cpu_subtype, 4);
LAYOUT_AT(struct processor_basic_info, running, 8);
LAYOUT_AT(struct processor_basic_info, slot_num, 12);
LAYOUT_AT(struct processor_basic_info, is_master, 16);
LAYOUT_SIZE(struct processor_basic_info, 20);
LAYOUT_AT(struct processor_set_basic_info, processor_count, 0);
LAYOUT_AT(struct processor_set_basic_info, task_count, 4);
LAYOUT_AT(struct processor_set_basic_info, thread_count, 8);
LAYOUT_AT(struct processor_set_basic_info, load_average, 12);
LAYOUT_AT(struct processor_set_basic_info, mach_factor, 16);
LAYOUT_SIZE(struct processor_set_basic_info, 20);

#endif
