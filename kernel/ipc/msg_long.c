/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages with long regions.
 *
 * A message is read in one go: checked, reserved, moved (kmsg_copyin.c). Copying a region of very many entries, or of many
 * pages that cannot be shared, would take long. So reading stops at it with nothing changed (MSG_SEND_PAUSES), the region
 * is copied in pieces with pauses (kern/pause.h), and then the message is sent from the beginning: when its reading comes
 * to a region with the same address and length, the copy is there. So it is as if the sender had made the copy before, by
 * vm_read. What is left over at the end, because the message has changed meanwhile or is refused, is undone. When the
 * region cannot be copied, the message is read without pauses, and refused as others are.
 *
 * A sender that pauses holds what it has copied, and the room in the queue that was offered to it, but nothing else; if the
 * queue is full when it has the copy, it gives it up and waits. Regions that are moved (msgt_deallocate) are moved in one
 * go.
 */
#include "ipc/msg_long.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "vm/copy_piece.h"

/* The message that is being sent; the kernel is never entered twice. */
static struct {
	bool may_pause;
	uint64_t address, bytes;	/* of the region that it waits for */
	struct vm_copy *taken;		/* the copies that are there: a list by first.next_copy */
} sending;

static const struct wait_kind taking;

static void add_taken(struct vm_copy **list, struct vm_copy *copy)
{
	copy->first.next_copy = *list;
	*list = copy;
}

bool msg_long_region(struct task *task, uint64_t address, uint64_t bytes, struct vm_copy **copy, mach_msg_return_t *error)
{
	struct vm_copy **place = &sending.taken;

	*error = MACH_MSG_SUCCESS;
	for (; *place != NULL; place = &(*place)->first.next_copy) {
		const struct vm_entry *first = &(*place)->first;

		if (first->start + first->page_offset != address || first->size != bytes)
			continue;
		*copy = *place;
		*place = (*copy)->first.next_copy;
		return true;
	}
	if (!sending.may_pause || !vm_copying_is_long(&task->map, address, bytes, pause_piece))
		return false;
	sending.address = address;
	sending.bytes = bytes;
	*error = MSG_SEND_PAUSES;
	return true;
}

bool msg_long_keep(struct vm_copy *copy)
{
	if (sending.bytes == 0 || copy == NULL || !pause_large(copy->first.size))
		return false;
	add_taken(&sending.taken, copy);
	return true;
}

static int64_t take_on(struct thread *thread, struct vm_copying *c, struct vm_copy *taken);

/* Sends, with these copies; pauses: then KERN_BLOCKED. */
static int64_t send_with(struct thread *thread, struct vm_copy *taken, bool again, bool may_pause)
{
	struct vm_map *map = &thread->task->map;
	int64_t code;

	sending.may_pause = may_pause;
	sending.bytes = 0;
	sending.taken = taken;
	code = msg_send_once(thread, again);
	sending.may_pause = false;
	taken = sending.taken;
	sending.taken = NULL;
	if (code == MSG_SEND_PAUSES) {
		struct vm_copying c = {
			.map = map, .next = sending.address, .end = sending.address + sending.bytes, .marked = again,
		};

		sending.bytes = 0;
		return take_on(thread, &c, taken);
	}
	while (taken != NULL) {
		struct vm_copy *copy = taken;

		taken = copy->first.next_copy;
		vm_copy_undo(map, copy);
	}
	return code;
}

/* Copies the next pieces of the region, and then sends. c->marked: the sender had waited before. In a pause the copies that
   are there hang from the one being made. */
static int64_t take_on(struct thread *thread, struct vm_copying *c, struct vm_copy *taken)
{
	struct vm_entry *first;

	while (!vm_copying_done(c)) {
		if (vm_copying_step(c, pause_piece) != KERN_SUCCESS) {
			vm_copy_undo(c->map, c->copy);
			return send_with(thread, taken, c->marked, false);
		}
		if (pause_due() && !vm_copying_done(c)) {
			vm_copying_save(c, thread->wait.word);
			c->copy->first.next_copy = taken;
			return pause_begin(&taking, thread->task);
		}
	}
	/* Known by its address: the first entry may be one of bytes, which has none. */
	first = &c->copy->first;
	first->end -= first->start;
	first->start = c->end - first->size - first->page_offset;
	first->end += first->start;
	add_taken(&taken, c->copy);
	return send_with(thread, taken, c->marked, true);
}

static void take_go_on(struct thread *thread, int result)
{
	struct vm_copying c = vm_copying_load(pause_end_map(thread), thread->wait.word);

	(void)result;
	msg_send_end(thread, take_on(thread, &c, c.copy->first.next_copy));
}

static void take_cancel(struct thread *thread, enum wait_reason reason)
{
	struct vm_copy *copy = (struct vm_copy *)thread->wait.word[COPYING_COPY], *next;

	pause_end(thread);
	for (; copy != NULL; copy = next) {
		next = copy->first.next_copy;
		vm_copy_discard(copy);
	}
	mqueue_room_return(thread, false);
	if (reason != WAIT_KILLED)
		thread_set_result(thread, msg_give_back(thread, MACH_SEND_INTERRUPTED));
}

static const struct wait_kind taking = { "a region to be sent", take_go_on, take_cancel, true };

int64_t msg_send(struct thread *thread, bool again)
{
	return send_with(thread, NULL, again, thread == thread_current());
}
