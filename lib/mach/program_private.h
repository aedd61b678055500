/* SPDX-License-Identifier: BSD-2-Clause */
/* Between program.c and fork.c. */
#ifndef PROGRAM_PRIVATE_H
#define PROGRAM_PRIVATE_H

#include <mach/threads.h>

/* Forgets what belonged to the task that this one was copied from; thread is the only one here. */
void program_reset(struct thread *thread);

#endif
