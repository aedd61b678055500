/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of mach_msg's fast path share: a client with a reply port, a server that waits, and the plain call between
   them, which a test spoils in one point at a time. Included by the one file of each test. */
#ifndef IPC_MSG_FAST_H
#define IPC_MSG_FAST_H
#include "support/msg_test.h"
#include "ipc/krpc.h"
#include "ipc/throttle.h"

#define COPY MACH_MSG_TYPE_COPY_SEND
#define ONCE MACH_MSG_TYPE_MAKE_SEND_ONCE
#define MOVE_ONCE MACH_MSG_TYPE_MOVE_SEND_ONCE
#define BOTH (MACH_SEND_MSG | MACH_RCV_MSG)
#define ROOM 512			/* bytes that a plain receive has room for */

/* One mach_msg: its arguments, and the header of what is sent. */
struct call {
	uint32_t bits;
	mach_port_name_t remote, local;
	int id;
	uint64_t buffer;
	uint32_t option, size, room;
	mach_port_name_t name;		/* to receive from */
	uint32_t timeout;
	mach_port_name_t notify;
};

static struct ledger *ledger_a, *ledger_b;
static struct thread *client, *server;
static mach_port_name_t port, to_port, reply, once;	/* once: the server's name of the last reply right */
static mach_port_name_t at;				/* where the server waits: port, or a set with it */
static struct test_message m;
static unsigned passes_before;

/* -- kernel calls: 2000 adds one to a word, 2001 waits, 2002 a long reply, 2003 fails, 2004 simple, 2005 a right -- */

static kern_return_t stub_add(void)
{
	memcpy(krpc_reply_bytes + 48, (const uint8_t *)krpc_now.in + 32, 16);
	((uint32_t *)(krpc_reply_bytes + 48))[2]++;
	krpc_now.out_size = 64;
	return KERN_SUCCESS;
}

static inline void stub_over(struct thread *thread, int result)
{
	krpc_reply(thread, result);
}

static inline void stub_cancelled(struct thread *thread, enum wait_reason reason)
{
	if (reason != WAIT_KILLED)
		krpc_reply(thread, KERN_ABORTED);
}

static kern_return_t stub_wait(void)
{
	static const struct wait_kind test_wait = { "test", stub_over, stub_cancelled, false };

	wait_begin(thread_current(), &test_wait, NULL, -1);
	return KRPC_BLOCKED;
}

static kern_return_t stub_long(void)
{
	memset(krpc_reply_bytes + 48, 7, 600 - 48);
	krpc_now.out_size = 600;
	return KERN_SUCCESS;
}

static kern_return_t stub_fail(void)
{
	krpc_now.out_size = 200;
	return KERN_NO_ACCESS;
}

static kern_return_t stub_simple(void)
{
	return KERN_SUCCESS;
}

static kern_return_t stub_right(void)
{
	mach_msg_type_t type = { .msgt_name = MACH_MSG_TYPE_PORT_SEND, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 };
	struct port *right = right_make_send(thread_current()->self);

	memcpy(krpc_reply_bytes + 48, &type, 8);
	memcpy(krpc_reply_bytes + 56, &right, 8);
	krpc_now.out_size = 64;
	krpc_now.out_complex = true;
	return KERN_SUCCESS;
}

static inline void stub_exists(void)
{
}

static const struct krpc_routine routines[] = {
	{ stub_add, stub_exists, "add", 48, 64, false, false, KRPC_PLAIN, 48 },
	{ stub_wait, stub_exists, "wait", 32, 48, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_long, stub_exists, "long", 32, 600, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_fail, stub_exists, "fail", 32, 48, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_simple, stub_exists, "simple", 32, 48, true, true, KRPC_EITHER, KRPC_NOT_PLAIN },
	{ stub_right, stub_exists, "right", 32, 64, false, true, KRPC_EITHER, KRPC_NOT_PLAIN },
};
const struct krpc_subsystem mach_subsystem = { "mach", 2000, sizeof(routines) / sizeof(routines[0]), routines };

/* -- calls -- */

/* The bytes of a message's body, of one id. */
static inline uint8_t body_byte(int id, uint32_t i)
{
	return (uint8_t)((uint32_t)id * 31 + i * 7 + 1);
}

/* The call as it stands, on what its buffer holds. */
static inline int64_t trap(struct thread *thread, const struct call *c)
{
	uint64_t stack = test_buffer(thread) + BUFFER_SIZE - 64;
	int64_t result;

	assert(thread->state == THREAD_RUNNING);
	test_write(thread, stack + 8, &c->notify, sizeof(c->notify));
	test_current = thread;
	passes_before = test_passes;
	thread->regs.rsp = stack;
	thread->regs.rdi = c->buffer != 0 ? c->buffer : test_buffer(thread);
	thread->regs.rsi = c->option;
	thread->regs.rdx = c->size;
	thread->regs.r10 = c->room;
	thread->regs.r8 = c->name;
	thread->regs.r9 = c->timeout;
	host_pmap_current = &thread->task->map.pmap;
	result = test_trap(thread);
	host_pmap_current = NULL;
	if (result != KERN_BLOCKED)
		thread->regs.rax = (uint64_t)result;
	return result;
}

/* Writes the message, then calls. */
static inline int64_t go(struct thread *thread, const struct call *c)
{
	uint64_t to = c->buffer != 0 ? c->buffer : test_buffer(thread);
	uint8_t body[BUFFER_SIZE];

	test_header(&m, c->bits, c->remote, c->local, c->id);
	test_write(thread, to, &m.h, sizeof(m.h));
	for (uint32_t i = 32; i < c->size; i++)
		body[i - 32] = body_byte(c->id, i);
	if (c->size > 32)
		test_write(thread, to + 32, body, c->size - 32);
	return trap(thread, c);
}

/* Was the last call passed on by the fast path? */
static inline bool was_fast(void)
{
	return test_passes == passes_before + 1;
}

static inline struct call plain_request(void)
{
	return (struct call){ .bits = MACH_MSGH_BITS(COPY, ONCE), .remote = to_port, .local = reply, .id = 100, .option = BOTH,
			      .size = 40, .room = ROOM, .name = reply };
}

static inline struct call plain_reply(void)
{
	return (struct call){ .bits = MACH_MSGH_BITS(MOVE_ONCE, 0), .remote = once, .id = 200, .option = BOTH, .size = 48,
			      .room = ROOM, .name = at };
}

static inline struct call plain_receive(mach_port_name_t name)
{
	return (struct call){ .option = MACH_RCV_MSG, .room = ROOM, .name = name };
}

/* The thread runs and has a message of the id and size, with its bytes; the head is in m. */
static inline bool has_got(struct thread *thread, uint64_t buffer, int id, uint32_t size)
{
	uint8_t body[BUFFER_SIZE];
	bool good = true;

	if (thread->state == THREAD_READY)
		test_run(thread);
	if (thread->state != THREAD_RUNNING || thread->regs.rax != MACH_MSG_SUCCESS) {
		diag("state %d, result %lx", thread->state, (long)thread->regs.rax);
		return false;
	}
	buffer = buffer != 0 ? buffer : test_buffer(thread);
	test_read(thread, buffer, &m.h, sizeof(m.h));
	if (size > 32)
		test_read(thread, buffer + 32, body, size - 32);
	for (uint32_t i = 32; i < size && good; i++)
		good = body[i - 32] == body_byte(id, i);
	if (!good || m.h.msgh_id != id || m.h.msgh_size != size)
		diag("id %d, %u bytes%s", m.h.msgh_id, m.h.msgh_size, good ? "" : ", other ones");
	return good && m.h.msgh_id == id && m.h.msgh_size == size;
}

/* The server has the request; its reply right is once. */
static inline bool served_as(uint64_t buffer, int id, uint32_t size)
{
	bool got = has_got(server, buffer, id, size);

	once = m.h.msgh_remote_port;
	return got;
}

static inline bool served(void)
{
	return served_as(0, 100, 40);
}

static inline bool answered(void)
{
	return has_got(client, 0, 200, 48);
}

static inline void check_all(void)
{
	struct thread *sides[] = { client, server };
	struct name *entry;

	for (unsigned i = 0; i < 2; i++) {
		struct space *space = &sides[i]->task->space;

		space_check(space);
		for (uint64_t key = 0; (entry = radix_next(&space->names, &key)) != NULL; key++)
			if (entry->port != NULL)
				port_check(entry->port);
	}
	if (!host_audit())
		panic("audit");
}

/* The whole plain call, both ways fast, and nothing charged or allocated. The server waits, before and after. */
static inline bool call_is_fast(void)
{
	struct call request = plain_request(), answer;
	uint64_t charges = host_fail_calls;
	bool good;

	check_all();
	good = go(client, &request) == KERN_BLOCKED && was_fast() && served();
	check_all();
	answer = plain_reply();
	good = good && go(server, &answer) == KERN_BLOCKED && was_fast() && answered() && host_fail_calls == charges;
	check_all();
	return good;
}

/* The server is given the name by hand. */
static inline void server_waits(void)
{
	struct call c = plain_receive(at);

	if (trap(server, &c) != KERN_BLOCKED)
		panic("the server does not wait");
}

/* The server answers and waits again, whichever way. */
static inline bool complete(void)
{
	struct call c = plain_reply();

	return go(server, &c) == KERN_BLOCKED && answered();
}

/* A client and a server that waits, after a call: the server's space has its own entry for reply rights by now. */
static inline void begin(void)
{
	struct call c;

	client = test_thread(ledger_a);
	server = test_thread(ledger_b);
	at = port = test_port(server);
	to_port = test_send_right(client, server, port);
	reply = test_port(client);
	if (!port_keep_reply(test_port_of(client, reply)))
		panic("no message kept");
	server_waits();
	c = plain_request();
	if (go(client, &c) != KERN_BLOCKED || was_fast() || !served() || !complete())
		panic("the first call fails");
}

static inline void stop_waiting(struct thread *thread)
{
	if (thread->state == THREAD_WAITING)
		wait_cancel(thread, WAIT_ABORTED);
	if (thread->state == THREAD_READY)
		test_run(thread);
	if (thread->state != THREAD_RUNNING)
		panic("still waiting");
}

/* Sends nothing by a reply right: its space's own entry stays for the next. */
static inline void use_up(struct thread *thread, mach_port_name_t name)
{
	struct call c = { .bits = MACH_MSGH_BITS(MOVE_ONCE, 0), .remote = name, .id = 300, .option = MACH_SEND_MSG, .size = 32 };

	if (go(thread, &c) != MACH_MSG_SUCCESS)
		panic("no reply right");
}

/* Receives all that there is. */
static inline void drain(struct thread *thread, mach_port_name_t name)
{
	while (test_type(thread, name) != 0 && test_receive(thread, &m, name, MACH_RCV_TIMEOUT) != MACH_RCV_TIMED_OUT)
		if (test_type(thread, m.h.msgh_remote_port) == MACH_PORT_TYPE_SEND_ONCE)
			use_up(thread, m.h.msgh_remote_port);
	stop_waiting(thread);
}

/* Whatever has happened: nothing is under way, no reply right is left, and the server waits. */
static inline void recover(void)
{
	stop_waiting(client);
	stop_waiting(server);
	if (test_type(server, once) == MACH_PORT_TYPE_SEND_ONCE)
		use_up(server, once);
	else if (test_type(server, once) == MACH_PORT_TYPE_SEND)
		name_destroy(space_lookup(&server->task->space, once));
	drain(server, at);
	drain(client, reply);
	server_waits();
}

/* A call that makes the server's own entry again. */
static inline void again(void)
{
	struct call c = plain_request();

	if (go(client, &c) != KERN_BLOCKED || was_fast() || !served() || !complete())
		panic("the call fails");
}

static inline void thread_end(struct thread *thread)
{
	throttle_leave(thread);
	test_thread_end(thread);
}

static inline void task_end(struct task *task)
{
	struct thread *thread;

	LIST_FOREACH(thread, &task->threads, task_link)
		throttle_leave(thread);
	test_task_end(task);
}

static inline void end(const char *after)
{
	bool clean = true;

	task_end(client->task);
	task_end(server->task);
	reap_all();
	ledger_settle();
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		if (host_used(ledger_a, i) != 0 || host_used(ledger_b, i) != 0) {
			diag("%s: %s %lu %lu", after, ledger_resource_name(i), (long)host_used(ledger_a, i),
			     (long)host_used(ledger_b, i));
			clean = false;
		}
	if (!clean || !host_audit())
		ok(false, "%s: all comes back", after);
}

static inline void system_begin(const char *name)
{
	tap_begin(name);
	test_msg_init(8192);
	ledger_a = test_ledger("a");
	ledger_b = test_ledger("b");
}

#endif
