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
	struct pool *pool;
	mach_msg_header_t request[];
};

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
	parked->next = NULL;
	if (queue->first == NULL)
		queue->first = parked;
	else
		queue->last->next = parked;
	queue->last = parked;
	queue->count++;
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

void ports_resume(struct ports_parked *parked)
{
	mach_msg_header_t *reply = malloc(parked->pool->options.max_size);

	if (reply == NULL) {
		ports_refuse(parked, KERN_RESOURCE_SHORTAGE);
		return;
	}
	pool_serve(parked->pool, parked->request, reply);
	free(reply);
	free(parked);
}

void ports_refuse(struct ports_parked *parked, kern_return_t code)
{
	pool_refuse(parked->request, code);
	free(parked);
}
