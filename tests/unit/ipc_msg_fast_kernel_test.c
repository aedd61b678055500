/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path of calls to kernel objects (krpc_plain.c): what goes by it, what does not, and that both answer alike.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "ipc_msg_fast_cases.h"
#include "x86_64/usercopy.h"

/* -- kernel calls -- */

static mach_port_name_t own_task;

static struct call kernel_call(int id)
{
	struct call c = plain_request();

	c.remote = own_task;
	c.id = id;
	c.size = 48;
	c.room = 1024;
	return c;
}

static int32_t ret_code(void)
{
	test_received(client, &m);
	return (int32_t)m.body[1];
}

static void kernel_calls(void)
{
	struct call c;
	struct port *r;
	uint32_t seqno;
	uint64_t sent, received, charges;
	char *snapshot;

	begin();
	r = test_port_of(client, reply);
	right_make_send(client->task->self);
	space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &own_task);
	seqno = r->sequence;
	sent = client->task->messages_sent;
	received = client->task->messages_received;
	charges = host_fail_calls;
	snapshot = host_snapshot();
	c = kernel_call(2000);
	ok(go(client, &c) == MACH_MSG_SUCCESS && ret_code() == KERN_SUCCESS && host_unchanged(snapshot) && host_fail_calls == charges,
	   "a kernel call leaves no trace");
	ok(m.h.msgh_bits == MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND_ONCE) && m.h.msgh_size == 64 && m.h.msgh_remote_slot == 0 &&
	   m.h.msgh_local_slot == reply && m.h.msgh_seqno == seqno && m.h.msgh_id == 2100, "its reply has the header of any");
	ok(r->sequence == seqno + 1 && client->task->messages_sent == sent + 1 && client->task->messages_received == received + 1,
	   "and is counted");
	ok(r->spare_prepaid && r->send_once_rights == 0, "the reply port has its message");
	port_bound_set(r, 50000);
	ok(go(client, &c) == MACH_MSG_SUCCESS && msg_reply_bound(r) == REPLY_BOUND_DEFAULT, "the bound of an abandoned call's reply goes with it");
	settle(true, "a kernel call", "");
}

/* Each is done once by the fast path, if it fits, and once without. All that can be seen is the same. */
static void kernel_calls_same(void)
{
	struct { int64_t result; uint32_t usage[LEDGER_RESOURCES]; uint64_t body[8]; mach_msg_header_t h; } seen[2];
	static const struct { int id; uint32_t size, room, option, bits; const char *what; } cases[] = {
		{ 2000, 48, 1024, 0, 0, "the plain one" }, { 2000, 40, 1024, 0, 0, "too short a request" },
		{ 2000, 256, 1024, 0, 0, "a long request" }, { 2000, 264, 1024, 0, 0, "a longer one" },
		{ 2000, 48, 48, 0, 0, "room for the head of the reply" }, { 2000, 48, 48, MACH_RCV_LARGE, 0, "the same, told" },
		{ 2000, 48, 0, 0, 0, "no room" }, { 2002, 48, 1024, 0, 0, "a long reply" }, { 2002, 48, 64, 0, 0, "a reply too long" },
		{ 2003, 48, 1024, 0, 0, "an error" }, { 2005, 48, 1024, 0, 0, "a right" }, { 2005, 48, 48, 0, 0, "a right too long" },
		{ 2006, 48, 1024, 0, 0, "no such routine" }, { 999999, 48, 1024, 0, 0, "an id far away" },
		{ 2000, 48, 1024, MACH_RCV_TIMEOUT, 0, "a time-out" }, { 2000, 48, 1024, MACH_SEND_NOTIFY, 0, "MACH_SEND_NOTIFY" },
		{ 2000, 48, 1024, 0, MACH_MSGH_BITS(COPY, MACH_MSG_TYPE_MAKE_SEND), "a send right for the reply" },
		{ 2000, 48, 1024, 0, MACH_MSGH_BITS(COPY, 0), "no reply right" },
		{ 2000, 32, 1024, 0, MACH_MSGH_BITS(COPY, ONCE) | MACH_MSGH_BITS_COMPLEX, "a complex one" },
		{ 2001, 48, 1024, 0, 0, "one that waits" },
		{ 2004, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message" },
		{ 2000, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message, to a routine that answers" },
		{ 2005, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message, to one that answers with a right" },
		{ 2006, 48, 1024, MACH_RCV_MSG, MACH_MSGH_BITS(COPY, 0), "only a message, to no routine" },
	};
	uint64_t zero[16] = { 0 };
	struct call c;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin();
		right_make_send(client->task->self);
		space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &own_task);
		memset(seen, 0, sizeof(seen));
		for (unsigned way = 0; way < 2; way++) {
			host_fast_off = way;
			c = kernel_call(cases[i].id);
			c.size = cases[i].size;
			c.room = cases[i].room;
			/* Without the receive: without a reply port. */
			c.option ^= cases[i].option;
			if ((c.option & MACH_RCV_MSG) == 0)
				c.local = NONE;
			c.notify = reply;
			c.timeout = 5;
			c.bits = cases[i].bits != 0 ? cases[i].bits : c.bits;
			test_write(client, test_buffer(client), zero, sizeof(zero));
			seen[way].result = go(client, &c);
			if (cases[i].id == 2001 && client->state == THREAD_WAITING) {
				thread_wake(client, KERN_NOT_IN_SET);
				seen[way].result = test_run(client);
			}
			host_fast_off = false;
			stop_waiting(client);
			test_received(client, &m);
			seen[way].h = m.h;
			memcpy(seen[way].body, m.body, sizeof(seen[way].body));
			for (unsigned k = 0; k < LEDGER_RESOURCES; k++)
				seen[way].usage[k] = (uint32_t)host_used(ledger_a, k);
			seen[way].h.msgh_seqno -= way;
			/* Names are chosen in turn. */
			if (cases[i].id == 2005 && cases[i].option == 0 && seen[way].result == MACH_MSG_SUCCESS) {
				seen[way].body[3] = test_port_of(client, (uint32_t)m.body[3]) == client->self;
				name_destroy(space_lookup(&client->task->space, (uint32_t)m.body[3]));
			}
			drain(client, reply);
		}
		seen[0].h.msgh_seqno = seen[1].h.msgh_seqno;
		ok(memcmp(&seen[0], &seen[1], sizeof(seen[0])) == 0, "a kernel call both ways: %s (%lx, %lx)", cases[i].what,
		   (long)seen[0].result, (long)seen[1].result);
		settle(true, "both ways: ", cases[i].what);
	}
}

/* Another thread waits at the reply port: the reply is the one's who waits there first. */
static void kernel_call_shared(void)
{
	struct thread *other;
	struct call c;

	begin();
	right_make_send(client->task->self);
	space_insert(&client->task->space, client->task->self, MACH_MSG_TYPE_PORT_SEND, &own_task);
	other = test_thread_in(client->task);
	c = plain_receive(reply);
	trap(other, &c);
	c = kernel_call(2000);
	ok(go(client, &c) == KERN_BLOCKED && test_run(other) == MACH_MSG_SUCCESS, "a reply port with a receiver: the reply is that's");
	thread_end(other);
	settle(true, "a receiver at the reply port", "");
}

int main(void)
{
	system_begin("ipc_msg_fast_kernel_test");
	kernel_calls();
	kernel_calls_same();
	kernel_call_shared();
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
