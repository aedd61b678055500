/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices: opening by name, writing and reading in and out of line, the mapped time, the
 * memory disk, and what each refuses (GNU Mach manual, Device Interface).
 * RUN: in root device_test
 */
#include <string.h>
#include <device/device_types.h>
#include <device_user.h>
#include <mach/threads.h>
#include <mach/time_value.h>
#include <mach_debug_user.h>
#include <weir_user.h>
#include "child.h"
#include "master.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PAGE	4096u

static mach_port_t self, master;

static device_t device(const char *name)
{
	device_t got = MACH_PORT_NULL;

	need(device_open(master, D_READ | D_WRITE, name, &got), name);
	return got;
}

static void close_device(device_t port)
{
	need(device_close(port), "a device to be closed");
	mach_port_deallocate(self, port);
}

static void opening(void)
{
	static const char *const bad[] = { "", "com2", "consol", "console0", "rd", "rd99", "Time", "/dev/console", " time" };
	char longest[128];
	device_t port = MACH_PORT_NULL, other = MACH_PORT_NULL;
	unsigned refused = 0;

	for (unsigned i = 0; i < countof(bad); i++)
		refused += device_open(master, D_READ, bad[i], &port) == D_NO_SUCH_DEVICE;
	is(refused, countof(bad), "names of no device are refused");
	memset(longest, 'x', sizeof longest);
	longest[127] = '\0';
	is_code(device_open(master, D_READ, longest, &port), D_NO_SUCH_DEVICE, "so is the longest name");
	is_code(device_open(self, D_READ, "time", &port), D_INVALID_OPERATION, "devices are opened at the master port only");
	is_code(device_open(master, D_READ, "time", &port), KERN_SUCCESS, "a device can be opened");
	is_code(device_open_new(master, D_READ, "time", &other), KERN_SUCCESS, "and again, by the newer call");
	ok(port == other && port_refs(port, MACH_PORT_RIGHT_SEND) == 2, "by the same port");
	is_code(device_close(port), KERN_SUCCESS, "it can be closed");
	is_code(device_close(test_thread()), D_NO_SUCH_DEVICE, "what is no device cannot");
	is_code(device_close(other), KERN_SUCCESS, "nor more often than it was opened");
	mach_port_deallocate(self, port);
	mach_port_deallocate(self, other);
}

static void writing(void)
{
	device_t console = device("console"), time = device("time");
	static char text[] = "device_test writes to the console, and this is all of it\r\n";
	vm_address_t pages = 0;
	char bytes[128];
	int written = -1;

	is_code(device_write_inband(console, 0, 0, text, sizeof text - 1, &written), KERN_SUCCESS, "bytes can be written");
	is((uint64_t)written, sizeof text - 1, "all of them");
	written = -1;
	is_code(device_write_inband(console, 0, 0, text, 0, &written), KERN_SUCCESS, "no bytes can be written");
	is((uint64_t)written, 0, "none of them");
	memset(bytes, ' ', sizeof bytes);
	bytes[127] = '\r';
	is_code(device_write_inband(console, 0, 0, bytes, 128, &written), KERN_SUCCESS, "128 bytes can be written");
	need(vm_allocate(self, &pages, 2 * PAGE, TRUE), "memory");
	memset((void *)pages, '\r', 2 * PAGE);
	written = -1;
	is_code(device_write(console, 0, 0, (io_buf_ptr_t)pages, 100, &written), KERN_SUCCESS,
		"bytes can be written out of line");
	is((uint64_t)written, 100, "all of them");
	written = -1;
	is_code(device_write(console, 0, 0, (io_buf_ptr_t)pages, 2 * PAGE, &written), KERN_SUCCESS,
		"more than a device takes at once can be offered");
	is_between((uint64_t)written, 1, 2 * PAGE, "and it says how many it took");
	is_code(device_write(console, 0, 0, (io_buf_ptr_t)pages + PAGE + 4000, PAGE, &written), MACH_SEND_INVALID_MEMORY,
		"bytes that are not there cannot be written");
	is_code(device_write_inband(time, 0, 0, text, 4, &written), D_INVALID_OPERATION, "the time cannot be written");
	is_code(device_write(time, 0, 0, (io_buf_ptr_t)pages, 4, &written), D_INVALID_OPERATION, "not out of line either");
	need(vm_deallocate(self, pages, 2 * PAGE), "memory");
	is_code(device_write_inband(test_thread(), 0, 0, text, 4, &written), D_NO_SUCH_DEVICE, "a thread is no device");
	close_device(console);
	close_device(time);
}

struct reader {
	device_t device;
	kern_return_t code;
};

static void read_main(void *argument)
{
	struct reader *reader = argument;
	mach_msg_type_number_t count = 0;
	char bytes[128];

	reader->code = device_read_inband(reader->device, 0, 0, 10, bytes, &count);
}

static void reading(void)
{
	device_t com = device("com1"), time = device("time");
	static struct reader reader;
	struct thread *thread;
	mach_msg_type_number_t count = 77;
	io_buf_ptr_t data = NULL;
	char bytes[128];

	/* Nobody types on the test's port. */
	is_code(device_read_inband(com, D_NOWAIT, 0, 10, bytes, &count), D_WOULD_BLOCK, "without input a read would wait");
	is_code(device_read(com, D_NOWAIT, 0, 10, &data, &count), D_WOULD_BLOCK, "out of line too");
	is_code(device_read_inband(com, D_NOWAIT, 0, 0, bytes, &count), D_INVALID_SIZE, "no bytes cannot be read");
	is_code(device_read_inband(com, D_NOWAIT, 0, -1, bytes, &count), D_INVALID_SIZE, "nor fewer");
	is_code(device_read(com, D_NOWAIT, 0, -0x7fffffff, &data, &count), D_INVALID_SIZE, "nor by far fewer");
	is_code(device_read_inband(time, 0, 0, 10, bytes, &count), D_INVALID_OPERATION, "the time cannot be read");
	is_code(device_read_inband(test_thread(), 0, 0, 10, bytes, &count), D_NO_SUCH_DEVICE, "nor a thread");
	reader.device = com;
	need(thread_spawn(read_main, &reader, 0, &thread), "a thread");
	ok(thread_await_waiting(thread->port, 10000), "a read waits for input");
	need(thread_abort(thread->port), "thread_abort");
	thread_join(thread);
	ok(reader.code == KERN_INTERRUPTED || reader.code == KERN_ABORTED, "and can be aborted");
	if (reader.code != KERN_INTERRUPTED)
		diag("its code was %#x", (unsigned)reader.code);
	close_device(com);
	close_device(time);
}

static void the_time(void)
{
	device_t time = device("time");
	memory_object_t pager = MACH_PORT_NULL;
	vm_address_t at = 0;
	volatile struct mapped_time_value *now;
	mach_port_t host = mach_host_self();
	time_value64_t asked;
	unsigned good = 0;
	int64_t last = 0;

	is_code(device_map(time, VM_PROT_READ | VM_PROT_WRITE, 0, PAGE, &pager, 0), D_INVALID_OPERATION,
		"the time cannot be mapped for writing");
	is_code(device_map(time, VM_PROT_READ, 0, 2 * PAGE, &pager, 0), D_INVALID_SIZE, "nor more than there is of it");
	is_code(device_map(time, VM_PROT_READ, 8 * PAGE, PAGE, &pager, 0), D_INVALID_OPERATION, "nor beyond");
	is_code(device_map(time, VM_PROT_READ, 0, PAGE, &pager, 0), KERN_SUCCESS, "it can be mapped for reading");
	is_code(vm_map(self, &at, PAGE, 0, TRUE, pager, 0, FALSE, VM_PROT_READ | VM_PROT_WRITE,
		       VM_PROT_READ | VM_PROT_WRITE, VM_INHERIT_NONE), KERN_PROTECTION_FAILURE,
		"its memory object cannot be mapped for writing");
	is_code(vm_map(self, &at, PAGE, 0, TRUE, pager, 0, FALSE, VM_PROT_READ, VM_PROT_READ, VM_INHERIT_NONE),
		KERN_SUCCESS, "but for reading");
	is_code(vm_protect(self, at, PAGE, FALSE, VM_PROT_READ | VM_PROT_WRITE), KERN_PROTECTION_FAILURE,
		"and stays so");
	now = (volatile struct mapped_time_value *)at;
	need(host_get_time64(host, &asked), "the time");
	is_between((uint64_t)(now->time_value.seconds - asked.seconds), 0, 2, "the mapped time is that of the host");
	ok(now->seconds == (integer_t)now->check_seconds, "its check word agrees");
	for (unsigned i = 0; i < 50; i++) {
		int64_t ns = now->time_value.seconds * 1000000000 + now->time_value.nanoseconds;

		good += ns >= last && now->microseconds >= 0 && now->microseconds < 1000000;
		last = ns;
		thread_sleep(1);
	}
	is(good, 50, "it never goes backwards");
	need(host_get_time64(host, &asked), "the time");
	is_between((uint64_t)(last / 1000000 - (asked.seconds * 1000 - 3000)), 2990, 4100, "and goes on with the clock");
	need(vm_deallocate(self, at, PAGE), "the mapping");
	at = 0;
	is_code(vm_map(self, &at, PAGE, 0, TRUE, pager, 0, TRUE, VM_PROT_READ | VM_PROT_WRITE,
		       VM_PROT_READ | VM_PROT_WRITE, VM_INHERIT_NONE), KERN_SUCCESS, "a copy of it can be written");
	*(int *)at = 4711;
	ok(*(int *)at == 4711, "by its owner");
	need(vm_deallocate(self, at, PAGE), "the copy");
	mach_port_deallocate(self, pager);
	mach_port_deallocate(self, host);
	close_device(time);
}

static void status(void)
{
	device_t console = device("console");
	int values[DEV_STATUS_MAX];
	mach_msg_type_number_t count = DEV_STATUS_MAX;
	int nothing = 0;

	is_code(device_get_status(console, DEV_GET_SIZE, values, &count), KERN_SUCCESS, "a device tells its size");
	ok(count == DEV_GET_SIZE_COUNT && values[0] == 0 && values[1] == 1, "the console's: unknown, in bytes");
	count = 1;
	is_code(device_get_status(console, DEV_GET_SIZE, values, &count), D_INVALID_OPERATION, "not without room for it");
	count = DEV_STATUS_MAX;
	is_code(device_get_status(console, 12345, values, &count), D_INVALID_OPERATION, "an unknown flavour is refused");
	is_code(device_set_status(console, 12345, &nothing, 1), D_INVALID_OPERATION, "to be set too");
	ok(device_set_filter(console, MACH_PORT_NULL, MACH_MSG_TYPE_COPY_SEND, 0, NULL, 0) != KERN_SUCCESS, "the console takes no packet filter");
	is_code(device_get_status(test_thread(), DEV_GET_SIZE, values, &count), D_NO_SUCH_DEVICE, "a thread is no device");
	close_device(console);
}

/* The archive of programs, when the machine has one. */
static void disk(void)
{
	device_t rd = MACH_PORT_NULL;
	int values[DEV_STATUS_MAX], written;
	mach_msg_type_number_t status_count = DEV_STATUS_MAX, count = 0, small = 0;
	memory_object_t pager = MACH_PORT_NULL;
	io_buf_ptr_t data = NULL;
	char bytes[128];
	vm_address_t at = 0;
	unsigned size, records;

	if (device_open(master, D_READ, "rd0", &rd) != KERN_SUCCESS) {
		skip("this boot has no memory disk", "a memory disk can be read");
		return;
	}
	need(device_get_status(rd, DEV_GET_SIZE, values, &status_count), "the disk's size");
	size = (unsigned)values[0];
	records = size / 512;
	ok(size > 10240 && values[1] == 512, "a disk has a size, in records of 512 bytes");
	is_code(device_read(rd, 0, 0, 10000, &data, &count), KERN_SUCCESS, "it can be read");
	is(count, 10000, "as much as was asked for");
	is_code(device_read_inband(rd, 0, 1, 4096, bytes, &small), KERN_SUCCESS, "in line too");
	is(small, 128, "128 bytes at most");
	ok(memcmp(bytes, data + 512, 128) == 0, "from the record asked for");
	ok(memcmp(data + 257, "ustar", 5) == 0, "what is read is an archive");
	data[0] = 'X';
	need(vm_deallocate(self, (vm_address_t)data, count), "what was read");
	is_code(device_read_inband(rd, 0, 0, 1, bytes, &small), KERN_SUCCESS, "it can be read again");
	ok(bytes[0] != 'X' && small == 1, "and is not changed by what the reader did to its copy");
	is_code(device_read_inband(rd, 0, records - 1, 128, bytes, &small), KERN_SUCCESS, "the last record can be read");
	is_code(device_read_inband(rd, 0, records + (size % 512 != 0), 128, bytes, &small), D_INVALID_RECNUM,
		"none beyond it");
	is_code(device_read(rd, 0, ~0ul, 128, &data, &count), D_INVALID_RECNUM, "nor the wildest");
	is_code(device_read(rd, 0, ~0ul / 512 + 1, 128, &data, &count), D_INVALID_RECNUM, "nor one whose place wraps around");
	is_code(device_read(rd, 0, 1, 0x7fffffff, &data, &count), KERN_SUCCESS, "a read goes to the end of the disk");
	is(count, size - 512, "and no further");
	need(vm_deallocate(self, (vm_address_t)data, count), "what was read");
	is_code(device_write_inband(rd, 0, 0, bytes, 1, &written), D_READ_ONLY, "it cannot be written");
	is_code(device_map(rd, VM_PROT_READ, 0, size, &pager, 0), KERN_SUCCESS, "it can be mapped");
	is_code(vm_map(self, &at, size, 0, TRUE, pager, 0, FALSE, VM_PROT_READ, VM_PROT_READ, VM_INHERIT_NONE),
		KERN_SUCCESS, "for reading");
	ok(memcmp((char *)at + 257, "ustar", 5) == 0, "and holds the same");
	need(vm_deallocate(self, at, size), "the mapping");
	mach_port_deallocate(self, pager);
	close_device(rd);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	master = master_port_get();
	opening();
	writing();
	reading();
	the_time();
	status();
	disk();
	master_port_put(master);
	return done_testing();
}
