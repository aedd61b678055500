/* SPDX-License-Identifier: BSD-2-Clause */
/* Register states of threads, in the flavors of <mach/machine/thread_status.h>. */
#ifndef KERN_THREAD_STATE_H
#define KERN_THREAD_STATE_H
#include <stdint.h>
#include <mach/kern_return.h>
#include "x86_64/machine.h"

struct thread;
/* The largest flavor: i386_XFLOAT_STATE, 32-bit words. */
#define THREAD_STATE_WORDS_MAX ((16 + FPU_STATE_SIZE) / 4)

/* count: words in and out. KERN_INVALID_ARGUMENT: unknown flavor, too short, or values that the CPU
   would not load; then nothing changed. Setting may need an FPU state: KERN_RESOURCE_SHORTAGE. */
kern_return_t thread_state_get(struct thread *thread, int flavor, uint32_t *state, uint32_t *count);
kern_return_t thread_state_set(struct thread *thread, int flavor, const uint32_t *state, uint32_t count);

#endif
