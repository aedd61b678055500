/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls on ranges of addresses, which may be long: vm_deallocate, vm_protect, vm_inherit, vm_wire, vm_wire_all. Source: GNU
   Mach Reference Manual, Virtual Memory Interface. All charge the ledger of the task operated on.

   A range of one piece, which nearly every one is, is done at once (map.c, protect.c). A longer one is done entry by entry,
   as by so many calls, and pauses in between (kern/pause.h): at the address reached. Before the first change everything is
   looked at, and both ends are cut, so that nothing can be denied then. Before wiring all pages are made present, in steps
   as well; vm_wire_all does that with each entry by itself. */
#include "gnumach_server.h"
#include "mach_host_server.h"
#include "mach_server.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/pause.h"
#include "kern/task.h"
#include "vm/entry.h"
#include "vm/vm_range.h"

#define UNMAP_PAGES 512 /* an entry of more is unmapped in steps */
#define WIRE_LIMIT_PAGES 16 /* of one task, without the privileged host port */

/* MAKE_PRESENT turns into WIRE. */
enum operation { DEALLOCATE, PROTECT, INHERIT, MAKE_PRESENT, WIRE, WIRE_ALL };

/* A call under way. In a pause: at with what is below it in its low bits, end and reached in wait.word. */
struct range {
	struct vm_map *map;
	uint64_t at, end;     /* what is left */
	/* DEALLOCATE: how far the entry at `at` is unmapped; WIRE_ALL: how far it is present; MAKE_PRESENT: the range's start */
	uint64_t reached;
	/* PROTECT: the new protection, SET_MAXIMUM; INHERIT: inheritance; MAKE_PRESENT, WIRE: access; WIRE_ALL: flags, PRIVILEGED */
	uint8_t argument;
	uint8_t operation;
	bool by_trap;         /* else by message */
};
#define SET_MAXIMUM 8
#define PRIVILEGED  8

enum { RANGE_AT, RANGE_END, RANGE_REACHED };
#define BY_TRAP     1u /* in RANGE_AT */
#define OPERATION(at) ((at) >> 1 & 7)
#define ARGUMENT(at)  ((at) >> 4 & 15)
#define WITH_AT(r)    ((r)->at | (uint64_t)(r)->argument << 4 | (uint64_t)(r)->operation << 1 | (r)->by_trap)

static const struct wait_kind ranging;

/* Where some entries from the one at `at` on end; a hole ends them too, and is left to the operation. */
static uint64_t some_entries(struct vm_map *map, uint64_t at, uint64_t end, unsigned most)
{
	struct vm_entry *entry = vm_map_lookup_next(map, at);

	while (entry != NULL && entry->end < end && --most > 0)
		entry = vm_map_next(entry);
	return entry != NULL && entry->end < end ? entry->end : end;
}

static kern_return_t deallocate_some(struct range *r)
{
	struct vm_entry *entry = vm_map_lookup_next(r->map, r->at);
	uint64_t from, to;

	if (entry == NULL || entry->start >= r->end) {
		r->at = r->end;
		return KERN_SUCCESS;
	}
	from = entry->start > r->at ? entry->start : r->at;
	to = entry->end < r->end ? entry->end : r->end;
	if (entry->mapped && to - from > UNMAP_PAGES << PAGE_SHIFT) {
		if (r->reached < from)
			r->reached = from;
		if (r->reached < to)
			r->reached = pmap_remove(&r->map->pmap, r->reached, to);
		if (r->reached < to)
			return KERN_SUCCESS;
	} else {
		to = some_entries(r->map, r->at, r->end, pause_piece);
	}
	/* Behind a pause the rest may lie inside of one entry, others' new one: a hole in that may be denied. */
	from = r->at;
	r->at = to;
	return vm_map_deallocate(r->map, from, to - from);
}

/* Both ends are cut where an entry reaches beyond. */
static kern_return_t cut_ends(struct vm_map *map, uint64_t start, uint64_t end)
{
	struct vm_entry *spare[2];

	if (!vm_map_clip_reserve(map, start, end, spare))
		return KERN_RESOURCE_SHORTAGE;
	vm_map_clip(map, start, end, spare);
	return KERN_SUCCESS;
}

/* The next pages from *at on. False: denied. */
static bool present_some(struct vm_map *map, uint64_t *at, uint64_t end, vm_prot_t access)
{
	for (unsigned most = pause_piece; *at < end && most > 0; most--, *at += PAGE_SIZE)
		if (vm_fault(map, *at, access) != KERN_SUCCESS)
			return false;
	return true;
}

static kern_return_t make_present_some(struct range *r)
{
	if (!present_some(r->map, &r->at, r->end, r->argument))
		return KERN_RESOURCE_SHORTAGE;
	if (r->at < r->end)
		return KERN_SUCCESS;
	r->at = r->reached;
	r->operation = WIRE;
	return cut_ends(r->map, r->at, r->end);
}

/* Each entry as it is protected. What was wired before a denial stays wired. */
static kern_return_t wire_all_some(struct range *r)
{
	struct vm_entry *entry = vm_map_lookup_next(r->map, r->at);
	bool wire = (r->argument & VM_WIRE_CURRENT) != 0, privileged = (r->argument & PRIVILEGED) != 0;
	vm_prot_t access;
	uint64_t start;

	if (entry == NULL) {
		r->at = r->end;
		return KERN_SUCCESS;
	}
	start = entry->start;
	access = wire ? entry->protection : VM_PROT_NONE;
	if (r->reached < start)
		r->reached = start;
	/* Without privilege it is never much. */
	if (access != VM_PROT_NONE && privileged && r->reached < entry->end) {
		if (!present_some(r->map, &r->reached, entry->end, access))
			return KERN_RESOURCE_SHORTAGE;
		if (r->reached < entry->end)
			return KERN_SUCCESS;
	}
	r->at = entry->end;
	if (wire && access == VM_PROT_NONE)
		return KERN_SUCCESS;
	return vm_map_wire(r->map, start, r->at - start, access, privileged ? UINT64_MAX : WIRE_LIMIT_PAGES);
}

static kern_return_t range_step(struct range *r)
{
	uint64_t start = r->at;

	if (r->operation == DEALLOCATE)
		return deallocate_some(r);
	if (r->operation == MAKE_PRESENT)
		return make_present_some(r);
	if (r->operation == WIRE_ALL)
		return wire_all_some(r);
	r->at = some_entries(r->map, start, r->end, pause_piece);
	if (r->operation == INHERIT)
		return vm_map_inherit(r->map, start, r->at - start, r->argument);
	if (r->operation == WIRE)
		return vm_map_wire(r->map, start, r->at - start, r->argument, UINT64_MAX);
	return vm_map_protect(r->map, start, r->at - start, (r->argument & SET_MAXIMUM) != 0, r->argument & VM_PROT_ALL);
}

/* KERN_BLOCKED in a pause, else the call's code. */
static kern_return_t range_on(struct range *r, bool may_pause)
{
	while (r->at < r->end) {
		kern_return_t result = range_step(r);

		if (result != KERN_SUCCESS)
			return result;
		if (pause_due() && may_pause && r->at < r->end) {
			uint64_t *word = thread_current()->wait.word;

			word[RANGE_AT] = WITH_AT(r);
			word[RANGE_END] = r->end;
			word[RANGE_REACHED] = r->reached;
			return pause_begin(&ranging, task_of_map(r->map));
		}
	}
	if (r->operation == WIRE_ALL)
		r->map->wire_future = (r->argument & VM_WIRE_FUTURE) != 0;
	vm_map_debug_check(r->map);
	return KERN_SUCCESS;
}

static void range_answer(struct thread *thread, bool by_trap, kern_return_t result)
{
	if (by_trap)
		thread_set_result(thread, result);
	else
		krpc_reply(thread, result);
}

/* Goes on in a pause's place; may_pause: else to the end. */
static void range_again(struct thread *thread, bool may_pause)
{
	const uint64_t *word = thread->wait.word;
	struct range r = {
		.map = pause_end_map(thread),
		.at = trunc_page(word[RANGE_AT]),
		.end = word[RANGE_END],
		.reached = word[RANGE_REACHED],
		.argument = ARGUMENT(word[RANGE_AT]),
		.operation = OPERATION(word[RANGE_AT]),
		.by_trap = (word[RANGE_AT] & BY_TRAP) != 0,
	};
	kern_return_t result = r.map != NULL ? range_on(&r, may_pause) : KERN_INVALID_ARGUMENT;

	if (result != KERN_BLOCKED)
		range_answer(thread, r.by_trap, result);
}

static void range_go_on(struct thread *thread, int result)
{
	(void)result;
	range_again(thread, true);
}

static void range_cancel(struct thread *thread, enum wait_reason reason)
{
	uint64_t at = thread->wait.word[RANGE_AT];

	/* Giving back never fails: it is carried out to the end. */
	if (reason != WAIT_KILLED && OPERATION(at) == DEALLOCATE) {
		range_again(thread, false);
		return;
	}
	pause_end(thread);
	if (reason != WAIT_KILLED)
		range_answer(thread, (at & BY_TRAP) != 0, KERN_INTERRUPTED);
}

static const struct wait_kind ranging = { "a call on a range of addresses", range_go_on, range_cancel, true };

kern_return_t vm_range_deallocate_long(struct vm_map *map, uint64_t address, uint64_t size, bool by_trap)
{
	struct range r = { .map = map, .operation = DEALLOCATE, .by_trap = by_trap };
	struct vm_entry *entry;

	if (vm_range(address, size, &r.at, &r.end) != KERN_SUCCESS)
		return KERN_INVALID_ADDRESS;
	entry = vm_map_lookup_next(map, r.at);
	/* In one entry, which has little mapped or is to have a hole, there is nothing to do in steps. */
	if (entry == NULL || entry->start >= r.end || (entry->end >= r.end && !entry->mapped) ||
	    vm_entry_makes_hole(entry, r.at, r.end))
		return vm_map_deallocate(map, address, size);
	return range_on(&r, true);
}

kern_return_t vm_deallocate(struct vm_map *map, vm_address_t address, vm_size_t size)
{
	return map != NULL ? vm_range_deallocate(map, address, size, false) : KERN_INVALID_ARGUMENT;
}

kern_return_t vm_protect(struct vm_map *map, vm_address_t address, vm_size_t size, boolean_t set_maximum,
			 vm_prot_t new_protection)
{
	struct range r = { .map = map, .operation = PROTECT };
	kern_return_t result;

	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	if (!pause_large(size) || (new_protection & ~VM_PROT_ALL) || vm_range(address, size, &r.at, &r.end) != KERN_SUCCESS)
		return vm_map_protect(map, address, size, set_maximum, new_protection);
	r.argument = (uint8_t)(new_protection | (set_maximum ? SET_MAXIMUM : 0));
	result = vm_map_protect_check(map, r.at, r.end, new_protection);
	if (result == KERN_SUCCESS)
		result = cut_ends(map, r.at, r.end);
	return result == KERN_SUCCESS ? range_on(&r, true) : result;
}

kern_return_t vm_inherit(struct vm_map *map, vm_address_t address, vm_size_t size, vm_inherit_t new_inheritance)
{
	struct range r = { .map = map, .operation = INHERIT, .argument = (uint8_t)(new_inheritance & 3) };
	kern_return_t result;

	if (map == NULL)
		return KERN_INVALID_ARGUMENT;
	if (!pause_large(size) || new_inheritance > VM_INHERIT_NONE ||
	    vm_range(address, size, &r.at, &r.end) != KERN_SUCCESS)
		return vm_map_inherit(map, address, size, new_inheritance);
	result = vm_map_range_check(map, r.at, r.end, VM_PROT_NONE);
	if (result == KERN_SUCCESS)
		result = cut_ends(map, r.at, r.end);
	return result == KERN_SUCCESS ? range_on(&r, true) : result;
}

kern_return_t vm_wire(struct port *host, struct vm_map *map, vm_address_t address, vm_size_t size, vm_prot_t access)
{
	uint64_t limit_pages = convert_port_to_host_priv(host) != NULL ? UINT64_MAX : WIRE_LIMIT_PAGES;
	struct range r = { .map = map, .operation = MAKE_PRESENT, .argument = (uint8_t)(access & VM_PROT_ALL) };

	if (convert_port_to_host(host) == NULL)
		return KERN_INVALID_HOST;
	if (map == NULL)
		return KERN_INVALID_TASK;
	if (access & ~VM_PROT_ALL)
		return KERN_INVALID_VALUE;
	/* Without privilege it is never much that is wired. */
	if (!pause_large(size) || (access != VM_PROT_NONE && limit_pages != UINT64_MAX) ||
	    vm_range(address, size, &r.at, &r.end) != KERN_SUCCESS ||
	    vm_map_range_check(map, r.at, r.end, access) != KERN_SUCCESS)
		return vm_map_wire(map, address, size, access, limit_pages);
	r.reached = r.at;
	if (access == VM_PROT_NONE) {
		r.operation = WIRE;
		if (cut_ends(map, r.at, r.end) != KERN_SUCCESS)
			return KERN_RESOURCE_SHORTAGE;
	}
	return range_on(&r, true);
}

kern_return_t vm_wire_all(struct port *host, struct vm_map *map, vm_wire_t flags)
{
	bool privileged = convert_port_to_host_priv(host) != NULL;
	struct range r = { .map = map, .operation = WIRE_ALL };

	if (convert_port_to_host(host) == NULL)
		return KERN_INVALID_HOST;
	if (map == NULL)
		return KERN_INVALID_TASK;
	if (flags & ~VM_WIRE_ALL)
		return KERN_INVALID_VALUE;
	/* All that is still to come has no bound that could be kept. */
	if ((flags & VM_WIRE_FUTURE) && !privileged)
		return KERN_NO_ACCESS;
	r.argument = (uint8_t)(flags | (privileged ? PRIVILEGED : 0));
	/* Else what there is stays as it is. */
	if (flags != VM_WIRE_FUTURE)
		r.end = VM_MAX_ADDRESS;
	return range_on(&r, true);
}
