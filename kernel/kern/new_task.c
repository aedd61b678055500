/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Notifications of new tasks (gnumach.defs 4203, task_notify.defs).
 *
 * One port of the machine may be told of each new task: a message with rights to the task and its parent. The kernel never
 * allocates to send, so the message is reserved before the task is there, as a send-once right with its prepaid message, and
 * paid by the ledger that pays for the task: who makes tasks faster than they are looked at meets his own limit of messages.
 */
#include "kern/new_task.h"
#include <mach/kern_return.h>
#include "gnumach_server.h"
#include "ipc/notify.h"
#include "ipc/port.h"
#include "ipc/right.h"
#include "kern/host.h"
#include "kern/task.h"

static struct port *told;		/* a send right; NULL: nobody is */

static void told_set(struct port *port)
{
	struct port *old = told;

	told = port;
	if (old != NULL)
		right_release_send(old);
}

/* A null notification ends it. KERN_NO_ACCESS: another port, which is alive, is told. */
kern_return_t register_new_task_notification(struct host *host, struct port *notification)
{
	if (host == NULL)
		return KERN_INVALID_HOST;
	if (told != NULL && !told->dead && notification != NULL)
		return KERN_NO_ACCESS;
	told_set(port_valid(notification) ? notification : NULL);
	return KERN_SUCCESS;
}

bool new_task_reserve(struct ledger *payer, struct port **once)
{
	*once = NULL;
	if (told == NULL)
		return true;
	if (told->dead) {
		told_set(NULL);
		return true;
	}
	*once = right_make_send_once(told, payer);
	if (*once == PORT_NULL)
		return false;
	if (*once == PORT_DEAD)
		*once = NULL;
	return true;
}

void new_task_tell(struct port *once, struct task *task, struct task *parent)
{
	if (once != NULL)
		notify_new_task(once, right_make_send(task->self), right_make_send(parent->self));
}
