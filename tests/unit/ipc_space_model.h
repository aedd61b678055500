/* SPDX-License-Identifier: BSD-2-Clause */
/* The model of ipc_space_rights_test, which includes it: who holds what, which notifications are due, and the comparison of
   all that with the kernel's spaces and ports. */
#ifndef IPC_SPACE_MODEL_H
#define IPC_SPACE_MODEL_H
#include <stdio.h>
#include "ipc_space_fake.h"
#include "mach_port_server.h"
#include "tap.h"

#define SPACES 3
#define NAMES_MAX 40		/* in a space */
#define POOL 24			/* rights in the test's hands, as if in messages */
#define PORTS 100000
#define EXPECTED 4000
#define NONE (-1)

/* -- the model: deaths and notifications happen at once -- */

struct model_port {
	struct port *port;
	bool set, kernel, dead;
	int space;			/* of the receive right; NONE: nowhere or travelling */
	int in_set;			/* model port */
	int no_senders, port_destroyed;	/* model port notified */
	int travels_to;			/* port-destroyed message queued there */
	uint32_t make_sends;
};
struct model_name {
	bool used;
	uint32_t name, type, urefs;
	int port, request;
};
struct pool_right { struct port *port; uint32_t disposition; int model; };
struct expected { int at; uint32_t id, word; int carried; };

static struct space spaces[SPACES];
static struct ledger *ledgers[SPACES];
static struct model_port ports[PORTS];
static int port_count;
static struct model_name names[SPACES][NAMES_MAX + 1];
static struct pool_right pool[POOL];
static int pool_count;
static struct expected expected[EXPECTED];
static int expected_count;
static bool must_reap;
/* While a space is dismantled the reaper does not run: queues die after all names. */
static bool dismantling;
static int unflushed[2 * NAMES_MAX], unflushed_count;
static unsigned denials, passes;
static unsigned notified[MACH_NOTIFY_LAST + 1];

static uint32_t sends_of(int m)
{
	uint32_t sum = 0;

	for (int s = 0; s < SPACES; s++)
		for (int n = 0; n < NAMES_MAX; n++)
			sum += names[s][n].used && names[s][n].port == m && (names[s][n].type & MACH_PORT_TYPE_SEND);
	for (int i = 0; i < pool_count; i++)
		sum += pool[i].model == m && pool[i].disposition == MACH_MSG_TYPE_PORT_SEND;
	return sum;
}

static void expect(int at, uint32_t id, uint32_t word, int carried)
{
	if (ports[at].dead || ports[at].kernel)
		return;
	if (expected_count == EXPECTED)
		panic("too many expected notifications");
	expected[expected_count++] = (struct expected){ at, id, word, carried };
}

static void model_die(int m);

static bool model_circular(int m, int destination)
{
	for (int d = destination; d != NONE; d = ports[d].travels_to)
		if (d == m)
			return true;
	return false;
}

static void model_name_dies(struct model_name *name)
{
	int request = name->request;

	name->type = MACH_PORT_TYPE_DEAD_NAME;
	name->port = name->request = NONE;
	if (request == NONE)
		return;
	name->urefs += name->urefs < MACH_PORT_UREFS_MAX;
	expect(request, MACH_NOTIFY_DEAD_NAME, name->name, NONE);
}

static void model_flush(int m)
{
	for (int i = 0; i < expected_count;) {
		int carried = expected[i].carried;

		if (expected[i].at != m) {
			i++;
			continue;
		}
		expected[i] = expected[--expected_count];
		if (carried == NONE)
			continue;
		must_reap = true;
		model_die(carried);
		i = 0;
	}
}

/* The receive right of m is destroyed. */
static void model_die(int m)
{
	int backup = ports[m].port_destroyed, once = ports[m].no_senders;

	ports[m].space = ports[m].in_set = ports[m].travels_to = ports[m].port_destroyed = NONE;
	ports[m].make_sends = 0;
	if (backup != NONE && model_circular(m, backup)) {
		expect(backup, MACH_NOTIFY_SEND_ONCE, 0, NONE);
		backup = NONE;
	}
	if (backup != NONE && !ports[backup].dead && !ports[backup].kernel) {
		ports[m].travels_to = backup;
		expect(backup, MACH_NOTIFY_PORT_DESTROYED, 0, m);
		return;
	}
	ports[m].dead = true;
	ports[m].no_senders = NONE;
	if (once != NONE)
		expect(once, MACH_NOTIFY_SEND_ONCE, 0, NONE);
	for (int s = 0; s < SPACES; s++)
		for (int n = 0; n < NAMES_MAX; n++)
			if (names[s][n].used && names[s][n].port == m)
				model_name_dies(&names[s][n]);
	if (dismantling)
		unflushed[unflushed_count++] = m;
	else
		model_flush(m);
}

/* A send right of m went away. */
static void model_send_gone(int m)
{
	int once = ports[m].no_senders;

	if (ports[m].dead || once == NONE || sends_of(m) != 0)
		return;
	ports[m].no_senders = NONE;
	expect(once, MACH_NOTIFY_NO_SENDERS, ports[m].make_sends, NONE);
}

static void model_name_free(struct model_name *name)
{
	name->used = false;
	if (name->request != NONE)
		expect(name->request, MACH_NOTIFY_PORT_DELETED, name->name, NONE);
}

static void model_lose(struct model_name *name, uint32_t type, uint32_t urefs)
{
	int m = name->port;

	if (type == MACH_PORT_TYPE_SEND || type == MACH_PORT_TYPE_DEAD_NAME) {
		name->urefs -= urefs;
		if (name->urefs != 0)
			return;
	}
	name->type &= ~type;
	if (type == MACH_PORT_TYPE_SEND) {
		model_send_gone(m);
	}
	if (name->type == 0)
		model_name_free(name);
	if (type == MACH_PORT_TYPE_SEND_ONCE)
		expect(m, MACH_NOTIFY_SEND_ONCE, 0, NONE);
	if (type == MACH_PORT_TYPE_RECEIVE)
		model_die(m);
	if (type == MACH_PORT_TYPE_PORT_SET)
		for (int i = 0; i < port_count; i++)
			if (ports[i].in_set == m)
				ports[i].in_set = NONE;
	if (type == MACH_PORT_TYPE_PORT_SET)
		ports[m].dead = true;
}

static void model_destroy(struct model_name *name)
{
	for (unsigned right = 0; right < MACH_PORT_RIGHT_NUMBER; right++)
		if (name->used && (name->type & MACH_PORT_TYPE(right)))
			model_lose(name, MACH_PORT_TYPE(right), name->urefs);
}

static struct model_name *model_find(int s, uint32_t name)
{
	for (int n = 0; n < NAMES_MAX; n++)
		if (names[s][n].used && names[s][n].name == name)
			return &names[s][n];
	return NULL;
}

static struct model_name *model_find_port(int s, int m)
{
	for (int n = 0; n < NAMES_MAX; n++)
		if (names[s][n].used && names[s][n].port == m && (names[s][n].type & MACH_PORT_TYPE_SEND_RECEIVE))
			return &names[s][n];
	return NULL;
}

static struct model_name *model_add(int s, uint32_t name, uint32_t type, uint32_t urefs, int m)
{
	for (int n = 0; n < NAMES_MAX; n++)
		if (!names[s][n].used) {
			names[s][n] = (struct model_name){ true, name, type, urefs, m, NONE };
			return &names[s][n];
		}
	panic("too many names");
}

static int names_count(int s)
{
	int count = 0;

	for (int n = 0; n < NAMES_MAX; n++)
		count += names[s][n].used;
	return count;
}

static int model_port_new(struct port *port, bool set, bool kernel, int space)
{
	if (port_count == PORTS)
		panic("too many ports");
	ports[port_count] = (struct model_port){ port, set, kernel, false, space, NONE, NONE, NONE, NONE, 0 };
	return port_count++;
}

/* -- comparing -- */

static void compare_name(int s, const struct model_name *name)
{
	uint32_t type = 0, refs = 0;
	struct name *entry;
	uint32_t want = name->type | (name->request != NONE ? MACH_PORT_TYPE_DNREQUEST : 0);

	if (mach_port_type(&spaces[s], name->name, &type) != KERN_SUCCESS)
		type = 0;
	claim(type == want,
	      "space %d name %u: type %x, model %x", s, name->name, type, want);
	for (unsigned right = 0; right < MACH_PORT_RIGHT_NUMBER; right++) {
		uint32_t r = MACH_PORT_TYPE(right) & name->type;

		if (r == MACH_PORT_TYPE_SEND || r == MACH_PORT_TYPE_DEAD_NAME)
			r = name->urefs;
		else
			r = r != 0;
		if (mach_port_get_refs(&spaces[s], name->name, right, &refs) != KERN_SUCCESS)
			refs = ~0u;
		claim(refs == r,
		      "space %d name %u type %x: refs of right %u %u, model %u", s, name->name, type, right, refs, r);
	}
	entry = space_lookup(&spaces[s], name->name);
	claim(entry != NULL && entry->port == (name->port == NONE ? NULL : ports[name->port].port),
	      "space %d name %u: other port", s, name->name);
	claim(entry == NULL || name_request(entry) == (name->request == NONE ? NULL : ports[name->request].port),
	      "space %d name %u: other request", s, name->name);
}

static void compare_port(int m)
{
	const struct model_port *model = &ports[m];
	struct port *port = model->port;

	if (model->dead)
		return;
	port_check(port);
	claim(!port->dead, "port %d is dead", m);
	claim(port->receiver == (model->space == NONE ? NULL : &spaces[model->space]), "port %d: receiver", m);
	if (model->set)
		return;
	claim(port->send_rights == sends_of(m), "port %d: %u send rights, model %u", m, port->send_rights, sends_of(m));
	if (model->kernel)
		return;
	claim(port->make_send_count == model->make_sends, "port %d: make-send count %u, model %u", m,
	      port->make_send_count, model->make_sends);
	claim((port_no_senders(port) != NULL) == (model->no_senders != NONE), "port %d: no-senders request", m);
	claim((port_port_destroyed(port) != NULL) == (model->port_destroyed != NONE), "port %d: port-destroyed request", m);
	claim(port_set_of(port) == (model->in_set == NONE ? NULL : ports[model->in_set].port), "port %d: set", m);
}

static void compare(void)
{
	for (int s = 0; s < SPACES; s++) {
		for (int n = 0; n < NAMES_MAX; n++)
			if (names[s][n].used)
				compare_name(s, &names[s][n]);
		claim(space_names(&spaces[s]) == (uint32_t)names_count(s), "space %d: %u names, model %d", s, space_names(&spaces[s]),
		      names_count(s));
		space_check(&spaces[s]);
	}
	for (int m = port_count > 400 ? port_count - 400 : 0; m < port_count; m++)
		compare_port(m);
}

/* -- notifications -- */

static int pool_add(struct port *port, uint32_t disposition, int m)
{
	pool[pool_count] = (struct pool_right){ port, disposition, m };
	return pool_count++;
}

/* Takes all messages from m's queue and strikes them off the list. */
static void drain(int m)
{
	struct port *port = ports[m].port;
	struct kmsg *kmsg;

	while ((kmsg = port->messages) != NULL) {
		const mach_dead_name_notification_t *n = (const void *)kmsg->small;
		struct port *carried = fake_carried(kmsg);
		uint32_t word = kmsg->size > 40 && carried == NULL ? n->not_port : 0;
		int i = 0;

		if (carried != NULL && pool_count == POOL)
			return;
		while (i < expected_count && !(expected[i].at == m && expected[i].id == kmsg->id && expected[i].word == word &&
		       (expected[i].carried == NONE ? carried == NULL : ports[expected[i].carried].port == carried)))
			i++;
		claim(i < expected_count, "port %d: notification %u, %u not in the model", m, kmsg->id, word);
		claim(kmsg->size == (kmsg->id == MACH_NOTIFY_SEND_ONCE ? 32u : 48u), "size %u of %u", kmsg->size, kmsg->id);
		claim(kmsg->id == MACH_NOTIFY_SEND_ONCE || (n->not_type.msgt_number == 1 && n->not_type.msgt_inline &&
		      n->not_type.msgt_size == (carried != NULL ? 64 : 32)), "type word of %u", kmsg->id);
		RING_REMOVE(port->messages, kmsg, link);
		port->message_count--;
		right_consume_send_once(port);
		kmsg_free(kmsg);
		if (i == expected_count)
			continue;
		notified[expected[i].id]++;
		if (carried != NULL) {
			int c = expected[i].carried;

			/* The right is the test's now: in no queue. */
			carried->destination = NULL;
			ports[c].travels_to = NONE;
			pool_add(carried, MACH_MSG_TYPE_PORT_RECEIVE, c);
		}
		expected[i] = expected[--expected_count];
	}
	for (int i = 0; i < expected_count; i++)
		claim(expected[i].at != m, "port %d: notification %u, %u did not come", m, expected[i].id, expected[i].word);
}

static void drain_all(void)
{
	reap_all();
	for (int m = 0; m < port_count; m++)
		if (!ports[m].dead && !ports[m].kernel && !ports[m].set)
			drain(m);
}

#endif
