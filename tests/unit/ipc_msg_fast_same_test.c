/* SPDX-License-Identifier: BSD-2-Clause */
/* The same random calls of many threads, once with the fast path of mach_msg and once without: the same messages come to the
   same threads in the same order, with the same headers, and all rights, queues, counters and charges are the same after each
   step. Only names are not compared, but what they stand for: a right that comes the general way is where the search for the
   next free name goes on, one that comes the fast way is not, so later names are others. (Nor are radix nodes: they depend on
   names.)
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include <stdarg.h>
#include <stdio.h>
#include "ipc_msg_fast.h"
#include "x86_64/usercopy.h"

#define ROUNDS 200			/* each begins with new tasks and everything in order */
#define STEPS 120
#define TASKS 3
#define THREADS 6			/* thread i is of task i % TASKS; the first TASKS are servers */
#define SERVICES 6
#define PORTS (THREADS + SERVICES)	/* reply ports first; service port j is of task j % TASKS */
#define RIGHTS 12			/* reply rights that a task keeps for later */
#define LINE 4000

static struct ledger *ledger[TASKS];
static struct task *task[TASKS];
static struct thread *thread[THREADS];
static struct call last[THREADS];	/* the call that a thread is in */
static struct port *ports[PORTS];	/* each with a reference, so that no other has its address */
static struct port *sets[TASKS];
static mach_port_name_t set_names[TASKS], rights[TASKS][RIGHTS];
static unsigned right_count[TASKS];
static unsigned step, world, delivered;

/* -- random numbers, the same in both worlds -- */

static uint64_t random_state;

static uint64_t below(uint64_t bound)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545f4914f6cdd1dull >> 11) % bound;
}

/* -- what is seen: lines, kept of the first world and compared with in the second -- */

static char **lines;
static unsigned line_count, line_at;
static bool differs;

static void see(const char *format, ...)
{
	char text[LINE];
	va_list args;
	int n = snprintf(text, sizeof(text), "%u: ", step);

	va_start(args, format);
	vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
	va_end(args);
	if (world == 0) {
		if (line_count % 1024 == 0)
			lines = realloc(lines, (line_count + 1024) * sizeof(*lines));
		lines[line_count] = strcpy(malloc(strlen(text) + 1), text);
		line_count++;
		return;
	}
	if (differs)
		return;
	if (line_at < line_count && strcmp(lines[line_at], text) == 0) {
		line_at++;
		return;
	}
	differs = true;
	for (unsigned i = line_at > 6 ? line_at - 6 : 0; i < line_at; i++)
		diag("both    %s", lines[i]);
	diag("fast    %s", line_at < line_count ? lines[line_at] : "(no more)");
	diag("general %s", text);
}

static unsigned thread_number(const struct thread *of)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (thread[i] == of)
			return i;
	return THREADS;
}

/* 100: none, 99: one that is no more, or another. */
static unsigned port_number(const struct port *of)
{
	for (unsigned i = 0; i < PORTS; i++)
		if (ports[i] == of)
			return i;
	for (unsigned i = 0; i < TASKS; i++)
		if (sets[i] == of)
			return 50 + i;
	return of == NULL ? 100 : 99;
}

static unsigned task_number(const struct space *of)
{
	for (unsigned i = 0; i < TASKS; i++)
		if (&task[i]->space == of)
			return i;
	return TASKS;
}

/* What the name is, without its number. */
static uint32_t name_kind(struct thread *of, mach_port_name_t name)
{
	struct name *entry = space_lookup(&of->task->space, name);

	if (entry == NULL)
		return name == NONE ? 0 : name == MACH_PORT_NAME_DEAD ? 1 : 2;
	return entry->type << 8 | port_number(entry->port);
}

static void remember_right(unsigned t, mach_port_name_t name)
{
	if (right_count[t] == RIGHTS)
		name_destroy(space_lookup(&task[t]->space, name));
	else
		rights[t][right_count[t]++] = name;
}

static void see_message(unsigned i)
{
	uint64_t buffer = last[i].buffer != 0 ? last[i].buffer : test_buffer(thread[i]);
	uint8_t body[BUFFER_SIZE];
	mach_msg_header_t h;
	uint64_t hash = 0;

	test_read(thread[i], buffer, &h, sizeof(h));
	if (h.msgh_size > 32 && h.msgh_size < 4096) {
		test_read(thread[i], buffer + 32, body, h.msgh_size - 32);
		/* Notifications tell names. */
		for (uint32_t k = 32; k < h.msgh_size && (h.msgh_id < 60 || h.msgh_id > 80); k++)
			hash = hash * 31 + body[k - 32];
	}
	see("thread %u has bits %x size %u remote %x local %x seqno %u id %d body %lx", i, h.msgh_bits, h.msgh_size,
	    name_kind(thread[i], h.msgh_remote_port), name_kind(thread[i], h.msgh_local_port), h.msgh_seqno, h.msgh_id, (long)hash);
	delivered++;
	if (test_type(thread[i], h.msgh_remote_port) == MACH_PORT_TYPE_SEND_ONCE)
		remember_right(i % TASKS, h.msgh_remote_port);
}

static void see_result(unsigned i, int64_t result)
{
	see("thread %u: %lx", i, (long)result);
	if (result == MACH_MSG_SUCCESS && (last[i].option & MACH_RCV_MSG) != 0)
		see_message(i);
}

static int append(char *text, int n, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int append(char *text, int n, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	n += vsnprintf(text + n, (size_t)(LINE - 100 - n), format, args);
	va_end(args);
	return n;
}

static int port_text(char *text, int n, unsigned i)
{
	struct port *p = ports[i];
	unsigned prepaid = 0, onces[TASKS + 1] = { 0 };
	struct thread *waiter;
	struct name *entry;
	struct kmsg *kmsg;

	n = append(text, n, "[%u", i);
	if (p->dead)
		return append(text, n, " dead]");
	LIST_FOREACH(kmsg, &p->prepaid, prepaid_link)
		prepaid++;
	for (entry = name_first_of(p); entry != NULL; entry = name_next_of(entry))
		onces[task_number(entry->space)] += (entry->type & MACH_PORT_TYPE_SEND_ONCE) != 0;
	n = append(text, n, " of %u refs %u s%u o%u m%u n%u q%u+%u b%u %d%d p%u set %u", task_number(p->receiver), p->refs,
		   p->send_rights, p->send_once_rights, p->make_send_count, p->sequence, p->queued, p->message_count,
		   msg_reply_bound(p), p->keeps_reply, p->spare_prepaid, prepaid, port_number(port_set_any(p)));
	for (unsigned t = 0; t < TASKS; t++) {
		entry = name_of_port(&task[t]->space, p);
		n = append(text, n, " %x/%u", entry != NULL ? entry->type : 0, onces[t]);
	}
	STACK_FOREACH(waiter, &p->receivers, wait.stack_link)
		n = append(text, n, " r%u", thread_number(waiter));
	RING_FOREACH(waiter, p->senders, wait.sender_link)
		n = append(text, n, " s%u", thread_number(waiter));
	return append(text, n, "]");
}

static void see_state(void)
{
	char text[LINE];
	struct thread *waiter;
	int n = 0;

	for (unsigned i = 0; i < PORTS; i++)
		n = port_text(text, n, i);
	see("%s", text);
	n = 0;
	for (unsigned t = 0; t < TASKS; t++) {
		n = append(text, n, "(%u names %u sent %lu received %lu", t, task[t]->space.count, (long)task[t]->messages_sent,
			   (long)task[t]->messages_received);
		for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
			if (r == LEDGER_MESSAGES || r == LEDGER_PORTS || r == LEDGER_NAMES || r == LEDGER_RESIDENT_PAGES)
				n = append(text, n, " %lu", (long)host_used(ledger[t], r));
		STACK_FOREACH(waiter, &sets[t]->receivers, wait.stack_link)
			n = append(text, n, " r%u", thread_number(waiter));
		n = append(text, n, ")");
	}
	for (unsigned i = 0; i < THREADS; i++)
		n = append(text, n, " %d%s", thread[i]->state, thread[i]->wait.kind != NULL ? thread[i]->wait.kind->what : "");
	see("%s", text);
}

/* -- what happens -- */

static void new_port(unsigned i)
{
	struct thread *of = thread[i < THREADS ? i : (i - THREADS) % TASKS];
	mach_port_name_t name = test_port(of);

	if (ports[i] != NULL)
		port_unref(ports[i]);
	ports[i] = test_port_of(of, name);
	port_ref(ports[i]);
	if (i < THREADS && i % 4 != 3)
		port_keep_reply(ports[i]);
	ports[i]->qlimit = (uint16_t)(i % 3 == 0 ? 2 : 5);
	for (unsigned t = 0; t < TASKS; t++)
		if (i >= THREADS || t == (i + 1) % TASKS)
			test_send_right(thread[t], of, name);
}

static mach_port_name_t send_name(unsigned t, unsigned i)
{
	struct name *entry = ports[i]->dead ? NULL : name_of_port(&task[t]->space, ports[i]);

	return entry != NULL ? entry->name : NONE;
}

static mach_port_name_t receive_name(unsigned t, unsigned i)
{
	return ports[i]->receiver == &task[t]->space ? ports[i]->receiver_name : NONE;
}

/* Where a thread might receive: its reply port, a service port of its task, or its set. */
static mach_port_name_t somewhere(unsigned i)
{
	switch (below(6)) {
	case 0:
		return receive_name(i % TASKS, i);
	case 1: case 2:
		return set_names[i % TASKS];
	default:
		return receive_name(i % TASKS, THREADS + i % TASKS + TASKS * (unsigned)below(2));
	}
}

static void spoil(unsigned i, struct call *c)
{
	static const uint32_t sizes[] = { 32, 40, 48, 56, 128, 256, 264, 1000, 36, 24 };
	static const uint32_t rooms[] = { 0, 32, 40, 64, 300, 2000, 9000, 20000 };
	static const uint32_t options[] = { MACH_RCV_LARGE, MACH_RCV_NOTIFY, MACH_RCV_TIMEOUT, MACH_SEND_TIMEOUT, MACH_SEND_INTERRUPT };

	c->size = sizes[below(below(6) != 0 ? 6 : 10)];
	c->notify = receive_name(i % TASKS, i);
	if (below(12) == 0)
		c->room = rooms[below(8)];
	if (below(12) == 0)
		c->option |= options[below(5)];
	if (below(4) == 0)
		c->timeout = 1000;
	if (below(24) == 0)
		c->buffer = test_buffer(thread[i]) + PAGE_SIZE - 8 * below(20);
	if (below(64) == 0)
		c->bits ^= 1u << below(32);
	if (below(64) == 0)
		c->name = (mach_port_name_t)below(2) * 4242;
}

static void call(unsigned i, struct call c)
{
	last[i] = c;
	see_result(i, go(thread[i], &c));
}

static void send_request(unsigned i)
{
	unsigned t = i % TASKS, to = below(8) == 0 ? (unsigned)below(PORTS) : THREADS + (unsigned)below(SERVICES);
	struct call c = { .bits = MACH_MSGH_BITS(COPY, ONCE), .id = 1000 + (int)below(100), .option = BOTH, .room = 2000 };

	c.remote = send_name(t, to);
	c.local = c.name = receive_name(t, below(8) == 0 ? (unsigned)below(PORTS) : i);
	spoil(i, &c);
	if (below(10) == 0)
		c.option &= ~(below(2) ? (uint32_t)MACH_RCV_MSG : (uint32_t)MACH_SEND_MSG);
	call(i, c);
}

static void send_reply(unsigned i)
{
	unsigned t = i % TASKS, which = right_count[t] - 1 - (below(4) == 0 ? (unsigned)below(right_count[t]) : 0);
	struct call c = { .bits = MACH_MSGH_BITS(MOVE_ONCE, 0), .id = 2000 + (int)below(100), .option = BOTH, .room = 2000 };

	c.remote = rights[t][which];
	c.name = below(6) == 0 ? somewhere(i) : set_names[t];
	spoil(i, &c);
	call(i, c);
	/* A dead name, or one that was not sent after all, goes. */
	which = 0;
	for (unsigned k = 0; k < right_count[t]; k++) {
		struct name *entry = space_lookup(&task[t]->space, rights[t][k]);

		if (entry != NULL && (entry->type & MACH_PORT_TYPE_SEND_ONCE) != 0)
			rights[t][which++] = rights[t][k];
		else if (entry != NULL && (entry->type & MACH_PORT_TYPE_DEAD_NAME) != 0)
			name_destroy(entry);
	}
	right_count[t] = which;
}

static void receive(unsigned i)
{
	struct call c = { .option = MACH_RCV_MSG, .room = 2000, .name = somewhere(i) };

	if (below(3) == 0)
		c.option |= MACH_RCV_TIMEOUT;
	if (below(12) == 0)
		spoil(i, &c);
	c.size = 0;
	call(i, c);
}

static void send_one(unsigned i)
{
	struct call c = { .bits = MACH_MSGH_BITS(COPY, 0), .id = 3000 + (int)below(100), .option = MACH_SEND_MSG };

	c.remote = send_name(i % TASKS, (unsigned)below(PORTS));
	spoil(i, &c);
	call(i, c);
}

static void kernel_call(unsigned i)
{
	struct call c = { .bits = MACH_MSGH_BITS(COPY, ONCE), .id = below(4) == 0 ? 2003 : 2000, .option = BOTH, .room = 2000 };

	struct task *own = task[i % TASKS];

	/* One that a spoilt call has moved away is made again. */
	if (name_of_port(&own->space, own->self) == NULL)
		space_insert(&own->space, right_make_send(own->self), MACH_MSG_TYPE_PORT_SEND, &c.remote);
	c.remote = name_of_port(&own->space, own->self)->name;
	c.local = c.name = receive_name(i % TASKS, i);
	spoil(i, &c);
	c.size = c.size < 48 ? 48 : c.size;
	if (below(3) == 0) {
		c.bits = MACH_MSGH_BITS(COPY, 0);
		c.local = NONE;
		c.option &= ~(uint32_t)MACH_RCV_MSG;
	}
	call(i, c);
}

static void change_set(unsigned i)
{
	unsigned which = below(6) == 0 ? (unsigned)below(PORTS) : THREADS + (unsigned)below(SERVICES);
	unsigned t = task_number(ports[which]->receiver);

	(void)i;
	if (t == TASKS)
		return;
	if (!ports[which]->in_set)
		portset_add(sets[t], ports[which]);
	else if (below(4) == 0)
		portset_remove(ports[which]);
}

static void change_port(unsigned i)
{
	unsigned which = (unsigned)below(PORTS), t = task_number(ports[which]->receiver), to = (unsigned)below(TASKS);
	mach_port_name_t name;
	uint32_t disposition;
	struct port *p;

	(void)i;
	if (ports[which]->dead) {
		reap_all();
		new_port(which);
	} else if (t != TASKS && below(3) == 0) {
		name_destroy(space_lookup(&task[t]->space, ports[which]->receiver_name));
	} else if (t != TASKS && below(3) == 0) {
		if (space_take(&task[t]->space, ports[which]->receiver_name, MACH_MSG_TYPE_MOVE_RECEIVE, &p, &disposition) !=
		    KERN_SUCCESS || space_insert(&task[to]->space, p, disposition, &name) != KERN_SUCCESS)
			panic("a right does not move");
	}
}

static void drop_right(unsigned i)
{
	unsigned t = i % TASKS;
	struct name *entry;

	if (right_count[t] == 0)
		return;
	/* A spoilt call may have moved it away. */
	entry = space_lookup(&task[t]->space, rights[t][--right_count[t]]);
	if (entry != NULL)
		name_destroy(entry);
}

static void change_thread(unsigned i)
{
	struct thread *other = thread[below(THREADS)];

	switch (below(3)) {
	case 0:
		thread[i]->depressed ^= true;
		break;
	case 1:
		if (other->suspend_count != 0)
			other->suspend_count = 0;
		else if (other != thread[i])
			test_suspend(other);
		break;
	default:
		for (unsigned k = 0; k < THREADS; k++)
			thread[k]->suspend_count = 0, thread[k]->depressed = false;
	}
}

static void act(unsigned i)
{
	unsigned dice = (unsigned)below(100);

	if (i < TASKS && right_count[i] != 0 && dice % 4 != 0)
		send_reply(i);
	else if (dice < 2)
		change_set(i);
	else if (dice < 4)
		change_port(i);
	else if (dice < 5)
		change_thread(i);
	else if (dice < 6)
		drop_right(i);
	else if (dice < 11)
		kernel_call(i);
	else if (dice < 18)
		send_one(i);
	else if (right_count[i % TASKS] != 0 && (i < TASKS || dice < 30))
		send_reply(i);
	else if (i < TASKS)
		receive(i);
	else if (dice < 95)
		send_request(i);
	else
		receive(i);
}

/* Whoever was woken runs, at once: so a hand-off has nothing in between, as on the machine. */
static void settle(void)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned i = 0; i < THREADS; i++) {
			if (thread[i]->state != THREAD_READY || !sched_runnable(thread[i]))
				continue;
			see_result(i, test_run(thread[i]));
			more = true;
		}
	}
}

static void one_step(void)
{
	unsigned i = (unsigned)below(THREADS);

	/* Servers are quick, mostly. */
	for (unsigned t = 0; t < TASKS && below(3) != 0; t++)
		if (thread[t]->state == THREAD_RUNNING)
			i = t;
	if (!sched_runnable(thread[i]))
		thread[below(THREADS)]->suspend_count = 0;
	else if (thread[i]->state == THREAD_WAITING && below(i < TASKS ? 24 : 6) == 0)
		wait_cancel(thread[i], below(2) ? WAIT_ABORTED : WAIT_TIMED_OUT);
	else if (thread[i]->state == THREAD_RUNNING)
		act(i);
	settle();
	if (below(4) == 0)
		reap_all();
	see_state();
}

static void check(void)
{
	for (unsigned t = 0; t < TASKS; t++)
		space_check(&task[t]->space);
	for (unsigned i = 0; i < PORTS; i++)
		port_check(ports[i]);
	for (unsigned t = 0; t < TASKS; t++)
		port_check(sets[t]);
}

static void round_begin(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		thread[i] = i < TASKS ? test_thread(ledger[i]) : test_thread_in(task[i % TASKS]);
		task[i % TASKS] = thread[i]->task;
		memset(&last[i], 0, sizeof(last[i]));
	}
	for (unsigned i = 0; i < PORTS; i++) {
		ports[i] = NULL;
		new_port(i);
	}
	for (unsigned t = 0; t < TASKS; t++) {
		set_names[t] = NONE;
		right_count[t] = 0;
		space_allocate(&task[t]->space, MACH_PORT_RIGHT_PORT_SET, &set_names[t]);
		sets[t] = test_port_of(thread[t], set_names[t]);
		portset_add(sets[t], ports[THREADS + t]);
		portset_add(sets[t], ports[THREADS + t + TASKS]);
	}
}

static void round_end(void)
{
	for (unsigned i = 0; i < PORTS; i++)
		port_unref(ports[i]);
	for (unsigned t = 0; t < TASKS; t++)
		test_task_end(task[t]);
	reap_all();
}

static void run(void)
{
	step = 0;
	for (unsigned round = 0; round < ROUNDS && !differs; round++) {
		round_begin();
		for (unsigned i = 0; i < STEPS && !differs; i++, step++) {
			one_step();
			if (step % 16 == 0)
				check();
		}
		round_end();
	}
	ok(host_audit(), "the audit agrees, world %u", world);
	for (unsigned t = 0; t < TASKS; t++)
		for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
			if (host_used(ledger[t], r) != 0)
				ok(false, "no %s is left", ledger_resource_name(r));
}

int main(void)
{
	unsigned passes, first;
	uint64_t seed;

	tap_begin("ipc_msg_fast_same_test");
	test_msg_init(16384);
	/* So that messages are made of what the zone keeps. */
	mem_fail_enabled = false;
	for (unsigned t = 0; t < TASKS; t++)
		ledger[t] = test_ledger("same");
	seed = random_u64() | 1;
	random_state = seed;
	run();
	passes = test_passes;
	first = delivered;
	world = 1;
	host_fast_off = true;
	random_state = seed;
	run();
	diag("%u messages, %u by the fast path, %u lines", first, passes, line_count);
	ok(first > ROUNDS * 10 && passes > ROUNDS * 2, "messages went through, many of them by the fast path");
	ok(test_passes == passes, "which was off in the second world");
	ok(!differs && line_at == line_count && delivered == 2 * first, "both worlds are the same");
	return tap_done();
}
