/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mach_msg with memory: out-of-line regions and arrays of rights, shared without copying pages,
 * private afterwards; and receivers that cannot hold what comes.
 * RUN: in root msg_memory_test
 */
#include <ledger_user.h>
#include <string.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <weir_user.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define R(right)	MACH_PORT_RIGHT_##right
#define T(type)		MACH_PORT_TYPE_##type
#define PAGE		4096u
#define BIG		(16u << 20)
#define PATIENCE_MS	10000

static mach_port_t self, port;

static char *pages(vm_size_t size)
{
	vm_address_t address = 0;

	need(vm_allocate(self, &address, size, TRUE), "memory");
	return (char *)address;
}

static void give_back(void *address, vm_size_t size)
{
	need(vm_deallocate(self, (vm_address_t)address, size), "memory to be given back");
}

static uint64_t user_pages(void)
{
	weir_memory_info_t info;

	need(weir_memory_info(test_host_priv(), &info), "the memory's state");
	return info.user_pages;
}

static bool all_are(const char *bytes, size_t size, char value)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != value)
			return false;
	return true;
}

/* Around the bytes, in their pages, there are only zeros. */
static bool only_these(const char *bytes, size_t size)
{
	size_t before = (vm_address_t)bytes & (PAGE - 1), behind = -((vm_address_t)bytes + size) & (PAGE - 1);

	return all_are(bytes - before, before, 0) && all_are(bytes + size, behind, 0);
}

static bool mapped(const void *address)
{
	vm_offset_t data;
	mach_msg_type_number_t size;

	if (vm_read(self, (vm_address_t)address & ~(vm_address_t)(PAGE - 1), PAGE, &data, &size) != KERN_SUCCESS)
		return false;
	give_back((void *)data, size);
	return true;
}

static char *transfer(struct msg *m, const void *from, uint64_t size, bool deallocate)
{
	msg_begin(m, COPY_SEND, port, 0, 0, 1);
	msg_add_region(m, from, size, deallocate);
	need(msg_send(m, MACH_SEND_TIMEOUT, 0), "a region to be sent");
	need(msg_receive(m, port, MACH_RCV_TIMEOUT, 0), "a region to be received");
	return msg_item_region(m, 0);
}

static void regions(void)
{
	char *from = pages(4 * PAGE), *got, *end;
	struct msg m;

	memset(from, 'x', 4 * PAGE);
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&m, from, 4 * PAGE, false);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "a region is sent");
	memset(from, 'y', 4 * PAGE);
	is_code(msg_receive(&m, port, 0, 0), MACH_MSG_SUCCESS, "and received");
	got = msg_item_region(&m, 0);
	ok(got != from && all_are(got, 4 * PAGE, 'x'), "what the sender writes after sending does not arrive");
	ok(msg_item(&m, 0)->msgt_deallocate && !msg_item(&m, 0)->msgt_inline && msg_item(&m, 0)->msgt_number == 4 * PAGE,
	   "its descriptor says that it is to be deallocated");
	memset(got, 'z', 4 * PAGE);
	ok(all_are(from, 4 * PAGE, 'y'), "what the receiver writes does not reach the sender");
	give_back(got, 4 * PAGE);

	from[PAGE - 1] = 's';
	from[PAGE + 100] = 'e';
	got = transfer(&m, from + PAGE, 100, false);
	ok(all_are(got, 100, 'y') && all_are(got + 100, PAGE - 100, 0), "behind the end of a region come zeros");
	give_back(got, 100);
	got = transfer(&m, from + PAGE - 1, 2, false);
	ok(got[0] == 's' && got[1] == 'y', "a small region across pages arrives");
	ok(only_these(got, 2), "and brings no byte before or behind it");
	give_back(got, 2);
	got = transfer(&m, from + PAGE - 1, 2 * PAGE + 2, false);
	ok(got[0] == 's' && got[1 + 100] == 'e' && got[2 * PAGE + 1] == 'y' && ((vm_address_t)got & (PAGE - 1)) == PAGE - 1,
	   "a large one arrives at the same place in the page");
	ok(only_these(got, 2 * PAGE + 2), "and brings no byte before or behind it");
	end = (char *)((vm_address_t)got & ~(vm_address_t)(PAGE - 1));
	give_back(got, 2 * PAGE + 2);
	ok(!mapped(end) && !mapped(end + 3 * PAGE), "deallocating it by its own size gives all its pages back");

	got = transfer(&m, (void *)0x123456789000, 0, true);
	ok(got == NULL && msg_item(&m, 0)->msgt_number == 0, "a region of no bytes arrives at address 0, whatever was sent");

	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&m, from + PAGE + 8, PAGE, true);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "an unaligned region is sent and deallocated");
	ok(mapped(from) && !mapped(from + PAGE) && !mapped(from + 2 * PAGE) && mapped(from + 3 * PAGE),
	   "all pages that it touches are gone here, and no others");
	msg_receive(&m, port, 0, 0);
	got = msg_item_region(&m, 0);
	ok(all_are(got, 92, 'y') && got[92] == 'e' && only_these(got, PAGE), "it arrives, and no other byte with it");
	give_back(got, PAGE);
	give_back(from, PAGE);
	give_back(from + 3 * PAGE, PAGE);
}

static void refused_regions(void)
{
	char *from = pages(8 * PAGE), *got;
	struct snapshot before;
	struct msg m;

	memset(from, 'x', 8 * PAGE);
	need(vm_protect(self, (vm_address_t)from, PAGE, FALSE, VM_PROT_READ), "read-only memory");
	need(vm_protect(self, (vm_address_t)from + 2 * PAGE, PAGE, FALSE, VM_PROT_NONE), "forbidden memory");
	need(vm_deallocate(self, (vm_address_t)from + 4 * PAGE, PAGE), "a hole");
	snapshot_take(&before, test_ledger());
	got = transfer(&m, from, 2 * PAGE, false);
	ok(all_are(got, 2 * PAGE, 'x'), "memory that may be read can be sent");
	memset(got, 'w', 2 * PAGE);
	ok(got[0] == 'w' && from[0] == 'x', "and may be written where it arrives");
	give_back(got, 2 * PAGE);
	for (int deallocate = 0; deallocate < 2; deallocate++) {
		msg_begin(&m, COPY_SEND, port, 0, 0, 1);
		msg_add_region(&m, from + PAGE, 2 * PAGE, deallocate);
		is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_SEND_INVALID_MEMORY,
			"memory that may not be read cannot be sent (deallocate %d)", deallocate);
		msg_begin(&m, COPY_SEND, port, 0, 0, 1);
		msg_add_region(&m, from + 3 * PAGE, 3 * PAGE, deallocate);
		is_code(msg_send(&m, MACH_SEND_TIMEOUT, 0), MACH_SEND_INVALID_MEMORY,
			"nor memory with a hole (deallocate %d)", deallocate);
	}
	ok(mapped(from + PAGE) && mapped(from + 3 * PAGE) && mapped(from + 5 * PAGE), "nothing of it is gone");
	snapshot_same(&before, SNAPSHOT_THINGS, "a refused region leaves nothing behind");
	give_back(from, 4 * PAGE);
	give_back(from + 5 * PAGE, 3 * PAGE);
}

/* A large region goes from hand to hand while no page frame is taken but for tables. */
static void without_copying(void)
{
	char *from = pages(BIG), *got;
	uint64_t before, resident;
	struct msg m;
	char sum = 0;

	for (unsigned i = 0; i < BIG; i += PAGE)
		from[i] = (char)(i / PAGE);
	before = user_pages();
	resident = used_now(test_ledger(), LEDGER_RESIDENT_PAGES);
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&m, from, BIG, false);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "16 MiB are sent");
	is_between(user_pages(), before, before + 4, "no page was copied to send them");
	is_code(msg_receive(&m, port, 0, 0), MACH_MSG_SUCCESS, "and received");
	got = msg_item_region(&m, 0);
	for (unsigned i = 0; i < BIG; i += PAGE)
		sum |= got[i] ^ (char)(i / PAGE);
	is(sum, 0, "and read, each page");
	is_between(user_pages(), before, before + 4, "no page was copied to receive and read them");
	is_between(used_now(test_ledger(), LEDGER_RESIDENT_PAGES), resident, resident + 4, "the ledger counts each once");
	before = user_pages();
	for (unsigned i = 0; i < 10; i++)
		got[i * 100 * PAGE] = 'w';
	is(user_pages(), before + 10, "ten pages that are written are copied, and no others");
	ok(from[100 * PAGE] == 100, "the sender's are as they were");
	give_back(got, BIG);

	before = user_pages();
	resident = used_now(test_ledger(), LEDGER_RESIDENT_PAGES);
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&m, from, BIG, true);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "16 MiB are moved");
	ok(!mapped(from) && !mapped(from + BIG - PAGE), "they are gone here");
	need(msg_receive(&m, port, 0, 0), "what was moved");
	got = msg_item_region(&m, 0);
	for (unsigned i = 0; i < BIG; i += PAGE) {
		sum |= got[i] ^ (char)(i / PAGE);
		got[i] = 'm';
	}
	is(sum, 0, "and there, each page");
	is_between(user_pages(), before, before + 4, "no page was copied, not even to write");
	is_between(used_now(test_ledger(), LEDGER_RESIDENT_PAGES), resident - 4, resident + 4, "the ledger counts each once");
	give_back(got, BIG);
	is_between(user_pages() + BIG / PAGE, before - 4, before + 4, "and all come back");
}

/* Many regions in one message, moved and copied. */
static void many_regions(void)
{
	char *from = pages(16 * PAGE), *got[16];
	unsigned good = 0;
	struct msg m;

	for (unsigned i = 0; i < 16; i++)
		memset(from + i * PAGE, 'a' + (int)i, PAGE);
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	for (unsigned i = 0; i < 16; i++)
		msg_add_region(&m, from + i * PAGE, PAGE, i % 2);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "sixteen regions are sent, every other one moved");
	for (unsigned i = 0; i < 16; i++)
		good += mapped(from + i * PAGE) == (i % 2 == 0);
	is(good, 16, "those are gone, and no others");
	is_code(msg_receive(&m, port, 0, 0), MACH_MSG_SUCCESS, "all are received");
	good = 0;
	for (unsigned i = 0; i < 16; i++) {
		got[i] = msg_item_region(&m, i);
		good += all_are(got[i], PAGE, 'a' + (char)i);
	}
	is(good, 16, "each with its bytes");
	for (unsigned i = 0; i < 16; i++) {
		give_back(got[i], PAGE);
		if (i % 2 == 0)
			give_back(from + i * PAGE, PAGE);
	}
}

/* The message is refused, and the denial says why. */
static void beyond(struct msg *m, unsigned resource, uint64_t limit, uint64_t wanted, const char *what)
{
	struct snapshot before;
	ledger_denial_t denial;

	snapshot_take(&before, test_ledger());
	is_code(msg_send(m, MACH_SEND_TIMEOUT, 0), MACH_SEND_NO_BUFFER, "%s: too much for one message", what);
	need(ledger_last_denial(test_thread(), &denial), "the denial");
	ok(denial.resource == resource && denial.limit == limit && denial.wanted == wanted,
	   "%s: the denial says so: %u, %lu of %lu", what, denial.resource, denial.wanted, denial.limit);
	snapshot_same(&before, SNAPSHOT_THINGS, "and nothing has changed");
}

static void too_much(void)
{
	enum { MOST = 4096, REGIONS = 17 };
	mach_port_t *names = (mach_port_t *)(void *)pages(5 * PAGE), a = port_new_send();
	char *from = pages(REGIONS * PAGE);
	unsigned there = 0;
	struct msg m;

	for (unsigned i = 0; i <= MOST; i++)
		names[i] = a;
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_array(&m, COPY_SEND, names, MOST + 1, false);
	beyond(&m, LEDGER_NAMES, MOST, MOST + 1, "an array of rights");
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_array(&m, MAKE_ONCE, names, 10, false);
	msg_add_array(&m, COPY_SEND, names, MOST - 10, false);
	msg_add_port(&m, COPY_SEND, a);
	beyond(&m, LEDGER_NAMES, MOST, MOST + 1, "rights in several places");
	memset(from, 'x', REGIONS * PAGE);
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	for (unsigned i = 0; i < REGIONS; i++)
		msg_add_region(&m, from + i * PAGE, PAGE, true);
	beyond(&m, LEDGER_ENTRIES, REGIONS - 1, REGIONS, "regions to be deallocated");
	for (unsigned i = 0; i < REGIONS; i++)
		there += mapped(from + i * PAGE);
	is(there, REGIONS, "they are all there");
	port_free(a);
	give_back(names, 5 * PAGE);
	give_back(from, REGIONS * PAGE);
}

static void arrays(void)
{
	enum { COUNT = 1500 };
	mach_port_t *names = (mach_port_t *)(void *)pages(2 * PAGE), *got;
	mach_port_t a = port_new_send(), dead = port_new_send();
	unsigned good = 0;
	struct msg m;

	mach_port_mod_refs(self, dead, R(RECEIVE), -1);
	for (unsigned i = 0; i < COUNT; i++)
		names[i] = i % 100 == 98 ? dead : i % 100 == 99 ? MACH_PORT_NULL : a;
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_array(&m, COPY_SEND, names, COUNT, false);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "an array of 1,500 copied send rights is sent");
	is_code(msg_receive(&m, port, 0, 0), MACH_MSG_SUCCESS, "and received");
	got = (mach_port_t *)(void *)msg_item_region(&m, 0);
	for (unsigned i = 0; i < COUNT; i++)
		good += got[i] == (i % 100 == 98 ? MACH_PORT_DEAD : i % 100 == 99 ? MACH_PORT_NULL : a);
	is(good, COUNT, "each right by its name, nulls and dead ones in their places");
	ok(msg_item(&m, 0)->msgt_name == MACH_MSG_TYPE_PORT_SEND && msg_item(&m, 0)->msgt_size == 32 &&
		   msg_item(&m, 0)->msgt_number == COUNT && msg_item(&m, 0)->msgt_deallocate,
	   "the descriptor tells what they are");
	is(port_refs(a, R(SEND)), 1 + COUNT - 30, "and each is a reference");
	give_back(got, COUNT * 4);
	port_free(dead);

	for (unsigned i = 0; i < 100; i++)
		names[i] = port_new();
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_array(&m, MOVE_RECEIVE, names, 100, true);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "an array of 100 receive rights is moved, and its memory with it");
	ok(!mapped(names) && mapped(names + PAGE / 4), "the page that it lay in is gone, the next is not");
	give_back(names + PAGE / 4, PAGE);
	msg_receive(&m, port, 0, 0);
	got = (mach_port_t *)(void *)msg_item_region(&m, 0);
	good = 0;
	for (unsigned i = 0; i < 100; i++)
		good += port_type(got[i]) == T(RECEIVE);
	is(good, 100, "all arrive");
	for (unsigned i = 0; i < 100; i++)
		port_free(got[i]);
	for (unsigned i = 0; i < 100; i++)
		got[i] = i % 2 ? a : MACH_PORT_NULL;
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	msg_add_array(&m, MAKE_ONCE, got, 100, true);
	msg_add_array(&m, MAKE_SEND, NULL, 0, false);
	is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "send-once rights are made from an array");
	is(port_status(a).mps_sorights, 50, "fifty");
	msg_receive(&m, port, 0, 0);
	is((uint64_t)(uintptr_t)msg_item_region(&m, 1), 0, "an empty array arrives at address 0");
	got = (mach_port_t *)(void *)msg_item_region(&m, 0);
	good = 0;
	for (unsigned i = 1; i < 100; i += 2)
		good += port_type(got[i]) == T(SEND_ONCE) && mach_port_deallocate(self, got[i]) == KERN_SUCCESS;
	is(good, 50, "each with a name of its own");
	for (unsigned i = 0; i < 50; i++)
		message_await(a, 0);
	give_back(got, 400);
	msg_begin(&m, COPY_SEND, port, 0, 0, 1);
	names = (mach_port_t *)(void *)pages(PAGE);
	for (unsigned i = 0; i < 300; i++)
		names[i] = a;
	msg_add_array(&m, MAKE_ONCE, names, 300, false);
	msg_send(&m, 0, 0);
	port_free(port);
	port = port_new_send();
	is(message_await(a, 1000), MACH_NOTIFY_SEND_ONCE, "an array in a message that is destroyed lets its rights go");
	for (unsigned i = 1; i < 300; i++)
		message_await(a, 1000);
	is(port_status(a).mps_sorights, 0, "all of them");
	give_back(names, PAGE);
	port_free(a);
}

/* --- receivers that cannot hold what comes --- */

struct receiver {
	uint32_t step;		/* word: 1 go on, 2 done */
	mach_port_t port;
	mach_msg_return_t code;
	struct msg m;
};

static kern_return_t give_port(struct child *child, void *argument)
{
	struct receiver *r = argument;

	return mach_port_insert_right(child->task, 0x700, r->port, MOVE_RECEIVE);
}

static void receiver_main(void *argument)
{
	struct receiver *r = argument;

	/* A task has room for one send-once right even without names: it is taken. */
	port_new_once(mig_get_reply_port());
	word_post(&r->step, 1);
	word_await(&r->step, 2, PATIENCE_MS);
	r->code = mach_msg_trap(&r->m.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof r->m.bytes, 0x700, 0, 0);
	word_post(&r->step, 3);
	word_await(&r->step, 4, PATIENCE_MS);
}

/* A child in a ledger of its own receives *m when its ledger has no room for more of the resource. */
static void receive_limited(struct receiver *r, struct msg *m, unsigned resource)
{
	mach_port_t to = port_new_send();
	struct child child;
	ledger_t ledger = MACH_PORT_NULL;

	memset(r, 0, sizeof *r);
	r->port = to;
	ledger = ledger_new(test_ledger(), "receiver");
	need(child_start(&child, receiver_main, r,
			 &(struct child_options){ .ledger = ledger, .before = give_port }), "a child");
	word_await(&r->step, 1, PATIENCE_MS);
	m->head.msgh_remote_slot = to;
	need(msg_send(m, MACH_SEND_TIMEOUT, 0), "a message to a receiver");
	/* The child's own copies of pages are there: it has run this far. */
	need(ledger_set_limit(ledger, (int)resource, used_now(ledger, resource)), "a limit");
	word_post(&r->step, 2);
	ok(word_await(&r->step, 3, PATIENCE_MS), "a receiver whose ledger is full comes back");
	child_finish(&child);
	need(ledger_terminate(ledger), "the end of a ledger");
	port_free(ledger);
	port_free(to);
}

static void cannot_hold(void)
{
	struct receiver *r = shared_alloc(sizeof *r);
	mach_port_t a = port_new(), b = port_new_send();
	char *from = pages(4 * PAGE);
	struct msg m;

	memset(from, 'x', 4 * PAGE);
	msg_begin(&m, COPY_SEND, 0, 0, 0, 21);
	msg_add_region(&m, from, 4 * PAGE, false);
	msg_add_port(&m, MAKE_ONCE, a);
	receive_limited(r, &m, LEDGER_VIRTUAL_PAGES);
	is_code(r->code & ~MACH_MSG_MASK, MACH_RCV_BODY_ERROR, "a region that the receiver cannot hold is a body error");
	ok((r->code & (MACH_MSG_VM_KERNEL | MACH_MSG_VM_SPACE)) && !(r->code & MACH_MSG_IPC_KERNEL),
	   "for want of virtual memory");
	ok(msg_item_region(&r->m, 0) == NULL && msg_item(&r->m, 0)->msgt_size == 0,
	   "its address is zero and its size zero");
	ok(msg_item_port(&r->m, 1) != 0 && r->m.head.msgh_id == 21, "the rest of the message is there");
	is(message_await(a, 1000), MACH_NOTIFY_SEND_ONCE, "and ended with its task");

	msg_begin(&m, COPY_SEND, 0, 0, 0, 22);
	msg_add_port(&m, MAKE_ONCE, a);
	msg_add_data(&m, "12345678", 8);
	receive_limited(r, &m, LEDGER_NAMES);
	is_code(r->code, MACH_RCV_BODY_ERROR | MACH_MSG_IPC_KERNEL, "a right that the receiver cannot name is a body error");
	is(msg_item_port(&r->m, 0), MACH_PORT_NULL, "its name is null");
	ok(memcmp(msg_item(&r->m, 1) + 1, "12345678", 8) == 0, "the data is there");
	is(message_await(a, 1000), MACH_NOTIFY_SEND_ONCE, "and the right was destroyed");

	msg_begin(&m, COPY_SEND, 0, MAKE_ONCE, a, 23);
	msg_add_port(&m, MAKE_ONCE, b);
	receive_limited(r, &m, LEDGER_NAMES);
	is_code(r->code, MACH_RCV_HEADER_ERROR | MACH_MSG_IPC_KERNEL,
		"a reply port that the receiver cannot name is a header error");
	ok(r->m.head.msgh_remote_port == MACH_PORT_NULL && r->m.head.msgh_local_port == 0x700 && r->m.head.msgh_id == 23,
	   "the header tells the rest");
	is(message_await(a, 1000), MACH_NOTIFY_SEND_ONCE, "the reply port hears of that");
	is(message_await(b, 1000), MACH_NOTIFY_SEND_ONCE, "and the body's right is destroyed");
	give_back(from, 4 * PAGE);
	port_free(a);
	port_free(b);
	shared_free(r, sizeof *r);
}

/* -- a reply whose buffer is denied -- */

#define ID_MACH_PORT_TYPE 3201
#define REQUEST_SIZE 48

struct caller {
	uint32_t step;		/* word: 1, 3, 5 the child has come so far; 2, 4, 6 it may go on */
	kern_return_t denied, after;
	mach_port_type_t type;
};

/* Asks what its own task port is: the request ends with a page, the reply would go on into the next, which is not there. */
static kern_return_t ask_across(char *two_pages)
{
	mach_msg_header_t *head = (mach_msg_header_t *)(two_pages + PAGE - REQUEST_SIZE);
	mach_msg_type_t *type = (mach_msg_type_t *)(head + 1);
	mach_msg_option_t option = MACH_SEND_MSG | MACH_RCV_MSG;
	kern_return_t code;

	head->msgh_bits = MACH_MSGH_BITS(COPY_SEND, MAKE_ONCE);
	head->msgh_remote_slot = mach_task_self();
	head->msgh_id = ID_MACH_PORT_TYPE;
	*type = (mach_msg_type_t){ .msgt_name = MACH_MSG_TYPE_PORT_NAME, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 };
	*(uint64_t *)(type + 1) = mach_task_self();
	code = mig_rpc(head, option, REQUEST_SIZE, PAGE, 0);
	return code == MACH_MSG_SUCCESS ? code : mig_rpc_failed(code, head, option, REQUEST_SIZE, PAGE, 0);
}

static void caller_main(void *argument)
{
	struct caller *caller = argument;
	vm_address_t two_pages = 0;

	need(vm_allocate(mach_task_self(), &two_pages, 2 * PAGE, TRUE), "memory");
	*(char *)two_pages = 1;
	mig_get_reply_port();
	word_post(&caller->step, 1);
	word_await(&caller->step, 2, PATIENCE_MS);
	caller->denied = ask_across((char *)two_pages);
	word_post(&caller->step, 3);
	word_await(&caller->step, 4, PATIENCE_MS);
	caller->after = mach_port_type(mach_task_self(), mach_task_self(), &caller->type);
	word_post(&caller->step, 5);
	word_await(&caller->step, 6, PATIENCE_MS);
}

static void denied_reply(void)
{
	struct caller *caller = shared_alloc(sizeof *caller);
	ledger_t ledger = MACH_PORT_NULL;
	struct child child;

	ledger = ledger_new(test_ledger(), "caller");
	need(child_start(&child, caller_main, caller, &(struct child_options){ .ledger = ledger }), "a child");
	word_await(&caller->step, 1, PATIENCE_MS);
	need(ledger_set_limit(ledger, LEDGER_RESIDENT_PAGES, used_now(ledger, LEDGER_RESIDENT_PAGES)), "a limit");
	word_post(&caller->step, 2);
	ok(word_await(&caller->step, 3, PATIENCE_MS), "a caller without memory for the reply comes back");
	is_code(caller->denied, KERN_RESOURCE_SHORTAGE, "and is told so");
	need(ledger_set_limit(ledger, LEDGER_RESIDENT_PAGES, LEDGER_UNLIMITED), "no limit");
	word_post(&caller->step, 4);
	ok(word_await(&caller->step, 5, PATIENCE_MS), "it calls again");
	is_code(caller->after, KERN_SUCCESS, "and gets the reply to that call, not the old one");
	ok(caller->type & MACH_PORT_TYPE_SEND, "which is right");
	child_finish(&child);
	need(ledger_terminate(ledger), "the end of a ledger");
	port_free(ledger);
	shared_free(caller, sizeof *caller);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	port = port_new_send();
	regions();
	refused_regions();
	without_copying();
	many_regions();
	too_much();
	arrays();
	cannot_hold();
	denied_reply();
	port_free(port);
	return done_testing();
}
