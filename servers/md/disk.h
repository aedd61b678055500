/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory disks: a region as large as the disk, and a bit for each page that is there. A page once
 * there stays until the disk is removed, so writing to it again cannot be denied. Reads of pages
 * that are not there give zeros and take nothing.
 */
#ifndef MD_DISK_H
#define MD_DISK_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/ledger.h>

#define DISKS_MAX	64
#define DISK_SIZE_MAX	(1ULL << 40)

struct disk {
	bool used;
	bool reserved;
	uint32_t serial;	/* of all disks: another one of the same unit has another */
	uint32_t opens;
	uint64_t size;
	vm_address_t data;
	uint8_t *present;	/* a bit for each page */
	uint64_t pages;		/* that are present */
};

/* Once: the memory that is kept for moving data. KERN_RESOURCE_SHORTAGE: not to be had. */
kern_return_t disk_init(void);

/*
 * A disk in this place, which is not used. On KERN_RESOURCE_SHORTAGE nothing is held; then
 * *available is how many bytes there were for it and *denial who denied more.
 */
kern_return_t disk_create(struct disk *disk, uint64_t size, bool reserve, uint64_t *available,
			  ledger_denial_t *denial);
/* Gives back all that it has. Cannot be denied. */
void disk_destroy(struct disk *disk);

/*
 * Bytes at offset, as many as the disk has and there is memory for: *done. D_INVALID_RECNUM: it
 * ends before; D_NO_MEMORY: no page for the first of them. The bytes must be there to be read.
 */
kern_return_t disk_write(struct disk *disk, uint64_t offset, const char *data, size_t size,
			 size_t *done);
/* The bytes at offset; size must lie within the disk (disk_room). */
void disk_read(const struct disk *disk, uint64_t offset, char *to, size_t size);
/* How many of the bytes at offset the disk has. */
size_t disk_room(const struct disk *disk, uint64_t offset, size_t size);

/*
 * Memory for one transfer out of line, which the reply takes away. From what is kept, when there is
 * no other; 0: that is under way to clients that have not received it.
 */
vm_address_t disk_buffer(size_t size);
/* Takes again what disk_buffer gave, if there is memory now: false, and no disk may grow. */
bool disk_keep(void);

/* Counts and remembers what this thread was denied last. */
void disk_denied(void);
/* How often, and the last one. */
uint64_t disk_denials(ledger_denial_t *denial);

#endif
