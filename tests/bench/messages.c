/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: to self, to a server and back in another task or thread, with a right, with memory. */
#include "bench.h"
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <string.h>

#define PAGE		4096ul
#define SMALL		(64ul << 10)
#define LARGE		(1ul << 20)
#define SELF_BYTES	64	/* of a whole message to self */

static struct message {
	mach_msg_header_t head;
	mach_msg_type_t type;
	union {
		uint64_t words[3];
		vm_address_t address;
		mach_port_t right;
	};
} message;

static mach_port_t server_port, reply_port, moved;
static task_t server_task, holder;

mach_port_t bench_port(void)
{
	mach_port_t port;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	need(mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND), "a send right");
	return port;
}

void bench_port_free(mach_port_t port)
{
	need(mach_port_destroy(mach_task_self(), port), "mach_port_destroy");
}

/* --- to self: two traps --- */

static void self_setup(void)
{
	server_port = bench_port();
	message.type = (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_INTEGER_64, .msgt_size = 64,
					  .msgt_inline = 1, .msgt_number = 3 };
}

static void self_teardown(void)
{
	bench_port_free(server_port);
}

static void send_to_self(uint32_t size, unsigned complex)
{
	message.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0) | complex;
	message.head.msgh_remote_slot = server_port;
	message.head.msgh_local_slot = 0;
	need(mach_msg_trap(&message.head, MACH_SEND_MSG, size, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL), "send");
	need(mach_msg_trap(&message.head, MACH_RCV_MSG, 0, sizeof message, server_port, 0, MACH_PORT_NULL), "receive");
}

static void self_message(void)
{
	send_to_self(SELF_BYTES, 0);
}

/* --- a server --- */

void reply_server(void *argument)
{
	mach_port_t port = (mach_port_t)(uintptr_t)argument;
	struct {
		struct message message;
		uint64_t room[16];
	} room;
	mach_msg_header_t *head = &room.message.head;
	mach_msg_return_t code;

	code = mach_msg(head, MACH_RCV_MSG, 0, sizeof room, port, 0, MACH_PORT_NULL);
	while (code == MACH_MSG_SUCCESS) {
		/* A message without a reply port: the end. */
		if (head->msgh_remote_port == MACH_PORT_NULL)
			return;
		head->msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(head->msgh_bits), 0) |
				  (head->msgh_bits & MACH_MSGH_BITS_COMPLEX);
		head->msgh_local_port = MACH_PORT_NULL;
		code = mach_msg(head, MACH_SEND_MSG | MACH_RCV_MSG, head->msgh_size, sizeof room, port, 0,
				MACH_PORT_NULL);
	}
}

static void client_setup(void)
{
	server_port = bench_port();
	reply_port = mach_reply_port();
}

/* The receive right goes to the server; ours to send stays. */
static kern_return_t equip(task_t task, void *argument)
{
	(void)argument;
	return mach_port_insert_right(task, REPLY_SERVER_NAME, server_port, MACH_MSG_TYPE_MOVE_RECEIVE);
}

static void tasks_setup(void)
{
	client_setup();
	need(program_fork(reply_server, (void *)(uintptr_t)REPLY_SERVER_NAME, equip, &server_task), "a server task");
}

static void tasks_teardown(void)
{
	need(task_terminate(server_task), "task_terminate");
	give_back_right(server_task);
	give_back_right(server_port);
	bench_port_free(reply_port);
}

static struct thread *server_thread;

static void threads_setup(void)
{
	client_setup();
	need(thread_spawn(reply_server, (void *)(uintptr_t)server_port, 0, &server_thread), "a server thread");
}

static void threads_teardown(void)
{
	message.head.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0);
	message.head.msgh_remote_slot = server_port;
	message.head.msgh_local_slot = 0;
	need(mach_msg(&message.head, MACH_SEND_MSG, sizeof message.head, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL),
	     "the last message");
	thread_join(server_thread);
	bench_port_free(server_port);
	bench_port_free(reply_port);
}

static void call(uint32_t size, unsigned complex, int option, unsigned timeout_ms)
{
	message.head.msgh_bits =
		MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE) | complex;
	message.head.msgh_remote_slot = server_port;
	message.head.msgh_local_slot = reply_port;
	need(mach_msg(&message.head, MACH_SEND_MSG | MACH_RCV_MSG | option, size, sizeof message, reply_port,
		      timeout_ms, MACH_PORT_NULL), "a call");
}

static void null_rpc(void)
{
	call(sizeof message.head, 0, 0, 0);
}

static void timed_rpc(void)
{
	call(sizeof message.head, 0, MACH_RCV_TIMEOUT, 3600 * 1000);
}

/* --- a right goes to the server and comes back --- */

static void right_setup(void)
{
	tasks_setup();
	/* Its receive right is with neither of the two. */
	need(task_create(mach_task_self(), FALSE, &holder), "a task");
	moved = bench_port();
	need(mach_port_insert_right(holder, REPLY_SERVER_NAME, moved, MACH_MSG_TYPE_MOVE_RECEIVE), "a right");
}

static void right_teardown(void)
{
	give_back_right(moved);
	need(task_terminate(holder), "task_terminate");
	give_back_right(holder);
	tasks_teardown();
}

static void right_transfer(void)
{
	message.type = (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_MOVE_SEND, .msgt_size = 64, .msgt_inline = 1,
					  .msgt_number = 1 };
	message.words[0] = moved;
	call(sizeof message.head + 16, MACH_MSGH_BITS_COMPLEX, 0, 0);
	moved = message.right;
}

/* --- memory out of line, to self --- */

static vm_address_t region;
static vm_size_t region_size;

static void ool_setup(vm_size_t size)
{
	self_setup();
	region_size = size;
	need(memory_allocate(&region, size), "memory");
	memset((void *)region, 1, size);
}

static void ool_setup_small(void)
{
	ool_setup(SMALL);
}

static void ool_setup_large(void)
{
	ool_setup(LARGE);
}

static void ool_teardown(void)
{
	give_back_memory(region, region_size);
	self_teardown();
}

static vm_address_t ool_pass(void)
{
	message.type = (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8, .msgt_longform = 1,
					  .msgt_number = (mach_msg_type_number_t)region_size };
	message.address = region;
	send_to_self(sizeof message.head + 16, MACH_MSGH_BITS_COMPLEX);
	return message.address;
}

static void ool(void)
{
	need(syscall_vm_deallocate(mach_task_self(), ool_pass(), region_size), "vm_deallocate");
}

static void ool_read(void)
{
	vm_address_t at = ool_pass();

	for (vm_size_t i = 0; i < region_size; i += PAGE)
		(void)*(volatile uint64_t *)(at + i);
	need(syscall_vm_deallocate(mach_task_self(), at, region_size), "vm_deallocate");
}

const struct operation message_operations[] = {
	{ .name = "self_message", .setup = self_setup, .teardown = self_teardown, .run = self_message,
	  .kind = CROWD_MESSAGES },
	{ .name = "null_rpc_tasks", .setup = tasks_setup, .teardown = tasks_teardown, .run = null_rpc,
	  .kind = CROWD_TASKS },
	{ .name = "null_rpc_threads", .setup = threads_setup, .teardown = threads_teardown, .run = null_rpc,
	  .kind = CROWD_THREADS },
	{ .name = "timed_rpc_threads", .setup = threads_setup, .teardown = threads_teardown, .run = timed_rpc,
	  .kind = CROWD_TIMERS },
	{ .name = "right_transfer", .setup = right_setup, .teardown = right_teardown, .run = right_transfer,
	  .kind = CROWD_PORTS },
	{ .name = "ool_64k", .setup = ool_setup_small, .teardown = ool_teardown, .run = ool,
	  .kind = CROWD_ENTRIES },
	{ .name = "ool_64k_read", .setup = ool_setup_small, .teardown = ool_teardown, .run = ool_read,
	  .kind = CROWD_ENTRIES },
	{ .name = "ool_1m", .setup = ool_setup_large, .teardown = ool_teardown, .run = ool },
	{ .name = "ool_1m_read", .setup = ool_setup_large, .teardown = ool_teardown, .run = ool_read },
	{ 0 },
};
