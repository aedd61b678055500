/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices of servers as files. */
#include <mach/device_file.h>
#include <device_user.h>
#include <mach.h>
#include <mach/program.h>
#include <null_user.h>
#include <stdio.h>
#include <string.h>

static const char folder[] = "/dev/";

/* Every server of devices has the call, with one id. */
static uint64_t count_denials(mach_port_t server, ledger_denial_t *denial)
{
	uint64_t count = 0;

	return null_last_denial(server, denial, &count) == KERN_SUCCESS ? count : 0;
}

kern_return_t device_file_open(const char *name, dev_mode_t mode, struct device_file *file)
{
	int status[DEV_GET_SIZE_COUNT];
	mach_msg_type_number_t count = DEV_GET_SIZE_COUNT;
	ledger_denial_t denial;
	mach_port_t server;
	kern_return_t code;

	if (strncmp(name, folder, sizeof folder - 1) == 0)
		name += sizeof folder - 1;
	/* The name is an array of fixed size in the message. */
	if (strlen(name) >= 32)
		return KERN_INVALID_NAME;
	code = program_lookup(name, &server);
	if (code != KERN_SUCCESS)
		return code;
	file->denials = count_denials(server, &denial);
	code = device_open(server, mode, name, &file->device);
	give_back_right(server);
	if (code != D_SUCCESS)
		return code;
	file->record = 1;
	if (device_get_status(file->device, DEV_GET_SIZE, status, &count) == D_SUCCESS &&
	    status[DEV_GET_SIZE_RECORD_SIZE] > 0)
		file->record = (uint64_t)status[DEV_GET_SIZE_RECORD_SIZE];
	return D_SUCCESS;
}

void device_file_close(struct device_file *file)
{
	device_close(file->device);
	give_back_right(file->device);
	file->device = MACH_PORT_NULL;
}

static kern_return_t read_some(const struct device_file *file, uint64_t offset, char *to, size_t size,
			       size_t *got)
{
	mach_msg_type_number_t count = 0;
	io_buf_ptr_t data = NULL;
	kern_return_t code;

	*got = 0;
	/* What was sent from there is shared until it is written to. */
	code = memory_touch((vm_address_t)to, size);
	if (code != KERN_SUCCESS)
		return code;
	if (size <= IO_INBAND_MAX) {
		char small[IO_INBAND_MAX];

		code = device_read_inband(file->device, 0, offset / file->record, (int)size, small, &count);
		if (code != D_SUCCESS)
			return code;
		*got = count < size ? count : size;
		memcpy(to, small, *got);
		return D_SUCCESS;
	}
	code = device_read(file->device, 0, offset / file->record, (int)size, &data, &count);
	if (code != D_SUCCESS || count == 0)
		return code;
	*got = count < size ? count : size;
	code = memory_touch((vm_address_t)data, count);
	if (code == KERN_SUCCESS)
		memcpy(to, data, *got);
	give_back_memory((vm_address_t)data, count);
	return code;
}

#define AT_ONCE_MAX	(1 << 20)	/* bytes of one call; servers take what they like of it */

static size_t at_once(size_t size)
{
	return size < AT_ONCE_MAX ? size : AT_ONCE_MAX;
}

kern_return_t device_file_read(const struct device_file *file, uint64_t offset, char *to, size_t size,
			       size_t *done)
{
	size_t got;

	*done = 0;
	if (offset % file->record != 0)
		return D_INVALID_RECNUM;
	while (*done < size) {
		kern_return_t code = read_some(file, offset + *done, to + *done, at_once(size - *done),
					       &got);

		if (code != D_SUCCESS)
			return code;
		*done += got;
		/* The next call would have to begin inside a record. */
		if (got == 0 || *done % file->record != 0)
			break;
	}
	return D_SUCCESS;
}

static kern_return_t write_some(const struct device_file *file, uint64_t offset, const char *from,
				size_t size, size_t *put)
{
	recnum_t record = offset / file->record;
	int written = 0;
	kern_return_t code;

	if (size <= IO_INBAND_MAX)
		code = device_write_inband(file->device, 0, record, from, (mach_msg_type_number_t)size,
					   &written);
	else
		code = device_write(file->device, 0, record, (io_buf_ptr_t)(uintptr_t)from,
				    (mach_msg_type_number_t)size, &written);
	*put = code == D_SUCCESS && written > 0 ? (size_t)written : 0;
	return code;
}

kern_return_t device_file_write(const struct device_file *file, uint64_t offset, const char *from,
				size_t size, size_t *done)
{
	size_t put;

	*done = 0;
	if (offset % file->record != 0)
		return D_INVALID_RECNUM;
	while (*done < size) {
		kern_return_t code = write_some(file, offset + *done, from + *done,
						at_once(size - *done), &put);

		if (code != D_SUCCESS)
			return code;
		if (put == 0 || put > size - *done)
			return D_IO_ERROR;
		*done += put;
	}
	return D_SUCCESS;
}

char *device_file_error(const struct device_file *file, kern_return_t code,
			char text[DEVICE_FILE_TEXT_MAX])
{
	char told[LEDGER_DENIAL_MAX];
	ledger_denial_t denial;

	if (code == D_NO_MEMORY && count_denials(file->device, &denial) > file->denials)
		snprintf(text, DEVICE_FILE_TEXT_MAX, "No space (%s)", ledger_denial_string(&denial, told));
	else if (code == D_NO_MEMORY)
		snprintf(text, DEVICE_FILE_TEXT_MAX, "No space");
	else if (code == D_INVALID_RECNUM)
		snprintf(text, DEVICE_FILE_TEXT_MAX, "No space (the device ends there)");
	else
		snprintf(text, DEVICE_FILE_TEXT_MAX, "%s", mach_error_string(code));
	return text;
}
