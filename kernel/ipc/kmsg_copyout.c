/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copyout: a message goes from the kernel into a task's memory.
 *
 * The buffer is present and writable before (copyout_prepare); the rest cannot stop the receive: a right or a region that
 * the receiver cannot hold is destroyed and the code's bits say so (manual: Message Receive). So each right and region
 * is received by itself, in order, and the body's bytes are written last.
 */
#include "ipc/kmsg_copy.h"
#include "ipc/name.h"
#include "ipc/right.h"
#include "ipc/space.h"
#include "kern/assert.h"
#include "kern/likely.h"
#include "kern/task.h"
#include "vm/copy.h"
#include "vm/map.h"
#include "x86_64/machine.h"

#define NAMES_PIECE 64		/* names of an out-of-line array written in one go */

struct copyout {
	struct kmsg *kmsg;
	struct task *task;
	mach_msg_return_t bits;		/* MACH_MSG_IPC_SPACE ... */
};

mach_msg_return_t kmsg_right_receive(struct task *task, struct port *port, uint32_t disposition, mach_port_name_t *name)
{
	kern_return_t error;

	*name = port == PORT_DEAD ? MACH_PORT_NAME_DEAD : MACH_PORT_NAME_NULL;
	if (!port_valid(port))
		return 0;
	error = space_insert(&task->space, port, disposition, name);
	if (error == KERN_SUCCESS)
		return 0;
	*name = MACH_PORT_NAME_NULL;
	right_release(port, disposition);
	return error == KERN_RESOURCE_SHORTAGE ? MACH_MSG_IPC_KERNEL : MACH_MSG_IPC_SPACE;
}

/* The same for the message's code. Returns the name. */
static mach_port_name_t right_receive(struct copyout *out, struct port *port, uint32_t disposition)
{
	mach_port_name_t name;

	out->bits |= kmsg_right_receive(out->task, port, disposition, &name);
	return name;
}

/* Returns the bits for the message's code. */
static mach_msg_return_t region_failed(mach_msg_type_t *type, kern_return_t error)
{
	type->msgt_size = 0;
	return error == KERN_NO_SPACE ? MACH_MSG_VM_SPACE : MACH_MSG_VM_KERNEL;
}

static __attribute__((noinline)) mach_msg_return_t region_lost(struct vm_copy *copy, mach_msg_type_t *type, kern_return_t error)
{
	vm_copy_discard(copy);
	return region_failed(type, error);
}

/* The slot becomes the region's address in the receiver, 0 when there is none. Returns such bits, 0: it is there. */
static inline mach_msg_return_t region_receive(struct task *task, mach_msg_type_t *type, uint64_t *slot)
{
	struct vm_copy *copy = (struct vm_copy *)*slot;
	kern_return_t error;

	type->msgt_deallocate = 1;
	if (copy == NULL)
		return 0;
	error = vm_copy_out(&task->map, copy, slot);
	return likely(error == KERN_SUCCESS) ? 0 : region_lost(copy, type, error);
}

/* Room for the names, present; 0: denied. */
static uint64_t array_room(struct copyout *out, uint64_t bytes, kern_return_t *error)
{
	uint64_t size = (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1ull);
	uint64_t address = 0;

	*error = vm_map_allocate(&out->task->map, &address, size, true);
	if (*error != KERN_SUCCESS)
		return 0;
	*error = copyout_prepare(&out->task->map, address, bytes);
	if (*error == KERN_SUCCESS)
		return address;
	vm_map_deallocate(&out->task->map, address, size);
	return 0;
}

static void array_receive(struct copyout *out, struct kmsg_item *item)
{
	uint64_t *slot = kmsg_at(out->kmsg, item->offset);
	struct port_array *array = (struct port_array *)*slot;
	mach_port_name_t names[NAMES_PIECE];
	kern_return_t error;
	uint64_t address = 0;
	uint32_t i, count;

	*slot = 0;
	item->type->msgt_deallocate = 1;
	if (array == NULL)
		return;
	/* The kernel may have made it longer than it is now. */
	count = item->type->msgt_number < array->count ? item->type->msgt_number : array->count;
	if (count != 0 && (address = array_room(out, count * 4ull, &error)) == 0) {
		out->bits |= region_failed(item->type, error);
		port_array_discard(array);
		return;
	}
	for (i = 0; i < count; i++) {
		names[i % NAMES_PIECE] = right_receive(out, *port_array_slot(array, i), item->type->msgt_name);
		*port_array_slot(array, i) = NULL;
		if (i % NAMES_PIECE == NAMES_PIECE - 1 || i == count - 1)
			copyout(&out->task->map, address + (i - i % NAMES_PIECE) * 4ull, names, (i % NAMES_PIECE + 1) * 4ull);
		rights_window(i);
	}
	if (count == array->count)
		port_array_free(array);
	else
		port_array_discard(array);
	*slot = address;
}

static void ports_receive(struct copyout *out, struct kmsg_item *item)
{
	for (uint32_t i = 0; i < item->type->msgt_number; i++) {
		uint64_t *slot = kmsg_at(out->kmsg, item->offset + i * 8);

		*slot = right_receive(out, (struct port *)*slot, item->type->msgt_name);
		rights_window(i);
	}
}

/* The item at offset, which carries rights. */
static __attribute__((noinline)) void rights_receive(struct copyout *out, uint32_t offset)
{
	struct kmsg_item item;

	kmsg_item_at(out->kmsg, offset, &item);
	if (item.kind == KMSG_ITEM_PORTS)
		ports_receive(out, &item);
	else
		array_receive(out, &item);
}

static void body_receive(struct copyout *out)
{
	uint32_t next = sizeof(mach_msg_header_t), at;
	struct kmsg_item item;

	while (next < out->kmsg->size) {
		at = next;
		kmsg_item_step(out->kmsg, &next, &item);
		items_window(at, next);
		if (item.kind == KMSG_ITEM_REGION)
			out->bits |= region_receive(out->task, item.type, kmsg_at(out->kmsg, item.offset));
		else if (item.kind != KMSG_ITEM_DATA)
			rights_receive(out, at);
	}
}

/* Any body. */
static __attribute__((noinline)) mach_msg_return_t body_received(struct kmsg *kmsg, struct task *task)
{
	struct copyout out = { .kmsg = kmsg, .task = task };

	body_receive(&out);
	return out.bits;
}

mach_msg_return_t kmsg_body_receive(struct kmsg *kmsg, struct task *task)
{
	mach_msg_type_t *type = (mach_msg_type_t *)(kmsg->small + sizeof(mach_msg_header_t));

	return kmsg_is_region(kmsg, 0) ? region_receive(task, type, (uint64_t *)(type + 1)) : body_received(kmsg, task);
}

/* How the receiver knows the port that the message came to. */
static void header_local(mach_msg_header_t *header, struct port *port, struct task *task)
{
	if (!port_valid(port) || port->dead)
		header->msgh_local_slot = MACH_PORT_NAME_DEAD;
	else if (port->receiver != &task->space)
		header->msgh_local_slot = MACH_PORT_NAME_NULL;
	else if (!port->has_payload)
		header->msgh_local_slot = port->receiver_name;
	else {
		header->msgh_protected_payload = port->extra->payload;
		header->msgh_bits = (header->msgh_bits & ~MACH_MSGH_BITS_LOCAL_MASK) |
				    MACH_MSG_TYPE_PROTECTED_PAYLOAD << 8;
	}
}

/* Writes the received header: the two ports change places. Stamps the sequence number and uses up the destination's right. */
static void header_fill(mach_msg_header_t *header, struct kmsg *kmsg, struct task *task, mach_port_name_t reply)
{
	struct port *port = kmsg->remote;

	header->msgh_bits = (kmsg->bits & MACH_MSGH_BITS_COMPLEX) |
			    MACH_MSGH_BITS(MACH_MSGH_BITS_LOCAL(kmsg->bits), MACH_MSGH_BITS_REMOTE(kmsg->bits));
	header->msgh_size = kmsg->size;
	header->msgh_remote_slot = reply;
	header->msgh_seqno = kmsg->numbered ? kmsg->sequence : port_valid(port) ? port->sequence++ : 0;
	header->msgh_id = (mach_msg_id_t)kmsg->id;
	header_local(header, port, task);
	kmsg->remote = NULL;
	if (!port_valid(port))
		return;
	if (MACH_MSGH_BITS_REMOTE(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE)
		right_consume_send_once(port);
	else
		right_release_send(port);
}

static void bytes_copyout(struct kmsg *kmsg, struct task *task, uint64_t buffer)
{
	uint32_t done = 0;

	while (done < kmsg->size) {
		uint32_t piece = kmsg_contiguous(kmsg, done);

		copyout(&task->map, buffer + done, kmsg_at(kmsg, done), piece);
		items_window(done, done + piece);
		done += piece;
	}
}

/* MACH_RCV_NOTIFY: the port that the dead-name notification goes to; NULL: notify names no receive right. */
static struct port *notify_port(struct task *task, mach_port_name_t notify)
{
	struct name *entry = space_lookup(&task->space, notify);

	return entry != NULL && (entry->type & MACH_PORT_TYPE_RECEIVE) ? entry->port : NULL;
}

/* Asks for a dead-name notification of the reply right under name, if that name is new. False: denied. */
static bool notify_register(struct task *task, mach_port_name_t name, bool is_new, struct port *to)
{
	struct name *entry = space_lookup(&task->space, name);
	struct port *once, *previous;

	if (!is_new || entry == NULL || !port_valid(entry->port))
		return true;
	once = right_make_send_once(to, task->ledger);
	if (!port_valid(once))
		return once == PORT_DEAD;
	/* Making it may have worked off the reaper's list, and the port with it. */
	entry = space_lookup(&task->space, name);
	if (entry == NULL || !port_valid(entry->port)) {
		right_release_send_once(once);
		return true;
	}
	if (!name_request_dead(entry, once, &previous)) {
		right_release_send_once(once);
		return false;
	}
	if (previous != NULL)
		right_release_send_once(previous);
	return true;
}

/* The reply right. An error: the message is to be destroyed, and with it the right, if that is still there. */
static mach_msg_return_t reply_receive(struct copyout *out, uint32_t option, uint32_t notify, mach_port_name_t *name)
{
	struct kmsg *kmsg = out->kmsg;
	struct port *reply = kmsg->local, *to = NULL;
	uint32_t disposition = MACH_MSGH_BITS_LOCAL(kmsg->bits);
	struct space *space = &out->task->space;
	kern_return_t error;
	bool is_new;

	*name = reply == PORT_DEAD ? MACH_PORT_NAME_DEAD : MACH_PORT_NAME_NULL;
	if ((option & MACH_RCV_NOTIFY) != 0) {
		to = notify_port(out->task, notify);
		if (to == NULL)
			return MACH_RCV_INVALID_NOTIFY;
	}
	if (!port_valid(reply))
		return MACH_MSG_SUCCESS;
	is_new = disposition == MACH_MSG_TYPE_PORT_SEND_ONCE || name_of_port(space, reply) == NULL;
	error = space_insert(space, reply, disposition, name);
	if (error != KERN_SUCCESS) {
		*name = MACH_PORT_NAME_NULL;
		return MACH_RCV_HEADER_ERROR |
		       (error == KERN_RESOURCE_SHORTAGE ? MACH_MSG_IPC_KERNEL : MACH_MSG_IPC_SPACE);
	}
	kmsg->local = NULL;
	if (to != NULL && !notify_register(out->task, *name, is_new, to))
		return MACH_RCV_HEADER_ERROR | MACH_MSG_IPC_KERNEL;
	return MACH_MSG_SUCCESS;
}

/* The reply right came in, its notification did not: it goes again, as the header says. */
static void reply_lose(struct space *space, mach_port_name_t reply)
{
	struct name *entry = reply != MACH_PORT_NAME_NULL ? space_lookup(space, reply) : NULL;

	if (entry != NULL && (entry->type & MACH_PORT_TYPE_SEND_ONCE))
		name_lose_send_once(entry);
	else if (entry != NULL && (entry->type & MACH_PORT_TYPE_SEND))
		name_lose_send(entry, 1);
}

/* The reply right goes after the message: when an exception's is lost, the next handler is asked with the same message. */
static mach_msg_return_t header_failed(struct kmsg *kmsg, struct task *task, uint64_t buffer, bool writable,
				       mach_port_name_t reply, mach_msg_return_t error)
{
	if (writable)
		kmsg_copyout_header(kmsg, task, buffer);
	else
		kmsg_discard(kmsg);
	reply_lose(&task->space, reply);
	return writable ? error : MACH_RCV_INVALID_DATA;
}

mach_msg_return_t kmsg_copyout(struct kmsg *kmsg, struct task *task, uint64_t buffer, bool writable, uint32_t option,
			       uint32_t notify)
{
	struct copyout out = { .kmsg = kmsg, .task = task };
	mach_port_name_t reply;
	mach_msg_return_t error;
	struct port *lender;

	task->messages_received++;
	error = reply_receive(&out, option, notify, &reply);
	if (error != MACH_MSG_SUCCESS)
		return header_failed(kmsg, task, buffer, writable, reply, error);
	if ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0)
		body_receive(&out);
	lender = kmsg_lender(kmsg);
	header_fill(kmsg_at(kmsg, 0), kmsg, task, reply);
	if (writable)
		bytes_copyout(kmsg, task, buffer);
	kmsg_return(kmsg, lender);
	if (!writable)
		return MACH_RCV_INVALID_DATA;
	return out.bits != 0 ? MACH_RCV_BODY_ERROR | out.bits : MACH_MSG_SUCCESS;
}

void kmsg_copyout_header(struct kmsg *kmsg, struct task *task, uint64_t buffer)
{
	mach_msg_header_t header;
	struct port *port = kmsg->remote;

	/* header_fill uses the right up, but the message still has it: one more. */
	if (port_valid(port)) {
		port_ref(port);
		if (MACH_MSGH_BITS_REMOTE(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE)
			port->send_once_rights++;
		else
			port->send_rights++;
	}
	header_fill(&header, kmsg, task, MACH_PORT_NAME_NULL);
	kmsg->remote = port;
	copyout(&task->map, buffer, &header, sizeof(header));
	kmsg_discard(kmsg);
}

mach_msg_return_t kmsg_pseudo_receive(struct kmsg *kmsg, struct task *task, uint64_t buffer)
{
	struct copyout out = { .kmsg = kmsg, .task = task };
	mach_msg_header_t *header = kmsg_at(kmsg, 0);
	bool writable = copyout_prepare(&task->map, buffer, kmsg->size) == KERN_SUCCESS;
	struct port *remote = kmsg->remote, *local = kmsg->local;

	kmsg->remote = kmsg->local = NULL;
	header->msgh_bits = kmsg->bits;
	header->msgh_remote_slot = right_receive(&out, remote, MACH_MSGH_BITS_REMOTE(kmsg->bits));
	header->msgh_local_slot = right_receive(&out, local, MACH_MSGH_BITS_LOCAL(kmsg->bits));
	header->msgh_size = kmsg->size;
	if ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0)
		body_receive(&out);
	if (writable)
		bytes_copyout(kmsg, task, buffer);
	kmsg_free(kmsg);
	return out.bits;
}
