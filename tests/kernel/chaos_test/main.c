/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Chaos: tasks with some threads each that do random operations on the same few ports, sets, memory, threads, tasks and
 * ledgers, on their own and each other's, in and out of waits. Nothing is claimed of the answers but that there is an end,
 * that no small reply is denied memory and no message brings words of the kernel's; that another's calls go on meanwhile; and,
 * of each round, that when all have ended all comes back and the books agree.
 * `chaos_test SEED ROUNDS`: each round has the next seed, which chooses what is done; when is the scheduler's, and the same again
 * with --icount.
 * RUN: in root chaos_test 4711 8
 * BOOT: mem=64M icount=1
 * LIMIT: 60
 */
#include <device_user.h>
#include <ledger_user.h>
#include <mach/exception.h>
#include <mach/machine/thread_status.h>
#include <mach/mig_support.h>
#include <stdlib.h>
#include "chaos.h"
#include "master.h"
#include "snapshot.h"
#include "tap.h"

#define ROUND_MS	150
#define STEP_MS		2
#define STALL_MS	60	/* a task that has done nothing for so long ends */
#define WORST_US	500000	/* far above what is seen, as the host may pause */

struct common *common;
char *shared_arena;

static struct seat {
	struct child child;
	ledger_t ledger;
	bool lives;
	uint64_t seen, seen_ms;
} seats[TASKS];
static ledger_t ledger;
static mach_port_t catcher, ports[COMMON_PORTS], device_console, device_time, memory, master;
static struct random random;
static unsigned started, killed, died;

/* -- exceptions of the children -- */

static void catch_all(void *argument)
{
	static union {
		mach_msg_header_t head;
		uint64_t words[1024];
	} m;

	(void)argument;
	for (;;) {
		mig_reply_header_t reply = {
			.Head = { .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0),
				  .msgh_size = sizeof reply, .msgh_id = 2500 },
			.RetCodeType = { .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1,
					 .msgt_number = 1 },
		};
		mach_msg_return_t code = mach_msg(&m.head, MACH_RCV_MSG, 0, sizeof m, catcher, 0, MACH_PORT_NULL);

		if (code == MACH_RCV_PORT_DIED || code == MACH_RCV_INVALID_NAME || code == MACH_RCV_PORT_CHANGED)
			return;
		if (code != MACH_MSG_SUCCESS && (code & ~MACH_MSG_MASK) != MACH_RCV_BODY_ERROR)
			continue;
		if (m.head.msgh_id == 2400 && m.head.msgh_size >= 96 && (m.head.msgh_bits & MACH_MSGH_BITS_COMPLEX) != 0) {
			reply.Head.msgh_remote_slot = m.head.msgh_remote_port;
			reply.RetCode = restart_thread((thread_t)m.words[5]);
			if (mach_msg(&reply.Head, MACH_SEND_MSG, sizeof reply, 0, 0, 0, 0) == MACH_MSG_SUCCESS)
				m.head.msgh_remote_slot = 0;
		}
		mach_msg_destroy(&m.head);
	}
}

/* -- children -- */

static void give(task_t task, unsigned slot, mach_port_t right)
{
	if (right != MACH_PORT_NULL)
		mach_port_insert_right(task, SLOT_NAME(slot), right, MACH_MSG_TYPE_COPY_SEND);
}

static kern_return_t equip(struct child *child, void *argument)
{
	unsigned own = (unsigned)(uintptr_t)argument;
	task_t task = child->task;

	task_set_special_port(task, TASK_BOOTSTRAP_PORT, MACH_PORT_NULL);
	task_set_special_port(task, TASK_EXCEPTION_PORT, catcher);
	mach_port_insert_right(task, HOST_PRIV_NAME, test_host_priv(), MACH_MSG_TYPE_COPY_SEND);
	give(task, SLOT_LEDGER, seats[own].ledger);
	give(task, SLOT_HOST, mach_host_self());
	give(task, SLOT_MASTER, master);
	give(task, SLOT_CONSOLE, device_console);
	give(task, SLOT_TIME, device_time);
	give(task, SLOT_MEMORY, memory);
	for (unsigned i = 0; i < COMMON_PORTS; i++)
		give(task, SLOT_COMMON + i, ports[i]);
	for (unsigned i = 0; i < TASKS; i++) {
		if (i != own && !seats[i].lives)
			continue;
		give(task, SLOT_TASKS + i, i == own ? task : seats[i].child.task);
		if (i != own) {
			mach_port_destroy(seats[i].child.task, SLOT_NAME(SLOT_TASKS + own));
			give(seats[i].child.task, SLOT_TASKS + own, task);
		}
	}
	return KERN_SUCCESS;
}

static void seat_start(unsigned i)
{
	struct seat *seat = &seats[i];
	struct child_options options = { .before = equip };
	natural_t id, parent, children, tasks, weight;
	ledger_label_t label;

	if (MACH_PORT_VALID(seat->ledger) &&
	    ledger_info(seat->ledger, &id, &parent, label, &children, &tasks, &weight) != KERN_SUCCESS) {
		give_back_right(seat->ledger);
		seat->ledger = MACH_PORT_NULL;
	}
	if (!MACH_PORT_VALID(seat->ledger) && ledger_create(ledger, "chaos", &seat->ledger) != KERN_SUCCESS) {
		seat->ledger = MACH_PORT_NULL;
		return;
	}
	for (unsigned resource = 0; resource < LEDGER_RESOURCES; resource++)
		ledger_set_limit(seat->ledger, (int)resource, LEDGER_UNLIMITED);
	options.ledger = seat->ledger;
	for (unsigned k = 0; k < WORKERS; k++)
		workers[k] = (struct worker){ .random = { random_next(&random) | 1 } };
	if (child_start(&seat->child, chaos_child, (void *)(uintptr_t)i, &options) != KERN_SUCCESS)
		return;
	started++;
	seat->lives = true;
	seat->seen = 0;
	seat->seen_ms = clock_uptime_ns() / 1000000;
}

static void seat_end(struct seat *seat)
{
	if (seat->lives)
		child_finish(&seat->child);
	seat->lives = false;
}

/* Whatever was stopped goes on; whoever ended or stands still is replaced. */
static void seat_tend(unsigned i)
{
	struct seat *seat = &seats[i];
	uint64_t now_ms = clock_uptime_ns() / 1000000, sum = 0;
	thread_array_t threads;
	mach_msg_type_number_t n;

	if (seat->lives && child_wait(&seat->child, 0))
		died++;
	if (!seat->lives || seat->child.ended) {
		seat_end(seat);
		seat_start(i);
		return;
	}
	for (unsigned k = 0; k < WORKERS; k++)
		sum += common->progress[i][k];
	if (sum != seat->seen) {
		seat->seen = sum;
		seat->seen_ms = now_ms;
	} else if (now_ms - seat->seen_ms > STALL_MS) {
		killed++;
		seat_end(seat);
		seat_start(i);
		return;
	}
	task_resume(seat->child.task);
	if (random_below(&random, 2) != 0 || task_threads(seat->child.task, &threads, &n) != KERN_SUCCESS)
		return;
	for (unsigned k = 0; k < n; k++) {
		thread_resume(threads[k]);
		thread_abort(threads[k]);
		give_back_right(threads[k]);
	}
	give_back_memory((vm_address_t)threads, n * sizeof *threads);
}

/* -- somebody else -- */

static mach_port_t echo_port;
static volatile bool bystander_stop;
static uint64_t bystander_worst_us, bystander_calls;

static void echo(void *argument)
{
	struct { mach_msg_header_t head; uint64_t room[16]; } m;
	mach_msg_return_t code = mach_msg(&m.head, MACH_RCV_MSG, 0, sizeof m, echo_port, 0, MACH_PORT_NULL);

	(void)argument;
	while (code == MACH_MSG_SUCCESS) {
		m.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0);
		m.head.msgh_local_slot = 0;
		code = mach_msg(&m.head, MACH_SEND_MSG | MACH_RCV_MSG, 40, sizeof m, echo_port, 0, MACH_PORT_NULL);
	}
}

static void bystander(void *argument)
{
	mach_port_t reply = mach_reply_port();

	(void)argument;
	while (!bystander_stop) {
		struct { mach_msg_header_t head; uint64_t room[16]; } m = {
			.head = { .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
				  .msgh_remote_slot = echo_port, .msgh_local_slot = reply } };
		uint64_t before = clock_uptime_ns(), us;

		thread_sleep(1);
		if (mach_msg(&m.head, MACH_SEND_MSG | MACH_RCV_MSG, 40, sizeof m, reply, 0, MACH_PORT_NULL) != MACH_MSG_SUCCESS)
			break;
		us = (clock_uptime_ns() - before) / 1000;
		bystander_calls++;
		if (us > bystander_worst_us)
			bystander_worst_us = us;
	}
	mach_port_mod_refs(mach_task_self(), reply, MACH_PORT_RIGHT_RECEIVE, -1);
}

/* -- rounds -- */

static mach_port_t new_port(void)
{
	mach_port_t port = MACH_PORT_NULL;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	need(mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND), "a right");
	return port;
}

static void drop_port(mach_port_t *port)
{
	mach_port_destroy(mach_task_self(), *port);
	*port = MACH_PORT_NULL;
}

static void round_begin(uint64_t seed)
{
	random.state = seed * 0x9e3779b97f4a7c15 | 1;
	memset(common, 0, sizeof *common);
	started = killed = died = 0;
	shared_arena = shared_alloc(SHARED_PAGES * vm_page_size);
	catcher = new_port();
	for (unsigned i = 0; i < COMMON_PORTS; i++)
		ports[i] = new_port();
	need(ledger_create(test_ledger(), "chaos", &ledger), "a ledger");
	need(ledger_set_limit(ledger, LEDGER_KMEM, 8 << 20), "a limit");
	need(ledger_set_limit(ledger, LEDGER_RESIDENT_PAGES, 8192), "a limit");
}

static void round_end(void)
{
	for (unsigned i = 0; i < TASKS; i++)
		seat_end(&seats[i]);
	ledger_terminate(ledger);
	give_back_right(ledger);
	for (unsigned i = 0; i < TASKS; i++) {
		give_back_right(seats[i].ledger);
		seats[i] = (struct seat){ 0 };
	}
	for (unsigned i = 0; i < COMMON_PORTS; i++)
		drop_port(&ports[i]);
	drop_port(&catcher);
	shared_free(shared_arena, SHARED_PAGES * vm_page_size);
}

static void books(uint64_t seed, const char *when)
{
	if (!ok(books_agree(), "seed %llu: the books agree %s", (unsigned long long)seed, when))
		diag("got: %s", books_text());
}

static void tell(uint64_t seed)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < TASKS; i++)
		for (unsigned k = 0; k < WORKERS; k++)
			sum += common->progress[i][k];
	diag("seed %llu: %llu operations, %llu messages sent, %llu received, %llu denials, %llu restarts; %u tasks, %u died, %u killed",
	     (unsigned long long)seed, (unsigned long long)sum, (unsigned long long)common->sent,
	     (unsigned long long)common->received, (unsigned long long)common->denials, (unsigned long long)common->restarts,
	     started, died, killed);
}

static void round_run(uint64_t seed)
{
	struct snapshot before;
	struct thread *catching;
	uint64_t end_ms;

	snapshot_take(&before, test_ledger());
	round_begin(seed);
	need(thread_spawn(catch_all, NULL, 0, &catching), "a thread");
	end_ms = clock_uptime_ns() / 1000000 + ROUND_MS;
	while (clock_uptime_ns() / 1000000 < end_ms) {
		for (unsigned i = 0; i < TASKS; i++)
			seat_tend(i);
		thread_sleep(STEP_MS);
	}
	books(seed, "in the midst");
	round_end();
	thread_join(catching);
	tell(seed);
	snapshot_settles(&before, SNAPSHOT_THINGS, "seed %llu: all comes back", (unsigned long long)seed);
	books(seed, "when it has");
	if (!ok(common->leaks == 0, "seed %llu: no message brings words of the kernel's", (unsigned long long)seed))
		diag("got: %llx in a message %llu", (unsigned long long)common->leak_word, (unsigned long long)common->leak_id);
	if (!ok(common->refused == 0, "seed %llu: no small reply is denied memory", (unsigned long long)seed))
		diag("got: %llx, %llu times", (unsigned long long)common->refused_code, (unsigned long long)common->refused);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 && argv[1][0] != '-' ? strtoul(argv[1], NULL, 10) : 4711;
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10;
	struct thread *server, *client;

	test_begin(argc, argv, 20 + rounds * 2);
	common = shared_alloc(sizeof *common);
	master = master_port_get();
	need(device_open(master, 0, "console", &device_console), "the console");
	need(device_open(master, 0, "time", &device_time), "the clock");
	need(device_map(device_time, VM_PROT_READ, 0, 4096, &memory, 0), "the clock's page");
	/* Names that the library keeps. */
	mach_host_self();
	echo_port = new_port();
	need(thread_spawn(echo, NULL, 0, &server), "a server");
	need(thread_spawn(bystander, NULL, 0, &client), "a bystander");
	/* What the library keeps for its threads and the console for its programs is taken once. */
	thread_sleep(20);
	for (unsigned i = 0; i < rounds; i++)
		round_run(seed + i);
	bystander_stop = true;
	thread_join(client);
	ok(bystander_calls > rounds * 5 && bystander_worst_us < WORST_US,
	   "another that sleeps 1 ms and calls a server, again and again, goes on meanwhile (%llu times, worst %llu us)",
	   (unsigned long long)bystander_calls, (unsigned long long)bystander_worst_us);
	drop_port(&echo_port);
	thread_join(server);
	give_back_right(memory);
	give_back_right(device_time);
	give_back_right(device_console);
	master_port_put(master);
	shared_free(common, sizeof *common);
	return done_testing();
}
