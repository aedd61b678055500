/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Throttled port sets: only so many of a set's threads run at once, others' messages wait, but not
 * behind one that computes for ever; a stalled set tells of itself; nothing is left behind.
 * RUN: in root throttle_test
 */
#include <stdlib.h>
#include <string.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/threads.h>
#include <throttle_user.h>
#include <weir/throttle.h>
#include "child.h"
#include "denial.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PATIENCE_MS	10000
#define LONG_MS		60000		/* a delay that never comes to its end here */
#define SHORT_MS	20
#define WORKERS		3
enum { ID_QUICK = 100, ID_SPIN, ID_SLEEP, ID_SPIN_AGAIN };

static mach_port_t self, set, port;

/* What the worker threads did. */
static uint32_t served;			/* messages, all */
static uint32_t spinning, spin_end;	/* ID_SPIN: begun; the value that ends it */
static uint32_t sleeping;		/* ID_SLEEP: begun */

struct worker {
	struct thread *thread;
	mach_port_t gate;		/* ID_SLEEP waits for a message here */
	uint32_t served;
	mach_msg_return_t end;
};
static struct worker workers[WORKERS];

static void spin(uint32_t end)
{
	__atomic_add_fetch(&spinning, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&spin_end, __ATOMIC_SEQ_CST) < end)
		__builtin_ia32_pause();
}

static void worker_main(void *argument)
{
	struct worker *worker = argument;
	struct msg m;

	for (;;) {
		worker->end = mach_msg(&m.head, MACH_RCV_MSG, 0, sizeof m.bytes, set, 0, MACH_PORT_NULL);
		if (worker->end != MACH_MSG_SUCCESS)
			return;
		if (m.head.msgh_id == ID_SPIN) {
			spin(1);
		} else if (m.head.msgh_id == ID_SPIN_AGAIN) {
			spin(2);
		} else if (m.head.msgh_id == ID_SLEEP) {
			__atomic_add_fetch(&sleeping, 1, __ATOMIC_SEQ_CST);
			mach_msg(&m.head, MACH_RCV_MSG, 0, sizeof m.bytes, worker->gate, 0, MACH_PORT_NULL);
		}
		worker->served++;
		__atomic_add_fetch(&served, 1, __ATOMIC_SEQ_CST);
	}
}

static void worker_make(struct worker *worker)
{
	memset(worker, 0, sizeof *worker);
	worker->gate = port_new_send();
	need(thread_spawn(worker_main, worker, 0, &worker->thread), "a worker");
}

static void worker_start(struct worker *worker)
{
	worker_make(worker);
	if (!thread_await_waiting(worker->thread->port, PATIENCE_MS))
		give_up("a worker comes to wait");
}

static void workers_start(unsigned count)
{
	served = spinning = spin_end = sleeping = 0;
	for (unsigned i = 0; i < count; i++)
		worker_start(&workers[i]);
}

static void set_make(unsigned target, unsigned delay_ms)
{
	set = port_new_set();
	port = port_new_send();
	need(mach_port_move_member(self, port, set), "a member");
	need(port_set_throttle(self, set, target, delay_ms), "port_set_throttle");
}

/* The set dies, and so the workers end. */
static void set_end(unsigned count)
{
	__atomic_store_n(&spin_end, 10, __ATOMIC_SEQ_CST);
	port_free(set);
	for (unsigned i = 0; i < count; i++) {
		msg_send_plain(workers[i].gate, 1);
		thread_join(workers[i].thread);
		port_free(workers[i].gate);
	}
	port_free(port);
}

static throttle_status_t status(void)
{
	throttle_status_t now;

	need(port_set_throttle_status(self, set, &now), "port_set_throttle_status");
	return now;
}

static bool await(uint32_t *word, uint32_t value)
{
	for (unsigned n = 0; n < PATIENCE_MS; n++) {
		if (__atomic_load_n(word, __ATOMIC_SEQ_CST) >= value)
			return true;
		thread_sleep(1);
	}
	return false;
}

static void post(int id)
{
	need(msg_send_plain(port, id), "a message sent");
}

static void arguments(void)
{
	throttle_status_t now;
	mach_port_t once, other = port_new_send();

	set_make(2, 10);
	is_code(port_set_throttle(self, 0x777777, 1, 10), KERN_INVALID_NAME, "a name that is none");
	is_code(port_set_throttle(self, other, 1, 10), KERN_INVALID_RIGHT, "a port is no set");
	is_code(port_set_throttle(self, set, 0x10000, 10), KERN_INVALID_VALUE, "a target of 65,536 is too large");
	is_code(port_set_throttle(self, set, 1, 0), KERN_INVALID_VALUE, "a delay of 0 ms is none");
	is_code(port_set_throttle(self, set, 1, 0x10000), KERN_INVALID_VALUE, "a delay of 65,536 ms is too long");
	is_code(port_set_throttle_status(self, other, &now), KERN_INVALID_RIGHT, "a port has no status");
	now = status();
	is(now.target, 2, "what was refused has changed nothing");
	is(now.delay_ms, 10, "the delay neither");
	is(now.running + now.listening + now.waiting + now.taken, 0, "nobody serves it yet");
	need(port_set_throttle(self, set, 0, 0), "an end");
	is_code(port_set_request_stall(self, set, other, MAKE_ONCE), KERN_INVALID_VALUE, "only a throttled set stalls");
	is((uint64_t)msg_receive_plain(other), MACH_NOTIFY_SEND_ONCE, "and the right hears so");
	need(port_set_throttle(self, set, 1, 10), "a new target");
	is_code(port_set_request_stall(self, set, other, MAKE_ONCE), KERN_SUCCESS, "a request");
	is_code(port_set_request_stall(self, set, other, MAKE_ONCE), KERN_SUCCESS, "takes the place of the one before");
	is((uint64_t)msg_receive_plain(other), MACH_NOTIFY_SEND_ONCE, "which hears so");
	once = port_new_once(other);
	is_code(port_set_request_stall(self, set, once, MOVE_ONCE), KERN_SUCCESS, "a right that is moved");
	is((uint64_t)msg_receive_plain(other), MACH_NOTIFY_SEND_ONCE, "takes its place too");
	set_end(0);
	is((uint64_t)msg_receive_plain(other), MACH_NOTIFY_SEND_ONCE, "the end of the set tells the last one");
	port_free(other);
}

static void one_at_a_time(void)
{
	throttle_status_t now;

	set_make(1, LONG_MS);
	workers_start(WORKERS);
	post(ID_SPIN);
	ok(await(&spinning, 1), "one of three threads computes");
	post(ID_QUICK);
	post(ID_QUICK);
	thread_sleep(100);
	now = status();
	is(now.running, 1, "a target of 1: one runs");
	is(now.taken, 1, "the other messages wait");
	is(now.waiting, 1, "as the status says");
	is(now.listening, 1, "though others listen");
	is_between(now.oldest_ns, 90 * 1000000ull, 60ull * 1000000000, "for so long");
	__atomic_store_n(&spin_end, 1, __ATOMIC_SEQ_CST);
	ok(await(&served, 3), "they are served when it is done");
	is(workers[0].served + workers[1].served, 0, "all by the thread that came to wait last");
	now = status();
	is(now.taken, 3, "three were taken");
	is_between(now.waited_ns, 2 * 90 * 1000000ull, 120ull * 1000000000, "two of which had waited");
	set_end(WORKERS);
}

static void two_at_a_time(void)
{
	set_make(2, LONG_MS);
	workers_start(WORKERS);
	post(ID_SPIN);
	post(ID_SPIN);
	post(ID_SPIN);
	ok(await(&spinning, 2), "a target of 2: two run");
	thread_sleep(50);
	is(__atomic_load_n(&spinning, __ATOMIC_SEQ_CST), 2, "and no third");
	is(status().running, 2, "as the status says");
	set_end(WORKERS);
}

static void sleepers_count_not(void)
{
	set_make(1, LONG_MS);
	workers_start(WORKERS);
	post(ID_SLEEP);
	ok(await(&sleeping, 1), "a thread that waits for something else");
	post(ID_QUICK);
	post(ID_QUICK);
	ok(await(&served, 2), "lets another take its turn");
	post(ID_SPIN);
	ok(await(&spinning, 1), "while that one computes");
	msg_send_plain(workers[WORKERS - 1].gate, 1);
	ok(await(&served, 3), "the first wakes and ends its work");
	post(ID_QUICK);
	thread_sleep(50);
	is(served, 3, "but is given no more");
	is(status().running, 1, "for one runs already");
	__atomic_store_n(&spin_end, 1, __ATOMIC_SEQ_CST);
	ok(await(&served, 5), "until that one is done");
	set_end(WORKERS);
}

static void suspended_count_not(void)
{
	struct i386_thread_state state;
	mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;
	thread_t first, second;

	set_make(1, LONG_MS);
	workers_start(WORKERS);
	first = workers[WORKERS - 1].thread->port;
	second = workers[WORKERS - 2].thread->port;
	post(ID_SPIN);
	ok(await(&spinning, 1), "one computes");
	need(thread_suspend(first), "thread_suspend");
	is(status().running, 0, "and is suspended");
	post(ID_QUICK);
	ok(await(&served, 1), "then another takes its turn");
	need(thread_suspend(second), "thread_suspend");
	post(ID_QUICK);
	is(status().running, 0, "one that was given a message while suspended does not run");
	need(thread_get_state(second, i386_THREAD_STATE, (natural_t *)&state, &count), "thread_get_state");
	is(status().running, 0, "nor when its receive was brought to an end");
	post(ID_QUICK);
	ok(await(&served, 2), "a third one takes its turn too");
	need(thread_resume(second), "thread_resume");
	ok(await(&served, 3), "the second is served when it is resumed");
	need(thread_resume(first), "thread_resume");
	is(status().running, 1, "and the first computes again");
	set_end(WORKERS);
}

static void only_delayed(void)
{
	uint64_t start = clock_uptime_ns();

	set_make(1, SHORT_MS);
	workers_start(WORKERS);
	post(ID_SPIN);
	ok(await(&spinning, 1), "one computes for ever");
	start = clock_uptime_ns();
	post(ID_QUICK);
	ok(await(&served, 1), "a message gets past it");
	is_between(clock_uptime_ns() - start, (SHORT_MS - 1) * 1000000ull, 5000000000ull, "after the delay");
	start = clock_uptime_ns();
	for (unsigned i = 0; i < 10; i++) {
		post(ID_QUICK);
		await(&served, 2 + i);
	}
	is(served, 11, "and ten more");
	ok(status().waited_ns < 5 * SHORT_MS * 1000000ull, "which are not delayed each");
	post(ID_SPIN_AGAIN);
	ok(await(&spinning, 2), "another computes too");
	post(ID_QUICK);
	ok(await(&served, 12), "and the third thread serves");
	set_end(WORKERS);
}

/* Two wait; the first that comes takes one of them, which computes for ever. */
static void left_behind(void)
{
	set_make(1, SHORT_MS);
	workers_start(0);
	post(ID_SPIN);
	post(ID_QUICK);
	worker_make(&workers[0]);
	worker_make(&workers[1]);
	ok(await(&spinning, 1), "the first of two messages that wait computes for ever");
	ok(await(&served, 1), "and the second, behind it, is delayed only");
	set_end(2);
}

static void polls(void)
{
	struct msg m;

	set_make(1, LONG_MS);
	workers_start(1);
	post(ID_SPIN);
	ok(await(&spinning, 1), "one computes");
	post(ID_QUICK);
	is_code(msg_receive(&m, set, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "a poll takes what is there");
	is((uint64_t)m.head.msgh_id, ID_QUICK, "the message");
	is(status().running, 1, "and does not count as serving");
	post(ID_QUICK);
	is_code(msg_receive(&m, set, MACH_RCV_TIMEOUT, 30), MACH_RCV_TIMED_OUT, "a receive that waits is held back");
	is_code(msg_receive(&m, set, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "a poll again is not");
	set_end(1);
}

static void stalls(void)
{
	mach_port_t control = port_new_send();

	set_make(1, SHORT_MS);
	workers_start(1);
	need(port_set_request_stall(self, set, control, MAKE_ONCE), "a request");
	post(ID_SLEEP);
	ok(await(&sleeping, 1), "the only thread waits for something else");
	ok(msg_none(control), "no message waits: no stall");
	post(ID_QUICK);
	is((uint64_t)msg_receive_plain(control), THROTTLE_NOTIFY_STALLED, "a message waits: the set is stalled");
	post(ID_QUICK);
	thread_sleep(5);
	ok(msg_none(control), "that is told once");
	need(port_set_request_stall(self, set, control, MAKE_ONCE), "a second request");
	is((uint64_t)msg_receive_plain(control), THROTTLE_NOTIFY_STALLED, "is told at once");
	need(port_set_request_stall(self, set, control, MAKE_ONCE), "a third");
	is((uint64_t)msg_receive_plain(control), THROTTLE_NOTIFY_STALLED, "as well");
	worker_start(&workers[1]);
	ok(await(&served, 2), "one more thread serves what waited");
	need(port_set_request_stall(self, set, control, MAKE_ONCE), "a request");
	thread_sleep(5);
	ok(msg_none(control), "now that one listens there is no stall");
	post(ID_SPIN);
	ok(await(&spinning, 1), "it computes for ever");
	post(ID_QUICK);
	is((uint64_t)message_await(control, PATIENCE_MS), THROTTLE_NOTIFY_STALLED, "and is a stall too, after the delay");
	set_end(2);
	port_free(control);
}

/* A sender that found the queue full, its port held back. */
static void sender_main(void *argument)
{
	struct msg m;

	(void)argument;
	msg_begin(&m, COPY_SEND, port, 0, 0, ID_QUICK);
	msg_send(&m, 0, 0);
}

static void senders_wait(void)
{
	struct thread *thread;

	set_make(1, LONG_MS);
	need(mach_port_set_qlimit(self, port, 0), "a queue without room");
	workers_start(2);
	post(ID_SPIN);
	ok(await(&spinning, 1), "a message to a queue without room is handed over");
	need(thread_spawn(sender_main, NULL, 0, &thread), "a sender");
	ok(thread_await_waiting(thread->port, PATIENCE_MS), "the next sender waits, though one listens");
	is(status().waiting, 1, "as the status says");
	__atomic_store_n(&spin_end, 1, __ATOMIC_SEQ_CST);
	ok(await(&served, 2), "its message comes when the first is served");
	thread_join(thread);
	set_end(2);
}

static void ends(void)
{
	set_make(1, LONG_MS);
	workers_start(2);
	post(ID_SPIN);
	ok(await(&spinning, 1), "one computes");
	post(ID_QUICK);
	thread_sleep(20);
	is(served, 0, "a message waits");
	need(port_set_throttle(self, set, 0, 0), "an end");
	ok(await(&served, 1), "a set that is no longer throttled hands it over");
	is(status().target, 0, "the target is gone");
	need(port_set_throttle(self, set, 1, LONG_MS), "a target again");
	is(status().running, 1, "the one that computes still counts");
	post(ID_QUICK);
	thread_sleep(20);
	is(served, 1, "the next message waits");
	need(port_set_throttle(self, set, 2, LONG_MS), "a larger target");
	ok(await(&served, 2), "lets it through");
	need(port_set_throttle(self, set, 1, LONG_MS), "the smaller one");
	post(ID_QUICK);
	need(thread_terminate(workers[1].thread->port), "the end of a thread");
	ok(await(&served, 3), "a thread that is killed makes place for another");
	is(status().running, 0, "and is forgotten");
	is(workers[0].served, 3, "by the one that is left");
	/* Its record and stack are nobody's now. */
	vm_deallocate(self, workers[1].thread->stack, workers[1].thread->stack_size);
	mach_port_deallocate(self, workers[1].thread->port);
	free(workers[1].thread);
	port_free(workers[1].gate);
	set_end(1);
	is_code(workers[0].end, MACH_RCV_PORT_DIED, "who waits at a set that dies hears so");
}

/* A set that each of two threads serves in turn, as the one that it received from last. */
static void moves(void)
{
	struct msg m;
	mach_port_t other_set, other;

	set_make(1, LONG_MS);
	other = port;
	other_set = set;
	set_make(1, LONG_MS);
	post(ID_QUICK);
	is_code(msg_receive(&m, set, 0, 0), MACH_MSG_SUCCESS, "this thread receives from a set");
	is(status().running, 1, "and serves it");
	need(msg_send_plain(other, 1), "a message to another set");
	is_code(msg_receive(&m, other_set, 0, 0), MACH_MSG_SUCCESS, "this thread receives from another");
	is(status().running, 0, "and serves the first no more");
	port_free(other_set);
	port_free(other);
	set_end(0);
}

#define PORTS	20
enum { ID_FLOOD = 200, ID_GUEST = 300 };

struct guest {
	uint32_t step;
	mach_port_t port;
	mach_msg_return_t code;
};

static kern_return_t give_send(struct child *child, void *argument)
{
	struct guest *guest = argument;

	return mach_port_insert_right(child->task, guest->port, guest->port, MACH_MSG_TYPE_MAKE_SEND);
}

static void guest_main(void *argument)
{
	struct guest *guest = argument;
	struct msg m;

	msg_begin(&m, COPY_SEND, guest->port, 0, 0, ID_GUEST);
	guest->code = msg_send(&m, 0, 0);
	word_post(&guest->step, 1);
	word_await(&guest->step, 2, PATIENCE_MS);
}

/*
 * Messages of another ledger, sent last, are not behind all those of this one; also when one of these, the last, is before it
 * in the port (shared). throttle_late: the set is throttled when they are there. ended: it was, and has no bound any more.
 */
static void ledgers_in_turn(bool throttle_late, bool shared, bool ended)
{
	struct guest *guest = shared_alloc(sizeof *guest);
	mach_port_t ports[PORTS];
	ledger_t ledger = MACH_PORT_NULL;
	struct child child;
	unsigned at = 0, second = 0;
	struct msg m;

	ledger = ledger_new(test_ledger(), "guest");
	set_make(1, LONG_MS);
	if (throttle_late) {
		port_free(set);
		set = port_new_set();
	} else if (ended) {
		need(port_set_throttle(self, set, 0, 0), "no bound");
	}
	for (unsigned i = 0; i < PORTS; i++) {
		ports[i] = port_new_send();
		need(mach_port_move_member(self, ports[i], set), "a member");
		for (unsigned n = 0; n < 2; n++)
			need(msg_send_plain(ports[i], ID_FLOOD + (int)i), "a message");
	}
	guest->port = port_new_send();
	need(mach_port_move_member(self, guest->port, set), "a member");
	if (shared)
		need(msg_send_plain(guest->port, ID_FLOOD + PORTS), "a message");
	need(child_start(&child, guest_main, guest, &(struct child_options){ .ledger = ledger, .before = give_send }),
	     "a guest");
	ok(word_await(&guest->step, 1, PATIENCE_MS), "the guest has sent behind forty messages");
	if (throttle_late)
		need(port_set_throttle(self, set, 1, LONG_MS), "a target");
	if (throttle_late && ended)
		need(port_set_throttle(self, set, 0, 0), "no bound");
	for (unsigned n = 0; n < 2u * PORTS + 1 + shared; n++) {
		need(msg_receive(&m, set, MACH_RCV_TIMEOUT, 0), "a message");
		if (m.head.msgh_id == ID_GUEST)
			at = n;
		else if (n == PORTS + 1u + shared)
			second = (unsigned)m.head.msgh_id;
	}
	is_between(at, 0, 2 + shared, shared ? "its message is among the first four, behind one of theirs" :
		   "its message is among the first three");
	is(second, ID_FLOOD, "a ledger's ports take turns");
	is_code(msg_receive(&m, set, MACH_RCV_TIMEOUT, 0), MACH_RCV_TIMED_OUT, "all came once");
	for (unsigned i = 0; i < PORTS; i++)
		port_free(ports[i]);
	port_free(guest->port);
	set_end(0);
	child_finish(&child);
	need(ledger_terminate(ledger), "the end of a ledger");
	port_free(ledger);
	shared_free(guest, sizeof *guest);
}

/* Members with messages leave a set that is throttled, and it dies with some in it. */
static void leave_and_die(void)
{
	mach_port_t ports[PORTS];

	set_make(1, LONG_MS);
	for (unsigned i = 0; i < PORTS; i++) {
		ports[i] = port_new_send();
		need(mach_port_move_member(self, ports[i], set), "a member");
		need(msg_send_plain(ports[i], ID_FLOOD), "a message");
	}
	for (unsigned i = 0; i < PORTS; i += 2)
		need(mach_port_move_member(self, ports[i], MACH_PORT_NULL), "no member");
	is((uint64_t)msg_receive_plain(ports[0]), ID_FLOOD, "who left keeps its message");
	port_free(set);
	is((uint64_t)msg_receive_plain(ports[1]), ID_FLOOD, "who was left keeps it too");
	for (unsigned i = 0; i < PORTS; i++)
		port_free(ports[i]);
	port_free(port);
}

static kern_return_t throttle_call(void *argument)
{
	(void)argument;
	return port_set_throttle(self, set, 1, 10);
}

static void throttle_undo(void *argument)
{
	(void)argument;
	port_free(set);
	set = port_new_set();
}

/* The first target takes a page. */
static void denied(void)
{
	struct denial_case denial = {
		.what = "port_set_throttle", .call = throttle_call, .undo = throttle_undo, .ledger = test_ledger(),
	};

	set = port_new_set();
	ok(for_each_denial(&denial) > 0, "a set's queues can be denied");
	port_free(set);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	arguments();
	one_at_a_time();
	two_at_a_time();
	sleepers_count_not();
	suspended_count_not();
	only_delayed();
	left_behind();
	polls();
	stalls();
	senders_wait();
	ends();
	moves();
	for (unsigned how = 0; how < 8; how++)
		ledgers_in_turn(how & 1, how & 2, how & 4);
	leave_and_die();
	denied();
	return done_testing();
}
