/* SPDX-License-Identifier: BSD-2-Clause */
/* The archive of programs: a ustar image in memory (POSIX.1-2017, pax, "ustar Interchange Format"). */
#ifndef ARCHIVE_H
#define ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <mach/mach_types.h>

struct archive_file {
	char name[104];
	const void *data;
	size_t size;
};

/* Maps the device's contents; prints what is wrong. Without it there are no programs. */
void archive_open(mach_port_t device_master);
/* The regular file of this name; false: there is none. */
bool archive_find(const char *name, struct archive_file *file);
/* Steps through all files: start with *at 0; false: no more. */
bool archive_next(size_t *at, struct archive_file *file);

#endif
