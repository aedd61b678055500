/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long interrupts are off at a stretch: from an entry or a window to the next window or the return to the user.
 * Debug builds measure it while they are told to (weir_debug); then every call takes the way by syscall_uncommon, so that
 * its begin is seen. Some sixty instructions of the entry and the return are not counted.
 */
#ifndef KERN_STRETCH_H
#define KERN_STRETCH_H
#include <stdbool.h>
#include <stdint.h>

#ifdef NDEBUG
#define STRETCH_DEBUG 0
#else
#define STRETCH_DEBUG 1
#endif

extern bool stretch_measured;
void stretch_begin_measured(void);
void stretch_note_measured(const void *site);

/* Interrupts have just been turned off. */
static inline void stretch_begin(void)
{
	if (STRETCH_DEBUG && stretch_measured)
		stretch_begin_measured();
}

/* They are about to be let in, at this place in the code; or may be: the stretch goes on until the next begin. */
static inline void stretch_note(const void *site)
{
	if (STRETCH_DEBUG && stretch_measured)
		stretch_note_measured(site);
}

/* Begins to measure, or prints the longest stretch so far on the console and begins anew. False: not in this build. */
bool stretch_tell(void);

#endif
