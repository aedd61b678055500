/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ledgers: limits and guarantees at every level of the tree, operations that take several things
 * at once, what a denial tells, marks, and the end of a ledger with all that is in it.
 * RUN: in root ledger_test
 * LIMIT: 120
 */
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <string.h>
#include "child.h"
#include "denial.h"
#include "snapshot.h"
#include "tap.h"

/* What is taken apart in pieces is gone in a while. */
static void comes_to(ledger_t ledger, int resource, uint64_t value, const char *claim)
{
	uint64_t start = clock_uptime_ns();

	while (usage_of(ledger, resource).used != value && clock_uptime_ns() - start < 3000000000ull)
		thread_sleep(1);
	is(usage_of(ledger, resource).used, value, "%s", claim);
}

/* --- a child that takes ports until it is denied, and says how it went --- */

struct taker {
	uint32_t begin;		/* posted by the test: take so many more */
	uint32_t done;		/* posted by the child: rounds done */
	uint32_t target;	/* ports in this round at most */
	uint32_t taken;		/* ports in all */
	kern_return_t code;	/* of the last attempt */
	struct ledger_denial denial;
	bool give_back;		/* give all back first */
};

#define TAKE_MAX	2000

static void take_ports(void *argument)
{
	static mach_port_name_t names[TAKE_MAX];
	struct taker *taker = argument;
	thread_t self = mach_thread_self();

	mig_get_reply_port();
	memory_touch((vm_address_t)names, sizeof names);
	word_post(&taker->done, 1);
	for (uint32_t round = 1;; round++) {
		word_await(&taker->begin, round, 60000);
		while (taker->give_back && taker->taken > 0)
			mach_port_destroy(mach_task_self(), names[--taker->taken]);
		taker->code = KERN_SUCCESS;
		for (uint32_t i = 0; i < taker->target && taker->taken < TAKE_MAX; i++) {
			taker->code = syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
								 &names[taker->taken]);
			if (taker->code != KERN_SUCCESS)
				break;
			taker->taken++;
		}
		ledger_last_denial(self, &taker->denial);
		word_post(&taker->done, round + 1);
	}
}

static struct taker *taker_start(struct child *child, ledger_t ledger)
{
	struct taker *taker = shared_alloc(vm_page_size);
	struct child_options options = { .ledger = ledger };

	need(child_start(child, take_ports, taker, &options), "a child in a ledger");
	if (!word_await(&taker->done, 1, 10000))
		give_up("a child in a ledger begins");
	return taker;
}

/* One round: at most so many ports more. */
static void take(struct taker *taker, uint32_t count)
{
	uint32_t round = taker->begin + 1;

	taker->target = count;
	word_post(&taker->begin, round);
	if (!word_await(&taker->done, round + 1, 20000))
		give_up("a child that takes ports comes to an end");
}

static void taker_end(struct taker *taker, struct child *child)
{
	child_finish(child);
	shared_free(taker, vm_page_size);
}

/* --- the tests --- */

static void test_info(void)
{
	ledger_t parent = ledger_new(test_ledger(), "parent"), child = ledger_new(parent, "child");
	natural_t id, parent_id, children, tasks, weight, child_id;
	ledger_label_t name;
	ledger_array_t list = NULL;
	mach_msg_type_number_t count = 0;

	is_code(ledger_info(parent, &id, &parent_id, name, &children, &tasks, &weight), KERN_SUCCESS,
		"ledger_info works");
	is_text(name, "parent", "it tells the name");
	is(children, 1, "it tells the number of children");
	is(tasks, 0, "it tells the number of tasks");
	ok(id != 0 && parent_id != 0 && id != parent_id, "it tells the ids");
	need(ledger_info(child, &child_id, &parent_id, name, &children, &tasks, &weight), "ledger_info");
	is(parent_id, id, "a child's parent is its parent");
	is_code(ledger_children(parent, &list, &count), KERN_SUCCESS, "ledger_children works");
	is(count, 1, "it lists the one child");
	if (count == 1) {
		is(list[0], child, "and that is it");
		give_back_right(list[0]);
		give_back_memory((vm_address_t)list, sizeof *list);
	}
	is_code(ledger_set_limit(parent, LEDGER_RESOURCES, 1), KERN_INVALID_ARGUMENT, "a limit of no resource is refused");
	is_code(ledger_set_limit(parent, -1, 1), KERN_INVALID_ARGUMENT, "a limit of resource -1 is refused");
	is_code(ledger_set_guarantee(parent, LEDGER_KMEM, 4096), KERN_INVALID_ARGUMENT, "bytes cannot be guaranteed");
	is_code(ledger_set_limit(mach_task_self(), LEDGER_PORTS, 1), KERN_INVALID_ARGUMENT, "a task's port is no ledger");
	ledger_drop(child);
	ledger_drop(parent);
}

/* A task knows its ledger by a port that reads it and makes children, no more. */
static void test_name_port(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "named"), made;
	ledger_name_t name;
	struct ledger_usage usage;
	task_t task, other;

	need(child_empty(&task, ledger), "a task");
	is_code(task_get_ledger(task, &name), KERN_SUCCESS, "a task's ledger can be asked for");
	ok(name != ledger, "it is not the control right");
	is_code(ledger_get_usage(name, LEDGER_TASKS, &usage), KERN_SUCCESS, "its usage can be read");
	is(usage.used, 1, "it is that of the ledger");
	is_code(ledger_set_limit(name, LEDGER_PORTS, 5), KERN_INVALID_ARGUMENT, "its limits cannot be set");
	is_code(ledger_set_guarantee(name, LEDGER_PORTS, 5), KERN_INVALID_ARGUMENT, "nor its guarantees");
	is_code(ledger_set_weight(name, 5), KERN_INVALID_ARGUMENT, "nor its weight");
	is_code(ledger_terminate(name), KERN_INVALID_ARGUMENT, "it cannot be ended");
	is_code(ledger_create(name, "below", &made), KERN_SUCCESS, "children can be made");
	ledger_drop(made);
	is_code(child_empty(&other, name), KERN_SUCCESS, "and tasks");
	task_terminate(other);
	give_back_right(other);
	is_code(task_get_ledger_control(mach_host_self(), task, &made), KERN_INVALID_HOST,
		"the unprivileged do not get the control right");
	is_code(task_get_ledger_control(test_host_priv(), task, &made), KERN_SUCCESS, "the privileged do");
	is(made, ledger, "which is the one that its maker has");
	give_back_right(made);
	for (mach_port_t host = mach_host_self(), i = 0; i < 2; i++)
		give_back_right(host);
	give_back_right(name);
	task_terminate(task);
	give_back_right(task);
	ledger_drop(ledger);
}

/* The limit of each ledger from the task's own up to the eighth is the one that counts when it is the lowest. */
static void test_limits_at_every_level(void)
{
	ledger_t chain[LEDGER_DEPTH_MAX], extra = MACH_PORT_NULL;
	unsigned depth = 0;
	struct taker *taker;
	struct child child;
	char name[LEDGER_NAME_MAX];
	kern_return_t code = KERN_SUCCESS;
	ledger_t above = test_ledger();

	while (depth < LEDGER_DEPTH_MAX && code == KERN_SUCCESS) {
		snprintf(name, sizeof name, "level%u", depth);
		code = ledger_create(above, name, &chain[depth]);
		if (code == KERN_SUCCESS)
			above = chain[depth++];
	}
	is_code(code, KERN_INVALID_ARGUMENT, "the tree is at most %u ledgers deep", LEDGER_DEPTH_MAX);
	is_between(depth, 1, LEDGER_DEPTH_MAX - 1, "there is room for ledgers below that of the test");
	is_code(ledger_create(chain[depth - 1], "too deep", &extra), KERN_INVALID_ARGUMENT, "the deepest has no children");
	taker = taker_start(&child, chain[depth - 1]);
	taker->give_back = true;
	for (unsigned level = 0; level < depth; level++) {
		uint64_t used = usage_of(chain[level], LEDGER_PORTS).used - taker->taken;
		uint64_t denials = usage_of(chain[level], LEDGER_PORTS).denials;

		need(ledger_set_limit(chain[level], LEDGER_PORTS, used + 50), "a limit");
		take(taker, 100);
		snprintf(name, sizeof name, "level%u", level);
		is_code(taker->code, KERN_RESOURCE_SHORTAGE, "a limit at level %u denies", level);
		is(taker->taken, 50, "a limit at level %u lets just as much pass as it says", level);
		is_text(taker->denial.ledger, name, "the denial names the ledger of level %u", level);
		is(taker->denial.resource, LEDGER_PORTS, "the denial names the resource");
		is(taker->denial.used, used + 50, "the denial tells what was used");
		is(taker->denial.limit, used + 50, "the denial tells the limit");
		is(taker->denial.wanted, 1, "the denial tells what was wanted");
		ok(taker->denial.site != 0, "the denial tells the allocation site");
		ok(taker->denial.when_ns != 0 && taker->denial.when_ns <= clock_uptime_ns(), "the denial tells the time");
		is(usage_of(chain[level], LEDGER_PORTS).denials, denials + 1, "the ledger of level %u has counted it", level);
		for (unsigned up = 0; up < depth; up++) {
			uint64_t want = used + 50 - usage_of(chain[level], LEDGER_PORTS).used;

			is(want, 0, "the denied port is charged nowhere (level %u)", up);
		}
		need(ledger_set_limit(chain[level], LEDGER_PORTS, LEDGER_UNLIMITED), "no limit");
	}
	take(taker, 100);
	is_code(taker->code, KERN_SUCCESS, "without limits nothing is denied");
	is(taker->taken, 100, "without limits all is given");
	taker_end(taker, &child);
	while (depth > 0)
		ledger_drop(chain[--depth]);
}

/* Bytes of kernel memory have a limit too. */
static void test_kmem_limit(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "kmem");
	struct ledger_usage usage;
	struct taker *taker;
	struct child child;

	taker = taker_start(&child, ledger);
	usage = usage_of(ledger, LEDGER_KMEM);
	need(ledger_set_limit(ledger, LEDGER_KMEM, usage.used + 20000), "a limit");
	take(taker, TAKE_MAX);
	is_code(taker->code, KERN_RESOURCE_SHORTAGE, "a limit on kernel memory denies");
	is(taker->denial.resource, LEDGER_KMEM, "and is named");
	/* Charges that move here when the test's pages are copied are never refused: look at the denial. */
	ok(taker->denial.used + taker->denial.wanted > usage.used + 20000, "only what does not fit is denied");
	is_between(taker->denial.used, usage.used + 15000, usage.used + 20000, "the limit is used up and not exceeded");
	taker_end(taker, &child);
	comes_to(ledger, LEDGER_PORTS, 0, "with the task its ports come back");
	ledger_drop(ledger);
}

/* The sister takes all there is; what is guaranteed is there nevertheless. */
static void test_guarantee(void)
{
	ledger_t both = ledger_new(test_ledger(), "both"), quiet = ledger_new(both, "quiet"),
		 greedy = ledger_new(both, "greedy");
	struct child quiet_child, greedy_child;
	struct taker *quiet_taker = taker_start(&quiet_child, quiet);
	struct taker *greedy_taker = taker_start(&greedy_child, greedy);
	uint64_t own = usage_of(quiet, LEDGER_PORTS).used;
	uint64_t own_names = usage_of(quiet, LEDGER_NAMES).used;
	/* The control ports of its children are its own. */
	uint64_t base = usage_of(both, LEDGER_PORTS).used - own - usage_of(greedy, LEDGER_PORTS).used;
	uint64_t all;

	need(ledger_set_limit(both, LEDGER_PORTS, 400), "a limit");
	is_code(ledger_set_guarantee(quiet, LEDGER_PORTS, own + 100), KERN_SUCCESS, "a hundred ports can be guaranteed");
	is_code(ledger_set_guarantee(quiet, LEDGER_NAMES, own_names + 100), KERN_SUCCESS, "and a hundred names");
	all = usage_of(both, LEDGER_PORTS).used;
	is(all, base + own + 100 + usage_of(greedy, LEDGER_PORTS).used, "a guarantee is charged to the parent at once");
	take(greedy_taker, TAKE_MAX);
	is_code(greedy_taker->code, KERN_RESOURCE_SHORTAGE, "the sister is denied in the end");
	is_text(greedy_taker->denial.ledger, "both", "by the ledger above both");
	is(usage_of(both, LEDGER_PORTS).used, 400, "which is full");
	take(quiet_taker, 100);
	is_code(quiet_taker->code, KERN_SUCCESS, "what is guaranteed is given nevertheless");
	is(quiet_taker->taken, 100, "all of it");
	is(usage_of(both, LEDGER_PORTS).used, 400, "and the ledger above is not asked");
	take(quiet_taker, 1);
	is_code(quiet_taker->code, KERN_RESOURCE_SHORTAGE, "one more is denied");
	is_text(quiet_taker->denial.ledger, "both", "by the ledger above");
	is_code(ledger_set_guarantee(quiet, LEDGER_PORTS, own + 101), KERN_RESOURCE_SHORTAGE,
		"a guarantee that does not fit is refused");
	is(usage_of(quiet, LEDGER_PORTS).guarantee, own + 100, "and the old one stays");
	is_code(ledger_set_guarantee(quiet, LEDGER_PORTS, 0), KERN_SUCCESS, "a guarantee can be taken back");
	taker_end(quiet_taker, &quiet_child);
	taker_end(greedy_taker, &greedy_child);
	comes_to(both, LEDGER_PORTS, base, "all ports have come back");
	ledger_drop(quiet);
	ledger_drop(greedy);
	ledger_drop(both);
}

/* Guarantees at each of several levels: what is granted above must hold for below. */
static void test_nested_guarantee(void)
{
	ledger_t top = ledger_new(test_ledger(), "top"), middle = ledger_new(top, "middle"),
		 low = ledger_new(middle, "low");

	need(ledger_set_limit(top, LEDGER_THREADS, 30), "a limit");
	is_code(ledger_set_guarantee(middle, LEDGER_THREADS, 20), KERN_SUCCESS, "20 of 30 threads can be guaranteed");
	is(usage_of(top, LEDGER_THREADS).used, 20, "they count in the ledger above");
	is_code(ledger_set_guarantee(low, LEDGER_THREADS, 15), KERN_SUCCESS, "15 of those 20 can be passed on");
	is(usage_of(middle, LEDGER_THREADS).used, 15, "they count in the ledger between");
	is(usage_of(top, LEDGER_THREADS).used, 20, "and not a second time at the top");
	is_code(ledger_set_guarantee(low, LEDGER_THREADS, 31), KERN_RESOURCE_SHORTAGE, "31 are more than the top has");
	is(usage_of(middle, LEDGER_THREADS).used, 15, "a refused guarantee charges nothing");
	is_code(ledger_set_guarantee(low, LEDGER_THREADS, 25), KERN_SUCCESS, "25 fit: 5 of them are not covered between");
	is(usage_of(top, LEDGER_THREADS).used, 25, "these count at the top");
	is_code(ledger_set_guarantee(low, LEDGER_THREADS, 0), KERN_SUCCESS, "taken back");
	is(usage_of(top, LEDGER_THREADS).used, 20, "the top counts what is left");
	is_code(ledger_set_limit(middle, LEDGER_THREADS, 10), KERN_INVALID_ARGUMENT, "a limit below the guarantee is refused");
	is_code(ledger_set_guarantee(middle, LEDGER_THREADS, 0), KERN_SUCCESS, "all taken back");
	is(usage_of(top, LEDGER_THREADS).used, 0, "nothing counts any more");
	ledger_drop(low);
	ledger_drop(middle);
	ledger_drop(top);
}

/* task_create and thread_create take several things: with each of them short, none is taken. */
static void test_composite(void)
{
	static const int task_takes[] = { LEDGER_TASKS, LEDGER_PORTS, LEDGER_KPAGES };
	static const int thread_takes[] = { LEDGER_THREADS, LEDGER_PORTS };
	ledger_t ledger = ledger_new(test_ledger(), "composite");
	struct ledger_denial denial;
	struct snapshot before;
	task_t task, other;
	thread_t thread;

	need(child_empty(&task, ledger), "a task");
	for (unsigned i = 0; i < countof(task_takes); i++) {
		int resource = task_takes[i];

		need(ledger_set_limit(ledger, resource, usage_of(ledger, resource).used), "a limit");
		snapshot_take(&before, ledger);
		is_code(child_empty(&other, ledger), KERN_RESOURCE_SHORTAGE, "no task without %s",
			ledger_resource_name((unsigned)resource));
		need(ledger_last_denial(test_thread(), &denial), "the denial");
		is(denial.resource, (uint64_t)resource, "the denial names %s", ledger_resource_name((unsigned)resource));
		is_text(denial.ledger, "composite", "and the ledger");
		snapshot_same(&before, SNAPSHOT_ALL, "and nothing else is taken");
		need(ledger_set_limit(ledger, resource, LEDGER_UNLIMITED), "no limit");
	}
	for (unsigned i = 0; i < countof(thread_takes); i++) {
		int resource = thread_takes[i];

		need(ledger_set_limit(ledger, resource, usage_of(ledger, resource).used), "a limit");
		snapshot_take(&before, ledger);
		is_code(thread_create(task, &thread), KERN_RESOURCE_SHORTAGE, "no thread without %s",
			ledger_resource_name((unsigned)resource));
		need(ledger_last_denial(test_thread(), &denial), "the denial");
		is(denial.resource, (uint64_t)resource, "the denial names %s", ledger_resource_name((unsigned)resource));
		snapshot_same(&before, SNAPSHOT_ALL, "and nothing else is taken");
		need(ledger_set_limit(ledger, resource, LEDGER_UNLIMITED), "no limit");
	}
	task_terminate(task);
	give_back_right(task);
	ledger_drop(ledger);
}

/* Operations charge the ledger of the task operated on, not the caller's. */
static void test_who_pays(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "payer");
	vm_address_t address = 0;
	uint64_t pages, names;
	mach_port_name_t name;
	task_t task;

	need(child_empty(&task, ledger), "a task");
	pages = usage_of(ledger, LEDGER_VIRTUAL_PAGES).used;
	names = usage_of(ledger, LEDGER_NAMES).used;
	need(vm_allocate(task, &address, 7 * vm_page_size, TRUE), "memory for another task");
	is(usage_of(ledger, LEDGER_VIRTUAL_PAGES).used, pages + 7, "memory is paid by the ledger of the task that has it");
	need(mach_port_allocate(task, MACH_PORT_RIGHT_RECEIVE, &name), "a port for another task");
	is(usage_of(ledger, LEDGER_NAMES).used, names, "whose name lies in it");
	need(mach_port_allocate(task, MACH_PORT_RIGHT_DEAD_NAME, &name), "a name for another task");
	is(usage_of(ledger, LEDGER_NAMES).used, names + 1, "a name is paid by the ledger of the task that has it");
	is(usage_of(ledger, LEDGER_PORTS).used, 2, "a port is paid by the ledger of the task that it was made in");
	is(usage_of(ledger, LEDGER_TASKS).used, 1, "a task is paid by the ledger that it was put in");
	task_terminate(task);
	give_back_right(task);
	ledger_drop(ledger);
}

static void test_event_ring(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "ringer");
	ledger_denial_array_t events = NULL;
	mach_msg_type_number_t count = 0;
	struct taker *taker;
	struct child child;
	bool found = false, sorted = true;

	taker = taker_start(&child, ledger);
	need(ledger_set_limit(ledger, LEDGER_PORTS, usage_of(ledger, LEDGER_PORTS).used + 3), "a limit");
	for (unsigned i = 0; i < 5; i++)
		take(taker, 10);
	is_code(ledger_denials(test_host_priv(), &events, &count), KERN_SUCCESS, "the machine's last denials can be read");
	for (unsigned i = 0; i < count; i++) {
		if (strcmp(events[i].ledger, "ringer") == 0 && events[i].resource == LEDGER_PORTS) {
			found = true;
			is(events[i].count, 5, "denials of one kind in a row are one record with a count");
			ok(events[i].task[0] != '\0', "the record names the task");
		}
		if (i > 0 && events[i].when_ns < events[i - 1].when_ns)
			sorted = false;
	}
	ok(found, "the child's denials are among them");
	ok(sorted, "the newest is the last");
	is_code(ledger_denials(mach_host_self(), &events, &count), KERN_INVALID_HOST, "not for the unprivileged");
	give_back_right(mach_host_self());
	give_back_right(mach_host_self());
	if (events != NULL)
		give_back_memory((vm_address_t)events, round_page(count * sizeof *events));
	taker_end(taker, &child);
	ledger_drop(ledger);
}

struct mark_message {
	mach_msg_header_t head;
	mach_msg_type_t id_type;
	uint32_t id, id_padding;
	mach_msg_type_t resource_type;
	uint32_t resource, resource_padding;
	mach_msg_type_t used_type;
	uint64_t used;
	char room[64];
};

static bool mark_receive(mach_port_t port, struct mark_message *message, unsigned ms)
{
	return mach_msg(&message->head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof *message, port, ms,
			MACH_PORT_NULL) == MACH_MSG_SUCCESS;
}

static kern_return_t notify_at(ledger_t ledger, int resource, uint64_t mark, mach_port_t port)
{
	mach_port_t once;
	mach_msg_type_name_t type;

	need(mach_port_extract_right(mach_task_self(), port, MACH_MSG_TYPE_MAKE_SEND_ONCE, &once, &type),
	     "a send-once right");
	return ledger_notify_at(ledger, resource, mark, once);
}

static void test_notify(void)
{
	ledger_t ledger = ledger_new(test_ledger(), "marked");
	struct mark_message message;
	struct taker *taker;
	struct child child;
	mach_port_t port;
	uint64_t used;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	taker = taker_start(&child, ledger);
	used = usage_of(ledger, LEDGER_PORTS).used;
	is_code(notify_at(ledger, LEDGER_PORTS, used + 10, port), KERN_SUCCESS, "one can ask to be told at a mark");
	take(taker, 9);
	ok(!mark_receive(port, &message, 0), "below the mark nothing is told");
	take(taker, 1);
	if (ok(mark_receive(port, &message, 5000), "at the mark it is told")) {
		is((uint64_t)message.head.msgh_id, LEDGER_NOTIFY_MARK, "by the message of ledger_notify");
		is(message.resource, LEDGER_PORTS, "that names the resource");
		is(message.used, used + 10, "and tells what is used");
	}
	take(taker, 10);
	ok(!mark_receive(port, &message, 0), "it is told once");
	is_code(notify_at(ledger, LEDGER_PORTS, used + 5, port), KERN_SUCCESS, "a mark may be below what is used");
	ok(mark_receive(port, &message, 5000), "then it is told at once");
	is_code(notify_at(ledger, LEDGER_PORTS, used + 1000, port), KERN_SUCCESS, "a mark far away");
	taker_end(taker, &child);
	ledger_drop(ledger);
	is((uint64_t)message_await(port, 5000), 71, "a mark that is never reached gives its right up with the ledger");
	mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static void child_spin(void *argument)
{
	(void)argument;
	for (;;)
		__asm__ volatile("pause");
}

static void child_sleep(void *argument)
{
	(void)argument;
	for (;;)
		thread_sleep(100000);
}

static void test_terminate(void)
{
	enum { CHILDREN = 6 };
	struct child children[CHILDREN];
	ledger_t top, low[3], late;
	struct snapshot before;
	struct taker *taker;
	struct child taker_child;

	snapshot_take(&before, test_ledger());
	top = ledger_new(test_ledger(), "ended");
	for (unsigned i = 0; i < 3; i++)
		low[i] = ledger_new(top, "below");
	need(ledger_set_guarantee(low[0], LEDGER_PORTS, 100), "a guarantee");
	for (unsigned i = 0; i < CHILDREN; i++) {
		struct child_options options = { .ledger = i % 2 ? low[i / 2] : top };

		need(child_start(&children[i], i % 3 == 0 ? child_spin : child_sleep, NULL, &options), "a child");
	}
	taker = taker_start(&taker_child, low[1]);
	take(taker, 500);
	is_code(ledger_terminate(top), KERN_SUCCESS, "a ledger with children and tasks can be ended");
	for (unsigned i = 0; i < CHILDREN; i++)
		ok(child_wait(&children[i], 10000), "task %u of it dies", i);
	ok(child_wait(&taker_child, 10000), "the task with many ports dies");
	is_code(ledger_create(top, "late", &late), MACH_SEND_INVALID_DEST, "its port is dead");
	for (unsigned i = 0; i < CHILDREN; i++)
		child_finish(&children[i]);
	taker_end(taker, &taker_child);
	give_back_right(top);
	for (unsigned i = 0; i < 3; i++)
		give_back_right(low[i]);
	snapshot_settles(&before, SNAPSHOT_THINGS, "all that was charged to it has come back");
	is_code(ledger_root(test_host_priv(), &top), KERN_SUCCESS, "the privileged may ask for the root");
	is_code(ledger_terminate(top), KERN_INVALID_ARGUMENT, "the root cannot be ended");
	give_back_right(top);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 120);
	test_info();
	test_name_port();
	test_limits_at_every_level();
	test_kmem_limit();
	test_guarantee();
	test_nested_guarantee();
	test_composite();
	test_who_pays();
	test_event_ring();
	test_notify();
	test_terminate();
	return done_testing();
}
