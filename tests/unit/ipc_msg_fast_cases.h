/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests that spoil the plain call in one point at a time: either of its two messages, up to the moment when it is sent. */
#ifndef IPC_MSG_FAST_CASES_H
#define IPC_MSG_FAST_CASES_H
#include <stdio.h>
#include "ipc_msg_fast.h"

enum side { REQUEST, REPLY };
static const char *const side_name[] = { "request", "reply" };
static uint64_t area;			/* of the receiver of prepare */

static inline struct thread *sender_of(enum side side)
{
	return side == REQUEST ? client : server;
}

static inline struct thread *receiver_of(enum side side)
{
	return side == REQUEST ? server : client;
}

/* What a case ends with. */
static inline void settle(bool good, const char *what, const char *more)
{
	ok(good, "%s%s", what, more);
	check_all();
	if (client->state != THREAD_RUNNING || server->state != THREAD_WAITING)
		recover();
	ok(call_is_fast(), "%s%s: afterwards the plain call is fast", what, more);
	end(what);
}

/* The plain call, up to the message of this side, which the other side waits for in this way. */
static inline struct call prepare(enum side side, uint32_t option, uint32_t room, uint64_t offset)
{
	struct call c;

	begin();
	area = test_allocate(&receiver_of(side)->task->map, 4);
	for (unsigned i = 0; i < 3; i++)
		test_poke(&receiver_of(side)->task->map, area + i * PAGE_SIZE, 0);
	if (side == REPLY) {
		c = plain_request();
		c.option |= option;
		c.room = room;
		c.buffer = area + offset;
		c.notify = reply;
		if (go(client, &c) != KERN_BLOCKED || !served())
			panic("no request");
		return plain_reply();
	}
	stop_waiting(server);
	c = plain_receive(at);
	c.option |= option;
	c.room = room;
	c.buffer = area + offset;
	c.notify = port;
	c.timeout = 1000;
	if (trap(server, &c) != KERN_BLOCKED)
		panic("does not wait");
	return plain_request();
}

static inline struct call prepare_plain(enum side side)
{
	return prepare(side, 0, ROOM, 0);
}

static inline bool arrives_at(enum side side, uint64_t offset)
{
	return side == REQUEST ? served_as(area + offset, 100, 40) : has_got(client, area + offset, 200, 48);
}

static inline bool arrives(enum side side)
{
	return arrives_at(side, 0);
}

/* The message goes the general way; the sender waits then. */
static inline bool goes_slowly(enum side side, const struct call *c)
{
	return go(sender_of(side), c) == KERN_BLOCKED && !was_fast();
}

#endif
