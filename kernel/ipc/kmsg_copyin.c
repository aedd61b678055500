/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copyin: a message goes from a task's memory into the kernel.
 *
 * First everything is checked and everything allocated that the message needs, while the task keeps all that it
 * has: prepaid messages of send-once rights made, copies of regions, arrays of rights. Then, as the last step that can
 * be denied, the first region with msgt_deallocate is moved. Then the moves are done, which cannot be denied.
 *
 * Two things can still go wrong among the moves: a body that moves one right twice (MACH_SEND_INVALID_RIGHT; the manual lets
 * such a message be destroyed in part), and a hole that the second or a later msgt_deallocate would leave inside a
 * region (it may be denied; that region then stays mapped, the message carries a copy).
 */
#include "ipc/kmsg_copy.h"
#include "ipc/msg_long.h"
#include "ipc/right.h"
#include "ipc/space.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "kern/task.h"
#include "vm/copy_piece.h"
#include "vm/map.h"

#define NAMES_PIECE 64		/* names of an out-of-line array read in one go */

struct copyin {
	struct kmsg *kmsg;
	struct task *task;
	uint32_t remote_type, local_type;
	mach_port_name_t remote_name, local_name;
	unsigned skip;
	uint32_t rights;		/* in the body, so far */
	uint32_t stop, stop_index;	/* reserved so far: items before stop, stop_index rights of the one there */
	bool moves;			/* the body has rights */
	unsigned deallocates;
	struct { uint64_t address, bytes; uint32_t slot; } deallocate[KMSG_DEALLOCATE_MAX];
	int moved;			/* index of the region to be moved, not copied; -1: none */
};

/* The item at *offset of a message as the user wrote it; *offset moves on to the next. MACH_MSG_SUCCESS, MACH_SEND_INVALID_TYPE,
   MACH_SEND_MSG_TOO_SMALL. */
static inline mach_msg_return_t item_next(struct kmsg *kmsg, uint32_t *offset, struct kmsg_item *item)
{
	uint32_t left = kmsg->size - *offset - sizeof(mach_msg_type_t);
	uint64_t bytes = kmsg_item_at(kmsg, *offset, item);

	assert(*offset + sizeof(mach_msg_type_t) <= kmsg->size);
	if (item->type->msgt_unused != 0 || (item->type->msgt_inline && item->type->msgt_deallocate))
		return MACH_SEND_INVALID_TYPE;
	if (item->kind == KMSG_ITEM_PORTS && item->type->msgt_size != 64)
		return MACH_SEND_INVALID_TYPE;
	if (item->kind == KMSG_ITEM_PORT_ARRAY && item->type->msgt_size != 32)
		return MACH_SEND_INVALID_TYPE;
	if (bytes > left)
		return MACH_SEND_MSG_TOO_SMALL;
	*offset = item->offset + (uint32_t)bytes;
	return MACH_MSG_SUCCESS;
}

/* The disposition that a right taken as type has in the message. */
static uint32_t disposition_of(uint32_t type)
{
	switch (type) {
	case MACH_MSG_TYPE_MOVE_RECEIVE:
		return MACH_MSG_TYPE_PORT_RECEIVE;
	case MACH_MSG_TYPE_MOVE_SEND_ONCE:
	case MACH_MSG_TYPE_MAKE_SEND_ONCE:
		return MACH_MSG_TYPE_PORT_SEND_ONCE;
	default:
		return MACH_MSG_TYPE_PORT_SEND;
	}
}

static struct port *name_special(mach_port_name_t name)
{
	return name == MACH_PORT_NAME_NULL ? PORT_NULL : PORT_DEAD;
}

static bool name_valid(mach_port_name_t name)
{
	return name != MACH_PORT_NAME_NULL && name != MACH_PORT_NAME_DEAD;
}

/* Takes back a send-once right that was just made, as if it had never been. */
static void once_unmake(struct port *port)
{
	if (!port_valid(port))
		return;
	if (port->kobject_type == KOBJECT_NONE)
		port_unprepay(port);
	right_consume_send_once(port);
}

/* The body has more things than one message may have. */
static __attribute__((noinline)) mach_msg_return_t too_many(struct copyin *in, unsigned resource, uint64_t bound, uint64_t wanted,
							    const struct alloc_site *site)
{
	ledger_deny(in->task->ledger, resource, 0, bound, wanted, site);
	return MACH_SEND_NO_BUFFER;
}

/* Checks one right of the body; makes it, if that takes memory. *slot: name in, port (made) or name out. */
static mach_msg_return_t right_reserve(struct copyin *in, uint32_t type, struct port **slot)
{
	mach_port_name_t name = (mach_port_name_t)(uint64_t)*slot;
	uint32_t disposition;
	struct port *port;
	kern_return_t error;

	*slot = (struct port *)(uint64_t)name;
	if (!name_valid(name))
		return MACH_MSG_SUCCESS;
	if (++in->rights > KMSG_RIGHTS_MAX)
		return too_many(in, LEDGER_NAMES, KMSG_RIGHTS_MAX, in->rights, ALLOC_SITE());
	if (space_take_check(&in->task->space, name, type) != KERN_SUCCESS)
		return MACH_SEND_INVALID_RIGHT;
	if (type != MACH_MSG_TYPE_MAKE_SEND_ONCE)
		return MACH_MSG_SUCCESS;
	error = space_take(&in->task->space, name, type, &port, &disposition);
	if (error == KERN_SUCCESS)
		*slot = port;
	return error == KERN_SUCCESS ? MACH_MSG_SUCCESS :
	       error == KERN_RESOURCE_SHORTAGE ? MACH_SEND_NO_BUFFER : MACH_SEND_INVALID_RIGHT;
}

/* Undoes right_reserve: what was made goes. */
static void right_unreserve(uint32_t type, struct port *port)
{
	if (type == MACH_MSG_TYPE_MAKE_SEND_ONCE && port != (struct port *)(uint64_t)MACH_PORT_NAME_DEAD)
		once_unmake(port);
}

/* Moves one checked right. False: it is not there any more; the slot is NULL. */
static bool right_commit(struct copyin *in, uint32_t type, struct port **slot)
{
	mach_port_name_t name = (mach_port_name_t)(uint64_t)*slot;
	uint32_t disposition;
	struct port *port;

	if (*slot == NULL || *slot == (struct port *)(uint64_t)MACH_PORT_NAME_DEAD) {
		*slot = name_special(name);
		return true;
	}
	if (type == MACH_MSG_TYPE_MAKE_SEND_ONCE)
		return true;
	*slot = NULL;
	if (space_take(&in->task->space, name, type, &port, &disposition) != KERN_SUCCESS)
		return false;
	*slot = port;
	if (type == MACH_MSG_TYPE_MOVE_RECEIVE)
		in->kmsg->receive_rights = true;
	return true;
}

static mach_msg_return_t deallocate_later(struct copyin *in, uint64_t address, uint64_t bytes, uint32_t slot)
{
	if (in->deallocates == KMSG_DEALLOCATE_MAX)
		return too_many(in, LEDGER_ENTRIES, KMSG_DEALLOCATE_MAX, in->deallocates + 1, ALLOC_SITE());
	in->deallocate[in->deallocates].address = address;
	in->deallocate[in->deallocates].bytes = bytes;
	in->deallocate[in->deallocates++].slot = slot;
	return MACH_MSG_SUCCESS;
}

static mach_msg_return_t region_error(kern_return_t error)
{
	return error == KERN_SUCCESS ? MACH_MSG_SUCCESS :
	       error == KERN_RESOURCE_SHORTAGE ? MACH_SEND_NO_BUFFER : MACH_SEND_INVALID_MEMORY;
}

static inline mach_msg_return_t region_reserve(struct copyin *in, const struct kmsg_item *item)
{
	uint64_t *slot = kmsg_at(in->kmsg, item->offset);
	uint64_t address = *slot;
	struct vm_copy *copy = NULL;
	mach_msg_return_t error;

	*slot = 0;
	if (item->bytes == 0)
		return MACH_MSG_SUCCESS;
	if (item->type->msgt_deallocate) {
		error = deallocate_later(in, address, item->bytes, item->offset);
		if (error != MACH_MSG_SUCCESS)
			return error;
		if (in->moved < 0) {
			in->moved = (int)in->deallocates - 1;
			return MACH_MSG_SUCCESS;
		}
	}
	if (!pause_large(item->bytes) || !msg_long_region(in->task, address, item->bytes, &copy, &error))
		error = region_error(vm_copy_in(&in->task->map, address, item->bytes, false, in->task->ledger, &copy));
	*slot = (uint64_t)copy;
	return error;
}

static void region_unreserve(struct copyin *in, struct vm_copy *copy)
{
	if (!msg_long_keep(copy))
		vm_copy_undo(&in->task->map, copy);
}

/* Undoes array_reserve for the first count rights. */
static void array_unreserve(struct port_array *array, uint32_t type, uint32_t count)
{
	uint32_t i;

	for (i = 0; type == MACH_MSG_TYPE_MAKE_SEND_ONCE && i < count; i++) {
		right_unreserve(type, *port_array_slot(array, i));
		rights_window(i);
	}
	port_array_free(array);
}

static mach_msg_return_t array_fill(struct copyin *in, struct port_array *array, uint64_t address, uint32_t type)
{
	mach_port_name_t names[NAMES_PIECE];
	mach_msg_return_t error = MACH_MSG_SUCCESS;
	uint32_t i;

	for (i = 0; i < array->count && error == MACH_MSG_SUCCESS; i++) {
		uint32_t piece = array->count - i < NAMES_PIECE ? array->count - i : NAMES_PIECE;

		if (i % NAMES_PIECE == 0)
			error = region_error(copyin(&in->task->map, names, address + i * 4ull, piece * 4ull));
		if (error == MACH_MSG_SUCCESS) {
			*port_array_slot(array, i) = (struct port *)(uint64_t)names[i % NAMES_PIECE];
			error = right_reserve(in, type, port_array_slot(array, i));
		}
		rights_window(i);
	}
	if (error != MACH_MSG_SUCCESS)
		array_unreserve(array, type, i - 1);
	return error;
}

static mach_msg_return_t array_reserve(struct copyin *in, struct kmsg_item *item)
{
	uint64_t *slot = kmsg_at(in->kmsg, item->offset);
	uint32_t count = item->type->msgt_number, type = item->type->msgt_name;
	uint64_t address = *slot;
	struct port_array *array;
	mach_msg_return_t error;

	*slot = 0;
	if (count == 0)
		return MACH_MSG_SUCCESS;
	if (count > KMSG_RIGHTS_MAX)
		return too_many(in, LEDGER_NAMES, KMSG_RIGHTS_MAX, count, ALLOC_SITE());
	if (item->type->msgt_deallocate) {
		error = deallocate_later(in, address, item->bytes, 0);
		if (error != MACH_MSG_SUCCESS)
			return error;
	}
	array = port_array_make(count, disposition_of(type), in->task->ledger);
	if (array == NULL)
		return MACH_SEND_NO_BUFFER;
	error = array_fill(in, array, address, type);
	*slot = error == MACH_MSG_SUCCESS ? (uint64_t)array : 0;
	return error;
}

static mach_msg_return_t ports_reserve(struct copyin *in, struct kmsg_item *item)
{
	mach_msg_return_t error;
	uint32_t i;

	for (i = 0; i < item->type->msgt_number; i++) {
		in->stop_index = i;
		error = right_reserve(in, item->type->msgt_name, kmsg_slot(in->kmsg, item->offset + i * 8));
		if (error != MACH_MSG_SUCCESS)
			return error;
		rights_window(i);
	}
	return MACH_MSG_SUCCESS;
}

/* The item at offset, which carries rights. */
static __attribute__((noinline)) mach_msg_return_t rights_reserve(struct copyin *in, uint32_t offset)
{
	struct kmsg_item item;

	kmsg_item_at(in->kmsg, offset, &item);
	in->moves = true;
	return item.kind == KMSG_ITEM_PORTS ? ports_reserve(in, &item) : array_reserve(in, &item);
}

static inline __attribute__((always_inline)) mach_msg_return_t body_reserve(struct copyin *in)
{
	uint32_t next = sizeof(mach_msg_header_t);
	mach_msg_return_t error = MACH_MSG_SUCCESS;
	struct kmsg_item item;

	in->stop = next;
	while (next < in->kmsg->size) {
		error = item_next(in->kmsg, &next, &item);
		if (error != MACH_MSG_SUCCESS)
			return error;
		in->stop_index = 0;
		if (item.kind == KMSG_ITEM_REGION)
			error = region_reserve(in, &item);
		else if (item.kind != KMSG_ITEM_DATA)
			error = rights_reserve(in, in->stop);
		if (error != MACH_MSG_SUCCESS)
			return error;
		items_window(in->stop, next);
		in->stop = next;
	}
	in->stop_index = 0;
	return MACH_MSG_SUCCESS;
}

/* The first region to be deallocated is moved at once: no page of it will ever be copied. */
static __attribute__((noinline)) mach_msg_return_t region_move(struct copyin *in)
{
	struct vm_copy *copy = NULL;
	mach_msg_return_t error;

	error = region_error(vm_copy_in(&in->task->map, in->deallocate[in->moved].address,
					in->deallocate[in->moved].bytes, true, in->task->ledger, &copy));
	*(struct vm_copy **)kmsg_at(in->kmsg, in->deallocate[in->moved].slot) = copy;
	return error;
}

static void body_unreserve(struct copyin *in)
{
	uint32_t next = sizeof(mach_msg_header_t), at, i, count;
	struct kmsg_item item;

	while (next < in->kmsg->size) {
		at = next;
		if (at > in->stop || (at == in->stop && in->stop_index == 0) ||
		    item_next(in->kmsg, &next, &item) != MACH_MSG_SUCCESS)
			return;
		count = at == in->stop ? in->stop_index : item.type->msgt_number;
		items_window(at, next);
		if (item.kind == KMSG_ITEM_PORTS) {
			for (i = 0; i < count; i++) {
				right_unreserve(item.type->msgt_name, *kmsg_slot(in->kmsg, item.offset + i * 8));
				rights_window(i);
			}
		} else if (item.kind == KMSG_ITEM_REGION)
			region_unreserve(in, *(struct vm_copy **)kmsg_at(in->kmsg, item.offset));
		else if (item.kind == KMSG_ITEM_PORT_ARRAY && *kmsg_slot(in->kmsg, item.offset) != NULL)
			array_unreserve(*(struct port_array **)kmsg_at(in->kmsg, item.offset),
					item.type->msgt_name, item.type->msgt_number);
	}
}

/* Member by member: there is no need to clear where the regions to be deallocated will stand. */
static void body_begin(struct copyin *in, struct kmsg *kmsg, struct task *task)
{
	in->kmsg = kmsg;
	in->task = task;
	in->rights = in->deallocates = 0;
	in->moves = false;
	in->moved = -1;
}

/* All of the body that can be denied or refused. An error: nothing has changed. In line, as its common part is short. */
static inline __attribute__((always_inline)) mach_msg_return_t body_prepare(struct copyin *in)
{
	mach_msg_return_t error = body_reserve(in);

	if (error == MACH_MSG_SUCCESS && in->moved >= 0)
		error = region_move(in);
	if (error != MACH_MSG_SUCCESS)
		body_unreserve(in);
	return error;
}

/* Is there anything left to do once all is prepared? */
static bool body_moves(const struct copyin *in)
{
	return in->moves || in->deallocates != 0;
}

/* The moves. False: a right was not there twice. */
static bool body_commit(struct copyin *in)
{
	uint32_t next = sizeof(mach_msg_header_t), at, i, type;
	struct port_array *array;
	struct kmsg_item item;
	bool good = true;
	unsigned d;

	while (in->moves && next < in->kmsg->size) {
		at = next;
		kmsg_item_step(in->kmsg, &next, &item);
		items_window(at, next);
		type = item.type->msgt_name;
		if (item.kind == KMSG_ITEM_PORTS) {
			for (i = 0; i < item.type->msgt_number; i++) {
				good &= right_commit(in, type, kmsg_slot(in->kmsg, item.offset + i * 8));
				rights_window(i);
			}
			item.type->msgt_name = disposition_of(type);
		} else if (item.kind == KMSG_ITEM_PORT_ARRAY) {
			array = *(struct port_array **)kmsg_at(in->kmsg, item.offset);
			for (i = 0; array != NULL && i < array->count; i++) {
				good &= right_commit(in, type, port_array_slot(array, i));
				rights_window(i);
			}
			item.type->msgt_name = disposition_of(type);
		}
	}
	for (d = 0; d < in->deallocates; d++)
		if ((int)d != in->moved)
			vm_map_deallocate(&in->task->map, in->deallocate[d].address & ~(PAGE_SIZE - 1ull),
					  ((in->deallocate[d].address & (PAGE_SIZE - 1)) + in->deallocate[d].bytes +
					   PAGE_SIZE - 1) & ~(PAGE_SIZE - 1ull));
	return good;
}

/* Does moving both rights of the header need a user reference more than there is? */
static bool header_conflict(struct copyin *in)
{
	struct name *entry;

	if ((in->skip & (KMSG_SKIP_REMOTE | KMSG_SKIP_LOCAL)) != 0 || in->remote_name != in->local_name)
		return false;
	if (in->remote_type == MACH_MSG_TYPE_MOVE_SEND_ONCE || in->local_type == MACH_MSG_TYPE_MOVE_SEND_ONCE)
		return true;
	if (in->remote_type != MACH_MSG_TYPE_MOVE_SEND || in->local_type != MACH_MSG_TYPE_MOVE_SEND)
		return false;
	entry = space_lookup(&in->task->space, in->remote_name);
	return entry == NULL || entry->urefs < 2;
}

static mach_msg_return_t header_check(struct copyin *in)
{
	struct space *space = &in->task->space;

	if ((in->skip & KMSG_SKIP_REMOTE) == 0 &&
	    (!name_valid(in->remote_name) || space_take_check(space, in->remote_name, in->remote_type) != KERN_SUCCESS))
		return MACH_SEND_INVALID_DEST;
	if ((in->skip & KMSG_SKIP_LOCAL) == 0 && name_valid(in->local_name) &&
	    space_take_check(space, in->local_name, in->local_type) != KERN_SUCCESS)
		return MACH_SEND_INVALID_REPLY;
	return header_conflict(in) ? MACH_SEND_INVALID_REPLY : MACH_MSG_SUCCESS;
}

/* Makes a send-once right of the header; PORT_NULL: denied. */
static struct port *once_make(struct copyin *in, mach_port_name_t name)
{
	uint32_t disposition;
	struct port *port;

	if (space_take(&in->task->space, name, MACH_MSG_TYPE_MAKE_SEND_ONCE, &port, &disposition) != KERN_SUCCESS)
		return PORT_NULL;
	return port;
}

/* Makes what takes memory: send-once rights. */
static mach_msg_return_t header_reserve(struct copyin *in)
{
	struct kmsg *kmsg = in->kmsg;

	if ((in->skip & KMSG_SKIP_LOCAL) == 0 && in->local_type == MACH_MSG_TYPE_MAKE_SEND_ONCE &&
	    name_valid(in->local_name)) {
		kmsg->local = once_make(in, in->local_name);
		if (kmsg->local == PORT_NULL)
			return MACH_SEND_NO_BUFFER;
	}
	if ((in->skip & KMSG_SKIP_REMOTE) != 0 || in->remote_type != MACH_MSG_TYPE_MAKE_SEND_ONCE)
		return MACH_MSG_SUCCESS;
	kmsg->remote = once_make(in, in->remote_name);
	if (kmsg->remote != PORT_NULL)
		return MACH_MSG_SUCCESS;
	once_unmake(kmsg->local);
	kmsg->local = NULL;
	return MACH_SEND_NO_BUFFER;
}

static void header_unreserve(struct copyin *in)
{
	once_unmake(in->kmsg->local);
	once_unmake(in->kmsg->remote);
	in->kmsg->local = in->kmsg->remote = NULL;
}

static void header_take_local(struct copyin *in)
{
	uint32_t disposition;

	if (in->kmsg->local != NULL || (in->skip & KMSG_SKIP_LOCAL) != 0)
		return;
	if (!name_valid(in->local_name))
		in->kmsg->local = name_special(in->local_name);
	else if (space_take(&in->task->space, in->local_name, in->local_type, &in->kmsg->local, &disposition) != KERN_SUCCESS)
		panic("checked reply right not there");
}

static void header_commit(struct copyin *in)
{
	struct kmsg *kmsg = in->kmsg;
	uint32_t disposition;
	/* A right that is copied goes before the same right that is moved. */
	bool local_first = in->remote_type == MACH_MSG_TYPE_MOVE_SEND;

	if (local_first)
		header_take_local(in);
	if (kmsg->remote == NULL && (in->skip & KMSG_SKIP_REMOTE) == 0 &&
	    space_take(&in->task->space, in->remote_name, in->remote_type, &kmsg->remote, &disposition) != KERN_SUCCESS)
		panic("checked destination not there");
	header_take_local(in);
	kmsg->bits = (kmsg->bits & MACH_MSGH_BITS_COMPLEX) | disposition_of(in->remote_type) |
		     (in->local_type != 0 ? disposition_of(in->local_type) << 8 : 0);
}

static mach_msg_return_t bytes_copyin(struct kmsg *kmsg, struct task *task, uint64_t buffer, uint32_t have)
{
	while (have < kmsg->size) {
		uint32_t piece = kmsg_contiguous(kmsg, have);
		kern_return_t error = copyin(&task->map, kmsg_at(kmsg, have), buffer + have, piece);

		if (error == KERN_RESOURCE_SHORTAGE)
			return MACH_SEND_NO_BUFFER;
		if (error != KERN_SUCCESS)
			return MACH_SEND_INVALID_DATA;
		items_window(have, have + piece);
		have += piece;
	}
	return MACH_MSG_SUCCESS;
}

mach_msg_return_t kmsg_copyin(struct kmsg *kmsg, struct task *task, uint64_t buffer, uint32_t have, unsigned skip)
{
	struct copyin in;
	const mach_msg_header_t *header;
	mach_msg_return_t error;

	kmsg->bits = 0;
	kmsg->remote = kmsg->local = NULL;
	kmsg->receive_rights = false;
	error = bytes_copyin(kmsg, task, buffer, have);
	if (error != MACH_MSG_SUCCESS)
		return error;
	header = kmsg_at(kmsg, 0);
	body_begin(&in, kmsg, task);
	in.remote_type = MACH_MSGH_BITS_REMOTE(header->msgh_bits);
	in.local_type = MACH_MSGH_BITS_LOCAL(header->msgh_bits);
	in.remote_name = header->msgh_remote_port;
	in.local_name = header->msgh_local_port;
	in.skip = skip;
	kmsg->id = (uint32_t)header->msgh_id;
	if ((error = header_check(&in)) != MACH_MSG_SUCCESS || (error = header_reserve(&in)) != MACH_MSG_SUCCESS)
		return error;
	kmsg->bits = header->msgh_bits & MACH_MSGH_BITS_COMPLEX;
	if ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) == 0) {
		header_commit(&in);
		return MACH_MSG_SUCCESS;
	}
	error = body_prepare(&in);
	if (error != MACH_MSG_SUCCESS) {
		header_unreserve(&in);
		kmsg->bits = 0;
		return error;
	}
	header_commit(&in);
	if (body_commit(&in))
		return MACH_MSG_SUCCESS;
	/* The memory of kmsg is the caller's: only what is in it goes. */
	kmsg_empty(kmsg);
	return MACH_SEND_INVALID_RIGHT;
}

/* Any body. */
static __attribute__((noinline)) mach_msg_return_t body_copyin(struct kmsg *kmsg, struct task *task)
{
	struct copyin in;
	mach_msg_return_t error;

	body_begin(&in, kmsg, task);
	error = body_prepare(&in);
	if (error == MACH_MSG_SUCCESS && body_moves(&in) && !body_commit(&in)) {
		kmsg_empty(kmsg);
		error = MACH_SEND_INVALID_RIGHT;
	}
	return error;
}

mach_msg_return_t kmsg_body_copyin(struct kmsg *kmsg, struct task *task)
{
	const mach_msg_type_t *type = (const mach_msg_type_t *)(kmsg->small + sizeof(mach_msg_header_t));
	uint64_t *slot = (uint64_t *)(type + 1), address = *slot, bytes;

	if (!kmsg_is_region(kmsg, KMSG_TYPE_FLAGS))
		return body_copyin(kmsg, task);
	bytes = ((uint64_t)type->msgt_size * type->msgt_number + 7) / 8;
	/* A region that may take long is for the general way. */
	if (pause_large(bytes) && vm_copying_is_long(&task->map, address, bytes, pause_piece))
		return MACH_SEND_INVALID_DATA;
	return region_error(vm_copy_in(&task->map, address, bytes, false, task->ledger, (struct vm_copy **)slot));
}
