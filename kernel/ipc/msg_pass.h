/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request and a reply that go straight to a waiting thread: each is written once, and compiled several times. Theory in msg_fast.c.
 *
 * The near forms (msg_near.c) call nothing on their way, so that all they work with is in registers. Whatever is not at hand they leave to
 * the far form (msg_fast.c), which begins again. There is one more of each for a right in the body: near, for a body that is one moved right
 * and nothing else, which is all that its name stands for.
 */
#ifndef IPC_MSG_PASS_H
#define IPC_MSG_PASS_H
#include <stddef.h>
#include "ipc/kmsg.h"
#include "ipc/mach_msg.h"
#include "ipc/msg_fast.h"
#include "ipc/msg_right.h"
#include "ipc/name.h"
#include "ipc/space.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "x86_64/machine.h"
#include "x86_64/pmap.h"
#include "x86_64/usercopy.h"

#define CALL (MACH_SEND_MSG | MACH_RCV_MSG)
#define REQUEST_BITS_RECEIVED MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND)
#define REPLY_BITS_RECEIVED MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE)
#define HEAD sizeof(mach_msg_header_t)

enum form { NEAR, NEAR_RIGHT, FAR, WITH_RIGHT };

/* Is all that the form works with at hand? */
static inline bool is_near(enum form form)
{
	return form == NEAR || form == NEAR_RIGHT;
}

/* The compiler forgets what it knows of the variable, and so counts it up where it is. */
#define KEEP_IN_MEMORY(variable) __asm__("" : "+m"(variable))

/* Of the call's arguments; the rest are in the thread's registers. */
struct call {
	uint64_t buffer;
	uint32_t size;			/* of the message that is sent, as the caller says */
	mach_port_name_t name;		/* to receive from */
};

/* The end of a pass with a right: name_unlisted, of the node of the name given out last. */
_Noreturn void msg_pass_unlisted(struct thread *thread, struct thread *to, struct space *space, mach_port_name_t name);
/* Finds where the waiting thread takes a message of size bytes, and remembers it (to->straight); false: somebody else should. */
bool msg_straight_find(struct thread *to, uint32_t size);
/* Would a message of size bytes at from, of the thread, be written over itself when it is copied to `to`? True also if that cannot be told. */
bool msg_overlaps(struct thread *thread, const char *to, uint64_t from, uint32_t size);

/* What is remembered of where the waiting thread, of the task, takes a message of size bytes, is it still good? */
static inline __attribute__((always_inline)) bool straight_is_good(const struct thread *to, const struct task *task, uint32_t size)
{
	return likely(size <= to->straight_room && to->straight.changes == task->map.pmap.changes);
}

/* Could a thread wait at the port (in no set) or set (not a throttled one) at once? Then nothing is there to be received, and no
   sender waits for room. Nor is it a port for replies: who waits there already may stand for a long one (msg_bound_keep). */
static inline __attribute__((always_inline)) bool is_idle(const struct port *object)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_senders = true, .is_split = true, .keeps_reply = true,
					      PORT_ANY_MESSAGES);

	return (object->state & looked_at) == 0;
}

/* May the thread wait without further ado? */
static inline __attribute__((always_inline)) bool is_plain(const struct thread *thread)
{
	return thread->unusual == 0;
}

/* Could the message be written over itself, before it is read, or before another form reads it again? Only if it begins less than its
   size before or behind the receiver's buffer, as places of a page; not at the same place. */
static inline bool may_overlap(const char *to, uint64_t from, uint32_t size)
{
	return ((uint64_t)to - from + size - 1) % PAGE_SIZE < 2 * (uint64_t)size - 1 && ((uint64_t)to - from) % PAGE_SIZE != 0;
}

/* It is not, as far as is remembered: a thread mostly sends from where it receives. */
static inline bool is_apart(const struct thread *thread, const char *to, uint64_t from, uint32_t size)
{
	return thread->msg.buffer == from && straight_is_good(thread, thread->task, size) &&
	       ((uint64_t)thread->straight.place ^ (uint64_t)to) >= PAGE_SIZE;
}

/* The body goes to where the receiver takes it. */
static inline __attribute__((always_inline)) bool body_copy(struct thread *thread, char *place, struct call call, enum form form)
{
	uint64_t from = call.buffer;
	uint32_t size = call.size;

	if (size == HEAD)
		return true;
	if (!msg_size_is_good(size, KMSG_SMALL))
		return false;
	if (unlikely(may_overlap(place, from, size)) && !is_apart(thread, place, from, size) &&
	    (form == NEAR || msg_overlaps(thread, place, from, size)))
		return false;
	return user_words_in(place, from, HEAD, size);
}

/* A message whose body is one right. */
#define RIGHT_BYTES (HEAD + 2 * sizeof(uint64_t))

struct moved {
	struct name *entry;
	mach_port_name_t name;		/* that it had */
};

/* Finds what the body moves. False: it is not so simple. */
static inline __attribute__((always_inline)) bool moved_find(struct moved *moved, uint64_t buffer, struct space *from, const struct space *to)
{
	uint64_t word[2];

	if (unlikely(!user_read2(buffer + HEAD, word) || word[0] != msg_right_word(MACH_MSG_TYPE_MOVE_SEND)))
		return false;
	moved->name = (mach_port_name_t)word[1];
	moved->entry = *space_first(from, moved->name);
	/* Its radix node is at hand too. */
	return likely((moved->name ^ from->last) < RADIX_SLOTS) && likely(name_may_move_alone(moved->entry, moved->name, from, to));
}

/* The entry has its new name, and is written into the body. */
static inline __attribute__((always_inline)) void moved_deliver(const struct moved *moved, char *place, struct space *from, struct space *to)
{
	uint64_t *body = (uint64_t *)(place + HEAD);

	body[0] = msg_right_word(MACH_MSG_TYPE_PORT_SEND);
	body[1] = moved->entry->name;
	moved->entry->space = to;
	name_count_move(from, to);
}

/* The first receiver at the port or set, when the message may be written into its buffer: but for the head its bytes are there now, or
   the right that they move is found. NULL: another form, or the general way. */
static inline __attribute__((always_inline)) struct thread *receiver_find(struct thread *thread, struct port *object, struct call call,
									  struct moved *moved, enum form form)
{
	struct thread *to = STACK_FIRST(&object->receivers);
	struct task *to_task;

	if (unlikely(to == NULL))
		return NULL;
	to_task = to->task;
	if (unlikely(!straight_is_good(to, to_task, call.size)) && (is_near(form) || !msg_straight_find(to, call.size)))
		return NULL;
	if (form == NEAR_RIGHT)
		return moved_find(moved, call.buffer, &thread->task->space, &to_task->space) ? to : NULL;
	return likely(body_copy(thread, to->straight.place, call, form)) ? to : NULL;
}

/* The head follows the body. w3: its last word, the message's id above. */
static inline __attribute__((always_inline)) void deliver(struct thread *to, struct port *port, uint32_t bits, uint32_t size,
							  uint64_t remote, uint64_t w3)
{
	union {
		mach_msg_header_t head;
		uint64_t word[4];
	} *place = (void *)to->straight.place;
	uint64_t local = port->receiver_name;

	_Static_assert(HEAD == 32 && offsetof(mach_msg_header_t, msgh_seqno) == 24 && offsetof(mach_msg_header_t, msgh_id) == 28, "four words");
	place->head.msgh_bits = bits;
	place->head.msgh_size = size;
	place->head.msgh_remote_slot = remote;
	place->head.msgh_local_slot = local;
	place->word[3] = w3;
	place->head.msgh_seqno = port->sequence;
	KEEP_IN_MEMORY(port->sequence);
	port->sequence++;
}

/* The head, and all but a moved right, is in the buffer of the thread `to`, the first receiver at `from`; the thread waits at `at` in its place. promises:
   MSG_PROMISES or 0. */
static inline __attribute__((always_inline)) _Noreturn void pass(struct thread *thread, struct task *task, struct thread *to,
								 struct task *to_task, struct port *from, struct port *at,
								 struct call call, const struct moved *moved, uint32_t promises, enum form form)
{
	const struct regs *regs = &thread->regs;
	struct msg_state *msg = &thread->msg;
	/* Near, there is no time-out. */
	uint32_t option = (is_near(form) ? CALL : (uint32_t)regs->rsi) | promises;

	if (form == NEAR_RIGHT)
		moved_deliver(moved, to->straight.place, &task->space, &to_task->space);
	task->messages_sent++;
	to_task->messages_received++;
	STACK_POP(&from->receivers, to, wait.stack_link);
	/* What the receive part needs without further options. Mostly it is as it was the last time. */
	if (unlikely(msg->buffer != call.buffer || msg->receive_size != (uint32_t)regs->r10)) {
		msg->buffer = call.buffer;
		msg->receive_size = (uint32_t)regs->r10;
		thread->straight_room = 0;
	}
	msg->option = option;
	msg->receive_name = call.name;
	if (likely((option & MACH_RCV_TIMEOUT) == 0)) {
		msg_receive_begin(thread, at);
	} else {
		msg->timeout_ms = (uint32_t)regs->r9;
		msg_receive_begin_timed(thread, at);
	}
	wait_end_plain(to);
	if (form == NEAR_RIGHT) {
		if (unlikely(!name_unlist_begin(&task->space, task->space.leaf, moved->name, moved->entry)))
			msg_pass_unlisted(thread, to, &task->space, moved->name);
	}
	sched_pass(thread, to);
}

/* A request to a living port. in_set: it is in a set, or has a payload. False: another form, or the general way. */
static inline __attribute__((always_inline)) bool request(struct thread *thread, struct port *port, mach_port_name_t local, uint64_t w3,
							  struct call call, bool in_set, enum form form)
{
	const bool complex = form == WITH_RIGHT || form == NEAR_RIGHT;
	struct moved moved;
	struct task *task = thread->task, *to_task;
	struct port *reply, *object = port;
	struct thread *to;
	struct name *once;

	reply = msg_reply_port(thread, local, true, is_near(form));
	if (unlikely(reply == NULL || !is_plain(thread)))
		return false;
	if (in_set) {
		if (port->has_payload || port->has_bound)
			return false;
		object = port->extra->set;
		if ((object->state & PORT_STATE(.dead = true, .is_split = true)) != 0)
			return false;
	}
	to = receiver_find(thread, object, call, &moved, form);
	if (unlikely(to == NULL))
		return false;
	to_task = to->task;
	/* The receive right's only: no name hangs from the port. */
	if (is_near(form) && unlikely(reply->refs != 1))
		return false;
	/* What may fail comes first. */
	if (form == NEAR_RIGHT &&
	    (unlikely(to_task->space.once.type != NAME_SPARE) || unlikely(!name_beside(&to_task->space, moved.entry))))
		return false;
	once = is_near(form) ? name_once_in_alone(&to_task->space, reply) : name_once_in(&to_task->space, reply);
	if (unlikely(once == NULL))
		return false;
	if (form == WITH_RIGHT && !msg_right_pass(&task->space, &to_task->space, to->straight.place, call.size)) {
		/* It was spare a moment ago, so it can be so again. */
		if (!name_once_out(once))
			panic("a spare name cannot be given back");
		return false;
	}
	port_ref(reply);
	reply->send_once_rights++;
	reply->spare_prepaid = false;
	deliver(to, port, REQUEST_BITS_RECEIVED | (complex ? MACH_MSGH_BITS_COMPLEX : 0), call.size, once->name, w3);
	pass(thread, task, to, to_task, object, reply, call, &moved, MSG_PROMISES, form);
}

/* A reply by the space's own entry for reply rights. False: as above. */
static inline __attribute__((always_inline)) bool reply(struct thread *thread, mach_port_name_t remote, mach_port_name_t local, uint64_t w3,
							struct call call, enum form form)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_payload = true, .keeps_reply = true,
					      .spare_prepaid = true, .has_bound = true, PORT_ANY_KOBJECT);
	const uint32_t received = MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET;
	const bool complex = form == WITH_RIGHT || form == NEAR_RIGHT;
	struct moved moved;
	struct task *task = thread->task, *to_task;
	struct space *space = &task->space;
	struct name *there = &space->once, *here;
	struct port *port, *object;
	struct thread *to;

	here = is_near(form) ? msg_entry_near(space, call.name, received) : msg_entry(space, call.name, received);
	/* Without a dead-name request. */
	if (unlikely(here == NULL || there->name != remote || there->type != (MACH_PORT_TYPE_SEND_ONCE | 1) || local != MACH_PORT_NAME_NULL))
		return false;
	port = there->port;
	object = here->port;
	if (unlikely((port->state & looked_at) != PORT_STATE(.keeps_reply = true) || !is_idle(object) || !is_plain(thread)))
		return false;
	to = receiver_find(thread, port, call, &moved, form);
	if (unlikely(to == NULL))
		return false;
	to_task = to->task;
	if (is_near(form)) {
		/* The receive right's and this one: it hangs alone from the port. */
		if (unlikely(space->once_alone || port->refs != 2))
			return false;
		if (form == NEAR_RIGHT && unlikely(!name_beside(&to_task->space, moved.entry)))
			return false;
		name_once_give_alone(space, port);
	} else if (!name_once_give(space)) {
		return false;
	}
	if (form == WITH_RIGHT && !msg_right_pass(space, &to_task->space, to->straight.place, call.size)) {
		if (name_once_in(space, port) != there)
			panic("a reply right cannot be taken back");
		return false;
	}
	deliver(to, port, REPLY_BITS_RECEIVED | (complex ? MACH_MSGH_BITS_COMPLEX : 0), call.size, MACH_PORT_NAME_NULL, w3);
	/* The right is used up. The port lives, so its receive right has a reference too. */
	assert(port->send_once_rights != 0 && port->refs > 1);
	port->send_once_rights--;
	port->refs--;
	port->spare_prepaid = true;
	pass(thread, task, to, to_task, port, object, call, &moved, 0, form);
}

#endif
