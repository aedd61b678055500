/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * register_new_task_notification: who is told of new tasks, by what message, and who pays for it.
 * RUN: in root new_task_test
 */
#include <gnumach_user.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/mig_support.h>
#include <weir/ledger.h>
#include "catch.h"
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define NEW_TASK	4400
#define TASKS		40

struct news {
	mach_msg_header_t head;
	mach_msg_type_t task_type;
	uint64_t task;
	mach_msg_type_t parent_type;
	uint64_t parent;
	uint8_t rest[64];
};

static mach_port_t port;

static bool receive(struct news *news, unsigned milliseconds)
{
	return mach_msg(&news->head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof *news, port, milliseconds, MACH_PORT_NULL) ==
		MACH_MSG_SUCCESS;
}

static void drop(const struct news *news)
{
	give_back_right((mach_port_t)news->task);
	give_back_right((mach_port_t)news->parent);
}

static void child_forks(void *argument)
{
	task_t child = MACH_PORT_NULL;

	if (task_create(mach_task_self(), FALSE, &child) != KERN_SUCCESS)
		return;
	word_await(argument, 1, 10000);		/* a right to what is dead by then would tell nothing */
	task_terminate(child);
}

static void test_registering(void)
{
	mach_port_t other = catch_port(), name = mach_host_self();

	is_code(register_new_task_notification(name, port, MACH_MSG_TYPE_COPY_SEND), KERN_INVALID_HOST,
		"news of tasks are for the privileged");
	give_back_right(name);
	is_code(register_new_task_notification(test_host_priv(), port, MACH_MSG_TYPE_COPY_SEND), KERN_SUCCESS,
		"a port can be registered");
	is_code(register_new_task_notification(test_host_priv(), other, MACH_MSG_TYPE_COPY_SEND), KERN_NO_ACCESS,
		"another cannot while it lives");
	catch_port_destroy(other);
}

static void test_message(void)
{
	struct news news;
	task_t task = MACH_PORT_NULL;

	need(task_create(mach_task_self(), FALSE, &task), "a task");
	ok(receive(&news, 1000), "the port is told of a new task");
	ok(news.head.msgh_id == NEW_TASK && news.head.msgh_size == 64 && (news.head.msgh_bits & MACH_MSGH_BITS_COMPLEX) != 0,
	   "by a message of task_notify");
	ok(news.task_type.msgt_name == MACH_MSG_TYPE_PORT_SEND && news.task_type.msgt_size == 64 && news.task_type.msgt_number == 1 &&
	   news.parent_type.msgt_name == MACH_MSG_TYPE_PORT_SEND && news.parent_type.msgt_inline, "it carries two send rights");
	is(news.task, task, "to the task");
	is(news.parent, mach_task_self(), "and to its parent");
	drop(&news);
	task_terminate(task);
	give_back_right(task);
	need(syscall_task_create(mach_task_self(), FALSE, &task), "a task by the trap");
	ok(receive(&news, 1000) && news.task == task, "of one made by the trap as well");
	drop(&news);
	task_terminate(task);
	give_back_right(task);
}

static void test_grandchild(void)
{
	struct news child_news, news;
	struct child child;
	uint32_t *seen = shared_alloc(vm_page_size);

	need(child_start(&child, child_forks, seen, NULL), "a child");
	ok(receive(&child_news, 1000) && child_news.task == child.task, "of a child");
	ok(receive(&news, 5000) && news.parent == child.task && news.task != child.task, "and of the child's child, whose parent it is");
	word_post(seen, 1);
	drop(&child_news);
	drop(&news);
	ok(child_wait(&child, 10000), "the child ends");
	shared_free(seen, vm_page_size);
	child_finish(&child);
}

/* Nobody receives: the messages wait, beyond the queue's limit, and are the makers' to pay. */
static void test_payers(void)
{
	struct snapshot before;
	struct ledger_usage usage;
	struct news news;
	ledger_t small = MACH_PORT_NULL;
	task_t tasks[TASKS], task;
	unsigned made = 0, told = 0;

	snapshot_take(&before, test_ledger());
	small = ledger_new(test_ledger(), "small");
	need(ledger_set_limit(small, LEDGER_MESSAGES, 20), "a limit");
	while (made < TASKS && task_create_in_ledger(mach_task_self(), small, FALSE, &tasks[made]) == KERN_SUCCESS)
		made++;
	is_between(made, 5, 20, "a ledger of 20 messages makes so many tasks that nobody looks at");
	is_code(task_create_in_ledger(mach_task_self(), small, FALSE, &task), KERN_RESOURCE_SHORTAGE, "then tasks are denied");
	need(ledger_get_usage(small, LEDGER_TASKS, &usage), "its usage");
	is(usage.used, made, "what is denied leaves nothing");
	ok(receive(&news, 1000) && news.task == tasks[0], "as soon as one is looked at");
	drop(&news);
	told++;
	is_code(task_create_in_ledger(mach_task_self(), small, FALSE, &tasks[made]), KERN_SUCCESS, "there is another");
	made++;
	for (unsigned i = 0; i < made; i++) {
		task_terminate(tasks[i]);
		give_back_right(tasks[i]);
	}
	while (receive(&news, 100)) {
		told += news.head.msgh_id == NEW_TASK;
		if (news.task == MACH_PORT_NAME_DEAD)
			news.task = MACH_PORT_NULL;
		if (news.task != MACH_PORT_NULL)
			mach_port_deallocate(mach_task_self(), (mach_port_t)news.task);
		give_back_right((mach_port_t)news.parent);
	}
	is(told, made, "each of them was told of in the end");
	ledger_drop(small);
	snapshot_settles(&before, SNAPSHOT_THINGS, "and all comes back");
}

static void test_end(void)
{
	struct news news;
	task_t task = MACH_PORT_NULL;

	need(task_create(mach_task_self(), FALSE, &task), "a task");
	ok(receive(&news, 1000), "the port is told");
	drop(&news);
	task_terminate(task);
	give_back_right(task);
	is_code(register_new_task_notification(test_host_priv(), MACH_PORT_NULL, MACH_MSG_TYPE_COPY_SEND), KERN_SUCCESS,
		"no port ends it");
	need(task_create(mach_task_self(), FALSE, &task), "a task");
	ok(!receive(&news, 50), "nobody is told any more");
	task_terminate(task);
	give_back_right(task);
	need(register_new_task_notification(test_host_priv(), port, MACH_MSG_TYPE_COPY_SEND), "the port again");
	catch_port_destroy(port);
	is_code(task_create(mach_task_self(), FALSE, &task), KERN_SUCCESS, "a port that dies ends it too");
	task_terminate(task);
	give_back_right(task);
	port = catch_port();
	is_code(register_new_task_notification(test_host_priv(), port, MACH_MSG_TYPE_COPY_SEND), KERN_SUCCESS,
		"then another can be registered");
	need(register_new_task_notification(test_host_priv(), MACH_PORT_NULL, MACH_MSG_TYPE_COPY_SEND), "the end");
	catch_port_destroy(port);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	port = catch_port();
	test_registering();
	test_message();
	test_grandchild();
	test_payers();
	test_end();
	return done_testing();
}
