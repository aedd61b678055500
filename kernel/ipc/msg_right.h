/* SPDX-License-Identifier: BSD-2-Clause */
/* A right in a message that goes the fast way. Theory in msg_right.c. */
#ifndef IPC_MSG_RIGHT_H
#define IPC_MSG_RIGHT_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>

struct space;

/* The descriptor of one right of this kind (MACH_MSG_TYPE_...), as a word. */
static inline __attribute__((always_inline)) uint64_t msg_right_word(uint32_t kind)
{
	const union { mach_msg_type_t type; uint64_t word; } item = {
		{ .msgt_name = kind, .msgt_size = 64, .msgt_inline = 1, .msgt_number = 1 }
	};

	return item.word;
}

/*
 * The message of size bytes lies in the buffer of a task that has the space `to`, as the task with the space `from` wrote it;
 * its bits say that it is complex. Moves what it carries and changes it into what is received. False: nothing has
 * changed, the message is one for the general path. Charged to the receiver: its name. Does not block.
 */
bool msg_right_pass(struct space *from, struct space *to, char *message, uint32_t size);

#endif
