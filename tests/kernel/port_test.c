/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mach_port_*: rights, references, names, sets, status, notifications, with the codes of the GNU
 * Mach manual (Port Manipulation Interface); and 100,000 ports at once.
 * RUN: in root port_test
 * BOOT: mem=256M
 * LIMIT: 120
 */
#include <mach_debug_user.h>
#include <string.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define R(right)	MACH_PORT_RIGHT_##right
#define T(type)		MACH_PORT_TYPE_##type

#define UNUSED_NAME	0x7654321u
#define MANY		100000u

static mach_port_t self;

/* A port that is certainly no task. */
static mach_port_t no_task(void)
{
	return test_thread();
}

static void allocation(void)
{
	mach_port_t port = 0, set = 0, dead = 0, other = 99;
	mach_port_status_t status;

	is_code(mach_port_allocate(self, R(RECEIVE), &port), KERN_SUCCESS, "a receive right can be made");
	is_code(mach_port_allocate(self, R(PORT_SET), &set), KERN_SUCCESS, "a port set can be made");
	is_code(mach_port_allocate(self, R(DEAD_NAME), &dead), KERN_SUCCESS, "a dead name can be made");
	ok(port != set && set != dead && port != dead && port != 0 && set != 0 && dead != 0,
	   "new rights have names of their own");
	is(port_type(port), T(RECEIVE), "a new port's name denotes a receive right only");
	is(port_type(set), T(PORT_SET), "a new set's name denotes a port set");
	is(port_type(dead), T(DEAD_NAME), "a new dead name denotes a dead name");
	is(port_refs(dead, R(DEAD_NAME)), 1, "a new dead name has one user reference");
	is(port_refs(port, R(RECEIVE)), 1, "a receive right has one user reference");
	is(port_refs(port, R(SEND)), 0, "no send right comes with a new receive right");
	is(port_refs(set, R(PORT_SET)), 1, "a port set has one user reference");
	status = port_status(port);
	ok(status.mps_pset == 0 && status.mps_seqno == 0 && status.mps_mscount == 0 &&
		   status.mps_msgcount == 0 && status.mps_sorights == 0 && !status.mps_srights &&
		   !status.mps_pdrequest && !status.mps_nsrequest,
	   "a new port has no messages, no rights, no requests and counts from zero");
	is(status.mps_qlimit, MACH_PORT_QLIMIT_DEFAULT, "a new port has the default queue limit");
	is_code(mach_port_allocate(self, R(SEND), &other), KERN_INVALID_VALUE, "a send right cannot be allocated");
	is_code(mach_port_allocate(self, R(SEND_ONCE), &other), KERN_INVALID_VALUE,
		"a send-once right cannot be allocated");
	is_code(mach_port_allocate(self, R(NUMBER), &other), KERN_INVALID_VALUE, "a right of no kind is refused");
	is_code(mach_port_allocate(self, ~0u, &other), KERN_INVALID_VALUE, "a right with a wild number is refused");
	is_code(mach_port_allocate(no_task(), R(RECEIVE), &other), KERN_INVALID_TASK,
		"in what is no task nothing is allocated");
	port_free(port);
	port_free(set);
	port_free(dead);
	is(port_type(port) | port_type(set) | port_type(dead), 0, "destroyed names denote nothing");
}

static void chosen_names(void)
{
	static const mach_port_name_t names[] = { 1000, 0x10000, 0x1234567, 0x7fffffff, 0x80000000, 0xfffffffe };
	mach_port_t first = port_new();
	bool made = true, used = true, works = true;

	for (unsigned i = 0; i < countof(names); i++)
		made &= mach_port_allocate_name(self, R(RECEIVE), names[i]) == KERN_SUCCESS;
	ok(made, "any name up to the last can be chosen for a new right");
	for (unsigned i = 0; i < countof(names); i++) {
		used &= mach_port_allocate_name(self, R(RECEIVE), names[i]) == KERN_NAME_EXISTS;
		port_add_send(names[i]);
		works &= msg_send_plain(names[i], 5) == MACH_MSG_SUCCESS && msg_receive_plain(names[i]) == 5;
	}
	ok(used, "a name in use cannot be chosen again");
	ok(works, "messages come and go through ports with chosen names");
	is_code(mach_port_allocate_name(self, R(PORT_SET), first), KERN_NAME_EXISTS,
		"a name that the kernel chose cannot be chosen again");
	is_code(mach_port_allocate_name(self, R(RECEIVE), MACH_PORT_NULL), KERN_INVALID_VALUE,
		"the null name cannot be chosen");
	is_code(mach_port_allocate_name(self, R(RECEIVE), MACH_PORT_DEAD), KERN_INVALID_VALUE,
		"the dead name's value cannot be chosen");
	is_code(mach_port_allocate_name(self, R(SEND), UNUSED_NAME), KERN_INVALID_VALUE,
		"a send right with a chosen name cannot be allocated");
	is_code(mach_port_allocate_name(no_task(), R(RECEIVE), UNUSED_NAME), KERN_INVALID_TASK,
		"a name in what is no task cannot be chosen");
	for (unsigned i = 0; i < countof(names); i++)
		port_free(names[i]);
	port_free(first);
	is_code(mach_port_allocate_name(self, R(DEAD_NAME), names[5]), KERN_SUCCESS,
		"a freed name can be chosen again");
	port_free(names[5]);
}

static void references(void)
{
	mach_port_t port = port_new_send(), once = port_new_once(port), set = port_new_set();

	port_add_send(port);
	is(port_refs(port, R(SEND)), 2, "a second send right is a second user reference");
	is(port_type(port), T(SEND_RECEIVE), "send and receive right share a name");
	ok(once != port && port_type(once) == T(SEND_ONCE), "a send-once right has a name of its own");
	is(port_refs(once, R(SEND_ONCE)), 1, "a send-once right has one user reference");
	is(port_refs(once, R(SEND)), 0, "refs of a right that the name does not denote are zero");
	is_code(mach_port_mod_refs(self, port, R(SEND), 3), KERN_SUCCESS, "send references can be added");
	is(port_refs(port, R(SEND)), 5, "they are there");
	is_code(mach_port_mod_refs(self, port, R(SEND), -6), KERN_INVALID_VALUE,
		"more references than there are cannot be taken");
	is(port_refs(port, R(SEND)), 5, "a refused change changes nothing");
	is_code(mach_port_mod_refs(self, port, R(SEND), -4), KERN_SUCCESS, "send references can be taken");
	is_code(mach_port_deallocate(self, port), KERN_SUCCESS, "deallocate takes the last one");
	is(port_type(port), T(RECEIVE), "the receive right stays");
	is_code(mach_port_deallocate(self, port), KERN_INVALID_RIGHT, "a receive right cannot be deallocated");
	is_code(mach_port_mod_refs(self, port, R(SEND), 1), KERN_INVALID_RIGHT,
		"references to a send right that is not held cannot be added");
	is_code(mach_port_mod_refs(self, port, R(RECEIVE), 0), KERN_SUCCESS, "a change of nothing is allowed");
	is_code(mach_port_mod_refs(self, port, R(RECEIVE), 1), KERN_UREFS_OVERFLOW,
		"a receive right has one reference at most");
	is_code(mach_port_mod_refs(self, port, R(RECEIVE), -2), KERN_INVALID_VALUE, "and not less than none");
	is_code(mach_port_mod_refs(self, set, R(PORT_SET), 1), KERN_UREFS_OVERFLOW, "a set has one at most");
	is_code(mach_port_mod_refs(self, once, R(SEND_ONCE), 1), KERN_UREFS_OVERFLOW,
		"a send-once right has one at most");
	is_code(mach_port_mod_refs(self, port, R(NUMBER), 1), KERN_INVALID_VALUE, "a right of no kind is refused");
	is_code(mach_port_mod_refs(self, UNUSED_NAME, R(SEND), 1), KERN_INVALID_NAME, "an unused name is refused");
	is_code(mach_port_mod_refs(no_task(), port, R(SEND), 1), KERN_INVALID_TASK, "a port that is no task is refused");
	is_code(mach_port_deallocate(self, set), KERN_INVALID_RIGHT, "a port set cannot be deallocated");
	is_code(mach_port_deallocate(self, UNUSED_NAME), KERN_INVALID_NAME, "nor an unused name");
	is_code(mach_port_deallocate(self, MACH_PORT_NULL), KERN_INVALID_NAME, "nor the null name");
	is_code(mach_port_destroy(self, UNUSED_NAME), KERN_INVALID_NAME, "an unused name cannot be destroyed");
	is_code(mach_port_destroy(no_task(), port), KERN_INVALID_TASK, "nor one in what is no task");
	is_code(mach_port_mod_refs(self, set, R(PORT_SET), -1), KERN_SUCCESS, "a set's one reference can be taken");
	is(port_type(set), 0, "and it is gone");
	is_code(mach_port_mod_refs(self, port, R(RECEIVE), -1), KERN_SUCCESS, "a port's one reference can be taken");
	is(port_type(port), 0, "its name denotes nothing any more");
	is(port_type(once), T(DEAD_NAME), "a send-once right to it is a dead name now");
	is_code(mach_port_deallocate(self, once), KERN_SUCCESS, "which can be deallocated");
	is(port_type(once), 0, "and is gone");
}

static void many_references(void)
{
	mach_port_t port = port_new_send();
	unsigned refs;
	kern_return_t code;

	is_code(mach_port_mod_refs(self, port, R(SEND), 0x7fffffff), KERN_UREFS_OVERFLOW,
		"two thousand million references are too many");
	is(port_refs(port, R(SEND)), 1, "and none was added");
	do
		code = mach_port_mod_refs(self, port, R(SEND), 4096);
	while (code == KERN_SUCCESS);
	is_code(code, KERN_UREFS_OVERFLOW, "references have a maximum");
	do
		code = mach_port_mod_refs(self, port, R(SEND), 1);
	while (code == KERN_SUCCESS);
	refs = port_refs(port, R(SEND));
	is_code(mach_port_insert_right(self, port, port, MAKE_SEND), KERN_UREFS_OVERFLOW,
		"inserting a right beyond the maximum is refused");
	is(port_refs(port, R(SEND)), refs, "and the count stays");
	is_code(mach_port_mod_refs(self, port, R(RECEIVE), -1), KERN_SUCCESS, "the port dies");
	is(port_refs(port, R(DEAD_NAME)), refs, "its dead name has all the references");
	is_code(mach_port_mod_refs(self, port, R(DEAD_NAME), 1), KERN_UREFS_OVERFLOW,
		"a dead name's references have the same maximum");
	is_code(mach_port_mod_refs(self, port, R(DEAD_NAME), -(mach_port_delta_t)refs), KERN_SUCCESS,
		"all of them can go at once");
	is(port_type(port), 0, "and the name is free");
}

static bool listed(mach_port_t name, mach_port_type_t type)
{
	mach_port_name_array_t names = NULL;
	mach_port_type_array_t types = NULL;
	mach_msg_type_number_t count = 0, type_count = 0;
	unsigned found = 0;

	need(mach_port_names(self, &names, &count, &types, &type_count), "mach_port_names");
	for (unsigned i = 0; i < count && i < type_count; i++)
		found += names[i] == name && types[i] == type;
	give_back_memory((vm_address_t)names, count * sizeof *names);
	give_back_memory((vm_address_t)types, type_count * sizeof *types);
	return found == 1 && count == type_count;
}

static void name_lists(void)
{
	mach_port_t port = port_new_send(), set = port_new_set(), once = port_new_once(port), dead = 0;
	unsigned before = names_here();
	mach_port_name_array_t names;
	mach_port_type_array_t types;
	mach_port_type_t type;
	mach_msg_type_number_t count, type_count;

	need(mach_port_allocate(self, R(DEAD_NAME), &dead), "a dead name");
	is(names_here(), before + 1, "mach_port_names tells of one name more");
	ok(listed(port, T(SEND_RECEIVE)) && listed(set, T(PORT_SET)) && listed(once, T(SEND_ONCE)) &&
		   listed(dead, T(DEAD_NAME)),
	   "each right is listed once, with its type");
	is_code(mach_port_type(self, UNUSED_NAME, &type), KERN_INVALID_NAME, "an unused name has no type");
	is_code(mach_port_type(self, MACH_PORT_DEAD, &type), KERN_INVALID_NAME, "nor has the reserved one");
	is_code(mach_port_type(no_task(), port, &type), KERN_INVALID_TASK, "a port that is no task has no types");
	is_code(mach_port_names(no_task(), &names, &count, &types, &type_count), KERN_INVALID_TASK, "and no names");
	port_free(port);
	port_free(set);
	port_free(once);
	port_free(dead);
}

static void renaming(void)
{
	const mach_port_name_t new_name = 0x22222;
	mach_port_t port = port_new_send(), other = port_new(), set = port_new_set();
	struct msg m;

	is_code(msg_send_plain(port, 77), MACH_MSG_SUCCESS, "a message waits at a port");
	is_code(mach_port_rename(self, port, new_name), KERN_SUCCESS, "the port can be renamed");
	is(port_type(port), 0, "its old name denotes nothing");
	is(port_type(new_name), T(SEND_RECEIVE), "its new name denotes both rights");
	is_code(msg_receive(&m, new_name, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "the message is there by the new name");
	is(m.head.msgh_local_port, new_name, "and says the new name");
	is_code(mach_port_rename(self, new_name, other), KERN_NAME_EXISTS, "a name in use is refused");
	is_code(mach_port_rename(self, new_name, MACH_PORT_NULL), KERN_INVALID_VALUE, "null is refused");
	is_code(mach_port_rename(self, new_name, MACH_PORT_DEAD), KERN_INVALID_VALUE, "dead is refused");
	is_code(mach_port_rename(self, UNUSED_NAME, UNUSED_NAME + 1), KERN_INVALID_NAME, "an unused name has no port");
	is_code(mach_port_rename(no_task(), port, UNUSED_NAME), KERN_INVALID_TASK, "nor has what is no task");
	need(mach_port_move_member(self, new_name, set), "a member");
	is_code(mach_port_rename(self, set, 0x33333), KERN_SUCCESS, "a set can be renamed");
	is(port_status(new_name).mps_pset, 0x33333, "its members know its new name");
	is_code(mach_port_mod_refs(self, new_name, R(RECEIVE), -1), KERN_SUCCESS, "a renamed port can die");
	is(port_type(new_name), T(DEAD_NAME), "its send right is a dead name");
	is_code(mach_port_rename(self, new_name, 0x44444), KERN_SUCCESS, "a dead name can be renamed");
	port_free(0x44444);
	port_free(0x33333);
	port_free(other);
}

static unsigned members_of(mach_port_t set, mach_port_t first, mach_port_t second)
{
	mach_port_name_array_t members = NULL;
	mach_msg_type_number_t count = 0;
	unsigned found = 0;

	need(mach_port_get_set_status(self, set, &members, &count), "the members of a set");
	for (unsigned i = 0; i < count; i++)
		found += members[i] == first || members[i] == second;
	if (count > 0)
		give_back_memory((vm_address_t)members, count * sizeof *members);
	return found == count ? count : ~0u;
}

static void set_membership(void)
{
	mach_port_t a = port_new_send(), b = port_new_send(), set = port_new_set(), other = port_new_set();
	mach_port_name_array_t members;
	mach_msg_type_number_t count;
	struct msg m;

	is(members_of(set, 0, 0), 0, "a new set has no members");
	is_code(mach_port_move_member(self, a, MACH_PORT_NULL), KERN_NOT_IN_SET, "a port outside sets cannot leave one");
	is_code(mach_port_move_member(self, a, set), KERN_SUCCESS, "a port can join a set");
	is_code(mach_port_move_member(self, b, set), KERN_SUCCESS, "and another");
	is(members_of(set, a, b), 2, "the set has both");
	is(port_status(a).mps_pset, set, "a member's status names its set");
	is_code(mach_port_move_member(self, a, other), KERN_SUCCESS, "a member can move to another set");
	ok(members_of(set, b, b) == 1 && members_of(other, a, a) == 1, "and is in that one only");
	is_code(msg_receive(&m, a, MACH_RCV_TIMEOUT, 0), MACH_RCV_IN_SET, "a member cannot be received from alone");
	is_code(mach_port_move_member(self, a, MACH_PORT_NULL), KERN_SUCCESS, "a member can leave its set");
	is_code(msg_receive(&m, a, MACH_RCV_TIMEOUT, 0), MACH_RCV_TIMED_OUT, "and be received from alone");
	is(port_status(a).mps_pset, 0, "it has no set any more");
	is_code(mach_port_move_member(self, set, other), KERN_INVALID_RIGHT, "a set cannot join a set");
	is_code(mach_port_move_member(self, a, b), KERN_INVALID_RIGHT, "a port is no set");
	is_code(mach_port_move_member(self, UNUSED_NAME, set), KERN_INVALID_NAME, "an unused name cannot join");
	is_code(mach_port_move_member(self, a, UNUSED_NAME), KERN_INVALID_NAME, "an unused name cannot be joined");
	is_code(mach_port_move_member(no_task(), a, set), KERN_INVALID_TASK, "nothing moves in what is no task");
	is_code(mach_port_get_set_status(self, a, &members, &count), KERN_INVALID_RIGHT, "a port has no members");
	is_code(mach_port_get_set_status(self, UNUSED_NAME, &members, &count), KERN_INVALID_NAME, "nor an unused name");
	need(mach_port_move_member(self, a, set), "a member again");
	port_free(b);
	is(members_of(set, a, a), 1, "a port that dies leaves its set");
	port_free(set);
	is(port_status(a).mps_pset, 0, "a set that dies lets its members go");
	is_code(msg_send_plain(a, 3), MACH_MSG_SUCCESS, "which live on");
	is(msg_receive_plain(a), 3, "and can be received from");
	port_free(a);
	port_free(other);
}

static void set_receiving(void)
{
	mach_port_t a = port_new_send(), b = port_new_send(), set = port_new_set();
	unsigned from_a = 0, from_b = 0, order_a = 0, turns = 0, last = 0;
	struct msg m;

	is_code(msg_receive(&m, set, MACH_RCV_TIMEOUT, 0), MACH_RCV_TIMED_OUT, "an empty set can be received from");
	is_code(msg_send_plain(a, 100), MACH_MSG_SUCCESS, "a message is sent before its port joins");
	need(mach_port_move_member(self, a, set), "a member");
	need(mach_port_move_member(self, b, set), "a member");
	is_code(msg_receive(&m, set, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "and is received from the set");
	ok(m.head.msgh_id == 100 && m.head.msgh_local_port == a, "with the member's name");
	for (int i = 0; i < 5; i++)
		msg_send_plain(a, 200 + i);
	for (int i = 0; i < 5; i++)
		msg_send_plain(b, 300 + i);
	for (int i = 0; i < 10 && msg_receive(&m, set, MACH_RCV_TIMEOUT, 0) == MACH_MSG_SUCCESS; i++) {
		if (m.head.msgh_local_port == a)
			order_a += m.head.msgh_id == 200 + (int)from_a++;
		else
			order_a += m.head.msgh_id == 300 + (int)from_b++;
		turns += m.head.msgh_local_port != last;
		last = m.head.msgh_local_port;
	}
	is(from_a, 5, "all of one member's messages come");
	is(from_b, 5, "and all of the other's");
	is(order_a, 10, "each member's in the order sent");
	is(turns, 10, "and members take turns");
	msg_send_plain(a, 400);
	port_free(set);
	is(msg_receive_plain(a), 400, "a message outlives the set");
	port_free(a);
	port_free(b);
}

static void inserting(void)
{
	mach_port_t port = port_new(), once = 0, other = port_new_send(), got = 0;
	task_t child = MACH_PORT_NULL;
	mach_msg_type_name_t type = 0;
	mach_port_type_t child_type = 0;

	need(child_empty(&child, MACH_PORT_NULL), "an empty task");
	is_code(mach_port_insert_right(child, 0x500, port, MAKE_SEND), KERN_SUCCESS, "a send right goes into a task");
	is_code(mach_port_insert_right(child, 0x500, port, MAKE_SEND), KERN_SUCCESS, "and again");
	is_code(mach_port_insert_right(child, 0x501, port, MAKE_SEND), KERN_RIGHT_EXISTS,
		"by another name it is refused");
	is_code(mach_port_insert_right(child, 0x500, other, COPY_SEND), KERN_NAME_EXISTS, "a name in use is refused");
	is_code(mach_port_insert_right(child, 0, other, COPY_SEND), KERN_INVALID_VALUE, "the null name is refused");
	is_code(mach_port_insert_right(child, ~0u, other, COPY_SEND), KERN_INVALID_VALUE, "the dead name is refused");
	is_code(mach_port_insert_right(child, 0x502, MACH_PORT_NULL, COPY_SEND), KERN_INVALID_CAPABILITY,
		"no right is refused");
	is_code(mach_port_insert_right(child, 0x502, MACH_PORT_DEAD, COPY_SEND), KERN_INVALID_CAPABILITY,
		"a dead one is refused");
	is_code(mach_port_insert_right(no_task(), 0x502, other, COPY_SEND), KERN_INVALID_TASK, "so is what is no task");
	is_code(mach_port_insert_right(child, 0x503, port, MAKE_ONCE), KERN_SUCCESS, "a send-once right goes in");
	is_code(mach_port_insert_right(child, 0x503, port, MAKE_ONCE), KERN_NAME_EXISTS, "each needs a name of its own");
	is_code(mach_port_insert_right(child, 0x504, other, MOVE_RECEIVE), KERN_SUCCESS, "a receive right goes in");
	is(port_type(other), T(SEND), "and is gone here");
	is_code(mach_port_insert_right(child, 0x504, other, COPY_SEND), KERN_SUCCESS,
		"a send right joins the receive right");
	mach_port_type(child, 0x504, &child_type);
	is(child_type, T(SEND_RECEIVE), "by the same name");
	mach_port_type(child, 0x503, &child_type);
	is(child_type, T(SEND_ONCE), "the send-once right is there");
	is(port_status(port).mps_mscount, 3, "the make-send count tells of the send rights made, the refused one too");
	is(message_await(port, 0), MACH_NOTIFY_SEND_ONCE, "the refused send-once right was used up");
	is(port_status(port).mps_sorights, 1, "the status tells of the other one");
	ok(port_status(port).mps_srights, "and that there are send rights");

	is_code(mach_port_extract_right(child, 0x504, MOVE_RECEIVE, &got, &type), KERN_SUCCESS,
		"the receive right can be extracted");
	ok(got == other && type == MACH_MSG_TYPE_PORT_RECEIVE && port_type(other) == T(SEND_RECEIVE),
	   "and joins its send right again");
	is_code(mach_port_extract_right(child, 0x500, COPY_SEND, &got, &type), KERN_SUCCESS, "a send right is copied");
	ok(got == port && type == MACH_MSG_TYPE_PORT_SEND, "by the name of its receive right");
	is_code(mach_port_extract_right(child, 0x503, MOVE_ONCE, &once, &type), KERN_SUCCESS,
		"a send-once right is moved");
	ok(once != port && type == MACH_MSG_TYPE_PORT_SEND_ONCE && port_type(once) == T(SEND_ONCE),
	   "to a name of its own");
	is_code(mach_port_extract_right(child, 0x500, MAKE_SEND, &got, &type), KERN_INVALID_RIGHT,
		"send rights are not made from a send right");
	is_code(mach_port_extract_right(child, 0x500, 7, &got, &type), KERN_INVALID_VALUE, "a type of no right is refused");
	is_code(mach_port_extract_right(child, 0x5ff, COPY_SEND, &got, &type), KERN_INVALID_NAME,
		"an unused name holds nothing to extract");
	is_code(mach_port_extract_right(no_task(), 0x500, COPY_SEND, &got, &type), KERN_INVALID_TASK,
		"nor does what is no task");
	task_terminate(child);
	mach_port_deallocate(self, child);
	ok(port_type(port) == (T(RECEIVE) | T(SEND)), "the extracted right is still there");
	port_free(once);
	is(message_await(port, 0), MACH_NOTIFY_SEND_ONCE, "the unused send-once right tells of its end");
	port_free(port);
	port_free(other);
}

/* A request for a notification; the right registered before. One that is refused uses its right up. */
static mach_port_t request(mach_port_t name, int id, unsigned sync, mach_port_t notify, kern_return_t *code)
{
	mach_port_t previous = MACH_PORT_NULL, once = MACH_PORT_VALID(notify) ? port_new_once(notify) : notify;
	kern_return_t result = mach_port_request_notification(self, name, id, sync, once, MOVE_ONCE, &previous);

	if (result != KERN_SUCCESS && MACH_PORT_VALID(once))
		is(message_await(notify, 0), MACH_NOTIFY_SEND_ONCE, "the right of a refused request is used up");
	if (code != NULL)
		*code = result;
	else
		need(result, "a notification can be requested");
	return previous;
}

/* The notification that waits, if it is a word about a name. */
static bool told(mach_port_t port, int id, uint32_t word)
{
	struct msg m;

	if (msg_receive(&m, port, MACH_RCV_TIMEOUT, 0) != MACH_MSG_SUCCESS)
		return false;
	return m.head.msgh_id == id && m.head.msgh_size == sizeof(mach_dead_name_notification_t) &&
	       msg_item_port(&m, 0) == word && m.head.msgh_remote_port == 0 &&
	       MACH_MSGH_BITS_LOCAL(m.head.msgh_bits) == MACH_MSG_TYPE_PORT_SEND_ONCE;
}

/* One notification for each of two names, in whatever order. */
static bool told_both(mach_port_t port, int id, uint32_t one, uint32_t two)
{
	struct msg m;
	uint32_t first;

	if (msg_receive(&m, port, MACH_RCV_TIMEOUT, 0) != MACH_MSG_SUCCESS || m.head.msgh_id != id)
		return false;
	first = (uint32_t)msg_item_port(&m, 0);
	return (first == one || first == two) && told(port, id, first == one ? two : one);
}

static void dead_names(void)
{
	mach_port_t notify = port_new(), port = port_new_send(), once, previous;
	kern_return_t code;

	once = port_new_once(port);
	is(request(port, MACH_NOTIFY_DEAD_NAME, 0, notify, NULL), 0, "a first dead-name request has none before it");
	is(port_type(port), T(SEND_RECEIVE) | T(DNREQUEST), "the type tells of the request");
	previous = request(port, MACH_NOTIFY_DEAD_NAME, 0, notify, NULL);
	is(port_type(previous), T(SEND_ONCE), "a second request gives back the first's right");
	port_free(previous);
	is(message_await(notify, 0), MACH_NOTIFY_SEND_ONCE, "which is still good");
	request(once, MACH_NOTIFY_DEAD_NAME, 0, notify, NULL);
	mach_port_mod_refs(self, port, R(RECEIVE), -1);
	is(port_type(port), T(DEAD_NAME), "the port's send right is a dead name");
	is(port_refs(port, R(DEAD_NAME)), 2, "with one reference more for the notification");
	is(port_refs(once, R(DEAD_NAME)), 2, "its send-once right too");
	ok(told_both(notify, MACH_NOTIFY_DEAD_NAME, port, once), "both notifications come with their names");
	ok(msg_none(notify), "and no other");
	request(port, MACH_NOTIFY_DEAD_NAME, 0, notify, &code);
	is_code(code, KERN_INVALID_ARGUMENT, "a request on a dead name is refused when sync is zero");
	request(port, MACH_NOTIFY_DEAD_NAME, 1, MACH_PORT_NULL, &code);
	is_code(code, KERN_INVALID_ARGUMENT, "or when no port is given");
	request(port, MACH_NOTIFY_DEAD_NAME, 1, notify, &code);
	is_code(code, KERN_SUCCESS, "with sync it is granted");
	ok(told(notify, MACH_NOTIFY_DEAD_NAME, port), "and fulfilled at once");
	is(port_refs(port, R(DEAD_NAME)), 3, "with one reference more");
	mach_port_mod_refs(self, port, R(DEAD_NAME), 0x10000 - 1 - 3);
	request(port, MACH_NOTIFY_DEAD_NAME, 1, notify, &code);
	is_code(code, KERN_UREFS_OVERFLOW, "not when the references would overflow");
	ok(msg_none(notify), "and nothing is told");
	port_free(port);
	port_free(once);
	port_free(notify);
}

static void port_deleted(void)
{
	mach_port_t notify = port_new(), port = port_new_send(), once = port_new_once(port);

	request(port, MACH_NOTIFY_DEAD_NAME, 0, notify, NULL);
	mach_port_mod_refs(self, port, R(SEND), -1);
	ok(msg_none(notify), "a name that still denotes a right is not deleted");
	mach_port_destroy(self, port);
	ok(told(notify, MACH_NOTIFY_PORT_DELETED, port), "a name that is given back with a request is told of");
	port_free(once);

	port = port_new_send();
	once = port_new_once(port);
	request(once, MACH_NOTIFY_DEAD_NAME, 0, notify, NULL);
	{
		struct msg m;

		msg_begin(&m, MOVE_ONCE, once, 0, 0, 9);
		is_code(msg_send(&m, 0, 0), MACH_MSG_SUCCESS, "a message uses up a send-once right");
	}
	ok(told(notify, MACH_NOTIFY_PORT_DELETED, once), "whose name is told as deleted");
	is(port_type(once), 0, "and is free");
	is(port_status(port).mps_sorights, 1, "the right lives in the message");
	is(msg_receive_plain(port), 9, "the message comes");
	is(port_status(port).mps_sorights, 0, "and the right is gone");

	request(port, MACH_NOTIFY_DEAD_NAME, 0, notify, NULL);
	once = request(port, MACH_NOTIFY_DEAD_NAME, 0, MACH_PORT_NULL, NULL);
	is(port_type(once), T(SEND_ONCE), "a request can be cancelled and gives its right back");
	is(port_type(port), T(SEND_RECEIVE), "the type does not tell of it any more");
	port_free(once);
	message_await(notify, 0);
	port_free(port);
	ok(msg_none(notify), "a cancelled request tells nothing");
	port_free(notify);
}

static void request_codes(void)
{
	mach_port_t notify = port_new(), port = port_new_send(), set = port_new_set(), previous, dead = port_new();
	mach_port_t once = port_new_once(dead);
	kern_return_t code;

	request(UNUSED_NAME, MACH_NOTIFY_DEAD_NAME, 0, notify, &code);
	is_code(code, KERN_INVALID_NAME, "a request on an unused name is refused");
	request(set, MACH_NOTIFY_DEAD_NAME, 0, notify, &code);
	is_code(code, KERN_INVALID_RIGHT, "a dead-name request on a set is refused");
	request(port, MACH_NOTIFY_SEND_ONCE, 0, notify, &code);
	is_code(code, KERN_INVALID_VALUE, "a request for another notification is refused");
	request(port, MACH_NOTIFY_PORT_DESTROYED, 1, notify, &code);
	is_code(code, KERN_INVALID_VALUE, "a port-destroyed request with a sync is refused");
	request(set, MACH_NOTIFY_NO_SENDERS, 0, notify, &code);
	is_code(code, KERN_INVALID_RIGHT, "a no-senders request on a set is refused");
	request(port, MACH_NOTIFY_DEAD_NAME, 0, MACH_PORT_DEAD, &code);
	is_code(code, KERN_INVALID_CAPABILITY, "a dead right to notify is refused");
	port_free(dead);
	code = mach_port_request_notification(self, port, MACH_NOTIFY_DEAD_NAME, 0, once, MOVE_ONCE, &previous);
	is_code(code, KERN_INVALID_CAPABILITY, "a right that has died is refused");
	is(port_type(port), T(SEND_RECEIVE), "and nothing is registered");
	code = mach_port_request_notification(no_task(), port, MACH_NOTIFY_DEAD_NAME, 0, MACH_PORT_NULL, MOVE_ONCE,
					      &previous);
	is_code(code, KERN_INVALID_TASK, "in what is no task nothing is registered");
	if (port_type(once) != 0)
		port_free(once);
	port_free(port);
	port_free(set);
	port_free(notify);
}

static void no_senders(void)
{
	mach_port_t notify = port_new(), port = port_new(), previous;

	request(port, MACH_NOTIFY_NO_SENDERS, 1, notify, NULL);
	ok(msg_none(notify), "with fewer send rights made than sync says nothing is told yet");
	ok(port_status(port).mps_nsrequest, "the status tells of the request");
	previous = request(port, MACH_NOTIFY_NO_SENDERS, 0, notify, NULL);
	is(port_type(previous), T(SEND_ONCE), "a second request gives the first's right back");
	ok(told(notify, MACH_NOTIFY_NO_SENDERS, 0), "with sync reached and no senders it is told at once");
	port_free(previous);
	message_await(notify, 0);
	ok(!port_status(port).mps_nsrequest, "and the request is used up");
	port_add_send(port);
	port_add_send(port);
	request(port, MACH_NOTIFY_NO_SENDERS, 0, notify, NULL);
	ok(msg_none(notify), "while there is a sender nothing is told");
	mach_port_deallocate(self, port);
	ok(msg_none(notify), "a reference less is no right less");
	mach_port_deallocate(self, port);
	ok(told(notify, MACH_NOTIFY_NO_SENDERS, 2), "the last send right's end is told, with the make-send count");
	port_add_send(port);
	mach_port_deallocate(self, port);
	ok(msg_none(notify), "one request is told once");
	need(mach_port_set_mscount(self, port, 7), "a make-send count");
	is(port_status(port).mps_mscount, 7, "the make-send count can be set");
	request(port, MACH_NOTIFY_NO_SENDERS, 8, notify, NULL);
	ok(msg_none(notify), "sync is compared with it: below");
	mach_port_set_mscount(self, port, ~0u);
	previous = request(port, MACH_NOTIFY_NO_SENDERS, ~0u, notify, NULL);
	ok(told(notify, MACH_NOTIFY_NO_SENDERS, ~0u), "and reached, at the largest count");
	port_free(previous);
	message_await(notify, 0);
	port_free(port);
	port_free(notify);
}

static void port_destroyed(void)
{
	mach_port_t backup = port_new(), port = port_new_send(), got;
	struct msg m;

	msg_send_plain(port, 11);
	request(port, MACH_NOTIFY_PORT_DESTROYED, 0, backup, NULL);
	ok(port_status(port).mps_pdrequest, "the status tells of a port-destroyed request");
	is_code(mach_port_mod_refs(self, port, R(RECEIVE), -1), KERN_SUCCESS, "the receive right is given back");
	is(port_type(port), T(SEND), "its port lives on, with its send right");
	is_code(msg_receive(&m, backup, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "a notification comes");
	ok(m.head.msgh_id == MACH_NOTIFY_PORT_DESTROYED && (m.head.msgh_bits & MACH_MSGH_BITS_COMPLEX) &&
		   msg_item(&m, 0)->msgt_name == MACH_MSG_TYPE_PORT_RECEIVE,
	   "with the receive right");
	got = msg_item_port(&m, 0);
	is(got, port, "by the name of its send right");
	is(port_type(port), T(SEND_RECEIVE), "which denotes both now");
	ok(!port_status(port).mps_pdrequest, "the request is used up");
	is(msg_receive_plain(port), 11, "the message that waited is still there");
	request(port, MACH_NOTIFY_PORT_DESTROYED, 0, backup, NULL);
	mach_port_destroy(self, port);
	is(port_type(port), 0, "mach_port_destroy takes all rights of the name");
	is_code(msg_receive(&m, backup, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "and the right comes again");
	got = msg_item_port(&m, 0);
	is(port_type(got), T(RECEIVE), "alone");
	request(got, MACH_NOTIFY_PORT_DESTROYED, 0, backup, NULL);
	port_free(backup);
	port_free(got);
	is(port_type(got), 0, "with its backup dead the port dies");
}

static void send_once_told(void)
{
	mach_port_t port = port_new(), once = port_new_once(port);
	struct msg m;

	is_code(mach_port_deallocate(self, once), KERN_SUCCESS, "a send-once right can be deallocated unused");
	is_code(msg_receive(&m, port, MACH_RCV_TIMEOUT, 0), MACH_MSG_SUCCESS, "its port hears of that");
	ok(m.head.msgh_id == MACH_NOTIFY_SEND_ONCE && m.head.msgh_size == sizeof(mach_send_once_notification_t),
	   "by a send-once notification");
	once = port_new_once(port);
	mach_port_mod_refs(self, once, R(SEND_ONCE), -1);
	is(message_await(port, 0), MACH_NOTIFY_SEND_ONCE, "mod_refs does the same");
	once = port_new_once(port);
	mach_port_destroy(self, once);
	is(message_await(port, 0), MACH_NOTIFY_SEND_ONCE, "mach_port_destroy too");
	is(port_status(port).mps_sorights, 0, "no send-once right is left");
	port_free(port);
}

/* Of n ports each tells the others' deaths: what is told then must not run the kernel's stack full. */
static void chain_of_deaths(void)
{
	enum { LENGTH = 2000 };
	static mach_port_t ports[LENGTH];
	mach_port_t last = port_new();
	unsigned dead = 0;

	for (unsigned i = 0; i < LENGTH; i++)
		ports[i] = port_new();
	/* The death of each takes the message at it, which holds the next's receive right. */
	for (unsigned i = 0; i + 1 < LENGTH; i++) {
		mach_port_t previous = 0;
		mach_port_t once = port_new_once(i + 2 < LENGTH ? ports[i + 1] : last);

		need(mach_port_request_notification(self, ports[i], MACH_NOTIFY_PORT_DESTROYED, 0, once, MOVE_ONCE,
						    &previous),
		     "a chain of backups");
	}
	for (unsigned i = 0; i < LENGTH; i++)
		dead += mach_port_destroy(self, ports[i]) == KERN_SUCCESS;
	is(dead, LENGTH, "two thousand ports, each the backup of the one before, can die in turn");
	port_free(last);
}

static void status_setters(void)
{
	mach_port_t port = port_new_send(), set = port_new_set();
	mach_port_status_t status;
	struct msg m;

	is_code(mach_port_set_qlimit(self, port, MACH_PORT_QLIMIT_MAX), KERN_SUCCESS, "the largest queue limit is allowed");
	is_code(mach_port_set_qlimit(self, port, MACH_PORT_QLIMIT_MAX + 1), KERN_INVALID_VALUE, "a larger one is not");
	is(port_status(port).mps_qlimit, MACH_PORT_QLIMIT_MAX, "and changes nothing");
	is_code(mach_port_set_qlimit(self, set, 1), KERN_INVALID_RIGHT, "a set has no queue limit");
	is_code(mach_port_set_qlimit(self, UNUSED_NAME, 1), KERN_INVALID_NAME, "nor has an unused name");
	is_code(mach_port_set_qlimit(no_task(), port, 1), KERN_INVALID_TASK, "nor what is no task");
	for (unsigned i = 0; i < MACH_PORT_QLIMIT_MAX; i++)
		msg_send_plain(port, (int)i + 1);
	is(port_status(port).mps_msgcount, MACH_PORT_QLIMIT_MAX, "so many messages can wait");
	is_code(msg_send_plain(port, 99), MACH_SEND_TIMED_OUT, "and not one more");
	is_code(mach_port_set_qlimit(self, port, 0), KERN_SUCCESS, "the limit can be zero while messages wait");
	is(port_status(port).mps_msgcount, MACH_PORT_QLIMIT_MAX, "which stay");
	need(mach_port_set_seqno(self, port, 0xfffffffe), "a sequence number");
	is(port_status(port).mps_seqno, 0xfffffffe, "the sequence number can be set");
	msg_receive(&m, port, MACH_RCV_TIMEOUT, 0);
	is(m.head.msgh_seqno, 0xfffffffe, "the next message carries it");
	msg_receive(&m, port, MACH_RCV_TIMEOUT, 0);
	msg_receive(&m, port, MACH_RCV_TIMEOUT, 0);
	is(m.head.msgh_seqno, 0, "and it wraps around");
	is_code(mach_port_set_seqno(self, set, 1), KERN_INVALID_RIGHT, "a set has no sequence number");
	is_code(mach_port_set_mscount(self, set, 1), KERN_INVALID_RIGHT, "and no make-send count");
	is_code(mach_port_get_receive_status(self, set, &status), KERN_INVALID_RIGHT, "and no receive status");
	is_code(mach_port_get_receive_status(self, UNUSED_NAME, &status), KERN_INVALID_NAME, "an unused name has none");
	is_code(mach_port_get_receive_status(no_task(), port, &status), KERN_INVALID_TASK, "what is no task has none");
	port_free(port);
	port_free(set);
}

static void payloads(void)
{
	mach_port_t port = port_new_send(), set = port_new_set();
	struct msg m;

	is_code(mach_port_set_protected_payload(self, port, 0x123456789abcdef0), KERN_SUCCESS, "a payload can be set");
	msg_send_plain(port, 1);
	msg_receive(&m, port, MACH_RCV_TIMEOUT, 0);
	is(m.head.msgh_protected_payload, 0x123456789abcdef0, "messages bring it instead of the port's name");
	is(MACH_MSGH_BITS_LOCAL(m.head.msgh_bits), MACH_MSG_TYPE_PROTECTED_PAYLOAD, "and say so");
	is_code(mach_port_clear_protected_payload(self, port), KERN_SUCCESS, "it can be cleared");
	msg_send_plain(port, 1);
	msg_receive(&m, port, MACH_RCV_TIMEOUT, 0);
	is(m.head.msgh_local_port, port, "then messages bring the name");
	is_code(mach_port_set_protected_payload(self, set, 1), KERN_INVALID_RIGHT, "a set has no payload");
	is_code(mach_port_clear_protected_payload(self, UNUSED_NAME), KERN_INVALID_NAME, "an unused name has none");
	port_free(port);
	port_free(set);
}

/* Names given out, as bits. */
static unsigned char seen[MANY];
static mach_port_t many[MANY];

static void a_hundred_thousand(void)
{
	uint64_t ports = used_now(test_ledger(), LEDGER_PORTS), names = used_now(test_ledger(), LEDGER_NAMES);
	unsigned made = 0, distinct = 0, destroyed = 0;
	mach_port_t set = port_new_set();
	struct msg m;

	while (made < MANY && mach_port_allocate(self, R(RECEIVE), &many[made]) == KERN_SUCCESS)
		made++;
	is(made, MANY, "100,000 ports can be had");
	for (unsigned i = 0; i < made; i++) {
		unsigned at = many[i] - 1;

		if (at / 8 < sizeof seen && !(seen[at / 8] & 1 << at % 8)) {
			seen[at / 8] |= (unsigned char)(1 << at % 8);
			distinct++;
		}
	}
	is(distinct, made, "each has a name of its own");
	is(used_now(test_ledger(), LEDGER_PORTS) - ports, made + 1, "the ledger counts them");
	is(used_now(test_ledger(), LEDGER_NAMES), names, "their names lie in them");
	for (unsigned i = 0; i < made; i += 7)
		mach_port_move_member(self, many[i], set);
	for (unsigned i = 0; i < made; i += 1000) {
		port_add_send(many[i]);
		msg_send_plain(many[i], 4000);
	}
	msg_receive(&m, set, MACH_RCV_TIMEOUT, 0);
	is(m.head.msgh_id, 4000, "a message comes through a set of 14,286");
	ok(books_agree(), "the kernel's books agree");
	/* In an order that has nothing to do with that of making: 7919 is prime to MANY. */
	for (unsigned i = 0; i < made; i++)
		destroyed += mach_port_destroy(self, many[(uint64_t)i * 7919 % made]) == KERN_SUCCESS;
	is(destroyed, made, "each can be destroyed, in any order");
	port_free(set);
	is(used_now(test_ledger(), LEDGER_PORTS), ports, "the ledger counts none any more");
	is(used_now(test_ledger(), LEDGER_NAMES), names, "nor their names");
}

static void many_in_a_task(void)
{
	task_t child = MACH_PORT_NULL;
	mach_port_name_t name;
	struct snapshot before;
	unsigned made = 0;

	snapshot_take(&before, test_ledger());
	need(child_empty(&child, MACH_PORT_NULL), "an empty task");
	while (made < MANY / 2 && mach_port_allocate(child, R(RECEIVE), &name) == KERN_SUCCESS)
		made++;
	is(made, MANY / 2, "another task can be given 50,000 ports");
	is_code(task_terminate(child), KERN_SUCCESS, "it can be terminated");
	mach_port_deallocate(self, child);
	snapshot_settles(&before, SNAPSHOT_THINGS, "and all comes back");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 110);
	self = mach_task_self();
	allocation();
	chosen_names();
	references();
	many_references();
	name_lists();
	renaming();
	set_membership();
	set_receiving();
	inserting();
	dead_names();
	port_deleted();
	request_codes();
	no_senders();
	port_destroyed();
	send_once_told();
	chain_of_deaths();
	status_setters();
	payloads();
	a_hundred_thousand();
	many_in_a_task();
	return done_testing();
}
