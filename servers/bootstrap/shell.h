/* SPDX-License-Identifier: BSD-2-Clause */
/* The shell: carries out boot commands and lines, one after another, never blocking. */
#ifndef SHELL_H
#define SHELL_H

#include "job.h"
#include <stdbool.h>
#include <stdint.h>

/* Commands to carry out at boot (kept and written to), NULL: none. */
void shell_begin(char *script);
/* Goes on as far as it can: after every event. */
void shell_continue(void);
/* Milliseconds until it wants to go on by itself; 0: not before an event. */
unsigned shell_patience(void);
/* Something else was printed: if the prompt stood there, it and what was typed are shown again. */
void shell_printed(void);
/* Ctrl-C: ends what the shell waits for. */
void shell_interrupt(void);

/* For commands: what the shell is to wait for before it goes on. */
void shell_wait_for_job(const struct job *job);
void shell_wait_for_time(unsigned milliseconds);
void shell_wait_for_background(void);
void shell_wait_for_server(void);
/* Draws each second, so often; before that `q` and Ctrl-C end it. */
void shell_show_screen(void (*draw)(void), uint64_t times);

#endif
