/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server that we start, and start anew when it ends: `null`. It runs with
 * the words and in the ledger with which it took up its service last; others
 * are tried beside it, and take its place only when that server registers.
 */
#ifndef SERVER_H
#define SERVER_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>
#include "job.h"

#define SERVER_WORDS_MAX	8

extern char null_name[];

/* As at boot: in the ledger `services`, with this word (NULL: none); waits a while for it. Says so when it does not start. */
void server_boot(char *word);
/*
 * Starts it anew with these words (its name first) in the ledger, whose right is
 * copied. False: it was said why not, and nothing has changed.
 */
bool server_change(int argc, char *const argv[], mach_port_t ledger);
/* Does a change still go on, until the old one has ended? */
bool server_changes(void);

/* A job of a server has registered, or ended. */
void server_registered(const struct job *job);
void server_died(const struct job *job);

/* Starts what is due; milliseconds until there is something to do, 0: nothing. */
void server_continue(void);
unsigned server_patience(void);

/* For `servers`. */
struct server_facts {
	const struct job *job;		/* NULL: it does not run */
	char *const *argv;
	mach_port_t ledger;		/* ours */
	unsigned starts;		/* how often it has taken up its service */
};
void server_tell(struct server_facts *facts);

#endif
