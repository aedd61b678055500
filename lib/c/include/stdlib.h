/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory, numbers, the end of a program. */
#ifndef STDLIB_H
#define STDLIB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_SUCCESS	0
#define EXIT_FAILURE	1
#define EXIT_USAGE	64	/* the command line makes no sense */

/* Aligned to 16 bytes; NULL when the ledger or the machine is full, with nothing changed. */
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *old, size_t size);
void free(void *memory);

unsigned long strtoul(const char *text, char **end, int base);
long strtol(const char *text, char **end, int base);
unsigned long long strtoull(const char *text, char **end, int base);
long long strtoll(const char *text, char **end, int base);

/* The whole text as a decimal (or 0x) number; false: it is none, or too large. */
bool parse_number(const char *text, uint64_t *value);
/* The same with an optional K, M or G behind it, for 2^10, 2^20, 2^30. */
bool parse_size(const char *text, uint64_t *value);

/* Tells the console the status, ends the task. */
_Noreturn void exit(int status);
_Noreturn void abort(void);

#endif
