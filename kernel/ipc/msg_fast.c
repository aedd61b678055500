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
 * buffer of a receive that goes on waiting. Whatever is not exactly as above returns false, and the general path finds
 * everything as it was: other options, rights, sizes or items; names that are not what they should be (it knows the codes);
 * throttled sets; receivers that wait for less, for a notification, in a stopped or dead task; buffers that are not there or
 * not writable, lie across two pages or overlap; ports with messages or blocked senders before us; depressed threads. When
 * everything is right, nothing is left that could fail.
 *
 * A call of a kernel object begins like the client's, or is a message only, and is told apart here (krpc_plain.c); so are
 * messages that only go into a queue or come out of one (msg_plain.c).
 */
#include "ipc/msg_fast.h"
#include "ipc/kmsg.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "ipc/msg_right.h"
#include "ipc/name.h"
#include "ipc/portset.h"
#include "ipc/space.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
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

/* The entry of a name with a living right of this type; NULL: it has none. */
static inline struct name *entry_of(struct space *space, mach_port_name_t name, uint32_t type)
{
	struct name *entry = space_find(space, name);

	return entry != NULL && (entry->type & type) != 0 && !entry->port->dead ? entry : NULL;
}

/* Where the thread that waits first at object takes a message of size bytes, contiguous in the kernel's memory; NULL: it does
   not, or somebody else should. */
static inline __attribute__((always_inline)) char *receiver_buffer(struct port *object, uint32_t size)
{
	struct thread *to = LIST_FIRST(&object->receivers);

	if (to == NULL || to->msg.receive_size < size || (to->msg.option & MACH_RCV_NOTIFY) != 0 || to->serves != NULL ||
	    !sched_runnable(to))
		return NULL;
	return pmap_writable(&to->task->map.pmap, to->msg.buffer, size);
}

/* The port of its own at which a caller waits for the reply, in no set and with nothing to be received; NULL: it does not. */
static inline struct port *reply_port(struct thread *thread, const mach_msg_header_t *head)
{
	struct name *here = entry_of(&thread->task->space, head->msgh_local_port, MACH_PORT_TYPE_RECEIVE);

	if (here == NULL || head->msgh_local_port != (uint32_t)thread->regs.r8 || here->port->set != NULL ||
	    !TAILQ_EMPTY(&here->port->messages) || !TAILQ_EMPTY(&here->port->senders))
		return NULL;
	return here->port;
}

/* Could the thread wait at the object (not a throttled set) at once? Then nothing is there to be received, and no sender
   waits for room. */
static inline __attribute__((always_inline)) bool is_idle(const struct port *object)
{
	if (object->kobject_type == KOBJECT_PORT_SET)
		return TAILQ_EMPTY(&object->ready) && object->queues == NULL && TAILQ_EMPTY(&object->blocked) &&
		       !throttle_on(object);
	return TAILQ_EMPTY(&object->messages) && TAILQ_EMPTY(&object->senders);
}

/* May the thread wait without further ado? */
static bool is_plain(const struct thread *thread)
{
	return !thread->depressed && !thread->serves_counted;
}

static uint32_t complex_bit(const mach_msg_header_t *head)
{
	return head->msgh_bits & MACH_MSGH_BITS_COMPLEX;
}

/* Would the message be written over itself before it is read? Only if it begins shortly before the receiver's buffer, in memory
   that both threads have. True also if that cannot be told. */
static bool overlaps(struct thread *thread, const char *to, uint64_t from, uint32_t size)
{
	const char *first, *last;

	if (((uint64_t)to - from - 1) % PAGE_SIZE >= size - 1)
		return false;
	first = pmap_writable(&thread->task->map.pmap, from, 1);
	last = pmap_writable(&thread->task->map.pmap, from + size - 1, 1);
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

	thread->task->messages_sent++;
	to->task->messages_received++;
	LIST_REMOVE(to, wait.stack_link);
	wait_end_plain(to);
	thread_set_result(to, MACH_MSG_SUCCESS);
	/* What the receive part needs without further options. */
	msg->buffer = regs->rdi;
	msg->option = (uint32_t)regs->rsi;
	msg->receive_size = (uint32_t)regs->r10;
	msg->receive_name = (uint32_t)regs->r8;
	msg->timeout_ms = (uint32_t)regs->r9;
	msg_receive_begin(thread, at);
	sched_pass(thread, to);
}

static inline bool request(struct thread *thread, struct port *port, const mach_msg_header_t *head)
{
	const struct regs *regs = &thread->regs;
	uint32_t size = (uint32_t)regs->rdx;
	struct port *reply = reply_port(thread, head), *object;
	struct name *once;
	char *buffer;

	if (reply == NULL || !reply->spare_prepaid || port->has_payload || !is_plain(thread))
		return false;
	object = port->set != NULL ? port->set : port;
	if (object->dead || throttle_on(object))
		return false;
	buffer = receiver_buffer(object, size);
	if (buffer == NULL || !body_copy(thread, buffer, regs->rdi, size))
		return false;
	once = name_once_in(&LIST_FIRST(&object->receivers)->task->space, reply);
	if (once == NULL)
		return false;
	if (complex_bit(head) != 0 && !msg_right_pass(&thread->task->space, once->space, buffer, size)) {
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
	head_write((mach_msg_header_t *)buffer, REQUEST_BITS_RECEIVED | complex_bit(head), size, once->name, port->receiver_name,
		   port->sequence++, (uint32_t)head->msgh_id);
	pass(thread, object, reply);
}

static inline bool reply(struct thread *thread, const mach_msg_header_t *head)
{
	const struct regs *regs = &thread->regs;
	struct space *space = &thread->task->space;
	uint32_t size = (uint32_t)regs->rdx;
	/* A reply right is the space's own entry. */
	struct name *there = &space->once;
	struct name *here = entry_of(space, (uint32_t)regs->r8, MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	struct port *port, *object;
	char *buffer;

	if (there->name != head->msgh_remote_port || (there->type & MACH_PORT_TYPE_SEND_ONCE) == 0 || here == NULL ||
	    head->msgh_local_port != MACH_PORT_NAME_NULL)
		return false;
	port = there->port;
	object = here->port;
	if (port->dead || port->has_payload || !port->keeps_reply || port->spare_prepaid ||
	    port->kobject_type != KOBJECT_NONE || port->set != NULL)
		return false;
	if (!is_idle(object) || (object->kobject_type == KOBJECT_NONE && object->set != NULL) || !is_plain(thread))
		return false;
	buffer = receiver_buffer(port, size);
	if (buffer == NULL || !body_copy(thread, buffer, regs->rdi, size))
		return false;
	if (!name_once_out(there))
		return false;
	if (complex_bit(head) != 0 &&
	    !msg_right_pass(&thread->task->space, &LIST_FIRST(&port->receivers)->task->space, buffer, size)) {
		if (name_once_in(&thread->task->space, port) != there)
			panic("a reply right cannot be taken back");
		return false;
	}
	right_consume_send_once(port);
	port->spare_prepaid = true;
	port->reply_bound = 0;
	head_write((mach_msg_header_t *)buffer, REPLY_BITS_RECEIVED | complex_bit(head), size, MACH_PORT_NAME_NULL, port->receiver_name,
		   port->sequence++, (uint32_t)head->msgh_id);
	pass(thread, port, object);
}

/* A message to a kernel object, with or without an answer. */
static inline bool kernel_call(struct thread *thread, struct port *port, mach_msg_header_t *head, int64_t *result)
{
	struct port *reply = NULL;

	if ((uint32_t)thread->regs.rsi == CALL && head->msgh_bits == REQUEST_BITS) {
		reply = reply_port(thread, head);
		if (reply == NULL)
			return false;
	} else if ((uint32_t)thread->regs.rsi != MACH_SEND_MSG || head->msgh_bits != MESSAGE_BITS ||
		   head->msgh_local_port != MACH_PORT_NAME_NULL) {
		return false;
	}
	return krpc_plain(thread, port, reply, head, result);
}

static bool receive(struct thread *thread, int64_t *result)
{
	struct name *here = entry_of(&thread->task->space, (uint32_t)thread->regs.r8,
				     MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);

	return here != NULL && (here->port->kobject_type == KOBJECT_PORT_SET || here->port->set == NULL) &&
	       msg_plain_receive(thread, here->port, result);
}

bool msg_fast(struct thread *thread, int64_t *result)
{
	/* The request of a kernel call is read behind its head. The kernel is never entered twice. */
	static union { mach_msg_header_t head; uint64_t word[KMSG_SMALL / 8]; } in;
	const struct regs *regs = &thread->regs;
	uint32_t option = (uint32_t)regs->rsi, bits;
	struct name *there;

	_Static_assert(HEAD == 32, "four words");
	if (option == MACH_RCV_MSG)
		return receive(thread, result);
	if (option != CALL && option != MACH_SEND_MSG && (option != TIMED_CALL || (uint32_t)regs->r9 == 0))
		return false;
	if ((uint32_t)regs->rdx - HEAD > KMSG_SMALL - HEAD || regs->rdx % MACH_MSG_USER_ALIGNMENT != 0 ||
	    !user_read4(regs->rdi, in.word))
		return false;
	bits = in.head.msgh_bits & ~MACH_MSGH_BITS_COMPLEX;
	if (bits == REPLY_BITS)
		return option != MACH_SEND_MSG && reply(thread, &in.head);
	there = entry_of(&thread->task->space, in.head.msgh_remote_port, MACH_PORT_TYPE_SEND);
	if (there == NULL)
		return false;
	if (there->port->kobject_type != KOBJECT_NONE)
		return kernel_call(thread, there->port, &in.head, result);
	if (option != MACH_SEND_MSG)
		return bits == REQUEST_BITS && request(thread, there->port, &in.head);
	return bits == MESSAGE_BITS && in.head.msgh_local_port == MACH_PORT_NAME_NULL &&
	       msg_plain_send(thread, there->port, &in.head, result);
}
