/* SPDX-License-Identifier: BSD-2-Clause */
/* The fast path of mach_msg. Theory in msg_fast.c. */
#ifndef IPC_MSG_FAST_H
#define IPC_MSG_FAST_H
#include <stdbool.h>
#include <stdint.h>

struct thread;

/*
 * The current thread's mach_msg, arguments in its registers. False: it is not one of the common calls, or something is in its way,
 * and nothing has changed. True: it was a call of a kernel object, *result is mach_msg's code or KERN_BLOCKED. Does not
 * return when the message went to another thread, which has the CPU now.
 */
bool msg_fast(struct thread *thread, int64_t *result);

#endif
