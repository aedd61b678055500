/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices, and the calls of subsystem device (GNU Mach manual, Device Interface).

   console   the machine's console, raw: no echo, no line editing; a read waits for at least one byte
   com1      the second serial port, for the output of tests; input too
   time      a page with the time of day, mapped (mapped_time_value)
   rd0 ...   boot modules as disks: read and mapped, in records of 512 bytes; never written

   All of them, and their ports, are made at boot and stay, so nothing here allocates but the data of out-of-line
   reads, paid by the caller's ledger. A device is alive while its open count is not 0. Opens and closes are counted;
   when the last send right to a device goes, so do all opens that were not closed.

   A read that must wait makes its thread wait only when that thread receives the reply in the same call. Else
   (device_read_request) the caller goes on, and the read is kept in the memory of its reply (ipc/krpc_later.c), with
   the page of its data when that goes out of line: so what is kept is bounded by the caller's ledger, and serving it
   allocates nothing. It ends with input, with the last close, or when the reply port dies.
   Both kinds are served in the order of their coming.
   Input is consumed only when it has been delivered: a read that is denied loses nothing. */
#include "kern/device.h"
#include <device/device_types.h>
#include <device/tty_status.h>
#include <mach/mig_errors.h>
#include "device_server.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/printf.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "vm/copy.h"
#include "vm/object.h"
#include "x86_64/clock.h"
#include "x86_64/machine.h"

#define RECORD_BYTES 512u
#define RAMDISKS_MAX 8u
#define DEVICES_MAX (3u + RAMDISKS_MAX)
/* Bytes of one call, at most: callers get the number back and go on. */
#define WRITE_MAX 1024u
#define READ_MAX 512u
#define WRITE_CHUNK 64u
#define COM1_RING 256u			/* a power of two */
#define WAKE_BATCH 32u

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

static bool device_alive(const struct device *device)
{
	return device && device->open_count > 0;
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

static void request_reply(struct krpc_later *request, kern_return_t code);

/* The last close: nobody is left who could read. */
static void readers_dismiss(struct device *device)
{
	struct krpc_later *request;
	struct thread *thread;
	unsigned count = 0;

	while ((thread = TAILQ_FIRST(&device->readers)) != NULL) {
		TAILQ_REMOVE(&device->readers, thread, wait.link);
		thread_wake(thread, D_NO_SUCH_DEVICE);
		if (++count % WAKE_BATCH == 0)
			machine_window();
	}
	while ((request = TAILQ_FIRST(&device->requests)) != NULL) {
		TAILQ_REMOVE(&device->requests, request, link);
		request_reply(request, D_NO_SUCH_DEVICE);
		if (++count % WAKE_BATCH == 0)
			machine_window();
	}
}

void device_no_senders(struct device *device)
{
	if (device->open_count == 0)
		return;
	device->open_count = 0;
	readers_dismiss(device);
}

kern_return_t device_close(struct device *device)
{
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (--device->open_count == 0)
		readers_dismiss(device);
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

/* --- reading --- */

enum { WORD_WANTED, WORD_INBAND, WORD_TICKET, WORD_COPY };	/* of a reader's wait record, or of a request */

/* Replies of reads that had to wait, as the stubs lay them out. */
struct reply_inband {
	uint8_t head[48];
	mach_msg_type_t type;
	char data[IO_INBAND_MAX];
};
struct reply_outofline {
	uint8_t head[48];
	mach_msg_type_t type;
	struct vm_copy *data;
};
_Static_assert(sizeof(struct reply_inband) <= KRPC_LATER_BODY_MAX, "kept replies");
_Static_assert(offsetof(struct reply_inband, data) == 56, "reply of device_read_inband");
_Static_assert(offsetof(struct reply_outofline, data) == 56, "reply of device_read");

static void reader_cancel(struct thread *thread, enum wait_reason reason)
{
	struct device *device = thread->wait.object;

	TAILQ_REMOVE(&device->readers, thread, wait.link);
	if (reason != WAIT_KILLED)
		krpc_reply(thread, KERN_INTERRUPTED);
}

static void reader_woken(struct thread *thread, int result);

static const struct wait_kind reading = { "device read", reader_woken, reader_cancel };

static void reader_wait(struct device *device, struct thread *thread, uint32_t wanted, bool inband)
{
	wait_begin(thread, &reading, device, -1);
	thread->wait.word[WORD_WANTED] = wanted;
	thread->wait.word[WORD_INBAND] = inband;
	thread->wait.word[WORD_TICKET] = device->tickets++;
	TAILQ_INSERT_TAIL(&device->readers, thread, wait.link);
}

/* Makes the reply of a read in line; returns its size. */
static uint32_t reply_inband(struct reply_inband *reply, const char *bytes, uint32_t count)
{
	*reply = (struct reply_inband){
		.type = {.msgt_name = MACH_MSG_TYPE_CHAR, .msgt_size = 8, .msgt_inline = 1, .msgt_number = count},
	};
	memcpy(reply->data, bytes, count);
	return offsetof(struct reply_inband, data) + ((count + 7) & ~7u);
}

static struct reply_outofline reply_outofline(struct vm_copy *copy, uint32_t count)
{
	return (struct reply_outofline){
		.type = {.msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8, .msgt_longform = 1, .msgt_deallocate = 1,
			 .msgt_number = count},
		.data = copy,
	};
}

/* In the reader's context. Another may have been quicker: then it waits again. */
static void reader_woken(struct thread *thread, int result)
{
	struct device *device = thread->wait.object;
	uint32_t wanted = thread->wait.word[WORD_WANTED];
	bool inband = thread->wait.word[WORD_INBAND];
	struct vm_copy *copy = NULL;
	char bytes[READ_MAX];

	/* The last close may have come after the input that woke it. */
	if (result == D_SUCCESS && !device_alive(device))
		result = D_NO_SUCH_DEVICE;
	if (result != D_SUCCESS) {
		krpc_reply(thread, result);
		return;
	}
	uint32_t count = device->chars->peek(bytes, wanted);
	if (count == 0) {
		reader_wait(device, thread, wanted, inband);
		return;
	}
	if (!inband) {
		kern_return_t error = vm_copy_from_kernel(bytes, count, thread->task->ledger, &copy);
		if (error != KERN_SUCCESS) {
			krpc_reply(thread, error);
			return;
		}
	}
	device->chars->drop(count);
	if (inband) {
		struct reply_inband reply;
		uint32_t size = reply_inband(&reply, bytes, count);
		krpc_reply_data(thread, KERN_SUCCESS, &reply, size, false);
	} else {
		struct reply_outofline reply = reply_outofline(copy, count);
		krpc_reply_data(thread, KERN_SUCCESS, &reply, sizeof(reply), true);
	}
}

/* Nobody gets the reply any more. */
static void request_lost(struct krpc_later *request)
{
	struct device *device = request->object;

	TAILQ_REMOVE(&device->requests, request, link);
	vm_copy_discard((struct vm_copy *)request->word[WORD_COPY]);
}

/* An unlinked request gets no data. */
static void request_reply(struct krpc_later *request, kern_return_t code)
{
	struct reply_inband reply = {0};

	vm_copy_discard((struct vm_copy *)request->word[WORD_COPY]);
	krpc_later_reply(request, code, &reply, sizeof(reply.head), false);
}

/* Input is there, for the first request. */
static void request_serve(struct device *device, struct krpc_later *request)
{
	struct vm_copy *copy = (struct vm_copy *)request->word[WORD_COPY];
	char bytes[READ_MAX];
	uint32_t count = device->chars->peek(bytes, request->word[WORD_WANTED]);

	TAILQ_REMOVE(&device->requests, request, link);
	device->chars->drop(count);
	if (copy) {
		struct reply_outofline reply = reply_outofline(copy, count);
		vm_copy_write(copy, 0, bytes, count);
		krpc_later_reply(request, KERN_SUCCESS, &reply, sizeof(reply), true);
	} else {
		struct reply_inband reply;
		uint32_t size = reply_inband(&reply, bytes, count);
		krpc_later_reply(request, KERN_SUCCESS, &reply, size, false);
	}
}

/* Serves requests that input is there for, or wakes the first reader, who then takes it. */
static void device_input(struct device *device)
{
	struct krpc_later *request;
	struct thread *reader;
	char byte;

	for (unsigned count = 0; count < WAKE_BATCH; count++) {
		request = TAILQ_FIRST(&device->requests);
		reader = TAILQ_FIRST(&device->readers);
		if ((!request && !reader) || device->chars->peek(&byte, 1) == 0)
			return;
		if (!request || (reader && reader->wait.word[WORD_TICKET] < request->word[WORD_TICKET])) {
			TAILQ_REMOVE(&device->readers, reader, wait.link);
			thread_wake(reader, D_SUCCESS);
			return;
		}
		request_serve(device, request);
	}
}

void device_ast(void)
{
	for (unsigned i = 0; i < device_count; i++)
		device_input(&devices[i]);
}

/* What a read of a RAM disk gives: *offset in bytes, and how many. D_INVALID_RECNUM beyond its
   end. */
static kern_return_t ramdisk_range(const struct device *device, recnum_t recnum, uint32_t wanted, uint64_t *offset,
				   uint32_t *count)
{
	if (recnum >= (device->size_bytes + RECORD_BYTES - 1) / RECORD_BYTES)
		return D_INVALID_RECNUM;
	*offset = recnum * RECORD_BYTES;
	*count = device->size_bytes - *offset < wanted ? device->size_bytes - *offset : wanted;
	return D_SUCCESS;
}

static kern_return_t read_check(const struct device *device, int wanted)
{
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (!device->chars && device->size_bytes == 0)
		return D_INVALID_OPERATION;
	return wanted > 0 ? D_SUCCESS : D_INVALID_SIZE;
}

/* The caller goes on; what the read will need is taken now. */
static kern_return_t read_request(struct device *device, struct thread *thread, uint32_t wanted, bool inband)
{
	struct krpc_later *request;
	struct vm_copy *copy = NULL;
	kern_return_t error = KERN_SUCCESS;

	if (!inband)
		error = vm_copy_alloc(wanted, thread->task->ledger, &copy);
	if (error == KERN_SUCCESS)
		error = krpc_keep(thread, request_lost, &request);
	if (error != KERN_SUCCESS) {
		vm_copy_discard(copy);
		return error;
	}
	request->object = device;
	request->word[WORD_WANTED] = wanted;
	request->word[WORD_TICKET] = device->tickets++;
	request->word[WORD_COPY] = (uint64_t)copy;
	TAILQ_INSERT_TAIL(&device->requests, request, link);
	return MIG_NO_REPLY;
}

static kern_return_t read_later(struct device *device, dev_mode_t mode, uint32_t wanted, bool inband)
{
	struct thread *thread = thread_current();

	if (mode & D_NOWAIT)
		return D_WOULD_BLOCK;
	if (!krpc_is_direct(thread))
		return read_request(device, thread, wanted, inband);
	reader_wait(device, thread, wanted, inband);
	return KRPC_BLOCKED;
}

kern_return_t device_read(struct device *device, struct port *reply_port, dev_mode_t mode, recnum_t recnum, int wanted,
			  struct vm_copy **data, mach_msg_type_number_t *size)
{
	struct ledger *payer = thread_current()->task->ledger;
	kern_return_t error = read_check(device, wanted);
	char bytes[READ_MAX];
	uint64_t offset;

	(void)reply_port;
	if (error != D_SUCCESS)
		return error;
	if (!device->chars) {
		error = ramdisk_range(device, recnum, wanted, &offset, size);
		return error == D_SUCCESS ? vm_copy_from_object(device->object, offset, *size, payer, data) : error;
	}
	uint32_t most = (uint32_t)wanted < READ_MAX ? (uint32_t)wanted : READ_MAX;
	*size = device->chars->peek(bytes, most);
	if (*size == 0)
		return read_later(device, mode, most, false);
	error = vm_copy_from_kernel(bytes, *size, payer, data);
	if (error == KERN_SUCCESS)
		device->chars->drop(*size);
	return error;
}

/* Bytes of an object that never lacks a page. */
static void object_bytes(struct vm_object *object, uint64_t offset, char *to, uint32_t count)
{
	while (count > 0) {
		uint32_t in_page = PAGE_SIZE - offset % PAGE_SIZE, step = count < in_page ? count : in_page;
		memcpy(to, (char *)page_address(vm_object_page(object, offset / PAGE_SIZE)) + offset % PAGE_SIZE, step);
		offset += step;
		to += step;
		count -= step;
	}
}

kern_return_t device_read_inband(struct device *device, struct port *reply_port, dev_mode_t mode, recnum_t recnum,
				 int wanted, char *data, mach_msg_type_number_t *size)
{
	kern_return_t error = read_check(device, wanted);
	uint32_t most = wanted < IO_INBAND_MAX ? wanted : IO_INBAND_MAX;
	uint64_t offset;

	(void)reply_port;
	if (error != D_SUCCESS)
		return error;
	if (!device->chars) {
		error = ramdisk_range(device, recnum, most, &offset, size);
		if (error == D_SUCCESS)
			object_bytes(device->object, offset, data, *size);
		return error;
	}
	*size = device->chars->peek(data, most);
	if (*size == 0)
		return read_later(device, mode, most, true);
	device->chars->drop(*size);
	return D_SUCCESS;
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
	uint64_t unit = device && device->size_bytes > 0 ? RECORD_BYTES : 1;
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
	char bytes[READ_MAX];
	uint32_t got;

	(void)status;
	(void)count;
	if (!device_alive(device))
		return D_NO_SUCH_DEVICE;
	if (!device->chars || flavor != TTY_FLUSH)
		return D_INVALID_OPERATION;
	got = device->chars->peek(bytes, sizeof(bytes));
	device->chars->drop(got);
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
