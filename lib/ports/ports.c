/* SPDX-License-Identifier: BSD-2-Clause */
/* Buckets, ports and their references. */
#include <ports.h>
#include <mach.h>
#include <mach/notify.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_TABLE	32

kern_return_t ports_bucket_init(struct port_bucket *bucket)
{
	memset(bucket, 0, sizeof *bucket);
	/* A handle is never 0, so that no record looks like a null port. */
	bucket->free_hint = 1;
	bucket->left_end = &bucket->left;
	return mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_PORT_SET, &bucket->set);
}

static bool grow_table(struct port_bucket *bucket)
{
	uint32_t size = bucket->table_size != 0 ? bucket->table_size * 2 : FIRST_TABLE;
	struct port_info **table = calloc(size, sizeof *table);

	if (table == NULL)
		return false;
	if (bucket->table_size != 0)
		memcpy(table, bucket->table, bucket->table_size * sizeof *table);
	free(bucket->table);
	bucket->table = table;
	bucket->table_size = size;
	return true;
}

/* Handles are given from the lowest free one; with the hint each is looked at once between two frees. */
static bool enter(struct port_bucket *bucket, struct port_info *port)
{
	uint32_t handle = bucket->free_hint;

	while (handle < bucket->table_size && bucket->table[handle] != NULL)
		handle++;
	if (handle >= bucket->table_size && !grow_table(bucket))
		return false;
	bucket->table[handle] = port;
	bucket->free_hint = handle + 1;
	if (bucket->top <= handle)
		bucket->top = handle + 1;
	bucket->count++;
	port->class->count++;
	port->handle = handle;
	return true;
}

/* Halves the table as often as three quarters of it are at its end and unused. */
static void shrink_table(struct port_bucket *bucket)
{
	uint32_t size = bucket->table_size;
	struct port_info **table;

	while (size > FIRST_TABLE && bucket->top <= size / 4)
		size /= 2;
	if (size == bucket->table_size)
		return;
	table = malloc(size * sizeof *table);
	if (table == NULL)
		return;
	memcpy(table, bucket->table, size * sizeof *table);
	free(bucket->table);
	bucket->table = table;
	bucket->table_size = size;
}

static void leave(struct port_bucket *bucket, struct port_info *port)
{
	bucket->table[port->handle] = NULL;
	if (port->handle < bucket->free_hint)
		bucket->free_hint = port->handle;
	bucket->count--;
	port->class->count--;
	while (bucket->top > 0 && bucket->table[bucket->top - 1] == NULL)
		bucket->top--;
	shrink_table(bucket);
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

void ports_port_deref(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;
	bool last;

	mutex_lock(&bucket->lock);
	last = --port->refs == 0;
	if (last)
		leave(bucket, port);
	mutex_unlock(&bucket->lock);
	if (!last)
		return;
	if (port->class->clean != NULL)
		port->class->clean(port);
	mach_port_mod_refs(mach_task_self(), port->receive, MACH_PORT_RIGHT_RECEIVE, -1);
	free(port);
}

struct port_info *ports_lookup(struct port_bucket *bucket, mach_port_t handle,
			       const struct port_class *class)
{
	struct port_info *port = NULL;

	mutex_lock(&bucket->lock);
	if (handle < bucket->table_size)
		port = bucket->table[handle];
	if (port != NULL && class != NULL && port->class != class)
		port = NULL;
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

kern_return_t ports_get_send_right(struct port_info *port, mach_port_t *right)
{
	mach_port_t self = mach_task_self();
	kern_return_t code = KERN_SUCCESS;

	mutex_lock(&port->bucket->lock);
	if (!port->has_senders) {
		code = watch(port);
		if (code == KERN_SUCCESS) {
			port->has_senders = true;
			port->refs++;
		}
	}
	mutex_unlock(&port->bucket->lock);
	if (code != KERN_SUCCESS)
		return code;
	code = syscall_mach_port_insert_right(self, port->receive, port->receive,
					      MACH_MSG_TYPE_MAKE_SEND);
	if (code == MACH_SEND_INTERRUPTED)
		code = mach_port_insert_right(self, port->receive, port->receive,
					      MACH_MSG_TYPE_MAKE_SEND);
	*right = port->receive;
	if (code != KERN_SUCCESS)
		check_senders(port);
	return code;
}

void ports_no_senders(struct port_info *port)
{
	struct port_bucket *bucket = port->bucket;

	mutex_lock(&bucket->lock);
	if (!port->has_left) {
		port->has_left = true;
		port->refs++;
		port->next_left = NULL;
		*bucket->left_end = port;
		bucket->left_end = &port->next_left;
	}
	mutex_unlock(&bucket->lock);
}

bool ports_unclean(struct port_bucket *bucket)
{
	return __atomic_load_n(&bucket->left, __ATOMIC_RELAXED) != NULL;
}

bool ports_clean_one(struct port_bucket *bucket)
{
	struct port_info *port;

	mutex_lock(&bucket->lock);
	port = bucket->left;
	if (port != NULL) {
		bucket->left = port->next_left;
		if (bucket->left == NULL)
			bucket->left_end = &bucket->left;
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
	if (request->msgh_id != MACH_NOTIFY_NO_SENDERS)
		return true;
	port = ports_lookup(bucket, request->msgh_local_port, NULL);
	if (port != NULL) {
		ports_no_senders(port);
		ports_port_deref(port);
	}
	return true;
}
