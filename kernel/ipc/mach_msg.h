/* SPDX-License-Identifier: BSD-2-Clause */
/* The mach_msg call. Theory in mach_msg.c. */
#ifndef IPC_MACH_MSG_H
#define IPC_MACH_MSG_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>
#include "ipc/port.h"
#include "kern/assert.h"
#include "kern/syscall.h"
#include "kern/thread.h"

struct kmsg;
struct port;

/*
 * The trap (manual: Mach Message Call): by a handler's arguments. Returns the code for rax, or KERN_BLOCKED when
 * the thread waits, or has an exception for an unreadable stack, or is dead; not at all when the message went straight to another
 * thread, which has the CPU now (msg_fast.c).
 */
int64_t trap_mach_msg(SYSCALL_ARGUMENTS);
/* The same in the general way, for calls of all kinds. */
int64_t msg_general(struct thread *thread);

/* The thread dies: a message that was handed to it goes back to its queue; the rights of a kernel call are released. */
void msg_abandon_slow(struct thread *thread);
static inline void msg_abandon(struct thread *thread)
{
	const struct msg_state *msg = &thread->msg;

	if (((uintptr_t)msg->kmsg | (uintptr_t)msg->reply_port | (uintptr_t)msg->room | thread->reply_direct) != 0)
		msg_abandon_slow(thread);
}

/* -- between the parts of the call -- */

/* The call's arguments but the seventh into thread->msg. */
void msg_arguments(struct thread *thread);
/* The send part, by thread->msg; again: a blocked sender's next try. Goes on with the receive part. */
int64_t msg_send(struct thread *thread, bool again);
/* The same without pauses: MSG_SEND_PAUSES where one is due, and nothing has changed (msg_long.c). */
int64_t msg_send_once(struct thread *thread, bool again);
/* The end, or a pause, of a send in a continuation. */
void msg_send_end(struct thread *thread, int64_t code);
/* Copyin and pseudo-receive in one step: the send's result with the code. */
int64_t msg_give_back(struct thread *thread, int64_t code);
/* The longest reply, bytes, that the ledger of the living port stands for: what the call that waits for it has room for; or had. */
uint32_t msg_reply_bound(const struct port *port);
/* In thread->msg.option, no user's: the thread's request has gone the fast way, and it waits at its reply port, whose bound it has not
   set. So while it waits its ledger stands for a reply as long as its buffer. */
#define MSG_PROMISES (1u << 31)
/* The thread, which waits at the port or set, is soon not the first there, or waits no more: what it stands for is the port's bound now, if
   a reply may still come. */
void msg_bound_keep_promised(struct port *port, const struct thread *thread);
static inline void msg_bound_keep(struct port *object, const struct thread *thread)
{
	if ((thread->msg.option & MSG_PROMISES) != 0 && object->send_once_rights != 0)
		msg_bound_keep_promised(object, thread);
}
/* Receive rights in the body are where the message, about to be delivered, is now. False: it would end inside itself, or
   nest too deep, and is to be discarded. */
bool msg_transit_begin(struct kmsg *kmsg);
/* What follows when the message is sent: the receive part, if it was asked for. may_wait: else MACH_RCV_INTERRUPTED instead. */
int64_t msg_sent(struct thread *thread, bool may_wait);
/* For wait_begin: the call's time-out or, when its send or receive has waited already, the same deadline. 0: it has passed. */
int64_t msg_timeout(const struct thread *thread);
/* The receive part. */
int64_t msg_receive(struct thread *thread, bool may_wait);
/* The fast path's: the thread waits at object, where nothing is to be received and nobody waits to send, as thread->msg says; it
   is neither depressed nor counted by a throttled set. Without a time-out, and with. */
extern const struct wait_kind msg_receiving;
static inline void msg_receive_begin(struct thread *thread, struct port *object)
{
	STACK_PUSH(&object->receivers, thread, wait.stack_link);
	assert(!thread->serves_counted);
	wait_begin_plain(thread, &msg_receiving, object);
}
void msg_receive_begin_timed(struct thread *thread, struct port *object);
/* Moves a message that is in no queue to the thread's buffer, which is writable or not (then MACH_RCV_INVALID_DATA). Consumes it. */
int64_t msg_receive_finish(struct thread *thread, struct kmsg *kmsg, bool writable);
/* Is the name a receive right or set that can be received from? Its port or set, or NULL and the code in *error. */
struct port *msg_receive_object(struct thread *thread, int64_t *error);

#endif
