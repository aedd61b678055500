/* SPDX-License-Identifier: BSD-2-Clause */
/* The screen of `top`: zones, ledgers, tasks and denials, and which of them belong together. */
#ifndef TOP_H
#define TOP_H

/* Clears the screen; the rates count from here. */
void top_begin(void);
/* Draws it, over the one before. */
void top_draw(void);

#endif
