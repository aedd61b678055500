/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A ledger's two ports: what the holder of its name may do and what only the holder of its
 * control right; marks are told by a message; weights divide the CPU.
 * RUN: in root ledger_port_test
 * BOOT: icount=1
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define LIGHT		100
#define HEAVY		300
#define SPIN_MS		600

static ledger_t own_end_ledger;

static void task_end(task_t task)
{
	task_terminate(task);
	give_back_right(task);
}

/* --- rights --- */

static void test_whose_right(ledger_t control, task_t task, ledger_name_t name)
{
	mach_port_t right, host = mach_host_self();

	ok(name != control, "a task is given another right to its ledger than its maker");
	need(task_get_ledger(task, &right), "task_get_ledger");
	is(right, name, "it is the same one each time");
	give_back_right(right);
	is_code(task_get_ledger_control(test_host_priv(), task, &right), KERN_SUCCESS,
		"with the privileged host port the control right can be had");
	is(right, control, "it is the one that ledger_create gave");
	give_back_right(right);
	is_code(task_get_ledger_control(host, task, &right), KERN_INVALID_HOST, "not with the host's name port");
	is_code(task_get_ledger_control(test_host_priv(), host, &right), KERN_INVALID_ARGUMENT,
		"nor of what is no task");
	is_code(task_get_ledger(host, &right), KERN_INVALID_ARGUMENT, "what is no task has no ledger");
	give_back_right(host);
}

static void test_refused(ledger_t control, ledger_name_t name)
{
	mach_port_t port = port_new(), once = port_new_once(port);
	struct ledger_usage before = usage_of(control, LEDGER_PORTS), after;
	mach_msg_type_number_t count = 0;
	ledger_array_t children = NULL;

	is_code(ledger_set_limit(name, LEDGER_PORTS, LEDGER_UNLIMITED), KERN_INVALID_ARGUMENT,
		"the name right does not set limits");
	is_code(ledger_set_guarantee(name, LEDGER_PORTS, 1), KERN_INVALID_ARGUMENT, "nor guarantees");
	is_code(ledger_set_weight(name, 200), KERN_INVALID_ARGUMENT, "nor the weight");
	is_code(ledger_children(name, &children, &count), KERN_INVALID_ARGUMENT, "it does not list the children");
	is_code(ledger_notify_at(name, LEDGER_PORTS, 1000, once), KERN_INVALID_ARGUMENT, "it sets no mark");
	is((uint64_t)message_await(port, 1000), MACH_NOTIFY_SEND_ONCE, "the right in that call is given up");
	is_code(ledger_terminate(name), KERN_INVALID_ARGUMENT, "it does not end the ledger");
	after = usage_of(control, LEDGER_PORTS);
	ok(after.limit == before.limit && after.guarantee == before.guarantee && after.used == before.used,
	   "all this has changed nothing");
	port_free(port);
}

static void test_allowed(ledger_t control, ledger_name_t name)
{
	ledger_all_usage_t all, same;
	natural_t id, parent, children, tasks, weight;
	ledger_label_t label;
	task_t task;

	is_code(ledger_info(name, &id, &parent, label, &children, &tasks, &weight), KERN_SUCCESS,
		"the name right tells about the ledger");
	is_text(label, "house", "its name");
	is(tasks, 1, "and how many tasks there are");
	is_code(ledger_get_all_usage(name, (uint64_t *)all), KERN_SUCCESS, "it tells all usage");
	need(ledger_get_all_usage(control, (uint64_t *)same), "all usage");
	is(all[LEDGER_KMEM].used, same[LEDGER_KMEM].used, "the same as the control right does");
	is(usage_of(name, LEDGER_PORTS).limit, usage_of(control, LEDGER_PORTS).limit, "limits too");
	is_code(task_create_in_ledger(mach_task_self(), name, FALSE, &task), KERN_SUCCESS,
		"tasks may be made in a ledger by its name right");
	is(usage_of(control, LEDGER_TASKS).used, 2, "which pays for them");
	task_end(task);
}

/* What a child may take is within what its parent may. */
static void test_child_of_name(ledger_t control, ledger_name_t name)
{
	struct ledger_denial denial = { 0 };
	ledger_t child = ledger_new(name, "attic");
	mach_port_name_t port;
	kern_return_t code = KERN_SUCCESS;
	task_t task;
	unsigned made = 0;

	is_code(ledger_set_limit(child, LEDGER_PORTS, LEDGER_UNLIMITED), KERN_SUCCESS,
		"whoever makes a child by the name right controls the child");
	need(task_create_in_ledger(mach_task_self(), child, FALSE, &task), "a task in it");
	need(ledger_set_limit(control, LEDGER_PORTS, usage_of(control, LEDGER_PORTS).used + 5), "a limit above");
	while (made < 100 && code == KERN_SUCCESS) {
		code = mach_port_allocate(task, MACH_PORT_RIGHT_RECEIVE, &port);
		made += code == KERN_SUCCESS;
	}
	is(made, 5, "the child's tasks stay within the limit of the ledger above");
	is_code(code, KERN_RESOURCE_SHORTAGE, "then they are denied");
	need(ledger_last_denial(test_thread(), &denial), "the denial");
	is_text(denial.ledger, "house", "by the ledger above");
	is_code(ledger_set_guarantee(child, LEDGER_PORTS, 1000), KERN_RESOURCE_SHORTAGE,
		"a guarantee for the child beyond the limit above is denied");
	need(ledger_set_limit(control, LEDGER_PORTS, LEDGER_UNLIMITED), "no limit");
	task_end(task);
	ledger_drop(child);
}

static void test_rights(void)
{
	ledger_t control = ledger_new(test_ledger(), "house");
	ledger_name_t name;
	task_t task;

	need(child_empty(&task, control), "a task in the ledger");
	is_code(task_get_ledger(task, &name), KERN_SUCCESS, "task_get_ledger works");
	test_whose_right(control, task, name);
	test_refused(control, name);
	test_allowed(control, name);
	test_child_of_name(control, name);
	ledger_drop(control);
	ok(port_type(name) == MACH_PORT_TYPE_DEAD_NAME, "with the ledger its name port dies");
	give_back_right(task);
	is_code(task_create_in_ledger(mach_task_self(), name, FALSE, &task), KERN_INVALID_ARGUMENT,
		"a dead name is no ledger for a task");
	give_back_right(name);
}

/* The whole way, from inside: a task that would lift its own limit. */
struct prisoner {
	uint32_t done;
	kern_return_t got, set, end, control, below;
	unsigned made;
};

static void child_prisoner(void *argument)
{
	struct prisoner *prisoner = argument;
	mach_port_t host = mach_host_self();
	ledger_name_t own = MACH_PORT_NULL;
	mach_port_name_t port;
	ledger_t ledger;

	prisoner->got = task_get_ledger(mach_task_self(), &own);
	prisoner->set = ledger_set_limit(own, LEDGER_PORTS, LEDGER_UNLIMITED);
	prisoner->end = ledger_terminate(own);
	prisoner->control = task_get_ledger_control(host, mach_task_self(), &ledger);
	prisoner->below = ledger_create(own, "below", &ledger);
	while (prisoner->made < 100 &&
	       mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port) == KERN_SUCCESS)
		prisoner->made++;
	word_post(&prisoner->done, 1);
}

static void test_prisoner(void)
{
	struct prisoner *prisoner = shared_alloc(vm_page_size);
	struct child_options options = { .ledger = ledger_new(test_ledger(), "prison"), .suspended = true };
	struct child child;

	need(child_start(&child, child_prisoner, prisoner, &options), "a child");
	/* Its reply port, two for the ledger below it, and some. */
	need(ledger_set_limit(options.ledger, LEDGER_PORTS, usage_of(options.ledger, LEDGER_PORTS).used + 10), "a limit");
	need(thread_resume(child.thread), "thread_resume");
	ok(word_await(&prisoner->done, 1, 10000), "a task in a limited ledger tries to get out");
	is_code(prisoner->got, KERN_SUCCESS, "it gets a right to its ledger");
	is_code(prisoner->set, KERN_INVALID_ARGUMENT, "it cannot lift its limit");
	is_code(prisoner->end, KERN_INVALID_ARGUMENT, "nor end its ledger");
	is_code(prisoner->control, KERN_INVALID_HOST, "nor get the control right");
	is_code(prisoner->below, KERN_SUCCESS, "it may make ledgers below its own");
	is_between(prisoner->made, 1, 10, "what it can take is within the limit");
	child_finish(&child);
	ledger_drop(options.ledger);
	shared_free(prisoner, vm_page_size);
}

/* A task ends the ledger that it is in. It is dead before its call is over, and taken apart while its thread is still the
   current one: the kernel needs both a little longer. */
#define OWN_END 77	/* the control right's name in the child */

static void child_end_own(void *argument)
{
	ledger_terminate(OWN_END);
	word_post(argument, 1);
}

static kern_return_t give_control(struct child *child, void *argument)
{
	(void)argument;
	return mach_port_insert_right(child->task, OWN_END, own_end_ledger, MACH_MSG_TYPE_COPY_SEND);
}

static void test_end_own(void)
{
	uint32_t *done = shared_alloc(vm_page_size);
	struct child_options options = { .before = give_control };
	struct child child;
	bool all_end = true;

	for (unsigned i = 0; i < 20; i++) {
		options.ledger = own_end_ledger = ledger_new(test_ledger(), "own end");
		need(child_start(&child, child_end_own, done, &options), "a child");
		all_end &= child_wait(&child, 10000);
		child_finish(&child);
		give_back_right(own_end_ledger);
	}
	ok(all_end && *done == 0, "a task that ends its own ledger ends, and does not return");
	shared_free(done, vm_page_size);
}

/* --- marks --- */

/* The body of ledger_notify_mark: three items with a descriptor each. */
struct mark {
	uint32_t ledger_id, resource;
	uint64_t used;
};

static bool mark_await(mach_port_t port, struct mark *mark)
{
	struct msg m;

	if (msg_receive(&m, port, MACH_RCV_TIMEOUT, 5000) != MACH_MSG_SUCCESS || m.head.msgh_id != LEDGER_NOTIFY_MARK)
		return false;
	mark->ledger_id = (uint32_t)m.words[5];
	mark->resource = (uint32_t)m.words[7];
	mark->used = m.words[9];
	return m.head.msgh_size == 80;
}

static void test_marks(void)
{
	ledger_t control = ledger_new(test_ledger(), "marked");
	natural_t id, parent, children, tasks, weight;
	mach_port_t port = port_new(), other = port_new();
	ledger_label_t label;
	struct mark mark;
	mach_port_name_t name;
	uint64_t used;
	task_t task;

	need(child_empty(&task, control), "a task in the ledger");
	need(ledger_info(control, &id, &parent, label, &children, &tasks, &weight), "ledger_info");
	used = usage_of(control, LEDGER_PORTS).used;
	is_code(ledger_notify_at(control, LEDGER_PORTS, used + 2, port_new_once(port)), KERN_SUCCESS, "a mark can be set");
	need(mach_port_allocate(task, MACH_PORT_RIGHT_RECEIVE, &name), "a port");
	ok(msg_none(port), "below it there is silence");
	need(mach_port_allocate(task, MACH_PORT_RIGHT_RECEIVE, &name), "a port");
	if (ok(mark_await(port, &mark), "what is charged by another task's call reaches it, and the message comes")) {
		is(mark.ledger_id, id, "it names the ledger");
		is(mark.resource, LEDGER_PORTS, "the resource");
		is(mark.used, used + 2, "and what is used");
	}
	need(mach_port_allocate(task, MACH_PORT_RIGHT_RECEIVE, &name), "a port");
	ok(msg_none(port), "no second one comes");
	is_code(ledger_notify_at(control, LEDGER_PORTS, used + 100, port_new_once(port)), KERN_SUCCESS, "a far mark");
	is_code(ledger_notify_at(control, LEDGER_PORTS, used + 200, port_new_once(other)), KERN_SUCCESS, "another instead");
	is((uint64_t)message_await(port, 5000), MACH_NOTIFY_SEND_ONCE, "gives the first one's right up");
	is_code(ledger_notify_at(control, LEDGER_PORTS, 0, MACH_PORT_NULL), KERN_SUCCESS, "the mark 0 is none");
	is((uint64_t)message_await(other, 5000), MACH_NOTIFY_SEND_ONCE, "and gives up that right too");
	is_code(ledger_notify_at(control, LEDGER_RESOURCES, 1, port_new_once(port)), KERN_INVALID_ARGUMENT,
		"what is no resource has no mark");
	is((uint64_t)message_await(port, 5000), MACH_NOTIFY_SEND_ONCE, "and the right is given up");
	is_code(ledger_notify_at(control, LEDGER_PORTS, 1, MACH_PORT_NULL), KERN_INVALID_CAPABILITY,
		"nobody can be told by no right");
	task_end(task);
	ledger_drop(control);
	port_free(port);
	port_free(other);
}

/* --- weights --- */

static void test_weight_arguments(void)
{
	ledger_t top = ledger_new(test_ledger(), "top"), below = ledger_new(top, "below");
	natural_t id, parent, children, tasks, weight = 0;
	ledger_label_t label;

	need(ledger_info(top, &id, &parent, label, &children, &tasks, &weight), "ledger_info");
	is(weight, 100, "a ledger below the root begins with weight 100");
	is_code(ledger_set_weight(top, 10000), KERN_SUCCESS, "its weight can be set");
	need(ledger_info(top, &id, &parent, label, &children, &tasks, &weight), "ledger_info");
	is(weight, 10000, "and read");
	is_code(ledger_set_weight(top, 0), KERN_INVALID_ARGUMENT, "0 is no weight");
	is_code(ledger_set_weight(top, -1), KERN_INVALID_ARGUMENT, "nor is a negative one");
	is_code(ledger_set_weight(top, 10001), KERN_INVALID_ARGUMENT, "nor one above 10000");
	is_code(ledger_set_weight(below, 50), KERN_INVALID_ARGUMENT, "only the root's children have weights");
	ledger_drop(below);
	ledger_drop(top);
}

struct race {
	uint32_t go;
	uint64_t rounds[2];
};
static struct race *race;

static void child_spin(void *argument)
{
	volatile uint64_t *rounds = &race->rounds[(uintptr_t)argument];

	word_await(&race->go, 1, 10000);
	for (;;)
		(*rounds)++;
}

static void test_weights(void)
{
	struct child_options options[2] = {
		{ .ledger = ledger_new(test_ledger(), "light") }, { .ledger = ledger_new(test_ledger(), "heavy") },
	};
	uint64_t light, heavy;
	struct child child[2];

	race = shared_alloc(vm_page_size);
	need(ledger_set_weight(options[0].ledger, LIGHT), "a weight");
	need(ledger_set_weight(options[1].ledger, HEAVY), "a weight");
	for (uintptr_t i = 0; i < 2; i++)
		need(child_start(&child[i], child_spin, (void *)i, &options[i]), "a child");
	word_post(&race->go, 1);
	thread_sleep(SPIN_MS);
	light = race->rounds[0];
	heavy = race->rounds[1];
	for (unsigned i = 0; i < 2; i++) {
		child_finish(&child[i]);
		ledger_drop(options[i].ledger);
	}
	is_between(heavy * 100, light * 270, light * 330, "three times the weight is three times the CPU time");
	diag("rounds: %lu and %lu", (unsigned long)light, (unsigned long)heavy);
	shared_free(race, vm_page_size);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 51);
	test_rights();
	test_prisoner();
	test_end_own();
	test_marks();
	test_weight_arguments();
	test_weights();
	return done_testing();
}
