/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls one user stub with fixed arguments. mach_msg is a stand-in: it prints what would be
 * sent and gives back the reply that stands in hexadecimal on standard input.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mach/exception.h>
#include <mach/notify.h>
#include <mach/mig_errors.h>
#include <mach/mig_support.h>
#include "device_reply_user.h"
#include "device_request_user.h"
#include "device_user.h"
#include "exc_user.h"
#include "gnumach_user.h"
#include "mach4_user.h"
#include "mach_debug_user.h"
#include "mach_host_user.h"
#include "mach_port_user.h"
#include "mach_user.h"
#include "notify_user.h"

#define PORT	0x111
#define REPLY	0x507
#define OUTSIDE	0xc0ffee0000UL		/* an address that nobody looks at */

static mach_port_t reply_port = REPLY;
static const char *send_code;

void mach_msg_destroy(mach_msg_header_t *msg)
{
	printf("destroyed message %d\n", msg->msgh_id);
}

mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
			   mach_msg_size_t send_size, mach_msg_size_t rcv_size,
			   mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
			   mach_port_name_t notify)
{
	const uint8_t *bytes = (const uint8_t *) msg;
	uint8_t *to = (uint8_t *) msg;
	unsigned byte;
	mach_msg_size_t at;

	if (send_size != msg->msgh_size || send_size % 8 != 0 || notify != 0)
		printf("bad send size %u, msgh_size %u\n", send_size, msg->msgh_size);
	printf("option %#x timeout %u\nsent", option, timeout);
	for (at = 0; at < send_size; at++)
		printf(" %02x", bytes[at]);
	printf("\n");
	if (send_code)
		return (mach_msg_return_t) strtoul(send_code, NULL, 0);
	if (!(option & MACH_RCV_MSG))
		return MACH_MSG_SUCCESS;
	if (rcv_name != REPLY)
		printf("received on %#x\n", rcv_name);
	memset(to, 0xee, rcv_size);	/* what the reply does not hold is not there */
	for (at = 0; scanf("%2x", &byte) == 1; at++) {
		if (at >= rcv_size)
			return MACH_RCV_TOO_LARGE;
		to[at] = (uint8_t) byte;
	}
	return MACH_MSG_SUCCESS;
}

mach_msg_return_t mig_rpc(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
			  mach_msg_size_t rcv_size, mach_msg_timeout_t timeout)
{
	if (reply_port == MACH_PORT_NULL)
		return KERN_RESOURCE_SHORTAGE;
	msg->msgh_local_slot = reply_port;
	return mach_msg(msg, option, send_size, rcv_size, reply_port, timeout, 0);
}

/* What was tried again has failed again. */
mach_msg_return_t mig_rpc_failed(mach_msg_return_t code, mach_msg_header_t *msg, mach_msg_option_t option,
				 mach_msg_size_t send_size, mach_msg_size_t rcv_size, mach_msg_timeout_t timeout)
{
	(void) timeout;
	if (send_size != msg->msgh_size || (option & 3) != 3 || rcv_size < 48)
		printf("bad arguments\n");
	if (reply_port != MACH_PORT_NULL)
		printf("reply port %#x %s\n", reply_port, mig_reply_port_lost(code) ? "lost" : "kept");
	return code;
}

mach_msg_return_t mig_send_failed(mach_msg_return_t code, mach_msg_header_t *msg)
{
	(void) msg;
	return code;
}

static kern_return_t call_vm_allocate(void)
{
	vm_address_t address = 0x12340000;
	kern_return_t code = vm_allocate(PORT, &address, 0x100003000, TRUE);

	printf("address %#lx\n", (unsigned long) address);
	return code;
}

static kern_return_t call_mach_port_insert_right(void)
{
	return mach_port_insert_right(PORT, 0x222, 0x333, MACH_MSG_TYPE_MAKE_SEND);
}

static kern_return_t call_mach_port_request_notification(void)
{
	mach_port_t previous = 0;
	kern_return_t code = mach_port_request_notification(PORT, 0x222, MACH_NOTIFY_NO_SENDERS,
							    1, 0x444, MACH_MSG_TYPE_MOVE_SEND_ONCE,
							    &previous);

	printf("previous %#x\n", previous);
	return code;
}

static kern_return_t call_memory_object_lock_request(void)
{
	return memory_object_lock_request(PORT, 0x1000, 0x2000, MEMORY_OBJECT_RETURN_ALL, TRUE,
					  VM_PROT_NO_CHANGE, 0x666);
}

static kern_return_t call_memory_object_create_proxy(void)
{
	mach_port_t objects[] = { 0x777, 0x888 }, proxy = 0;
	rpc_vm_offset_t offset[] = { 0x1000, 0x2000 }, start[] = { 0x3000 };
	rpc_vm_size_t length[] = { 1, 2, 3 };
	kern_return_t code = memory_object_create_proxy(PORT, 3, objects, MACH_MSG_TYPE_MOVE_SEND, 2,
							offset, 2, start, 1, length, 3, &proxy);

	printf("proxy %#x\n", proxy);
	return code;
}

static kern_return_t call_too_many_objects(void)
{
	static mach_port_t objects[1025];
	static rpc_vm_offset_t one[1];
	mach_port_t proxy;

	return memory_object_create_proxy(PORT, 3, objects, MACH_MSG_TYPE_MOVE_SEND, 1025, one, 1,
					  one, 1, one, 1, &proxy);
}

static kern_return_t call_vm_write(void)
{
	return vm_write(PORT, 0x12340000, OUTSIDE, 4096);
}

static kern_return_t call_mach_ports_register(void)
{
	return mach_ports_register(PORT, (mach_port_array_t) OUTSIDE, 3);
}

static kern_return_t call_task_threads(void)
{
	thread_array_t threads = 0;
	mach_msg_type_number_t count = 0;
	kern_return_t code = task_threads(PORT, &threads, &count);

	printf("threads %#lx, %u\n", (unsigned long) threads, count);
	return code;
}

static kern_return_t call_task_info(void)
{
	integer_t info[6] = { -1, -1, -1, -1, -1, -1 };
	mach_msg_type_number_t count = 5;
	kern_return_t code = task_info(PORT, TASK_BASIC_INFO, info, &count);

	printf("info %d %d %d %d %d %d, %u\n", info[0], info[1], info[2], info[3], info[4],
	       info[5], count);
	return code;
}

static kern_return_t call_task_set_name(void)
{
	return task_set_name(PORT, "weir");
}

static kern_return_t call_device_open(void)
{
	device_t device = 0;
	kern_return_t code = device_open(PORT, D_READ | D_WRITE, "console", &device);

	printf("device %#x\n", device);
	return code;
}

static kern_return_t call_device_write_inband(void)
{
	int written = 0;
	kern_return_t code = device_write_inband(PORT, 0, 2, "abc", 3, &written);

	printf("written %d\n", written);
	return code;
}

static kern_return_t call_device_read_request(void)
{
	return device_read_request(PORT, 0x444, 0, 0, 64);
}

static kern_return_t call_device_open_reply(void)
{
	return ds_device_open_reply(PORT, MACH_MSG_TYPE_MOVE_SEND_ONCE, D_SUCCESS, 0x999);
}

static kern_return_t call_exception_raise(void)
{
	return exception_raise(PORT, 0x222, 0x333, EXC_BAD_ACCESS, -1,
			       (rpc_long_integer_t) 0x80000000deadbeefUL);
}

static kern_return_t call_memory_object_data_supply(void)
{
	return memory_object_data_supply(PORT, 0x1000, OUTSIDE, 4096, TRUE, VM_PROT_NONE, FALSE,
					 MACH_PORT_NULL);
}

static kern_return_t call_mach_notify_no_senders(void)
{
	return mach_notify_no_senders(PORT, 7);
}

static kern_return_t call_mach_notify_port_destroyed(void)
{
	return mach_notify_port_destroyed(PORT, 0x222, MACH_MSG_TYPE_MOVE_RECEIVE);
}

static kern_return_t call_mach_notify_dead_name(void)
{
	return mach_notify_dead_name(PORT, 0x222);
}

static kern_return_t call_host_set_time(void)
{
	time_value_t time;

	memset(&time, 0, sizeof(time));
	time.seconds = 0x12345678;
	time.microseconds = 999999;
	return host_set_time(PORT, time);
}

static kern_return_t call_host_slab_info(void)
{
	cache_info_t room[2], *info = room;
	mach_msg_type_number_t count = 2;
	kern_return_t code = host_slab_info(PORT, &info, &count);

	printf("info %s, %u\n", info == room ? "in place" : "moved", count);
	if (info != room)
		printf("at %#lx\n", (unsigned long) info);
	return code;
}

#define CASE(name)	{ #name, call_##name }
static const struct {
	const char *name;
	kern_return_t (*call)(void);
} cases[] = {
	CASE(vm_allocate), CASE(mach_port_insert_right), CASE(mach_port_request_notification),
	CASE(memory_object_lock_request), CASE(memory_object_create_proxy),
	CASE(too_many_objects), CASE(vm_write), CASE(mach_ports_register), CASE(task_threads),
	CASE(task_info), CASE(task_set_name), CASE(device_open), CASE(device_write_inband),
	CASE(device_read_request), CASE(device_open_reply), CASE(exception_raise),
	CASE(memory_object_data_supply), CASE(mach_notify_no_senders),
	CASE(mach_notify_port_destroyed), CASE(mach_notify_dead_name), CASE(host_set_time),
	CASE(host_slab_info),
};

/* capture NAME [CODE of mach_msg, or "noport"] */
int main(int argc, char **argv)
{
	unsigned at;

	if (argc > 2 && strcmp(argv[2], "noport") == 0)
		reply_port = MACH_PORT_NULL;
	else if (argc > 2)
		send_code = argv[2];
	for (at = 0; at < sizeof(cases) / sizeof(cases[0]); at++) {
		if (argc > 1 && strcmp(cases[at].name, argv[1]) == 0) {
			printf("code %#x\n", (unsigned) cases[at].call());
			return 0;
		}
	}
	fprintf(stderr, "capture: no such case\n");
	return 2;
}
