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
 * A message may carry one send right (msg_right.c), and either wait may have a time-out.
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
 * arguments of the thread's receive are the same (pass), the thread serves no throttled set (throttle_join) and is not suspended
 * (thread_suspend_one), which is what straight_room says; and while no present slot of its page tables has changed and its task was not
 * suspended and did not die, which pmap.changes says. So one that is good was once found by straight_find, and would be found again.
 *
 * A call of a kernel object begins like the client's, or is a message only, and is told apart here (krpc_plain.c); so are
 * messages that only go into a queue or come out of one (msg_plain.c).
 */
#include "ipc/msg_fast.h"
#include <stddef.h>
#include "ipc/kmsg.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "ipc/msg_right.h"
#include "ipc/name.h"
#include "ipc/portset.h"
#include "ipc/space.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "vm/map.h"
#include "x86_64/machine.h"
#include "x86_64/pmap.h"
#include "x86_64/usercopy.h"

#define CALL (MACH_SEND_MSG | MACH_RCV_MSG)
#define TIMED_CALL (CALL | MACH_RCV_TIMEOUT)
#define MESSAGE_BITS MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0)
#define REQUEST_BITS MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE)
#define REQUEST_BITS_RECEIVED MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND_ONCE, MACH_MSG_TYPE_PORT_SEND)
#define REPLY_BITS MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0)
#define REPLY_BITS_RECEIVED MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE)
#define HEAD sizeof(mach_msg_header_t)

/* The first words of a message, as the sender has written them. */
struct head {
	uint64_t word[HEAD / sizeof(uint64_t)];
};
_Static_assert(HEAD == 32 && offsetof(mach_msg_header_t, msgh_bits) == 0 && offsetof(mach_msg_header_t, msgh_remote_port) == 8 &&
	       offsetof(mach_msg_header_t, msgh_local_port) == 16 && offsetof(mach_msg_header_t, msgh_id) == 28, "four words");
static inline uint32_t head_bits(struct head head) { return (uint32_t)head.word[0]; }
static inline mach_port_name_t head_remote(struct head head) { return (mach_port_name_t)head.word[1]; }
static inline mach_port_name_t head_local(struct head head) { return (mach_port_name_t)head.word[2]; }
static inline uint32_t head_id(struct head head) { return (uint32_t)(head.word[3] >> 32); }

/* receiver_buffer, when nothing is remembered that is good for the message. */
static __attribute__((noinline)) char *straight_find(struct thread *to, uint32_t size)
{
	struct pmap *pmap = &to->task->map.pmap;
	uint64_t room = PAGE_SIZE - to->msg.buffer % PAGE_SIZE;
	char *place;

	if (room > to->msg.receive_size)
		room = to->msg.receive_size;
	if (size > room || (to->msg.option & MACH_RCV_NOTIFY) != 0 || to->serves != NULL || !sched_runnable(to))
		return NULL;
	place = pmap_writable(pmap, to->msg.buffer, size);
	if (place == NULL)
		return NULL;
	to->straight = (struct straight){ place, pmap->changes };
	to->straight_room = (uint16_t)room;
	return place;
}

/* Where the thread that waits first at object takes a message of size bytes, in the kernel's memory. False: it does not, or somebody
   else should. */
static inline __attribute__((always_inline)) bool receiver_buffer(struct port *object, uint32_t size, char **buffer)
{
	struct thread *to = LIST_FIRST(&object->receivers);

	if (to == NULL)
		return false;
	if (likely(size <= to->straight_room && to->straight.changes == to->task->map.pmap.changes)) {
		*buffer = to->straight.place;
		return true;
	}
	*buffer = straight_find(to, size);
	return *buffer != NULL;
}

/* Could a thread wait at the port (in no set) or set (not a throttled one) at once? Then nothing is there to be received, and no
   sender waits for room. */
static inline bool is_idle(const struct port *object)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_senders = true, .is_split = true, PORT_ANY_MESSAGES);

	return (object->state & looked_at) == 0;
}

/* May the thread wait without further ado? */
static bool is_plain(const struct thread *thread)
{
	return thread->unusual == 0;
}

/* Would the message be written over itself before it is read? Only if it begins shortly before the receiver's buffer, in memory
   that both threads have. True also if that cannot be told. */
static bool overlaps(struct thread *thread, const char *to, uint64_t from, uint32_t size)
{
	struct pmap *pmap = &thread->task->map.pmap;
	const char *first, *last;

	if (((uint64_t)to - from - 1) % PAGE_SIZE >= size - 1)
		return false;
	first = last = pmap_writable(pmap, from, 1);
	if (from % PAGE_SIZE > PAGE_SIZE - size)
		last = pmap_writable(pmap, from + size - 1, 1);
	return first == NULL || last == NULL || ((uint64_t)first ^ (uint64_t)to) < PAGE_SIZE ||
	       ((uint64_t)last ^ (uint64_t)to) < PAGE_SIZE;
}

/* The body goes into the receiver's buffer. */
static inline __attribute__((always_inline)) bool body_copy(struct thread *thread, char *to, uint64_t from, uint32_t size)
{
	return size == HEAD || (!overlaps(thread, to, from, size) && user_words_in(to + HEAD, from + HEAD, size - HEAD));
}

/* The message is in the buffer of the first receiver of `from`; the thread waits at `at` in its place. */
static inline __attribute__((always_inline)) _Noreturn void pass(struct thread *thread, struct port *from, struct port *at)
{
	struct thread *to = LIST_FIRST(&from->receivers);
	const struct regs *regs = &thread->regs;
	struct msg_state *msg = &thread->msg;
	uint32_t option = (uint32_t)regs->rsi;

	thread->task->messages_sent++;
	to->task->messages_received++;
	LIST_REMOVE(to, wait.stack_link);
	wait_end_plain(to);
	/* What the receive part needs without further options. Mostly it is as it was the last time. */
	if (unlikely(msg->buffer != regs->rdi || msg->option != option || msg->receive_size != (uint32_t)regs->r10)) {
		msg->buffer = regs->rdi;
		msg->option = option;
		msg->receive_size = (uint32_t)regs->r10;
		thread->straight_room = 0;
	}
	msg->receive_name = (uint32_t)regs->r8;
	if (likely((option & MACH_RCV_TIMEOUT) == 0)) {
		msg_receive_begin(thread, at);
	} else {
		msg->timeout_ms = (uint32_t)regs->r9;
		msg_receive_begin_timed(thread, at);
	}
	sched_pass(thread, to);
}

/* A request to a living port. False: the general way. */
static inline __attribute__((always_inline)) bool request(struct thread *thread, struct port *port, mach_port_name_t local,
							  uint32_t id, bool complex)
{
	const struct regs *regs = &thread->regs;
	uint32_t size = (uint32_t)regs->rdx;
	struct port *reply = msg_reply_port(thread, local, true), *object = port;
	struct name *once;
	char *buffer;

	if (reply == NULL || !is_plain(thread))
		return false;
	if ((port->state & PORT_STATE(.in_set = true, .has_payload = true)) != 0) {
		object = port->set;
		if (port->has_payload || (object->state & PORT_STATE(.dead = true, .is_split = true)) != 0)
			return false;
	}
	if (!receiver_buffer(object, size, &buffer) || !body_copy(thread, buffer, regs->rdi, size))
		return false;
	once = name_once_in(&LIST_FIRST(&object->receivers)->task->space, reply);
	if (once == NULL)
		return false;
	if (complex && !msg_right_pass(&thread->task->space, once->space, buffer, size)) {
		/* It was spare a moment ago, so it can be so again. */
		if (!name_once_out(once))
			panic("a spare name cannot be given back");
		return false;
	}
	port_ref(reply);
	reply->send_once_rights++;
	reply->spare_prepaid = false;
	reply->reply_bound = (uint32_t)regs->r10;
	port->reply_bound = 0;
	head_write((mach_msg_header_t *)buffer, REQUEST_BITS_RECEIVED | (complex ? MACH_MSGH_BITS_COMPLEX : 0), size, once->name,
		   port->receiver_name, port->sequence++, id);
	pass(thread, object, reply);
}

static __attribute__((noinline)) int64_t request_plain(struct thread *thread, struct port *port, mach_port_name_t local, uint32_t id)
{
	request(thread, port, local, id, false);
	return msg_general(thread);
}

/* With a right in the body. */
static __attribute__((noinline)) int64_t request_with_right(struct thread *thread, struct port *port, mach_port_name_t local,
							    uint32_t id)
{
	request(thread, port, local, id, true);
	return msg_general(thread);
}

static inline __attribute__((always_inline)) bool reply(struct thread *thread, mach_port_name_t remote, mach_port_name_t local,
							uint32_t id, bool complex)
{
	const struct regs *regs = &thread->regs;
	struct space *space = &thread->task->space;
	uint32_t size = (uint32_t)regs->rdx;
	/* A reply right is the space's own entry. */
	struct name *there = &space->once;
	struct name *here = msg_entry(space, (uint32_t)regs->r8, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_payload = true, .keeps_reply = true,
					      .spare_prepaid = true, PORT_ANY_KOBJECT);
	struct port *port, *object;
	char *buffer;

	if (here == NULL || there->name != remote || (there->type & MACH_PORT_TYPE_SEND_ONCE) == 0 || local != MACH_PORT_NAME_NULL)
		return false;
	port = there->port;
	object = here->port;
	if ((port->state & looked_at) != PORT_STATE(.keeps_reply = true) || !is_idle(object) || !is_plain(thread))
		return false;
	if (!receiver_buffer(port, size, &buffer) || !body_copy(thread, buffer, regs->rdi, size))
		return false;
	if (!name_once_give(space))
		return false;
	if (complex && !msg_right_pass(space, &LIST_FIRST(&port->receivers)->task->space, buffer, size)) {
		if (name_once_in(space, port) != there)
			panic("a reply right cannot be taken back");
		return false;
	}
	right_consume_send_once(port);
	port->spare_prepaid = true;
	port->reply_bound = 0;
	head_write((mach_msg_header_t *)buffer, REPLY_BITS_RECEIVED | (complex ? MACH_MSGH_BITS_COMPLEX : 0), size,
		   MACH_PORT_NAME_NULL, port->receiver_name, port->sequence++, id);
	pass(thread, port, object);
}

static __attribute__((noinline)) int64_t reply_plain(struct thread *thread, mach_port_name_t remote, mach_port_name_t local, uint32_t id)
{
	reply(thread, remote, local, id, false);
	return msg_general(thread);
}

static __attribute__((noinline)) int64_t reply_with_right(struct thread *thread, mach_port_name_t remote, mach_port_name_t local,
							  uint32_t id)
{
	reply(thread, remote, local, id, true);
	return msg_general(thread);
}

/* A message may be so long: from a head to KMSG_SMALL, in whole eightbytes. */
static inline bool size_is_good(uint32_t size)
{
	uint32_t beyond = size - HEAD;

	_Static_assert(MACH_MSG_USER_ALIGNMENT == 8, "three bits");
	/* The low bits, which must not be set, become the highest. */
	return (beyond >> 3 | beyond << 29) <= (KMSG_SMALL - HEAD) / 8;
}

/* The head of the message, whose size is one of those that go here. False: not so, or it is not there. */
static inline bool head_read(const struct thread *thread, struct head *head)
{
	return size_is_good((uint32_t)thread->regs.rdx) && user_read4(thread->regs.rdi, head->word);
}

/* Sends and receives. What is done for each call, up to here, fits into the registers that a function may spoil: so it saves none, and
   each way to go on is a jump. That is why only a name at hand is found here; else, and with a time-out (far), it begins again. */
static __attribute__((noinline)) int64_t call_far(struct thread *thread);
static inline __attribute__((always_inline)) int64_t call(struct thread *thread, bool far)
{
	struct space *space = &thread->task->space;
	struct name *there;
	struct port *port;
	struct head head;

	if (!head_read(thread, &head))
		return msg_general(thread);
	if (head_bits(head) == REPLY_BITS)
		return reply_plain(thread, head_remote(head), head_local(head), head_id(head));
	if (head_bits(head) == (REPLY_BITS | MACH_MSGH_BITS_COMPLEX))
		return reply_with_right(thread, head_remote(head), head_local(head), head_id(head));
	if (!far && !space_has_recent(space, head_remote(head)))
		return call_far(thread);
	there = msg_entry(space, head_remote(head), MACH_PORT_TYPE_SEND);
	if (there == NULL)
		return msg_general(thread);
	port = there->port;
	if ((port->state & PORT_STATE(.dead = true, PORT_ANY_KOBJECT)) == 0) {
		if (head_bits(head) == REQUEST_BITS)
			return request_plain(thread, port, head_local(head), head_id(head));
		if (head_bits(head) == (REQUEST_BITS | MACH_MSGH_BITS_COMPLEX))
			return request_with_right(thread, port, head_local(head), head_id(head));
	} else if (!port->dead && (!far || (uint32_t)thread->regs.rsi == CALL) && head_bits(head) == REQUEST_BITS) {
		return krpc_plain_call(thread, port, head.word[0], head.word[1], head.word[2], head.word[3]);
	}
	return msg_general(thread);
}

static int64_t call_far(struct thread *thread)
{
	return call(thread, true);
}

static __attribute__((noinline)) int64_t send(struct thread *thread)
{
	struct name *there;
	struct head head;
	int64_t result;

	if (!head_read(thread, &head))
		return msg_general(thread);
	there = msg_entry(&thread->task->space, head_remote(head), MACH_PORT_TYPE_SEND);
	if (there == NULL || there->port->dead || head_local(head) != MACH_PORT_NAME_NULL ||
	    (head_bits(head) & ~MACH_MSGH_BITS_COMPLEX) != MESSAGE_BITS)
		return msg_general(thread);
	if (there->port->kobject_type == KOBJECT_NONE)
		return msg_plain_send(thread, there->port, head_bits(head), head_id(head), &result) ? result : msg_general(thread);
	if (head_bits(head) != MESSAGE_BITS)
		return msg_general(thread);
	return krpc_plain_message(thread, there->port, head.word[0], head.word[1], head.word[2], head.word[3]);
}

static __attribute__((noinline)) int64_t receive(struct thread *thread)
{
	struct name *here = msg_entry(&thread->task->space, (uint32_t)thread->regs.r8,
				     MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	int64_t result;

	if (here == NULL || (here->port->state & PORT_STATE(.dead = true, .in_set = true, .is_split = true)) != 0 ||
	    !msg_plain_receive(thread, here->port, &result))
		return msg_general(thread);
	return result;
}

int64_t trap_mach_msg(struct thread *thread)
{
	uint32_t option = (uint32_t)thread->regs.rsi;

	if (option == CALL)
		return call(thread, false);
	if (option == TIMED_CALL && (uint32_t)thread->regs.r9 != 0)
		return call_far(thread);
	if (option == MACH_SEND_MSG)
		return send(thread);
	return option == MACH_RCV_MSG ? receive(thread) : msg_general(thread);
}
