/* SPDX-License-Identifier: BSD-2-Clause */
/* Fresh frames: RAM that has not been handed out since boot. */
/*
 * Theory. To put every frame of RAM on a free list, and to clear its entry in the frame table, would
 * take a boot time that grows with RAM. So free RAM is given to the allocator as a few stretches, each
 * with a mark: frames below it have been handed out at least once, those above are fresh. A frame that
 * is given back goes to the allocator's lists; a fresh one is taken only when these are empty, by
 * moving the mark. Nothing ever becomes fresh again.
 *
 * The entry of a frame in the frame table is written when the frame is taken. Until then it holds
 * whatever the RAM held before boot, perhaps the very table of an earlier run, and so do for ever the
 * entries of what is no RAM or was taken by the boot (the kernel's image, the frame table). Who looks
 * at the entry of a frame that he was not given by the allocator asks fresh_begun first.
 */
#include "mem/fresh.h"
#include <stddef.h>
#include "kern/assert.h"

/* RAM has at most 128 ranges at boot, cut by at most 128 that are taken (bootmem.c); each of 32 modules may add two. */
#define FRESH_STRETCHES (2 * 128 + 2 * 32)

static struct fresh_stretch stretches[FRESH_STRETCHES];
static unsigned count;
static unsigned current;	/* those below it have nothing fresh */

void fresh_init(void)
{
	count = current = 0;
}

static bool touches(uint64_t first, uint64_t end)
{
	for (unsigned i = 0; i < count; i++) {
		if (first < stretches[i].end && stretches[i].first < end)
			return true;
	}
	return false;
}

static void add(uint64_t first, uint64_t next, uint64_t end)
{
	assert(!touches(first, end));
	if (count == FRESH_STRETCHES)
		panic("more than %u stretches of RAM", FRESH_STRETCHES);
	stretches[count++] = (struct fresh_stretch){first, next, end};
}

void fresh_add(uint64_t first, uint64_t frames)
{
	if (frames != 0)
		add(first, first, first + frames);
}

uint64_t fresh_take(void)
{
	for (; current < count; current++) {
		struct fresh_stretch *stretch = &stretches[current];

		if (stretch->next < stretch->end)
			return stretch->next++;
	}
	return 0;
}

void fresh_adopt(uint64_t frame)
{
	struct fresh_stretch *last = count > 0 ? &stretches[count - 1] : NULL;

	if (last == NULL || last->next != last->end || last->end != frame) {
		add(frame, frame + 1, frame + 1);
		return;
	}
	assert(!touches(frame, frame + 1));
	last->next = ++last->end;
}

bool fresh_begun(uint64_t frame)
{
	for (unsigned i = 0; i < count; i++) {
		if (frame >= stretches[i].first && frame < stretches[i].end)
			return frame < stretches[i].next;
	}
	return false;
}

const struct fresh_stretch *fresh_stretch(unsigned number)
{
	return number < count ? &stretches[number] : NULL;
}
