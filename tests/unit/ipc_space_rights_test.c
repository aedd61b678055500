/* SPDX-License-Identifier: BSD-2-Clause */
/* Rights: random operations on several spaces against a model of who holds what, with denials. */
/* SOURCES: mem kernel/ipc/name.c kernel/ipc/port.c kernel/ipc/portset.c kernel/ipc/notify.c kernel/ipc/right.c kernel/ipc/space.c kernel/ipc/mach_port_server.c kernel/ipc/port_names_server.c kernel/kern/opaque.c */
#include <stdio.h>
#include "ipc_space_model.h"
#include "mach_port_server.h"
#include "mach_debug_server.h"
#include "tap.h"

#define STEPS 150000

/* -- denials -- */

static uint64_t before;

static uint64_t print_all(void)
{
	uint64_t hash = 0;

	for (int s = 0; s < SPACES; s++)
		hash = fake_mix(hash, fake_print(&spaces[s]));
	for (int i = 0; i < pool_count; i++)
		if (port_valid(pool[i].port))
			hash = fake_print_port(hash, pool[i].port);
	return hash;
}

static void arm(void)
{
	if (random_below(3) != 0)
		return;
	reap_all();
	before = print_all();
	host_fail_nth(1 + random_below(4));
}

/* True: the call was denied, rightly. */
static bool denied(kern_return_t kr, const char *what)
{
	bool fired = host_fail_fired;

	host_fail_nth(0);
	host_fail_fired = false;
	if (!fired)
		return false;
	denials++;
	claim(kr == KERN_RESOURCE_SHORTAGE, "%s denied: code %d", what, kr);
	claim(print_all() == before, "%s denied: something changed", what);
	return true;
}

/* -- operations -- */

static uint32_t random_name(int s)
{
	int n = (int)random_below(NAMES_MAX);

	if (random_below(30) == 0)
		return random_below(2) ? MACH_PORT_NAME_DEAD : 0;
	for (int tries = 0; tries < NAMES_MAX; tries++, n = (n + 1) % NAMES_MAX)
		if (names[s][n].used)
			return names[s][n].name;
	return 77;
}

static uint32_t new_name(void)
{
	return random_below(4) == 0 ? 0x80000000u + (uint32_t)random_below(1000) : 1 + (uint32_t)random_below(150);
}

static void op_allocate(int s)
{
	mach_port_right_t right = (mach_port_right_t)random_below(6);
	mach_port_name_t name = random_below(2) ? 0 : new_name();
	bool chosen = name != 0;
	kern_return_t kr, want = KERN_SUCCESS;

	if (names_count(s) >= NAMES_MAX - 4)
		return;
	if (right != MACH_PORT_RIGHT_RECEIVE && right != MACH_PORT_RIGHT_PORT_SET && right != MACH_PORT_RIGHT_DEAD_NAME)
		want = KERN_INVALID_VALUE;
	else if (chosen && model_find(s, name) != NULL)
		want = KERN_NAME_EXISTS;
	arm();
	kr = chosen ? mach_port_allocate_name(&spaces[s], right, name) : mach_port_allocate(&spaces[s], right, &name);
	if (denied(kr, "allocate"))
		return;
	claim(kr == want, "allocate right %u name %u: %d, model %d", right, name, kr, want);
	if (kr != KERN_SUCCESS)
		return;
	if (right == MACH_PORT_RIGHT_DEAD_NAME) {
		model_add(s, name, MACH_PORT_TYPE_DEAD_NAME, 1, NONE);
		return;
	}
	model_add(s, name, MACH_PORT_TYPE(right), 0,
		  model_port_new(space_lookup(&spaces[s], name)->port, right == MACH_PORT_RIGHT_PORT_SET, false, s));
}

static void op_destroy(int s)
{
	uint32_t name = random_name(s);
	struct model_name *model = model_find(s, name);
	kern_return_t kr = mach_port_destroy(&spaces[s], name);

	claim(kr == (model != NULL ? KERN_SUCCESS : KERN_INVALID_NAME), "destroy %u: %d", name, kr);
	if (model != NULL)
		model_destroy(model);
}

static void op_deallocate(int s)
{
	uint32_t name = random_name(s);
	struct model_name *model = model_find(s, name);
	kern_return_t kr = mach_port_deallocate(&spaces[s], name), want = KERN_SUCCESS;
	uint32_t type = 0;

	if (model == NULL)
		want = KERN_INVALID_NAME;
	else
		type = model->type & ~(MACH_PORT_TYPE_RECEIVE | MACH_PORT_TYPE_PORT_SET);
	if (model != NULL && type == 0)
		want = KERN_INVALID_RIGHT;
	claim(kr == want, "deallocate %u: %d, model %d", name, kr, want);
	if (want == KERN_SUCCESS)
		model_lose(model, type, 1);
}

static void op_mod_refs(int s)
{
	static const int deltas[] = { -70000, -3, -2, -1, -1, -1, 0, 1, 1, 2, 5, 60000, 65534 };
	uint32_t name = random_name(s), right = (uint32_t)random_below(MACH_PORT_RIGHT_NUMBER + 1);
	int delta = deltas[random_below(sizeof(deltas) / sizeof(deltas[0]))];
	struct model_name *model = model_find(s, name);
	bool counted = right == MACH_PORT_RIGHT_SEND || right == MACH_PORT_RIGHT_DEAD_NAME;
	kern_return_t kr = mach_port_mod_refs(&spaces[s], name, right, delta), want = KERN_SUCCESS;
	int urefs = counted && model != NULL ? (int)model->urefs : 1;

	if (right >= MACH_PORT_RIGHT_NUMBER)
		want = KERN_INVALID_VALUE;
	else if (model == NULL)
		want = KERN_INVALID_NAME;
	else if ((model->type & MACH_PORT_TYPE(right)) == 0)
		want = KERN_INVALID_RIGHT;
	else if (urefs + delta < 0)
		want = KERN_INVALID_VALUE;
	else if (urefs + delta > (counted ? (int)MACH_PORT_UREFS_MAX : 1))
		want = KERN_UREFS_OVERFLOW;
	claim(kr == want, "mod_refs %u right %u delta %d: %d, model %d", name, right, delta, kr, want);
	if (want != KERN_SUCCESS)
		return;
	if (delta < 0)
		model_lose(model, MACH_PORT_TYPE(right), (uint32_t)-delta);
	else if (counted)
		model->urefs += (uint32_t)delta;
}

static kern_return_t model_take_code(const struct model_name *model, uint32_t name, uint32_t type)
{
	uint32_t wanted = MACH_PORT_TYPE_RECEIVE;

	if (name == 0 || name == MACH_PORT_NAME_DEAD)
		return KERN_SUCCESS;
	if (model == NULL)
		return KERN_INVALID_NAME;
	if (type == MACH_MSG_TYPE_MOVE_SEND || type == MACH_MSG_TYPE_COPY_SEND)
		wanted = MACH_PORT_TYPE_SEND | MACH_PORT_TYPE_DEAD_NAME;
	if (type == MACH_MSG_TYPE_MOVE_SEND_ONCE)
		wanted = MACH_PORT_TYPE_SEND_ONCE | MACH_PORT_TYPE_DEAD_NAME;
	return (model->type & wanted) ? KERN_SUCCESS : KERN_INVALID_RIGHT;
}

static void model_take(struct model_name *model, uint32_t type, uint32_t disposition)
{
	int m = model->port;

	pool[pool_count].model = m;
	pool[pool_count].disposition = disposition;
	switch (type) {
	case MACH_MSG_TYPE_MAKE_SEND:
		ports[m].make_sends++;
		break;
	case MACH_MSG_TYPE_MOVE_RECEIVE:
		ports[m].make_sends = 0;
		ports[m].space = ports[m].in_set = NONE;
		model->type &= ~MACH_PORT_TYPE_RECEIVE;
		break;
	case MACH_MSG_TYPE_MOVE_SEND:
		if (--model->urefs == 0)
			model->type &= ~MACH_PORT_TYPE_SEND;
		break;
	case MACH_MSG_TYPE_MOVE_SEND_ONCE:
		model->type = 0;
		break;
	}
	if (model->type == 0)
		model_name_free(model);
	pool_count++;
}

static void op_take(int s)
{
	uint32_t name = random_name(s), type = (uint32_t)(MACH_MSG_TYPE_MOVE_RECEIVE - 1 + random_below(8)), disposition = 0;
	struct model_name *model = model_find(s, name);
	struct port *port = NULL;
	kern_return_t kr, want;
	bool valid = MACH_MSG_TYPE_PORT_ANY(type), extract = random_below(2);

	if (pool_count >= POOL - 2)
		return;
	want = valid ? model_take_code(model, name, type) : KERN_INVALID_VALUE;
	if (extract && valid && model == NULL)
		want = KERN_INVALID_NAME;
	claim(extract || space_take_check(&spaces[s], name, type) == want, "take check %u type %u", name, type);
	arm();
	kr = extract ? mach_port_extract_right(&spaces[s], name, type, &port, &disposition)
		     : space_take(&spaces[s], name, type, &port, &disposition);
	if (denied(kr, "take"))
		return;
	claim(kr == want, "take %u type %u: %d, model %d", name, type, kr, want);
	if (kr != KERN_SUCCESS)
		return;
	claim(MACH_MSG_TYPE_PORT_ANY_RIGHT(disposition), "disposition %u", disposition);
	if (model == NULL || (model->type & MACH_PORT_TYPE_DEAD_NAME)) {
		claim(port == (name == 0 ? PORT_NULL : PORT_DEAD), "take of no or a dead name gives none");
		if (model != NULL && type != MACH_MSG_TYPE_COPY_SEND)
			model_lose(model, MACH_PORT_TYPE_DEAD_NAME, 1);
		return;
	}
	claim(port == ports[model->port].port, "take gives the port");
	pool[pool_count].port = port;
	model_take(model, type, disposition);
}

/* What a right of the pool becomes in the space; the entry reused or made is at `name`. */
static void model_insert(int s, const struct pool_right *right, uint32_t name)
{
	struct model_name *model = model_find(s, name);
	uint32_t type = right->disposition == MACH_MSG_TYPE_PORT_SEND ? MACH_PORT_TYPE_SEND :
			right->disposition == MACH_MSG_TYPE_PORT_SEND_ONCE ? MACH_PORT_TYPE_SEND_ONCE : MACH_PORT_TYPE_RECEIVE;

	if (model == NULL)
		model = model_add(s, name, 0, 0, right->model);
	model->type |= type;
	if (type == MACH_PORT_TYPE_SEND_ONCE)
		model->urefs = 1;
	if (type == MACH_PORT_TYPE_SEND && model->urefs < MACH_PORT_UREFS_MAX)
		model->urefs++;
	if (type == MACH_PORT_TYPE_RECEIVE) {
		ports[right->model].space = s;
		ports[right->model].make_sends = 0;
	}
}

static void op_insert(int s)
{
	int i = (int)random_below((uint64_t)pool_count + 1);
	struct pool_right right;
	uint32_t name = 0;
	struct model_name *held;
	kern_return_t kr;

	if (i == pool_count || names_count(s) >= NAMES_MAX - 4)
		return;
	right = pool[i];
	held = right.disposition != MACH_MSG_TYPE_PORT_SEND_ONCE ? model_find_port(s, right.model) : NULL;
	arm();
	kr = space_insert(&spaces[s], right.port, right.disposition, &name);
	if (denied(kr, "insert"))
		return;
	claim(kr == KERN_SUCCESS, "insert: %d", kr);
	if (ports[right.model].dead) {
		claim(name == MACH_PORT_NAME_DEAD, "a dead port's right gives MACH_PORT_DEAD, not %u", name);
		pool[i] = pool[--pool_count];
		return;
	}
	if (held != NULL)
		claim(name == held->name, "insert uses the name %u again, not %u", held->name, name);
	else
		claim(model_find(s, name) == NULL && name != 0 && name != MACH_PORT_NAME_DEAD, "insert: name %u is free", name);
	model_insert(s, &right, name);
	pool[i] = pool[--pool_count];
}

static void op_insert_two(int s)
{
	struct pool_right right;
	uint32_t first = 0, second = 0;

	if (pool_count == 0 || names_count(s) >= NAMES_MAX - 4)
		return;
	/* The same right twice in one message: one name, two references. */
	right = pool[random_below((uint64_t)pool_count)];
	if (right.disposition != MACH_MSG_TYPE_PORT_SEND || ports[right.model].dead)
		return;
	right_copy_send(right.port);
	right_copy_send(right.port);
	if (space_insert(&spaces[s], right.port, right.disposition, &first) != KERN_SUCCESS ||
	    space_insert(&spaces[s], right.port, right.disposition, &second) != KERN_SUCCESS)
		panic("undisturbed insert denied");
	claim(first == second, "one name for two rights: %u, %u", first, second);
	model_insert(s, &right, first);
	model_insert(s, &right, second);
}

/* A send right goes from one space into another at once. */
static void op_pass(int s)
{
	int t = (int)random_below(SPACES);
	uint32_t name = random_name(s), type = (uint32_t)(MACH_MSG_TYPE_MOVE_RECEIVE + random_below(6)), received = 0;
	struct model_name *model = model_find(s, name), *held;
	struct pool_right right;
	bool send = type == MACH_MSG_TYPE_MOVE_SEND || type == MACH_MSG_TYPE_COPY_SEND || type == MACH_MSG_TYPE_MAKE_SEND;
	bool can, passed;

	if (pool_count >= POOL - 2 || names_count(t) >= NAMES_MAX - 4)
		return;
	can = s != t && send && model != NULL && (model->type & MACH_PORT_TYPE_DEAD_NAME) == 0 && model->request == NONE &&
	      model_take_code(model, name, type) == KERN_SUCCESS;
	arm();
	passed = right_pass_send(&spaces[s], name, type, &spaces[t], &received);
	if (denied(passed ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE, "pass"))
		return;
	claim(passed == can, "pass %u type %u: %d", name, type, passed);
	if (!passed || !can)
		return;
	passes++;
	held = model_find_port(t, model->port);
	claim(held != NULL ? received == held->name : model_find(t, received) == NULL, "passed to the name %u", received);
	pool[pool_count].port = ports[model->port].port;
	model_take(model, type, MACH_MSG_TYPE_PORT_SEND);
	right = pool[--pool_count];
	model_insert(t, &right, received);
}

static kern_return_t model_insert_at_code(int s, const struct pool_right *right, uint32_t name)
{
	struct model_name *held = right->disposition != MACH_MSG_TYPE_PORT_SEND_ONCE ? model_find_port(s, right->model) : NULL;

	if (name == 0 || name == MACH_PORT_NAME_DEAD)
		return KERN_INVALID_VALUE;
	if (ports[right->model].dead)
		return KERN_INVALID_CAPABILITY;
	if (held != NULL && held->name != name)
		return KERN_RIGHT_EXISTS;
	if (held != NULL)
		return right->disposition == MACH_MSG_TYPE_PORT_SEND && held->urefs == MACH_PORT_UREFS_MAX ?
			KERN_UREFS_OVERFLOW : KERN_SUCCESS;
	return model_find(s, name) != NULL ? KERN_NAME_EXISTS : KERN_SUCCESS;
}

static void op_insert_at(int s)
{
	int i = (int)random_below((uint64_t)pool_count + 1);
	uint32_t name = random_below(2) ? new_name() : random_name(s);
	struct model_name *held;
	kern_return_t kr, want;

	if (i == pool_count || names_count(s) >= NAMES_MAX - 4)
		return;
	held = model_find_port(s, pool[i].model);
	if (held != NULL && random_below(2))
		name = held->name;
	want = model_insert_at_code(s, &pool[i], name);
	arm();
	kr = mach_port_insert_right(&spaces[s], name, pool[i].port, pool[i].disposition);
	if (denied(kr, "insert_right"))
		return;
	claim(kr == want, "insert_right %u: %d, model %d", name, kr, want);
	if (kr != KERN_SUCCESS)
		return;
	model_insert(s, &pool[i], name);
	pool[i] = pool[--pool_count];
}

static void op_release(void)
{
	int i = (int)random_below((uint64_t)pool_count + 1);
	struct pool_right right;

	if (i == pool_count)
		return;
	right = pool[i];
	pool[i] = pool[--pool_count];
	right_release(right.port, right.disposition);
	if (ports[right.model].dead)
		return;
	if (right.disposition == MACH_MSG_TYPE_PORT_SEND)
		model_send_gone(right.model);
	else if (right.disposition == MACH_MSG_TYPE_PORT_SEND_ONCE)
		expect(right.model, MACH_NOTIFY_SEND_ONCE, 0, NONE);
	else
		model_die(right.model);
}

static void op_rename(int s)
{
	uint32_t from = random_name(s), to = random_below(4) ? new_name() : random_name(s);
	struct model_name *model = model_find(s, from);
	kern_return_t kr, want = KERN_SUCCESS;

	if (to == 0 || to == MACH_PORT_NAME_DEAD)
		want = KERN_INVALID_VALUE;
	else if (model == NULL)
		want = KERN_INVALID_NAME;
	else if (model_find(s, to) != NULL)
		want = KERN_NAME_EXISTS;
	arm();
	kr = mach_port_rename(&spaces[s], from, to);
	if (denied(kr, "rename"))
		return;
	claim(kr == want, "rename %u to %u: %d, model %d", from, to, kr, want);
	if (want == KERN_SUCCESS)
		model->name = to;
}

static kern_return_t model_request(int s, uint32_t name, uint32_t id, uint32_t sync, int once, int *previous)
{
	struct model_name *model = model_find(s, name);
	int m = model != NULL ? model->port : NONE;

	*previous = NONE;
	if (once != NONE && ports[once].dead)
		return KERN_INVALID_CAPABILITY;
	if (id == MACH_NOTIFY_PORT_DESTROYED && sync != 0)
		return KERN_INVALID_VALUE;
	if (model == NULL)
		return KERN_INVALID_NAME;
	if (id == MACH_NOTIFY_DEAD_NAME) {
		if (model->type & MACH_PORT_TYPE_PORT_SET)
			return KERN_INVALID_RIGHT;
		if ((model->type & MACH_PORT_TYPE_DEAD_NAME) == 0) {
			*previous = model->request;
			model->request = once;
			return KERN_SUCCESS;
		}
		if (once == NONE || sync == 0)
			return KERN_INVALID_ARGUMENT;
		if (model->urefs == MACH_PORT_UREFS_MAX)
			return KERN_UREFS_OVERFLOW;
		model->urefs++;
		expect(once, MACH_NOTIFY_DEAD_NAME, name, NONE);
		return KERN_SUCCESS;
	}
	if ((model->type & MACH_PORT_TYPE_RECEIVE) == 0)
		return KERN_INVALID_RIGHT;
	if (id == MACH_NOTIFY_PORT_DESTROYED) {
		*previous = ports[m].port_destroyed;
		ports[m].port_destroyed = once;
		return KERN_SUCCESS;
	}
	*previous = ports[m].no_senders;
	ports[m].no_senders = once;
	if (once != NONE && sends_of(m) == 0 && ports[m].make_sends >= sync) {
		ports[m].no_senders = NONE;
		expect(once, MACH_NOTIFY_NO_SENDERS, ports[m].make_sends, NONE);
	}
	return KERN_SUCCESS;
}

static void pool_make_once(int s)
{
	struct model_name *model = model_find(s, random_name(s));

	if (model == NULL || (model->type & MACH_PORT_TYPE_RECEIVE) == 0)
		return;
	pool_add(right_make_send_once(ports[model->port].port, ledgers[s]), MACH_MSG_TYPE_PORT_SEND_ONCE, model->port);
}

static void op_request(int s)
{
	static const uint32_t ids[] = { MACH_NOTIFY_DEAD_NAME, MACH_NOTIFY_NO_SENDERS, MACH_NOTIFY_PORT_DESTROYED, 3 };
	uint32_t id = ids[random_below(20) == 0 ? 3 : random_below(3)], sync = random_below(4) == 0, name = random_name(s);
	struct port *once = NULL, *previous = (void *)1;
	int m = NONE, i = NONE, old;
	kern_return_t kr, want;

	/* A new send-once right of some name's port, else one of the pool, else none: a cancellation. */
	if (pool_count < POOL - 2 && random_below(2))
		pool_make_once((int)random_below(SPACES));
	for (int tries = 0; tries < 4 && m == NONE && pool_count != 0; tries++) {
		i = (int)random_below((uint64_t)pool_count);
		if (pool[i].disposition == MACH_MSG_TYPE_PORT_SEND_ONCE) {
			m = pool[i].model;
			once = pool[i].port;
		}
	}
	kr = mach_port_request_notification(&spaces[s], name, (mach_msg_id_t)id, sync, once, &previous);
	if (id == 3)
		want = m != NONE && ports[m].dead ? KERN_INVALID_CAPABILITY : KERN_INVALID_VALUE;
	else
		want = model_request(s, name, id, sync, m, &old);
	claim(kr == want, "request %u for %u: %d, model %d", id, name, kr, want);
	if (kr != KERN_SUCCESS)
		return;
	if (m != NONE)
		pool[i] = pool[--pool_count];
	claim(previous == (old == NONE ? NULL : ports[old].port), "request: previous");
	if (previous == NULL)
		return;
	if (pool_count < POOL - 2) {
		pool_add(previous, MACH_MSG_TYPE_PORT_SEND_ONCE, old);
	} else {
		right_release_send_once(previous);
		expect(old, MACH_NOTIFY_SEND_ONCE, 0, NONE);
	}
}

static void op_member(int s)
{
	uint32_t member = random_name(s), after = random_below(3) ? random_name(s) : 0;
	struct model_name *model = model_find(s, member), *set = model_find(s, after);
	kern_return_t kr = mach_port_move_member(&spaces[s], member, after), want = KERN_SUCCESS;

	if (model == NULL)
		want = KERN_INVALID_NAME;
	else if ((model->type & MACH_PORT_TYPE_RECEIVE) == 0)
		want = KERN_INVALID_RIGHT;
	else if (after == 0)
		want = ports[model->port].in_set == NONE ? KERN_NOT_IN_SET : KERN_SUCCESS;
	else if (set == NULL)
		want = KERN_INVALID_NAME;
	else if ((set->type & MACH_PORT_TYPE_PORT_SET) == 0)
		want = KERN_INVALID_RIGHT;
	claim(kr == want, "move_member %u to %u: %d, model %d", member, after, kr, want);
	if (want == KERN_SUCCESS)
		ports[model->port].in_set = after == 0 ? NONE : set->port;
}

static void op_status(int s)
{
	uint32_t name = random_name(s);
	struct model_name *model = model_find(s, name);
	mach_port_status_t status;
	kern_return_t kr = mach_port_get_receive_status(&spaces[s], name, &status), want = KERN_SUCCESS;
	uint32_t set = 0, srights = 0;

	if (model == NULL)
		want = KERN_INVALID_NAME;
	else if ((model->type & MACH_PORT_TYPE_RECEIVE) == 0)
		want = KERN_INVALID_RIGHT;
	claim(kr == want, "status of %u: %d, model %d", name, kr, want);
	if (kr != KERN_SUCCESS)
		return;
	for (int n = 0; n < NAMES_MAX; n++)
		if (names[s][n].used && names[s][n].port != NONE && names[s][n].port == ports[model->port].in_set)
			set = names[s][n].name;
	claim(status.mps_pset == set, "status: set %u, model %u", status.mps_pset, set);
	claim(mach_port_get_srights(&spaces[s], name, &srights) == KERN_SUCCESS && srights == sends_of(model->port),
	      "get_srights %u", srights);
	claim(status.mps_srights == (srights != 0), "status: srights");
}

static void op_names(int s)
{
	struct vm_copy *list = NULL, *types = NULL;
	mach_msg_type_number_t count = 0, type_count = 0;
	kern_return_t kr;

	arm();
	kr = mach_port_names(&spaces[s], &list, &count, &types, &type_count);
	if (denied(kr, "names"))
		return;
	claim(kr == KERN_SUCCESS && count == (uint32_t)names_count(s) && type_count == count, "names: %d, %u", kr, count);
	for (uint32_t i = 0; i < count; i++) {
		struct model_name *model = model_find(s, ((uint32_t *)(list + 1))[i]);

		claim(model != NULL, "name %u unknown", ((uint32_t *)(list + 1))[i]);
		if (model != NULL)
			claim((((uint32_t *)(types + 1))[i] & ~MACH_PORT_TYPE_DNREQUEST) == model->type, "names: type");
	}
	vm_copy_discard(list);
	vm_copy_discard(types);
}

/* A kernel object's port is made, or dies. */
static void op_kernel(void)
{
	int m = NONE;

	for (int i = port_count > 300 ? port_count - 300 : 0; i < port_count; i++)
		if (ports[i].kernel && !ports[i].dead && random_below(2))
			m = i;
	if (m == NONE && random_below(3) == 0) {
		static int object;
		struct port *port = port_make_kernel(KOBJECT_TASK, &object, &root_ledger);

		model_port_new(port, false, true, NONE);
		return;
	}
	if (m == NONE || pool_count >= POOL - 3)
		return;
	switch (random_below(4)) {
	case 0:
		port_destroy_kernel(ports[m].port);
		model_die(m);
		break;
	case 1:
		pool_add(right_make_send_once(ports[m].port, &root_ledger), MACH_MSG_TYPE_PORT_SEND_ONCE, m);
		break;
	default:
		pool_add(right_make_send(ports[m].port), MACH_MSG_TYPE_PORT_SEND, m);
		break;
	}
}

/* Names go from the lowest up. */
static void model_space_renew(int s)
{
	struct model_name *lowest;

	dismantling = true;
	do {
		lowest = NULL;
		for (int n = 0; n < NAMES_MAX; n++)
			if (names[s][n].used && (lowest == NULL || names[s][n].name < lowest->name))
				lowest = &names[s][n];
		if (lowest != NULL)
			model_destroy(lowest);
	} while (lowest != NULL);
	dismantling = false;
	for (int i = 0; i < unflushed_count; i++)
		model_flush(unflushed[i]);
	unflushed_count = 0;
}

static void space_renew(int s)
{
	reap_all();
	model_space_renew(s);
	for (bool done = false; !done;)
		done = space_dismantle(&spaces[s]);
	claim(space_names(&spaces[s]) == 0 && spaces[s].names.nodes == 0, "a dismantled space is empty");
	reap_all();
	space_init(&spaces[s], ledgers[s]);
}

static void step(void)
{
	int s = (int)random_below(SPACES);

	switch (random_below(42)) {
	case 0 ... 5: op_allocate(s); break;
	case 6: op_destroy(s); break;
	case 7 ... 8: op_deallocate(s); break;
	case 9 ... 11: op_mod_refs(s); break;
	case 12 ... 18: op_take(s); break;
	case 19 ... 22: op_insert(s); break;
	case 23 ... 25: op_insert_at(s); break;
	case 26: op_release(); break;
	case 27: op_rename(s); break;
	case 28 ... 32: op_request(s); break;
	case 33 ... 34: op_member(s); break;
	case 35: op_status(s); break;
	case 36: op_kernel(); break;
	case 37: op_names(s); break;
	case 38: op_insert_two(s); break;
	case 40 ... 41: op_pass(s); break;
	default: reap_one(); break;
	}
	if (must_reap || random_below(4) == 0)
		reap_all();
	must_reap = false;
}

static void finish(void)
{
	while (pool_count != 0)
		op_release();
	drain_all();
	while (pool_count != 0)
		op_release();
	for (int s = 0; s < SPACES; s++)
		space_renew(s);
	for (int m = 0; m < port_count; m++)
		if (ports[m].kernel && !ports[m].dead) {
			port_destroy_kernel(ports[m].port);
			ports[m].dead = true;
		}
	/* What still travels in messages to other ports died with those. */
	reap_all();
}

int main(void)
{
	tap_begin("ipc_space_rights_test");
	host_memory(20000, 15000);
	fake_init();
	for (int s = 0; s < SPACES; s++) {
		char name[LEDGER_NAME_MAX];
		int error;

		snprintf(name, sizeof(name), "space%d", s);
		/* The last two have one: what goes from one to the other takes its entry along. */
		ledgers[s] = s == SPACES - 1 ? ledgers[s - 1] : ledger_new(&root_ledger, name, &error);
		space_init(&spaces[s], ledgers[s]);
	}
	claim_begin("names, types, references, sets and notifications are as the model has them");
	for (int i = 0; i < STEPS; i++) {
		step();
		if (i % 16 == 0)
			compare();
		if (i % 200 == 0)
			drain_all();
		if (i % 4000 == 3999)
			space_renew((int)random_below(SPACES));
	}
	claim_end();
	ok(notified[MACH_NOTIFY_PORT_DELETED] > 50 && notified[MACH_NOTIFY_DEAD_NAME] > 50 &&
	   notified[MACH_NOTIFY_NO_SENDERS] > 50 && notified[MACH_NOTIFY_SEND_ONCE] > 50 &&
	   notified[MACH_NOTIFY_PORT_DESTROYED] > 20, "all notifications came: %u deleted, %u dead, %u no senders, "
	   "%u send-once, %u destroyed", notified[MACH_NOTIFY_PORT_DELETED], notified[MACH_NOTIFY_DEAD_NAME],
	   notified[MACH_NOTIFY_NO_SENDERS], notified[MACH_NOTIFY_SEND_ONCE], notified[MACH_NOTIFY_PORT_DESTROYED]);
	ok(passes > 100, "%u send rights went from space to space", passes);
	ok(denials > 300, "%u calls were denied and changed nothing", denials);
	ok(host_audit(), "the audit agrees");
	finish();
	for (int s = 0; s < SPACES; s++)
		is_u64(fake_charged(ledgers[s]), 0, "nothing is charged to space %d's ledger", s);
	is_u64(host_used(&root_ledger, LEDGER_PORTS), 0, "no port is left");
	is_u64(host_used(&root_ledger, LEDGER_MESSAGES), 0, "no message is left");
	ok(host_audit(), "the audit agrees at the end");
	return tap_done();
}
