/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each allocation of each call denied in turn: the code says so and nothing has changed.
 * RUN: in root fail_nth_test
 * LIMIT: 240
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach/notify.h>
#include <mach/threads.h>
#include <string.h>
#include "child.h"
#include "denial.h"
#include "snapshot.h"
#include "tap.h"

#define OOL_PAGES	3
#define OOL_SIZE	(OOL_PAGES * 4096)

/* --- tasks and threads --- */

static task_t made_task;

static kern_return_t call_task_create(void *argument)
{
	return task_create(mach_task_self(), *(const boolean_t *)argument, &made_task);
}

static kern_return_t call_trap_task_create(void *argument)
{
	return syscall_task_create(mach_task_self(), *(const boolean_t *)argument, &made_task);
}

static void undo_task(void *argument)
{
	(void)argument;
	task_terminate(made_task);
	give_back_right(made_task);
}

/* Forking has made the stack copy-on-write: what the next denied call touches must be ours again. */
static void prepare_fork(void *argument)
{
	vm_address_t here = (vm_address_t)__builtin_frame_address(0);

	(void)argument;
	memory_touch(here - 16 * 1024, 20 * 1024);
}

static void test_tasks(void)
{
	static const boolean_t yes = TRUE, no = FALSE;
	struct denial_case denial = {
		.call = call_task_create, .undo = undo_task, .prepare = prepare_fork,
	};

	denial.what = "task_create of an empty task";
	denial.argument = (void *)(uintptr_t)&no;
	for_each_denial(&denial);
	/*
	 * A fork, even one that fails halfway, leaves pages to be copied when they are written next; and
	 * the reply finds its page so, which may be denied once and then be queued instead.
	 */
	denial.except = SNAPSHOT_ALL & ~SNAPSHOT_THINGS;
	denial.may_overcome = true;
	denial.what = "task_create with inheritance";
	denial.argument = (void *)(uintptr_t)&yes;
	for_each_denial(&denial);
	denial.what = "the trap task_create of an empty task";
	denial.call = call_trap_task_create;
	denial.may_overcome = false;
	denial.argument = (void *)(uintptr_t)&no;
	for_each_denial(&denial);
	denial.what = "the trap task_create with inheritance";
	denial.argument = (void *)(uintptr_t)&yes;
	for_each_denial(&denial);
}

static thread_t made_thread;

static kern_return_t call_thread_create(void *argument)
{
	return thread_create(*(const task_t *)argument, &made_thread);
}

static void undo_thread(void *argument)
{
	(void)argument;
	thread_terminate(made_thread);
	give_back_right(made_thread);
}

static void test_threads(void)
{
	task_t other, self = mach_task_self();
	struct denial_case denial = {
		.what = "thread_create", .call = call_thread_create, .undo = undo_thread,
		.argument = &self,
	};

	for_each_denial(&denial);
	need(child_empty(&other, MACH_PORT_NULL), "an empty task");
	denial.what = "thread_create in another task";
	denial.argument = &other;
	for_each_denial(&denial);
	task_terminate(other);
	give_back_right(other);
}

/* --- memory --- */

struct memory {
	task_t task;
	vm_address_t address;
	vm_size_t size;
};

static kern_return_t call_vm_allocate(void *argument)
{
	struct memory *memory = argument;

	return vm_allocate(memory->task, &memory->address, memory->size, TRUE);
}

static kern_return_t call_trap_vm_allocate(void *argument)
{
	struct memory *memory = argument;

	return syscall_vm_allocate(memory->task, &memory->address, memory->size, TRUE);
}

static kern_return_t call_vm_map(void *argument)
{
	struct memory *memory = argument;

	return vm_map(memory->task, &memory->address, memory->size, 0xffff, TRUE, MACH_PORT_NULL, 0,
		      FALSE, VM_PROT_DEFAULT, VM_PROT_ALL, VM_INHERIT_COPY);
}

static void undo_memory(void *argument)
{
	struct memory *memory = argument;

	vm_deallocate(memory->task, memory->address, memory->size);
	memory->address = 0;
}

static void test_allocate(void)
{
	struct memory memory = { mach_task_self(), 0, 10 * vm_page_size };
	struct denial_case denial = { .undo = undo_memory, .argument = &memory };

	denial.what = "vm_allocate";
	denial.call = call_vm_allocate;
	for_each_denial(&denial);
	denial.what = "the trap vm_allocate";
	denial.call = call_trap_vm_allocate;
	for_each_denial(&denial);
	denial.what = "vm_map of new memory";
	denial.call = call_vm_map;
	for_each_denial(&denial);
	need(child_empty(&memory.task, MACH_PORT_NULL), "an empty task");
	denial.what = "vm_allocate in another task";
	denial.call = call_vm_allocate;
	for_each_denial(&denial);
	task_terminate(memory.task);
	give_back_right(memory.task);
}

#define REGION_PAGES	9

static vm_address_t region;

static void prepare_region(void *argument)
{
	(void)argument;
	if (region != 0)
		return;
	need(vm_allocate(mach_task_self(), &region, REGION_PAGES * vm_page_size, TRUE), "memory");
	memset((void *)region, 7, REGION_PAGES * vm_page_size);
}

static void drop_region(void *argument)
{
	(void)argument;
	need(vm_deallocate(mach_task_self(), region, REGION_PAGES * vm_page_size), "vm_deallocate");
	region = 0;
}

static bool region_whole(void)
{
	const char *bytes = (const char *)region;

	for (vm_size_t i = 0; i < REGION_PAGES * vm_page_size; i += vm_page_size) {
		if (bytes[i] != 7)
			return false;
	}
	return true;
}

static void check_region(void *argument, kern_return_t code)
{
	(void)argument;
	(void)code;
	ok(region_whole(), "what was in the memory is still there, and may be read");
}

static kern_return_t call_hole(void *argument)
{
	(void)argument;
	return vm_deallocate(mach_task_self(), region + 3 * vm_page_size, vm_page_size);
}

static kern_return_t call_protect(void *argument)
{
	(void)argument;
	return vm_protect(mach_task_self(), region + 3 * vm_page_size, vm_page_size, FALSE,
			  VM_PROT_READ);
}

static kern_return_t call_inherit(void *argument)
{
	(void)argument;
	return vm_inherit(mach_task_self(), region + 3 * vm_page_size, 2 * vm_page_size,
			  VM_INHERIT_NONE);
}

static vm_address_t read_data;
static mach_msg_type_number_t read_size;

static kern_return_t call_read(void *argument)
{
	(void)argument;
	return vm_read(mach_task_self(), region, 4 * vm_page_size, &read_data, &read_size);
}

static void undo_read(void *argument)
{
	(void)argument;
	give_back_memory(read_data, read_size);
}

static void test_change_memory(void)
{
	struct denial_case denial = {
		.prepare = prepare_region, .undo = drop_region, .check = check_region,
	};
	struct snapshot before;

	/* The successful call of each takes the region with it, so compare around all of it. */
	snapshot_take(&before, test_ledger());
	prepare_region(NULL);
	denial.what = "vm_read";
	denial.call = call_read;
	denial.undo = undo_read;
	for_each_denial(&denial);
	drop_region(NULL);
	snapshot_settles(&before, SNAPSHOT_ALL, "all of vm_read comes back");
}

/* Splitting: the success changes the entries, so there is no undoing; each try begins anew. */
static void split_denials(const char *what, kern_return_t (*call)(void *))
{
	struct snapshot empty, before;
	unsigned nth = 0;
	bool struck;

	snapshot_take(&empty, test_ledger());
	do {
		kern_return_t code;
		char site[64];

		prepare_region(NULL);
		snapshot_take(&before, test_ledger());
		deny_next(++nth);
		code = call(NULL);
		struck = deny_struck(site);
		if (struck) {
			is_code(code, KERN_RESOURCE_SHORTAGE, "%s, allocation %u denied (%s), says so", what,
				nth, site);
			snapshot_same(&before, SNAPSHOT_ALL, "%s, allocation %u denied (%s): nothing has changed",
				      what, nth, site);
			check_region(NULL, code);
		} else {
			is_code(code, KERN_SUCCESS, "%s succeeds undenied", what);
		}
		drop_region(NULL);
	} while (struck && nth < 50);
	ok(nth > 1, "%s allocates something", what);
	snapshot_settles(&empty, SNAPSHOT_ALL, "%s: giving the whole region back leaves nothing", what);
}

/* --- ports --- */

static mach_port_name_t made_name;

static kern_return_t call_port_allocate(void *argument)
{
	return mach_port_allocate(mach_task_self(), *(const mach_port_right_t *)argument, &made_name);
}

static kern_return_t call_trap_port_allocate(void *argument)
{
	return syscall_mach_port_allocate(mach_task_self(), *(const mach_port_right_t *)argument,
					  &made_name);
}

static kern_return_t call_reply_port(void *argument)
{
	(void)argument;
	made_name = mach_reply_port();
	return made_name != MACH_PORT_NULL ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

static void undo_name(void *argument)
{
	(void)argument;
	mach_port_destroy(mach_task_self(), made_name);
}

static kern_return_t call_allocate_name(void *argument)
{
	/* Far from all others, so that it needs a branch of the tree of names to itself. */
	made_name = 0x654321;
	return mach_port_allocate_name(mach_task_self(), *(const mach_port_right_t *)argument, made_name);
}

static void test_ports(void)
{
	static const struct { mach_port_right_t right; const char *name; } rights[] = {
		{ MACH_PORT_RIGHT_RECEIVE, "receive right" },
		{ MACH_PORT_RIGHT_PORT_SET, "port set" },
		{ MACH_PORT_RIGHT_DEAD_NAME, "dead name" },
	};
	struct denial_case denial = { .undo = undo_name };
	char what[80];

	denial.what = what;
	for (unsigned i = 0; i < countof(rights); i++) {
		denial.argument = (void *)(uintptr_t)&rights[i].right;
		snprintf(what, sizeof what, "mach_port_allocate of a %s", rights[i].name);
		denial.call = call_port_allocate;
		for_each_denial(&denial);
		snprintf(what, sizeof what, "the trap mach_port_allocate of a %s", rights[i].name);
		denial.call = call_trap_port_allocate;
		for_each_denial(&denial);
		snprintf(what, sizeof what, "mach_port_allocate_name of a %s", rights[i].name);
		denial.call = call_allocate_name;
		for_each_denial(&denial);
	}
	snprintf(what, sizeof what, "mach_reply_port");
	denial.call = call_reply_port;
	for_each_denial(&denial);
}

static mach_port_t notified;

static kern_return_t call_insert(void *argument)
{
	return mach_port_insert_right(*(const task_t *)argument, 0x7777, mach_task_self(),
				      MACH_MSG_TYPE_COPY_SEND);
}

static void undo_insert(void *argument)
{
	mach_port_deallocate(*(const task_t *)argument, 0x7777);
}

static kern_return_t call_request(void *argument)
{
	return mach_request_notification(*(const mach_port_t *)argument, MACH_NOTIFY_DEAD_NAME, 0,
					 notified);
}

static void undo_request(void *argument)
{
	mach_port_t previous = MACH_PORT_NULL;

	mach_port_request_notification(mach_task_self(), *(const mach_port_t *)argument,
				       MACH_NOTIFY_DEAD_NAME, 0, MACH_PORT_NULL,
				       MACH_MSG_TYPE_MOVE_SEND_ONCE, &previous);
	give_back_right(previous);
	/* Given up, the right sends its notification. */
	message_await(notified, 0);
}

static void test_rights(void)
{
	task_t other;
	struct denial_case insert = {
		.what = "mach_port_insert_right", .call = call_insert, .undo = undo_insert,
		.argument = &other,
	};
	struct denial_case request = {
		.what = "mach_port_request_notification", .call = call_request, .undo = undo_request,
		.argument = &other,
	};

	need(child_empty(&other, MACH_PORT_NULL), "an empty task");
	for_each_denial(&insert);
	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &notified), "a port");
	for_each_denial(&request);
	mach_port_mod_refs(mach_task_self(), notified, MACH_PORT_RIGHT_RECEIVE, -1);
	task_terminate(other);
	give_back_right(other);
}

/* --- ledgers --- */

static ledger_t made_ledger;

static kern_return_t call_ledger_create(void *argument)
{
	(void)argument;
	return ledger_create(test_ledger(), "denied", &made_ledger);
}

static void undo_ledger(void *argument)
{
	(void)argument;
	ledger_terminate(made_ledger);
	give_back_right(made_ledger);
}

static kern_return_t call_guarantee(void *argument)
{
	return ledger_set_guarantee(*(const ledger_t *)argument, LEDGER_PORTS, 100);
}

static void undo_guarantee(void *argument)
{
	ledger_set_guarantee(*(const ledger_t *)argument, LEDGER_PORTS, 0);
}

static kern_return_t call_create_in(void *argument)
{
	return task_create_in_ledger(mach_task_self(), *(const ledger_t *)argument, FALSE, &made_task);
}

static void test_ledgers(void)
{
	ledger_t ledger;
	struct denial_case create = {
		.what = "ledger_create", .call = call_ledger_create, .undo = undo_ledger,
	};
	struct denial_case guarantee = {
		.what = "ledger_set_guarantee", .call = call_guarantee, .undo = undo_guarantee,
		.argument = &ledger,
	};
	struct denial_case task = {
		.what = "task_create_in_ledger", .call = call_create_in, .undo = undo_task,
		.argument = &ledger,
	};

	for_each_denial(&create);
	ledger = ledger_new(test_ledger(), "denied");
	for_each_denial(&guarantee);
	for_each_denial(&task);
	ledger_terminate(ledger);
	give_back_right(ledger);
}

/* --- messages with rights and memory --- */

struct rich_message {
	mach_msg_header_t head;
	mach_msg_type_t right_type;
	uint64_t right;
	mach_msg_type_t data_type;
	uint64_t data;
	mach_msg_type_t rights_type;
	uint64_t rights;
	mach_msg_type_t bytes_type;
	char bytes[512];
};

static mach_port_t queue, carried;
static vm_address_t carried_data;
static mach_port_name_t carried_rights[20];

static void fill_message(struct rich_message *message)
{
	*message = (struct rich_message){
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND,
						    MACH_MSG_TYPE_MAKE_SEND_ONCE) |
				     MACH_MSGH_BITS_COMPLEX,
			.msgh_size = sizeof *message,
			.msgh_remote_slot = queue,
			.msgh_local_slot = queue,
			.msgh_id = 4711,
		},
		.right_type = { .msgt_name = MACH_MSG_TYPE_MAKE_SEND, .msgt_size = 64,
				.msgt_inline = 1, .msgt_number = 1 },
		.right = carried,
		.data_type = { .msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8,
			       .msgt_number = OOL_SIZE },
		.data = carried_data,
		.rights_type = { .msgt_name = MACH_MSG_TYPE_MAKE_SEND_ONCE, .msgt_size = 32,
				 .msgt_number = countof(carried_rights) },
		.rights = (uint64_t)(uintptr_t)carried_rights,
		.bytes_type = { .msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8, .msgt_inline = 1,
				.msgt_number = sizeof message->bytes },
	};
}

static struct rich_message sent, received;

static kern_return_t send_rich(void)
{
	return mach_msg(&sent.head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof sent, 0, MACH_PORT_NULL, 0,
			MACH_PORT_NULL);
}

static kern_return_t receive_rich(void)
{
	return mach_msg(&received.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof received, queue, 0,
			MACH_PORT_NULL);
}

static void prepare_send(void *argument)
{
	(void)argument;
	fill_message(&sent);
	memset(&received, 0, sizeof received);
}

static kern_return_t call_send(void *argument)
{
	(void)argument;
	return send_rich();
}

/* Receives what is queued, if anything, and gives it back. */
static bool drain(void)
{
	kern_return_t code = receive_rich();

	if (code == MACH_RCV_TIMED_OUT)
		return false;
	mach_msg_destroy(&received.head);
	return true;
}

/* The send-once rights that were given up have sent their notifications. */
static void drain_carried(void)
{
	while (message_await(carried, 0) != 0)
		continue;
}

static void undo_send(void *argument)
{
	(void)argument;
	while (drain())
		continue;
	drain_carried();
}

static void check_send(void *argument, kern_return_t code)
{
	(void)argument;
	(void)code;
	ok(!drain(), "a denied send has queued nothing");
	ok(sent.head.msgh_remote_port == queue && sent.right == carried && sent.data == carried_data,
	   "the message is the sender's still");
}

/*
 * A receive whose rights or memory the receiver cannot hold may destroy those (the manual's
 * section on receiving): so all that is sure is that nothing is lost or kept.
 */
static void receive_denials(void)
{
	unsigned nth = 0, queued = 0, destroyed = 0;
	struct snapshot before;
	bool struck;

	prepare_send(NULL);
	need(send_rich(), "a message");
	undo_send(NULL);
	drain();
	snapshot_take(&before, test_ledger());
	do {
		kern_return_t code;
		char site[64];

		prepare_send(NULL);
		need(send_rich(), "a message");
		deny_next(++nth);
		code = receive_rich();
		struck = deny_struck(site);
		if (!struck) {
			is_code(code, MACH_MSG_SUCCESS, "an undenied receive succeeds");
		} else {
			if (!ok(is_shortage(code), "a receive, allocation %u denied (%s): the code tells of a shortage",
				nth, site))
				diag("got:      %#x (%s)", (unsigned)code, mach_error_string(code));
		}
		if (received.head.msgh_id == 4711) {
			destroyed += struck;
			mach_msg_destroy(&received.head);
		}
		/* What comes now is the message itself, or only the end of its reply right. */
		received.head.msgh_id = 0;
		while (drain())
			queued += received.head.msgh_id == 4711;
		drain_carried();
		snapshot_settles(&before, SNAPSHOT_ALL,
				 "a receive, allocation %u denied (%s): nothing is lost or kept", nth, site);
	} while (struck && nth < 100);
	is(queued + destroyed, nth - 1, "a denied receive leaves the message queued or delivers the rest");
	ok(nth > 1, "a receive with rights and memory allocates something");
}

static void test_messages(void)
{
	struct denial_case denial = {
		.what = "a send with rights and memory", .prepare = prepare_send, .call = call_send,
		.undo = undo_send, .check = check_send,
	};
	struct snapshot before;

	snapshot_take(&before, test_ledger());
	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &queue), "a port");
	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &carried), "a port");
	need(memory_allocate(&carried_data, OOL_SIZE), "memory");
	for (unsigned i = 0; i < countof(carried_rights); i++)
		carried_rights[i] = carried;
	for_each_denial(&denial);
	receive_denials();
	give_back_memory(carried_data, OOL_SIZE);
	mach_port_destroy(mach_task_self(), queue);
	mach_port_destroy(mach_task_self(), carried);
	snapshot_settles(&before, SNAPSHOT_THINGS, "all of the messages comes back");
}

/* --- the tool itself --- */

static void test_nothing_armed(void)
{
	mach_port_name_t name;

	deny_next(1);
	/* The armed call is this one, and it allocates nothing. */
	thread_switch(MACH_PORT_NULL, 0, 0);
	is_code(syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &name), KERN_SUCCESS,
		"a denial is armed for one call only");
	ok(!deny_struck(NULL), "what did not strike is not said to have struck");
	mach_port_destroy(mach_task_self(), name);
	is_code(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &name), KERN_SUCCESS,
		"disarmed is disarmed");
	mach_port_destroy(mach_task_self(), name);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 240);
	test_nothing_armed();
	test_allocate();
	test_change_memory();
	split_denials("vm_deallocate of a hole", call_hole);
	split_denials("vm_protect of a middle page", call_protect);
	split_denials("vm_inherit of middle pages", call_inherit);
	test_ports();
	test_rights();
	test_ledgers();
	test_threads();
	test_messages();
	test_tasks();
	return done_testing();
}
