/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A caller's generated stub keeps nothing of a reply that it does not take: rights and memory of one with a wrong id, with a
 * wrong type, with a right in the head, received only in part, and of a request that came back unsent.
 * RUN: in root stub_test
 */
#include <mach.h>
#include <mach/mig_errors.h>
#include <mach/notify.h>
#include <mach/threads.h>
#include <slow_user.h>
#include <weir/weir.h>
#include "denial.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define REGION		8192
#define DENIALS_MOST	100

/* What the server's reply has in its head, in its body, and what it says. */
enum { HEAD = 1, BODY = 2, WRONG_ID = 4, DIED = 8, FAILED = 16, STOP = 32 };

static mach_port_t server, target;
static unsigned what;
static vm_address_t region;

static void put_code(struct msg *m, kern_return_t code)
{
	int32_t words[2] = { code, 0 };
	mach_msg_type_t *type = msg_add_data(m, words, sizeof words);

	*type = (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 };
}

static void answer(struct msg *m, const struct msg *request)
{
	mach_port_t three[3] = { target, target, target };
	int id = what & DIED ? MACH_NOTIFY_SEND_ONCE : request->head.msgh_id + 100 + ((what & WRONG_ID) != 0);

	msg_begin(m, MOVE_ONCE, request->head.msgh_remote_port, what & HEAD ? MAKE_ONCE : 0,
		  what & HEAD ? target : MACH_PORT_NULL, id);
	put_code(m, what & FAILED ? KERN_FAILURE : KERN_SUCCESS);
	if (!(what & BODY))
		return;
	msg_add_port(m, MAKE_ONCE, target);
	msg_add_region(m, (void *)region, REGION, false);
	msg_add_array(m, MAKE_ONCE, three, 3, false);
	msg_add_ports(m, MAKE_ONCE, three, 2);
}

static void serve(void *argument)
{
	static struct msg request, reply;

	(void)argument;
	do {
		need(msg_receive(&request, server, 0, 0), "a request");
		answer(&reply, &request);
		need(msg_send(&reply, MACH_SEND_TIMEOUT, 0), "a reply");
	} while (!(what & STOP));
}

/* Any stub with room for the reply. */
static kern_return_t ask(void)
{
	integer_t info[TASK_INFO_MAX];
	mach_msg_type_number_t count = TASK_INFO_MAX;

	return task_info(server, TASK_BASIC_INFO, info, &count);
}

/* The rights that were destroyed have sent their notifications. */
static unsigned take_notifications(void)
{
	unsigned n = 0;

	while (msg_receive_plain(target) == MACH_NOTIFY_SEND_ONCE)
		n++;
	return n;
}

static void nothing_left(const struct snapshot *before, unsigned rights, const char *claim)
{
	is(take_notifications(), rights, "%s: each right that came was destroyed", claim);
	is(port_status(target).mps_sorights, 0, "%s: no right is left", claim);
	snapshot_settles(before, SNAPSHOT_THINGS, "%s: nor a name, nor memory", claim);
}

static void refused(unsigned reply, kern_return_t code, const char *claim)
{
	struct snapshot before;

	snapshot_take_quiet(&before, test_ledger());
	what = reply;
	is_code(ask(), code, "%s", claim);
	nothing_left(&before, (reply & HEAD ? 1 : 0) + (reply & BODY ? 6 : 0), claim);
}

/* Each allocation of the receive in turn is denied, so that the message is received in part. */
static void in_part(void)
{
	struct snapshot before;
	unsigned parts = 0, nth = 1;
	bool struck = true;
	kern_return_t code;
	char site[WEIR_SITE_MAX];

	what = BODY;
	for (; struck && nth < DENIALS_MOST; nth++) {
		snapshot_take_quiet(&before, test_ledger());
		deny_next(nth);
		code = ask();
		struck = deny_struck(site);
		parts += (code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR;
		take_notifications();
		is(port_status(target).mps_sorights, 0, "allocation %u denied (%s): no right is left", nth,
		   struck ? site : "none");
		snapshot_settles(&before, SNAPSHOT_THINGS, "allocation %u denied: nor a name, nor memory", nth);
	}
	ok(!struck && code == MIG_TYPE_ERROR, "all allocations of the receive were denied in turn");
	ok(parts > 1, "replies were received in part (%u)", parts);
}

static void came_back(void)
{
	mach_port_t full = port_new_send();
	struct snapshot before;

	need(mach_port_set_qlimit(mach_task_self(), full, 1), "a queue for one message");
	need(msg_send_plain(full, 1), "that message");
	snapshot_take_quiet(&before, test_ledger());
	is_code(slow_sleep(full, 0, 0, MACH_SEND_TIMEOUT), MACH_SEND_TIMED_OUT, "a request for which there is no room comes back");
	is(port_refs(full, MACH_PORT_RIGHT_SEND), 1, "the right to its server is not there twice");
	snapshot_settles(&before, SNAPSHOT_THINGS, "and that for its reply not at all");
	port_free(full);
}

int main(int argc, char **argv)
{
	struct thread *thread;

	test_begin(argc, argv, 60);
	server = port_new_send();
	target = port_new_send();
	need(mach_port_set_qlimit(mach_task_self(), target, MACH_PORT_QLIMIT_MAX), "a longer queue");
	need(vm_allocate(mach_task_self(), &region, REGION, TRUE), "memory");
	need(thread_spawn(serve, NULL, 0, &thread), "a server");
	refused(WRONG_ID | HEAD | BODY, MIG_REPLY_MISMATCH, "a reply of another call");
	refused(DIED | HEAD | BODY, MIG_SERVER_DIED, "a notification with rights");
	refused(HEAD | BODY, MIG_TYPE_ERROR, "a reply of other types");
	refused(HEAD | FAILED, MIG_TYPE_ERROR, "a failure with a right in its head");
	refused(BODY | FAILED, MIG_TYPE_ERROR, "a failure with more than its code");
	in_part();
	came_back();
	what = STOP;
	ask();
	thread_join(thread);
	need(vm_deallocate(mach_task_self(), region, REGION), "its end");
	port_free(server);
	port_free(target);
	return done_testing();
}
