/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's side of mach_port.defs and of the port routines of mach_debug.defs.

   Each routine's meaning and codes: manual, Port Manipulation Interface. A NULL space is KERN_INVALID_TASK. Rights that come
   in are consumed on success only. What is made is charged to the ledger of the space operated on. Nothing blocks. */
#include <mach/notify.h>
#include <weir/weir.h>
#include "ipc/mqueue.h"
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "kern/opaque.h"
#include "mach_debug_server.h"
#include "mach_port_server.h"
#include "vm/copy.h"
#include "x86_64/machine.h"

#define NAMES_PIECE 64		/* names written to a reply at a time */

/* The entry of a name. KERN_INVALID_TASK, KERN_INVALID_NAME. */
static kern_return_t entry_of(struct space *space, mach_port_name_t name, struct name **entry)
{
	if (unlikely(space == NULL))
		return KERN_INVALID_TASK;
	*entry = space_lookup(space, name);
	return likely(*entry != NULL) ? KERN_SUCCESS : KERN_INVALID_NAME;
}

/* The port whose receive right the name denotes; else also KERN_INVALID_RIGHT. */
static kern_return_t receive_of(struct space *space, mach_port_name_t name, struct port **port)
{
	struct name *entry;
	kern_return_t kr = entry_of(space, name, &entry);

	if (kr != KERN_SUCCESS)
		return kr;
	if ((entry->type & MACH_PORT_TYPE_RECEIVE) == 0)
		return KERN_INVALID_RIGHT;
	*port = entry->port;
	return KERN_SUCCESS;
}

/* -- names (mach_port_names: port_names_server.c) -- */

kern_return_t mach_port_type(struct space *task, mach_port_name_t name, mach_port_type_t *ptype)
{
	struct name *entry;
	kern_return_t kr = entry_of(task, name, &entry);

	if (kr == KERN_SUCCESS)
		*ptype = name_type_told(entry);
	return kr;
}

kern_return_t mach_port_rename(struct space *task, mach_port_name_t old_name, mach_port_name_t new_name)
{
	return task == NULL ? KERN_INVALID_TASK : space_rename(task, old_name, new_name);
}

/* -- creation and destruction -- */

kern_return_t mach_port_allocate_name(struct space *task, mach_port_right_t right, mach_port_name_t name)
{
	if (task == NULL)
		return KERN_INVALID_TASK;
	if (!MACH_PORT_NAME_VALID(name))
		return KERN_INVALID_VALUE;
	return space_allocate_at(task, right, name);
}

kern_return_t mach_port_allocate(struct space *task, mach_port_right_t right, mach_port_name_t *name)
{
	return task == NULL ? KERN_INVALID_TASK : space_allocate(task, right, name);
}

kern_return_t mach_port_destroy(struct space *task, mach_port_name_t name)
{
	struct name *entry;
	kern_return_t kr = entry_of(task, name, &entry);

	if (kr == KERN_SUCCESS)
		name_destroy(entry);
	return kr;
}

kern_return_t mach_port_deallocate(struct space *task, mach_port_name_t name)
{
	struct name *entry;
	kern_return_t kr = entry_of(task, name, &entry);

	if (kr != KERN_SUCCESS)
		return kr;
	if (entry->type & MACH_PORT_TYPE_DEAD_NAME)
		name_lose_dead(entry, 1);
	else if (entry->type & MACH_PORT_TYPE_SEND_ONCE)
		name_lose_send_once(entry);
	else if (entry->type & MACH_PORT_TYPE_SEND)
		name_lose_send(entry, 1);
	else
		return KERN_INVALID_RIGHT;
	return KERN_SUCCESS;
}

/* -- user references -- */

kern_return_t mach_port_get_refs(struct space *task, mach_port_name_t name, mach_port_right_t right,
				 mach_port_urefs_t *refs)
{
	struct name *entry;
	kern_return_t kr;

	if (task == NULL)
		return KERN_INVALID_TASK;
	if (right >= MACH_PORT_RIGHT_NUMBER)
		return KERN_INVALID_VALUE;
	kr = entry_of(task, name, &entry);
	if (kr != KERN_SUCCESS)
		return kr;
	if ((entry->type & MACH_PORT_TYPE(right)) == 0)
		*refs = 0;
	else if (right == MACH_PORT_RIGHT_SEND || right == MACH_PORT_RIGHT_DEAD_NAME)
		*refs = entry->urefs;
	else
		*refs = 1;
	return KERN_SUCCESS;
}

/* Send rights and dead names: from 0 to the maximum. */
static kern_return_t mod_counted(struct name *entry, mach_port_delta_t delta)
{
	int64_t urefs = (int64_t)entry->urefs + delta;

	if (urefs < 0)
		return KERN_INVALID_VALUE;
	if (urefs > MACH_PORT_UREFS_MAX)
		return KERN_UREFS_OVERFLOW;
	if (delta >= 0)
		entry->urefs = (uint32_t)urefs;
	else if (entry->type & MACH_PORT_TYPE_SEND)
		name_lose_send(entry, -(uint32_t)delta);
	else
		name_lose_dead(entry, -(uint32_t)delta);
	return KERN_SUCCESS;
}

/* The others have one reference, which can stay or go. */
static kern_return_t mod_single(struct name *entry, mach_port_right_t right, mach_port_delta_t delta)
{
	if (delta == 0)
		return KERN_SUCCESS;
	if (delta > 0)
		return KERN_UREFS_OVERFLOW;
	if (delta < -1)
		return KERN_INVALID_VALUE;
	if (right == MACH_PORT_RIGHT_RECEIVE)
		name_lose_receive(entry);
	else
		name_destroy(entry);
	return KERN_SUCCESS;
}

kern_return_t mach_port_mod_refs(struct space *task, mach_port_name_t name, mach_port_right_t right,
				 mach_port_delta_t delta)
{
	struct name *entry;
	kern_return_t kr;

	if (task == NULL)
		return KERN_INVALID_TASK;
	if (right >= MACH_PORT_RIGHT_NUMBER)
		return KERN_INVALID_VALUE;
	kr = entry_of(task, name, &entry);
	if (kr != KERN_SUCCESS)
		return kr;
	if ((entry->type & MACH_PORT_TYPE(right)) == 0)
		return KERN_INVALID_RIGHT;
	if (right == MACH_PORT_RIGHT_SEND || right == MACH_PORT_RIGHT_DEAD_NAME)
		return mod_counted(entry, delta);
	return mod_single(entry, right, delta);
}

/* -- rights of other tasks -- */

kern_return_t mach_port_insert_right(struct space *task, mach_port_name_t name, struct port *poly,
				     mach_msg_type_name_t polyPoly)
{
	return task == NULL ? KERN_INVALID_TASK : space_insert_at(task, poly, polyPoly, name);
}

kern_return_t mach_port_extract_right(struct space *task, mach_port_name_t name, mach_msg_type_name_t msgt_name,
				      struct port **poly, mach_msg_type_name_t *polyPoly)
{
	if (task == NULL)
		return KERN_INVALID_TASK;
	if (!MACH_MSG_TYPE_PORT_ANY(msgt_name))
		return KERN_INVALID_VALUE;
	if (!MACH_PORT_NAME_VALID(name))
		return KERN_INVALID_NAME;
	return space_take(task, name, msgt_name, poly, polyPoly);
}

/* -- receive rights -- */

kern_return_t mach_port_get_receive_status(struct space *task, mach_port_name_t name, mach_port_status_t *status)
{
	struct port *port;
	struct port *set;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	set = port_set_of(port);
	*status = (mach_port_status_t){
		.mps_pset = set != NULL ? set->receiver_name : MACH_PORT_NAME_NULL,
		.mps_seqno = port->sequence,
		.mps_mscount = port->make_send_count,
		.mps_qlimit = port->qlimit,
		.mps_msgcount = port->message_count,
		.mps_sorights = port->send_once_rights,
		.mps_srights = port->send_rights != 0,
		.mps_pdrequest = port_port_destroyed(port) != NULL,
		.mps_nsrequest = port_no_senders(port) != NULL,
	};
	return KERN_SUCCESS;
}

kern_return_t mach_port_set_qlimit(struct space *task, mach_port_name_t name, mach_port_msgcount_t qlimit)
{
	struct port *port;
	kern_return_t kr;

	if (task == NULL)
		return KERN_INVALID_TASK;
	if (qlimit > MACH_PORT_QLIMIT_MAX)
		return KERN_INVALID_VALUE;
	kr = receive_of(task, name, &port);
	if (kr != KERN_SUCCESS)
		return kr;
	port->qlimit = qlimit;
	mqueue_offer_room(port);
	return KERN_SUCCESS;
}

kern_return_t mach_port_set_mscount(struct space *task, mach_port_name_t name, mach_port_mscount_t mscount)
{
	struct port *port;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr == KERN_SUCCESS)
		port->make_send_count = mscount;
	return kr;
}

kern_return_t mach_port_set_seqno(struct space *task, mach_port_name_t name, mach_port_seqno_t seqno)
{
	struct port *port;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	port->sequence = seqno;
	mqueue_number_anew(port);
	return KERN_SUCCESS;
}

kern_return_t mach_port_set_protected_payload(struct space *task, mach_port_name_t name, rpc_uintptr_t payload)
{
	struct port *port;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	if (!port_extend(port))
		return KERN_RESOURCE_SHORTAGE;
	port->extra->payload = payload;
	port->has_payload = true;
	return KERN_SUCCESS;
}

kern_return_t mach_port_clear_protected_payload(struct space *task, mach_port_name_t name)
{
	struct port *port;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	port->has_payload = false;
	return KERN_SUCCESS;
}

/* No type but 0, an ordinary port, can be set: Weir keeps its kernel objects apart from users' ports. */
kern_return_t mach_port_set_ktype(struct host *host, struct space *task, mach_port_name_t name, mach_port_right_t right,
				  mach_port_ktype_t ktype)
{
	struct name *entry;
	kern_return_t kr;

	if (host == NULL)
		return KERN_INVALID_HOST;
	kr = entry_of(task, name, &entry);
	if (kr != KERN_SUCCESS)
		return kr;
	if (right >= MACH_PORT_RIGHT_NUMBER)
		return KERN_INVALID_VALUE;
	if ((entry->type & MACH_PORT_TYPE(right)) == 0)
		return KERN_INVALID_RIGHT;
	return ktype == 0 ? KERN_SUCCESS : KERN_INVALID_ARGUMENT;
}

/* -- port sets -- */

kern_return_t mach_port_get_set_status(struct space *task, mach_port_name_t name, struct vm_copy **members,
				       mach_msg_type_number_t *membersCnt)
{
	uint32_t piece[NAMES_PIECE];
	uint32_t count = 0, written = 0, n = 0;
	struct name *entry;
	struct port *port;
	kern_return_t kr = entry_of(task, name, &entry);

	if (kr != KERN_SUCCESS)
		return kr;
	if ((entry->type & MACH_PORT_TYPE_PORT_SET) == 0)
		return KERN_INVALID_RIGHT;
	for (port = portset_first(entry->port); port != NULL; port = portset_next(port))
		if (++count % NAMES_PIECE == 0)
			machine_window();
	if (vm_copy_alloc(count * 4ull, task->names.payer, members) != KERN_SUCCESS)
		return KERN_RESOURCE_SHORTAGE;
	for (port = portset_first(entry->port); port != NULL; port = portset_next(port)) {
		piece[n++] = port->receiver_name;
		if (n == NAMES_PIECE || written + n == count) {
			vm_copy_write(*members, written * 4ull, piece, n * 4);
			written += n;
			n = 0;
			machine_window();
		}
	}
	assert(written == count);
	*membersCnt = count;
	return KERN_SUCCESS;
}

kern_return_t mach_port_move_member(struct space *task, mach_port_name_t member, mach_port_name_t after)
{
	struct name *entry;
	struct port *port;
	kern_return_t kr = receive_of(task, member, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	if (after == MACH_PORT_NAME_NULL) {
		if (port_set_of(port) == NULL)
			return KERN_NOT_IN_SET;
		portset_remove(port);
		return KERN_SUCCESS;
	}
	kr = entry_of(task, after, &entry);
	if (kr != KERN_SUCCESS)
		return kr;
	if ((entry->type & MACH_PORT_TYPE_PORT_SET) == 0)
		return KERN_INVALID_RIGHT;
	return portset_add(entry->port, port) ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

/* -- requests for notifications -- */

static kern_return_t request_port_destroyed(struct space *space, mach_port_name_t name, mach_port_mscount_t sync,
					    struct port *notify, struct port **previous)
{
	struct port *port;
	kern_return_t kr;

	if (sync != 0)
		return KERN_INVALID_VALUE;
	kr = receive_of(space, name, &port);
	if (kr != KERN_SUCCESS)
		return kr;
	*previous = port_port_destroyed(port);
	if (notify == NULL && *previous == NULL)
		return KERN_SUCCESS;
	if (!port_extend(port))
		return KERN_RESOURCE_SHORTAGE;
	port->extra->port_destroyed = notify;
	return KERN_SUCCESS;
}

static kern_return_t request_no_senders(struct space *space, mach_port_name_t name, mach_port_mscount_t sync,
					struct port *notify, struct port **previous)
{
	struct port *port;
	kern_return_t kr = receive_of(space, name, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	*previous = port_no_senders(port);
	if (notify == NULL && *previous == NULL)
		return KERN_SUCCESS;
	if (!port_extend(port))
		return KERN_RESOURCE_SHORTAGE;
	port->extra->no_senders = notify;
	if (notify == NULL || port->send_rights != 0 || port->make_send_count < sync)
		return KERN_SUCCESS;
	port->extra->no_senders = NULL;
	notify_no_senders(notify, port->make_send_count);
	return KERN_SUCCESS;
}

static kern_return_t request_dead_name(struct space *space, mach_port_name_t name, mach_port_mscount_t sync,
				       struct port *notify, struct port **previous)
{
	struct name *entry;
	kern_return_t kr = entry_of(space, name, &entry);

	if (kr != KERN_SUCCESS)
		return kr;
	if (entry->type & MACH_PORT_TYPE_PORT_SET)
		return KERN_INVALID_RIGHT;
	if ((entry->type & MACH_PORT_TYPE_DEAD_NAME) == 0)
		return name_request_dead(entry, notify, previous) ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
	if (notify == NULL || sync == 0)
		return KERN_INVALID_ARGUMENT;
	if (entry->urefs >= MACH_PORT_UREFS_MAX)
		return KERN_UREFS_OVERFLOW;
	entry->urefs++;
	*previous = NULL;
	notify_dead_name(notify, name);
	return KERN_SUCCESS;
}

kern_return_t mach_port_request_notification(struct space *task, mach_port_name_t name, mach_msg_id_t id,
					     mach_port_mscount_t sync, struct port *notify, struct port **previous)
{
	if (task == NULL)
		return KERN_INVALID_TASK;
	if (notify == PORT_DEAD || (notify != NULL && notify->dead))
		return KERN_INVALID_CAPABILITY;
	switch (id) {
	case MACH_NOTIFY_PORT_DESTROYED:
		return request_port_destroyed(task, name, sync, notify, previous);
	case MACH_NOTIFY_NO_SENDERS:
		return request_no_senders(task, name, sync, notify, previous);
	case MACH_NOTIFY_DEAD_NAME:
		return request_dead_name(task, name, sync, notify, previous);
	default:
		return KERN_INVALID_VALUE;
	}
}

/* -- mach_debug -- */

kern_return_t mach_port_get_srights(struct space *task, mach_port_name_t name, mach_port_rights_t *srights)
{
	struct port *port;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr == KERN_SUCCESS)
		*srights = port->send_rights;
	return kr;
}

/* Requests live in the names: there are as many as are used. */
kern_return_t mach_port_dnrequest_info(struct space *task, mach_port_name_t name, unsigned *total, unsigned *used)
{
	struct port *port;
	struct name *entry;
	unsigned seen = 0, requests = 0;
	kern_return_t kr = receive_of(task, name, &port);

	if (kr != KERN_SUCCESS)
		return kr;
	requests += name_request(space_lookup(task, name)) != NULL;
	for (entry = name_first_of(port); entry != NULL; entry = name_next_of(entry)) {
		requests += name_request(entry) != NULL;
		if (++seen % NAMES_PIECE == 0)
			machine_window();
	}
	*total = *used = requests;
	return kr;
}

_Static_assert(sizeof((const char *const[]){WEIR_OBJECT_NAMES}) / sizeof(char *) == KOBJECT_PORT_SET,
	       "each kind of object has its name in weir/weir.h");

/* object_type: enum kobject, WEIR_OBJECT_NAMES. What Mach calls the address tells objects apart, no more. */
kern_return_t mach_port_kernel_object(struct space *task, mach_port_name_t name, unsigned *object_type,
				      vm_offset_t *object_addr)
{
	struct name *entry;
	kern_return_t kr = entry_of(task, name, &entry);

	if (kr != KERN_SUCCESS)
		return kr;
	if ((entry->type & MACH_PORT_TYPE_SEND_RECEIVE) == 0)
		return KERN_INVALID_RIGHT;
	*object_type = entry->port->kobject_type;
	*object_addr = *object_type == KOBJECT_NONE ? 0 : opaque_of(entry->port->kobject);
	return KERN_SUCCESS;
}
