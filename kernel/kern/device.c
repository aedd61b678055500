/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices, and the calls of subsystem device (GNU Mach manual, Device Interface).

   console   the machine's console, raw: no echo, no line editing; a read waits for at least one byte
   com1      the second serial port, for the output of tests; input too
   time      a page with the time of day, mapped (mapped_time_value)
   rd0 ...   boot modules as disks: read and mapped, in records of 512 bytes; never written

   All of them, and their ports, are made at boot and stay, so nothing here allocates but the data of out-of-line
   reads, paid by the caller's ledger. A device is alive while its open count is not 0. Opens and closes are counted;
   when the last send right to a device goes, so do all opens that were not closed. Reading is in device_read.c. */
#include "kern/device.h"
#include <device/device_types.h>
#include <device/tty_status.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include "device_server.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/printf.h"
#include "kern/string.h"
#include "vm/copy.h"
#include "vm/object.h"
#include "x86_64/clock.h"
#include "x86_64/machine.h"

#define RAMDISKS_MAX 8u
#define DEVICES_MAX (3u + RAMDISKS_MAX)
/* Bytes of one call, at most: the caller gets the number back and goes on. */
#define WRITE_MAX 1024u
#define WRITE_CHUNK 64u
#define FLUSH_STEP 512u
#define COM1_RING 256u			/* a power of two */

static struct device devices[DEVICES_MAX];
static unsigned device_count, ramdisk_count;
static struct port *master_port;

/* What com1 has received: the port itself cannot be looked at without taking. */
static char com1_ring[COM1_RING];
static uint32_t com1_in, com1_out;

static uint32_t com1_peek(char *to, uint32_t max)
{
	uint32_t count = 0;
	int c;

	while (com1_in - com1_out < COM1_RING && (c = com2_getc()) >= 0)
		com1_ring[com1_in++ % COM1_RING] = c;
	for (; count < max && com1_out + count != com1_in; count++)
		to[count] = com1_ring[(com1_out + count) % COM1_RING];
	return count;
}

static void com1_drop(uint32_t count)
{
	com1_out += count;
}

static const struct device_chars console_chars = {console_await, console_write, console_peek, console_drop};
static const struct device_chars com1_chars = {com2_await, com2_write, com1_peek, com1_drop};

static struct device *device_make(const char *name)
{
	if (device_count == DEVICES_MAX)
		machine_cannot_boot("too many RAM disks");
	struct device *device = &devices[device_count++];
	strlcpy(device->name, name, sizeof(device->name));
	TAILQ_INIT(&device->readers);
	TAILQ_INIT(&device->requests);
	device->port = port_make_kernel(KOBJECT_DEVICE, device, &root_ledger);
	if (!device->port)
		machine_cannot_boot("there is no memory for the devices");
	return device;
}

static void device_make_mappable(struct device *device, uint64_t physical, uint64_t size)
{
	device->object = vm_object_from_frames(physical, size);
	if (device->object)
		device->pager = port_make_kernel(KOBJECT_MEMORY, device->object, &root_ledger);
	if (!device->pager)
		machine_cannot_boot("there is no memory for the devices");
	device->object->name_port = device->pager;
}

void device_init(void)
{
	master_port = port_make_kernel(KOBJECT_DEVICE_MASTER, &master_port, &root_ledger);
	if (!master_port)
		machine_cannot_boot("there is no memory for the devices");
	device_make("console")->chars = &console_chars;
	device_make("com1")->chars = &com1_chars;
	device_make_mappable(device_make("time"), clock_map_physical(), PAGE_SIZE);
}

unsigned device_add_ramdisk(uint64_t physical, uint64_t size)
{
	char name[16];

	if (physical % PAGE_SIZE != 0)
		machine_cannot_boot("the boot loader has not put a RAM disk at the start of a page");
	snprintf(name, sizeof(name), "rd%u", ramdisk_count);
	struct device *device = device_make(name);
	/* An empty module is an empty disk, which cannot be mapped. */
	if (size > 0)
		device_make_mappable(device, physical, size);
	device->size_bytes = size;
	return ramdisk_count++;
}

struct port *device_master_port(void)
{
	return master_port;
}

void device_ast(void)
{
	for (unsigned i = 0; i < device_count; i++)
		device_input(&devices[i]);
}

kern_return_t device_open(struct port *port, struct port *reply_port, dev_mode_t mode, const char *name,
			  struct port **opened)
{
	(void)reply_port;
	(void)mode;
	if (!port_valid(port) || port->kobject_type != KOBJECT_DEVICE_MASTER)
		return D_INVALID_OPERATION;
	for (unsigned i = 0; i < device_count; i++) {
		if (strcmp(devices[i].name, name) != 0)
			continue;
		devices[i].open_count++;
		*opened = right_make_send(devices[i].port);
		return D_SUCCESS;
	}
	return D_NO_SUCH_DEVICE;
}

kern_return_t device_open_new(struct port *port, struct port *reply_port, dev_mode_t mode, const char *name,
			      struct port **opened)
{
	return device_open(port, reply_port, mode, name, opened);
}

void device_no_senders(struct device *device)
{
	if (device->open_count == 0)
		return;
	device->open_count = 0;
	device_readers_dismiss(device);
}

kern_return_t device_close(struct device *device)
{
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (--device->open_count == 0)
		device_readers_dismiss(device);
	return D_SUCCESS;
}

/* --- writing --- */

static kern_return_t write_check(const struct device *device)
{
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (device->chars)
		return D_SUCCESS;
	return device->size_bytes > 0 ? D_READ_ONLY : D_INVALID_OPERATION;
}

static void write_stepwise(const struct device *device, const char *bytes, uint32_t size)
{
	for (uint32_t done = 0, step; done < size; done += step) {
		step = console_step(bytes + done, size - done);
		device->chars->await();
		device->chars->write(bytes + done, step);
		machine_window();
	}
}

kern_return_t device_write(struct device *device, struct port *reply_port, dev_mode_t mode, recnum_t recnum,
			   struct vm_copy *data, mach_msg_type_number_t size, int *written)
{
	kern_return_t error = write_check(device);
	uint32_t done = 0, total = size < WRITE_MAX ? size : WRITE_MAX;
	char bytes[WRITE_CHUNK];

	(void)reply_port;
	(void)mode;
	(void)recnum;
	while (error == D_SUCCESS && done < total) {
		uint32_t step = total - done < WRITE_CHUNK ? total - done : WRITE_CHUNK;
		error = vm_copy_read(data, done, bytes, step);
		if (error == D_SUCCESS) {
			write_stepwise(device, bytes, step);
			done += step;
		}
	}
	if (error != D_SUCCESS && done == 0)
		return error;
	vm_copy_discard(data);
	*written = done;
	return D_SUCCESS;
}

kern_return_t device_write_inband(struct device *device, struct port *reply_port, dev_mode_t mode, recnum_t recnum,
				  const char *data, mach_msg_type_number_t size, int *written)
{
	kern_return_t error = write_check(device);

	(void)reply_port;
	(void)mode;
	(void)recnum;
	if (error != D_SUCCESS)
		return error;
	write_stepwise(device, data, size);
	*written = size;
	return D_SUCCESS;
}

kern_return_t device_write_user(struct device *device, struct vm_map *map, uint64_t address, uint64_t size)
{
	kern_return_t error = write_check(device);
	char bytes[WRITE_CHUNK];
	uint32_t done, step;

	if (error == D_SUCCESS && size > WRITE_MAX)
		return MACH_SEND_INTERRUPTED;
	for (done = 0; error == D_SUCCESS && done < size; done += step) {
		step = size - done < WRITE_CHUNK ? (uint32_t)size - done : WRITE_CHUNK;
		error = copyin(map, bytes, address + done, step);
		if (error == KERN_SUCCESS)
			write_stepwise(device, bytes, step);
	}
	return error;
}

/* --- mapping and status --- */

/* Read only: the kernel never lets these objects be written. From the device's start only. */
kern_return_t device_map(struct device *device, vm_prot_t prot, vm_offset_t offset, vm_size_t size,
			 struct port **pager, int unmap)
{
	(void)unmap;
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (!device->pager || offset != 0 || prot & VM_PROT_WRITE)
		return D_INVALID_OPERATION;
	if (size > device->object->size_pages * PAGE_SIZE)
		return D_INVALID_SIZE;
	*pager = right_make_send(device->pager);
	return D_SUCCESS;
}

kern_return_t device_get_status(struct device *device, dev_flavor_t flavor, int *status, mach_msg_type_number_t *count)
{
	uint64_t unit = device && device->size_bytes > 0 ? DEVICE_RECORD_BYTES : 1;
	uint64_t amount;

	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (flavor == DEV_GET_SIZE)
		amount = device->size_bytes;
	else if (flavor == DEV_GET_RECORDS)
		amount = device->size_bytes / unit;
	else
		return D_INVALID_OPERATION;
	if (*count < DEV_GET_SIZE_COUNT || amount > INT32_MAX)
		return D_INVALID_OPERATION;
	status[DEV_GET_SIZE_DEVICE_SIZE] = amount;
	status[DEV_GET_SIZE_RECORD_SIZE] = unit;
	*count = DEV_GET_SIZE_COUNT;
	return D_SUCCESS;
}

/* TTY_FLUSH forgets what was typed ahead. */
kern_return_t device_set_status(struct device *device, dev_flavor_t flavor, const int *status,
				mach_msg_type_number_t count)
{
	char bytes[FLUSH_STEP];
	uint32_t got;

	(void)status;
	(void)count;
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (!device->chars || flavor != TTY_FLUSH)
		return D_INVALID_OPERATION;
	do {
		got = device->chars->peek(bytes, sizeof(bytes));
		device->chars->drop(got);
	} while (got == sizeof(bytes));
	return D_SUCCESS;
}

/* No device here takes packets or gives interrupts away. */
kern_return_t device_set_filter(struct device *device, struct port *receive_port, int priority, const filter_t *filter,
				mach_msg_type_number_t count)
{
	(void)receive_port;
	(void)priority;
	(void)filter;
	(void)count;
	return device_alive(device) ? D_INVALID_OPERATION : D_NO_SUCH_DEVICE;
}

kern_return_t device_intr_register(struct device *device, int id, int flags, struct port *receive_port)
{
	(void)id;
	(void)flags;
	(void)receive_port;
	return device_alive(device) ? D_INVALID_OPERATION : D_NO_SUCH_DEVICE;
}

kern_return_t device_intr_ack(struct device *device, struct port *receive_port)
{
	(void)receive_port;
	return device_alive(device) ? D_INVALID_OPERATION : D_NO_SUCH_DEVICE;
}
