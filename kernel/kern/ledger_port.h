/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers as kernel objects: their ports. The calls on them are in weir/ledger.defs. */
#ifndef KERN_LEDGER_PORT_H
#define KERN_LEDGER_PORT_H
#include <stdbool.h>

struct ledger;

/* The root's port. Boot, after the zones of ipc are there. */
void ledger_server_init(void);
/* Gives a new ledger its control port, charged to the parent: what a ledger may use is for its tasks. False: denied. */
bool ledger_attach_port(struct ledger *ledger);
/* Terminates: it refuses charges from now on; every task charged to it or below is killed, in pieces, by reaping. */
void ledger_end(struct ledger *ledger);

#endif
