/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting servers when they are asked for. */
#include "demand.h"
#include <mach.h>
#include <mach/threads.h>
#include <stddef.h>
#include <string.h>
#include "ledgers.h"

static char md_name[] = "md";
static uint32_t md_job;		/* 0: it was never started, or that failed */
static uint64_t md_started_us;
/* Not sooner again, if it cannot live: it is asked for over and over. */
#define RESTART_US	1000000

bool demand_server(const char *name)
{
	char *argv[] = { md_name, NULL };
	struct job_place place = { .is_server = true };
	struct job *job;

	if (strcmp(name, md_name) != 0)
		return false;
	if (md_job != 0 && job_of_id(md_job) != NULL)
		return true;
	if (md_job != 0 && clock_uptime_us() - md_started_us < RESTART_US)
		return true;
	place.ledger = ledgers_of_md();
	job = place.ledger != MACH_PORT_NULL ? job_start(1, argv, &place, true) : NULL;
	md_job = job != NULL ? job->id : 0;
	md_started_us = clock_uptime_us();
	return job != NULL;
}

void demand_registered(const struct job *job)
{
	if (job->id == md_job)
		ledgers_guarantee_md();
}
