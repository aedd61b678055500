/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A right in a message that goes the fast way (msg_fast.c).
 *
 * Many calls hand one port over: an open file's, a task's, one for notifications. So a body may carry one send right, moved,
 * copied or made, among any items of plain data; all else (more rights, other ones, memory, names that are none, rights to
 * dead ports, bad items) is the general path's, which knows the codes. The right goes from the one space to the other in one step,
 * without having been in a message: first the receiver's name is made, the only thing that can be denied; then nothing can fail.
 * A moved right that was all its name stood for takes the entry along when one ledger pays for both: mostly nothing needs to be made
 * (right_pass_alone), and that is tried first.
 *
 * Making a name may work off what is dead, and what is dead tells the living, who would then not be as msg_fast.c has found
 * them. So nothing may be waiting for the reaper. A name that is denied here is denied again in the general path, to the receiver,
 * and that is what is recorded.
 */
#include "ipc/msg_right.h"
#include <mach/message.h>
#include "ipc/right.h"
#include "kern/likely.h"
#include "mem/ledger.h"
#include "mem/reap.h"

#define HEAD sizeof(mach_msg_header_t)

/* One right in a body. */
struct item {
	union {
		mach_msg_type_t type;
		uint64_t word;
	};
	uint64_t name;
};

/* The bytes of plain data that the item has; more than there can be: it is another one. */
static uint64_t plain_bytes(const mach_msg_type_t *type)
{
	if (!type->msgt_inline || type->msgt_deallocate || type->msgt_unused != 0 || MACH_MSG_TYPE_PORT_ANY(type->msgt_name))
		return UINT32_MAX;
	return ((uint64_t)type->msgt_size * type->msgt_number + 63) / 64 * 8;
}

static inline bool is_right(const struct item *item)
{
	return MACH_MSG_TYPE_PORT_ANY(item->word - msg_right_word(0));
}

/* The one right of the body. NULL: there is none, or something else. */
static __attribute__((noinline)) struct item *find_right(char *message, uint32_t size)
{
	struct item *item, *found = NULL;
	uint64_t bytes;

	for (uint64_t at = HEAD; at < size; at += bytes) {
		item = (struct item *)(message + at);
		bytes = sizeof(*item);
		if (!is_right(item))
			bytes = sizeof(item->type) + plain_bytes(&item->type);
		else if (found == NULL)
			found = item;
		else
			return NULL;
		if (bytes > size - at)
			return NULL;
	}
	return found;
}

/* What is not for right_pass_alone. */
static __attribute__((noinline)) bool pass(struct space *from, struct space *to, struct item *item)
{
	mach_port_name_t name;
	bool passed;

	if (reap_pending())
		return false;
	ledger_trying = true;
	passed = right_pass_send(from, (mach_port_name_t)item->name, item->type.msgt_name, to, &name);
	ledger_trying = false;
	if (!passed)
		return false;
	item->type.msgt_name = MACH_MSG_TYPE_PORT_SEND;
	item->name = name;
	return true;
}

/* In line in the two that use it: a call would save again what they have saved. */
inline __attribute__((always_inline)) bool msg_right_pass(struct space *from, struct space *to, char *message, uint32_t size)
{
	const uint64_t moved = msg_right_word(MACH_MSG_TYPE_MOVE_SEND);
	struct item *item = (struct item *)(message + HEAD);

	/* Often it is all there is. */
	if (unlikely(size != HEAD + sizeof(*item) || item->word != moved) && (item = find_right(message, size)) == NULL)
		return false;
	if (likely(item->word == moved) &&
	    likely(right_pass_alone(from, (mach_port_name_t)item->name, to, &item->name)))
		return true;
	return pass(from, to, item);
}
