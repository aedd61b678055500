/* SPDX-License-Identifier: BSD-2-Clause */
/* gsync: threads that wait on words of memory (gsync.c). */
#ifndef KERN_GSYNC_H
#define KERN_GSYNC_H

struct vm_map;

/* The map goes: whoever of another task waits on a word of it is woken. */
void gsync_map_ends(struct vm_map *map);

#endif
