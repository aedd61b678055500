/* SPDX-License-Identifier: BSD-2-Clause */
/* Random messages, good and bad, with random denials, waits and deaths: nothing breaks, and everything comes back.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "support/msg_test.h"
#include "ipc/ready.h"

#define STEPS 60000
#define TASKS 3
#define THREADS 6
#define NAMES 24

static struct ledger *ledger[TASKS];
static struct task *task[TASKS];
static struct thread *thread[THREADS];
static struct test_message m;
static unsigned listed_ready;
static bool has_region;		/* one with a bit wrong could take a thread's buffer away */

static mach_port_name_t some_name(struct thread *of)
{
	uint64_t key = random_below(4 * NAMES);		/* as wide as the kernel spreads so many */
	struct name *entry;

	switch (random_below(60)) {
	case 0:
		return NONE;
	case 1:
		return MACH_PORT_NAME_DEAD;
	case 2:
		return (mach_port_name_t)random_below(NAMES * 2);
	}
	entry = radix_next(&of->task->space.names, &key);
	if (entry == NULL || !name_taken(&of->task->space, entry->name))
		return some_name(of);
	return entry != NULL ? entry->name : 1;
}

static uint32_t some_type(void)
{
	return MACH_MSG_TYPE_MOVE_RECEIVE + (uint32_t)random_below(6);
}

/* A type that fits what the name is, mostly. */
static uint32_t fitting_type(struct thread *of, mach_port_name_t name)
{
	uint32_t type = test_type(of, name);

	if (random_below(40) == 0)
		return some_type();
	if (type & MACH_PORT_TYPE_SEND_ONCE)
		return MACH_MSG_TYPE_MOVE_SEND_ONCE;
	if ((type & MACH_PORT_TYPE_RECEIVE) && random_below(3))
		return random_below(5) == 0 ? MACH_MSG_TYPE_MOVE_RECEIVE : MACH_MSG_TYPE_MAKE_SEND + (uint32_t)random_below(2);
	return random_below(3) ? MACH_MSG_TYPE_COPY_SEND : MACH_MSG_TYPE_MOVE_SEND;
}

static uint64_t some_region(struct thread *of)
{
	/* Regions lie side by side from the lowest address on. */
	struct vm_entry *entry = vm_map_lookup(&of->task->map, test_buffer(of) % 0x10000 + random_below(48) * PAGE_SIZE);

	return entry != NULL ? entry->start + random_below(2) * random_below(PAGE_SIZE) : 0x5000;
}

/* Is the address in some thread's buffer? Those must stay. */
static bool is_buffer(struct thread *of, uint64_t address, uint64_t size)
{
	for (unsigned i = 0; i < THREADS; i++)
		if (thread[i]->task == of->task && address < test_buffer(thread[i]) + BUFFER_SIZE &&
		    (address & ~(PAGE_SIZE - 1ull)) + size + PAGE_SIZE > test_buffer(thread[i]))
			return true;
	return false;
}

static void add_random(struct thread *of, uint32_t *size)
{
	mach_port_name_t name = some_name(of);
	uint64_t address, bytes;

	switch (random_below(6)) {
	case 0: case 1: case 2:
		test_add_port(&m, size, fitting_type(of, name), name);
		break;
	case 3:
		has_region = true;
		address = some_region(of);
		bytes = random_below(3 * PAGE_SIZE);
		test_add_region(&m, size, address, (uint32_t)bytes, !is_buffer(of, address, bytes) && random_below(2));
		break;
	case 4:
		has_region = true;	/* a flipped bit must not give the buffer away */
		address = test_buffer(of) + 7000;
		for (unsigned i = 0; i < 8; i++) {
			name = some_name(of);
			test_write(of, address + i * 4, &name, 4);
		}
		test_add_array(&m, size, fitting_type(of, name), address, (uint32_t)random_below(9));
		break;
	default:
		*test_item(&m, size, (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_INTEGER_64, .msgt_size = 64,
							.msgt_inline = 1, .msgt_number = 1 }, 8) = random_u64();
	}
}

static void random_call(struct thread *of)
{
	mach_port_name_t to = some_name(of), reply = some_name(of);
	uint32_t size = test_header(&m, 0, to, reply, (int)random_below(4000));
	uint32_t option = 0, items = (uint32_t)random_below(6), bits;

	has_region = false;
	for (; items != 0; items--)
		add_random(of, &size);
	bits = m.h.msgh_bits;
	m.h.msgh_bits = bits | MACH_MSGH_BITS(fitting_type(of, to), reply == NONE ? 0 : fitting_type(of, reply));
	if (!has_region && random_below(10) == 0 && size > 40)
		m.body[random_below((size - 32) / 8)] ^= 1ull << random_below(64);
	if (random_below(6) == 0)
		size += (uint32_t)random_below(400) * 8;
	test_write(of, test_buffer(of), &m, size);
	option = (random_below(4) ? MACH_SEND_MSG : 0) | (random_below(3) ? 0 : MACH_RCV_MSG);
	option |= random_below(8) ? MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT : 0;
	option |= random_below(4) ? 0 : MACH_RCV_LARGE;
	option |= random_below(8) ? 0 : MACH_RCV_NOTIFY;
	option |= random_below(16) ? 0 : MACH_SEND_NOTIFY;
	/* The call's argument on the stack must not be what is denied. */
	test_write(of, test_buffer(of) + BUFFER_SIZE - 64, &option, 4);
	host_fail_nth(random_below(3) ? 0 : 1 + random_below(20));
	test_mach_msg(of, option, size, (uint32_t)random_below(600), random_below(2) ? reply : some_name(of),
		      (uint32_t)random_below(2), some_name(of));
	host_fail_nth(0);
}

static void random_step(struct thread *of)
{
	mach_port_name_t name;
	struct name *entry, *set;

	switch (random_below(12)) {
	case 0:
		name = NONE;
		if (of->task->space.count < NAMES)
			space_allocate(&of->task->space, random_below(4) ? MACH_PORT_RIGHT_RECEIVE : MACH_PORT_RIGHT_PORT_SET, &name);
		set = space_lookup(&of->task->space, name);
		if (set != NULL && (set->type & MACH_PORT_TYPE_PORT_SET) && random_below(2))
			ready_split(set->port);
		break;
	case 1:
		entry = space_lookup(&of->task->space, some_name(of));
		if (entry != NULL && random_below(of->task->space.count >= NAMES ? 1 : 4) == 0)
			name_destroy(entry);
		break;
	case 2:
		entry = space_lookup(&of->task->space, some_name(of));
		set = space_lookup(&of->task->space, some_name(of));
		if (entry != NULL && set != NULL && (set->type & MACH_PORT_TYPE_PORT_SET) && (entry->type & MACH_PORT_TYPE_RECEIVE))
			portset_add(set->port, entry->port);
		break;
	case 3:
		if (of->task->map.entry_count < 12)
			test_allocate(&of->task->map, 1 + random_below(4));
		break;
	default:
		random_call(of);
	}
}

static void give_memory_back(struct thread *of)
{
	uint64_t address = some_region(of) & ~(PAGE_SIZE - 1ull);

	if (of->task->map.entry_count > 12 && !is_buffer(of, address, PAGE_SIZE))
		vm_map_deallocate(&of->task->map, address, PAGE_SIZE);
}

/* Every port that is in a set is listed once among its members, with messages or without. */
static void check_sets(struct space *space)
{
	unsigned members = 0, listed = 0;
	struct name *entry;
	struct port *port;

	for (uint64_t key = 0; (entry = radix_next(&space->names, &key)) != NULL; key++) {
		if (entry->port == NULL || entry->port->dead)
			continue;
		if (entry->type & MACH_PORT_TYPE_RECEIVE)
			members += entry->port->in_set && !port_set_any(entry->port)->dead;
		if ((entry->type & MACH_PORT_TYPE_PORT_SET) == 0)
			continue;
		for (port = portset_first(entry->port); port != NULL; port = portset_next(port)) {
			claim(port_set_any(port) == entry->port, "a port of another set");
			claim(port->is_ready == (port->messages != NULL), "it waits its turn, or has no message");
			listed++;
			listed_ready += port->is_ready;
		}
	}
	claim(members == listed, "%u members, %u listed", members, listed);
}

int main(void)
{
	unsigned received = 0, sent = 0, waits = 0;

	tap_begin("ipc_msg_random_test");
	test_msg_init(16384);
	for (unsigned i = 0; i < TASKS; i++)
		ledger[i] = test_ledger("random");
	for (unsigned i = 0; i < THREADS; i++) {
		thread[i] = i < TASKS ? test_thread(ledger[i]) : test_thread_in(task[i % TASKS]);
		task[i % TASKS] = thread[i]->task;
	}
	for (unsigned i = 0; i < 2 * TASKS; i++) {
		mach_port_name_t name = test_port(thread[i]);

		test_send_right(thread[(i + 1) % THREADS], thread[i], name);
		test_send_right(thread[(i + 2) % THREADS], thread[i], name);
	}
	claim_begin("sets list their members");
	for (unsigned step = 0; step < STEPS; step++) {
		struct thread *t = thread[random_below(THREADS)];

		if (t->state == THREAD_WAITING && random_below(3) == 0) {
			waits++;
			wait_cancel(t, random_below(2) ? WAIT_TIMED_OUT : WAIT_ABORTED);
		}
		if (t->state == THREAD_READY)
			test_run(t);
		if (t->state != THREAD_RUNNING)
			continue;
		random_step(t);
		give_memory_back(t);
		if (random_below(16) == 0)
			reap_one();
		if (step % 64 == 0)
			for (unsigned i = 0; i < TASKS; i++) {
				space_check(&task[i]->space);
				check_sets(&task[i]->space);
			}
	}
	claim_end();
	ok(listed_ready > 20, "some with messages: %u", listed_ready);
	for (unsigned i = 0; i < TASKS; i++) {
		sent += (unsigned)task[i]->messages_sent;
		received += (unsigned)task[i]->messages_received;
	}
	diag("%u sent, %u received, %u waits cancelled, %lu denials", sent, received, waits, (long)host_denials);
	ok(sent > 1000 && received > 300, "messages went through");
	for (unsigned i = 0; i < TASKS; i++)
		test_task_end(task[i]);
	reap_all();
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		for (unsigned j = 0; j < TASKS; j++)
			is_u64(host_used(ledger[j], i), 0, "ledger %u pays for no %s at the end", j, ledger_resource_name(i));
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
