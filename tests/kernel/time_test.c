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

/* A wait may last longer than asked for by a tick or two. Time passes by instructions here, but a busy host can still make one wait
   late: so each has some tries to keep its time. None may be early. */
#define LATE_MS		3
#define TRIES		4

static host_t host;
static mach_port_t port;		/* what is received from, and sent to */
static mach_msg_return_t last_code;	/* of the last wait */

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

/* One wait of so many ms; how long it took. */
typedef uint64_t wait_us(unsigned ms);

static void keeps_time(wait_us *wait, unsigned ms, int code, const char *what)
{
	uint64_t took = wait(ms);

	for (unsigned i = 1; i < TRIES && took > (ms + LATE_MS) * 1000ull; i++)
		took = wait(ms);
	is_code(last_code, code, "%s of %u ms ends", what, ms);
	is_between(took, ms * 1000ull, (ms + LATE_MS) * 1000ull, "it takes %u ms, in microseconds", ms);
}

static uint64_t receive_us(unsigned ms)
{
	mach_msg_header_t head;
	uint64_t start = clock_uptime_us();

	last_code = mach_msg(&head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof head, port, ms, MACH_PORT_NULL);
	return elapsed_us(start);
}

static void test_receive_timeouts(void)
{
	static const unsigned times_ms[] = { 0, 1, 2, 5, 10, 15, 30, 100, 250 };

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	for (unsigned i = 0; i < countof(times_ms); i++)
		keeps_time(receive_us, times_ms[i], MACH_RCV_TIMED_OUT, "a receive from an empty port");
	mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static mach_msg_header_t sent;

static uint64_t send_us(unsigned ms)
{
	uint64_t start = clock_uptime_us(), took;

	sent = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0), .msgh_size = sizeof sent, .msgh_remote_slot = port,
	};
	last_code = mach_msg(&sent, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof sent, 0, MACH_PORT_NULL, ms, MACH_PORT_NULL);
	took = elapsed_us(start);
	if (last_code == MACH_SEND_TIMED_OUT)
		give_back_right(sent.msgh_remote_port);
	return took;
}

static void test_send_timeout(void)
{
	unsigned count = 0;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	for (send_us(0); last_code == MACH_MSG_SUCCESS && count < 100; send_us(0))
		count++;
	is(count, MACH_PORT_QLIMIT_DEFAULT, "a port takes as many messages as its limit");
	keeps_time(send_us, 50, MACH_SEND_TIMED_OUT, "a send to a full port");
	is(sent.msgh_remote_port, port, "the right that a timed-out message had made is the sender's now");
	mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static uint64_t switch_us(unsigned ms)
{
	uint64_t start = clock_uptime_us();

	last_code = thread_switch(MACH_PORT_NULL, SWITCH_OPTION_WAIT, ms);
	return elapsed_us(start);
}

static void test_switch_timeouts(void)
{
	static const unsigned times_ms[] = { 1, 10, 50 };

	for (unsigned i = 0; i < countof(times_ms); i++)
		keeps_time(switch_us, times_ms[i], KERN_SUCCESS, "a wait by thread_switch");
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
