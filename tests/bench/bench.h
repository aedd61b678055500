/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the benchmark share. An operation is measured by reading the time stamp counter
 * before and after it: under QEMU's -icount shift=0 the counter counts the guest's instructions.
 */
#ifndef BENCH_H
#define BENCH_H

#include <mach/kern_return.h>
#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>

/* What there may be more of beside an operation while it is measured (crowd.c). */
enum crowd {
	CROWD_NONE, CROWD_PORTS, CROWD_MESSAGES, CROWD_ENTRIES, CROWD_THREADS, CROWD_RUNNABLE, CROWD_TIMERS, CROWD_TASKS, CROWDS
};

struct operation {
	const char *name;
	/* Once before and after all samples; may be NULL. */
	void (*setup)(void);
	void (*teardown)(void);
	/* What is measured; `again` (may be NULL) is not, and puts things back as they were before. */
	void (*run)(void);
	void (*again)(void);
	void (*base)(void);	/* its median is taken off each sample; NULL: that of an empty function */
	unsigned per_sample;	/* rounds that run() makes, by which a sample is divided; 0: one */
	enum crowd kind;	/* of which it is measured with many alive */
	bool root;		/* only with the privileged host port */
	bool crowd_only;	/* measured beside a crowd only */
};

/* Each file's operations, up to one without a name. */
extern const struct operation trap_operations[], message_operations[], memory_operations[], task_operations[],
	zone_operations[];

/* Ends the program, failed, unless the code is success. */
void need(kern_return_t code, const char *what);
_Noreturn void bench_fail(const char *what);

#define REPLY_SERVER_NAME	20	/* of the port in the server task */

/* A task and its thread that answers each message with itself: reply_server(port name). */
void reply_server(void *port);
/* A receive right with a send right of the same name; given back. */
mach_port_t bench_port(void);
void bench_port_free(mach_port_t port);

/* Measures all operations that were asked for (main.c). */
void bench_measure(const char *prefix);
/* The privileged host port where it is known already; MACH_PORT_NULL: the console is asked. */
extern mach_port_t bench_host_priv;
/* Those operations in ledgers of each depth of a list "1,2,8" (depth.c). False: no such list. */
bool bench_depths(const char *list);

/* Brings the crowd to `count`; 0 takes it away. False: there is no memory for so many. */
bool crowd_set(enum crowd kind, uint64_t count);
/* Prints what objects take of the kernel's memory (sizes.c). */
void bench_sizes(void);
extern const char *const crowd_names[CROWDS];

#endif
