/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One line as it is typed, and the lines before it. Keys: left, right, Home, End, up, down,
 * Backspace, Delete; Ctrl-A, -E, -B, -F, -P, -N, -D, -U (to the start), -K (to the end), -W (a word).
 * Characters are those of ASCII: other bytes, UTF-8 among them, are dropped.
 */
#ifndef EDIT_H
#define EDIT_H

#include <stdbool.h>

#define EDIT_LINE_MAX		1024
#define EDIT_HISTORY_LINES	32
#define EDIT_HISTORY_WIDTH	256	/* longer lines are not kept */

/* Takes a byte and shows what it does. True: Return, the line is complete and in the history. */
bool edit_key(char byte);
/* The line; it may be written to, until edit_begin. */
char *edit_line(void);
/* Begins a new one. */
void edit_begin(void);
/* Prints the unfinished line again, behind a new prompt. */
void edit_show(void);

#endif
