/* SPDX-License-Identifier: BSD-2-Clause */
/* mach_port_names, which may be long: it pauses (kern/pause.h) between pieces.

   All names that are there from the beginning of the call to its end are told; one that comes or goes meanwhile may be told or not.
   There is room for as many as there were at the beginning. If more have come, so that there is not enough, the call begins again
   with some more room. Charged to the ledger of the space operated on. */
#include <mach/mig_errors.h>
#include "ipc/krpc.h"
#include "ipc/name.h"
#include "ipc/port.h"
#include "ipc/space.h"
#include "kern/pause.h"
#include "kern/task.h"
#include "mach_port_server.h"
#include "vm/copy.h"

#define NAMES_PIECE 64		/* names written to a reply at a time */

/* A call under way. In a pause all but the space in wait.word. */
struct listing {
	struct space *space;
	struct vm_copy *names, *types;
	uint32_t written;
	uint64_t key;			/* of the next name, in the tree */
};
enum { LIST_NAMES, LIST_TYPES, LIST_PLACE };	/* written and key together: a valid name is less than 2^32 - 1 */

static const struct wait_kind listing;

static void list_discard(struct listing *l)
{
	vm_copy_discard(l->names);
	vm_copy_discard(l->types);
	l->names = l->types = NULL;
}

static uint32_t room(const struct listing *l)
{
	return l->names != NULL ? (uint32_t)(l->names->first.size / sizeof(uint32_t)) : 0;
}

static kern_return_t list_begin(struct listing *l, uint64_t count)
{
	struct ledger *payer = l->space->names.payer;

	*l = (struct listing){ .space = l->space };
	if (vm_copy_alloc(count * sizeof(uint32_t), payer, &l->names) != KERN_SUCCESS)
		return KERN_RESOURCE_SHORTAGE;
	if (vm_copy_alloc(count * sizeof(uint32_t), payer, &l->types) == KERN_SUCCESS)
		return KERN_SUCCESS;
	list_discard(l);
	return KERN_RESOURCE_SHORTAGE;
}

/* Writes the next names. True: there are no more, or more than there is room for. */
static bool list_some(struct listing *l, bool *too_many)
{
	uint32_t names[NAMES_PIECE], types[NAMES_PIECE], n = 0, most = pause_eager ? 1 : NAMES_PIECE;
	struct name *entry = NULL;

	*too_many = false;
	for (; n < most && (entry = radix_next(&l->space->names, &l->key)) != NULL; l->key++) {
		if (space_lookup(l->space, entry->name) == NULL)
			continue;
		*too_many = l->written + n == room(l);
		if (*too_many)
			return true;
		names[n] = entry->name;
		types[n++] = name_type_told(entry);
	}
	if (n > 0) {
		vm_copy_write(l->names, l->written * sizeof(uint32_t), names, n * sizeof(uint32_t));
		vm_copy_write(l->types, l->written * sizeof(uint32_t), types, n * sizeof(uint32_t));
		l->written += n;
	}
	return entry == NULL;
}

static kern_return_t list_pause(const struct listing *l)
{
	uint64_t *word = thread_current()->wait.word;

	word[LIST_NAMES] = (uint64_t)l->names;
	word[LIST_TYPES] = (uint64_t)l->types;
	word[LIST_PLACE] = (uint64_t)l->written << 32 | l->key;
	return pause_begin(&listing, task_of_space(l->space));
}

/* KRPC_BLOCKED in a pause; else the call's code, and an error has consumed what there was. */
static kern_return_t list_on(struct listing *l)
{
	bool too_many;

	while (!list_some(l, &too_many))
		if (pause_due())
			return list_pause(l);
	if (too_many) {
		kern_return_t result;

		list_discard(l);
		result = list_begin(l, space_names(l->space) + l->space->count / 8 + NAMES_PIECE);
		return result == KERN_SUCCESS ? list_pause(l) : result;
	}
	l->names = vm_copy_trim(l->names, l->written * sizeof(uint32_t));
	l->types = vm_copy_trim(l->types, l->written * sizeof(uint32_t));
	return KERN_SUCCESS;
}

/* What the call answers. */
struct reply_names {
	mig_reply_header_t head;
	mach_msg_type_t names_type;
	struct vm_copy *names;
	mach_msg_type_t types_type;
	struct vm_copy *types;
};

static void list_go_on(struct thread *thread, int result)
{
	const uint64_t *word = thread->wait.word;
	struct listing l = {
		.names = (struct vm_copy *)word[LIST_NAMES], .types = (struct vm_copy *)word[LIST_TYPES],
		.written = (uint32_t)(word[LIST_PLACE] >> 32), .key = (uint32_t)word[LIST_PLACE],
	};
	mach_msg_type_t type = { .msgt_name = MACH_MSG_TYPE_PORT_NAME, .msgt_size = 32, .msgt_longform = 1 };
	struct task *task = pause_end(thread);
	struct reply_names reply;

	if (task == NULL) {
		list_discard(&l);
		result = KERN_INVALID_TASK;
	} else {
		l.space = &task->space;
		result = list_on(&l);
	}
	if (result == KRPC_BLOCKED)
		return;
	if (result != KERN_SUCCESS) {
		krpc_reply(thread, result);
		return;
	}
	type.msgt_number = l.written;
	reply = (struct reply_names){ .names_type = type, .names = l.names, .types_type = type, .types = l.types };
	reply.types_type.msgt_name = MACH_MSG_TYPE_INTEGER_32;
	krpc_reply_data(thread, KERN_SUCCESS, &reply, sizeof(reply), true);
}

static void list_cancel(struct thread *thread, enum wait_reason reason)
{
	pause_end(thread);
	vm_copy_discard((struct vm_copy *)thread->wait.word[LIST_NAMES]);
	vm_copy_discard((struct vm_copy *)thread->wait.word[LIST_TYPES]);
	if (reason != WAIT_KILLED)
		krpc_reply(thread, KERN_INTERRUPTED);
}

static const struct wait_kind listing = { "mach_port_names", list_go_on, list_cancel, true };

kern_return_t mach_port_names(struct space *task, struct vm_copy **names, mach_msg_type_number_t *namesCnt,
			      struct vm_copy **types, mach_msg_type_number_t *typesCnt)
{
	struct listing l = { .space = task };
	kern_return_t result;

	if (task == NULL)
		return KERN_INVALID_TASK;
	result = list_begin(&l, space_names(task));
	if (result == KERN_SUCCESS)
		result = list_on(&l);
	if (result != KERN_SUCCESS)
		return result;
	*names = l.names;
	*types = l.types;
	*namesCnt = *typesCnt = l.written;
	return KERN_SUCCESS;
}
