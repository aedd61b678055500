/* SPDX-License-Identifier: BSD-2-Clause */
/* The members of a port set that have messages, in the order of service. Theory in ready.c. */
#ifndef IPC_READY_H
#define IPC_READY_H
#include <stdbool.h>
#include "ipc/port.h"

struct ledger;

/* Whose message is next; NULL: there is none. */
struct port *ready_first(const struct port *set);
static inline bool ready_any(const struct port *set) { return ready_first(set) != NULL; }
/* All that have messages, from the first (port NULL) to the last, in no order; NULL: no more. */
struct port *ready_next(const struct port *set, const struct port *port);
/* A message has come: the port is the last of its queue, if it was in none or another one is shorter. */
void ready_insert(struct port *port);
/* A thread of the ledger waits for room in the port, a member: if it is in a queue, and another is much shorter for that
   ledger, it goes there. */
void ready_waits(struct port *port, const struct ledger *payer);
/* It leaves. No-op if it is in none. */
void ready_remove(struct port *port);
/* A message of it was taken: it leaves, and its queue goes behind the others. */
void ready_served(struct port *port);
/* From now on the set has queues for ledgers: one page, paid by the set's ledger, until it dies. False: denied. Opens
   windows. No-op if it has. */
bool ready_split(struct port *set);
/* Gives the page back when the last member has left. */
void ready_end(struct port *set);

#endif
