/* SPDX-License-Identifier: BSD-2-Clause */
/* The host, its processor and its processor set: one of each. */
#ifndef KERN_HOST_H
#define KERN_HOST_H
#include <stdint.h>
struct port;
struct host { struct port *port, *priv_port; };
struct processor { struct port *port; };
struct processor_set {
	struct port *port, *name_port;
	uint8_t max_priority;		/* the most urgent that new threads may have */
};

extern struct host the_host;
extern struct processor the_processor;
extern struct processor_set the_processor_set;
#define host_port (the_host.port)
#define host_priv_port (the_host.priv_port)
/* Makes their ports, paid by the root ledger. Boot only. */
void host_init(void);
#endif
