/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on names and rights. */
#include <throttle_user.h>
#include "chaos.h"

static mach_port_right_t some_right(struct worker *worker)
{
	return (mach_port_right_t)below(worker, one_in(worker, 10) ? 7 : 5);
}

/* A slot that means nothing any more gets a port or set anew. */
static void refill(struct worker *worker)
{
	unsigned slot = SLOT_PORTS + (unsigned)below(worker, SLOTS - SLOT_PORTS);
	mach_port_name_t name = SLOT_NAME(slot);
	mach_port_right_t right = slot >= SLOT_SETS && slot < SLOT_FREE ? MACH_PORT_RIGHT_PORT_SET : MACH_PORT_RIGHT_RECEIVE;
	task_t self = mach_task_self();

	if (one_in(worker, 4))
		mach_port_destroy(self, name);
	if (mach_port_allocate_name(self, right, name) != KERN_SUCCESS || right != MACH_PORT_RIGHT_RECEIVE)
		return;
	mach_port_insert_right(self, name, name, MACH_MSG_TYPE_MAKE_SEND);
	mach_port_set_qlimit(self, name, (mach_port_msgcount_t)below(worker, 4));
	if (one_in(worker, 2))
		mach_port_move_member(self, name, SLOT_NAME(SLOT_SETS + below(worker, 4)));
}

static void notification(struct worker *worker, task_t task)
{
	static const mach_msg_id_t ids[] = { 69, 70, 70, 72, 72, 72, 71, 75 };
	mach_port_t previous = MACH_PORT_NULL;
	mach_msg_type_name_t type = one_in(worker, 3) ? MACH_MSG_TYPE_MOVE_SEND_ONCE : MACH_MSG_TYPE_MAKE_SEND_ONCE;

	if (mach_port_request_notification(task, some_name(worker), ids[below(worker, 8)], (mach_port_mscount_t)below(worker, 3),
					   one_in(worker, 5) ? MACH_PORT_NULL : some_name(worker), type, &previous) == KERN_SUCCESS &&
	    previous != MACH_PORT_NULL)
		keep_name(worker, previous);
}

static void look(struct worker *worker, task_t task)
{
	mach_port_name_array_t names = NULL;
	mach_port_type_array_t types = NULL;
	mach_msg_type_number_t n = 0, m = 0;

	if (one_in(worker, 2)) {
		if (mach_port_names(task, &names, &n, &types, &m) != KERN_SUCCESS)
			return;
		/* Names that are not ours to keep pile up. */
		for (unsigned i = 0; task == mach_task_self() && n > 150 && i < n; i++)
			if ((names[i] < SLOT_NAME(0) || names[i] >= SLOT_NAME(SLOTS)) && names[i] != HOST_PRIV_NAME &&
			    names[i] != mach_task_self() && one_in(worker, 2))
				mach_port_destroy(task, names[i]);
		vm_deallocate(mach_task_self(), (vm_address_t)names, n * sizeof *names);
		vm_deallocate(mach_task_self(), (vm_address_t)types, m * sizeof *types);
	} else if (mach_port_get_set_status(task, some_name(worker), &names, &n) == KERN_SUCCESS) {
		vm_deallocate(mach_task_self(), (vm_address_t)names, n * sizeof *names);
	}
}

static void throttle(struct worker *worker, task_t task)
{
	mach_port_name_t set = some_slot(worker, SLOT_SETS, 4);
	throttle_status_t status;

	switch (below(worker, 4)) {
	case 0: port_set_throttle(task, set, 0, 0); break;
	case 1: port_set_throttle(task, set, (unsigned)below(worker, 3), (unsigned)below(worker, 10)); break;
	case 2:
		port_set_request_stall(task, set, some_slot(worker, SLOT_PORTS, 12), MACH_MSG_TYPE_MAKE_SEND_ONCE);
		break;
	default: port_set_throttle_status(task, set, &status); break;
	}
}

void right_operation(struct worker *worker)
{
	task_t task = one_in(worker, 4) ? some_task(worker) : mach_task_self();
	mach_port_name_t name = some_name(worker);
	mach_msg_type_name_t type = 0;
	mach_port_status_t status;
	mach_port_urefs_t refs;
	mach_port_t port = MACH_PORT_NULL;

	switch (below(worker, 24)) {
	case 0: case 1: case 2: case 3: refill(worker); break;
	case 4: mach_port_rename(task, name, some_name(worker)); break;
	case 5: case 6:
		mach_port_move_member(task, some_slot(worker, SLOT_PORTS, 12),
				      one_in(worker, 3) ? MACH_PORT_NULL : some_slot(worker, SLOT_SETS, 4));
		break;
	case 7: mach_port_mod_refs(task, name, some_right(worker), (mach_port_delta_t)below(worker, 4) - 2); break;
	case 8: case 9: notification(worker, task); break;
	case 10: mach_port_set_qlimit(task, name, (mach_port_msgcount_t)below(worker, 18)); break;
	case 11: mach_port_set_seqno(task, name, (mach_port_seqno_t)below(worker, 4)); break;
	case 12: case 13:
		mach_port_insert_right(task, some_name(worker), some_name(worker), 16 + (mach_msg_type_name_t)below(worker, 6));
		break;
	case 14: case 15:
		if (mach_port_extract_right(task, some_name(worker), 16 + (mach_msg_type_name_t)below(worker, 6), &port, &type) == KERN_SUCCESS)
			keep_name(worker, port);
		break;
	case 16: mach_port_destroy(task, some_slot(worker, SLOT_COMMON, SLOTS - SLOT_COMMON)); break;
	case 17: mach_port_deallocate(task, some_slot(worker, SLOT_COMMON, SLOTS - SLOT_COMMON)); break;
	case 18: mach_port_set_mscount(task, name, (mach_port_mscount_t)below(worker, 3)); break;
	case 19: mach_port_get_receive_status(task, name, &status); break;
	case 20: mach_port_get_refs(task, name, some_right(worker), &refs); break;
	case 21: look(worker, task); break;
	case 22:
		if (one_in(worker, 2))
			mach_port_set_protected_payload(task, name, 0x77);
		else
			mach_port_clear_protected_payload(task, name);
		break;
	default: throttle(worker, task); break;
	}
}
