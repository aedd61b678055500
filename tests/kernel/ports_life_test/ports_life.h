/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of ports_life_test share: a server whose ports are things, and clients of it. */
#ifndef PORTS_LIFE_H
#define PORTS_LIFE_H
#include <ports.h>
#include <stdbool.h>

#define WORKERS		4u
#define CLIENTS		8u
#define ROUNDS		200u
#define SLOTS		3u
#define MANY		300u
#define PATIENCE_MS	10000
#define ANSWER		42

enum {
	ID_QUICK = 7000,
	ID_HOLD,			/* answered when the gate is open */
	ID_CACHE,			/* uses a port that a cache may have */
	ID_ALONE,			/* inhibits its own port, sees that nobody else is in it */
	ID_ALONE_ALL,			/* the same with the bucket */
	ID_PARK,			/* answered by ports_resume */
	ID_MARK,			/* notes how many requests have begun, in `marked` */
};

struct thing {
	struct port_info port;
	uint32_t inside, handled;	/* handlers now, and that have begun */
	uint32_t slot;			/* of the cache */
};

struct client {
	struct thread *thread;
	mach_port_t port;
	mach_msg_id_t id;
	unsigned rounds, good, told, failed;
};

/* -- server.c -- */

extern struct port_bucket bucket;
extern struct port_class thing_class;
extern struct thread *manager;
/* Since the server began: handlers inside now and begun, inhibitions by handlers, handlers met where none may be. */
extern uint32_t inside, handled, alone, intruders;
/* Ports cleaned, ports that had only weak references, dead names told of; the last of these names. */
extern uint32_t cleaned, dropped, deaths;
extern mach_port_t dead;
extern uint32_t marked;
extern uint32_t gate;				/* 1: ID_HOLD and ID_PARK are answered */
extern struct ports_parked_queue parked;
extern struct client clients[CLIENTS];

void thing_clean(struct port_info *port);
/* The server's thread. argument: NULL for a pool. */
void manage(void *argument);
void server_start(bool one_thread);
/* With all ports, of whoever still holds a send right. */
void server_end(void);
/* With a reference of ours, and a send right. */
struct thing *thing_new(void);
void thing_end(struct thing *thing);
/* While the port (all: the bucket) is inhibited: are there more handlers inside than these, or does one begin? */
void see_nobody(struct thing *thing, bool all, uint32_t own);
/* Client n calls the port n (of so many). */
void clients_start(const mach_port_t *ports, unsigned count, mach_msg_id_t id, unsigned rounds);
/* The sum of all. */
struct client clients_end(void);

/* -- weak.c -- */

extern struct port_class cached_class;

/* A handler that uses a port of a cache. */
kern_return_t use_cache(void);
void test_weak(void);

/* -- dead_names.c -- */

/* References of a dead name. */
unsigned dead_refs(mach_port_t name);
/* The right of the name dies; ours to it stays, a dead name. */
void kill_peer(mach_port_t peer);
void test_dead_names(void);

/* -- inhibit.c, turns.c, end.c -- */

void test_inhibition(void);
void test_turns(void);
void test_end(void);

#endif
