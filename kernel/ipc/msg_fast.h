/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the fast path of mach_msg share. Theory in msg_fast.c. */
#ifndef IPC_MSG_FAST_H
#define IPC_MSG_FAST_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>

#include "ipc/port.h"
#include "ipc/space.h"
#include "kern/syscall.h"
#include "kern/task.h"
#include "kern/thread.h"

/*
 * What a function of the fast path gets, always in the same place and in functions that the compiler leaves as they are (noipa): so each way
 * to go on is a jump, and nothing is moved for it. First the thread, and its call's option, or what was found instead; near, then come
 * the arguments as a handler gets them (SYSCALL_ARGUMENTS), the time-out making way for the last word of the message's head, as the sender has
 * written it; far, the head's words and a place that is not used.
 */
#define NEAR_ARGUMENTS(second) \
	struct thread *thread, __attribute__((unused)) second, UNUSED_ARGUMENT size, UNUSED_ARGUMENT buffer, UNUSED_ARGUMENT name, UNUSED_ARGUMENT w3
#define HEAD_WORDS(second) \
	struct thread *thread, second, UNUSED_ARGUMENT w0, UNUSED_ARGUMENT w2, UNUSED_ARGUMENT name, UNUSED_ARGUMENT w3
static inline uint32_t bits_of(uint64_t w0) { return (uint32_t)w0; }
static inline mach_port_name_t name_of(uint64_t w) { return (mach_port_name_t)w; }	/* w1: the remote port's; w2: the local one's */
static inline uint32_t id_of(uint64_t w3) { return (uint32_t)(w3 >> 32); }

/* -- the near forms: theory in msg_near.c -- */

/*
 * The current thread's mach_msg that sends and receives, without a time-out, its head read: a request by a copy of a send right to a living
 * port, with a send-once right for the reply, which comes where it receives; the same to a port in a set or with a payload; a reply.
 */
_Noreturn void msg_request_near(NEAR_ARGUMENTS(struct port *port));
_Noreturn void msg_request_near_in_set(NEAR_ARGUMENTS(struct port *port));
_Noreturn void msg_reply_near(NEAR_ARGUMENTS(uint64_t w1));
/* A request to a port in no set, and a reply, whose body is to be one moved right. */
_Noreturn void msg_request_right_near(NEAR_ARGUMENTS(struct port *port));
_Noreturn void msg_reply_right_near(NEAR_ARGUMENTS(uint64_t w1));
/* For what is not near: the call begins again. */
_Noreturn void msg_fast_again(struct thread *thread);

/* A message may be so long: from a head to `most` bytes, in whole eightbytes. */
static inline bool msg_size_is_good(uint32_t size, uint32_t most)
{
	uint32_t beyond = size - sizeof(mach_msg_header_t);

	_Static_assert(MACH_MSG_USER_ALIGNMENT == 8, "three bits");
	/* The low bits, which must not be set, become the highest. */
	return (beyond >> 3 | beyond << 29) <= (most - sizeof(mach_msg_header_t)) / 8;
}

/* The entry of a name with a right of this type; NULL: it has none. Its port may be dead. */
static inline __attribute__((always_inline)) struct name *msg_entry(struct space *space, mach_port_name_t name, uint32_t type)
{
	struct name *entry = space_find(space, name);

	return entry != NULL && (entry->type & type) != 0 ? entry : NULL;
}

/* The same only if it is at hand. */
static inline __attribute__((always_inline)) struct name *msg_entry_near(struct space *space, mach_port_name_t name, uint32_t type)
{
	struct name *entry = *space_first(space, name);

	return likely(entry->name == name) && (entry->type & type) != 0 ? entry : NULL;
}

/* The port of its own, of this name, at which the current thread waits for the reply: in no set, with nothing to be received and no blocked
   senders, without a bound; keeps: and with its message for replies; near: as of msg_entry_near. NULL: it does not. */
static inline __attribute__((always_inline)) struct port *msg_reply_port(struct thread *thread, mach_port_name_t name, bool keeps, bool near)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_senders = true, .has_bound = true,
					      .spare_prepaid = keeps, PORT_ANY_MESSAGES);
	struct name *here = near ? msg_entry_near(&thread->task->space, name, MACH_PORT_TYPE_RECEIVE) :
				   msg_entry(&thread->task->space, name, MACH_PORT_TYPE_RECEIVE);

	if (here == NULL || (here->port->state & looked_at) != PORT_STATE(.spare_prepaid = keeps))
		return NULL;
	return here->port;
}

/* -- plain messages: theory in msg_plain.c -- */

/*
 * Sends the current thread's message, arguments in its registers, its head read (its msgh_bits and msgh_id), at most KMSG_SMALL
 * bytes without a reply right, to a living port by a copy of a send right. The whole of the trap: goes on by msg_general where it must.
 * Charged to the sender's ledger. Near: at most KMSG_INSIDE bytes of data only, to a port in no set; goes on by the other form.
 */
int64_t msg_plain_send(struct thread *thread, struct port *port, uint32_t bits, uint32_t id);
int64_t msg_plain_send_near(NEAR_ARGUMENTS(struct port *port));
/* The same for receiving the next message of the port or set that the current thread names. */
int64_t msg_plain_receive(struct thread *thread, struct port *object);
int64_t msg_plain_receive_near(NEAR_ARGUMENTS(struct port *port));

/* -- calls of kernel objects: theory in krpc_plain.c -- */

/*
 * The current thread's mach_msg, a plain request to a living kernel port, its head read: a call (REQUEST_BITS, CALL), or a message only,
 * with no reply port. The whole of the trap: goes on by msg_general where it must.
 */
int64_t krpc_plain_call(NEAR_ARGUMENTS(struct port *port));
int64_t krpc_plain_message(struct thread *thread, struct port *port, uint64_t w3);

#endif
