/* SPDX-License-Identifier: BSD-2-Clause */
/* Command lines: `;` between commands, words by blanks, '...' and "..." keep blanks and `;` in a word. */
#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>

#define WORDS_MAX	64

/*
 * Cuts the next command off *rest (which it moves on; NULL: that was the last)
 * by writing a zero over its `;`. Returns the command's text.
 */
char *words_next_command(char **rest);

/*
 * Splits the command in place; argv ends with NULL. Returns the count, or -1 and
 * what is wrong in *error.
 */
int words_split(char *command, char *argv[WORDS_MAX + 1], const char **error);

#endif
