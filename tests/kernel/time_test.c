/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: the host's clocks, and how well the time-outs of waits keep theirs.
 * RUN: in root time_test
 * BOOT: icount=1
 */
#include <mach.h>
#include <mach/threads.h>
#include <mach/thread_switch.h>
#include "child.h"
#include "snapshot.h"
#include "tap.h"

/* A wait may last longer than asked for by a tick or two; time passes by instructions here, whatever the host does. */
#define LATE_MS		3

static host_t host;

static uint64_t elapsed_us(uint64_t since_us)
{
	return clock_uptime_us() - since_us;
}

static void test_host_time(void)
{
	time_value64_t wide, later;
	time_value_t narrow;

	is_code(host_get_time64(host, &wide), KERN_SUCCESS, "host_get_time64 works");
	is_code(host_get_time(host, &narrow), KERN_SUCCESS, "host_get_time works");
	/* 2000-01-01 .. 2100-01-01: the machine has a clock that is set. */
	is_between((uint64_t)wide.seconds, 946684800, 4102444800, "the time of day is of this century");
	is_between((uint64_t)narrow.seconds, (uint64_t)wide.seconds, (uint64_t)wide.seconds + 2,
		   "both forms of the time agree");
	ok(narrow.microseconds >= 0 && narrow.microseconds < 1000000,
	   "microseconds are less than a second");
	ok(wide.nanoseconds >= 0 && wide.nanoseconds < 1000000000, "nanoseconds are less than a second");
	for (int i = 0; i < 1000; i++) {
		need(host_get_time64(host, &later), "the time");
		if (later.seconds < wide.seconds ||
		    (later.seconds == wide.seconds && later.nanoseconds < wide.nanoseconds))
			break;
		wide = later;
	}
	ok(later.seconds == wide.seconds && later.nanoseconds == wide.nanoseconds,
	   "the time of day does not go back");
	is_code(host_get_time64(mach_task_self(), &wide), KERN_INVALID_HOST,
		"a task's port is no host for host_get_time64");
}

static void test_set_time(void)
{
	time_value64_t before, target, after;
	uint64_t start = clock_uptime_us(), passed;

	need(host_get_time64(host, &before), "the time");
	target = (time_value64_t){ .seconds = before.seconds + 1000, .nanoseconds = 0 };
	is_code(host_set_time64(test_host_priv(), target), KERN_SUCCESS, "the clock can be set");
	need(host_get_time64(host, &after), "the time");
	is_between((uint64_t)after.seconds, (uint64_t)before.seconds + 1000,
		   (uint64_t)before.seconds + 1002, "the clock goes on from what was set");
	is_code(host_set_time64(host, target), KERN_INVALID_HOST,
		"the unprivileged host port does not set the clock");
	target.nanoseconds = 1000000000;
	is_code(host_set_time64(test_host_priv(), target), KERN_INVALID_ARGUMENT,
		"a time with too many nanoseconds is refused");
	is_between(elapsed_us(start), 0, 1000000, "setting the clock does not move the uptime");
	passed = elapsed_us(start) / 1000000;
	before.seconds += (int64_t)passed;
	is_code(host_set_time64(test_host_priv(), before), KERN_SUCCESS, "the clock can be set back");
}

static void test_uptime(void)
{
	uint64_t last = clock_uptime_ns(), now, steps = 0;
	time_value64_t uptime;

	is_code(host_get_uptime64(host, &uptime), KERN_SUCCESS, "host_get_uptime64 works");
	is_between((uint64_t)uptime.seconds, 0, 86400, "the uptime counts from boot");
	for (int i = 0; i < 2000; i++) {
		now = clock_uptime_ns();
		if (now < last)
			break;
		steps += now > last;
		last = now;
	}
	ok(now >= last, "the uptime does not go back");
	ok(steps > 100, "the uptime is finer than the clock's tick (%u of 2000 differ)", (unsigned)steps);
}

/* Receives from an empty port with a time-out; how long that took, in ms. */
static uint64_t receive_for(mach_port_t port, unsigned timeout_ms, mach_msg_return_t *code)
{
	mach_msg_header_t head;
	uint64_t start = clock_uptime_us();

	*code = mach_msg(&head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof head, port, timeout_ms,
			 MACH_PORT_NULL);
	return elapsed_us(start);
}

static void test_receive_timeouts(void)
{
	static const unsigned times_ms[] = { 0, 1, 2, 5, 10, 15, 30, 100, 250 };
	mach_port_t port;
	mach_msg_return_t code;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	for (unsigned i = 0; i < countof(times_ms); i++) {
		uint64_t took = receive_for(port, times_ms[i], &code);

		is_code(code, MACH_RCV_TIMED_OUT, "a receive of at most %u ms times out", times_ms[i]);
		is_between(took, times_ms[i] * 1000ull, (times_ms[i] + LATE_MS) * 1000ull,
			   "it takes %u ms, in microseconds", times_ms[i]);
	}
	mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static void test_send_timeout(void)
{
	mach_msg_header_t head;
	mach_port_t port;
	mach_msg_return_t code = MACH_MSG_SUCCESS;
	unsigned sent = 0;
	uint64_t start;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	while (sent < 100 && code == MACH_MSG_SUCCESS) {
		head = (mach_msg_header_t){
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0),
			.msgh_size = sizeof head,
			.msgh_remote_slot = port,
		};
		start = clock_uptime_us();
		code = mach_msg(&head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof head, 0,
				MACH_PORT_NULL, 50, MACH_PORT_NULL);
		sent += code == MACH_MSG_SUCCESS;
	}
	is(sent, MACH_PORT_QLIMIT_DEFAULT, "a port takes as many messages as its limit");
	is_code(code, MACH_SEND_TIMED_OUT, "the next send times out");
	is(head.msgh_remote_port, port, "the right that a timed-out message had made is the sender's now");
	give_back_right(head.msgh_remote_port);
	is_between(elapsed_us(start), 50000, (50 + LATE_MS) * 1000, "it takes 50 ms, in microseconds");
	mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static void test_switch_timeouts(void)
{
	static const unsigned times_ms[] = { 1, 10, 50 };

	for (unsigned i = 0; i < countof(times_ms); i++) {
		uint64_t start = clock_uptime_us();

		is_code(thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, times_ms[i]), KERN_SUCCESS,
			"thread_switch waits");
		is_between(elapsed_us(start), times_ms[i] * 1000ull, (times_ms[i] + LATE_MS) * 1000ull,
			   "it takes %u ms, in microseconds", times_ms[i]);
	}
}

static uint32_t order[3], arrived;

static void sleeper(void *argument)
{
	unsigned ms = *(const unsigned *)argument;

	thread_sleep(ms);
	order[__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST)] = ms;
}

static void test_order(void)
{
	static const unsigned times_ms[3] = { 300, 100, 200 };
	struct thread *threads[3];

	for (unsigned i = 0; i < 3; i++)
		need(thread_spawn(sleeper, (void *)(uintptr_t)&times_ms[i], 0, &threads[i]), "a thread");
	for (unsigned i = 0; i < 3; i++)
		thread_join(threads[i]);
	ok(order[0] == 100 && order[1] == 200 && order[2] == 300,
	   "waits end in the order of their times, not of their beginnings");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	host = mach_host_self();
	test_host_time();
	test_set_time();
	test_uptime();
	test_receive_timeouts();
	test_send_timeout();
	test_switch_timeouts();
	test_order();
	give_back_right(host);
	return done_testing();
}
