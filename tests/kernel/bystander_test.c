/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Long calls let others run: a thread that wakes up each millisecond is not kept waiting by another, less urgent one, whatever
 * that asks the kernel for. In guest time, which is exact.
 * RUN: in root bystander_test
 * BOOT: mem=512M icount=1
 * LIMIT: 240
 */
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <weir_user.h>
#include "child.h"
#include "msg.h"
#include "tap.h"

#define MEMORY	0x30000000000ull
#define COPY	0x38000000000ull
#define BYTES	(40ull << 20)
#define ENTRIES	20000
#define NAMES	100000
#define THREADS	1000
#define RIGHTS	4096

static mach_port_t self;
static volatile uint64_t woken_ns, longest_ns;
static volatile bool over;

/* More urgent than all that is measured. */
static void bystander(void *argument)
{
	(void)argument;
	while (!over) {
		uint64_t before = woken_ns;

		thread_sleep(1);
		woken_ns = clock_uptime_ns();
		if (before != 0 && woken_ns - before > longest_ns)
			longest_ns = woken_ns - before;
	}
}

static uint64_t began_ns;

static void begin(void)
{
	thread_sleep(5);
	longest_ns = 0;
	began_ns = clock_uptime_ns();
}

/* Two milliseconds are for the tick and for the sleep. */
#define MOST_US	4000

static void end(const char *what)
{
	uint64_t took = clock_uptime_ns() - began_ns;

	thread_sleep(5);
	ok(longest_ns < MOST_US * 1000, "%s: the bystander waits %llu us at most (it takes %llu us)", what,
	   (unsigned long long)longest_ns / 1000, (unsigned long long)took / 1000);
}

/* Calls that do not pause yet. */
static void end_long(const char *what)
{
	uint64_t took = clock_uptime_ns() - began_ns;

	thread_sleep(5);
	diag("%s: the bystander waits %llu us (it takes %llu us)", what, (unsigned long long)longest_ns / 1000,
	     (unsigned long long)took / 1000);
}

static void entries_make(vm_address_t at, unsigned entries)
{
	for (unsigned i = 0; i < entries; i++, at += vm_page_size) {
		need(vm_allocate(self, &at, vm_page_size, FALSE), "memory");
		*(volatile char *)at = (char)i;
	}
}

static void large_make(vm_address_t at)
{
	need(vm_allocate(self, &at, BYTES, FALSE), "memory");
	for (vm_size_t i = 0; i < BYTES; i += vm_page_size)
		*(volatile char *)(at + i) = (char)i;
}

static void nothing(void *argument)
{
	(void)argument;
}

static void test_large(void)
{
	mach_msg_type_number_t count = 0;
	vm_offset_t data = 0;
	struct child child;

	large_make(MEMORY);
	large_make(COPY);
	begin();
	need(vm_read(self, MEMORY, BYTES, &data, &count), "vm_read");
	end("vm_read, one entry");
	begin();
	need(vm_write(self, COPY, data, count), "vm_write");
	end("vm_write");
	begin();
	need(vm_deallocate(self, data, count), "vm_deallocate");
	end("vm_deallocate of what was read");
	begin();
	need(vm_copy(self, MEMORY, BYTES, COPY), "vm_copy");
	end("vm_copy");
	begin();
	need(vm_wire(test_host_priv(), self, MEMORY, BYTES, VM_PROT_DEFAULT), "vm_wire");
	end("vm_wire");
	begin();
	need(vm_read(self, MEMORY, BYTES, &data, &count), "vm_read");
	end("vm_read of wired memory");
	need(vm_deallocate(self, data, count), "vm_deallocate");
	begin();
	need(child_start(&child, nothing, NULL, &(struct child_options){ .suspended = true }), "a child");
	end("task_create, wired memory");
	begin();
	child_finish(&child);
	end("its end");
	begin();
	need(vm_wire(test_host_priv(), self, MEMORY, BYTES, VM_PROT_NONE), "vm_wire");
	end("vm_wire, unwiring");
	begin();
	need(vm_wire_all(test_host_priv(), self, VM_WIRE_CURRENT), "vm_wire_all");
	end("vm_wire_all");
	need(vm_wire_all(test_host_priv(), self, VM_WIRE_NONE), "vm_wire_all");
	begin();
	need(vm_protect(self, MEMORY, BYTES, FALSE, VM_PROT_READ), "vm_protect");
	end("vm_protect, one entry");
	begin();
	need(vm_deallocate(self, MEMORY, BYTES), "vm_deallocate");
	end("vm_deallocate, one entry");
	need(vm_deallocate(self, COPY, BYTES), "vm_deallocate");
}

static mach_port_t port;
static union {
	mach_msg_header_t head;
	struct msg msg;
	char bytes[256 * 1024];
} big __attribute__((aligned(4096)));

static void receive(const char *what)
{
	begin();
	is_code(mach_msg(&big.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof big, port, 0, MACH_PORT_NULL), MACH_MSG_SUCCESS, "%s", what);
	end_long(what);
	mach_msg_destroy(&big.head);
}

static void test_entries(void)
{
	vm_size_t size = ENTRIES * vm_page_size;
	mach_msg_type_number_t count = 0;
	vm_offset_t data = 0;
	struct child child;

	entries_make(MEMORY, ENTRIES);
	begin();
	need(vm_read(self, MEMORY, size, &data, &count), "vm_read");
	end_long("vm_read, entries");
	begin();
	need(vm_write(self, MEMORY, data, count), "vm_write");
	end_long("vm_write, entries");
	begin();
	need(vm_deallocate(self, data, count), "vm_deallocate");
	end("vm_deallocate of read entries");
	begin();
	need(vm_protect(self, MEMORY, size, FALSE, VM_PROT_READ), "vm_protect");
	end("vm_protect, entries");
	begin();
	need(vm_protect(self, MEMORY, size, FALSE, VM_PROT_DEFAULT), "vm_protect");
	end("vm_protect, entries, back");
	begin();
	need(vm_inherit(self, MEMORY, size, VM_INHERIT_SHARE), "vm_inherit");
	end("vm_inherit, entries");
	need(vm_inherit(self, MEMORY, size, VM_INHERIT_COPY), "vm_inherit");
	begin();
	need(vm_wire(test_host_priv(), self, MEMORY, size, VM_PROT_DEFAULT), "vm_wire");
	end("vm_wire, entries");
	begin();
	need(vm_wire(test_host_priv(), self, MEMORY, size, VM_PROT_NONE), "vm_wire");
	end("vm_wire, unwiring entries");
	begin();
	need(vm_wire_all(test_host_priv(), self, VM_WIRE_CURRENT), "vm_wire_all");
	end("vm_wire_all, entries");
	begin();
	need(vm_wire_all(test_host_priv(), self, VM_WIRE_NONE), "vm_wire_all");
	end("vm_wire_all, unwiring entries");
	begin();
	need(child_start(&child, nothing, NULL, &(struct child_options){ .suspended = true }), "a child");
	end("task_create, entries");
	begin();
	child_finish(&child);
	end("its end");
	begin();
	msg_begin(&big.msg, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&big.msg, (void *)MEMORY, size, false);
	is_code(msg_send(&big.msg, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "sent");
	end_long("a message with the entries");
	receive("receiving it");
	begin();
	msg_begin(&big.msg, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&big.msg, (void *)MEMORY, size, true);
	is_code(msg_send(&big.msg, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "sent");
	end_long("a message with the entries, moved");
	receive("receiving it");
}

static void test_names(void)
{
	static mach_port_t names[NAMES];
	mach_port_t *list, *types;
	mach_msg_type_number_t count, types_count;

	for (unsigned i = 0; i < NAMES; i++)
		need(mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &names[i]), "a port");
	begin();
	need(mach_port_names(self, &list, &count, &types, &types_count), "mach_port_names");
	end("mach_port_names");
	vm_deallocate(self, (vm_address_t)list, count * 4);
	vm_deallocate(self, (vm_address_t)types, count * 4);
	for (unsigned i = 0; i < NAMES; i++)
		need(mach_port_mod_refs(self, names[i], MACH_PORT_RIGHT_RECEIVE, -1), "a port");
}

static void test_rights(unsigned type, const char *what)
{
	static mach_port_t names[RIGHTS];

	for (unsigned i = 0; i < RIGHTS; i++)
		names[i] = port;
	msg_begin(&big.msg, COPY_SEND, port, 0, 0, 1);
	msg_add_array(&big.msg, type, names, RIGHTS, false);
	begin();
	is_code(msg_send(&big.msg, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "sent");
	end_long(what);
	receive("receiving them");
}

static void test_threads(void)
{
	static thread_t threads[THREADS];
	thread_array_t list;
	mach_msg_type_number_t count;
	task_t child;

	need(child_empty(&child, MACH_PORT_NULL), "a task");
	for (unsigned i = 0; i < THREADS; i++)
		need(thread_create(child, &threads[i]), "a thread");
	begin();
	need(task_threads(child, &list, &count), "task_threads");
	end("task_threads");
	for (unsigned i = 0; i < THREADS; i++) {
		give_back_right(list[i]);
		give_back_right(threads[i]);
	}
	vm_deallocate(self, (vm_address_t)list, count * 4);
	begin();
	task_terminate(child);
	end("task_terminate");
	give_back_right(child);
}

int main(int argc, char **argv)
{
	struct thread *thread;

	test_begin(argc, argv, 200);
	self = mach_task_self();
	port = port_new_send();
	need(memory_touch((vm_address_t)&big, sizeof big), "a buffer");
	need(thread_spawn(bystander, NULL, 0, &thread), "a thread");
	need(thread_priority(test_thread(), 40, FALSE), "thread_priority");
	begin();
	thread_sleep(20);
	end("nothing");
	test_large();
	test_entries();
	test_rights(MAKE_SEND, "a message with send rights");
	test_rights(MAKE_ONCE, "a message with send-once rights");
	test_threads();
	test_names();
	over = true;
	thread_join(thread);
	port_free(port);
	return done_testing();
}
