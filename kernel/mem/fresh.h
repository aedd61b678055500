/* SPDX-License-Identifier: BSD-2-Clause */
/* Fresh frames: RAM that the page allocator owns and has not handed out since boot. Theory in fresh.c. */
#ifndef MEM_FRESH_H
#define MEM_FRESH_H
#include <stdbool.h>
#include <stdint.h>

/* Frames [first, next) have been handed out at least once; [next, end) are fresh. */
struct fresh_stretch { uint64_t first, next, end; };

/* Forgets all. */
void fresh_init(void);
/* Frames that have never been handed out; none of them may be here already. Boot only; panics beyond FRESH_STRETCHES. */
void fresh_add(uint64_t first, uint64_t frames);
/* A fresh frame, which is not fresh any more; 0: there is none. */
uint64_t fresh_take(void);
/* The frame, not of any stretch, is in use from now on (a boot module's). Boot only. */
void fresh_adopt(uint64_t frame);
/* True: the frame is RAM of the allocator and has been handed out, so that its entry in the frame table means something. */
bool fresh_begun(uint64_t frame);
/* The stretch of this number, from 0; NULL: there are no more. */
const struct fresh_stretch *fresh_stretch(unsigned number);

#endif
