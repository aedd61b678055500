/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with long regions: sending one may pause. Theory in msg_long.c. */
#ifndef IPC_MSG_LONG_H
#define IPC_MSG_LONG_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>
#include "kern/pause.h"

struct task;
struct thread;
struct vm_copy;

/* Inside the kernel only: the message waits for a region to be copied. Nothing has changed. */
#define MSG_SEND_PAUSES 0x1000ffff

/* A large region (pause_large) of the message that is being read, which is to be copied: *copy, if that has been done.
   False: it is to be copied now. An error is MSG_SEND_PAUSES. */
bool msg_long_region(struct task *task, uint64_t address, uint64_t bytes, struct vm_copy **copy, mach_msg_return_t *error);
/* The message that had this copy waits for another: it will be needed again. False: it will not. */
bool msg_long_keep(struct vm_copy *copy);

#endif
