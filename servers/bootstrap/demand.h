/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory disk's server, which is started when somebody asks for it, in a ledger `md` of its
 * own: so disks take nothing where there are none, and no more than that ledger may have.
 */
#ifndef DEMAND_H
#define DEMAND_H

#include <stdbool.h>
#include "job.h"

/* Is that a server to be started when it is asked for, and does it run or start now? */
bool demand_server(const char *name);
/* A server has registered: if it is one of these it gets its guarantees. */
void demand_registered(const struct job *job);

#endif
