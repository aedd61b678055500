/* SPDX-License-Identifier: BSD-2-Clause */
/* vm_read, vm_write and vm_copy, which may be long: they pause (kern/pause.h) between the steps of copy_piece.c. Source:
   GNU Mach Reference Manual, Virtual Memory Interface. All charge the ledger of the task operated on.

   In a pause the wait record holds how far the call is. Denied, the call undoes what it had taken, in steps too. */
#include "mach_server.h"
#include <mach/mig_errors.h>
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/pause.h"
#include "kern/task.h"
#include "vm/copy_piece.h"
#include "vm/entry.h"

/* For where a copy that is being taken will be written: it is to be read. */
#define NOWHERE UINT64_MAX
/* In wait.word, of a call that writes and of one that was denied; in COPYING_COPY is what all of them have. */
enum { WRITE_AT, WRITE_READY };
enum { UNDO_ERROR };

static const struct wait_kind taking, writing, undoing;

static bool pages_aligned(vm_address_t address, vm_size_t size)
{
	return ((address | size) & PAGE_MASK) == 0;
}

static kern_return_t pause(const struct wait_kind *kind, struct vm_map *map)
{
	return pause_begin(kind, task_of_map(map));
}

/* The step-wise parts return KRPC_BLOCKED in a pause; else the call's code, and they have consumed the copy. */

static kern_return_t undo_on(struct vm_map *map, struct vm_copy *copy, kern_return_t error)
{
	uint64_t *word = thread_current()->wait.word;

	while ((copy = vm_copy_undo_some(map, copy, pause_piece)) != NULL) {
		if (pause_due()) {
			word[UNDO_ERROR] = (uint64_t)error;
			word[COPYING_COPY] = (uint64_t)copy;
			return pause(&undoing, map);
		}
	}
	return error;
}

static kern_return_t write_on(struct vm_overwriting *w)
{
	uint64_t *word = thread_current()->wait.word;
	kern_return_t result = KERN_SUCCESS;

	while (w->copy != NULL) {
		result = vm_overwriting_step(w, pause_piece);
		if (result != KERN_SUCCESS)
			break;
		if (pause_due() && w->copy != NULL) {
			word[WRITE_AT] = w->at;
			word[WRITE_READY] = w->ready;
			word[COPYING_COPY] = (uint64_t)w->copy;
			return pause(&writing, w->map);
		}
	}
	return result;
}

/* to: NOWHERE, or where the copy goes when it is there. *copy: of a call that is to read it. */
static kern_return_t take_on(struct vm_copying *c, uint64_t to, struct vm_copy **copy)
{
	while (!vm_copying_done(c)) {
		kern_return_t result = vm_copying_step(c, pause_piece);

		if (result != KERN_SUCCESS)
			return undo_on(c->map, c->copy, result);
		if (pause_due() && !vm_copying_done(c)) {
			vm_copying_save(c, thread_current()->wait.word);
			c->copy->first.whereto = to;
			return pause(&taking, c->map);
		}
	}
	*copy = c->copy;
	return KERN_SUCCESS;
}

static kern_return_t write_taken(struct vm_map *map, uint64_t to, struct vm_copy *copy)
{
	struct vm_overwriting w = { .map = map, .at = to, .ready = to, .copy = copy };
	kern_return_t result = write_on(&w);

	if (result != KERN_SUCCESS && result != KRPC_BLOCKED)
		vm_copy_discard(w.copy);
	return result;
}

/* -- after a pause -- */

/* What vm_read answers. */
struct reply_read {
	mig_reply_header_t head;
	mach_msg_type_t type;
	struct vm_copy *data;
};

static void reply_read(struct thread *thread, struct vm_copy *copy)
{
	struct reply_read reply = {
		.type = { .msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8, .msgt_longform = 1,
			  .msgt_number = (uint32_t)copy->first.size },
		.data = copy,
	};

	krpc_reply_data(thread, KERN_SUCCESS, &reply, sizeof(reply), true);
}

static void take_go_on(struct thread *thread, int result)
{
	struct vm_map *map = pause_end_map(thread);
	struct vm_copying c = vm_copying_load(map, thread->wait.word);
	uint64_t to = c.copy->first.whereto;
	struct vm_copy *copy = NULL;

	result = KERN_INVALID_ARGUMENT;
	if (map == NULL)
		vm_copy_discard(c.copy);
	else
		result = take_on(&c, to, &copy);
	if (result == KERN_SUCCESS && to == NOWHERE) {
		reply_read(thread, copy);
		return;
	}
	if (result == KERN_SUCCESS)
		result = write_taken(map, to, copy);
	if (result != KRPC_BLOCKED)
		krpc_reply(thread, result);
}

static void write_go_on(struct thread *thread, int result)
{
	const uint64_t *word = thread->wait.word;
	struct vm_overwriting w = {
		.map = pause_end_map(thread), .at = word[WRITE_AT], .ready = word[WRITE_READY],
		.copy = (struct vm_copy *)word[COPYING_COPY],
	};

	result = w.map != NULL ? write_on(&w) : KERN_INVALID_ARGUMENT;
	if (result == KRPC_BLOCKED)
		return;
	vm_copy_discard(w.copy);
	krpc_reply(thread, result);
}

static void undo_go_on(struct thread *thread, int result)
{
	struct vm_copy *copy = (struct vm_copy *)thread->wait.word[COPYING_COPY];
	struct vm_map *map = pause_end_map(thread);

	result = (int)thread->wait.word[UNDO_ERROR];
	if (map == NULL)
		vm_copy_discard(copy);
	else
		result = undo_on(map, copy, result);
	if (result != KRPC_BLOCKED)
		krpc_reply(thread, result);
}

/* What was copied, and what is not written yet, goes; what was marked for copying on write stays so. */
static void give_up(struct thread *thread, enum wait_reason reason)
{
	pause_end(thread);
	vm_copy_discard((struct vm_copy *)thread->wait.word[COPYING_COPY]);
	if (reason != WAIT_KILLED)
		krpc_reply(thread, KERN_INTERRUPTED);
}

static const struct wait_kind taking = { "vm_read or vm_copy", take_go_on, give_up, true };
static const struct wait_kind writing = { "vm_write or vm_copy", write_go_on, give_up, true };
static const struct wait_kind undoing = { "the end of a denied vm_read or vm_copy", undo_go_on, give_up, true };

/* -- the calls -- */

static kern_return_t take(struct vm_map *map, uint64_t address, uint64_t size, uint64_t to, struct vm_copy **copy)
{
	struct vm_copying c = { .map = map };
	kern_return_t result = vm_range(address, size, &c.next, &c.end);

	if (result == KERN_SUCCESS)
		result = vm_map_range_check(map, c.next, c.end, VM_PROT_READ);
	return result == KERN_SUCCESS ? take_on(&c, to, copy) : result;
}

kern_return_t vm_read(struct vm_map *map, vm_address_t address, vm_size_t size, struct vm_copy **data,
		      mach_msg_type_number_t *count)
{
	kern_return_t result;

	if (map == NULL || !pages_aligned(address, size))
		return KERN_INVALID_ARGUMENT;
	/* A message counts bytes in 32 bits. */
	if (size != (mach_msg_type_number_t)size)
		return KERN_INVALID_ARGUMENT;
	result = pause_large(size) ? take(map, address, size, NOWHERE, data)
				   : vm_copy_in(map, address, size, false, map->pmap.payer, data);
	*count = result == KERN_SUCCESS ? (mach_msg_type_number_t)size : 0;
	return result;
}

kern_return_t vm_write(struct vm_map *map, vm_address_t address, struct vm_copy *data, mach_msg_type_number_t count)
{
	struct vm_overwriting w = { .map = map, .at = address, .ready = address, .copy = data };

	if (map == NULL || !pages_aligned(address, count))
		return KERN_INVALID_ARGUMENT;
	/* An error before the first pause comes before the first byte is written, and leaves the data whole. */
	return write_on(&w);
}

kern_return_t vm_copy(struct vm_map *map, vm_address_t source_address, vm_size_t size, vm_address_t dest_address)
{
	struct vm_copy *copy = NULL;
	kern_return_t result;
	uint64_t start, end;

	if (map == NULL || !pages_aligned(source_address | dest_address, size))
		return KERN_INVALID_ARGUMENT;
	result = vm_range(dest_address, size, &start, &end);
	if (result == KERN_SUCCESS)
		result = vm_map_range_check(map, start, end, VM_PROT_WRITE);
	if (result == KERN_SUCCESS)
		result = take(map, source_address, size, dest_address, &copy);
	return result == KERN_SUCCESS ? write_taken(map, dest_address, copy) : result;
}
