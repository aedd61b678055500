/* SPDX-License-Identifier: BSD-2-Clause */
/* Message queues: what waits at a port, and the threads that wait for it. Theory in mqueue.c. */
#ifndef IPC_MQUEUE_H
#define IPC_MQUEUE_H
#include <stdbool.h>
#include <stdint.h>
#include "ipc/kmsg.h"
#include "ipc/port.h"

struct thread;

/*
 * Gives a message in kernel form to kmsg->remote, whose right it holds: to a waiting receiver, else to
 * the queue. Never blocks or fails and ignores the queue's limit. Destination dead or
 * a kernel object: the message is discarded.
 */
void mqueue_deliver(struct kmsg *kmsg);
/* The same for a message by a send right to a living port in no set at which nobody waits to receive: it is queued. */
static inline void mqueue_queue(struct port *port, struct kmsg *kmsg)
{
	port->queued++;
	port->message_count++;
	kmsg->queued = true;
	kmsg->queued_ns = 0;
	RING_INSERT_TAIL(port->messages, kmsg, link);
}
/* The reverse: the first message, which is such a one, of such a port without blocked senders, leaves the queue and means nothing more. */
static inline void mqueue_unqueue(struct port *port, struct kmsg *kmsg)
{
	RING_REMOVE_HEAD(port->messages, kmsg, link);
	port->message_count--;
	port->queued--;
}
/* Discards a bounded number of queued messages; true: none is left. */
bool mqueue_flush(struct port *port);
/*
 * Wakes all receivers blocked on the port or port set with result (MACH_RCV_PORT_DIED,
 * MACH_RCV_PORT_CHANGED), and all senders blocked on it, who try again.
 */
void mqueue_changed(struct port *port, int result);
/* The port has joined its set: offers its messages to the set's receivers. */
void mqueue_set_joined(struct port *port);
/* The port is about to leave its set (it is in it still). */
void mqueue_set_left(struct port *port);

/* -- for the senders and receivers: mach_msg.c, msg_send.c, krpc.c, kern/exception.c -- */

/* Neither room for a message sent by a send right, nor a waiting receiver? */
bool mqueue_full(struct port *port);
/* The same for a thread that tries to send: one that was woken for room has it, and one of a ledger with nobody waiting here may
   use what is kept for woken ones. */
bool mqueue_full_for(struct port *port, const struct thread *thread);
/* The next message of a port or port set, dequeued (senders get its room); NULL: none. */
struct kmsg *mqueue_take(struct port *object);
/* The message that mqueue_take would give, left in its place. */
struct kmsg *mqueue_peek(struct port *object);
/* Gives the next message to a thread that waits at the port or set, if there is one that may have it. */
void mqueue_release(struct port *object);
/* All that wait at the set, as far as there are messages. Opens windows: the caller holds nothing but the set. */
void mqueue_set_offer(struct port *set);
/* Puts a message that was taken or handed to a receiver back in front, where its number puts it. */
void mqueue_put_back(struct kmsg *kmsg);
/* The port counts from another number: what was put back gets its number when it leaves the queue again. */
void mqueue_number_anew(struct port *port);
/* Takes this very message out of wherever it waits: a queue, or a receiver that it was handed to. */
void mqueue_recall(struct kmsg *kmsg);
/* Room came free: lets as many blocked senders try as there is room. */
void mqueue_offer_room(struct port *port);
/* A thread is going to wait for a message of the empty port or set: one blocked sender may try, whatever the limit. */
void mqueue_receiver_waits(struct port *object);
/* The thread gives the room back that it was woken for, if it was; not used: others may have it. */
void mqueue_room_return(struct thread *thread, bool used);
/* Blocked senders: a ring of ledgers, each with its threads in order. again: it was woken in vain, its turn comes first. */
void mqueue_sender_add(struct port *port, struct thread *thread, bool again);
void mqueue_sender_remove(struct port *port, struct thread *thread);

#endif
