/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The members of a port set that have messages.
 *
 * A plain set serves them in turn, one message each. So a client with ten thousand ports, each with a message, is before one
 * with a single port ten thousand times. A throttled set, which is a server's, has queues of ports, one for each ledger whose
 * messages wait (that of the port's first message), and serves those in turn: each ledger's clients get one client's turn.
 * Ledgers that fall into the same queue by their numbers share a turn (stochastic fairness queueing: McKenney, INFOCOM 1990).
 * All is O(1).
 */
#include "ipc/ready.h"
#include "ipc/kmsg.h"
#include "kern/assert.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "x86_64/machine.h"

#define QUEUES	127	/* prime, and fills the page */
#define WINDOW	32	/* ports moved before interrupts get a window */

struct ready_queue {
	TAILQ_HEAD(, port) ports;
	TAILQ_ENTRY(ready_queue) link;		/* in active, while there are ports */
};

struct ready_queues {
	TAILQ_HEAD(, ready_queue) active;
	struct ready_queue queue[QUEUES];
};
_Static_assert(sizeof(struct ready_queues) <= PAGE_SIZE, "one page");

struct port *ready_first(const struct port *set)
{
	const struct ready_queue *queue;

	if (set->queues == NULL)
		return TAILQ_FIRST(&set->ready);
	queue = TAILQ_FIRST(&set->queues->active);
	return queue != NULL ? TAILQ_FIRST(&queue->ports) : NULL;
}

static void queue_insert(struct ready_queues *queues, struct port *port)
{
	const struct ledger *payer = TAILQ_FIRST(&port->messages)->payer;
	struct ready_queue *queue;

	port->ready_queue = payer != NULL ? payer->id % QUEUES : 0;
	queue = &queues->queue[port->ready_queue];
	if (TAILQ_EMPTY(&queue->ports))
		TAILQ_INSERT_TAIL(&queues->active, queue, link);
	TAILQ_INSERT_TAIL(&queue->ports, port, ready_link);
}

void ready_insert(struct port *port)
{
	struct port *set = port->set;

	if (port->is_ready)
		return;
	port->is_ready = true;
	if (set->queues != NULL)
		queue_insert(set->queues, port);
	else
		TAILQ_INSERT_TAIL(&set->ready, port, ready_link);
}

static void remove(struct port *port, bool served)
{
	struct ready_queues *queues = port->set->queues;
	struct ready_queue *queue;

	if (!port->is_ready)
		return;
	port->is_ready = false;
	if (queues == NULL) {
		TAILQ_REMOVE(&port->set->ready, port, ready_link);
		return;
	}
	queue = &queues->queue[port->ready_queue];
	TAILQ_REMOVE(&queue->ports, port, ready_link);
	if (!served && !TAILQ_EMPTY(&queue->ports))
		return;
	TAILQ_REMOVE(&queues->active, queue, link);
	if (!TAILQ_EMPTY(&queue->ports))
		TAILQ_INSERT_TAIL(&queues->active, queue, link);
}

void ready_remove(struct port *port)
{
	remove(port, false);
}

void ready_served(struct port *port)
{
	remove(port, true);
}

bool ready_split(struct port *set)
{
	struct ready_queues *queues;
	struct page *page;
	struct port *port;
	unsigned n = 0;

	if (set->queues != NULL)
		return true;
	page = kpage_alloc(set->payer);
	if (page == NULL)
		return false;
	queues = page_address(page);
	TAILQ_INIT(&queues->active);
	for (unsigned i = 0; i < QUEUES; i++)
		TAILQ_INIT(&queues->queue[i].ports);
	while ((port = TAILQ_FIRST(&set->ready)) != NULL) {
		TAILQ_REMOVE(&set->ready, port, ready_link);
		queue_insert(queues, port);
		if (++n % WINDOW == 0)
			machine_window();
	}
	set->queues = queues;
	return true;
}

void ready_end(struct port *set)
{
	if (set->queues == NULL)
		return;
	assert(TAILQ_EMPTY(&set->queues->active));
	kpage_free(page_of_address(set->queues));
	set->queues = NULL;
}
