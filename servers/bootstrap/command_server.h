/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands `servers` and `server`. */
#ifndef COMMAND_SERVER_H
#define COMMAND_SERVER_H

#include <mach/mach_types.h>

void command_servers(int argc, char **argv);
void command_server(int argc, char **argv);
/* `in LEDGER server ...`: the words from `server` on. */
void command_server_in(mach_port_t ledger, int argc, char **argv);

#endif
