/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mach_msg: headers, rights of every disposition, malformed messages, sizes, nesting.
 * Memory in messages is tested in msg_memory_test.c, waiting in msg_wait_test.c.
 * RUN: in root msg_test
 */
#include <string.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define R(right)	MACH_PORT_RIGHT_##right
#define T(type)		MACH_PORT_TYPE_##type
#define UNUSED_NAME	0x7654321u
#define WILD		((mach_msg_header_t *)0x123456789000)

static mach_port_t self, port;

static mach_msg_return_t send_raw(mach_msg_header_t *at, uint32_t size)
{
	return mach_msg_trap(at, MACH_SEND_MSG | MACH_SEND_TIMEOUT, size, 0, 0, 0, 0);
}

static void sizes(void)
{
	struct msg m;
	bool refused = true;

	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	for (uint32_t size = 0; size < 32; size++)
		refused &= send_raw(&m.head, size) == MACH_SEND_MSG_TOO_SMALL;
	for (uint32_t size = 33; size < 40; size++)
		refused &= send_raw(&m.head, size) == MACH_SEND_MSG_TOO_SMALL;
	ok(refused, "a message shorter than a header or of odd size is too small");
	ok(msg_none(port), "and not sent");
	m.head.msgh_size = 0xdeadbeef;
	is_code(send_raw(&m.head, 40), MACH_MSG_SUCCESS, "msgh_size does not matter on sending");
	is_code(msg_receive(&m, port, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "the message comes");
	is(m.head.msgh_size, 40, "with its right size");
	is(m.head.msgh_local_slot, port, "the local slot's high half is zero");
	is(m.head.msgh_remote_slot, 0, "without a reply port the remote slot is zero");
	is(MACH_MSGH_BITS_PORTS(m.head.msgh_bits), MACH_MSG_TYPE_PORT_SEND << 8, "the bits are reversed");
	is(m.bytes[40], (char)0xaa, "nothing is written behind the message");
}

/* Inline messages of all lengths around what the kernel keeps in one piece or in pages. */
static void long_messages(void)
{
	static const uint32_t lengths[] = { 104, 112, 120, 248, 256, 264, 4088, 4096, 4104, 8192, 12296, 65536, 114688, 114696,
					    262144 };
	static uint64_t out[262144 / 8 + 1], in[262144 / 8 + 1];
	mach_msg_header_t *head = (mach_msg_header_t *)out, *got = (mach_msg_header_t *)in;
	unsigned good = 0;

	for (unsigned i = 0; i < countof(out); i++)
		out[i] = i * 0x9e3779b97f4a7c15;
	for (unsigned i = 0; i < countof(lengths); i++) {
		*head = (mach_msg_header_t){ .msgh_bits = COPY_SEND, .msgh_remote_slot = port, .msgh_id = 3 };
		if (send_raw(head, lengths[i]) == MACH_MSG_SUCCESS &&
		    mach_msg_trap(got, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof in, port, 0, 0) == MACH_MSG_SUCCESS)
			good += got->msgh_size == lengths[i] &&
				memcmp(out + 4, in + 4, lengths[i] - 32) == 0;
	}
	is(good, countof(lengths), "inline messages up to 256 KiB arrive as they were sent");
	is_code(send_raw(head, 262144 + 8), MACH_SEND_NO_BUFFER, "a longer one is refused");
	is_code(send_raw(head, 0xfffffff8), MACH_SEND_NO_BUFFER, "the longest of all too");
}

static void bad_headers(void)
{
	mach_port_t set = port_new_set(), receive = port_new(), dead = port_new_send(), once = port_new_once(port);
	static const unsigned bad[] = { 0, 1, 2, 15, 16, 22, 23, 24, 128, 255 };
	struct msg m;
	unsigned refused = 0;

	for (unsigned i = 0; i < countof(bad); i++) {
		msg_begin(&m, bad[i], port, 0, 0, 1);
		refused += msg_send(&m, MACH_SEND_TIMEOUT, 0) == MACH_SEND_INVALID_HEADER;
	}
	is(refused, countof(bad), "a destination by anything but a send or send-once right is an invalid header");
	refused = 0;
	for (unsigned i = 0; i < countof(bad); i++) {
		msg_begin(&m, COPY_SEND, port, bad[i], port, 1);
		refused += msg_send(&m, MACH_SEND_TIMEOUT, 0) == MACH_SEND_INVALID_HEADER;
	}
	is(refused, countof(bad), "so is such a reply port");

	mach_port_mod_refs(self, dead, R(RECEIVE), -1);
	const mach_port_t destinations[] = { MACH_PORT_NULL, MACH_PORT_DEAD, UNUSED_NAME, set, receive, dead, once };
	refused = 0;
	for (unsigned i = 0; i < countof(destinations); i++) {
		msg_begin(&m, COPY_SEND, destinations[i], 0, 0, 1);
		refused += msg_send(&m, MACH_SEND_TIMEOUT, 0) == MACH_SEND_INVALID_DEST;
	}
	is(refused, countof(destinations),
	   "null, dead, unused and wrong rights are invalid destinations of a copied send right");
	refused = 0;
	for (unsigned i = 0; i < 6; i++) {
		msg_begin(&m, MOVE_ONCE, destinations[i], 0, 0, 1);
		refused += msg_send(&m, MACH_SEND_TIMEOUT, 0) == MACH_SEND_INVALID_DEST;
	}
	is(refused, 6, "and of a moved send-once right");
	is(port_refs(dead, R(DEAD_NAME)), 1, "a dead destination keeps its reference");
	const mach_port_t replies[] = { UNUSED_NAME, set, receive, once };
	refused = 0;
	for (unsigned i = 0; i < countof(replies); i++) {
		msg_begin(&m, COPY_SEND, port, COPY_SEND, replies[i], 1);
		refused += msg_send(&m, MACH_SEND_TIMEOUT, 0) == MACH_SEND_INVALID_REPLY;
	}
	is(refused, countof(replies), "unused and wrong rights are invalid reply ports");
	ok(msg_none(port), "none of all these was sent");

	msg_begin(&m, COPY_SEND, port, COPY_SEND, dead, 2);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "a dead name can be a reply port");
	msg_receive(&m, port, 0, 0);
	is(m.head.msgh_remote_port, MACH_PORT_DEAD, "and arrives as dead");
	msg_begin(&m, COPY_SEND, port, COPY_SEND, MACH_PORT_DEAD, 2);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "so can the reserved dead name");
	msg_receive(&m, port, 0, 0);
	is(m.head.msgh_remote_port, MACH_PORT_DEAD, "with the same result");
	port_free(set);
	port_free(receive);
	port_free(dead);
	port_free(once);
	message_await(port, 0);
}

static void bad_buffers(void)
{
	vm_address_t pages = 0;
	mach_msg_header_t *edge;
	struct msg m;

	is_code(send_raw(WILD, 64), MACH_SEND_INVALID_DATA, "a message at a wild address is invalid data");
	is_code(send_raw(NULL, 64), MACH_SEND_INVALID_DATA, "at null too");
	is_code(send_raw((mach_msg_header_t *)0xffffffff80000000, 64), MACH_SEND_INVALID_DATA,
		"at the kernel's addresses too");
	is_code(send_raw((mach_msg_header_t *)0xfffffffffffffff0, 64), MACH_SEND_INVALID_DATA,
		"at the end of all addresses too");
	is_code(send_raw((mach_msg_header_t *)0x8000000000000000, 64), MACH_SEND_INVALID_DATA,
		"at no address of the machine's too");
	need(vm_allocate(self, &pages, 2 * vm_page_size, TRUE), "two pages");
	need(vm_deallocate(self, pages + vm_page_size, vm_page_size), "a page given back");
	edge = (mach_msg_header_t *)(pages + vm_page_size - 48);
	*edge = (mach_msg_header_t){ .msgh_bits = COPY_SEND, .msgh_remote_slot = port, .msgh_id = 8 };
	is_code(send_raw(edge, 64), MACH_SEND_INVALID_DATA, "a message that ends outside memory is invalid");
	is_code(send_raw(edge, 48), MACH_MSG_SUCCESS, "one that ends with it is not");
	is_code(mach_msg_trap(edge, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, 4096, port, 0, 0), MACH_MSG_SUCCESS,
		"it can be received at the end of memory, into a buffer said to be larger");
	is(edge->msgh_id, 8, "as it was sent");

	msg_begin(&m, COPY_SEND, port, 0, 0, 9);
	mach_port_t moved = port_new_send();
	msg_add_port(&m, MOVE_RECEIVE, moved);
	msg_send(&m, 0, 0);
	is_code(mach_msg_trap(WILD, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, 4096, port, 0, 0), MACH_RCV_INVALID_DATA,
		"receiving to a wild address is an error");
	ok(msg_none(port), "and the message is gone");
	is(port_type(moved), T(SEND_RECEIVE), "but its rights were received");
	port_free(moved);
	give_back_memory(pages, vm_page_size);
}

static void atomic_headers(void)
{
	mach_port_t a = port_new_send();
	struct msg m;

	msg_begin(&m, MOVE_SEND, a, COPY_SEND, a, 1);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "one reference serves as moved destination and copied reply port");
	is(port_type(a), T(RECEIVE), "the reference is gone");
	msg_receive(&m, a, 0, 0);
	ok(m.head.msgh_remote_port == a && port_refs(a, R(SEND)) == 1, "and comes back as reply port");
	msg_begin(&m, COPY_SEND, a, MOVE_SEND, a, 1);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "or the other way round");
	msg_receive(&m, a, 0, 0);
	is(port_refs(a, R(SEND)), 1, "and comes back");
	msg_begin(&m, MOVE_SEND, a, MOVE_SEND, a, 1);
	kern_return_t code = msg_send(&m, MACH_SEND_TIMEOUT, 0);
	ok(code == MACH_SEND_INVALID_DEST || code == MACH_SEND_INVALID_REPLY, "it cannot be moved twice");
	is(port_refs(a, R(SEND)), 1, "and nothing is lost");
	port_add_send(a);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "two references can be moved");
	is(port_type(a), T(RECEIVE), "and are gone");
	port_free(a);
	port_free(port);
	port = port_new_send();
}

/* A message by each disposition as destination, with each as reply port. */
static void header_dispositions(void)
{
	static const unsigned types[] = { MOVE_SEND, MOVE_ONCE, COPY_SEND, MAKE_SEND, MAKE_ONCE };
	static const unsigned arrives[] = { 17, 18, 17, 17, 18 };
	unsigned good = 0;

	for (unsigned d = 0; d < countof(types); d++) {
		for (unsigned r = 0; r < countof(types); r++) {
			mach_port_t to = port_new(), reply = port_new(), to_name = to, reply_name = reply;
			struct msg m;
			bool right;

			if (types[d] == MOVE_SEND || types[d] == COPY_SEND)
				port_add_send(to);
			if (types[d] == MOVE_ONCE)
				to_name = port_new_once(to);
			if (types[r] == MOVE_SEND || types[r] == COPY_SEND)
				port_add_send(reply);
			if (types[r] == MOVE_ONCE)
				reply_name = port_new_once(reply);
			msg_begin(&m, types[d], to_name, types[r], reply_name, 5);
			right = msg_send(&m, 0, 0) == MACH_MSG_SUCCESS;
			right &= (port_refs(to, R(SEND)) == 1) == (types[d] == COPY_SEND);
			right &= (port_refs(reply, R(SEND)) == 1) == (types[r] == COPY_SEND);
			right &= port_status(to).mps_msgcount == 1;
			right &= msg_receive(&m, to, 0, 0) == MACH_MSG_SUCCESS;
			right &= m.head.msgh_bits == (arrives[r] | arrives[d] << 8);
			right &= m.head.msgh_local_port == to && port_status(to).mps_sorights == 0;
			if (arrives[r] == 17)
				right &= m.head.msgh_remote_port == reply &&
					 port_refs(reply, R(SEND)) == (types[r] == COPY_SEND ? 2 : 1);
			else
				right &= port_type(m.head.msgh_remote_port) == T(SEND_ONCE);
			if (arrives[r] == 18)
				port_free(m.head.msgh_remote_port);
			if (right)
				good++;
			else
				diag("destination type %u, reply type %u", types[d], types[r]);
			port_free(to);
			port_free(reply);
		}
	}
	is(good, 25, "messages arrive by every kind of destination with every kind of reply port, bits reversed");
}

static void body_rights(void)
{
	mach_port_t receive = port_new(), send = port_new_send(), make = port_new(), copy = port_new_send();
	mach_port_t once = port_new_once(make), dead = port_new_send(), got;
	struct msg m;

	mach_port_mod_refs(self, dead, R(RECEIVE), -1);
	mach_port_mod_refs(self, dead, R(DEAD_NAME), 1);
	need(mach_port_set_seqno(self, receive, 50), "a sequence number");
	need(mach_port_set_mscount(self, receive, 60), "a make-send count");
	need(mach_port_set_protected_payload(self, receive, 70), "a payload");
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_port(&m, MOVE_RECEIVE, receive);
	msg_add_port(&m, MOVE_SEND, send);
	msg_add_port(&m, MOVE_ONCE, once);
	msg_add_port(&m, COPY_SEND, copy);
	msg_add_port(&m, MAKE_SEND, make);
	msg_add_port(&m, MAKE_ONCE, make);
	msg_add_port(&m, COPY_SEND, MACH_PORT_NULL);
	msg_add_port(&m, MOVE_RECEIVE, MACH_PORT_DEAD);
	msg_add_port(&m, COPY_SEND, dead);
	msg_add_port(&m, MOVE_SEND, dead);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "a message with every kind of right is sent");
	is(port_type(receive), 0, "a moved receive right is gone");
	is(port_type(send), T(RECEIVE), "so is a moved send right");
	is(port_type(once), 0, "so is a moved send-once right");
	is(port_type(copy), T(SEND_RECEIVE), "a copied one stays");
	is(port_refs(dead, R(DEAD_NAME)), 1, "a dead name that is moved loses a reference, copied none");
	is_code(msg_receive(&m, port, 0, 0), MACH_MSG_SUCCESS, "it is received");
	got = msg_item_port(&m, 0);
	is(port_type(got), T(RECEIVE), "the receive right arrives");
	ok(port_status(got).mps_seqno == 0 && port_status(got).mps_mscount == 0,
	   "its sequence number and make-send count begin anew");
	port_add_send(got);
	msg_send_plain(got, 2);
	port_free(msg_item_port(&m, 2));
	{
		struct msg other;

		msg_receive(&other, got, 0, 0);
		is(other.head.msgh_local_port, got, "its payload is cleared");
	}
	port_free(got);
	ok(msg_item_port(&m, 1) == send && port_refs(send, R(SEND)) == 1, "the moved send right joins its receive right");
	ok(msg_item_port(&m, 3) == copy && port_refs(copy, R(SEND)) == 2, "the copy is a second reference");
	ok(msg_item_port(&m, 4) == make && port_refs(make, R(SEND)) == 1, "a made send right is there");
	is(port_type(msg_item_port(&m, 5)), T(SEND_ONCE), "a made send-once right has a name of its own");
	is(msg_item_port(&m, 6), MACH_PORT_NULL, "null stays null");
	is(msg_item_port(&m, 7), MACH_PORT_DEAD, "dead stays dead");
	ok(msg_item_port(&m, 8) == MACH_PORT_DEAD && msg_item_port(&m, 9) == MACH_PORT_DEAD, "dead names arrive as dead");
	{
		static const unsigned types[] = { 16, 17, 18, 17, 17, 18 };
		unsigned good = 0;

		for (unsigned i = 0; i < 6; i++)
			good += msg_item(&m, i)->msgt_name == types[i] && msg_item(&m, i)->msgt_size == 64 &&
				msg_item(&m, i)->msgt_number == 1;
		is(good, 6, "the descriptors tell of the rights received");
	}
	ok(((uint64_t *)(void *)(msg_item(&m, 0) + 1))[0] == got, "a right's slot has a high half of zero");
	is(message_await(make, 0), MACH_NOTIFY_SEND_ONCE, "the moved send-once right was the one that it was");
	port_free(msg_item_port(&m, 5));
	port_free(send);
	port_free(make);
	port_free(copy);
	port_free(dead);
}

static void deaths_in_transit(void)
{
	mach_port_t a = port_new_send(), holder = port_new_send(), inner = port_new();
	struct msg m;

	msg_begin(&m, COPY_SEND, port, MAKE_ONCE, a, 1);
	msg_add_port(&m, COPY_SEND, a);
	msg_add_port(&m, MAKE_ONCE, a);
	msg_send(&m, 0, 0);
	mach_port_destroy(self, a);
	msg_receive(&m, port, 0, 0);
	ok(msg_item_port(&m, 0) == MACH_PORT_DEAD && msg_item_port(&m, 1) == MACH_PORT_DEAD,
	   "rights whose port dies in transit arrive as dead");
	is(m.head.msgh_remote_port, MACH_PORT_DEAD, "the reply port too");

	msg_begin(&m, COPY_SEND, holder, 0, 0, 1);
	msg_add_port(&m, MOVE_RECEIVE, inner);
	mach_port_t send = 0;
	mach_msg_type_name_t type;
	need(mach_port_extract_right(self, inner, MAKE_SEND, &send, &type), "a send right");
	msg_send(&m, 0, 0);
	is(port_type(inner), T(SEND), "a port's receive right is in a message");
	msg_begin(&m, COPY_SEND, inner, MAKE_ONCE, port, 2);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "messages can be sent to it meanwhile");
	port_free(holder);
	is(port_type(inner), T(DEAD_NAME), "when the queue that it is in dies it dies");
	is(message_await(port, 1000), MACH_NOTIFY_SEND_ONCE, "and what waited in its queue is destroyed");
	port_free(inner);
}

/* -- malformed bodies: each is refused with its code, and changes nothing -- */

static struct {
	mach_port_t a, set;		/* a receive right with a send right; no port */
	struct snapshot before;
} bad;

/* What stands before the item that is wrong: rights that a refusal must leave to their owner. */
static void bad_begin(struct msg *m)
{
	msg_begin(m, COPY_SEND, port, MAKE_ONCE, bad.a, 1);
	msg_add_port(m, MAKE_ONCE, bad.a);
	msg_add_port(m, MOVE_RECEIVE, bad.a);
}

static void bad_refused(struct msg *m, mach_msg_return_t code, const char *claim)
{
	is_code(msg_send(m, MACH_SEND_TIMEOUT, 0), code, "%s", claim);
	if (port_type(bad.a) != T(SEND_RECEIVE) || !snapshot_equal(&bad.before, SNAPSHOT_THINGS))
		snapshot_same(&bad.before, SNAPSHOT_THINGS, "%s: and nothing has changed", claim);
}

static void bad_rights(void)
{
	mach_port_t names[] = { bad.a, MACH_PORT_NULL, UNUSED_NAME, bad.a };
	struct msg m;

	bad_begin(&m);
	msg_add_port(&m, COPY_SEND, UNUSED_NAME);
	bad_refused(&m, MACH_SEND_INVALID_RIGHT, "a right that is not held");
	bad_begin(&m);
	msg_add_port(&m, COPY_SEND, bad.set);
	bad_refused(&m, MACH_SEND_INVALID_RIGHT, "a set as a right");
	bad_begin(&m);
	msg_add_port(&m, MOVE_ONCE, bad.a);
	bad_refused(&m, MACH_SEND_INVALID_RIGHT, "a send right as a send-once right");
	bad_begin(&m);
	msg_add_array(&m, MAKE_ONCE, names, countof(names), false);
	bad_refused(&m, MACH_SEND_INVALID_RIGHT, "an array with a right that is not held");
}

static void bad_types(void)
{
	mach_msg_type_t *item;
	struct msg m;

	bad_begin(&m);
	item = msg_add_port(&m, COPY_SEND, bad.a);
	item->msgt_size = 32;
	bad_refused(&m, MACH_SEND_INVALID_TYPE, "an inline right of 32 bits");
	bad_begin(&m);
	item = msg_add_port(&m, COPY_SEND, bad.a);
	item->msgt_size = 0;
	bad_refused(&m, MACH_SEND_INVALID_TYPE, "an inline right of no bits");
	bad_begin(&m);
	item = msg_add_port(&m, COPY_SEND, bad.a);
	item->msgt_deallocate = 1;
	bad_refused(&m, MACH_SEND_INVALID_TYPE, "an inline right to be deallocated");
	bad_begin(&m);
	item = msg_add_data(&m, "12345678", 8);
	item->msgt_deallocate = 1;
	bad_refused(&m, MACH_SEND_INVALID_TYPE, "inline data to be deallocated");
	for (unsigned bit = 1; bit < 32; bit <<= 1) {
		bad_begin(&m);
		item = msg_add_data(&m, "12345678", 8);
		item->msgt_unused = bit & 31;
		if (msg_send(&m, MACH_SEND_TIMEOUT, 0) != MACH_SEND_INVALID_TYPE)
			ok(false, "a descriptor with the unused bit %u set is refused", bit);
	}
	bad_begin(&m);
	item = msg_add_data(&m, "12345678", 8);
	item->msgt_unused = 1;
	bad_refused(&m, MACH_SEND_INVALID_TYPE, "a descriptor with an unused bit set");
	bad_begin(&m);
	item = msg_add_array(&m, COPY_SEND, &bad.a, 1, false);
	item->msgt_size = 64;
	bad_refused(&m, MACH_SEND_INVALID_TYPE, "an out-of-line array of 64-bit rights");
}

static void bad_lengths(void)
{
	mach_msg_type_t *item;
	struct msg m;

	bad_begin(&m);
	item = msg_add_data(&m, "12345678", 8);
	item->msgt_number = 9;
	bad_refused(&m, MACH_SEND_MSG_TOO_SMALL, "data that ends a byte behind the message");
	bad_begin(&m);
	item = msg_add_data(&m, "12345678", 8);
	item->msgt_number = 0xffffffff;
	item->msgt_size = 0xffff;
	bad_refused(&m, MACH_SEND_MSG_TOO_SMALL, "data of the greatest length");
	bad_begin(&m);
	item = msg_add_port(&m, COPY_SEND, bad.a);
	item->msgt_number = 2;
	bad_refused(&m, MACH_SEND_MSG_TOO_SMALL, "rights that end behind the message");
	bad_begin(&m);
	item = msg_add_port(&m, COPY_SEND, bad.a);
	item->msgt_number = 0x80000000;
	bad_refused(&m, MACH_SEND_MSG_TOO_SMALL, "two thousand million rights");
	bad_begin(&m);
	msg_add_region(&m, &m, 8, false);
	m.size -= 8;
	bad_refused(&m, MACH_SEND_MSG_TOO_SMALL, "a region without its address");
}

static void bad_memory(void)
{
	mach_msg_return_t code;
	struct msg m;

	bad_begin(&m);
	msg_add_region(&m, (void *)0x123456789000, 4096, false);
	bad_refused(&m, MACH_SEND_INVALID_MEMORY, "a region where there is no memory");
	bad_begin(&m);
	msg_add_region(&m, (void *)0xffffffff80000000, 4096, false);
	bad_refused(&m, MACH_SEND_INVALID_MEMORY, "a region of the kernel's");
	bad_begin(&m);
	msg_add_region(&m, (void *)0xfffffffffffff800, 0xffffffff, true);
	bad_refused(&m, MACH_SEND_INVALID_MEMORY, "a region beyond all addresses, to be deallocated");
	bad_begin(&m);
	msg_add_array(&m, COPY_SEND, (void *)0x123456789000, 4, false);
	bad_refused(&m, MACH_SEND_INVALID_MEMORY, "an array of rights where there is no memory");
	bad_begin(&m);
	msg_add_array(&m, COPY_SEND, (void *)0x123456789000, 0xffffffff, true);
	code = msg_send(&m, MACH_SEND_TIMEOUT, 0);
	ok(code == MACH_SEND_INVALID_MEMORY || code == MACH_SEND_NO_BUFFER,
	   "an array of four thousand million rights is refused");
}

static void malformed_bodies(void)
{
	struct msg m;

	bad.a = port_new_send();
	bad.set = port_new_set();
	snapshot_take(&bad.before, test_ledger());
	bad_rights();
	bad_types();
	bad_lengths();
	bad_memory();
	snapshot_same(&bad.before, SNAPSHOT_THINGS, "no malformed message has changed anything");
	ok(msg_none(port) && msg_none(bad.a), "none was sent and none of its rights was used up");
	bad_begin(&m);
	m.head.msgh_bits &= ~MACH_MSGH_BITS_COMPLEX;
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "without COMPLEX the body is not looked at");
	msg_receive(&m, port, 0, 0);
	ok(!(m.head.msgh_bits & MACH_MSGH_BITS_COMPLEX) && msg_item_port(&m, 1) == bad.a && port_type(bad.a) == T(SEND_RECEIVE),
	   "and arrives as it was");
	port_free(m.head.msgh_remote_port);
	message_await(bad.a, 0);
	port_free(bad.a);
	port_free(bad.set);
}

static void twice_the_same(void)
{
	mach_port_t a = port_new(), b = port_new_send();
	struct msg m;

	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_port(&m, MOVE_RECEIVE, a);
	msg_add_port(&m, MOVE_RECEIVE, a);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_SEND_INVALID_RIGHT, "a receive right cannot be moved twice");
	ok(msg_none(port), "and nothing is sent");
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_port(&m, MOVE_SEND, b);
	msg_add_port(&m, MOVE_SEND, b);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_SEND_INVALID_RIGHT, "nor a send right with one reference");
	if (port_type(a) != 0)
		port_free(a);
	port_free(b);
}

/* A port inside a message to a port inside a message... */
static void nesting(void)
{
	enum { DEEP = 200 };
	static mach_port_t ports[DEEP];
	struct snapshot before;
	unsigned alive = 0, sent = 0;
	struct msg m;

	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < DEEP; i++)
		ports[i] = port_new_send();
	/* From the outside in: each goes into a message to the one before. */
	for (unsigned i = 1; i < DEEP; i++) {
		msg_begin(&m, COPY_SEND, ports[i - 1], 0, 0, 1);
		msg_add_port(&m, MOVE_RECEIVE, ports[i]);
		sent += msg_send(&m, MACH_SEND_TIMEOUT, 0) == MACH_MSG_SUCCESS;
	}
	for (unsigned i = 0; i < DEEP; i++)
		alive += (port_type(ports[i]) & T(SEND)) != 0;
	ok(alive >= 32, "receive rights can be nested 32 deep");
	ok(alive < DEEP, "not as deep as one likes: what goes deeper dies");
	for (unsigned i = 0; i < DEEP; i++)
		if (port_type(ports[i]) != 0)
			port_free(ports[i]);
	snapshot_settles(&before, SNAPSHOT_THINGS, "all nested ports come back");
	/* From the inside out. */
	for (unsigned i = 0; i < DEEP; i++)
		ports[i] = port_new_send();
	for (unsigned i = DEEP - 1; i > 0; i--) {
		msg_begin(&m, COPY_SEND, ports[i - 1], 0, 0, 1);
		msg_add_port(&m, MOVE_RECEIVE, ports[i]);
		msg_send(&m, MACH_SEND_TIMEOUT, 0);
	}
	for (unsigned i = DEEP; i-- > 0;)
		if (port_type(ports[i]) != 0)
			port_free(ports[i]);
	snapshot_settles(&before, SNAPSHOT_THINGS, "nested from the inside out they come back too");
}

static void loops(void)
{
	mach_port_t a = port_new_send(), b = port_new_send();
	struct snapshot before;
	struct msg m;

	snapshot_take(&before, test_ledger());
	msg_begin(&m, COPY_SEND, a, 0, 0, 1);
	msg_add_port(&m, MOVE_RECEIVE, a);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "a port can be sent to itself");
	is(port_type(a), T(DEAD_NAME), "and dies of it");
	port_free(a);
	a = port_new_send();
	msg_begin(&m, COPY_SEND, a, 0, 0, 1);
	msg_add_port(&m, MOVE_RECEIVE, b);
	msg_send(&m, 0, 0);
	msg_begin(&m, COPY_SEND, b, 0, 0, 1);
	msg_add_port(&m, MOVE_RECEIVE, a);
	is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_MSG_SUCCESS, "two ports can be sent to each other");
	is(port_type(a), T(DEAD_NAME), "and die of it");
	is(port_type(b), T(DEAD_NAME), "both");
	port_free(a);
	port_free(b);
	a = port_new_send();
	b = port_new_send();
	snapshot_settles(&before, SNAPSHOT_THINGS, "nothing of such loops is left");
	port_free(a);
	port_free(b);
}

static void large(void)
{
	mach_port_t a = port_new(), moved = port_new();
	struct msg m;

	msg_begin(&m, COPY_SEND, port, MAKE_ONCE, a, 6);
	msg_add_port(&m, MOVE_RECEIVE, moved);
	msg_add_port(&m, MAKE_ONCE, a);
	msg_send(&m, 0, 0);
	is_code(msg_receive_size(&m, port, MACH_RCV_LARGE | MACH_RCV_TIMEOUT, 0, 40), MACH_RCV_TOO_LARGE,
		"with MACH_RCV_LARGE a message too large for the buffer stays");
	is(m.head.msgh_size, 64, "and its size is told");
	is(m.bytes[40], (char)0xaa, "nothing is written behind the buffer");
	is_code(msg_receive_size(&m, port, MACH_RCV_LARGE | MACH_RCV_TIMEOUT, 0, 0), MACH_RCV_TOO_LARGE,
		"a buffer of no size learns that there is a message");
	is_code(msg_receive_size(&m, port, MACH_RCV_LARGE | MACH_RCV_TIMEOUT, 0, 64), MACH_MSG_SUCCESS,
		"with room enough it is received");
	moved = msg_item_port(&m, 0);
	is(port_type(moved), T(RECEIVE), "with its rights");
	port_free(m.head.msgh_remote_port);
	port_free(msg_item_port(&m, 1));
	message_await(a, 0);
	message_await(a, 0);

	msg_begin(&m, COPY_SEND, port, MAKE_ONCE, a, 7);
	msg_add_port(&m, MOVE_RECEIVE, moved);
	msg_send(&m, 0, 0);
	is_code(msg_receive_size(&m, port, MACH_RCV_TIMEOUT, 0, 40), MACH_RCV_TOO_LARGE,
		"without it the message is destroyed");
	ok(m.head.msgh_id == 7 && m.head.msgh_local_port == port && m.head.msgh_remote_port == MACH_PORT_NULL,
	   "its header tells all but the reply port");
	is(message_await(a, 1000), MACH_NOTIFY_SEND_ONCE, "which hears of that");
	is(port_type(moved), 0, "its rights are gone");
	ok(msg_none(port), "and nothing waits any more");
	port_free(a);
}

static void receive_names(void)
{
	mach_port_t send = port_new_send(), dead = 0;
	task_t child;
	struct msg m;

	need(mach_port_allocate(self, R(DEAD_NAME), &dead), "a dead name");
	need(child_empty(&child, MACH_PORT_NULL), "a task");
	is_code(msg_receive(&m, UNUSED_NAME, MACH_RCV_TIMEOUT, 0), MACH_RCV_INVALID_NAME, "an unused name has no messages");
	is_code(msg_receive(&m, MACH_PORT_NULL, MACH_RCV_TIMEOUT, 0), MACH_RCV_INVALID_NAME, "nor has null");
	is_code(msg_receive(&m, MACH_PORT_DEAD, MACH_RCV_TIMEOUT, 0), MACH_RCV_INVALID_NAME, "nor dead");
	is_code(msg_receive(&m, dead, MACH_RCV_TIMEOUT, 0), MACH_RCV_INVALID_NAME, "nor a dead name");
	is_code(msg_receive(&m, child, MACH_RCV_TIMEOUT, 0), MACH_RCV_INVALID_NAME, "nor a send right");
	is_code(mach_msg_trap(NULL, 0, 0, 0, 0, 0, 0), MACH_MSG_SUCCESS, "neither sending nor receiving is allowed");
	task_terminate(child);
	mach_port_deallocate(self, child);
	port_free(send);
	port_free(dead);
}

/* A 32-bit argument counts by the lower half of its register alone, whoever looks at it: also for ids that are no call's, or no plain one's. */
static int64_t call_wide(mach_msg_header_t *m, uint64_t size, uint64_t receive_size, uint64_t name)
{
	register uint64_t fourth __asm__("r10") = receive_size, fifth __asm__("r8") = name, sixth __asm__("r9") = 0;
	int64_t code = TRAP_mach_msg_trap;

	__asm__ volatile("syscall" : "+a"(code) : "D"(m), "S"((uint64_t)(MACH_SEND_MSG | MACH_RCV_MSG)), "d"(size), "r"(fourth), "r"(fifth),
			 "r"(sixth) : "rcx", "r11", "memory");
	return (uint32_t)code;
}

static void wide_size(void)
{
	static const int ids[] = { 5399, 2000, 3801, 3206, 1 };
	mach_port_t reply = mach_reply_port();
	struct msg m;

	for (unsigned i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		msg_begin(&m, COPY_SEND, self, MAKE_ONCE, reply, ids[i]);
		is_code(call_wide(&m.head, UINT64_MAX, sizeof m.bytes, reply), MACH_SEND_MSG_TOO_SMALL, "a call of id %d and no size is not sent", ids[i]);
		msg_begin(&m, COPY_SEND, self, MAKE_ONCE, reply, ids[i]);
		is_code(call_wide(&m.head, 0xffffffff00000020, sizeof m.bytes, reply), MACH_MSG_SUCCESS, "one of a header, and more above, is");
	}
	port_free(reply);
}

static void options(void)
{
	mach_port_t notify = port_new(), full = port_new_send(), reply = port_new(), client = port_new_send();
	mach_port_t name;
	struct msg m;

	for (unsigned i = 0; i < MACH_PORT_QLIMIT_DEFAULT; i++)
		msg_send_plain(full, 1);
	msg_begin(&m, COPY_SEND, full, 0, 0, 2);
	is_code(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_SEND_NOTIFY, m.size, 0, 0, 0, notify), MACH_SEND_NO_NOTIFY,
		"a message beyond the limit is never forced in: no msg-accepted notification can be had");
	is_code(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_SEND_NOTIFY, m.size, 0, 0, 0, UNUSED_NAME),
		MACH_SEND_INVALID_NOTIFY, "and not by a name that is no receive right");
	is(port_status(full).mps_msgcount, MACH_PORT_QLIMIT_DEFAULT, "the queue is as it was");

	msg_begin(&m, COPY_SEND, client, MAKE_ONCE, reply, 3);
	msg_send(&m, 0, 0);
	is_code(mach_msg_trap(&m.head, MACH_RCV_MSG | MACH_RCV_NOTIFY | MACH_RCV_TIMEOUT, 0, sizeof m.bytes, client, 0,
			      notify), MACH_MSG_SUCCESS, "a message is received with a request for its reply port");
	name = m.head.msgh_remote_port;
	is(port_type(name), T(SEND_ONCE) | T(DNREQUEST), "a dead-name request is registered for it");
	port_free(reply);
	is_code(msg_receive(&m, notify, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "when it dies that is told");
	ok(m.head.msgh_id == MACH_NOTIFY_DEAD_NAME && msg_item_port(&m, 0) == name, "by its dead name");
	port_free(name);
	reply = port_new();
	msg_begin(&m, COPY_SEND, client, MAKE_ONCE, reply, 3);
	msg_send(&m, 0, 0);
	is_code(mach_msg_trap(&m.head, MACH_RCV_MSG | MACH_RCV_NOTIFY | MACH_RCV_TIMEOUT, 0, sizeof m.bytes, client, 0,
			      notify), MACH_MSG_SUCCESS, "another is received");
	name = m.head.msgh_remote_port;
	msg_begin(&m, MOVE_ONCE, name, 0, 0, 4);
	is_code(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_SEND_CANCEL, m.size, 0, 0, 0, UNUSED_NAME),
		MACH_SEND_INVALID_NOTIFY, "a request cannot be cancelled by a name that is no receive right");
	is_code(mach_msg_trap(&m.head, MACH_SEND_MSG | MACH_SEND_CANCEL, m.size, 0, 0, 0, notify), MACH_MSG_SUCCESS,
		"a reply may cancel the request");
	name = 0;
	if (!msg_none(notify))
		diag("the request was not cancelled: a port-deleted notification came, as the manual allows");
	is(msg_receive_plain(reply), 4, "the reply comes");
	port_free(reply);
	port_free(client);
	port_free(full);
	port_free(notify);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	port = port_new_send();
	sizes();
	long_messages();
	bad_headers();
	bad_buffers();
	atomic_headers();
	header_dispositions();
	body_rights();
	deaths_in_transit();
	malformed_bodies();
	twice_the_same();
	nesting();
	loops();
	large();
	receive_names();
	options();
	wide_size();
	port_free(port);
	return done_testing();
}
