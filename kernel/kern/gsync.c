/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gsync: threads wait on the value of a word of memory (gnumach.defs 4204 to 4206).
 *
 * Waiters stand in one tree, keyed by what they wait on and then by arrival, so that waking the
 * first is O(log n). The key is (map, address), or with GSYNC_SHARED (object, offset), where the
 * object is the one that the word's page belongs to: shared memory is one object in all its maps. Memory that is not shared
 * has another object when it is written after a copy of it was made, so there it is (map, address) all the same.
 * Nothing is allocated: the key is in the wait record, its space as the object. A key is worth no more than what it names: when a
 * map or an object goes its waiters are woken, to look again, or they would take the wake-ups of those that wait on the next one
 * in its place; and so they are when memory begins or ceases to be shared (vm_inherit), or gets an object of its own at its first
 * write (a waiter may only have read it), as its words have another key then.
 */
#include <mach/gsync.h>
#include <mach/kern_return.h>
#include "gnumach_server.h"
#include "ipc/krpc.h"
#include "kern/assert.h"
#include "kern/gsync.h"
#include "kern/gsync_tree.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "vm/copy.h"
#include "vm/map.h"
#include "vm/object.h"
#include "vm/upcalls.h"
#include "x86_64/machine.h"

#define GSYNC_FLAGS (GSYNC_SHARED | GSYNC_QUAD | GSYNC_TIMED | GSYNC_BROADCAST | GSYNC_MUTATE)
/* Waiters woken or moved before interrupts get a window. */
#define GSYNC_BATCH 32

struct gsync_key {
	void *space;
	uint64_t offset;
};

static struct gsync_tree waiters;

static kern_return_t gsync_key(struct vm_map *map, uint64_t address, int flags, struct gsync_key *key)
{
	struct vm_entry *entry = vm_map_lookup(map, address);

	if (entry == NULL)
		return KERN_INVALID_ADDRESS;
	key->space = map;
	key->offset = address;
	if (flags & GSYNC_SHARED && entry->object != NULL &&
	    (entry->shared || entry->inheritance == VM_INHERIT_SHARE)) {
		entry->object->awaited = true;
		key->space = entry->object;
		key->offset = entry->offset + (address - entry->start);
	}
	return KERN_SUCCESS;
}

/* Makes the word's page present, so that a shared region has its object; returns the key. */
static kern_return_t gsync_prepare(struct vm_map *map, uint64_t address, uint64_t size, int flags, bool write,
				   struct gsync_key *key)
{
	kern_return_t error;
	uint8_t word[8];

	if (flags & ~GSYNC_FLAGS || address % 4 != 0)
		return KERN_INVALID_ARGUMENT;
	error = write || flags & GSYNC_SHARED ? copyout_prepare(map, address, size) :
		copyin(map, word, address, size);
	if (error == KERN_PROTECTION_FAILURE && !write)
		error = copyin(map, word, address, size);
	if (error != KERN_SUCCESS)
		return error == KERN_RESOURCE_SHORTAGE ? error : KERN_INVALID_ADDRESS;
	return gsync_key(map, address, flags, key);
}

static void gsync_woken(struct thread *thread, int result)
{
	krpc_reply(thread, result);
}

static void gsync_cancel(struct thread *thread, enum wait_reason reason)
{
	gsync_tree_remove(&waiters, thread);
	if (reason != WAIT_KILLED)
		krpc_reply(thread, reason == WAIT_TIMED_OUT ? KERN_TIMEDOUT : KERN_INTERRUPTED);
}

static const struct wait_kind gsync_waiting = { "gsync", gsync_woken, gsync_cancel, false };

kern_return_t gsync_wait(struct task *task, vm_address_t addr, unsigned val1, unsigned val2, natural_t msec, int flags)
{
	struct thread *thread = thread_current();
	uint32_t word[2] = {0, 0};
	uint64_t size = flags & GSYNC_QUAD ? 8 : 4;
	struct gsync_key key;
	kern_return_t error;

	if (task == NULL)
		return KERN_INVALID_TASK;
	error = gsync_prepare(&task->map, addr, size, flags, false, &key);
	if (error == KERN_SUCCESS)
		error = copyin(&task->map, word, addr, size);
	if (error != KERN_SUCCESS)
		return error;
	if (word[0] != val1 || (flags & GSYNC_QUAD && word[1] != val2))
		return KERN_INVALID_ARGUMENT;
	wait_begin(thread, &gsync_waiting, key.space, flags & GSYNC_TIMED ? (int64_t)msec : -1);
	gsync_tree_insert(&waiters, thread, key.offset);
	return KRPC_BLOCKED;
}

/* The waiter on the key that has waited longest. */
static struct thread *gsync_first(const struct gsync_key *key)
{
	struct thread *first = gsync_tree_from(&waiters, key->space, key->offset);

	return first != NULL && gsync_offset(first) == key->offset ? first : NULL;
}

/* The n-th of those that are woken at once. */
static void waiter_wake(struct thread *thread, unsigned n)
{
	gsync_tree_remove(&waiters, thread);
	thread_wake(thread, KERN_SUCCESS);
	if (n % GSYNC_BATCH == 0)
		machine_window();
}

static void waiters_wake(void *space, uint64_t start, uint64_t end)
{
	struct thread *first;
	unsigned n = 0;

	while ((first = gsync_tree_from(&waiters, space, start)) != NULL && gsync_offset(first) < end)
		waiter_wake(first, ++n);
}

void gsync_map_ends(struct vm_map *map)
{
	waiters_wake(map, 0, UINT64_MAX);
}

void vm_waiters_wake(struct vm_object *object)
{
	waiters_wake(object, 0, UINT64_MAX);
}

void vm_waiters_wake_range(struct vm_map *map, uint64_t start, uint64_t end)
{
	waiters_wake(map, start, end);
}

/* KERN_INVALID_ARGUMENT: nobody waited. */
static kern_return_t gsync_wake_some(const struct gsync_key *key, bool all)
{
	struct thread *first;
	unsigned n = 0;

	while ((n == 0 || all) && (first = gsync_first(key)) != NULL)
		waiter_wake(first, ++n);
	return n > 0 ? KERN_SUCCESS : KERN_INVALID_ARGUMENT;
}

kern_return_t gsync_wake(struct task *task, vm_address_t addr, unsigned val, int flags)
{
	struct gsync_key key;
	kern_return_t error;

	if (task == NULL)
		return KERN_INVALID_TASK;
	error = gsync_prepare(&task->map, addr, sizeof(val), flags, flags & GSYNC_MUTATE, &key);
	if (error != KERN_SUCCESS)
		return error;
	if (flags & GSYNC_MUTATE)
		copyout(&task->map, addr, &val, sizeof(val));
	return gsync_wake_some(&key, flags & GSYNC_BROADCAST);
}

kern_return_t gsync_requeue(struct task *task, vm_address_t src_addr, vm_address_t dst_addr, boolean_t wake_one, int flags)
{
	struct gsync_key from, to;
	struct thread *first;
	kern_return_t error;
	unsigned n = 0;

	if (task == NULL)
		return KERN_INVALID_TASK;
	error = gsync_prepare(&task->map, src_addr, sizeof(uint32_t), flags, false, &from);
	if (error == KERN_SUCCESS)
		error = gsync_prepare(&task->map, dst_addr, sizeof(uint32_t), flags, false, &to);
	if (error != KERN_SUCCESS)
		return error;
	if (from.space == to.space && from.offset == to.offset)
		return KERN_INVALID_ARGUMENT;
	if (wake_one)
		error = gsync_wake_some(&from, false);
	while ((n == 0 || flags & GSYNC_BROADCAST) && (first = gsync_first(&from)) != NULL) {
		gsync_tree_remove(&waiters, first);
		first->wait.object = to.space;
		gsync_tree_insert(&waiters, first, to.offset);
		if (++n % GSYNC_BATCH == 0)
			machine_window();
	}
	return error;
}
