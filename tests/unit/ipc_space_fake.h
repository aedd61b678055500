/* SPDX-License-Identifier: BSD-2-Clause */
/* Stand-ins for what ports and spaces need from messages, queues and vm: a message is queued or discarded, no more. Included
   by the one file of each test. */
#ifndef IPC_SPACE_FAKE_H
#define IPC_SPACE_FAKE_H
#include <mach/notify.h>
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/krpc_later.h"
#include "ipc/mqueue.h"
#include "ipc/name.h"
#include "ipc/notify.h"
#include "ipc/portset.h"
#include "ipc/ready.h"
#include "ipc/right.h"
#include "ipc/space.h"
#include "ipc/throttle.h"
#include "kern/device.h"
#include "kern/exception.h"
#include "kern/assert.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "vm/copy.h"
#include "vm/upcalls.h"

static struct zone fake_kmsg_zone;

static struct ledger *fake_kmsg_payer(const void *element)
{
	return ((const struct kmsg *)element)->payer;
}

static void fake_init(void)
{
	zone_init(&fake_kmsg_zone, "message", sizeof(struct kmsg), LEDGER_MESSAGES, fake_kmsg_payer);
	port_system_init();
	space_system_init();
}

bool port_prepay(struct port *port, struct ledger *payer)
{
	struct kmsg *kmsg = zone_alloc(&fake_kmsg_zone, payer);

	if (kmsg == NULL)
		return false;
	memset(kmsg, 0xa5, sizeof(*kmsg));
	kmsg->payer = payer;
	kmsg->state = KMSG_STATE(.has_rest = true);
	LIST_INSERT_HEAD(&port->prepaid, kmsg, prepaid_link);
	return true;
}

struct kmsg *port_take_prepaid(struct port *port)
{
	struct kmsg *kmsg = LIST_FIRST(&port->prepaid);

	if (kmsg != NULL)
		LIST_REMOVE(kmsg, prepaid_link);
	return kmsg;
}

void kmsg_free(struct kmsg *kmsg)
{
	zone_free(&fake_kmsg_zone, kmsg, kmsg->payer);
}

static struct port *fake_carried(const struct kmsg *kmsg)
{
	struct port *port;

	if ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) == 0)
		return NULL;
	memcpy(&port, kmsg->small + 40, sizeof(port));
	return port;
}

static bool fake_discard_step(struct reap *reap)
{
	struct kmsg *kmsg = (struct kmsg *)((char *)reap - offsetof(struct kmsg, reap));
	struct port *carried = fake_carried(kmsg);

	right_consume_send_once(kmsg->remote);
	if (carried != NULL)
		right_release_receive(carried);
	kmsg_free(kmsg);
	return true;
}

void kmsg_discard(struct kmsg *kmsg)
{
	reap_defer(&kmsg->reap, fake_discard_step);
}

void mqueue_deliver(struct kmsg *kmsg)
{
	if (kmsg->remote->dead) {
		kmsg_discard(kmsg);
	} else {
		RING_INSERT_TAIL(kmsg->remote->messages, kmsg, link);
		kmsg->remote->message_count++;
	}
}

bool mqueue_flush(struct port *port)
{
	struct kmsg *kmsg;

	for (unsigned left = 4; (kmsg = port->messages) != NULL; left--) {
		if (left == 0)
			return false;
		RING_REMOVE(port->messages, kmsg, link);
		port->message_count--;
		kmsg_discard(kmsg);
	}
	return true;
}

static uint64_t fake_changes;
static int fake_change;

void throttle_init(struct throttle *throttle)
{
	(void)throttle;
}

void throttle_end(struct port *set)
{
	(void)set;
}

struct port *ready_next(const struct port *set, const struct port *port)
{
	(void)set;
	assert(port == NULL);
	return NULL;
}

void ready_end(struct port *set)
{
	(void)set;
}

void throttle_check(struct port *set)
{
	(void)set;
}

void mqueue_number_anew(struct port *port)
{
	(void)port;
}

void mqueue_changed(struct port *port, int result)
{
	assert(port->refs != 0);
	fake_changes++;
	fake_change = result;
}

void mqueue_set_joined(struct port *port)
{
	assert(port->in_set);
}

void mqueue_set_left(struct port *port)
{
	assert(port->in_set);
}

void mqueue_offer_room(struct port *port)
{
	assert(!port->dead);
}

void exception_reply_lost(struct port *port)
{
	panic("no exceptions here: %p", (void *)port);
}

bool vm_name_unused(struct vm_object *object)
{
	panic("object's name %p", (void *)object);
}
void device_no_senders(struct device *device)
{
	panic("no devices here: %p", (void *)device);
}

bool krpc_later_lose(struct port *port)
{
	assert(!port->owes_later);
	return false;
}

/* A region in transit: plain bytes, the fake's own. */
kern_return_t vm_copy_alloc(uint64_t size, struct ledger *payer, struct vm_copy **copy)
{
	assert(payer != NULL);
	*copy = NULL;
	if (mem_fail_nth(ALLOC_SITE()))
		return KERN_RESOURCE_SHORTAGE;
	if (size != 0) {
		*copy = calloc(1, sizeof(**copy) + size);
		(*copy)->first.size = size;
	}
	return KERN_SUCCESS;
}

void vm_copy_write(struct vm_copy *copy, uint64_t offset, const void *bytes, uint64_t size)
{
	assert(offset + size <= copy->first.size);
	memcpy((char *)(copy + 1) + offset, bytes, size);
}

void vm_copy_discard(struct vm_copy *copy)
{
	free(copy);
}

struct vm_copy *vm_copy_trim(struct vm_copy *copy, uint64_t size)
{
	assert(size <= (copy != NULL ? copy->first.size : 0));
	return copy;
}

/* Only behind a pause, which never comes. */
struct thread *thread_current(void)
{
	panic("thread_current");
}
void krpc_reply(struct thread *thread, kern_return_t code)
{
	panic("krpc_reply %p %d", (void *)thread, code);
}
void krpc_reply_data(struct thread *thread, kern_return_t code, const void *body, uint32_t size, bool complex)
{
	panic("krpc_reply_data %p %d %p %u %d", (void *)thread, code, body, size, complex);
}
struct space *convert_port_to_space(struct port *port)
{
	panic("convert_port_to_space %p", (void *)port);
}

/* All that ledger is charged, in things; kernel bytes come from them. */
static uint64_t fake_charged(const struct ledger *ledger)
{
	uint64_t sum = 0;

	for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
		sum += host_used(ledger, r);
	return sum;
}

/* Mixes words into a fingerprint (FNV-1a, 64 bits). */
static uint64_t fake_mix(uint64_t hash, uint64_t word)
{
	return (hash ^ word) * 0x100000001b3ull;
}

static uint64_t fake_print_port(uint64_t hash, const struct port *port)
{
	const struct kmsg *kmsg;

	hash = fake_mix(hash, port->refs);
	hash = fake_mix(hash, port->dead);
	hash = fake_mix(hash, port->send_rights);
	hash = fake_mix(hash, port->send_once_rights);
	hash = fake_mix(hash, port->make_send_count);
	hash = fake_mix(hash, (uintptr_t)port_no_senders(port));
	hash = fake_mix(hash, (uintptr_t)port_port_destroyed(port));
	hash = fake_mix(hash, (uintptr_t)port->receiver + port->receiver_name);
	hash = fake_mix(hash, (uintptr_t)port_set_any(port));
	if (port->kobject_type == KOBJECT_PORT_SET)
		return hash;
	LIST_FOREACH(kmsg, &port->prepaid, prepaid_link)
		hash = fake_mix(hash, 1);
	RING_FOREACH(kmsg, port->messages, link)
		hash = fake_mix(hash, (uintptr_t)kmsg);
	return hash;
}

/* A fingerprint of the space, its ledger and the ports that its names hold: for "a denied call changed nothing". */
static uint64_t fake_print(const struct space *space)
{
	uint64_t hash = 0xcbf29ce484222325ull;
	struct name *entry;

	hash = fake_mix(hash, space_names(space));
	hash = fake_mix(hash, space->last);
	hash = fake_mix(hash, space->names.nodes);
	for (unsigned r = 0; r < LEDGER_RESOURCES; r++)
		hash = fake_mix(hash, host_used(space->names.payer, r));
	for (uint64_t key = 0; (entry = radix_next(&space->names, &key)) != NULL; key++) {
		if (entry->type == NAME_SPARE)
			continue;
		hash = fake_mix(hash, key);
		hash = fake_mix(hash, entry->type);
		hash = fake_mix(hash, (uintptr_t)name_request(entry));
		if (entry->port != NULL)
			hash = fake_print_port(hash, entry->port);
	}
	return hash;
}

#endif
