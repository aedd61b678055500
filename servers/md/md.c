/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory disk server. A disk is made with all its pages, charged to this task's ledger, or not at
 * all; or, when that is asked for, without: then a page that cannot be had makes the write that needs
 * it fail. Nothing here waits for a page or faults: memory is made present by calls that may be
 * refused, and data from clients, whose pages may not be there, are copied by the kernel into a
 * buffer that is ours from the start.
 *
 * One thread serves all, and waits for nobody but the console, which never waits for us.
 */
#include <console_user.h>
#include <device/device_types.h>
#include <mach.h>
#include <mach/program.h>
#include <md_server.h>
#include <ports.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "disk.h"

#define MAX_MESSAGE	4096
#define TRANSFER_MAX	(64 * 1024)

static struct port_bucket bucket;
static struct port_class master_class = { .name = "master", .size = sizeof(struct port_info) };
static struct port_info *master;
static mach_port_t master_right;

static struct disk disks[DISKS_MAX];
/* Data of one write, and what lies before it in its first page. */
static char incoming[TRANSFER_MAX + PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

/* Some client has opened that disk, unless it was removed since. */
struct opened {
	struct port_info port;
	int unit;
	uint32_t serial;	/* 0: closed */
};

static struct disk *disk_of(const struct opened *opened)
{
	struct disk *disk = &disks[opened->unit];

	return disk->used && disk->serial == opened->serial ? disk : NULL;
}

static void close_it(struct opened *opened)
{
	struct disk *disk = disk_of(opened);

	if (disk != NULL)
		disk->opens--;
	opened->serial = 0;
}

static void clean(struct port_info *port)
{
	close_it((struct opened *)port);
}

static struct port_class open_class = {
	.name = "open", .size = sizeof(struct opened), .clean = clean,
};

/* NULL: the port is none of an open disk, or its disk is gone. */
static struct disk *find_disk(mach_port_t handle)
{
	struct port_info *port = ports_lookup(&bucket, handle, &open_class);
	struct disk *disk;

	if (port == NULL)
		return NULL;
	disk = disk_of((struct opened *)port);
	ports_port_deref(port);
	return disk;
}

static bool is_master(mach_port_t handle)
{
	struct port_info *port = ports_lookup(&bucket, handle, &master_class);

	if (port != NULL)
		ports_port_deref(port);
	return port != NULL;
}

/* --- devices --- */

static int unit_of_name(const char *name)
{
	char expected[16];

	for (int unit = 0; unit < DISKS_MAX; unit++) {
		snprintf(expected, sizeof expected, "md%d", unit);
		if (disks[unit].used && strcmp(name, expected) == 0)
			return unit;
	}
	return -1;
}

kern_return_t serve_device_open(mach_port_t handle, dev_mode_t mode, const char *name,
				mach_port_t *device)
{
	int unit = unit_of_name(name);
	struct port_info *port;
	struct opened *opened;
	kern_return_t code;

	(void)mode;
	if (!is_master(handle))
		return D_INVALID_OPERATION;
	if (unit < 0)
		return D_NO_SUCH_DEVICE;
	code = ports_create_port(&open_class, &bucket, &port);
	if (code == KERN_SUCCESS) {
		opened = (struct opened *)port;
		opened->unit = unit;
		opened->serial = disks[unit].serial;
		disks[unit].opens++;
		code = ports_get_send_right(port, device);
		if (code != KERN_SUCCESS)
			disk_denied();
		/* From here on the holders of the send right keep it. */
		ports_port_deref(port);
	} else {
		disk_denied();
	}
	return code == KERN_SUCCESS ? D_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

kern_return_t serve_device_open_new(mach_port_t handle, dev_mode_t mode, const char *name,
				    mach_port_t *device)
{
	return serve_device_open(handle, mode, name, device);
}

kern_return_t serve_device_close(mach_port_t device)
{
	struct port_info *port = ports_lookup(&bucket, device, &open_class);

	if (port == NULL)
		return D_INVALID_OPERATION;
	close_it((struct opened *)port);
	ports_port_deref(port);
	return D_SUCCESS;
}

/*
 * The data may lie in pages that are not there, and then may not be had. The kernel's copy needs an
 * object for a moment; without one, pages that nobody shares can still be used where they are.
 */
static kern_return_t fetch(const char *data, size_t size, const char **here)
{
	vm_address_t from = trunc_page((vm_address_t)data);
	size_t lead = (vm_address_t)data - from;

	*here = incoming + lead;
	if (vm_copy(mach_task_self(), from, round_page(lead + size), (vm_address_t)incoming) == KERN_SUCCESS)
		return KERN_SUCCESS;
	*here = data;
	return memory_touch((vm_address_t)data, size);
}

kern_return_t serve_device_write(mach_port_t device, dev_mode_t mode, recnum_t recnum,
				 io_buf_ptr_t data, mach_msg_type_number_t size, int *written)
{
	size_t some = size < TRANSFER_MAX ? size : TRANSFER_MAX, done = 0;
	struct disk *disk = find_disk(device);
	const char *here = incoming;
	kern_return_t code = disk != NULL ? D_SUCCESS : D_NO_SUCH_DEVICE;

	(void)mode;
	*written = 0;
	if (code == D_SUCCESS && size > 0 && fetch(data, some, &here) != KERN_SUCCESS) {
		disk_denied();
		code = D_NO_MEMORY;
	}
	if (code == D_SUCCESS)
		code = disk_write(disk, recnum, here, some, &done);
	/* When it is refused the caller of this routine gives the data back. */
	if (code == D_SUCCESS && size > 0)
		give_back_memory((vm_address_t)data, size);
	*written = (int)done;
	return code;
}

kern_return_t serve_device_write_inband(mach_port_t device, dev_mode_t mode, recnum_t recnum,
					const char *data, mach_msg_type_number_t size, int *written)
{
	struct disk *disk = find_disk(device);
	kern_return_t code = D_NO_SUCH_DEVICE;
	size_t done = 0;

	(void)mode;
	if (disk != NULL)
		code = disk_write(disk, recnum, data, size, &done);
	*written = (int)done;
	return code;
}

/* The memory is ours until the reply takes it, and then of who receives that. */
kern_return_t serve_device_read(mach_port_t device, dev_mode_t mode, recnum_t recnum, int wanted,
				io_buf_ptr_t *data, mach_msg_type_number_t *size)
{
	struct disk *disk = find_disk(device);
	vm_address_t buffer;
	size_t n;

	(void)mode;
	*data = NULL;
	*size = 0;
	if (disk == NULL)
		return D_NO_SUCH_DEVICE;
	if (wanted < 0)
		return D_INVALID_SIZE;
	n = disk_room(disk, recnum, wanted < TRANSFER_MAX ? (size_t)wanted : TRANSFER_MAX);
	if (n == 0)
		return D_SUCCESS;
	disk_keep();
	buffer = disk_buffer(n);
	if (buffer == 0)
		return D_NO_MEMORY;
	disk_read(disk, recnum, (char *)buffer, n);
	*data = (io_buf_ptr_t)buffer;
	*size = (mach_msg_type_number_t)n;
	return D_SUCCESS;
}

kern_return_t serve_device_read_inband(mach_port_t device, dev_mode_t mode, recnum_t recnum,
				       int wanted, char *data, mach_msg_type_number_t *size)
{
	struct disk *disk = find_disk(device);
	size_t n;

	(void)mode;
	*size = 0;
	if (disk == NULL)
		return D_NO_SUCH_DEVICE;
	if (wanted < 0)
		return D_INVALID_SIZE;
	n = disk_room(disk, recnum, wanted < IO_INBAND_MAX ? (size_t)wanted : IO_INBAND_MAX);
	disk_read(disk, recnum, data, n);
	*size = (mach_msg_type_number_t)n;
	return D_SUCCESS;
}

kern_return_t serve_device_get_status(mach_port_t device, dev_flavor_t flavor, int *status,
				      mach_msg_type_number_t *count)
{
	struct disk *disk = find_disk(device);

	if (disk == NULL)
		return D_NO_SUCH_DEVICE;
	if ((flavor != DEV_GET_SIZE && flavor != DEV_GET_RECORDS) || *count < DEV_GET_SIZE_COUNT)
		return D_INVALID_OPERATION;
	status[DEV_GET_SIZE_DEVICE_SIZE] = disk->size <= INT32_MAX ? (int)disk->size : 0;
	status[DEV_GET_SIZE_RECORD_SIZE] = 1;
	*count = DEV_GET_SIZE_COUNT;
	return D_SUCCESS;
}

/* --- the disks --- */

kern_return_t serve_last_denial(mach_port_t port, ledger_denial_t *denial, uint64_t *count)
{
	(void)port;
	*count = disk_denials(denial);
	return *count > 0 ? KERN_SUCCESS : KERN_FAILURE;
}

static int unused_unit(void)
{
	int unit = 0;

	while (unit < DISKS_MAX && disks[unit].used)
		unit++;
	return unit;
}

/* Tells the console of it; when that fails the disk is not there. */
static kern_return_t publish(int unit)
{
	char name[16];
	kern_return_t code;

	snprintf(name, sizeof name, "md%d", unit);
	code = console_register_name(program_console(), name, master_right);
	if (code != KERN_SUCCESS)
		disk_destroy(&disks[unit]);
	return code;
}

kern_return_t serve_create(mach_port_t handle, int wanted_unit, uint64_t size, boolean_t reserve,
			   kern_return_t *outcome, int *unit, uint64_t *available,
			   ledger_denial_t *denial)
{
	int to = wanted_unit < 0 ? unused_unit() : wanted_unit;

	memset(denial, 0, sizeof *denial);
	*available = 0;
	*unit = -1;
	if (!is_master(handle))
		return D_INVALID_OPERATION;
	if (size == 0 || size > DISK_SIZE_MAX || wanted_unit >= DISKS_MAX)
		return KERN_INVALID_ARGUMENT;
	*outcome = KERN_NO_SPACE;
	if (to == DISKS_MAX)
		return KERN_SUCCESS;
	*outcome = D_ALREADY_OPEN;
	if (disks[to].used)
		return KERN_SUCCESS;
	disk_keep();
	*outcome = disk_create(&disks[to], size, reserve, available, denial);
	if (*outcome == KERN_SUCCESS)
		*outcome = publish(to);
	*unit = to;
	return KERN_SUCCESS;
}

kern_return_t serve_remove(mach_port_t handle, int unit, boolean_t force)
{
	char name[16];

	if (!is_master(handle))
		return D_INVALID_OPERATION;
	if (unit < 0 || unit >= DISKS_MAX || !disks[unit].used)
		return D_NO_SUCH_DEVICE;
	/* Those who have died are no reason not to. */
	while (disks[unit].opens > 0 && ports_clean_one(&bucket))
		;
	if (disks[unit].opens > 0 && !force)
		return D_ALREADY_OPEN;
	snprintf(name, sizeof name, "md%d", unit);
	console_withdraw_name(program_console(), name);
	disk_destroy(&disks[unit]);
	disk_keep();
	return KERN_SUCCESS;
}

kern_return_t serve_next(mach_port_t handle, int from, int *unit, uint64_t *size, uint64_t *used,
			 boolean_t *reserved, natural_t *opens)
{
	if (!is_master(handle))
		return D_INVALID_OPERATION;
	for (*unit = from < 0 ? 0 : from; *unit < DISKS_MAX; (*unit)++) {
		const struct disk *disk = &disks[*unit];

		if (!disk->used)
			continue;
		*size = disk->size;
		*used = disk->pages * PAGE_SIZE;
		*reserved = disk->reserved;
		*opens = disk->opens;
		return KERN_SUCCESS;
	}
	return D_NO_SUCH_DEVICE;
}

int main(int argc, char **argv)
{
	mach_port_t right;
	kern_return_t code;

	if (argc > 1) {
		fprintf(stderr, "usage: %s\n", argv[0]);
		return EXIT_USAGE;
	}
	/* One right to give to the console, one to register disks with. */
	code = ports_begin(&bucket, &master_class, &master, &master_right);
	if (code == KERN_SUCCESS)
		code = disk_init();
	if (code == KERN_SUCCESS)
		code = ports_get_send_right(master, &right);
	if (code == KERN_SUCCESS)
		code = console_register(program_console(), right);
	if (code == KERN_SUCCESS)
		code = ports_manage_port_operations_one_thread(&bucket, md_server, MAX_MESSAGE);
	fprintf(stderr, "%s: %s\n", argv[0], mach_error_string(code));
	return EXIT_FAILURE;
}
