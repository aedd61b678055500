/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The members of a port set that have messages.
 *
 * A plain set serves them in turn, one message each. So a client with ten thousand ports, each with a message, is before one
 * with a single port ten thousand times. A throttled set, which is a server's, has queues of ports by the ledgers that pay for
 * the messages. The ledgers that have shares of the CPU, the root's children, are served in turn, and in each of them those
 * below it: however many ports, threads and programs a user floods with, another one gets as many turns.
 *
 * A port is in one queue: of the ledgers whose messages wait in it, or for room in it, that with the fewest ports in line.
 * Its messages stay in their order, so a port that many share comes as soon as it would if it were the quietest client's
 * alone, and its first message, whoever sent that, uses the turn. A message far back in a long port may not count in this,
 * until it comes near.
 *
 * There is a page of queues. Top ledgers share groups by their numbers (stochastic fairness queueing: McKenney, INFOCOM 1990); a
 * ledger shares a queue with others of its group only, the group's own when no other is found. All is O(1).
 */
#include "ipc/ready.h"
#include "ipc/kmsg.h"
#include "kern/assert.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "x86_64/machine.h"

#define GROUPS	16
#define QUEUES	73	/* prime, and fills the page */
#define PROBES	8	/* queues tried for a ledger */
#define LOOKS	8	/* messages of a port, and ledgers of blocked senders, that are looked at for the shortest queue */
#define WINDOW	32	/* ports moved before interrupts get a window */

struct ready_queue {
	TAILQ_HEAD(, port) ports;
	TAILQ_ENTRY(ready_queue) link;		/* in its group's active, while there are ports */
	uint32_t count;				/* ports */
	uint32_t group;				/* while there are any: whose queue it is */
};

struct ready_group {
	TAILQ_HEAD(, ready_queue) active;
	TAILQ_ENTRY(ready_group) link;		/* in active, while there are queues */
};

struct ready_queues {
	TAILQ_HEAD(, ready_group) active;
	struct ready_group group[GROUPS];
	struct ready_queue queue[QUEUES + GROUPS];	/* the last ones are the groups' own */
};
_Static_assert(sizeof(struct ready_queues) <= PAGE_SIZE, "one page");
_Static_assert(QUEUES + GROUPS <= UINT8_MAX, "port_extra.ready_queue");

struct port *ready_first(const struct port *set)
{
	const struct ready_group *group;

	if (set->queues == NULL)
		return TAILQ_FIRST(&set->ready);
	group = TAILQ_FIRST(&set->queues->active);
	return group != NULL ? TAILQ_FIRST(&TAILQ_FIRST(&group->active)->ports) : NULL;
}

/* That which has a share of the CPU. */
static const struct ledger *top_ledger(const struct ledger *ledger)
{
	while (ledger->parent != NULL && ledger->parent->parent != NULL)
		ledger = ledger->parent;
	return ledger;
}

/* Where the ledger is in line, or would be. */
static struct ready_queue *queue_of(struct ready_queues *queues, const struct ledger *payer, uint32_t *group)
{
	if (payer == NULL)
		payer = &root_ledger;
	*group = top_ledger(payer)->id % GROUPS;
	for (unsigned i = 0; i < PROBES; i++) {
		struct ready_queue *queue = &queues->queue[(payer->id + i) % QUEUES];

		if (queue->count == 0 || queue->group == *group)
			return queue;
	}
	return &queues->queue[QUEUES + *group];
}

static void queue_add(struct ready_queues *queues, struct ready_queue *queue, uint32_t number, struct port *port)
{
	struct ready_group *group = &queues->group[number];

	port->extra->ready_queue = (uint8_t)(queue - queues->queue);
	TAILQ_INSERT_TAIL(&queue->ports, port, extra->ready_link);
	if (queue->count++ != 0)
		return;
	queue->group = number;
	if (TAILQ_EMPTY(&group->active))
		TAILQ_INSERT_TAIL(&queues->active, group, link);
	TAILQ_INSERT_TAIL(&group->active, queue, link);
}

/* served: it had its turn, and so had its queue and its group. */
static void queue_remove(struct ready_queues *queues, struct port *port, bool served)
{
	struct ready_queue *queue = &queues->queue[port->extra->ready_queue];
	struct ready_group *group = &queues->group[queue->group];

	TAILQ_REMOVE(&queue->ports, port, extra->ready_link);
	if (--queue->count != 0 && !served)
		return;
	TAILQ_REMOVE(&group->active, queue, link);
	if (queue->count != 0)
		TAILQ_INSERT_TAIL(&group->active, queue, link);
	if (!TAILQ_EMPTY(&group->active) && !served)
		return;
	TAILQ_REMOVE(&queues->active, group, link);
	if (!TAILQ_EMPTY(&group->active))
		TAILQ_INSERT_TAIL(&queues->active, group, link);
}

struct place {
	struct ready_queue *queue;
	uint32_t group;
};

/* The ledger's place, if there is less of a line than at best. */
static void place_improve(struct place *best, struct ready_queues *queues, const struct ledger *payer)
{
	uint32_t group;
	struct ready_queue *queue = queue_of(queues, payer, &group);

	if (best->queue == NULL || queue->count < best->queue->count)
		*best = (struct place){ queue, group };
}

/* Into the shortest queue. */
static void queue_insert(struct ready_queues *queues, struct port *port)
{
	const struct thread *leader = port->senders;
	const struct kmsg *kmsg = port->messages;
	struct place best = { NULL, 0 };

	for (unsigned i = 0; i < LOOKS && kmsg != NULL; i++, kmsg = RING_NEXT(kmsg, link))
		place_improve(&best, queues, kmsg->payer);
	for (unsigned i = 0; i < LOOKS && leader != NULL; i++, leader = RING_NEXT(leader, wait.sender_link))
		place_improve(&best, queues, leader->task->ledger);
	queue_add(queues, best.queue, best.group, port);
}

struct port *ready_next(const struct port *set, const struct port *port)
{
	const struct ready_queues *queues = set->queues;
	struct port *next = port != NULL ? TAILQ_NEXT(port, extra->ready_link) : NULL;

	if (queues == NULL)
		return port != NULL ? next : TAILQ_FIRST(&set->ready);
	for (unsigned i = port != NULL ? port->extra->ready_queue + 1u : 0; next == NULL && i < QUEUES + GROUPS; i++)
		next = TAILQ_FIRST(&queues->queue[i].ports);
	return next;
}

void ready_waits(struct port *port, const struct ledger *payer)
{
	struct ready_queues *queues = port->extra->set->queues;
	struct ready_queue *now, *queue;
	uint32_t group;

	if (!port->is_ready || queues == NULL)
		return;
	now = &queues->queue[port->extra->ready_queue];
	queue = queue_of(queues, payer, &group);
	/* It may be in front by now: only if it is clear. */
	if (queue->count >= now->count / 2)
		return;
	queue_remove(queues, port, false);
	queue_add(queues, queue, group, port);
}

void ready_insert(struct port *port)
{
	struct port *set = port->extra->set;

	if (port->is_ready) {
		ready_waits(port, RING_LAST(port->messages, link)->payer);
		return;
	}
	LIST_REMOVE(port, extra->set_link);
	port->is_ready = true;
	set->message_count++;
	if (set->queues != NULL)
		queue_insert(set->queues, port);
	else
		TAILQ_INSERT_TAIL(&set->ready, port, extra->ready_link);
}

static void remove(struct port *port, bool served)
{
	struct port *set = port->extra->set;

	if (!port->is_ready)
		return;
	port->is_ready = false;
	set->message_count--;
	if (set->queues != NULL)
		queue_remove(set->queues, port, served);
	else
		TAILQ_REMOVE(&set->ready, port, extra->ready_link);
	LIST_INSERT_HEAD(&set->members, port, extra->set_link);
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
	page = kpage_alloc(port_payer(set));
	if (page == NULL)
		return false;
	queues = page_address(page);
	TAILQ_INIT(&queues->active);
	for (unsigned i = 0; i < GROUPS; i++)
		TAILQ_INIT(&queues->group[i].active);
	for (unsigned i = 0; i < QUEUES + GROUPS; i++) {
		TAILQ_INIT(&queues->queue[i].ports);
		queues->queue[i].count = 0;
	}
	while ((port = TAILQ_FIRST(&set->ready)) != NULL) {
		TAILQ_REMOVE(&set->ready, port, extra->ready_link);
		queue_insert(queues, port);
		if (++n % WINDOW == 0)
			machine_window();
	}
	set->queues = queues;
	set->is_split = true;
	return true;
}

void ready_end(struct port *set)
{
	if (set->queues == NULL)
		return;
	assert(TAILQ_EMPTY(&set->queues->active));
	kpage_free(page_of_address(set->queues));
	set->queues = NULL;
	set->is_split = false;
}
