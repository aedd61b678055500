/* SPDX-License-Identifier: BSD-2-Clause */
/* Buckets, ports and their references. */
#include "pool.h"
#include <mach.h>
#include <mach/notify.h>
#include <mach/program.h>
#include <stdlib.h>
#include <string.h>

/* A record without more is a block of 64 bytes, malloc's header included: a server may have a hundred thousand. */
_Static_assert(sizeof(struct port_info) <= 48, "a plain port's record fits its block");

/*
 * Handles are found in pieces, made when they are needed and given back when
 * they are empty, so nothing is ever copied. Unused slots of a piece are on a
 * list: a slot holds a record, or the index of the next unused one, odd.
 */
struct ports_piece {
	uint32_t used, first_unused;		/* PORTS_PIECE: none */
	uintptr_t slots[PORTS_PIECE];
};

static uintptr_t unused_slot(uint32_t next)
{
	return (uintptr_t)next << 1 | 1;
}

static struct ports_piece *piece_new(void)
{
	struct ports_piece *piece = malloc(sizeof *piece);

	if (piece == NULL)
		return NULL;
	piece->used = piece->first_unused = 0;
	for (uint32_t i = 0; i < PORTS_PIECE; i++)
		piece->slots[i] = unused_slot(i + 1);
	return piece;
}

kern_return_t ports_bucket_init(struct port_bucket *bucket)
{
	memset(bucket, 0, sizeof *bucket);
	return mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_PORT_SET, &bucket->set);
}

void ports_bucket_end(struct port_bucket *bucket)
{
	if (bucket->set != MACH_PORT_NULL)
		mach_port_mod_refs(mach_task_self(), bucket->set, MACH_PORT_RIGHT_PORT_SET, -1);
	bucket->set = MACH_PORT_NULL;
	free(bucket->pieces[0]);
	bucket->pieces[0] = NULL;
}

void ports_bucket_stop(struct port_bucket *bucket)
{
	uint32_t workers;

	if (bucket->set != MACH_PORT_NULL)
		mach_port_mod_refs(mach_task_self(), bucket->set, MACH_PORT_RIGHT_PORT_SET, -1);
	bucket->set = MACH_PORT_NULL;
	ports_resume_bucket_rpcs(bucket);
	while ((workers = __atomic_load_n(&bucket->workers, __ATOMIC_ACQUIRE)) != 0)
		word_wait(&bucket->workers, workers, 100);
}

/* The first piece with an unused handle; NULL: there is no memory for it, or they are all full. */
static struct ports_piece *open_piece(struct port_bucket *bucket)
{
	struct ports_piece **piece = &bucket->pieces[bucket->open];

	while (bucket->open < PORTS_PIECES && *piece != NULL && (*piece)->used == PORTS_PIECE)
		bucket->open++, piece++;
	if (bucket->open == PORTS_PIECES)
		return NULL;
	if (*piece == NULL)
		*piece = piece_new();
	return *piece;
}

/* A handle is never 0, so that no record looks like a null port. */
static bool enter(struct port_bucket *bucket, struct port_info *port)
{
	struct ports_piece *piece = open_piece(bucket);
	uint32_t slot;

	if (piece == NULL)
		return false;
	slot = piece->first_unused;
	piece->first_unused = (uint32_t)(piece->slots[slot] >> 1);
	piece->slots[slot] = (uintptr_t)port;
	piece->used++;
	port->handle = bucket->open * PORTS_PIECE + slot + 1;
	bucket->count++;
	port->class->count++;
	return true;
}

static void leave(struct port_bucket *bucket, struct port_info *port)
{
	uint32_t index = (port->handle - 1) / PORTS_PIECE, slot = (port->handle - 1) % PORTS_PIECE;
	struct ports_piece *piece = bucket->pieces[index];

	piece->slots[slot] = unused_slot(piece->first_unused);
	piece->first_unused = slot;
	if (index < bucket->open)
		bucket->open = index;
	bucket->count--;
	port->class->count--;
	/* The first one stays: a server that opens and closes one port shall not make it each time. */
	if (--piece->used == 0 && index > 0) {
		bucket->pieces[index] = NULL;
		free(piece);
	}
}

struct port_info *ports_find(struct port_bucket *bucket, mach_port_t handle)
{
	struct ports_piece *piece;
	uintptr_t slot;

	if (handle == 0 || (handle - 1) / PORTS_PIECE >= PORTS_PIECES)
		return NULL;
	piece = bucket->pieces[(handle - 1) / PORTS_PIECE];
	slot = piece != NULL ? piece->slots[(handle - 1) % PORTS_PIECE] : 1;
	return slot & 1 ? NULL : (struct port_info *)slot;
}

/* The right with its place in the set and its payload. */
static kern_return_t make_right(struct port_info *port)
{
	mach_port_t self = mach_task_self();
	kern_return_t code = syscall_mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE,
							&port->receive);

	if (code == MACH_SEND_INTERRUPTED)
		code = mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &port->receive);
	if (code != KERN_SUCCESS)
		return code;
	code = mach_port_set_protected_payload(self, port->receive, port->handle);
	if (code == KERN_SUCCESS)
		code = mach_port_move_member(self, port->receive, port->bucket->set);
	if (code != KERN_SUCCESS)
		mach_port_mod_refs(self, port->receive, MACH_PORT_RIGHT_RECEIVE, -1);
	return code;
}

kern_return_t ports_create_port(struct port_class *class, struct port_bucket *bucket,
				struct port_info **result)
{
	struct port_info *port = calloc(1, class->size);
	kern_return_t code;
	bool entered;

	if (port == NULL)
		return KERN_RESOURCE_SHORTAGE;
	port->class = class;
	port->bucket = bucket;
	port->refs = 1;
	mutex_lock(&bucket->lock);
	entered = enter(bucket, port);
	mutex_unlock(&bucket->lock);
	code = entered ? make_right(port) : KERN_RESOURCE_SHORTAGE;
	if (code == KERN_SUCCESS) {
		*result = port;
		return KERN_SUCCESS;
	}
	if (entered) {
		mutex_lock(&bucket->lock);
		leave(bucket, port);
		mutex_unlock(&bucket->lock);
	}
	free(port);
	return code;
}

void ports_port_ref(struct port_info *port)
{
	mutex_lock(&port->bucket->lock);
	port->refs++;
	mutex_unlock(&port->bucket->lock);
}

void ports_port_ref_weak(struct port_info *port)
{
	mutex_lock(&port->bucket->lock);
	port->weak_refs++;
	mutex_unlock(&port->bucket->lock);
}

bool ports_port_is_weak(const struct port_info *port)
{
	return __atomic_load_n(&port->refs, __ATOMIC_ACQUIRE) == 0;
}

/* The port's, if it has one still; nobody is told of dead names any more. */
static void destroy_receive(struct port_info *port)
{
	mach_port_t receive;

	mutex_lock(&port->bucket->lock);
	receive = port->receive;
	port->receive = MACH_PORT_NULL;
	mutex_unlock(&port->bucket->lock);
	watches_cancel(port);
	if (receive != MACH_PORT_NULL)
		mach_port_mod_refs(mach_task_self(), receive, MACH_PORT_RIGHT_RECEIVE, -1);
}

/* Its last reference has gone, and it is in the table no more. */
static void release(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;
	bool inhibited = port->inhibited;

	if (port->class->clean != NULL)
		port->class->clean(port);
	destroy_receive(port);
	free(port);
	if (inhibited)
		held_resume(bucket);
}

void ports_port_deref_weak(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;
	bool last;

	mutex_lock(&bucket->lock);
	last = --port->weak_refs == 0 && port->refs == 0;
	if (last)
		leave(bucket, port);
	mutex_unlock(&bucket->lock);
	if (last)
		release(port);
}

void ports_port_deref(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;
	bool hard, weak = false;

	mutex_lock(&bucket->lock);
	hard = --port->refs != 0;
	if (!hard && port->weak_refs != 0) {
		weak = true;
		/* Ours, while the class is told. */
		port->weak_refs++;
	} else if (!hard) {
		leave(bucket, port);
	}
	mutex_unlock(&bucket->lock);
	if (weak) {
		if (port->class->dropweak != NULL)
			port->class->dropweak(port);
		ports_port_deref_weak(port);
	} else if (!hard) {
		release(port);
	}
}

void ports_destroy_right(struct port_info *port)
{
	bool senders;

	destroy_receive(port);
	mutex_lock(&port->bucket->lock);
	senders = port->has_senders;
	port->has_senders = false;
	mutex_unlock(&port->bucket->lock);
	if (senders)
		ports_port_deref(port);
}

/* The port of that class (NULL: of any); the bucket is locked. */
static struct port_info *find_of(struct port_bucket *bucket, uint32_t handle, const struct port_class *class)
{
	struct port_info *port = ports_find(bucket, handle);

	return port != NULL && (class == NULL || port->class == class) ? port : NULL;
}

/* With a reference: the port with the lowest handle that is not below this one; NULL: there is none. */
static struct port_info *port_from(struct port_bucket *bucket, uint32_t handle, const struct port_class *class)
{
	struct port_info *port = NULL;

	mutex_lock(&bucket->lock);
	while (port == NULL && (handle - 1) / PORTS_PIECE < PORTS_PIECES) {
		uint32_t index = (handle - 1) / PORTS_PIECE;

		if (bucket->pieces[index] == NULL) {
			handle = (index + 1) * PORTS_PIECE + 1;
			continue;
		}
		port = find_of(bucket, handle++, class);
	}
	if (port != NULL)
		port->refs++;
	mutex_unlock(&bucket->lock);
	return port;
}

void ports_destroy_all(struct port_bucket *bucket, const struct port_class *class)
{
	struct port_info *port;

	for (uint32_t handle = 1; (port = port_from(bucket, handle, class)) != NULL; ) {
		handle = port->handle + 1;
		ports_destroy_right(port);
		ports_port_deref(port);
	}
	while (ports_clean_one(bucket))
		;
}

kern_return_t ports_begin(struct port_bucket *bucket, struct port_class *class, struct port_info **port, mach_port_t *right)
{
	kern_return_t code = program_touch_static();

	if (code == KERN_SUCCESS)
		code = ports_bucket_init(bucket);
	if (code == KERN_SUCCESS)
		code = ports_create_port(class, bucket, port);
	return code == KERN_SUCCESS ? ports_get_send_right(*port, right) : code;
}

struct port_info *ports_lookup(struct port_bucket *bucket, mach_port_t handle,
			       const struct port_class *class)
{
	struct port_info *port;

	mutex_lock(&bucket->lock);
	port = find_of(bucket, handle, class);
	if (port != NULL)
		port->refs++;
	mutex_unlock(&bucket->lock);
	return port;
}

/* Asks to be told when the last send right goes; at once when there is none but one was made. */
static kern_return_t watch(struct port_info *port)
{
	return mach_request_notification(port->receive, MACH_NOTIFY_NO_SENDERS, 1, port->receive);
}

/* Drops the senders' reference if there are none; asks to be told again if there are. */
static void check_senders(struct port_info *port)
{
	mach_port_status_t status;
	bool drop = false;

	mutex_lock(&port->bucket->lock);
	if (mach_port_get_receive_status(mach_task_self(), port->receive, &status) == KERN_SUCCESS &&
	    port->has_senders) {
		drop = !status.mps_srights;
		if (drop)
			port->has_senders = false;
		else if (!status.mps_nsrequest)
			watch(port);
	}
	mutex_unlock(&port->bucket->lock);
	if (drop)
		ports_port_deref(port);
}

/* Under the lock, so that the right is not destroyed meanwhile. */
static kern_return_t insert_send(mach_port_t receive)
{
	mach_port_t self = mach_task_self();
	kern_return_t code = syscall_mach_port_insert_right(self, receive, receive, MACH_MSG_TYPE_MAKE_SEND);

	return code == MACH_SEND_INTERRUPTED ?
	       mach_port_insert_right(self, receive, receive, MACH_MSG_TYPE_MAKE_SEND) : code;
}

kern_return_t ports_get_send_right(struct port_info *port, mach_port_t *right)
{
	kern_return_t code = KERN_SUCCESS;
	bool watched = false;

	mutex_lock(&port->bucket->lock);
	*right = port->receive;
	if (port->receive == MACH_PORT_NULL)
		code = KERN_INVALID_NAME;
	else if (!port->has_senders)
		code = watch(port);
	if (code == KERN_SUCCESS && !port->has_senders) {
		port->has_senders = true;
		port->refs++;
	}
	if (code == KERN_SUCCESS) {
		code = insert_send(port->receive);
		watched = code != KERN_SUCCESS;
	}
	mutex_unlock(&port->bucket->lock);
	if (watched)
		check_senders(port);
	return code;
}

void ports_no_senders(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;
	struct port_info *last;

	mutex_lock(&bucket->lock);
	if (!port->has_left) {
		port->has_left = true;
		port->refs++;
		port->next_left = 0;
		last = ports_find(bucket, bucket->left_last);
		*(last != NULL ? &last->next_left : &bucket->left) = port->handle;
		bucket->left_last = port->handle;
	}
	mutex_unlock(&bucket->lock);
}

bool ports_unclean(struct port_bucket *bucket)
{
	return __atomic_load_n(&bucket->left, __ATOMIC_RELAXED) != 0;
}

bool ports_clean_one(struct port_bucket *bucket)
{
	struct port_info *port;

	mutex_lock(&bucket->lock);
	port = ports_find(bucket, bucket->left);
	if (port != NULL) {
		bucket->left = port->next_left;
		if (bucket->left == 0)
			bucket->left_last = 0;
		port->has_left = false;
	}
	mutex_unlock(&bucket->lock);
	if (port == NULL)
		return false;
	check_senders(port);
	ports_port_deref(port);
	return true;
}

bool ports_notify_server(struct port_bucket *bucket, const mach_msg_header_t *request,
			 mach_msg_header_t *reply)
{
	struct port_info *port;

	if (request->msgh_id < MACH_NOTIFY_FIRST || request->msgh_id > MACH_NOTIFY_LAST)
		return false;
	/* No reply, and nothing in these that had to be destroyed. */
	reply->msgh_bits = 0;
	reply->msgh_remote_port = MACH_PORT_NULL;
	((mig_reply_header_t *)reply)->RetCode = MIG_NO_REPLY;
	if (request->msgh_id != MACH_NOTIFY_NO_SENDERS && request->msgh_id != MACH_NOTIFY_DEAD_NAME)
		return true;
	port = ports_lookup(bucket, request->msgh_local_port, NULL);
	if (port == NULL)
		return true;
	if (request->msgh_id == MACH_NOTIFY_NO_SENDERS)
		ports_no_senders(port);
	else if (request->msgh_size == sizeof(mach_dead_name_notification_t))
		watch_dead(port, ((const mach_dead_name_notification_t *)request)->not_port);
	ports_port_deref(port);
	return true;
}
