/* SPDX-License-Identifier: BSD-2-Clause */
/* Short options, as POSIX says: stops at the first word that is none, or behind "--". */
#ifndef GETOPT_H
#define GETOPT_H

extern char *optarg;
extern int optind, opterr, optopt;

/* The next option; '?' (or ':') for one that is wrong, said on stderr unless opterr is 0; -1: no more. */
int getopt(int argc, char *const argv[], const char *options);

#endif
