/* SPDX-License-Identifier: BSD-2-Clause */
/* Disks in memory. Nothing here is ever touched before it is known to be there. */
#include "disk.h"
#include <device/device_types.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <string.h>

/* Pages kept for transfers: no disk takes them, so that a full one can be read. */
#define KEPT_PAGES	40

static vm_address_t kept;	/* 0: given away */
static mach_port_t own_ledger;
static uint32_t last_serial;
static ledger_denial_t last_denial;
static uint64_t denials;

void disk_denied(void)
{
	if (program_last_denial(&last_denial))
		denials++;
}

uint64_t disk_denials(ledger_denial_t *denial)
{
	*denial = last_denial;
	return denials;
}

bool disk_keep(void)
{
	if (kept == 0 && memory_allocate(&kept, KEPT_PAGES * vm_page_size) != KERN_SUCCESS)
		kept = 0;
	return kept != 0;
}

kern_return_t disk_init(void)
{
	kern_return_t code = task_get_ledger(mach_task_self(), &own_ledger);

	if (code != KERN_SUCCESS)
		return code;
	return disk_keep() ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

vm_address_t disk_buffer(size_t size)
{
	vm_address_t buffer = 0;

	if (memory_allocate(&buffer, size) == KERN_SUCCESS)
		return buffer;
	if (kept != 0) {
		give_back_memory(kept, KEPT_PAGES * vm_page_size);
		kept = 0;
		if (memory_allocate(&buffer, size) == KERN_SUCCESS)
			return buffer;
	}
	disk_denied();
	return 0;
}

static bool is_present(const struct disk *disk, uint64_t page)
{
	return disk->present[page / 8] >> page % 8 & 1;
}

/* Makes the page present; it cannot be had: false. */
static bool take_page(struct disk *disk, uint64_t page)
{
	if (is_present(disk, page))
		return true;
	if (!disk_keep() ||
	    memory_touch(disk->data + page * vm_page_size, vm_page_size) != KERN_SUCCESS) {
		disk_denied();
		return false;
	}
	disk->present[page / 8] |= (uint8_t)(1 << page % 8);
	disk->pages++;
	return true;
}

/* What our own ledger still allows, bytes; its denial of more, as the kernel would tell it. */
static uint64_t allowed(uint64_t wanted, ledger_denial_t *denial)
{
	struct ledger_usage usage;
	natural_t parent, children, tasks, weight, id;

	memset(denial, 0, sizeof *denial);
	if (ledger_get_usage(own_ledger, LEDGER_RESIDENT_PAGES, &usage) != KERN_SUCCESS ||
	    usage.limit == LEDGER_UNLIMITED ||
	    ledger_info(own_ledger, &id, &parent, denial->ledger, &children, &tasks, &weight) !=
		    KERN_SUCCESS)
		return UINT64_MAX;
	denial->resource = LEDGER_RESIDENT_PAGES;
	denial->ledger_id = id;
	denial->used = usage.used;
	denial->limit = usage.limit;
	denial->wanted = wanted / vm_page_size;
	return usage.limit > usage.used ? (usage.limit - usage.used) * vm_page_size : 0;
}

/* All pages, or none: KERN_RESOURCE_SHORTAGE. */
static kern_return_t take_all(struct disk *disk, uint64_t count, uint64_t *available,
			      ledger_denial_t *denial)
{
	/* Told at once, without taking everything from the others first. */
	*available = allowed(disk->size, denial);
	if (*available < disk->size)
		return KERN_RESOURCE_SHORTAGE;
	for (uint64_t page = 0; page < count; page++) {
		if (take_page(disk, page))
			continue;
		*available = disk->pages * vm_page_size;
		*denial = last_denial;
		return KERN_RESOURCE_SHORTAGE;
	}
	return KERN_SUCCESS;
}

/* Whole pages, so that all of it goes back with the disk. */
static vm_size_t bits_size(const struct disk *disk)
{
	return round_page(disk->size / vm_page_size / 8 + 1);
}

kern_return_t disk_create(struct disk *disk, uint64_t size, bool reserve, uint64_t *available,
			  ledger_denial_t *denial)
{
	uint64_t count = (size + vm_page_size - 1) / vm_page_size;
	vm_address_t present = 0;
	kern_return_t code;

	*disk = (struct disk){ .used = true, .reserved = reserve, .serial = ++last_serial, .size = size };
	*available = 0;
	code = memory_allocate(&present, bits_size(disk));
	if (code == KERN_SUCCESS) {
		disk->present = (uint8_t *)present;
		code = syscall_vm_allocate(mach_task_self(), &disk->data, count * vm_page_size, TRUE);
	}
	if (code == KERN_SUCCESS && reserve) {
		code = take_all(disk, count, available, denial);
	} else if (code != KERN_SUCCESS) {
		disk->data = 0;
		disk_denied();
		*denial = last_denial;
		code = KERN_RESOURCE_SHORTAGE;
	}
	if (code != KERN_SUCCESS)
		disk_destroy(disk);
	return code;
}

void disk_destroy(struct disk *disk)
{
	if (disk->data != 0)
		give_back_memory(disk->data, (disk->size + vm_page_size - 1) & -vm_page_size);
	if (disk->present != NULL)
		give_back_memory((vm_address_t)disk->present, bits_size(disk));
	memset(disk, 0, sizeof *disk);
}

size_t disk_room(const struct disk *disk, uint64_t offset, size_t size)
{
	if (offset >= disk->size)
		return 0;
	return size < disk->size - offset ? size : (size_t)(disk->size - offset);
}

/* The part of the transfer that lies in the page of offset. */
static size_t part(uint64_t offset, size_t size)
{
	size_t rest = vm_page_size - offset % vm_page_size;

	return size < rest ? size : rest;
}

kern_return_t disk_write(struct disk *disk, uint64_t offset, const char *data, size_t size,
			 size_t *done)
{
	size_t room = disk_room(disk, offset, size);

	*done = 0;
	if (size > 0 && room == 0)
		return D_INVALID_RECNUM;
	while (*done < room) {
		uint64_t at = offset + *done;
		size_t n = part(at, room - *done);

		if (!take_page(disk, at / vm_page_size))
			return *done > 0 ? D_SUCCESS : D_NO_MEMORY;
		memcpy((char *)disk->data + at, data + *done, n);
		*done += n;
	}
	return D_SUCCESS;
}

void disk_read(const struct disk *disk, uint64_t offset, char *to, size_t size)
{
	while (size > 0) {
		size_t n = part(offset, size);

		if (is_present(disk, offset / vm_page_size))
			memcpy(to, (const char *)disk->data + offset, n);
		else
			memset(to, 0, n);
		offset += n;
		to += n;
		size -= n;
	}
}
