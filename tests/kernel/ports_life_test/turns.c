/* SPDX-License-Identifier: BSD-2-Clause */
/* A server of one thread serves ledgers in turn too. */
#include "ports_life.h"
#include <ledger_user.h>
#include <mach.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PORTS	20u

static kern_return_t give_send(struct child *child, void *argument)
{
	mach_port_t port = *(mach_port_t *)argument;

	return mach_port_insert_right(child->task, port, port, MACH_MSG_TYPE_COPY_SEND);
}

static void guest(void *argument)
{
	msg_call_answer(*(mach_port_t *)argument, ID_MARK);
}

void test_turns(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "guest");
	struct thing *things[PORTS], *last;
	struct child child;
	mach_port_t port;

	server_start(true);
	last = thing_new();
	port = last->port.receive;
	is_code(msg_call_answer(port, ID_QUICK), ANSWER, "a server of one thread serves");
	ok(thread_await_waiting(manager->port, PATIENCE_MS), "its thread listens");
	need(thread_suspend(manager->port), "suspension");
	for (unsigned i = 0; i < PORTS; i++) {
		things[i] = thing_new();
		need(msg_send_plain(things[i]->port.receive, ID_QUICK), "a request");
	}
	handled = marked = 0;
	need(child_start(&child, guest, &port, &(struct child_options){ .ledger = ledger, .before = give_send }),
	     "a guest");
	ok(thread_await_waiting(child.thread, PATIENCE_MS), "another ledger's request comes behind twenty ports'");
	need(thread_resume(manager->port), "resumption");
	ok(child_wait(&child, PATIENCE_MS), "it is answered");
	child_finish(&child);
	is_between(marked, 1, 3, "it is among the first three");
	for (unsigned i = 0; i < PORTS; i++)
		thing_end(things[i]);
	thing_end(last);
	server_end();
	ledger_drop(ledger);
}
