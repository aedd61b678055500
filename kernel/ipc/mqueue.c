/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message queues.
 *
 * A message goes straight to a thread that waits to receive, if there is one: it becomes that thread's msg.kmsg, and the
 * thread's continuation copies it out in its own context. Else it is queued, and the port joins those of its set that have
 * messages (ready.c), which are served in turn, one message each. A throttled set gives its messages only to so many threads
 * (throttle.c).
 *
 * A message has its sequence number from the moment it leaves the queue, or passes it by: receivers that have one in hand may
 * run in any order. One that is put back, because its receiver was denied its buffer or killed, keeps its number and
 * its place before those that come later.
 *
 * Receivers wait in a stack: the one that went to sleep last is woken first, its caches and stacks are the warmest.
 *
 * A port's queue limit counts messages sent by send rights. Senders beyond it wait, in a ring of ledgers: port->senders
 * links one thread for each waiting ledger, the group's leader; the others of the group hang from it, in order of
 * arrival, in a circle through two words of their wait records. Room that comes free goes to the leader in front,
 * whose ledger then goes to the end of its round: a client's thousand threads get one client's turn, and the ledgers below one
 * share of the CPU no more turns than another share's one.
 *
 * The room is the woken sender's (thread->msg.room) and counts as taken (port->queued) until it has tried again, from the
 * start: clients that send the next request as soon as they have an answer do not get before those that wait. Only a newcomer
 * of a ledger that has no other thread waiting may use it meanwhile; the woken sender's turn is the next one then. Only senders
 * that can run are offered room. One that is stopped or killed before it ran passes its room on (mqueue_room_return), so nobody
 * waits for a thread that does not run.
 *
 * A thread that goes to sleep as a receiver lets one blocked sender try, of the port or of any member of the set: so senders
 * get through a queue of no length too, when somebody listens. Such a one may find that somebody else was faster: then its turn
 * is the next one.
 */
#include "ipc/mqueue.h"
#include "ipc/kmsg_copy.h"
#include "ipc/mach_msg.h"
#include "ipc/portset.h"
#include "ipc/ready.h"
#include "ipc/right.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "x86_64/machine.h"

#define FLUSH_PIECE 8		/* messages discarded in one go */
#define PUT_BACK_MOST 64	/* messages put back that are kept in order */
#define LEADERS_MOST 64		/* waiting ledgers looked at for a group to join */
#define SHARES 16		/* of the CPU, told apart by their numbers: of more some count as one */
#define WAKE_BATCH 32		/* threads woken before interrupts get a window */

/* A blocked sender's words. */
enum { SENDER_NEXT, SENDER_PREV, SENDER_LEADER, SENDER_WORDS };

/* -- senders -- */

static struct thread *sender_next(struct thread *thread)
{
	return (struct thread *)thread->wait.word[SENDER_NEXT];
}

static struct thread *sender_prev(struct thread *thread)
{
	return (struct thread *)thread->wait.word[SENDER_PREV];
}

static void sender_join(struct thread *first, struct thread *second)
{
	first->wait.word[SENDER_NEXT] = (uint64_t)second;
	second->wait.word[SENDER_PREV] = (uint64_t)first;
}

/* One step for each ledger that waits here. When very many do, threads of one ledger may form several groups. */
static struct thread *sender_leader(struct port *port, const struct ledger *ledger)
{
	unsigned left = LEADERS_MOST;
	struct thread *leader;

	RING_FOREACH(leader, port->senders, wait.sender_link) {
		if (leader->task->ledger == ledger)
			return leader;
		if (--left == 0)
			break;
	}
	return NULL;
}

static unsigned share_number(const struct thread *thread)
{
	return (unsigned)((uintptr_t)thread->task->home / PAGE_SIZE % SHARES);
}

/* Into the ring: the n-th ledger that waits here of one share of the CPU is before the n+1-th of any other. */
static void sender_enter(struct port *port, struct thread *thread)
{
	unsigned seen[SHARES] = { 0 }, own = 0, left = LEADERS_MOST;
	struct thread *leader;

	RING_FOREACH(leader, port->senders, wait.sender_link) {
		own += share_number(leader) == share_number(thread);
		if (--left == 0)
			break;
	}
	left = LEADERS_MOST;
	RING_FOREACH(leader, port->senders, wait.sender_link) {
		if (++seen[share_number(leader)] > own + 1) {
			RING_INSERT_BEFORE(port->senders, leader, thread, wait.sender_link);
			return;
		}
		if (--left == 0)
			break;
	}
	RING_INSERT_TAIL(port->senders, thread, wait.sender_link);
}

/* thread takes the leader's place in the ring. */
static void sender_lead(struct port *port, struct thread *thread, struct thread *leader)
{
	RING_INSERT_BEFORE(port->senders, leader, thread, wait.sender_link);
	RING_REMOVE(port->senders, leader, wait.sender_link);
	leader->wait.word[SENDER_LEADER] = false;
	thread->wait.word[SENDER_LEADER] = true;
}

/* Out of its set's list of members with blocked senders. */
static void blocked_remove(struct port *port)
{
	struct port *set = port->extra->set;

	TAILQ_REMOVE(&set->blocked, port, extra->blocked_link);
	set->has_senders = !TAILQ_EMPTY(&set->blocked);
	port->is_blocked = false;
}

/* Its senders are other ones, or its set: keeps the port in the set's list of members with blocked senders, or out of it. */
static void blocked_update(struct port *port)
{
	struct port *set = port_set_of(port);
	bool blocked;

	port->has_senders = port->senders != NULL;
	blocked = set != NULL && port->has_senders;
	if (blocked == port->is_blocked)
		return;
	if (blocked) {
		TAILQ_INSERT_TAIL(&set->blocked, port, extra->blocked_link);
		set->has_senders = port->is_blocked = true;
	} else {
		blocked_remove(port);
	}
	if (blocked && throttle_on(set))
		throttle_queued(set);
}

static void sender_add(struct port *port, struct thread *thread, bool again)
{
	struct thread *leader = sender_leader(port, thread->task->ledger);

	if (leader == NULL) {
		sender_join(thread, thread);
		thread->wait.word[SENDER_LEADER] = true;
		if (again)
			RING_INSERT_HEAD(port->senders, thread, wait.sender_link);
		else
			sender_enter(port, thread);
		return;
	}
	thread->wait.word[SENDER_LEADER] = false;
	sender_join(sender_prev(leader), thread);
	sender_join(thread, leader);
	if (!again)
		return;
	sender_lead(port, thread, leader);
	RING_REMOVE(port->senders, thread, wait.sender_link);
	RING_INSERT_HEAD(port->senders, thread, wait.sender_link);
}

void mqueue_sender_add(struct port *port, struct thread *thread, bool again)
{
	sender_add(port, thread, again);
	blocked_update(port);
	if (port->is_blocked)
		ready_waits(port, thread->task->ledger);
}

static void sender_remove(struct port *port, struct thread *thread)
{
	struct thread *next = sender_next(thread);

	if (next == thread) {
		RING_REMOVE(port->senders, thread, wait.sender_link);
		return;
	}
	if (thread->wait.word[SENDER_LEADER])
		sender_lead(port, next, thread);
	sender_join(sender_prev(thread), next);
}

void mqueue_sender_remove(struct port *port, struct thread *thread)
{
	sender_remove(port, thread);
	blocked_update(port);
}

/* The leader in front leaves; its ledger goes to the end of the ring. */
static struct thread *sender_take(struct port *port)
{
	struct thread *thread = port->senders;
	struct thread *next;

	if (thread == NULL)
		return NULL;
	next = sender_next(thread);
	sender_remove(port, thread);
	if (next != thread) {
		RING_REMOVE(port->senders, next, wait.sender_link);
		sender_enter(port, next);
	}
	blocked_update(port);
	return thread;
}

/* Wakes blocked senders until so many that can run were woken; returns how many were not found. Those that are stopped try
   again when they are resumed. */
static unsigned senders_wake(struct port *port, unsigned wanted)
{
	struct thread *thread;
	unsigned n = 0;

	while (wanted != 0 && (thread = sender_take(port)) != NULL) {
		thread_wake(thread, 0);
		if (sched_runnable(thread)) {
			port_ref(port);
			port->queued++;
			thread->msg.room = port;
			wanted--;
		}
		if (++n % WAKE_BATCH == 0)
			machine_window();
	}
	return wanted;
}

void mqueue_offer_room(struct port *port)
{
	senders_wake(port, port->queued < port->qlimit ? port->qlimit - port->queued : 0);
}

/* Where the port's messages are received: its set, or itself. */
static struct port *object_of(struct port *port)
{
	struct port *set = port_set_of(port);

	return set != NULL ? set : port;
}

/* Does a thread wait at the port or set that may have a message now? */
static bool listens(const struct port *object)
{
	return !STACK_EMPTY(&object->receivers) && throttle_admits(object);
}

void mqueue_receiver_waits(struct port *object)
{
	struct port *port;

	if (!throttle_admits(object))
		return;
	if (object->kobject_type != KOBJECT_PORT_SET) {
		senders_wake(object, 1);
		return;
	}
	/* Members take turns; those whose senders are all stopped have left the list. */
	while ((port = TAILQ_FIRST(&object->blocked)) != NULL) {
		if (senders_wake(port, 1) == 0) {
			if (port->is_blocked) {
				TAILQ_REMOVE(&object->blocked, port, extra->blocked_link);
				TAILQ_INSERT_TAIL(&object->blocked, port, extra->blocked_link);
			}
			return;
		}
		machine_window();
	}
}

void mqueue_room_return(struct thread *thread, bool used)
{
	struct port *port = thread->msg.room;

	if (port == NULL)
		return;
	thread->msg.room = NULL;
	port->queued--;
	if (!used && !port->dead) {
		mqueue_offer_room(port);
		if (listens(object_of(port)))
			senders_wake(port, 1);
	}
	port_unref(port);
}

bool mqueue_full(struct port *port)
{
	return port->queued >= port->qlimit && !listens(object_of(port));
}

bool mqueue_full_for(struct port *port, const struct thread *thread)
{
	if (!mqueue_full(port))
		return false;
	/* Its own room is counted. */
	if (thread->msg.room == port)
		return port->queued > port->qlimit;
	/* Woken senders may be long in coming, those of a ledger with many threads that compute. */
	return port->message_count >= port->qlimit || sender_leader(port, thread->task->ledger) != NULL;
}

/* -- queues -- */

/* The member of a set has a message more. Apart: most ports are in no set. */
static __attribute__((noinline)) void set_queues(struct port *port, struct kmsg *kmsg)
{
	struct port *set = port_set_of(port);

	if (set == NULL)
		return;
	ready_insert(port);
	if (throttle_on(set)) {
		kmsg->queued_ns = clock_uptime_ns();
		throttle_queued(set);
	}
}

/* Those that were put back are in front, by their numbers. */
static __attribute__((noinline)) void insert_front(struct port *port, struct kmsg *kmsg)
{
	struct kmsg *next = port->messages;

	for (unsigned i = 0; i < PUT_BACK_MOST && next != NULL && next->numbered && kmsg->numbered; i++) {
		if ((int32_t)(next->sequence - kmsg->sequence) > 0)
			break;
		next = RING_NEXT(next, link);
	}
	if (next != NULL)
		RING_INSERT_BEFORE(port->messages, next, kmsg, link);
	else
		RING_INSERT_TAIL(port->messages, kmsg, link);
}

void mqueue_number_anew(struct port *port)
{
	struct kmsg *kmsg;

	RING_FOREACH(kmsg, port->messages, link) {
		if (!kmsg->numbered)
			return;
		kmsg->numbered = false;
	}
}

static inline void queue_add(struct port *port, struct kmsg *kmsg, bool front)
{
	if (!kmsg->by_send_once)
		port->queued++;
	port->message_count++;
	kmsg->queued = true;
	kmsg->queued_ns = 0;
	if (front)
		insert_front(port, kmsg);
	else
		RING_INSERT_TAIL(port->messages, kmsg, link);
	if (port->in_set)
		set_queues(port, kmsg);
}

static inline void queue_unlink(struct port *port, struct kmsg *kmsg)
{
	RING_REMOVE(port->messages, kmsg, link);
	kmsg->queued = false;
	port->message_count--;
	if (!kmsg->by_send_once)
		port->queued--;
}

static void queue_remove(struct port *port, struct kmsg *kmsg)
{
	queue_unlink(port, kmsg);
	if (!port->is_ready)
		return;
	/* The next message comes after those of the set's other ports. */
	ready_served(port);
	if (port->messages != NULL)
		ready_insert(port);
}

/* Hands the message to a thread that waits on object. A thread whose buffer is too small and that asked for it
   (MACH_RCV_LARGE) is woken to be told; the message then goes on looking. */
static bool receiver_take(struct port *object, struct kmsg *kmsg)
{
	struct thread *thread;

	while (listens(object)) {
		thread = STACK_FIRST(&object->receivers);
		STACK_POP(&object->receivers, thread, wait.stack_link);
		msg_bound_keep(object, thread);
		if (kmsg->size > thread->msg.receive_size && (thread->msg.option & MACH_RCV_LARGE) != 0) {
			thread->wait.word[0] = kmsg->size;
			thread_wake(thread, MACH_RCV_TOO_LARGE);
			continue;
		}
		thread->msg.kmsg = kmsg;
		kmsg->holder = thread;
		if (!kmsg->numbered)
			kmsg->sequence = kmsg->remote->sequence++;
		kmsg->numbered = true;
		if (throttle_on(object))
			throttle_join(thread, object);
		thread_wake_handoff(thread, MACH_MSG_SUCCESS);
		return true;
	}
	return false;
}

void mqueue_deliver(struct kmsg *kmsg)
{
	struct port *port = kmsg->remote;
	struct port *set;

	if (!port_valid(port) || port->dead || port->kobject_type != KOBJECT_NONE) {
		kmsg_discard(kmsg);
		return;
	}
	kmsg->by_send_once = MACH_MSGH_BITS_REMOTE(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE ||
			     kmsg->kind == KMSG_EXCEPTION;
	kmsg->numbered = false;
	set = port_set_of(port);
	if (!receiver_take(set != NULL ? set : port, kmsg))
		queue_add(port, kmsg, false);
	else if (set != NULL && throttle_on(set))
		throttle_taken(set, 0);
}

/* The port of object whose message is next. */
static struct port *queue_next(struct port *object)
{
	return object->kobject_type == KOBJECT_PORT_SET ? ready_first(object) : object;
}

struct kmsg *mqueue_peek(struct port *object)
{
	struct port *port = queue_next(object);

	return port != NULL ? port->messages : NULL;
}

static __attribute__((noinline)) struct kmsg *take_of_set(struct port *object)
{
	struct port *port = queue_next(object);
	struct kmsg *kmsg = port != NULL ? port->messages : NULL;

	if (kmsg == NULL)
		return NULL;
	queue_remove(port, kmsg);
	if (throttle_on(object))
		throttle_taken(object, kmsg->queued_ns);
	return kmsg;
}

static inline struct kmsg *take(struct port *object)
{
	struct kmsg *kmsg;

	if (object->kobject_type == KOBJECT_PORT_SET || object->is_ready)
		return take_of_set(object);
	kmsg = object->messages;
	if (kmsg != NULL)
		queue_unlink(object, kmsg);
	return kmsg;
}

inline struct kmsg *mqueue_take(struct port *object)
{
	struct kmsg *kmsg = take(object);

	if (kmsg != NULL && kmsg->remote->has_senders)
		mqueue_offer_room(kmsg->remote);
	return kmsg;
}

void mqueue_put_back(struct kmsg *kmsg)
{
	struct port *port = kmsg->remote;

	if (port->dead) {
		kmsg_discard(kmsg);
		return;
	}
	if (!receiver_take(object_of(port), kmsg))
		queue_add(port, kmsg, true);
}

void mqueue_recall(struct kmsg *kmsg)
{
	if (kmsg->queued)
		queue_remove(kmsg->remote, kmsg);
	if (kmsg->holder != NULL)
		kmsg->holder->msg.kmsg = NULL;
	kmsg->holder = NULL;
}

bool mqueue_flush(struct port *port)
{
	unsigned left = FLUSH_PIECE;
	struct kmsg *kmsg;

	while ((kmsg = port->messages) != NULL) {
		if (left-- == 0)
			return false;
		queue_remove(port, kmsg);
		kmsg_discard(kmsg);
	}
	return true;
}

void mqueue_changed(struct port *port, int result)
{
	struct thread *thread;
	unsigned n = 0;

	while ((thread = STACK_FIRST(&port->receivers)) != NULL) {
		STACK_POP(&port->receivers, thread, wait.stack_link);
		msg_bound_keep(port, thread);
		thread_wake(thread, result);
		if (++n % WAKE_BATCH == 0)
			machine_window();
	}
	while (port->kobject_type != KOBJECT_PORT_SET && (thread = sender_take(port)) != NULL) {
		thread_wake(thread, 0);
		if (++n % WAKE_BATCH == 0)
			machine_window();
	}
}

void mqueue_release(struct port *object)
{
	struct kmsg *kmsg = take(object);
	struct port *port;

	if (kmsg == NULL)
		return;
	port = kmsg->remote;
	/* Room is offered afterwards: a sender that wakes may itself be of those that serve a throttled set. */
	if (!receiver_take(object, kmsg))
		queue_add(port, kmsg, true);
	else if (port->has_senders)
		mqueue_offer_room(port);
}

void mqueue_set_offer(struct port *set)
{
	unsigned n = 0;

	while (listens(set) && ready_any(set)) {
		mqueue_release(set);
		if (++n % WAKE_BATCH == 0)
			machine_window();
	}
	if (listens(set))
		mqueue_receiver_waits(set);
}

void mqueue_set_joined(struct port *port)
{
	struct port *set = port->extra->set;

	blocked_update(port);
	if (listens(set))
		senders_wake(port, 1);
	if (port->messages == NULL || port->is_ready)
		return;
	ready_insert(port);
	mqueue_set_offer(set);
	if (throttle_on(set) && port->is_ready)
		throttle_queued(set);
}

void mqueue_set_left(struct port *port)
{
	if (port->is_blocked)
		blocked_remove(port);
	ready_remove(port);
}
