/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices of servers: null, zero, full, random; memory disks and their bounds; and the names
 * that the console keeps of them.
 * RUN: in root devices_test
 */
#include <console_user.h>
#include <device_request_user.h>
#include <device_user.h>
#include <mach.h>
#include <mach/device_file.h>
#include <mach/program.h>
#include <md_user.h>
#include <null_user.h>
#include <string.h>
#include <weir_user.h>
#include "snapshot.h"
#include "tap.h"

#define PAGE		4096u
#define TRANSFER_MAX	(64u * 1024)	/* of the servers */
#define DISK_SIZE	(3 * PAGE + 100)

static mach_port_t self, md;		/* md: looked up before the test begins, and kept */
static char small[IO_INBAND_MAX];

static struct device_file file(const char *name)
{
	struct device_file opened;

	need(device_file_open(name, D_READ | D_WRITE, &opened), name);
	return opened;
}

static unsigned others(const char *data, size_t size, char byte)
{
	unsigned count = 0;

	for (size_t i = 0; i < size; i++)
		count += data[i] != byte;
	return count;
}

/* Reads out of line; how many bytes came. */
static mach_msg_type_number_t read_long(device_t device, uint64_t at, int wanted, io_buf_ptr_t *data)
{
	mach_msg_type_number_t count = 0;

	*data = NULL;
	need(device_read(device, 0, at, wanted, data, &count), "a long read");
	return count;
}

static void give_back(io_buf_ptr_t data, size_t size)
{
	if (size > 0)
		need(vm_deallocate(self, (vm_address_t)data, size), "what was read");
}

static void null_device(void)
{
	struct device_file null = file("/dev/null");
	mach_msg_type_number_t count = 99;
	io_buf_ptr_t data;
	int written;

	is_code(device_read_inband(null.device, 0, 0, 128, small, &count), D_SUCCESS, "null can be read");
	is(count, 0, "and is empty");
	is(read_long(null.device, 0, 100000, &data), 0, "out of line too");
	is_code(device_write_inband(null.device, 0, 0, small, 77, &written), D_SUCCESS, "it can be written");
	is((uint64_t)written, 77, "and takes all");
	is_code(device_open(null.device, D_READ, "null", &null.device), D_INVALID_OPERATION,
		"what was opened opens nothing");
	device_file_close(&null);
}

static void zero_and_full(void)
{
	static const int wild[] = { 1, 128, 129, 4096, 5000, 65536, 65537, 0x7fffffff };
	struct device_file zero = file("zero"), full = file("/dev/full");
	mach_msg_type_number_t count;
	io_buf_ptr_t data;
	int written = 7;

	for (unsigned i = 0; i < sizeof wild / sizeof wild[0]; i++) {
		uint64_t expected = (uint64_t)wild[i] < TRANSFER_MAX ? (uint64_t)wild[i] : TRANSFER_MAX;

		is(read_long(zero.device, 0, wild[i], &data), expected, "%d bytes of zero out of line, 64K at most",
		   wild[i]);
		is(others(data, expected, 0), 0, "all of them zeros");
		give_back(data, expected);
	}
	is(read_long(full.device, ~0ul, 300, &data), 300, "full can be read, wherever");
	is(others(data, 300, 0), 0, "as zeros");
	give_back(data, 300);
	memset(small, 'x', sizeof small);
	is_code(device_read_inband(zero.device, 0, 5, 1000, small, &count), D_SUCCESS, "in line too");
	is(count, 128, "128 bytes at most");
	is(others(small, 128, 0), 0, "all zeros");
	is_code(device_read_inband(zero.device, 0, 0, -1, small, &count), D_INVALID_SIZE, "not fewer than none");
	is_code(device_read(zero.device, 0, 0, -5, &data, &count), D_INVALID_SIZE, "out of line neither");
	is_code(device_write_inband(zero.device, 0, 0, small, 3, &written), D_SUCCESS, "zero can be written");
	is_code(device_write_inband(full.device, 0, 0, small, 3, &written), D_NO_MEMORY, "full refuses: no space");
	is_code(device_write(full.device, 0, 0, small, sizeof small, &written), D_NO_MEMORY, "out of line too");
	is_code(device_write_inband(full.device, 0, 0, small, 0, &written), D_SUCCESS, "nothing fits");
	device_file_close(&zero);
	device_file_close(&full);
}

static void random_device(void)
{
	struct device_file random = file("random"), urandom = file("urandom");
	io_buf_ptr_t one, two;
	unsigned ones = 0;

	is(read_long(random.device, 0, 8192, &one), 8192, "random numbers can be read");
	is(read_long(urandom.device, 0, 8192, &two), 8192, "by both names");
	ok(memcmp(one, two, 8192) != 0, "not the same twice");
	for (unsigned i = 0; i < 8192; i++)
		ones += (unsigned)__builtin_popcount((unsigned char)one[i]);
	/* 65536 bits: five deviations are 640. */
	is_between(ones, 32768 - 640, 32768 + 640, "half of the bits are ones");
	give_back(one, 8192);
	give_back(two, 8192);
	device_file_close(&random);
	device_file_close(&urandom);
}

static int make_disk(uint64_t size, bool reserve, kern_return_t *outcome)
{
	ledger_denial_t denial;
	uint64_t available;
	int unit = -1;

	need(md_create(md, -1, size, reserve, outcome, &unit, &available, &denial), "a call for a disk");
	return unit;
}

static struct device_file disk_file(int unit)
{
	char name[32];

	snprintf(name, sizeof name, "/dev/md%d", unit);
	return file(name);
}

/* What is told of the disk. */
static uint64_t bytes_there(int unit)
{
	uint64_t size = 0, used = 0;
	boolean_t reserved;
	natural_t opens;
	int found = -1;

	need(md_next(md, unit, &found, &size, &used, &reserved, &opens), "the disk");
	is((uint64_t)found, (uint64_t)unit, "the disk is listed");
	return used;
}

static void disk_bounds(const struct device_file *disk)
{
	size_t done;
	int written;
	mach_msg_type_number_t count;
	static char text[PAGE];

	memset(text, 'A', sizeof text);
	is_code(device_file_write(disk, 2 * PAGE + 50, text, PAGE, &done), D_SUCCESS, "a write across pages");
	is_code(device_write_inband(disk->device, 0, DISK_SIZE - 5, text, 100, &written), D_SUCCESS,
		"a write across the end");
	is((uint64_t)written, 5, "is cut there");
	is_code(device_write_inband(disk->device, 0, DISK_SIZE, text, 1, &written), D_INVALID_RECNUM,
		"none begins behind it");
	is_code(device_write(disk->device, 0, ~0ul, text, PAGE, &written), D_INVALID_RECNUM, "nor the wildest");
	is_code(device_read_inband(disk->device, 0, DISK_SIZE - 5, 100, small, &count), D_SUCCESS,
		"a read across the end");
	is(count, 5, "is cut there");
	is(others(small, 5, 'A'), 0, "and tells what was written");
	is_code(device_read_inband(disk->device, 0, ~0ul - 3, 100, small, &count), D_SUCCESS, "behind it");
	is(count, 0, "there is nothing");
	is_code(device_read_inband(disk->device, 0, 0, -1, small, &count), D_INVALID_SIZE, "no fewer");
}

static void reserved_disk(void)
{
	kern_return_t outcome;
	int unit = make_disk(DISK_SIZE, true, &outcome);
	struct device_file disk, again;
	io_buf_ptr_t data;
	mach_msg_type_number_t count;

	if (!is_code(outcome, KERN_SUCCESS, "a reserved disk is made"))
		return;
	is(bytes_there(unit), 4 * PAGE, "with all its pages");
	disk = disk_file(unit);
	is(read_long(disk.device, 0, DISK_SIZE + 1, &data), DISK_SIZE, "it is as large as it was asked for");
	is(others(data, DISK_SIZE, 0), 0, "and zero");
	give_back(data, DISK_SIZE);
	disk_bounds(&disk);
	is_code(md_remove(md, unit, FALSE), D_ALREADY_OPEN, "an open disk is not removed");
	again = disk_file(unit);
	is_code(device_close(disk.device), D_SUCCESS, "closed once");
	is_code(device_close(disk.device), D_SUCCESS, "closed twice");
	is_code(md_remove(md, unit, FALSE), D_ALREADY_OPEN, "it is still open elsewhere");
	is_code(md_remove(md, unit, TRUE), KERN_SUCCESS, "by force it is removed");
	is_code(device_read_inband(again.device, 0, 0, 1, small, &count), D_NO_SUCH_DEVICE,
		"who has it open finds it gone");
	outcome = KERN_FAILURE;
	is((uint64_t)make_disk(PAGE, true, &outcome), (uint64_t)unit, "another disk takes the unit");
	is_code(device_read_inband(again.device, 0, 0, 1, small, &count), D_NO_SUCH_DEVICE,
		"and is not taken for the one that is gone");
	give_back_right(disk.device);
	device_file_close(&again);
	is_code(md_remove(md, unit, FALSE), KERN_SUCCESS, "it can be removed: it is not open");
	is_code(md_remove(md, unit, FALSE), D_NO_SUCH_DEVICE, "once");
}

/* Pages that the sender has never touched cost nobody anything until the disk has them. */
static void growing_disk(void)
{
	kern_return_t outcome;
	int unit = make_disk(1ul << 30, false, &outcome), written = 0;
	struct device_file disk;
	vm_address_t memory = 0;
	io_buf_ptr_t data;

	if (!is_code(outcome, KERN_SUCCESS, "a disk that reserves nothing may be larger than the machine"))
		return;
	is(bytes_there(unit), 0, "nothing of it is there");
	disk = disk_file(unit);
	is(read_long(disk.device, 500 * PAGE, 3 * PAGE, &data), 3 * PAGE, "it can be read");
	is(others(data, 3 * PAGE, 0), 0, "as zeros");
	give_back(data, 3 * PAGE);
	is(bytes_there(unit), 0, "and takes nothing by that");
	need(vm_allocate(self, &memory, 64 * PAGE, TRUE), "memory");
	is_code(device_write(disk.device, 0, 700 * PAGE + 10, (io_buf_ptr_t)memory, 20 * PAGE, &written), D_SUCCESS,
		"memory that is not there yet can be written");
	is((uint64_t)written, 16 * PAGE, "64K of it at once");
	is(bytes_there(unit), 17 * PAGE, "and takes the pages it lies in");
	need(vm_deallocate(self, memory, 64 * PAGE), "memory");
	device_file_close(&disk);
	is_code(md_remove(md, unit, FALSE), KERN_SUCCESS, "it is removed");
}

/* How many reads of 64K are more than the disks' ledger can have. */
static unsigned too_many_reads(void)
{
	weir_memory_info_t memory;

	need(weir_memory_info(test_host_priv(), &memory), "what memory there is");
	return (unsigned)(memory.ram_pages / (TRANSFER_MAX / PAGE));
}

/* A client that asks for data and does not take it, beside one that wants its disk. */
static void greedy_client(void)
{
	kern_return_t outcome;
	int unit = make_disk(TRANSFER_MAX, true, &outcome), written;
	struct device_file disk;
	mach_msg_type_number_t count;
	mach_port_t replies = MACH_PORT_NULL;
	io_buf_ptr_t data;
	static char text[PAGE];
	size_t done;

	if (!is_code(outcome, KERN_SUCCESS, "a disk of 64K"))
		return;
	disk = disk_file(unit);
	need(mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &replies), "a port");
	for (unsigned i = too_many_reads(); i > 0; i--)
		need(device_read_request(disk.device, replies, 0, 0, TRANSFER_MAX), "a request");
	is_code(device_read(disk.device, 0, 0, TRANSFER_MAX, &data, &count), D_NO_MEMORY,
		"when one client takes no answers another read is refused");
	memset(text, 'B', sizeof text);
	is_code(device_file_write(&disk, 100, text, sizeof text, &done), D_SUCCESS, "what is reserved can be written");
	is_code(device_write_inband(disk.device, 0, 1, text, 9, &written), D_SUCCESS, "in line too");
	is_code(device_read_inband(disk.device, 0, sizeof text - 50, 100, small, &count), D_SUCCESS, "and read in line");
	is(others(small, 100, 'B'), 0, "as it was written");
	need(mach_port_mod_refs(self, replies, MACH_PORT_RIGHT_RECEIVE, -1), "the port");
	is(read_long(disk.device, 100, 3 * PAGE, &data), 3 * PAGE, "when the answers are gone it is read again");
	is(others(data, sizeof text, 'B'), 0, "as it was written");
	give_back(data, 3 * PAGE);
	device_file_close(&disk);
	is_code(md_remove(md, unit, FALSE), KERN_SUCCESS, "it is removed");
}

static void nonsense(void)
{
	kern_return_t outcome;
	ledger_denial_t denial;
	uint64_t available;
	int unit;

	is_code(md_create(md, -1, 0, TRUE, &outcome, &unit, &available, &denial), KERN_INVALID_ARGUMENT,
		"no disk of no bytes");
	is_code(md_create(md, -1, ~0ul, FALSE, &outcome, &unit, &available, &denial), KERN_INVALID_ARGUMENT,
		"nor of all");
	is_code(md_create(md, 1000000, 1, FALSE, &outcome, &unit, &available, &denial), KERN_INVALID_ARGUMENT,
		"nor a millionth");
	is_code(md_create(md, -1, 1ul << 40, TRUE, &outcome, &unit, &available, &denial), KERN_SUCCESS,
		"a call for more than there is");
	is_code(outcome, KERN_RESOURCE_SHORTAGE, "is refused");
	is_text(denial.ledger, "md", "and the ledger is told");
	is_code(md_remove(md, -1, TRUE), D_NO_SUCH_DEVICE, "what is not there is not removed");
	is_code(md_remove(md, 64, TRUE), D_NO_SUCH_DEVICE, "nor beyond the last");
}

static void names(void)
{
	mach_port_t port = MACH_PORT_NULL, console = program_console();

	need(mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	need(mach_port_insert_right(self, port, port, MACH_MSG_TYPE_MAKE_SEND), "a right");
	is_code(console_register_name(console, "md9", port), KERN_NO_ACCESS, "no mere program registers a device");
	is_code(console_register_name(console, "null", port), KERN_NO_ACCESS, "nor takes a name that exists");
	is_code(console_withdraw_name(console, "zero"), KERN_NO_ACCESS, "nor withdraws one");
	is_code(program_lookup("md9", &console), KERN_INVALID_NAME, "nothing of it is found");
	give_back_right(port);
	mach_port_mod_refs(self, port, MACH_PORT_RIGHT_RECEIVE, -1);
}

/* What the server takes once and keeps is there before the test looks. */
static void warm_up(void)
{
	struct device_file disk;
	ledger_denial_t denial;
	kern_return_t outcome;
	uint64_t available;
	int unit;

	if (program_lookup("md", &md) != KERN_SUCCESS ||
	    md_create(md, -1, PAGE, TRUE, &outcome, &unit, &available, &denial) != KERN_SUCCESS)
		return;
	if (device_file_open("md0", D_READ, &disk) == KERN_SUCCESS)
		device_file_close(&disk);
	md_remove(md, unit, FALSE);
}

int main(int argc, char **argv)
{
	warm_up();
	test_begin(argc, argv, 60);
	self = mach_task_self();
	if (md == MACH_PORT_NULL)
		give_up("the server of memory disks is there");
	null_device();
	zero_and_full();
	random_device();
	reserved_disk();
	growing_disk();
	greedy_client();
	nonsense();
	names();
	return done_testing();
}
