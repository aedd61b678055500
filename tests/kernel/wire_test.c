/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls of the kernel written byte by byte as a GNU Mach program's stubs write them on x86-64, and
 * the replies compared byte by byte: whoever speaks that format is understood.
 * RUN: in root wire_test
 */
#include <string.h>
#include <mach/mig_errors.h>
#include "msg.h"
#include "tap.h"

#define PAGE	4096u

static mach_port_t self, reply;
static uint8_t buffer[2048], sent[2048];
static uint32_t length;

static void put32(uint32_t value)
{
	memcpy(buffer + length, &value, 4);
	length += 4;
}

static void put64(uint64_t value)
{
	memcpy(buffer + length, &value, 8);
	length += 8;
}

/* Bits: remote COPY_SEND (19), local MAKE_SEND_ONCE (21). */
static void begin(uint32_t port, uint32_t id, bool complex)
{
	memset(buffer, 0, sizeof buffer);
	length = 0;
	put32(19 | 21 << 8 | (complex ? 0x80000000 : 0));
	put32(0);
	put32(port);
	put32(0);
	put32(reply);
	put32(0);
	put32(0);
	put32(id);
}

/* The descriptor's first word: name in bits 0-7, size in 8-23, inline 29, long form 30, deallocate 31. */
static void type(uint32_t word, uint32_t number)
{
	put32(word);
	put32(number);
}

#define INLINE		0x20000000u
#define INTEGER_32	(2u | 32u << 8 | INLINE)
#define INTEGER_64	(11u | 64u << 8 | INLINE)
#define BOOLEAN		(0u | 32u << 8 | INLINE)
#define PORT_NAME	(15u | 32u << 8 | INLINE)

static uint32_t get32(uint32_t offset)
{
	uint32_t value;

	memcpy(&value, buffer + offset, 4);
	return value;
}

static uint64_t get64(uint32_t offset)
{
	uint64_t value;

	memcpy(&value, buffer + offset, 8);
	return value;
}

/* Sends what was put together, and receives the reply over it. */
static bool call(const char *what)
{
	mach_msg_return_t code;
	uint32_t size = length;

	memcpy(buffer + 4, &size, 4);
	memset(buffer + size, 0xee, sizeof buffer - size);
	memcpy(sent, buffer, sizeof sent);
	code = mach_msg_trap((mach_msg_header_t *)(void *)buffer, 1 | 2 | 0x100, size, sizeof buffer, reply, 10000, 0);
	return is_code(code, 0, "%s: a request by hand is answered", what);
}

/* The head of a reply: 48 bytes, the return code at 40. */
static void head(const char *what, uint32_t bits, uint32_t size, uint32_t id, uint32_t code)
{
	ok(get32(0) == (bits | 18 << 8) && get32(4) == size && get32(28) == id && get64(8) == 0 && get64(16) == reply,
	   "%s: the reply's header is right", what);
	if (get32(0) != (bits | 18 << 8) || get32(4) != size || get32(28) != id)
		diag("bits %#x, size %u, id %u, remote %#lx, local %#lx", get32(0), get32(4), get32(28),
		     (unsigned long)get64(8), (unsigned long)get64(16));
	ok(get32(32) == INTEGER_32 && get32(36) == 1 && get32(40) == code && get32(44) == 0,
	   "%s: its return code %#x lies behind one INTEGER_32, padded", what, code);
	if (get32(40) != code)
		diag("got:      %#x", get32(40));
	ok(memcmp(buffer + size, sent + size, sizeof buffer - size) == 0, "%s: nothing is written behind it", what);
}

static void memory(void)
{
	uint64_t address;

	begin(self, 2021, false);
	type(INTEGER_64, 1);
	put64(0);
	type(INTEGER_64, 1);
	put64(3 * PAGE);
	type(BOOLEAN, 1);
	put32(1);
	put32(0);
	is(length, 80, "vm_allocate: the request has 80 bytes");
	if (!call("vm_allocate"))
		return;
	head("vm_allocate", 0, 64, 2121, 0);
	ok(get32(48) == INTEGER_64 && get32(52) == 1, "vm_allocate: the address is one INTEGER_64");
	address = get64(56);
	*(char *)(address + 3 * PAGE - 1) = 'x';
	is(*(char *)address, 0, "vm_allocate: memory is there");

	begin(self, 2027, true);
	type(INTEGER_64, 1);
	put64(address);
	type(9u | 8u << 8 | 0x40000000u, PAGE);
	put64(address + 2 * PAGE);
	if (call("vm_write"))
		head("vm_write", 0, 48, 2127, 0);
	is(*(char *)(address + PAGE - 1), 'x', "vm_write: out-of-line bytes are written");

	begin(self, 2026, false);
	type(INTEGER_64, 1);
	put64(address);
	type(INTEGER_64, 1);
	put64(2 * PAGE);
	if (call("vm_read")) {
		head("vm_read", 0x80000000, 64, 2126, 0);
		is(get32(48), 9u | 8u << 8 | 0x80000000u | (get32(48) & 0x40000000u),
		   "vm_read: the data is out of line, 8-bit bytes, to be deallocated");
		is(get32(52), 2 * PAGE, "vm_read: as many as were asked for");
		is(*(char *)(get64(56) + PAGE - 1), 'x', "vm_read: they are there");
		need(vm_deallocate(self, get64(56), 2 * PAGE), "what was read");
	}

	begin(self, 2023, false);
	type(INTEGER_64, 1);
	put64(address);
	type(INTEGER_64, 1);
	put64(3 * PAGE);
	if (call("vm_deallocate"))
		head("vm_deallocate", 0, 48, 2123, 0);
	begin(self, 2023, false);
	type(INTEGER_64, 1);
	put64(0xffffffff80000000);
	type(INTEGER_64, 1);
	put64(PAGE);
	if (call("vm_deallocate of the kernel"))
		head("vm_deallocate of the kernel", 0, 48, 2123, KERN_INVALID_ADDRESS);
}

static void ports(void)
{
	uint32_t name, previous_type;

	begin(self, 3204, false);
	type(INTEGER_32, 1);
	put32(MACH_PORT_RIGHT_RECEIVE);
	put32(0);
	if (!call("mach_port_allocate"))
		return;
	head("mach_port_allocate", 0, 64, 3304, 0);
	ok(get32(48) == PORT_NAME && get32(52) == 1 && get32(60) == 0, "mach_port_allocate: the name is one PORT_NAME");
	name = get32(56);
	is(port_type(name), MACH_PORT_TYPE_RECEIVE, "mach_port_allocate: the right is there");

	begin(self, 3215, true);
	type(PORT_NAME, 1);
	put32(name);
	put32(0);
	type(20u | 64u << 8 | INLINE, 1);
	put32(name);
	put32(0);
	if (call("mach_port_insert_right"))
		head("mach_port_insert_right", 0, 48, 3315, 0);
	is(port_type(name), MACH_PORT_TYPE_SEND_RECEIVE, "mach_port_insert_right: a right in an 8-byte slot is made");

	begin(self, 3214, true);
	type(PORT_NAME, 1);
	put32(name);
	put32(0);
	type(INTEGER_32, 1);
	put32(72);
	put32(0);
	type(INTEGER_32, 1);
	put32(0);
	put32(0);
	type(21u | 64u << 8 | INLINE, 1);
	put32(reply);
	put32(0);
	if (call("mach_port_request_notification")) {
		head("mach_port_request_notification", 0x80000000, 64, 3314, 0);
		previous_type = get32(48);
		ok((previous_type & 0xff) == 18 && (previous_type >> 8 & 0xffff) == 64 && get64(56) == 0,
		   "mach_port_request_notification: the previous right is one 64-bit slot, null");
	}
	mach_port_mod_refs(self, name, MACH_PORT_RIGHT_RECEIVE, -1);
	memset(buffer, 0xee, sizeof buffer);
	is_code(mach_msg_trap((mach_msg_header_t *)(void *)buffer, 2 | 0x100, 0, sizeof buffer, reply, 0, 0), 0,
		"a dead-name notification comes");
	{
		const uint32_t expected[12] = { 18 << 8, 48, 0, 0, reply, 0, get32(24), 72, PORT_NAME, 1, name, 0 };

		ok(memcmp(buffer, expected, sizeof expected) == 0 && buffer[48] == 0xee,
		   "a dead-name notification has the 48 bytes that it should");
	}
	mach_port_mod_refs(self, name, MACH_PORT_RIGHT_DEAD_NAME, -2);

	begin(self, 3201, false);
	type(PORT_NAME, 1);
	put32(0x7654321);
	put32(0);
	if (call("mach_port_type"))
		head("mach_port_type of an unused name", 0, 48, 3301, KERN_INVALID_NAME);
}

static void information(void)
{
	uint32_t count = 0, expected_inline;

	/* A request for variable data gives the room in integers. */
	begin(self, 2012, false);
	type(INTEGER_32, 1);
	put32(1);
	put32(0);
	type(INTEGER_32, 1);
	put32(1024);
	put32(0);
	if (call("task_info")) {
		count = get32(52);
		expected_inline = 48 + 8 + ((count * 4 + 7) & ~7u);
		head("task_info", 0, expected_inline, 2112, 0);
		is(get32(48), INTEGER_32, "task_info: the data are inline INTEGER_32s");
		is(count, 30, "task_info: the basic flavour has 30 of them");
		ok(get64(56 + 8) >= 10 * PAGE && get64(56 + 16) >= PAGE && get64(56 + 16) <= get64(56 + 8),
		   "task_info: virtual and resident size stand at 8 and 16");
	}
	begin(self, 2011, false);
	if (call("task_threads")) {
		head("task_threads", 0x80000000, 64, 2111, 0);
		ok((get32(48) & 0x20ffffff) == (17u | 32u << 8) && get32(52) == 2,
		   "task_threads: two send rights out of line, as 32-bit names");
		ok(((uint32_t *)get64(56))[0] == test_thread() || ((uint32_t *)get64(56))[1] == test_thread(),
		   "task_threads: this thread is one of them");
		for (unsigned i = 0; i < 2; i++)
			mach_port_deallocate(self, ((uint32_t *)get64(56))[i]);
		need(vm_deallocate(self, get64(56), 8), "an array");
	}
}

/* What is not as it should be is answered with a code, by a reply of 48 bytes. */
static void refused(void)
{
	begin(self, 2999, false);
	if (call("no routine"))
		head("no routine", 0, 48, 3099, (uint32_t)MIG_BAD_ID);
	begin(self, 2021, false);
	if (call("too short"))
		head("too short", 0, 48, 2121, (uint32_t)MIG_BAD_ARGUMENTS);
	begin(self, 2021, false);
	type(INTEGER_64, 1);
	put64(0);
	type(INTEGER_64, 1);
	put64(PAGE);
	type(BOOLEAN, 1);
	put32(1);
	put32(0);
	put64(0);
	if (call("too long"))
		head("too long", 0, 48, 2121, (uint32_t)MIG_BAD_ARGUMENTS);
	begin(self, 2021, false);
	type(INTEGER_64, 1);
	put64(0);
	type(INTEGER_64, 2);
	put64(PAGE);
	type(BOOLEAN, 1);
	put32(1);
	put32(0);
	if (call("a wrong count"))
		head("a wrong count", 0, 48, 2121, (uint32_t)MIG_BAD_ARGUMENTS);
	begin(self, 2021, false);
	type(INTEGER_64, 1);
	put64(0);
	type(INTEGER_32, 1);
	put64(PAGE);
	type(BOOLEAN, 1);
	put32(1);
	put32(0);
	if (call("a wrong type"))
		head("a wrong type", 0, 48, 2121, (uint32_t)MIG_BAD_ARGUMENTS);
	begin(self, 3215, false);
	type(PORT_NAME, 1);
	put32(0x5000);
	put32(0);
	type(20u | 64u << 8 | INLINE, 1);
	put32(reply);
	put32(0);
	if (call("a right in a simple message"))
		head("a right in a simple message", 0, 48, 3315, (uint32_t)MIG_BAD_ARGUMENTS);
	is(port_type(0x5000), 0, "and is not taken");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	reply = port_new();
	memory();
	ports();
	information();
	refused();
	port_free(reply);
	return done_testing();
}
