/* SPDX-License-Identifier: BSD-2-Clause */
/* The console's commands. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stdint.h>

struct command {
	const char *name, *arguments, *help;
	int least, most;		/* words behind the name; most -1: any number */
	void (*run)(int argc, char **argv);
	const char *more;		/* further lines for `help NAME`, each ended; NULL: none */
};

/* Carries out a command or starts a program. argv ends with NULL and may be written to. */
void command_run(int argc, char **argv);

/* Finds a number in the word or says that it is none. */
bool command_number(const char *word, uint64_t *value);
/* Says what a call that failed has failed at and, of a denial, whose limit it was. */
void command_failed(const char *what, int code);

/* The command `devices`. */
void command_devices(int argc, char **argv);

/* The tables, each ended by a command without a name. */
extern const struct command program_commands[], ledger_commands[], zone_commands[],
	system_commands[];

#endif
