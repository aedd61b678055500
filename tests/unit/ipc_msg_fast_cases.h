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

/* Whether the receiver of prepare has waited in this way before, so that the place of its buffer is remembered. */
static bool warm;

static inline void warm_round(enum side side, uint32_t option, uint32_t room, uint64_t offset)
{
	struct call request = plain_request(), answer;

	if (side == REPLY) {
		request.option |= option;
		request.room = room;
		request.buffer = area + offset;
		request.notify = reply;
	}
	if (go(client, &request) != KERN_BLOCKED || !served_as(side == REQUEST ? area + offset : 0, 100, 40))
		panic("no request before");
	answer = plain_reply();
	if (side == REQUEST) {
		answer.option |= option;
		answer.room = room;
		answer.buffer = area + offset;
		answer.notify = port;
		answer.timeout = 1000;
	}
	if (go(server, &answer) != KERN_BLOCKED || !has_got(client, side == REPLY ? area + offset : 0, 200, 48))
		panic("no answer before");
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
		for (unsigned i = 0; warm && i < 2; i++)
			warm_round(side, option, room, offset);
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
	for (unsigned i = 0; warm && i < 2; i++)
		warm_round(side, option, room, offset);
	return plain_request();
}

static inline struct call prepare_plain(enum side side)
{
	struct call c = prepare(side, 0, ROOM, 0);

	if (warm && (receiver_of(side)->straight_room != ROOM || receiver_of(side)->straight.changes != receiver_of(side)->task->map.pmap.changes))
		panic("the buffer's place is not remembered");
	return c;
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
