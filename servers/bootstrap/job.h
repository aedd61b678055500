/* SPDX-License-Identifier: BSD-2-Clause */
/* Jobs: the programs that the console has started, from start to end. */
#ifndef JOB_H
#define JOB_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>

#define JOBS_MAX	64
#define JOB_NAME_MAX	32

struct job {
	bool used;
	uint32_t id;
	uint64_t started_us;	/* uptime */
	char name[JOB_NAME_MAX];
	task_t task;		/* a send right; a dead name when it has ended */
	mach_port_t port;	/* its bootstrap port: our receive right */
	mach_port_t session;	/* control right of a ledger of its own, or MACH_PORT_NULL */
	mach_port_t server;	/* what it has registered, or MACH_PORT_NULL */
	bool privileged;	/* runs in the root ledger */
	bool is_server;		/* may register */
	bool background;
	bool killed;		/* by us */
	bool reported;		/* has told its status */
	int status;
};

struct job_place {
	mach_port_t ledger;	/* control right, ours */
	bool own_session;	/* in a new ledger below it, so that all its tasks end with it */
	bool privileged, is_server;
};

/* Starts a program of the archive; NULL: it was said why not. */
struct job *job_start(int argc, char *const argv[], const struct job_place *place,
		      bool background);
/* Ends it and what it started. Its death is told by the notification, as any. */
void job_kill(struct job *job);

/* A dead-name notification came; NULL: for no task of ours. Says how it ended; the job is gone then. */
void job_task_died(mach_port_name_t task);

struct job *job_of_port(mach_port_t port);
struct job *job_of_task(task_t task);
/* The living server that registered under its program's name; NULL: none. */
struct job *job_server(const char *name);
/* NULL: it has ended. */
struct job *job_of_id(uint32_t id);
unsigned job_count_background(void);
/* All jobs: index from 0; NULL: unused. */
struct job *job_at(unsigned index);

#endif
