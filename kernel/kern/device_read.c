/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading from devices.

   A read that must wait makes its thread wait only when that thread receives the reply in the same call. Else
   (device_read_request) the caller goes on, and the read is kept in the memory of its reply (ipc/krpc_later.c), with
   the page of its data when that goes out of line: so what is kept is bounded by the caller's ledger, and serving it
   allocates nothing. It ends with input, with the last close, or when the reply port dies.
   Both kinds are served in the order of their coming.
   Input is consumed only when it has been delivered: a read that is denied loses nothing. */
#include <device/device_types.h>
#include <mach/mig_errors.h>
#include "device_server.h"
#include "ipc/krpc.h"
#include "kern/device.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "vm/copy.h"
#include "vm/object.h"
#include "x86_64/machine.h"

/* Bytes of one call, at most: the caller gets the number back and goes on. */
#define READ_MAX 512u
#define WAKE_BATCH 32u

/* Of a reader's wait record, or of a request, which has the last too. */
enum { WORD_WANTED, WORD_INBAND, WORD_TICKET, WORD_COPY };

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

static const struct wait_kind reading = { "device read", reader_woken, reader_cancel, false };

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

void device_input(struct device *device)
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

void device_readers_dismiss(struct device *device)
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

/* What a read of a RAM disk gives: *offset in bytes, and how many. D_INVALID_RECNUM beyond its
   end. */
static kern_return_t ramdisk_range(const struct device *device, recnum_t recnum, uint32_t wanted, uint64_t *offset,
				   uint32_t *count)
{
	if (recnum >= (device->size_bytes + DEVICE_RECORD_BYTES - 1) / DEVICE_RECORD_BYTES)
		return D_INVALID_RECNUM;
	*offset = recnum * DEVICE_RECORD_BYTES;
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
