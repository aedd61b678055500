/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler: priorities inside a ledger, shares between ledgers, the CPU handed over.
 * RUN: in root sched_test
 * BOOT: icount=1
 * LIMIT: 120
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/task_info.h>
#include <mach/thread_switch.h>
#include <mach/threads.h>
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define MEASURE_MS	1000

static uint64_t thread_cpu_ns(thread_t thread)
{
	struct thread_basic_info info;
	mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;

	need(thread_info(thread, THREAD_BASIC_INFO, (integer_t *)&info, &count), "thread_info");
	return (uint64_t)info.user_time64.seconds * 1000000000 + (uint64_t)info.user_time64.nanoseconds;
}

/* Not by pause, at which an emulator that counts instructions stops each time. */
static void spin(void *argument)
{
	(void)argument;
	for (;;)
		__asm__ volatile(".rept 500; nop; .endr");
}

/* Spins as wide as it may: children that spin. */
static void spin_bomb(void *argument)
{
	task_t child;

	(void)argument;
	for (;;) {
		struct child made;

		if (child_start(&made, spin, NULL, NULL) != KERN_SUCCESS)
			break;
		child = made.task;
		(void)child;
	}
	spin(NULL);
}

static ledger_t root;

static ledger_t user_ledger(const char *name)
{
	ledger_t ledger;

	need(ledger_create(root, name, &ledger), "a ledger below the root");
	return ledger;
}

static void end_ledger(ledger_t ledger)
{
	ledger_drop(ledger);
}

/* What part of the time these threads had, in percent, measured while the test sleeps. */
static void measure(const struct child *children, unsigned n, unsigned percent[])
{
	uint64_t before[16], start, took;

	thread_sleep(100);
	start = clock_uptime_ns();
	for (unsigned i = 0; i < n; i++)
		before[i] = thread_cpu_ns(children[i].thread);
	thread_sleep(MEASURE_MS);
	took = clock_uptime_ns() - start;
	for (unsigned i = 0; i < n; i++)
		percent[i] = (unsigned)((thread_cpu_ns(children[i].thread) - before[i]) * 100 / took);
}

static void start_in(struct child *child, ledger_t ledger, void (*function)(void *))
{
	struct child_options options = { .ledger = ledger };

	need(child_start(child, function, NULL, &options), "a child");
}

static void test_equal_shares(void)
{
	ledger_t a = user_ledger("sched a"), b = user_ledger("sched b");
	struct child children[4];
	unsigned percent[4];

	start_in(&children[0], a, spin);
	for (unsigned i = 1; i < 4; i++)
		start_in(&children[i], b, spin);
	/* Once more when the host was busy in one's time. */
	for (unsigned tries = 0; tries < 3; tries++) {
		measure(children, 4, percent);
		if (percent[0] >= 47 && percent[0] <= 53 && percent[1] >= 14 && percent[1] <= 19 && percent[3] >= 14 && percent[3] <= 19)
			break;
	}
	is_between(percent[0], 47, 53, "one spinning task has half the CPU beside three of another ledger");
	is_between(percent[1] + percent[2] + percent[3], 45, 53, "the three have the other half");
	is_between(percent[1], 14, 19, "which is divided evenly (first)");
	is_between(percent[3], 14, 19, "which is divided evenly (last)");
	for (unsigned i = 0; i < 4; i++)
		child_finish(&children[i]);
	end_ledger(a);
	end_ledger(b);
}

static void test_weights(void)
{
	ledger_t a = user_ledger("sched a"), b = user_ledger("sched b");
	struct child children[2];
	natural_t id, parent, subs, tasks, weight = 0;
	ledger_label_t name;
	unsigned percent[2];

	need(ledger_info(a, &id, &parent, name, &subs, &tasks, &weight), "ledger_info");
	is_code(ledger_set_weight(b, (int)weight), KERN_SUCCESS, "the weight that a ledger has can be set on its sister (%u)",
		weight);
	start_in(&children[0], a, spin);
	start_in(&children[1], b, spin);
	measure(children, 2, percent);
	is_between(percent[0], 47, 53, "equal weights, equal shares");
	is_code(ledger_set_weight(a, 10), KERN_SUCCESS, "a weight of 10");
	is_code(ledger_set_weight(b, 30), KERN_SUCCESS, "and one of 30");
	measure(children, 2, percent);
	is_between(percent[1], 72, 78, "three times the weight, three times the share");
	is_code(ledger_set_weight(a, 0), KERN_INVALID_ARGUMENT, "a weight of 0 is refused");
	for (unsigned i = 0; i < 2; i++)
		child_finish(&children[i]);
	end_ledger(a);
	end_ledger(b);
}

/* The promise: a bystander keeps at least 40 % beside a bomb of spinning forks. */
static void test_fork_bomb(void)
{
	ledger_t bomb = user_ledger("sched bomb"), quiet = user_ledger("bystander");
	struct child bystander, bomber;
	ledger_usage_t usage;
	unsigned percent;
	uint64_t start = clock_uptime_ns();

	need(ledger_set_limit(bomb, LEDGER_TASKS, 60), "a limit on tasks");
	start_in(&bomber, bomb, spin_bomb);
	/* Until the bomb has gone off. */
	do {
		thread_sleep(10);
		need(ledger_get_usage(bomb, LEDGER_TASKS, &usage), "usage");
	} while (usage.denials == 0 && clock_uptime_ns() - start < 30000000000ull);
	is(usage.used, 60, "the bomb has as many spinning tasks as it may");
	start_in(&bystander, quiet, spin);
	measure(&bystander, 1, &percent);
	is_between(percent, 40, 100, "a bystander in another ledger keeps at least 40 %% of the CPU");
	child_finish(&bystander);
	end_ledger(bomb);
	ok(child_wait(&bomber, 10000), "the bomb ends with its ledger");
	child_finish(&bomber);
	end_ledger(quiet);
}

static void test_priorities(void)
{
	ledger_t ledger = user_ledger("sched a"), other = user_ledger("sched b");
	struct child children[3];
	unsigned percent[3];

	start_in(&children[0], ledger, spin);
	start_in(&children[1], ledger, spin);
	start_in(&children[2], other, spin);
	is_code(thread_priority(children[1].thread, 40, FALSE), KERN_SUCCESS, "one of two is made less urgent");
	measure(children, 3, percent);
	is_between(percent[0], 47, 53, "the more urgent has the whole share of their ledger");
	is_between(percent[1], 0, 0, "the less urgent has nothing of it");
	is_between(percent[2], 47, 53, "another ledger's share does not depend on priorities");
	is_code(task_suspend(children[0].task), KERN_SUCCESS, "the more urgent is suspended");
	measure(children, 3, percent);
	is_between(percent[0], 0, 0, "then it has nothing");
	is_between(percent[1], 47, 53, "and the less urgent has the share");
	for (unsigned i = 0; i < 3; i++)
		child_finish(&children[i]);
	end_ledger(ledger);
	end_ledger(other);
}

/* --- the CPU handed over --- */

static volatile uint32_t turn, turns_of[2];
static thread_t player[2];

static void play(void *argument)
{
	uint32_t me = *(const uint32_t *)argument;

	while (turn < 200) {
		if (turn % 2 == me) {
			turns_of[me]++;
			turn++;
		}
		thread_switch(player[1 - me], SWITCH_OPTION_NONE, 0);
	}
}

static void test_handoff(void)
{
	static const uint32_t numbers[2] = { 0, 1 };
	struct thread *threads[2];
	uint64_t start, least = UINT64_MAX;

	/* The least of some times: the host may be busy. */
	for (unsigned tries = 0; tries < 5 && least > 20; tries++) {
		turn = turns_of[0] = turns_of[1] = 0;
		for (unsigned i = 0; i < 2; i++) {
			need(thread_spawn(play, (void *)(uintptr_t)&numbers[i], 0, &threads[i]), "a thread");
			player[i] = threads[i]->port;
		}
		start = clock_uptime_ns();
		for (unsigned i = 0; i < 2; i++)
			thread_join(threads[i]);
		if ((clock_uptime_ns() - start) / 1000000 < least)
			least = (clock_uptime_ns() - start) / 1000000;
	}
	is(turns_of[0], 100, "two threads that hand the CPU over take turns (first)");
	is(turns_of[1], 100, "two threads that hand the CPU over take turns (second)");
	is_between(least, 0, 20, "200 turns need no 200 ticks, in ms");
}

/* A server of another ledger answers on the caller's time: many calls beside a spinner of the server's ledger. */
struct echo {
	uint32_t ready;
	mach_port_t port;
};

#define SERVICE_NAME	0x5151

struct echo_message {
	mach_msg_header_t head;
	char room[32];
};

static void echo_server(void *argument)
{
	struct echo_message message;
	struct echo *echo = argument;

	word_post(&echo->ready, 1);
	mach_msg(&message.head, MACH_RCV_MSG, 0, sizeof message, SERVICE_NAME, 0, MACH_PORT_NULL);
	for (;;) {
		message.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
		message.head.msgh_local_slot = 0;
		mach_msg(&message.head, MACH_SEND_MSG | MACH_RCV_MSG, sizeof message.head, sizeof message,
			 SERVICE_NAME, 0, MACH_PORT_NULL);
	}
}

static mach_port_t service;

static kern_return_t give_receive(struct child *child, void *argument)
{
	(void)argument;
	return mach_port_insert_right(child->task, SERVICE_NAME, service, MACH_MSG_TYPE_MOVE_RECEIVE);
}

static void test_handoff_rpc(void)
{
	ledger_t ledger = user_ledger("sched server");
	struct echo *echo = shared_alloc(vm_page_size);
	struct child_options options = { .ledger = ledger, .before = give_receive };
	struct child server, spinner;
	mach_port_t reply = mig_get_reply_port();
	uint64_t start, worst = 0, calls = 0;
	mach_msg_return_t code = MACH_MSG_SUCCESS;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &service), "a port");
	need(mach_port_insert_right(mach_task_self(), service, service, MACH_MSG_TYPE_MAKE_SEND), "a right");
	need(child_start(&server, echo_server, echo, &options), "a server");
	ok(word_await(&echo->ready, 1, 5000) && thread_await_waiting(server.thread, 5000), "a server waits for calls");
	start_in(&spinner, ledger, spin);
	start = clock_uptime_ns();
	while (code == MACH_MSG_SUCCESS && calls < 300 && clock_uptime_ns() - start < 20000000000ull) {
		struct echo_message message = { .head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
			.msgh_size = sizeof message.head, .msgh_remote_slot = service, .msgh_local_slot = reply,
		} };
		uint64_t before = clock_uptime_ns();

		code = mach_msg(&message.head, MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT,
				sizeof message.head, sizeof message, reply, 5000, MACH_PORT_NULL);
		if (clock_uptime_ns() - before > worst)
			worst = clock_uptime_ns() - before;
		calls++;
	}
	is_code(code, MACH_MSG_SUCCESS, "each of %u calls is answered", (unsigned)calls);
	is(calls, 300, "all calls are made in the time");
	is_between((clock_uptime_ns() - start) / 1000000, 0, 300,
		   "the calls run on the caller's time, not in the queue behind the server's spinning sister, in ms");
	diag("300 calls in %u ms, the worst %u us", (unsigned)((clock_uptime_ns() - start) / 1000000),
	     (unsigned)(worst / 1000));
	child_finish(&server);
	child_finish(&spinner);
	give_back_right(service);
	end_ledger(ledger);
	shared_free(echo, vm_page_size);
}

/* What the threads know of others: swtch, and the part of the time that one has had. */
static void test_swtch(void)
{
	struct child spinner;
	struct thread_basic_info info;
	mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;
	unsigned alone = 0, told = 0;

	for (unsigned i = 0; i < 100 && alone == 0; i++)
		alone += !swtch();
	ok(alone > 0, "swtch is FALSE when no other thread wants to run");
	need(child_start(&spinner, spin, NULL, NULL), "a child that spins");
	for (unsigned i = 0; i < 100; i++)
		told += swtch() == TRUE;
	is(told, 100, "and TRUE when one does");
	is(swtch_pri(0), TRUE, "so is swtch_pri");
	thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, 200);
	need(thread_info(spinner.thread, THREAD_BASIC_INFO, (thread_info_t)&info, &count), "thread_info");
	is_between((uint64_t)info.cpu_usage, TH_USAGE_SCALE / 4, TH_USAGE_SCALE, "a thread that spins has used much of the time");
	child_finish(&spinner);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 120);
	need(ledger_root(test_host_priv(), &root), "the root ledger");
	test_swtch();
	test_equal_shares();
	test_weights();
	test_fork_bomb();
	test_priorities();
	test_handoff();
	test_handoff_rpc();
	give_back_right(root);
	return done_testing();
}
