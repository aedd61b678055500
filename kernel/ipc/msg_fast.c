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
 * arguments of the thread's receive are the same (pass), the thread serves no throttled set (throttle_join), is not suspended
 * (thread_suspend_one) and its registers are those of its call (thread_state.c), which is what straight_room says; and while no present
 * slot of its page tables has changed and its task was not suspended and did not die, which pmap.changes says. So one that is good was
 * once found by straight_find, and would be found again.
 *
 * A call of a kernel object begins like the client's, or is a message only, and is told apart here (krpc_plain.c); so are
 * messages that only go into a queue or come out of one (msg_plain.c).
 */
#include "ipc/msg_fast.h"
#include <stddef.h>
#include "ipc/kmsg.h"
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
#include "kern/timer.h"
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

_Static_assert(HEAD == 32 && offsetof(mach_msg_header_t, msgh_bits) == 0 && offsetof(mach_msg_header_t, msgh_remote_port) == 8 &&
	       offsetof(mach_msg_header_t, msgh_local_port) == 16 && offsetof(mach_msg_header_t, msgh_id) == 28, "four words");

/* What is remembered of where the waiting thread takes a message of size bytes, is it still good? */
static inline bool straight_is_good(const struct thread *to, uint32_t size)
{
	return likely(size <= to->straight_room && to->straight.changes == to->task->map.pmap.changes);
}

/* Finds it in the kernel's memory, and remembers it (to->straight); false: somebody else should. */
static bool straight_find(struct thread *to, uint32_t size)
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

/* Could the message be written over itself before it is read? Only if it begins shortly before the receiver's buffer, at the same
   places of a page. */
static inline bool may_overlap(const char *to, uint64_t from, uint32_t size)
{
	return ((uint64_t)to - from - 1) % PAGE_SIZE + 1 < size;
}

/* It is not, as far as is remembered: a thread mostly sends from where it receives. */
static inline bool is_apart(const struct thread *thread, const char *to, uint32_t size)
{
	return thread->msg.buffer == thread->regs.rdi && straight_is_good(thread, size) &&
	       ((uint64_t)thread->straight.place ^ (uint64_t)to) >= PAGE_SIZE;
}

/* Would it? That needs memory that both threads have. True also if that cannot be told. */
static bool overlaps(struct thread *thread, const char *to, uint64_t from, uint32_t size)
{
	struct pmap *pmap = &thread->task->map.pmap;
	const char *first, *last;

	first = last = pmap_writable(pmap, from, 1);
	if (from % PAGE_SIZE > PAGE_SIZE - size)
		last = pmap_writable(pmap, from + size - 1, 1);
	return first == NULL || last == NULL || ((uint64_t)first ^ (uint64_t)to) < PAGE_SIZE ||
	       ((uint64_t)last ^ (uint64_t)to) < PAGE_SIZE;
}

/*
 * A request and a reply are each written once and compiled three times. The near form calls no function on its way, so what it works
 * with fits into the registers that a function may spoil, and none is saved: that is a tenth of its instructions. Whatever is not at hand
 * it leaves to the far form, which begins again. The third one is for a right in the body, and far.
 */
enum form { NEAR, FAR, WITH_RIGHT };
static int64_t call_again(struct thread *thread);	/* for the far form */

/* The body goes to where the receiver takes it. */
static inline __attribute__((always_inline)) bool body_copy(struct thread *thread, char *place, uint32_t size, enum form form)
{
	uint64_t from = thread->regs.rdi;

	if (size == HEAD)
		return true;
	if (!msg_size_is_good(size, KMSG_SMALL))
		return false;
	if (unlikely(may_overlap(place, from, size)) && !is_apart(thread, place, size) &&
	    (form == NEAR || overlaps(thread, place, from, size)))
		return false;
	return user_words_in(place, from, HEAD, size);
}

/* The head follows the body, and the port has one message less to come. What is loaded is stored at once: it takes one register. */
static inline __attribute__((always_inline)) void deliver(struct thread *to, struct port *port, uint32_t bits, uint32_t size,
							  mach_port_name_t remote, uint32_t id)
{
	mach_msg_header_t *head = (mach_msg_header_t *)to->straight.place;

	head->msgh_bits = bits;
	head->msgh_size = size;
	head->msgh_remote_slot = remote;
	head->msgh_local_slot = port->receiver_name;
	head->msgh_seqno = port->sequence;
	head->msgh_id = (mach_msg_id_t)id;
	port->sequence++;
	port->reply_bound = 0;
}

static __attribute__((noinline)) _Noreturn void pass_timed(struct thread *thread, struct thread *to)
{
	timer_stop(to);
	sched_pass(thread, to);
}

/* The message is in the buffer of the thread `to`, the first receiver where it waits; the thread waits at `at` in its place. */
static inline __attribute__((always_inline)) _Noreturn void pass(struct thread *thread, struct thread *to, struct port *at, enum form form)
{
	const struct regs *regs = &thread->regs;
	struct msg_state *msg = &thread->msg;
	struct port *from = to->wait.object;
	/* Near, there is no time-out. */
	uint32_t option = form == NEAR ? CALL : (uint32_t)regs->rsi;

	thread->task->messages_sent++;
	to->task->messages_received++;
	STACK_POP(&from->receivers, to, wait.stack_link);
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
	wait_end_plain(to);
	if (unlikely(to->timed))
		pass_timed(thread, to);
	sched_pass(thread, to);
}

/* A request to a living port. False: another form, or the general way. */
static inline __attribute__((always_inline)) bool request(struct thread *thread, struct port *port, mach_port_name_t local,
							  uint32_t id, enum form form)
{
	const struct regs *regs = &thread->regs;
	const bool complex = form == WITH_RIGHT;
	struct port *reply, *object = port;
	struct thread *to;
	uint32_t size;
	struct name *once;

	if (form == NEAR && unlikely(!space_has_recent(&thread->task->space, local)))
		return false;
	reply = msg_reply_port(thread, local, true);
	if (unlikely(reply == NULL || !is_plain(thread)))
		return false;
	if ((port->state & PORT_STATE(.in_set = true, .has_payload = true)) != 0) {
		if (port->has_payload)
			return false;
		object = port->extra->set;
		if ((object->state & PORT_STATE(.dead = true, .is_split = true)) != 0)
			return false;
	}
	to = STACK_FIRST(&object->receivers);
	if (unlikely(to == NULL))
		return false;
	size = (uint32_t)regs->rdx;
	if (unlikely(!straight_is_good(to, size)) && (form == NEAR || !straight_find(to, size)))
		return false;
	if (unlikely(!body_copy(thread, to->straight.place, size, form)))
		return false;
	if (form == NEAR && unlikely(reply->names != NULL))
		return false;
	once = name_once_in(&to->task->space, reply);
	if (unlikely(once == NULL))
		return false;
	if (complex && !msg_right_pass(&thread->task->space, once->space, to->straight.place, size)) {
		/* It was spare a moment ago, so it can be so again. */
		if (!name_once_out(once))
			panic("a spare name cannot be given back");
		return false;
	}
	port_ref(reply);
	reply->send_once_rights++;
	reply->spare_prepaid = false;
	reply->reply_bound = (uint32_t)regs->r10;
	deliver(to, port, REQUEST_BITS_RECEIVED | (complex ? MACH_MSGH_BITS_COMPLEX : 0), size, once->name, id);
	pass(thread, to, reply, form);
}

static __attribute__((noipa)) int64_t request_far(struct thread *thread, struct port *port, HEAD_WORDS)
{
	request(thread, port, name_of(w2), id_of(w3), FAR);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t request_near(struct thread *thread, struct port *port, HEAD_WORDS)
{
	request(thread, port, name_of(w2), id_of(w3), NEAR);
	return call_again(thread);
}

static __attribute__((noipa)) int64_t request_with_right(struct thread *thread, struct port *port, HEAD_WORDS)
{
	request(thread, port, name_of(w2), id_of(w3), WITH_RIGHT);
	return msg_general(thread);
}

/* A reply by the space's own entry for reply rights. False: as above. */
static inline __attribute__((always_inline)) bool reply(struct thread *thread, mach_port_name_t remote, mach_port_name_t local,
							uint32_t id, enum form form)
{
	const uint64_t looked_at = PORT_STATE(.dead = true, .in_set = true, .has_payload = true, .keeps_reply = true,
					      .spare_prepaid = true, PORT_ANY_KOBJECT);
	const struct regs *regs = &thread->regs;
	const bool complex = form == WITH_RIGHT;
	struct space *space = &thread->task->space;
	struct name *there = &space->once, *here;
	struct port *port, *object;
	struct thread *to;
	uint32_t size;

	if (form == NEAR && unlikely(!space_has_recent(space, (uint32_t)regs->r8)))
		return false;
	here = msg_entry(space, (uint32_t)regs->r8, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	if (unlikely(here == NULL || there->name != remote || (there->type & MACH_PORT_TYPE_SEND_ONCE) == 0 ||
		     local != MACH_PORT_NAME_NULL))
		return false;
	port = there->port;
	object = here->port;
	if (unlikely((port->state & looked_at) != PORT_STATE(.keeps_reply = true) || !is_idle(object) || !is_plain(thread)))
		return false;
	to = STACK_FIRST(&port->receivers);
	if (unlikely(to == NULL))
		return false;
	size = (uint32_t)regs->rdx;
	if (unlikely(!straight_is_good(to, size)) && (form == NEAR || !straight_find(to, size)))
		return false;
	if (unlikely(!body_copy(thread, to->straight.place, size, form)))
		return false;
	if ((form == NEAR && unlikely(space->once_alone || !name_hangs_alone(there))) || unlikely(!name_once_give(space)))
		return false;
	if (complex && !msg_right_pass(space, &to->task->space, to->straight.place, size)) {
		if (name_once_in(space, port) != there)
			panic("a reply right cannot be taken back");
		return false;
	}
	deliver(to, port, REPLY_BITS_RECEIVED | (complex ? MACH_MSGH_BITS_COMPLEX : 0), size, MACH_PORT_NAME_NULL, id);
	/* The right is used up. The port lives, so its receive right has a reference too. */
	assert(port->send_once_rights != 0 && port->refs > 1);
	port->send_once_rights--;
	port->refs--;
	port->spare_prepaid = true;
	pass(thread, to, object, form);
}

static __attribute__((noipa)) int64_t reply_far(struct thread *thread, struct port *port, HEAD_WORDS)
{
	(void)port;
	reply(thread, name_of(w1), name_of(w2), id_of(w3), FAR);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t reply_near(struct thread *thread, struct port *port, HEAD_WORDS)
{
	(void)port;
	reply(thread, name_of(w1), name_of(w2), id_of(w3), NEAR);
	return call_again(thread);
}

static __attribute__((noipa)) int64_t reply_with_right(struct thread *thread, struct port *port, HEAD_WORDS)
{
	(void)port;
	reply(thread, name_of(w1), name_of(w2), id_of(w3), WITH_RIGHT);
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t call_find(struct thread *thread, struct port *port, HEAD_WORDS);

/* Sends and receives, with a right in the body or a time-out, or with a name that is not at hand. port: none. */
static __attribute__((noipa)) int64_t call_far(struct thread *thread, struct port *port, HEAD_WORDS)
{
	struct space *space = &thread->task->space;
	struct name *there;

	if (bits_of(w0) == (REPLY_BITS | MACH_MSGH_BITS_COMPLEX))
		return reply_with_right(thread, port, w0, w1, w2, w3);
	if (bits_of(w0) == REPLY_BITS)
		return reply_far(thread, port, w0, w1, w2, w3);
	if (!space_has_recent(space, name_of(w1)))
		return call_find(thread, port, w0, w1, w2, w3);
	there = msg_entry(space, name_of(w1), MACH_PORT_TYPE_SEND);
	if (there == NULL)
		return msg_general(thread);
	port = there->port;
	if ((port->state & PORT_STATE(.dead = true, PORT_ANY_KOBJECT)) == 0) {
		if (bits_of(w0) == (REQUEST_BITS | MACH_MSGH_BITS_COMPLEX))
			return request_with_right(thread, port, w0, w1, w2, w3);
		if (bits_of(w0) == REQUEST_BITS)
			return request_far(thread, port, w0, w1, w2, w3);
	} else if (!port->dead && (uint32_t)thread->regs.rsi == CALL && bits_of(w0) == REQUEST_BITS) {
		return krpc_plain_call(thread, port, w0, w1, w2, w3);
	}
	return msg_general(thread);
}

static __attribute__((noipa)) int64_t call_find(struct thread *thread, struct port *port, HEAD_WORDS)
{
	/* Found, it is at hand. */
	if (space_find_far(&thread->task->space, name_of(w1)) == NULL)
		return msg_general(thread);
	return call_far(thread, port, w0, w1, w2, w3);
}

/* The same without a time-out, while all is near. */
static inline __attribute__((always_inline)) int64_t call_near(struct thread *thread, struct port *port, HEAD_WORDS)
{
	struct space *space = &thread->task->space;
	struct name *there;
	uint64_t kind;

	if (bits_of(w0) == REPLY_BITS)
		return reply_near(thread, port, w0, w1, w2, w3);
	if (bits_of(w0) != REQUEST_BITS || !space_has_recent(space, name_of(w1)))
		return call_far(thread, port, w0, w1, w2, w3);
	there = msg_entry(space, name_of(w1), MACH_PORT_TYPE_SEND);
	if (there == NULL)
		return msg_general(thread);
	port = there->port;
	kind = port->state & PORT_STATE(.dead = true, PORT_ANY_KOBJECT);
	if (kind == 0)
		return request_near(thread, port, w0, w1, w2, w3);
	/* dead is the sign. */
	return (int32_t)kind < 0 ? msg_general(thread) : krpc_plain_call(thread, port, w0, w1, w2, w3);
}

/* Every way from here looks at the size of what is behind the head. */
static inline __attribute__((always_inline)) int64_t call(struct thread *thread, bool far)
{
	uint64_t word[4];

	if (!user_read4(thread->regs.rdi, word))
		return msg_general(thread);
	return far ? call_far(thread, PORT_NULL, word[0], word[1], word[2], word[3]) :
		       call_near(thread, PORT_NULL, word[0], word[1], word[2], word[3]);
}

static __attribute__((noinline)) int64_t call_again(struct thread *thread)
{
	return call(thread, true);
}

static __attribute__((noipa)) int64_t send_find(struct thread *thread, struct port *port, HEAD_WORDS);

/* Sends only. port: none. inside: at most KMSG_INSIDE bytes. */
static inline __attribute__((always_inline)) int64_t send_by_words(struct thread *thread, struct port *port, HEAD_WORDS, bool inside)
{
	struct space *space = &thread->task->space;
	struct name *there;

	if (!space_has_recent(space, name_of(w1)))
		return send_find(thread, port, w0, w1, w2, w3);
	there = msg_entry(space, name_of(w1), MACH_PORT_TYPE_SEND);
	if (there == NULL || name_of(w2) != MACH_PORT_NAME_NULL)
		return msg_general(thread);
	port = there->port;
	if (inside && likely(bits_of(w0) == MESSAGE_BITS && (port->state & PORT_STATE(.dead = true, .in_set = true, PORT_ANY_KOBJECT)) == 0))
		return msg_plain_send_near(thread, port, id_of(w3));
	if ((bits_of(w0) & ~MACH_MSGH_BITS_COMPLEX) != MESSAGE_BITS || port->dead)
		return msg_general(thread);
	if (port->kobject_type == KOBJECT_NONE)
		return msg_plain_send(thread, port, bits_of(w0), id_of(w3));
	return bits_of(w0) == MESSAGE_BITS ? krpc_plain_message(thread, port, w0, w1, w2, w3) : msg_general(thread);
}

static __attribute__((noipa)) int64_t send_again(struct thread *thread, struct port *port, HEAD_WORDS)
{
	return send_by_words(thread, port, w0, w1, w2, w3, false);
}

static __attribute__((noipa)) int64_t send_find(struct thread *thread, struct port *port, HEAD_WORDS)
{
	/* Found, it is at hand. */
	if (space_find_far(&thread->task->space, name_of(w1)) == NULL)
		return msg_general(thread);
	return send_again(thread, port, w0, w1, w2, w3);
}

static __attribute__((noinline)) int64_t send_far(struct thread *thread)
{
	uint64_t word[4];

	if (!msg_size_is_good((uint32_t)thread->regs.rdx, KMSG_SMALL) || !user_read4(thread->regs.rdi, word))
		return msg_general(thread);
	return send_again(thread, PORT_NULL, word[0], word[1], word[2], word[3]);
}

static inline __attribute__((always_inline)) int64_t send(struct thread *thread)
{
	uint64_t word[4];

	if (!msg_size_is_good((uint32_t)thread->regs.rdx, KMSG_INSIDE) || !user_read4(thread->regs.rdi, word))
		return send_far(thread);
	return send_by_words(thread, PORT_NULL, word[0], word[1], word[2], word[3], true);
}

/* Receives only, by a name that is not at hand. */
static __attribute__((noinline)) int64_t receive_find(struct thread *thread)
{
	struct name *here = msg_entry(&thread->task->space, (uint32_t)thread->regs.r8, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);

	return here != NULL ? msg_plain_receive(thread, here->port) : msg_general(thread);
}

static inline __attribute__((always_inline)) int64_t receive(struct thread *thread)
{
	struct name *here;

	if (!space_has_recent(&thread->task->space, (uint32_t)thread->regs.r8))
		return receive_find(thread);
	here = msg_entry(&thread->task->space, (uint32_t)thread->regs.r8, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	return here != NULL ? msg_plain_receive_near(thread, here->port) : msg_general(thread);
}

int64_t trap_mach_msg(struct thread *thread)
{
	uint32_t option = (uint32_t)thread->regs.rsi;

	if (option == CALL)
		return call(thread, false);
	if (option == MACH_SEND_MSG)
		return send(thread);
	if (option == MACH_RCV_MSG)
		return receive(thread);
	return option == TIMED_CALL && (uint32_t)thread->regs.r9 != 0 ? call_again(thread) : msg_general(thread);
}
