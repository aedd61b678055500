/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports that want to know when a right of this task's dies. The notification
 * goes to the port itself, where any client can forge one: so what was asked for is
 * written down, and that the name has died is checked.
 *
 * Mach adds a reference to the dead name for each notification that it sends.
 * Whoever takes the watch out of the tree gives that back, if it was sent.
 */
#include "pool.h"
#include <mach.h>
#include <mach/notify.h>
#include <stdlib.h>
#include <weir/tree.h>

struct ports_watch {
	RB_ENTRY(ports_watch) node;
	struct ports_watch *next, **link;	/* of the same port */
	struct port_info *port;
	mach_port_t name;
};

static int compare(const struct ports_watch *a, const struct ports_watch *b)
{
	return a->name < b->name ? -1 : a->name > b->name;
}
RB_GENERATE_STATIC(ports_watches, ports_watch, node, compare)

/* The lock of the bucket is held in these three. */
static struct ports_watch *find(struct port_info *port, mach_port_t name)
{
	struct ports_watch probe = { .name = name };
	struct ports_watch *watch = RB_FIND(ports_watches, &port->bucket->watches, &probe);

	return watch != NULL && watch->port == port ? watch : NULL;
}

static void take_out(struct ports_watch *watch)
{
	*watch->link = watch->next;
	if (watch->next != NULL)
		watch->next->link = watch->link;
	RB_REMOVE(ports_watches, &watch->port->bucket->watches, watch);
}

static kern_return_t put_in(struct ports_watch *watch)
{
	struct port_info *port = watch->port;
	kern_return_t code;

	if (port->receive == MACH_PORT_NULL)
		return KERN_INVALID_CAPABILITY;
	if (RB_INSERT(ports_watches, &port->bucket->watches, watch) != NULL)
		return KERN_NAME_EXISTS;
	watch->next = port->watches;
	watch->link = &port->watches;
	if (watch->next != NULL)
		watch->next->link = &watch->next;
	port->watches = watch;
	code = mach_request_notification(watch->name, MACH_NOTIFY_DEAD_NAME, 1, port->receive);
	if (code != KERN_SUCCESS)
		take_out(watch);
	return code;
}

kern_return_t ports_request_dead_name_notification(struct port_info *port, mach_port_t name)
{
	struct ports_watch *watch = calloc(1, sizeof *watch);
	kern_return_t code;

	if (watch == NULL)
		return KERN_RESOURCE_SHORTAGE;
	watch->port = port;
	watch->name = name;
	mutex_lock(&port->bucket->lock);
	code = put_in(watch);
	mutex_unlock(&port->bucket->lock);
	if (code != KERN_SUCCESS)
		free(watch);
	return code;
}

/* A watch that was taken out. */
static void cancel(struct ports_watch *watch)
{
	mach_port_t previous = MACH_PORT_NULL;
	kern_return_t code = mach_port_request_notification(mach_task_self(), watch->name, MACH_NOTIFY_DEAD_NAME, 0,
							    MACH_PORT_NULL, MACH_MSG_TYPE_MAKE_SEND_ONCE, &previous);

	if (code == KERN_SUCCESS)
		give_back_right(previous);
	else if (code == KERN_INVALID_ARGUMENT)
		/* It is dead: the notification is on its way, and finds nothing. */
		give_back_right(watch->name);
	free(watch);
}

void ports_cancel_dead_name_notification(struct port_info *port, mach_port_t name)
{
	struct ports_watch *watch;

	mutex_lock(&port->bucket->lock);
	watch = find(port, name);
	if (watch != NULL)
		take_out(watch);
	mutex_unlock(&port->bucket->lock);
	if (watch != NULL)
		cancel(watch);
}

void watches_cancel(struct port_info *port)
{
	struct ports_watch *watch;

	for (;;) {
		mutex_lock(&port->bucket->lock);
		watch = port->watches;
		if (watch != NULL)
			take_out(watch);
		mutex_unlock(&port->bucket->lock);
		if (watch == NULL)
			return;
		cancel(watch);
	}
}

static bool is_dead(mach_port_t name)
{
	mach_port_type_t type;

	return mach_port_type(mach_task_self(), name, &type) == KERN_SUCCESS && (type & MACH_PORT_TYPE_DEAD_NAME) != 0;
}

void watch_dead(struct port_info *port, mach_port_t name)
{
	struct ports_watch *watch;

	mutex_lock(&port->bucket->lock);
	watch = find(port, name);
	if (watch != NULL && is_dead(name))
		take_out(watch);
	else
		watch = NULL;
	mutex_unlock(&port->bucket->lock);
	if (watch == NULL)
		return;
	free(watch);
	if (port->class->dead_name != NULL)
		port->class->dead_name(port, name);
	give_back_right(name);
}
