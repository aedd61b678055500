/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports and port sets. Theory in port.c. */
#ifndef IPC_PORT_H
#define IPC_PORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mach/message.h>
#include <mach/port.h>
#include <weir/queue.h>
#include <weir/tree.h>
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/wait.h"
#include "mem/reap.h"

struct space;
struct name;
struct kmsg;
struct ledger;

/* What a kernel port stands for. KOBJECT_NONE: an ordinary port. */
enum kobject {
	KOBJECT_NONE, KOBJECT_TASK, KOBJECT_THREAD, KOBJECT_HOST, KOBJECT_HOST_PRIV, KOBJECT_PROCESSOR,
	KOBJECT_PSET, KOBJECT_PSET_NAME, KOBJECT_DEVICE_MASTER, KOBJECT_DEVICE, KOBJECT_LEDGER, KOBJECT_LEDGER_NAME, KOBJECT_MEMORY,
	KOBJECT_OTHER,
	KOBJECT_PORT_SET,		/* not a port at all: a port set */
};
#define PORT_DEAD ((struct port *)~0ull)
#define PORT_NULL ((struct port *)0)
struct port;
static inline bool port_valid(const struct port *port) { return port != PORT_NULL && port != PORT_DEAD; }

LIST_HEAD(kmsg_list, kmsg);

/* How many of the threads that serve a port set run at once. Theory in throttle.c. */
struct throttle {
	uint16_t target;		/* threads that run at once; 0: as many as there are */
	uint16_t delay_ms;		/* a message is held back no longer than this */
	uint32_t running;		/* threads in counted */
	TAILQ_HEAD(, thread) counted;	/* those that run, the longest without a message first */
	uint64_t attend_ns;		/* uptime at which throttle_run looks at the set; THROTTLE_NEVER: not in its tree */
	RB_ENTRY(port) node;
	uint64_t taken_ns;		/* uptime of the last message received through the set */
	uint64_t waited_ns;		/* how long these had been queued, in all */
};

/* What a name stands for: the head of a struct name_full (space.h), or all there is of it, in struct port. */
struct name {
	struct space *space;
	uint32_t name;
	union {
		uint32_t type;		/* MACH_PORT_TYPE_... bits, NAME_SPARE; the low half is urefs */
		uint16_t urefs;		/* of the send, send-once (1) or dead-name right */
	};
	struct port *port;		/* port or port set; NULL: a dead name, or spare */
};

/* What sets and ports, the living and the dead do not need together lies in one place; what few ports need, in struct port_extra. */
struct port {
	union {
		struct {
			bool has_extra : 1;
			uint8_t in_transit_depth : 6;	/* bound of how deep receive rights nest in its queue, at most 32 */
			bool is_split : 1;		/* a set: queues is not NULL */
			bool has_senders : 1;		/* a port: in senders; a set: in blocked */
			bool is_throttled : 1;		/* a set: throttle.target is not 0 */
			bool has_bound : 1;		/* a port: reply_bound is more than REPLY_BOUND_DEFAULT */
			uint8_t kobject_type;		/* enum kobject */
			bool has_payload : 1;
			bool is_ready : 1;		/* in a queue of its set (ready.c) */
			bool is_blocked : 1;		/* in the set's blocked */
			bool keeps_reply : 1;		/* made for replies (mach_reply_port): keeps one prepaid message for them */
			bool spare_prepaid : 1;		/* and has it: one message more is prepaid than there are send-once rights */
			bool owes_later : 1;		/* the kernel may owe it replies (krpc_later.c) */
			bool in_set : 1;		/* extra->set is not NULL */
			bool dead : 1;			/* at the sign of a half of state, so that a mask with it is an immediate */
			uint32_t message_count;		/* a port: all in messages; a set: its members that have any */
		};
		uint64_t state;		/* all of these, to look at several at once: PORT_STATE */
	};
	union {
		struct ledger *charged;	/* who pays for it: port_payer */
		struct port_extra *extra; /* while has_extra; that knows who pays for both */
	};
	union {
		struct name own;	/* the receive right's or set's entry, if that is all there is (name.c): own.port is the port then */
		struct {
			struct space *receiver;	/* who holds the receive right; NULL: kernel, in transit or dead */
			uint32_t receiver_name;
			uint32_t own_type;
			union {
				void *kobject;	/* kernel ports: the object, NULL when it died */
				struct port *destination; /* others, while receiver is NULL: in whose queue the receive right is
							     (right_transit_begin); while the entry is elsewhere: NULL */
			};
		};
	};
	uint32_t refs;			/* names, rights in messages, kernel holders: the memory lives while any is left */
	uint32_t reply_bound;		/* port_bound_set */
	union {
		struct {
			struct thread_stack receivers;	/* threads waiting to receive (wait.stack_link), the last that came first */
			struct thread *senders;		/* a port: blocked ones (wait.sender_link); ordered by ring of waiting ledgers */
		};
		struct reap reap;	/* a dead one: nobody waits there */
	};
	union {
		struct {		/* a port */
			uint32_t sequence;
			uint32_t send_once_rights;
			struct name *names;		/* tree of names with rights to it, but the receive right's (name.c) */
			uint32_t send_rights;		/* all send rights, wherever they are */
			uint32_t make_send_count;
			struct kmsg *messages;		/* a ring (link) */
			struct kmsg_list prepaid;	/* one for each send-once right that users hold (DESIGN 5) */
			uint32_t qlimit;		/* messages allowed */
			uint32_t queued;		/* in messages (send-once ones do not count), or promised to woken senders */
		};
		struct {		/* a port set */
			TAILQ_HEAD(, port) ready;	/* members with messages, in the order of service (ready.c) */
			LIST_HEAD(, port) members;	/* the others (portset.c) */
			TAILQ_HEAD(, port) blocked;	/* members with blocked senders (mqueue.c) */
			struct ready_queues *queues;	/* NULL while it is served from ready (ready.c) */
		};
	};
};
/* The bits of port->state that have these values, for masks (all of a field: its highest value) and for what they are to be. */
#define PORT_STATE(...) (((struct port){ __VA_ARGS__ }).state)
#define PORT_ANY_KOBJECT .kobject_type = 0xff
#define PORT_ANY_MESSAGES .message_count = UINT32_MAX

/* What few ports need: port_extend. Another element of the ports' zone, until the port's end. */
struct port_extra {
	uint64_t state;			/* where struct port has it: 0 */
	struct ledger *charged;		/* for both */
	union {
		struct {		/* a port */
			struct port *set;	/* port set it is a member of; read it by port_set_of() (portset.h): it may be dead */
			union {
				LIST_ENTRY(port) set_link;	/* in the set's members */
				TAILQ_ENTRY(port) ready_link;	/* or, while is_ready, in one of its queues (ready.c) */
			};
			TAILQ_ENTRY(port) blocked_link;	/* while is_blocked */
			struct port *no_senders;	/* send-once right to notify, or NULL */
			struct port *port_destroyed;	/* send-once right, or NULL */
			uint64_t payload;
			uint8_t ready_queue;		/* while is_ready: which of the set's queues */
		};
		struct {		/* a port set */
			struct throttle throttle;
			struct port *stall;	/* send-once right to tell when messages wait and nobody listens, or NULL */
			uint64_t taken;		/* messages received through the throttled set */
		};
	};
};
_Static_assert(sizeof(struct port) == 112 && sizeof(struct port_extra) <= sizeof(struct port), "thirty-six to a page: keep it so");
_Static_assert(offsetof(struct port, state) == offsetof(struct port_extra, state) &&
	       offsetof(struct port, charged) == offsetof(struct port_extra, charged), "elements of one zone");

/* A reply may charge so many bytes to the ledger of its port, or these (msg_reply_bound). */
#define REPLY_BOUND_DEFAULT 8192
static inline void port_bound_set(struct port *port, uint32_t bytes)
{
	port->has_bound = bytes > REPLY_BOUND_DEFAULT;
	port->reply_bound = bytes;
}

static inline struct ledger *port_payer(const struct port *port)
{
	return port->has_extra ? port->extra->charged : port->charged;
}

/* What is asked for by no_senders and port_destroyed requests; NULL: nothing. */
static inline struct port *port_no_senders(const struct port *port)
{
	return port->has_extra ? port->extra->no_senders : NULL;
}

static inline struct port *port_port_destroyed(const struct port *port)
{
	return port->has_extra ? port->extra->port_destroyed : NULL;
}

/* The set that the port is a member of, living or dead, or NULL. */
static inline struct port *port_set_any(const struct port *port)
{
	return port->in_set ? port->extra->set : NULL;
}

/* The port has its struct port_extra from now on. False: denied to the ledger that pays for it (LEDGER_PORTS). The port lives. */
bool port_extend(struct port *port);
/* Takes it away again: nothing uses it. */
void port_unextend(struct port *port);

void port_system_init(void);
/* A kernel-owned port for an object, charged (LEDGER_PORTS) to payer; NULL: denied. refs 1 (the object's). */
struct port *port_make_kernel(enum kobject type, void *object, struct ledger *payer);
/* The object dies: port becomes dead, kobject NULL, the object's ref is given back. Never fails. Bounded; the rest is reaped. */
void port_destroy_kernel(struct port *port);
/* The same, for where a right to it is just being given up: the port is dead at once, all else is reaped. */
void port_destroy_kernel_later(struct port *port);
/* An ordinary port or, with KOBJECT_PORT_SET, a port set; refs 1: the receive right's. NULL: denied. */
struct port *port_make(enum kobject type, struct ledger *payer);
/* An ordinary port in an element that is kept (zone_has_spare); its own name the caller fills in. NULL: there is none. */
struct port *port_make_spare(struct ledger *payer);
static inline void port_ref(struct port *port);
static inline void port_unref(struct port *port); /* frees at 0 */
/* Rights held outside spaces (kernel, messages). make: from nothing; copy: another of the same; release: never fails and may
   trigger notifications. All take valid ports; on a dead port copy gives PORT_DEAD, release is a no-op but for memory. */
struct port *right_make_send(struct port *port);
struct port *right_copy_send(struct port *port);
void right_release_send(struct port *port);
/* Made by the kernel towards a user's port: carries no prepaid message unless prepaid is given. NULL: denied. */
struct port *right_make_send_once(struct port *port, struct ledger *payer);
/* Gives a send-once right up unused: sends the send-once notification. */
void right_release_send_once(struct port *port);
/* A message sent with the right was received or thrown away: the right is used up. No send-once notification; the last
   send right may cause a no-senders one. */
void right_consume_send_once(struct port *port);
/* A receive right in a message is lost: destroys the port. */
void right_release_receive(struct port *port);
/* Any right by its disposition in a message: MACH_MSG_TYPE_PORT_RECEIVE/SEND/SEND_ONCE. */
void right_release(struct port *port, uint32_t disposition);

/* The receive right dies: consumes it and its reference. With a port-destroyed request it is sent there instead; else
   the port is dead at once and dismantled by reaping. Never fails. */
void port_destroy(struct port *port);
/* The reaper is done with a dead port or set: gives the receive right's reference back. */
void port_reaped(struct port *port);
/* Nothing hangs from the port but what holds a reference. */
static inline bool port_is_bare(const struct port *port);
/* The last reference is gone, of any port or set; of a bare one. */
void port_free(struct port *port);
void port_free_bare(struct port *port);
/* Invariants of one port or set; panics when broken. Walks its names. */
void port_check(struct port *port);

/* -- inline -- */

static inline bool port_is_bare(const struct port *port)
{
	const uint64_t looked_at = PORT_STATE(.has_extra = true, .has_senders = true, .owes_later = true, PORT_ANY_MESSAGES);

	return (port->state & looked_at) == 0 && STACK_EMPTY(&port->receivers) && LIST_EMPTY(&port->prepaid);
}

static inline __attribute__((always_inline)) void port_ref(struct port *port)
{
	assert(port->refs != 0 && port->refs != UINT32_MAX);
	port->refs++;
}

static inline void port_unref(struct port *port)
{
	assert(port->refs != 0);
	if (unlikely(--port->refs == 0))
		port_free(port);
}

#endif
