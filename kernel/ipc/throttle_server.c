/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel's side of weir/throttle.defs; codes and meaning are described there. Nothing blocks, nothing is charged. */
#include <weir/throttle.h>
#include "throttle_server.h"
#include "ipc/kmsg.h"
#include "ipc/mqueue.h"
#include "ipc/space.h"
#include "ipc/throttle.h"
#include "x86_64/machine.h"

static kern_return_t set_of(struct space *space, mach_port_name_t name, struct port **set)
{
	struct name *entry;

	if (space == NULL)
		return KERN_INVALID_TASK;
	entry = space_lookup(space, name);
	if (entry == NULL)
		return KERN_INVALID_NAME;
	if ((entry->type & MACH_PORT_TYPE_PORT_SET) == 0)
		return KERN_INVALID_RIGHT;
	*set = entry->port;
	return KERN_SUCCESS;
}

kern_return_t port_set_throttle(struct space *task, mach_port_name_t name, unsigned target, unsigned delay_ms)
{
	struct port *set;
	kern_return_t kr = set_of(task, name, &set);

	return kr == KERN_SUCCESS ? throttle_set(set, target, delay_ms) : kr;
}

kern_return_t port_set_request_stall(struct space *task, mach_port_name_t name, struct port *notify)
{
	struct port *set;
	kern_return_t kr = set_of(task, name, &set);

	if (kr != KERN_SUCCESS)
		return kr;
	if (notify == PORT_DEAD || (notify != NULL && notify->dead))
		return KERN_INVALID_CAPABILITY;
	if (!throttle_on(set))
		return KERN_INVALID_VALUE;
	throttle_request_stall(set, notify);
	return KERN_SUCCESS;
}

kern_return_t port_set_throttle_status(struct space *task, mach_port_name_t name, throttle_status_t *status)
{
	uint64_t now = clock_uptime_ns();
	const struct port_extra none = { 0 }, *extra;
	struct kmsg *first;
	struct port *set;
	kern_return_t kr = set_of(task, name, &set);

	if (kr != KERN_SUCCESS)
		return kr;
	extra = set->has_extra ? set->extra : &none;
	first = mqueue_peek(set);
	*status = (throttle_status_t){
		.target = extra->throttle.target, .delay_ms = extra->throttle.delay_ms, .running = extra->throttle.running,
		.listening = !STACK_EMPTY(&set->receivers),
		.waiting = first != NULL || !TAILQ_EMPTY(&set->blocked),
		.taken = extra->taken, .waited_ns = extra->throttle.waited_ns,
		.since_taken_ns = extra->taken != 0 ? now - extra->throttle.taken_ns : 0,
		.oldest_ns = first != NULL && first->queued_ns != 0 ? now - first->queued_ns : 0,
	};
	return KERN_SUCCESS;
}
