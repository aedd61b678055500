/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls that work on as much as one call may: messages of very many items, rights and regions, memory of very many entries.
 * Time grows with what is worked on and no faster. How long interrupts are off, debug builds tell on the console:
 * tests/floods/stretch.t reads it.
 * RUN: in root long_calls_test
 * BOOT: mem=128M icount=1
 */
#include <string.h>
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <weir/weir.h>
#include <weir_user.h>
#include "child.h"
#include "msg.h"
#include "tap.h"

#define RIGHTS		4096	/* most of one message */
#define ITEMS		32000	/* 8 bytes each: a message has at most 256 KiB */
#define ENTRIES		3000
#define MEMORY		0x30000000000ull

static mach_port_t self, port;
static union {
	mach_msg_header_t head;
	struct msg msg;
	char bytes[256 * 1024];
} big __attribute__((aligned(4096)));

/* The kernel tells of the longest stretch since the one before. */
static void begin(void)
{
	weir_debug(test_host_priv(), WEIR_DEBUG_STRETCH, 0);
}

static void end(const char *what)
{
	mach_print("long call: ");
	mach_print(what);
	mach_print("\n");
	begin();
}

static void receive(const char *what)
{
	begin();
	is_code(mach_msg(&big.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof big, port, 0, MACH_PORT_NULL),
		MACH_MSG_SUCCESS, "%s are received", what);
	end("receive");
	mach_msg_destroy(&big.head);
}

/* Items of no length. */
static void items(unsigned type, unsigned bits, const char *what)
{
	mach_msg_type_t item = { .msgt_name = type, .msgt_size = bits & 0xffff, .msgt_inline = 1 };

	big.head = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0) | MACH_MSGH_BITS_COMPLEX,
					.msgh_remote_slot = port };
	for (unsigned i = 0; i < ITEMS; i++)
		memcpy(big.bytes + sizeof big.head + i * sizeof item, &item, sizeof item);
	begin();
	is_code(mach_msg(&big.head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof big.head + ITEMS * sizeof item, 0,
			 MACH_PORT_NULL, 0, MACH_PORT_NULL), MACH_MSG_SUCCESS, "%s are sent", what);
	end(what);
	receive(what);
}

static void rights(unsigned type, const char *what)
{
	static mach_port_t names[RIGHTS];

	for (unsigned i = 0; i < RIGHTS; i++)
		names[i] = port;
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		msg_begin(&big.msg, COPY_SEND, port, 0, 0, 1);
		msg_add_array(&big.msg, type, names, RIGHTS, false);
		begin();
		is_code(msg_send(&big.msg, MACH_SEND_TIMEOUT, 0), wrong ? MACH_SEND_INVALID_RIGHT : MACH_MSG_SUCCESS,
			"%s%s", what, wrong ? ", the last of which is none" : "");
		end(what);
		if (!wrong)
			receive(what);
		names[RIGHTS - 1] = 0x7654321;
	}
}

static void memory_make(unsigned entries)
{
	vm_address_t at = MEMORY;

	for (unsigned i = 0; i < entries; i++, at += vm_page_size) {
		need(vm_allocate(self, &at, vm_page_size, FALSE), "memory");
		*(volatile char *)at = (char)i;
	}
}

/* vm_read, and vm_write of the same; how long the latter takes. */
static uint64_t read_and_write(unsigned entries)
{
	vm_size_t size = entries * vm_page_size;
	mach_msg_type_number_t count = 0;
	vm_offset_t data = 0;
	uint64_t start;

	memory_make(entries);
	begin();
	need(vm_read(self, MEMORY, size, &data, &count), "vm_read");
	end("vm_read");
	start = clock_uptime_ns();
	need(vm_write(self, MEMORY, data, count), "vm_write");
	start = clock_uptime_ns() - start;
	end("vm_write");
	give_back_memory(data, count);
	end("vm_deallocate");
	give_back_memory(MEMORY, size);
	end("vm_deallocate");
	return start;
}

static void memory(void)
{
	uint64_t half = read_and_write(ENTRIES / 2), whole = read_and_write(ENTRIES);
	vm_address_t hole = MEMORY + (ENTRIES - 1) * vm_page_size;

	ok(whole < half * 3, "twice as many entries take twice as long to be written (%llu us, %llu us)",
	   (unsigned long long)(half / 1000), (unsigned long long)(whole / 1000));
	memory_make(ENTRIES);
	for (unsigned wrong = 0; wrong < 2; wrong++) {
		msg_begin(&big.msg, COPY_SEND, port, 0, 0, 1);
		msg_add_region(&big.msg, (void *)MEMORY, ENTRIES * vm_page_size, false);
		begin();
		is_code(msg_send(&big.msg, MACH_SEND_TIMEOUT, 0), wrong ? MACH_SEND_INVALID_MEMORY : MACH_MSG_SUCCESS,
			"%u entries%s", ENTRIES, wrong ? ", but for the last" : "");
		end("out of line");
		if (!wrong)
			receive("they");
		give_back_memory(hole, vm_page_size);
	}
	give_back_memory(MEMORY, (ENTRIES - 1) * vm_page_size);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	port = port_new_send();
	need(memory_touch((vm_address_t)&big, sizeof big), "a buffer");
	items(MACH_MSG_TYPE_CHAR, 8, "items of no bytes");
	items(MACH_MSG_TYPE_COPY_SEND, 64, "items of no rights");
	rights(MAKE_SEND, "send rights");
	rights(MAKE_ONCE, "send-once rights");
	memory();
	port_free(port);
	return done_testing();
}
