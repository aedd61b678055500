/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers as kernel objects: their two ports. The calls on them are in weir/ledger.defs. */
#ifndef KERN_LEDGER_PORT_H
#define KERN_LEDGER_PORT_H
#include <stdbool.h>

struct ledger;

/* The root's ports. Boot, after the zones of ipc are there. */
void ledger_server_init(void);
/* Gives a new ledger its ports, charged to the parent: what a ledger may use is for its tasks. False: denied. */
bool ledger_attach_ports(struct ledger *ledger);
/* Terminates: it refuses charges from now on; every task charged to it or below is killed, in pieces, by reaping. */
void ledger_end(struct ledger *ledger);

#endif
