/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Long calls pause and go on. With the option pause=eager each of them pauses at every page and entry, so that what others do comes in its midst:
 * they abort the call, end its thread or its task, look at its registers, or change the memory that it works on. None of it leaves
 * anything behind.
 * RUN: in root pause_test
 * BOOT: mem=128M icount=1 options=pause=eager
 * LIMIT: 120
 */
#include <stdlib.h>
#include <string.h>
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/mig_support.h>
#include <mach/thread_switch.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define MEMORY	0x30000000000ull
#define COPY	0x30100000000ull
#define PAGES	48
#define BYTES	(PAGES * 4096ull)
#define ROUNDS	60
#define HOST	((mach_port_name_t)0x7001)	/* in a child: the privileged host port */

/* What a child has found; shared with it. */
static struct found {
	uint32_t calls, good, interrupted, lost, other;
	kern_return_t code;		/* the last other one */
	uint32_t running;
} *found;

static mach_port_t ports[PAGES];
static struct msg message;
static bool disturbed;		/* by test_disturbed: the contents may be any */
static uint64_t filling[512] __attribute__((aligned(4096)));

/* One entry a page, as far as there is none, and something in each: written by a call, as others may have protected it. */
static void make(vm_address_t start, unsigned step)
{
	for (unsigned i = 0; i < PAGES; i += step) {
		vm_address_t at = start + i * 4096ull;

		vm_allocate(mach_task_self(), &at, step * 4096ull, FALSE);
		for (unsigned page = 0; page < step; page++) {
			filling[0] = at + page * 4096;
			vm_write(mach_task_self(), at + page * 4096, (vm_offset_t)filling, sizeof filling);
		}
	}
}

static void remake(void)
{
	vm_deallocate(mach_task_self(), MEMORY, BYTES);
	vm_deallocate(mach_task_self(), COPY, BYTES);
	make(MEMORY, 1);
	make(COPY, PAGES / 4);
}

static kern_return_t call_write(void)
{
	return vm_write(mach_task_self(), COPY, MEMORY, BYTES);
}

static kern_return_t call_copy(void)
{
	return vm_copy(mach_task_self(), MEMORY, BYTES, COPY);
}

static kern_return_t call_copy_overlapping(void)
{
	return vm_copy(mach_task_self(), COPY, BYTES / 2, COPY + 8 * 4096);
}

static kern_return_t call_read(void)
{
	mach_msg_type_number_t count;
	vm_offset_t data;
	kern_return_t code = vm_read(mach_task_self(), MEMORY, BYTES, &data, &count);

	if (code == KERN_SUCCESS)
		vm_deallocate(mach_task_self(), data, count);
	return code;
}

static kern_return_t call_read_shared(void)
{
	mach_msg_type_number_t count;
	vm_offset_t data;
	/* found lies in the first page of what is shared; all of it is copied. */
	kern_return_t code = vm_read(mach_task_self(), (vm_address_t)found, BYTES, &data, &count);

	if (code == KERN_SUCCESS)
		vm_deallocate(mach_task_self(), data, count);
	return code;
}

static kern_return_t call_deallocate(void)
{
	return syscall_vm_deallocate(mach_task_self(), MEMORY + 4096, BYTES - 4096);
}

static kern_return_t call_deallocate_message(void)
{
	return vm_deallocate(mach_task_self(), MEMORY + 4096, BYTES - 4096);
}

static kern_return_t call_protect(void)
{
	return vm_protect(mach_task_self(), MEMORY + 4096, BYTES - 2 * 4096, FALSE, VM_PROT_READ);
}

static kern_return_t call_inherit(void)
{
	return vm_inherit(mach_task_self(), MEMORY + 4096, BYTES - 2 * 4096, VM_INHERIT_NONE);
}

static kern_return_t call_wire(void)
{
	return vm_wire(HOST, mach_task_self(), MEMORY, BYTES, VM_PROT_READ);
}

static kern_return_t call_unwire(void)
{
	return vm_wire(HOST, mach_task_self(), MEMORY + 4096, BYTES - 2 * 4096, VM_PROT_NONE);
}

static kern_return_t call_wire_all(void)
{
	kern_return_t code = vm_wire_all(HOST, mach_task_self(), VM_WIRE_CURRENT);

	return code == KERN_SUCCESS ? vm_wire_all(HOST, mach_task_self(), VM_WIRE_NONE) : code;
}

static kern_return_t call_create(void)
{
	kern_return_t code;
	task_t task;

	/* What is wired is copied page by page. */
	vm_wire(HOST, mach_task_self(), COPY, BYTES / 4, VM_PROT_READ);
	code = task_create(mach_task_self(), TRUE, &task);
	if (code != KERN_SUCCESS)
		return code;
	task_terminate(task);
	return mach_port_deallocate(mach_task_self(), task);
}

static kern_return_t call_create_trap(void)
{
	task_t task;
	kern_return_t code = syscall_task_create(mach_task_self(), TRUE, &task);

	if (code != KERN_SUCCESS)
		return code;
	task_terminate(task);
	return mach_port_deallocate(mach_task_self(), task);
}

static kern_return_t call_names(void)
{
	mach_port_name_array_t names;
	mach_port_type_array_t types;
	mach_msg_type_number_t count, types_count;
	kern_return_t code;

	if (ports[0] == MACH_PORT_NULL)
		for (unsigned i = 0; i < PAGES; i++)
			mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &ports[i]);
	code = mach_port_names(mach_task_self(), &names, &count, &types, &types_count);
	if (code != KERN_SUCCESS)
		return code;
	for (unsigned i = 0, found_ports = 0; i < PAGES; i++, found_ports = 0) {
		for (unsigned n = 0; n < count; n++)
			found_ports += names[n] == ports[i] && (types[n] & MACH_PORT_TYPE_RECEIVE) != 0;
		if (found_ports != 1)
			code = KERN_INVALID_NAME;
	}
	vm_deallocate(mach_task_self(), (vm_address_t)names, count * sizeof *names);
	vm_deallocate(mach_task_self(), (vm_address_t)types, count * sizeof *types);
	return code;
}

/* A message with two long regions and a small one, to itself. */
static kern_return_t call_message(void)
{
	mach_port_t port = ports[0];
	vm_address_t got[3];
	kern_return_t code;

	if (port == MACH_PORT_NULL) {
		port = ports[0] = port_new_send();
		memset(&message, 0, sizeof message);
	}
	msg_begin(&message, COPY_SEND, port, 0, 0, 1);
	msg_add_region(&message, (void *)MEMORY, BYTES, false);
	msg_add_region(&message, (void *)(COPY + 100), BYTES - 5000, false);
	msg_add_region(&message, (void *)filling, sizeof filling, false);
	code = msg_send(&message, MACH_SEND_TIMEOUT, 0);
	if (code != MACH_MSG_SUCCESS)
		return code == MACH_SEND_INTERRUPTED ? KERN_INTERRUPTED : code;
	code = mach_msg(&message.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof message, port, 0, MACH_PORT_NULL);
	if (code != MACH_MSG_SUCCESS)
		return code;
	for (unsigned i = 0; i < 3; i++)
		memcpy(&got[i], (char *)&message + sizeof message.head + i * 16 + 8, sizeof got[i]);
	if (!disturbed)
		for (unsigned i = 0; i < PAGES; i++)
			if (*(uint64_t *)(got[0] + i * 4096) != MEMORY + i * 4096 ||
			    (i > 0 && i < PAGES - 2 && *(uint64_t *)(got[1] - 100 + i * 4096) != COPY + i * 4096))
				code = KERN_FAILURE;
	mach_msg_destroy(&message.head);
	return code;
}

static const struct {
	const char *name;
	kern_return_t (*call)(void);
	bool never_fails;		/* an abort does not end it */
} calls[] = {
	{ "vm_write", call_write, false },
	{ "vm_copy", call_copy, false },
	{ "vm_copy to where it overlaps", call_copy_overlapping, false },
	{ "vm_read", call_read, false },
	{ "vm_read of shared memory", call_read_shared, false },
	{ "vm_deallocate", call_deallocate, true },
	{ "vm_deallocate by a message", call_deallocate_message, true },
	{ "vm_protect", call_protect, false },
	{ "vm_inherit", call_inherit, false },
	{ "vm_wire", call_wire, false },
	{ "vm_wire, unwiring", call_unwire, false },
	{ "vm_wire_all", call_wire_all, false },
	{ "task_create", call_create, false },
	{ "task_create by its trap", call_create_trap, false },
	{ "mach_port_names", call_names, false },
	{ "a message", call_message, false },
};

/* In a child: the call, again and again. */
static void caller(void *argument)
{
	kern_return_t (*call)(void) = *(kern_return_t (*const *)(void))argument;

	for (;;) {
		kern_return_t code;

		remake();
		found->running = 1;
		code = call();
		found->running = 0;
		found->calls++;
		if (code == KERN_SUCCESS)
			found->good++;
		else if (code == KERN_INTERRUPTED)
			found->interrupted++;
		else if (code == MACH_RCV_INTERRUPTED || code == MACH_SEND_INTERRUPTED)
			found->lost++;
		else {
			found->other++;
			found->code = code;
		}
	}
}

static struct random dice;

/* The child goes on to its next pause: no yield by depression, which lasts for a tick. */
static void let_go_on(void)
{
	thread_switch(MACH_PORT_NULL, SWITCH_OPTION_NONE, 0);
}

/* Until the child is in the midst of a call, more or less. */
static void await_midst(void)
{
	for (unsigned i = 0; i < 3000 && found->running == 0; i++)
		let_go_on();
	for (uint64_t i = random_below(&dice, PAGES); i > 0; i--)
		let_go_on();
}

static kern_return_t give_host(struct child *child, void *argument)
{
	(void)argument;
	return mach_port_insert_right(child->task, HOST, test_host_priv(), MACH_MSG_TYPE_COPY_SEND);
}

static void start(struct child *child, unsigned n)
{
	memset(found, 0, sizeof *found);
	need(child_start(child, caller, (void *)&calls[n].call, &(struct child_options){ .before = give_host }), "a child");
}

static void test_abort(unsigned n)
{
	struct child child;

	start(&child, n);
	for (unsigned i = 0; i < ROUNDS; i++) {
		await_midst();
		need(thread_suspend(child.thread), "thread_suspend");
		need(thread_abort(child.thread), "thread_abort");
		need(thread_resume(child.thread), "thread_resume");
	}
	if (calls[n].never_fails)
		ok(found->good > 0 && found->interrupted == 0, "%s is not interrupted (%u of %u)", calls[n].name, found->good, found->calls);
	else
		ok(found->interrupted > 0, "%s is interrupted in its midst (%u of %u)", calls[n].name, found->interrupted, found->calls);
	is(found->other, 0, "and has no other code (%x)", (unsigned)found->code);
	child_finish(&child);
}

static void test_look(unsigned n)
{
	struct i386_thread_state state;
	struct child child;

	start(&child, n);
	for (unsigned i = 0; i < ROUNDS; i++) {
		mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;

		await_midst();
		need(thread_suspend(child.thread), "thread_suspend");
		need(thread_get_state(child.thread, i386_THREAD_STATE, (natural_t *)&state, &count), "thread_get_state");
		if (i % 2 == 0)
			need(task_suspend(child.task), "task_suspend");
		need(thread_resume(child.thread), "thread_resume");
		let_go_on();
		if (i % 2 == 0)
			need(task_resume(child.task), "task_resume");
	}
	ok(found->good > 0 && found->calls == found->good, "%s succeeds although its thread is suspended and looked at (%u of %u)",
	   calls[n].name, found->good, found->calls);
	child_finish(&child);
}

static void test_end(unsigned n)
{
	unsigned midst = 0;

	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		struct child child;

		start(&child, n);
		await_midst();
		midst += found->running;
		if (i % 2 == 0)
			need(thread_terminate(child.thread), "thread_terminate");
		child_finish(&child);
	}
	ok(midst > 0, "threads and tasks end in the midst of %s (%u of %u)", calls[n].name, midst, ROUNDS / 4);
}

/* Names come and go while it has them told. */
static void disturb_names(task_t task)
{
	static mach_port_name_t name = 0x9000;

	if (random_below(&dice, 2))
		mach_port_allocate_name(task, MACH_PORT_RIGHT_DEAD_NAME, name++);
	else
		mach_port_destroy(task, (mach_port_name_t)(name - 1 - random_below(&dice, 20)));
}

/* Something done to the memory that the call works on. */
static void disturb(task_t task)
{
	vm_address_t at = (random_below(&dice, 2) ? MEMORY : COPY) + random_below(&dice, PAGES) * 4096;
	vm_size_t size = (1 + random_below(&dice, 6)) * 4096;
	mach_msg_type_number_t count;
	vm_offset_t data;

	disturb_names(task);
	switch (random_below(&dice, 6)) {
	case 0: vm_deallocate(task, at, size); break;
	case 1: vm_protect(task, at, size, FALSE, VM_PROT_READ); break;
	case 2: vm_allocate(task, &at, size, FALSE); break;
	case 3: vm_inherit(task, at, size, VM_INHERIT_SHARE); break;
	case 4: vm_wire(test_host_priv(), task, at, size, VM_PROT_READ); break;
	default:
		if (vm_read(task, at, size, &data, &count) == KERN_SUCCESS)
			vm_deallocate(mach_task_self(), data, count);
		break;
	}
}

static void test_disturbed(unsigned n)
{
	struct child child;

	disturbed = true;
	start(&child, n);
	disturbed = false;
	for (unsigned i = 0; i < ROUNDS * 4; i++) {
		await_midst();
		disturb(child.task);
	}
	ok(found->good + found->other > ROUNDS / 4 && found->interrupted + found->lost == 0,
	   "%s ends while others change its memory (%u good of %u)", calls[n].name, found->good, found->calls);
	child_finish(&child);
}

/* What is copied by a call that pauses is what was there. */
static void test_contents(void)
{
	unsigned wrong = 0;

	remake();
	need(call_write(), "vm_write");
	for (unsigned i = 0; i < PAGES; i++)
		wrong += *(uint64_t *)(COPY + i * 4096) != MEMORY + i * 4096ull;
	remake();
	need(call_copy(), "vm_copy");
	for (unsigned i = 0; i < PAGES; i++)
		wrong += *(uint64_t *)(COPY + i * 4096) != MEMORY + i * 4096ull;
	is(wrong, 0, "vm_write and vm_copy write what was there");
	need(call_copy_overlapping(), "vm_copy");
	for (unsigned i = 0; i < PAGES / 2; i++)
		wrong += *(uint64_t *)(COPY + (i + 8) * 4096) != MEMORY + i * 4096ull;
	is(wrong, 0, "also where the ranges overlap");
	vm_deallocate(mach_task_self(), MEMORY, BYTES);
	vm_deallocate(mach_task_self(), COPY, BYTES);
}

int main(int argc, char **argv)
{
	struct snapshot before;

	test_begin(argc, argv, 100);
	dice.state = argc > 1 ? strtoull(argv[1], NULL, 0) : 12345;
	diag("pause_test %llu repeats this", (unsigned long long)dice.state);
	found = shared_alloc(BYTES);
	test_contents();
	for (unsigned n = 0; n < countof(calls); n++) {
		snapshot_take_quiet(&before, test_ledger());
		test_abort(n);
		test_look(n);
		test_end(n);
		test_disturbed(n);
		snapshot_settles(&before, SNAPSHOT_THINGS, "all of %s has come back", calls[n].name);
	}
	shared_free(found, BYTES);
	return done_testing();
}
