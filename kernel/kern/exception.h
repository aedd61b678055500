/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions as messages. Theory in exception.c. */
#ifndef KERN_EXCEPTION_H
#define KERN_EXCEPTION_H
#include <stdint.h>

struct kmsg;
struct port;
struct thread;

/*
 * The current thread, in user mode, has an exception (mach/exception.h): makes it wait while its handler is asked (the thread's
 * exception port, then the task's); without a handler its task is killed. On return the thread waits or is dead. Allocates
 * nothing.
 */
void exception_raise(struct thread *thread, unsigned exception, unsigned code, uint64_t subcode);
/* Writes the body of the exception's message, which has a head only, into another that is taken for it, with the rights that it
   carries. */
void exception_message_write(struct kmsg *exception, struct kmsg *to);
/* The message, just received, is in the receiver's hand: if rights to answer earlier exceptions of its thread are about,
   this one's is made one to a port of its own, charged to the current thread's ledger. Denied: the right is lost. */
void exception_answer_apart(struct kmsg *taken);
/* A send-once right to this port of a living thread was given up: as an answer that the exception was not handled. */
void exception_reply_lost(struct port *port);
/*
 * sender's message, by sender->msg, to a thread's kernel port by a send-once right: the answer to the exception of that
 * thread. Goes on with the receive part. Returns mach_msg's code or KERN_BLOCKED.
 */
int64_t exception_reply_message(struct thread *sender, struct port *port, const uint8_t *head, uint32_t have);

#endif
