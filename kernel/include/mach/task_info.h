/* SPDX-License-Identifier: BSD-2-Clause */
/* What task_info tells. */
#ifndef MACH_TASK_INFO_H
#define MACH_TASK_INFO_H

#include <mach/layout_check.h>
#include <mach/machine/vm_types.h>
#include <mach/time_value.h>

typedef integer_t	*task_info_t;
#define TASK_INFO_MAX	(1024)		/* integers in a reply */
typedef integer_t	task_info_data_t[TASK_INFO_MAX];

#define TASK_BASIC_INFO	1
struct task_basic_info {
	integer_t		suspend_count;
	integer_t		base_priority;
	rpc_vm_size_t		virtual_size;	/* bytes */
	rpc_vm_size_t		resident_size;	/* bytes */
	rpc_time_value_t	user_time;	/* of terminated threads */
	rpc_time_value_t	system_time;
	rpc_time_value_t	creation_time;
	time_value64_t		user_time64;
	time_value64_t		system_time64;
	time_value64_t		creation_time64;
};
typedef struct task_basic_info	task_basic_info_data_t;
typedef struct task_basic_info	*task_basic_info_t;
#define TASK_BASIC_INFO_COUNT \
	(sizeof(task_basic_info_data_t) / sizeof(integer_t))

#define TASK_EVENTS_INFO 2
struct task_events_info {
	rpc_long_natural_t	faults;
	rpc_long_natural_t	zero_fills;
	rpc_long_natural_t	reactivations;
	rpc_long_natural_t	pageins;
	rpc_long_natural_t	cow_faults;
	rpc_long_natural_t	messages_sent;
	rpc_long_natural_t	messages_received;
};
typedef struct task_events_info	task_events_info_data_t;
typedef struct task_events_info	*task_events_info_t;
#define TASK_EVENTS_INFO_COUNT \
	(sizeof(task_events_info_data_t) / sizeof(integer_t))

#define TASK_THREAD_TIMES_INFO 3
struct task_thread_times_info {
	rpc_time_value_t	user_time;	/* of live threads */
	rpc_time_value_t	system_time;
	time_value64_t		user_time64;
	time_value64_t		system_time64;
};
typedef struct task_thread_times_info	task_thread_times_info_data_t;
typedef struct task_thread_times_info	*task_thread_times_info_t;
#define TASK_THREAD_TIMES_INFO_COUNT \
	(sizeof(task_thread_times_info_data_t) / sizeof(integer_t))

/* Flavors of task_ras_control. */
#define TASK_RAS_CONTROL_PURGE_ALL			0
#define TASK_RAS_CONTROL_PURGE_ONE			1
#define TASK_RAS_CONTROL_PURGE_ALL_AND_INSTALL_ONE	2
#define TASK_RAS_CONTROL_INSTALL_ONE			3

LAYOUT_AT(struct task_basic_info, suspend_count, 0);
LAYOUT_AT(struct task_basic_info, base_priority, 4);
LAYOUT_AT(struct task_basic_info, virtual_size, 8);
LAYOUT_AT(struct task_basic_info, resident_size, 16);
LAYOUT_AT(struct task_basic_info, user_time, 24);
LAYOUT_AT(struct task_basic_info, system_time, 40);
LAYOUT_AT(struct task_basic_info, creation_time, 56);
LAYOUT_AT(struct task_basic_info, user_time64, 72);
LAYOUT_AT(struct task_basic_info, system_time64, 88);
LAYOUT_AT(struct task_basic_info, creation_time64, 104);
LAYOUT_SIZE(struct task_basic_info, 120);
LAYOUT_AT(struct task_events_info, faults, 0);
LAYOUT_AT(struct task_events_info, zero_fills, 8);
LAYOUT_AT(struct task_events_info, reactivations, 16);
LAYOUT_AT(struct task_events_info, pageins, 24);
LAYOUT_AT(struct task_events_info, cow_faults, 32);
LAYOUT_AT(struct task_events_info, messages_sent, 40);
LAYOUT_AT(struct task_events_info, messages_received, 48);
LAYOUT_SIZE(struct task_events_info, 56);
LAYOUT_AT(struct task_thread_times_info, user_time, 0);
LAYOUT_AT(struct task_thread_times_info, system_time, 16);
LAYOUT_AT(struct task_thread_times_info, user_time64, 32);
LAYOUT_AT(struct task_thread_times_info, system_time64, 48);
LAYOUT_SIZE(struct task_thread_times_info, 64);

#endif
