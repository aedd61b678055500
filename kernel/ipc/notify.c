/* SPDX-License-Identifier: BSD-2-Clause */
/* Notifications.

   The kernel never allocates to send: a send-once right that a user made carries a message prepaid by the owner of the port
   (DESIGN: a send-once right carries one prepaid small message). A notification takes that message, writes itself into it
   in the form that messages have in the kernel, and queues it past the queue limit. Layouts and ids: mach/notify.h. */
#include "ipc/notify.h"
#include <stddef.h>
#include <mach/notify.h>
#include <weir/throttle.h>
#include "ipc/kmsg.h"
#include "ipc/mqueue.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "kern/string.h"

#define ITEM_BYTES 16			/* a type and a slot */
#define NEW_TASK_ID 4400		/* mach/task_notify.defs */
#define NEW_TASK_BYTES (sizeof(mach_msg_header_t) + 2 * ITEM_BYTES)
_Static_assert(NEW_TASK_BYTES <= KMSG_INSIDE, "the longest notification is in one piece");

/* The prepaid message of once, with its header, to be sent to it; NULL: there is nobody to tell, once is released. */
static struct kmsg *notify_begin(struct port *once, uint32_t id, uint32_t size)
{
	struct kmsg *kmsg = NULL;
	mach_msg_header_t *header;

	if (!once->dead && once->kobject_type == KOBJECT_NONE)
		kmsg = port_take_prepaid(once);
	if (kmsg == NULL) {
		right_consume_send_once(once);
		return NULL;
	}
	kmsg->remote = once;
	kmsg->local = NULL;
	kmsg->bits = MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND_ONCE, 0);
	kmsg->size = size;
	kmsg->id = id;
	kmsg->sequence = 0;
	kmsg->by_send_once = true;
	memset(kmsg->small, 0, size);
	header = (mach_msg_header_t *)kmsg->small;
	header->msgh_bits = kmsg->bits;
	header->msgh_size = size;
	header->msgh_id = (mach_msg_id_t)id;
	return kmsg;
}

/* The descriptor of an item of a notification, the n-th of 16 bytes. */
static void notify_item(struct kmsg *kmsg, unsigned n, uint32_t type, uint32_t bits)
{
	mach_msg_type_t *item = (mach_msg_type_t *)(kmsg->small + sizeof(mach_msg_header_t) + n * ITEM_BYTES);

	item->msgt_name = type;
	item->msgt_size = bits;
	item->msgt_inline = 1;
	item->msgt_number = 1;
}

/* Such an item that is a right. */
static void notify_right(struct kmsg *kmsg, unsigned n, uint32_t type, struct port *right)
{
	notify_item(kmsg, n, type, 64);
	memcpy(kmsg->small + sizeof(mach_msg_header_t) + n * ITEM_BYTES + sizeof(mach_msg_type_t), &right, sizeof(right));
}
_Static_assert(offsetof(mach_port_destroyed_notification_t, not_port) == sizeof(mach_msg_header_t) + sizeof(mach_msg_type_t),
	       "where its right is");

/* Sends a notification that has rights. */
static void notify_complex(struct kmsg *kmsg)
{
	kmsg->bits |= MACH_MSGH_BITS_COMPLEX;
	((mach_msg_header_t *)kmsg->small)->msgh_bits = kmsg->bits;
	mqueue_deliver(kmsg);
}

static void notify_word(struct port *once, uint32_t id, uint32_t type, uint32_t word)
{
	struct kmsg *kmsg = notify_begin(once, id, sizeof(mach_dead_name_notification_t));

	if (kmsg == NULL)
		return;
	notify_item(kmsg, 0, type, 32);
	((mach_dead_name_notification_t *)kmsg->small)->not_port = word;
	mqueue_deliver(kmsg);
}

void notify_port_deleted(struct port *once, mach_port_name_t name)
{
	notify_word(once, MACH_NOTIFY_PORT_DELETED, MACH_MSG_TYPE_PORT_NAME, name);
}

void notify_dead_name(struct port *once, mach_port_name_t name)
{
	notify_word(once, MACH_NOTIFY_DEAD_NAME, MACH_MSG_TYPE_PORT_NAME, name);
}

void notify_no_senders(struct port *once, uint32_t make_send_count)
{
	notify_word(once, MACH_NOTIFY_NO_SENDERS, MACH_MSG_TYPE_INTEGER_32, make_send_count);
}

/* A notification that says all by its id. */
static void notify_plain(struct port *once, uint32_t id)
{
	struct kmsg *kmsg = notify_begin(once, id, sizeof(mach_msg_header_t));

	if (kmsg != NULL)
		mqueue_deliver(kmsg);
}

void notify_send_once(struct port *once)
{
	notify_plain(once, MACH_NOTIFY_SEND_ONCE);
}

void notify_stalled(struct port *once)
{
	notify_plain(once, THROTTLE_NOTIFY_STALLED);
}

void notify_port_destroyed(struct port *once, struct port *receive_right)
{
	struct kmsg *kmsg = NULL;

	if (right_transit_begin(receive_right, once))
		kmsg = notify_begin(once, MACH_NOTIFY_PORT_DESTROYED, sizeof(mach_port_destroyed_notification_t));
	else
		right_release_send_once(once);
	if (kmsg == NULL) {
		assert(port_port_destroyed(receive_right) == NULL);
		port_destroy(receive_right);
		return;
	}
	notify_right(kmsg, 0, MACH_MSG_TYPE_PORT_RECEIVE, receive_right);
	kmsg->receive_rights = true;
	notify_complex(kmsg);
}

void notify_new_task(struct port *once, struct port *task, struct port *parent)
{
	struct kmsg *kmsg = notify_begin(once, NEW_TASK_ID, NEW_TASK_BYTES);

	if (kmsg == NULL) {
		right_release_send(task);
		right_release_send(parent);
		return;
	}
	notify_right(kmsg, 0, MACH_MSG_TYPE_PORT_SEND, task);
	notify_right(kmsg, 1, MACH_MSG_TYPE_PORT_SEND, parent);
	notify_complex(kmsg);
}
