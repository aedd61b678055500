/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parked requests. A handler that cannot answer yet keeps a copy of its
 * request and lets its thread go; when the time has come the request is
 * served once more, by the same handler. So a thousand clients that wait for
 * one event cost a thousand small records, not a thousand threads.
 */
#include "pool.h"
#include <mach.h>
#include <mach/mig_support.h>
#include <stdlib.h>
#include <string.h>

struct ports_parked {
	struct ports_parked *next;
	struct pool *pool;		/* which may have ended otherwise */
	mach_msg_header_t request[];
};

struct pool *parked_pool(const struct ports_parked *parked)
{
	return parked->pool;
}

mach_msg_header_t *parked_request(struct ports_parked *parked)
{
	return parked->request;
}

void parked_append(struct ports_parked_queue *queue, struct ports_parked *parked)
{
	parked->next = NULL;
	*(queue->first == NULL ? &queue->first : &queue->last->next) = parked;
	queue->last = parked;
	queue->count++;
}

kern_return_t ports_park(struct ports_parked_queue *queue)
{
	struct serving *serving = thread_self()->serving;
	struct ports_parked *parked;
	size_t size;

	if (serving == NULL)
		return KERN_FAILURE;
	size = serving->request->msgh_size;
	parked = malloc(sizeof *parked + size);
	if (parked == NULL)
		return KERN_RESOURCE_SHORTAGE;
	memcpy(parked->request, serving->request, size);
	parked->pool = serving->pool;
	__atomic_add_fetch(&parked->pool->users, 1, __ATOMIC_ACQ_REL);
	parked_append(queue, parked);
	return MIG_NO_REPLY;
}

struct ports_parked *ports_unpark(struct ports_parked_queue *queue)
{
	struct ports_parked *parked = queue->first;

	if (parked == NULL)
		return NULL;
	queue->first = parked->next;
	queue->count--;
	return parked;
}

static void parked_free(struct ports_parked *parked)
{
	pool_leave(parked->pool);
	free(parked);
}

void ports_resume(struct ports_parked *parked)
{
	struct serving serving;
	mach_msg_header_t *reply;

	if (!serving_begin_parked(&serving, parked))
		return;
	reply = malloc(parked->pool->options.max_size);
	if (reply != NULL) {
		pool_serve(&serving, reply);
		free(reply);
	} else {
		pool_refuse(parked->request, KERN_RESOURCE_SHORTAGE);
	}
	serving_end(&serving);
	parked_free(parked);
}

void ports_refuse(struct ports_parked *parked, kern_return_t code)
{
	pool_refuse(parked->request, code);
	parked_free(parked);
}
