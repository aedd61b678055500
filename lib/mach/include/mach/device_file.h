/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices of servers as files: found by their names, read and written at any byte. */
#ifndef MACH_DEVICE_FILE_H
#define MACH_DEVICE_FILE_H

#include <device/device_types.h>
#include <mach/mach_types.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/ledger.h>

struct device_file {
	mach_port_t device;
	uint64_t record;	/* bytes that the device counts as one */
	uint64_t denials;	/* that its server had met before */
};

/*
 * "md0" or "/dev/md0", of whichever server has it. mode: D_READ, D_WRITE. KERN_INVALID_NAME: no
 * server has it; D_NO_SUCH_DEVICE and the like: what the server says. Nothing is held then.
 */
kern_return_t device_file_open(const char *name, dev_mode_t mode, struct device_file *file);
void device_file_close(struct device_file *file);

/*
 * Bytes at offset, in as many calls as it takes; *done is fewer than size only at the device's end or
 * on an error. offset must be a multiple of the record (D_INVALID_RECNUM). KERN_RESOURCE_SHORTAGE: a
 * page of the place that is read to, or of the data, cannot be had.
 */
kern_return_t device_file_read(const struct device_file *file, uint64_t offset, char *to, size_t size,
			       size_t *done);
kern_return_t device_file_write(const struct device_file *file, uint64_t offset, const char *from,
				size_t size, size_t *done);

/* A text for the code of a call; with the server's denial, if that is what is behind it. */
#define DEVICE_FILE_TEXT_MAX	256
char *device_file_error(const struct device_file *file, kern_return_t code,
			char text[DEVICE_FILE_TEXT_MAX]);

#endif
