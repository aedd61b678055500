/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's input: bytes from the device, lines for the commands, Ctrl-C. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <mach/message.h>
#include <stdbool.h>

/* Opens the device, sends output there, asks for input. Without a console only mach_print is left. */
void console_open(void);
/* The port that input comes to; MACH_PORT_NULL: none. */
mach_port_t console_input_port(void);
/* Input came to that port. Sets *interrupted if Ctrl-C was among it. */
void console_take_input(const mach_msg_header_t *message, bool *interrupted);
/* Edits and echoes what was typed; a whole line if there is one, until the next call. NULL: not yet. */
char *console_line(void);
/* The next byte that was typed, for a command that listens to keys; -1: none. */
int console_key(void);
/* Forgets what was typed. */
void console_flush(void);

#endif
