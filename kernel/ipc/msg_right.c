/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A right in a message that goes the fast way (msg_fast.c).
 *
 * Many calls hand one port over: an open file's, a task's, one for notifications. So a body may carry one send right, moved,
 * copied or made, among any items of plain data; all else (more rights, other ones, memory, names that are none, rights to
 * dead ports, bad items) is the general path's, which knows the codes. The right goes from the one space to the other in one step,
 * without having been in a message: first the receiver's name is made, the only thing that can be denied; then nothing can fail.
 * A moved right that was all its name stood for takes the entry along when one ledger pays for both.
 *
 * Making a name may work off what is dead, and what is dead tells the living, who would then not be as msg_fast.c has found
 * them. So nothing may be waiting for the reaper. A name that is denied here is denied again in the general path, to the receiver,
 * and that is what is recorded.
 */
#include "ipc/msg_right.h"
#include <mach/message.h>
#include "ipc/right.h"
#include "mem/ledger.h"
#include "mem/reap.h"

#define HEAD sizeof(mach_msg_header_t)

/* The one right of the body. False: there is none, or something else. */
static bool find_right(char *message, uint32_t size, mach_msg_type_t **found, uint64_t **slot)
{
	uint32_t at = HEAD;

	*found = NULL;
	while (at < size) {
		mach_msg_type_t *type = (mach_msg_type_t *)(message + at);
		uint64_t bytes;

		at += sizeof(*type);
		if (at > size || !type->msgt_inline || type->msgt_deallocate || type->msgt_unused != 0)
			return false;
		bytes = ((uint64_t)type->msgt_size * type->msgt_number + 7) / 8;
		bytes = (bytes + 7) & ~7ull;
		if (bytes > size - at)
			return false;
		if (MACH_MSG_TYPE_PORT_ANY(type->msgt_name)) {
			if (*found != NULL || type->msgt_size != 64 || type->msgt_number != 1)
				return false;
			*found = type;
			*slot = (uint64_t *)(message + at);
		}
		at += (uint32_t)bytes;
	}
	return *found != NULL;
}

bool msg_right_pass(struct space *from, struct space *to, char *message, uint32_t size)
{
	mach_msg_type_t *type;
	mach_port_name_t name;
	uint64_t *slot;
	bool passed;

	if (reap_pending() || !find_right(message, size, &type, &slot))
		return false;
	ledger_trying = true;
	passed = right_pass_send(from, (mach_port_name_t)*slot, type->msgt_name, to, &name);
	ledger_trying = false;
	if (!passed)
		return false;
	type->msgt_name = MACH_MSG_TYPE_PORT_SEND;
	*slot = name;
	return true;
}
