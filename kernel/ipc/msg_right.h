/* SPDX-License-Identifier: BSD-2-Clause */
/* A right in a message that goes the fast way. Theory in msg_right.c. */
#ifndef IPC_MSG_RIGHT_H
#define IPC_MSG_RIGHT_H
#include <stdbool.h>
#include <stdint.h>

struct space;

/*
 * The message of size bytes lies in the buffer of a task that has the space `to`, as the task with the space `from` wrote it;
 * its bits say that it is complex. Moves what it carries and changes it into what is received. False: nothing has
 * changed, the message is one for the general path. Charged to the receiver: its name. Does not block.
 */
bool msg_right_pass(struct space *from, struct space *to, char *message, uint32_t size);

#endif
