/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Replies that come later.
 *
 * A message that asks the kernel for something and does not wait for the answer (device_read_request) must not make its
 * sender wait. Its reply right is taken over, together with the memory of the reply: nothing is allocated when the reply
 * is sent. Until then that memory holds what is to be remembered, struct krpc_later.
 *
 * The reply is no longer due when its port dies. All replies that are due are in one tree, by port; a port that was ever
 * due one says so (owes_later), and others never look.
 */
#include "ipc/krpc_later.h"
#include <mach/mig_errors.h>
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/krpc_call.h"
#include "ipc/mqueue.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"

_Static_assert(sizeof(struct krpc_later) <= KMSG_INSIDE && KRPC_LATER_BODY_MAX <= KMSG_SMALL, "one small message");

static int compare_pointers(const void *a, const void *b)
{
	return a < b ? -1 : a > b;
}

static int compare(const struct krpc_later *a, const struct krpc_later *b)
{
	int order = compare_pointers(a->kmsg->remote, b->kmsg->remote);

	return order != 0 ? order : compare_pointers(a->kmsg, b->kmsg);
}

static RB_HEAD(later_tree, krpc_later) laters = RB_INITIALIZER(&laters);
RB_GENERATE_STATIC(later_tree, krpc_later, node, compare)

bool krpc_is_direct(const struct thread *thread)
{
	return thread->reply_direct || (krpc_now.in == &krpc_plain_request.head && krpc_now.reply_port != NULL);
}

/* The memory of the reply: reserved with the call, prepaid with the right, or made. NULL: denied. */
static struct kmsg *later_memory(struct thread *thread)
{
	struct msg_state *msg = &thread->msg;
	struct kmsg *kmsg = msg->kmsg;

	msg->kmsg = NULL;
	if (kmsg == NULL && thread->reply_disposition == MACH_MSG_TYPE_PORT_SEND_ONCE)
		kmsg = port_take_prepaid(msg->reply_port);
	return kmsg != NULL ? kmsg : kmsg_alloc(KMSG_SMALL, thread->task->ledger);
}

kern_return_t krpc_keep(struct thread *thread, void (*lost)(struct krpc_later *later), struct krpc_later **later)
{
	struct msg_state *msg = &thread->msg;
	struct port *port = msg->reply_port;
	struct kmsg *kmsg;

	assert(!thread->reply_direct);
	if (!port_valid(port) || port->dead || port->kobject_type != KOBJECT_NONE)
		return KERN_INVALID_CAPABILITY;
	kmsg = later_memory(thread);
	if (kmsg == NULL)
		return KERN_RESOURCE_SHORTAGE;
	/* Allocating may have worked off the reaper's list, and the port's death with it. */
	if (port->dead) {
		kmsg_free(kmsg);
		return KERN_INVALID_CAPABILITY;
	}
	assert(kmsg->pages == 0);
	msg->reply_port = NULL;
	kmsg->remote = port;
	kmsg->local = NULL;
	kmsg->bits = thread->reply_disposition;
	kmsg->id = msg->reply_id;
	kmsg->receive_rights = false;
	*later = (struct krpc_later *)kmsg->small;
	**later = (struct krpc_later){ .kmsg = kmsg, .lost = lost };
	RB_INSERT(later_tree, &laters, *later);
	port->owes_later = true;
	return KERN_SUCCESS;
}

void krpc_later_reply(struct krpc_later *later, kern_return_t code, const void *body, uint32_t size, bool complex)
{
	struct kmsg *kmsg = later->kmsg;

	assert(size >= sizeof(mig_reply_header_t) && size <= kmsg_capacity(kmsg) && size % 8 == 0);
	RB_REMOVE(later_tree, &laters, later);
	kmsg->size = size;
	kmsg_write(kmsg, body, size);
	krpc_code_fill((mig_reply_header_t *)kmsg->small, code);
	kmsg->bits |= complex ? MACH_MSGH_BITS_COMPLEX : 0;
	mqueue_deliver(kmsg);
}

/* The first in the tree with this port. */
static struct krpc_later *later_of(const struct port *port)
{
	struct krpc_later *later = RB_ROOT(&laters), *found = NULL;

	while (later != NULL) {
		int order = compare_pointers(port, later->kmsg->remote);

		if (order == 0)
			found = later;
		later = order <= 0 ? RB_LEFT(later, node) : RB_RIGHT(later, node);
	}
	return found;
}

bool krpc_later_lose(struct port *port)
{
	struct krpc_later *later = port->owes_later ? later_of(port) : NULL;
	struct kmsg *kmsg;

	if (later == NULL)
		return false;
	RB_REMOVE(later_tree, &laters, later);
	later->lost(later);
	kmsg = later->kmsg;
	if (kmsg->bits == MACH_MSG_TYPE_PORT_SEND_ONCE)
		right_consume_send_once(port);
	else
		right_release_send(port);
	kmsg_free(kmsg);
	return true;
}
