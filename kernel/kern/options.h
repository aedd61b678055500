/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of the kernel command line. */
#ifndef KERN_OPTIONS_H
#define KERN_OPTIONS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parses boot_info.command_line; complains on the console about what it does not understand. */
void options_init(void);
extern uint64_t option_zone_map_bytes;		/* 0: the default */
extern const char *option_console;		/* NULL: both */
/* Parses a size: digits and K, M or G; a plain number is MiB. False: it is none, or overflows. */
bool option_parse_size(const char *text, size_t length, uint64_t *bytes);
/* The word NAME=VALUE of the command line (before run=): copies VALUE, cut to size; false: there is none. */
bool option_variable(const char *name, char *value, size_t size);

#endif
