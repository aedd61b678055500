/* SPDX-License-Identifier: BSD-2-Clause */
/* The archive of programs, mapped as a whole: its pages are the boot module's. */
#include "archive.h"
#include <device_user.h>
#include <mach.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK		512
#define READ_MAX	(1 << 20)	/* bytes of one device_read */

static const char *image;
static size_t image_size;

/* Parts of a ustar header that count here. */
struct header {
	char name[100];
	char unused1[24];
	char size[12];
	char unused2[12];
	char checksum[8];
	char type;
	char unused3[100];
	char magic[6];
	char unused4[249];
};
_Static_assert(sizeof(struct header) == BLOCK, "a ustar header is a block");

static bool parse_octal(const char *text, size_t digits, uint64_t *value)
{
	size_t i = 0;

	*value = 0;
	while (i < digits && text[i] == ' ')
		i++;
	for (; i < digits && text[i] >= '0' && text[i] <= '7'; i++)
		*value = *value * 8 + (uint64_t)(text[i] - '0');
	return i == digits || text[i] == '\0' || text[i] == ' ';
}

/* The bytes of the header with the checksum's own as spaces. */
static bool checksum_is_right(const struct header *header)
{
	const unsigned char *bytes = (const unsigned char *)header;
	size_t from = offsetof(struct header, checksum), to = from + sizeof header->checksum;
	uint64_t sum = 0, want;

	for (size_t i = 0; i < sizeof *header; i++)
		sum += i >= from && i < to ? ' ' : bytes[i];
	return parse_octal(header->checksum, sizeof header->checksum, &want) && want == sum;
}

bool archive_next(size_t *at, struct archive_file *file)
{
	while (image_size >= BLOCK && *at <= image_size - BLOCK) {
		const struct header *header = (const struct header *)(const void *)(image + *at);
		size_t room = image_size - *at - BLOCK;
		uint64_t size;

		if (memcmp(header->magic, "ustar", 5) != 0 || !checksum_is_right(header) ||
		    !parse_octal(header->size, sizeof header->size, &size) || size > room)
			return false;
		file->data = image + *at + BLOCK;
		file->size = size;
		memcpy(file->name, header->name, sizeof header->name);
		file->name[sizeof header->name] = '\0';
		if (strncmp(file->name, "./", 2) == 0)
			memmove(file->name, file->name + 2, sizeof file->name - 2);
		*at += BLOCK + ((size + BLOCK - 1) & ~(uint64_t)(BLOCK - 1));
		if (header->type == '0' || header->type == '\0')
			return true;
	}
	return false;
}

bool archive_find(const char *name, struct archive_file *file)
{
	size_t at = 0;

	while (archive_next(&at, file)) {
		if (strcmp(file->name, name) == 0)
			return true;
	}
	return false;
}

static size_t device_size(mach_port_t device)
{
	int status[DEV_GET_SIZE_COUNT];
	mach_msg_type_number_t count = DEV_GET_SIZE_COUNT;

	if (device_get_status(device, DEV_GET_SIZE, status, &count) != D_SUCCESS ||
	    count < DEV_GET_SIZE_COUNT)
		return 0;
	return (size_t)(unsigned)status[DEV_GET_SIZE_DEVICE_SIZE];
}

static kern_return_t map_device(mach_port_t device, vm_address_t *address, size_t size)
{
	mach_port_t pager = MACH_PORT_NULL;
	kern_return_t code = device_map(device, VM_PROT_READ, 0, size, &pager, 0);

	if (code != D_SUCCESS)
		return code;
	code = vm_map(mach_task_self(), address, round_page(size), 0, TRUE, pager, 0, FALSE,
		      VM_PROT_READ, VM_PROT_READ, VM_INHERIT_NONE);
	give_back_right(pager);
	return code;
}

/* Piece by piece, for devices that cannot be mapped; recnum counts records of the size they tell. */
static kern_return_t read_device(mach_port_t device, vm_address_t *address, size_t size)
{
	kern_return_t code = memory_allocate(address, size);

	for (size_t at = 0; code == KERN_SUCCESS && at < size;) {
		size_t wanted = size - at < READ_MAX ? size - at : READ_MAX;
		io_buf_ptr_t data = NULL;
		mach_msg_type_number_t got = 0;

		code = device_read(device, 0, at / BLOCK, (int)wanted, &data, &got);
		if (code != D_SUCCESS)
			break;
		if (got == 0 || got > wanted)
			return KERN_FAILURE;
		memcpy((char *)*address + at, data, got);
		give_back_memory((vm_address_t)data, got);
		at += got;
		if (at % BLOCK != 0)
			break;
	}
	return code;
}

void archive_open(mach_port_t device_master)
{
	mach_port_t device;
	vm_address_t address = 0;
	size_t size;
	kern_return_t code = device_open(device_master, D_READ, "rd0", &device);

	if (code != D_SUCCESS) {
		printf("bootstrap: no programs: rd0: %s\n", mach_error_string(code));
		return;
	}
	size = device_size(device);
	code = size > 0 ? map_device(device, &address, size) : D_INVALID_SIZE;
	if (code != KERN_SUCCESS && size > 0)
		code = read_device(device, &address, size);
	if (code != KERN_SUCCESS) {
		printf("bootstrap: no programs: rd0: %s\n", mach_error_string(code));
		return;
	}
	image = (const char *)address;
	image_size = size;
}
