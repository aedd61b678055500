/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fast path of mach_msg.
 *
 * Two calls make up nearly all remote procedure calls, each one trap that sends and receives:
 *
 *   the client's   a request by a copy of a send right, with a send-once right made for the reply, to a port or set at
 *                  which a server waits; then it waits at its reply port;
 *   the server's   a reply by that send-once right to a client that waits; then it waits for the next request.
 *
 * Here such a message goes from the sender's buffer straight into the receiver's, and the CPU from the one to the other, on
 * the same share and quantum. What the general path (msg_send.c, kmsg_copy*.c, mqueue.c, mach_msg.c) does between is skipped,
 * because nobody could see it:
 *
 *  - no message is allocated: one that a receiver waits for is never queued. What was charged for an instant is not charged;
 *  - the right to the destination is not taken out of the sender's space and released again: counts come out the same;
 *  - the message that must be prepaid for the reply (a reply is never denied) is the one that ports made by mach_reply_port
 *    keep: it is the port's again when the reply has come;
 *  - the receiver's continuation: its receive is finished here, in its stead;
 *  - the run queues: the sender waits, the receiver runs.
 *
 * A message may carry one send right (msg_right.c), and either wait may have a time-out. What is needed nearly always has near forms, which
 * leave whatever is not at hand to the far forms here (msg_near.c, msg_pass.h).
 *
 * First everything is looked at, and nothing is changed, except that bytes of a body may already have been written into the
 * buffer of a receive that goes on waiting. Whatever is not exactly as above is left to msg_general, which finds
 * everything as it was: other options, rights, sizes or items; names that are not what they should be (it knows the codes);
 * throttled sets; receivers that wait for less, for a notification, in a stopped or dead task; buffers that are not there or
 * not writable, lie across two pages or overlap; ports with messages or blocked senders before us; depressed threads. When
 * everything is right, nothing is left that could fail.
 *
 * What may stand in the way at a port or set is in one word of it, port->state (port.h). Where the receiver's buffer lies is remembered
 * from one wait to the next, as servers and clients wait with the same buffer again and again (thread->straight): it is good while the
 * arguments of the thread's receive are the same (pass), the thread serves no throttled set (throttle_join), is not suspended
 * (thread_suspend_one) and its registers are those of its call (thread_state.c), which is what straight_room says; and while no present
 * slot of its page tables has changed and its task was not suspended and did not die, which pmap.changes says. So one that is good was
 * once found by msg_straight_find, and would be found again.
 *
 * A call of a kernel object begins like the client's, or is a message only, and is told apart here (krpc_plain.c); so are
 * messages that only go into a queue or come out of one (msg_plain.c).
 */
#include "ipc/msg_fast.h"
#include "ipc/kmsg.h"
#include "ipc/mach_msg.h"
#include "ipc/msg_pass.h"
#include "ipc/space.h"
#include "kern/likely.h"
#include "kern/sched.h"
#include "kern/syscall.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "x86_64/pmap.h"
#include "x86_64/usercopy.h"

#define TIMED_CALL (CALL | MACH_RCV_TIMEOUT)
#define MESSAGE_BITS MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0)
#define REQUEST_BITS MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE)
#define REPLY_BITS MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0)

bool msg_straight_find(struct thread *to, uint32_t size)
{
	struct pmap *pmap = &to->task->map.pmap;
	uint64_t room = PAGE_SIZE - to->msg.buffer % PAGE_SIZE;
	char *place;

	if (room > to->msg.receive_size)
		room = to->msg.receive_size;
	if (size > room || (to->msg.option & MACH_RCV_NOTIFY) != 0 || to->serves != NULL || !sched_runnable(to) ||
	    to->regs.vector != REGS_VECTOR_SYSCALL)
		return false;
	place = pmap_writable(pmap, to->msg.buffer, size);
	if (place == NULL)
		return false;
	to->straight = (struct straight){ place, pmap->changes };
	to->straight_room = (uint16_t)room;
	return true;
}

/* It needs memory that both threads have. */
bool msg_overlaps(struct thread *thread, const char *to, uint64_t from, uint32_t size)
{
	struct pmap *pmap = &thread->task->map.pmap;
	const char *first, *last;

	first = last = pmap_writable(pmap, from, 1);
	if (from % PAGE_SIZE > PAGE_SIZE - size)
		last = pmap_writable(pmap, from + size - 1, 1);
	return first == NULL || last == NULL || ((uint64_t)first ^ (uint64_t)to) < PAGE_SIZE ||
	       ((uint64_t)last ^ (uint64_t)to) < PAGE_SIZE;
}

/* The arguments of a call, for the far forms. */
static inline struct call call_of(const struct thread *thread)
{
	return (struct call){ thread->regs.rdi, (uint32_t)thread->regs.rdx, (mach_port_name_t)thread->regs.r8 };
}

static inline bool is_in_set(const struct port *port)
{
	return (port->state & PORT_STATE(.in_set = true, .has_payload = true, .has_bound = true)) != 0;
}

static __attribute__((noipa)) int64_t request_far(HEAD_WORDS(struct port *port))
{
	request(thread, port, name_of(w2), w3, call_of(thread), is_in_set(port), FAR);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t request_with_right(HEAD_WORDS(struct port *port))
{
	request(thread, port, name_of(w2), w3, call_of(thread), is_in_set(port), WITH_RIGHT);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t reply_far(HEAD_WORDS(uint64_t w1))
{
	reply(thread, name_of(w1), name_of(w2), w3, call_of(thread), FAR);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t reply_with_right(HEAD_WORDS(uint64_t w1))
{
	reply(thread, name_of(w1), name_of(w2), w3, call_of(thread), WITH_RIGHT);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t call_find(HEAD_WORDS(uint64_t w1));

/* Sends and receives, whatever is far. */
static __attribute__((noipa)) int64_t call_far(HEAD_WORDS(uint64_t w1))
{
	struct space *space = &thread->task->space;
	struct name *there;
	struct port *port;

	if (bits_of(w0) == (REPLY_BITS | MACH_MSGH_BITS_COMPLEX))
		return reply_with_right(thread, w1, w0, w2, name, w3);
	if (bits_of(w0) == REPLY_BITS)
		return reply_far(thread, w1, w0, w2, name, w3);
	if (!space_has_recent(space, name_of(w1)))
		return call_find(thread, w1, w0, w2, name, w3);
	there = msg_entry(space, name_of(w1), MACH_PORT_TYPE_SEND);
	if (there == NULL || name_of(w2) != (mach_port_name_t)thread->regs.r8)
		return msg_general(thread);
	port = there->port;
	if ((port->state & PORT_STATE(.dead = true, PORT_ANY_KOBJECT)) == 0) {
		if (bits_of(w0) == (REQUEST_BITS | MACH_MSGH_BITS_COMPLEX))
			return request_with_right(thread, port, w0, w2, name, w3);
		if (bits_of(w0) == REQUEST_BITS)
			return request_far(thread, port, w0, w2, name, w3);
	} else if (!port->dead && (uint32_t)thread->regs.rsi == CALL && bits_of(w0) == REQUEST_BITS) {
		return krpc_plain_call(thread, port, thread->regs.rdx, thread->regs.rdi, thread->regs.r8, w3);
	}
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t call_find(HEAD_WORDS(uint64_t w1))
{
	/* Found, it is at hand. */
	if (space_find_far(&thread->task->space, name_of(w1)) == NULL)
		return msg_general(thread);
	return call_far(thread, w1, w0, w2, name, w3);
}

/* The same, from the begin on: what is far, or has a time-out. */
static __attribute__((noinline)) int64_t call_again(struct thread *thread)
{
	uint64_t word[4];

	if (!user_read4(thread->regs.rdi, word))
		return msg_general(thread);
	return call_far(thread, word[1], word[0], word[2], 0, word[3]);
}

void msg_pass_unlisted(struct thread *thread, struct thread *to, struct space *space, mach_port_name_t name)
{
	name_unlisted(space, space->leaf, name);
	sched_pass(thread, to);
}

void msg_fast_again(struct thread *thread)
{
	syscall_end(thread, call_again(thread));
}

/* Of a port that messages go to: what the near forms are not for. */
#define NOT_NEAR PORT_STATE(.dead = true, .in_set = true, .has_payload = true, .has_bound = true, PORT_ANY_KOBJECT)

/* Sends and receives, without a time-out, a body that may be one right. */
static __attribute__((noipa)) int64_t call_right(HEAD_WORDS(uint64_t w1))
{
	uint64_t buffer = thread->regs.rdi;
	struct name *there;

	if (bits_of(w0) == (REPLY_BITS | MACH_MSGH_BITS_COMPLEX) && name_of(w2) == MACH_PORT_NAME_NULL)
		msg_reply_right_near(thread, w1, RIGHT_BYTES, buffer, name, w3);
	there = msg_entry_near(&thread->task->space, name_of(w1), MACH_PORT_TYPE_SEND);
	if (bits_of(w0) == (REQUEST_BITS | MACH_MSGH_BITS_COMPLEX) && there != NULL && name_of(w2) == (mach_port_name_t)name &&
	    (there->port->state & NOT_NEAR) == 0)
		msg_request_right_near(thread, there->port, RIGHT_BYTES, buffer, name, w3);
	return call_far(thread, w1, w0, w2, name, w3);
}

/* Sends and receives, without a time-out. Every way from here looks at the size of what is behind the head. */
static inline __attribute__((always_inline)) int64_t call(NEAR_ARGUMENTS(uint64_t option))
{
	struct space *space;
	struct name *there;
	struct port *port;
	uint64_t word[4], kind;

	if (!user_read4(buffer, word))
		return msg_general(thread);
	if (bits_of(word[0]) == REPLY_BITS) {
		if (unlikely(name_of(word[2]) != MACH_PORT_NAME_NULL))
			return msg_general(thread);
		msg_reply_near(thread, word[1], size, buffer, name, word[3]);
	}
	space = &thread->task->space;
	if (bits_of(word[0]) != REQUEST_BITS)
		return (uint32_t)size == RIGHT_BYTES ? call_right(thread, word[1], word[0], word[2], name, word[3]) :
							call_far(thread, word[1], word[0], word[2], name, word[3]);
	if (!space_has_recent(space, name_of(word[1])))
		return call_again(thread);
	there = msg_entry(space, name_of(word[1]), MACH_PORT_TYPE_SEND);
	if (unlikely(there == NULL || name_of(word[2]) != (mach_port_name_t)name))
		return msg_general(thread);
	port = there->port;
	kind = port->state & NOT_NEAR;
	if (kind == 0)
		msg_request_near(thread, port, size, buffer, name, word[3]);
	/* A kernel port has nothing else of these. */
	if ((kind & ~PORT_STATE(PORT_ANY_KOBJECT)) == 0)
		return krpc_plain_call(thread, port, size, buffer, name, word[3]);
	if (port->dead)
		return msg_general(thread);
	msg_request_near_in_set(thread, port, size, buffer, name, word[3]);
}

static __attribute__((noipa)) int64_t send_find(HEAD_WORDS(uint64_t w1));

/* Sends only; what is not near. */
static __attribute__((noipa)) int64_t send_far(HEAD_WORDS(uint64_t w1))
{
	struct space *space = &thread->task->space;
	struct name *there;
	struct port *port;

	if (!space_has_recent(space, name_of(w1)))
		return send_find(thread, w1, w0, w2, name, w3);
	there = msg_entry(space, name_of(w1), MACH_PORT_TYPE_SEND);
	if (there == NULL || name_of(w2) != MACH_PORT_NAME_NULL || (bits_of(w0) & ~MACH_MSGH_BITS_COMPLEX) != MESSAGE_BITS)
		return msg_general(thread);
	port = there->port;
	if (port->dead)
		return msg_general(thread);
	if (port->kobject_type == KOBJECT_NONE)
		return msg_plain_send(thread, port, bits_of(w0), id_of(w3));
	return bits_of(w0) == MESSAGE_BITS ? krpc_plain_message(thread, port, w3) : msg_general(thread);
}

static __attribute__((noipa)) int64_t send_find(HEAD_WORDS(uint64_t w1))
{
	/* Found, it is at hand. */
	if (space_find_far(&thread->task->space, name_of(w1)) == NULL)
		return msg_general(thread);
	return send_far(thread, w1, w0, w2, name, w3);
}

static __attribute__((noinline)) int64_t send_again(struct thread *thread)
{
	uint64_t word[4];

	if (!msg_size_is_good((uint32_t)thread->regs.rdx, KMSG_SMALL) || !user_read4(thread->regs.rdi, word))
		return msg_general(thread);
	return send_far(thread, word[1], word[0], word[2], 0, word[3]);
}

/* Sends only, at most KMSG_INSIDE bytes of data. */
static inline __attribute__((always_inline)) int64_t send(NEAR_ARGUMENTS(uint64_t option))
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, PORT_ANY_KOBJECT);
	struct space *space;
	struct name *there;
	uint64_t word[4];

	if (!msg_size_is_good((uint32_t)size, KMSG_INSIDE) || !user_read4(buffer, word))
		return send_again(thread);
	space = &thread->task->space;
	if (bits_of(word[0]) != MESSAGE_BITS)
		return send_far(thread, word[1], word[0], word[2], name, word[3]);
	there = msg_entry_near(space, name_of(word[1]), MACH_PORT_TYPE_SEND);
	if (there == NULL || name_of(word[2]) != MACH_PORT_NAME_NULL || (there->port->state & looked_at) != 0)
		return send_again(thread);
	return msg_plain_send_near(thread, there->port, size, buffer, name, word[3]);
}

/* Receives only, by a name that is not at hand. */
static __attribute__((noinline)) int64_t receive_find(struct thread *thread)
{
	struct name *here = msg_entry(&thread->task->space, (uint32_t)thread->regs.r8, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);

	return here != NULL ? msg_plain_receive(thread, here->port) : msg_general(thread);
}

static inline __attribute__((always_inline)) int64_t receive(NEAR_ARGUMENTS(uint64_t option))
{
	struct name *here;

	if (!space_has_recent(&thread->task->space, (mach_port_name_t)name))
		return receive_find(thread);
	here = msg_entry(&thread->task->space, (mach_port_name_t)name, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	return here != NULL ? msg_plain_receive_near(thread, here->port, size, buffer, name, w3) : msg_general(thread);
}

int64_t trap_mach_msg(SYSCALL_ARGUMENTS)
{
	uint32_t option = (uint32_t)a1;

	if (option == CALL)
		return call(thread, a1, a2, a0, a4, a5);
	if (option == MACH_SEND_MSG)
		return send(thread, a1, a2, a0, a4, a5);
	if (option == MACH_RCV_MSG)
		return receive(thread, a1, a2, a0, a4, a5);
	return option == TIMED_CALL && (uint32_t)a5 != 0 ? call_again(thread) : msg_general(thread);
}
