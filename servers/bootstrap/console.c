/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread of its own waits for input and passes it on as a message, an event
 * like any other. Bytes wait in a ring until a line is wanted; only then are
 * they edited and echoed. Ctrl-C is looked for as they come.
 */
#include "console.h"
#include <device/device_types.h>
#include <device_user.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <stdio.h>
#include "bootstrap.h"
#include "edit.h"

#define RING_SIZE	1024

#define CTRL_C		3

mach_port_t console_device;

static mach_port_t input_port;
static char ring[RING_SIZE];
static unsigned ring_first, ring_count;
static bool line_taken;

#define INPUT_ID	5690

/* From the reader to the event loop. */
struct input_message {
	mach_msg_header_t head;
	mach_msg_type_t type;
	char data[IO_INBAND_MAX];
};

mach_port_t console_input_port(void)
{
	return input_port;
}

/* Ends when the device has no input, or no more: programs and boot commands go on without. */
static void read_for_ever(void *unused)
{
	struct input_message message;
	mach_msg_type_number_t count = 0;

	(void)unused;
	while (device_read_inband(console_device, 0, 0, IO_INBAND_MAX, message.data, &count) ==
	       D_SUCCESS) {
		message.head = (mach_msg_header_t){
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND, 0),
			.msgh_size = sizeof message,
			.msgh_remote_slot = input_port,
			.msgh_id = INPUT_ID,
		};
		message.type = (mach_msg_type_t){
			.msgt_name = MACH_MSG_TYPE_CHAR,
			.msgt_size = 8,
			.msgt_inline = 1,
			.msgt_number = count,
		};
		/* A full queue holds the reader back; what is denied is typed again. */
		mach_msg(&message.head, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0,
			 MACH_PORT_NULL);
	}
}

void console_open(void)
{
	kern_return_t code = device_open(device_master, D_READ | D_WRITE, "console",
					 &console_device);
	struct thread *reader;

	if (code != D_SUCCESS) {
		console_device = MACH_PORT_NULL;
		printf("bootstrap: console: %s\n", mach_error_string(code));
		return;
	}
	program_set_output(console_device);
	input_port = event_port();
	code = input_port != MACH_PORT_NULL ? thread_spawn(read_for_ever, NULL, 0, &reader)
					    : KERN_RESOURCE_SHORTAGE;
	if (code != KERN_SUCCESS)
		printf("bootstrap: console: no input: %s\n", mach_error_string(code));
}

static void put_byte(char byte, bool *interrupted)
{
	if (byte == CTRL_C) {
		ring_count = 0;
		*interrupted = true;
	} else if (ring_count < RING_SIZE) {
		ring[(ring_first + ring_count++) % RING_SIZE] = byte;
	}
}

int console_key(void)
{
	unsigned char byte = (unsigned char)ring[ring_first];

	if (ring_count == 0)
		return -1;
	ring_first = (ring_first + 1) % RING_SIZE;
	ring_count--;
	return byte;
}

void console_take_input(const mach_msg_header_t *message, bool *interrupted)
{
	const struct input_message *input = (const struct input_message *)message;

	*interrupted = false;
	if (message->msgh_id != INPUT_ID || message->msgh_size != sizeof *input)
		return;
	for (unsigned i = 0; i < input->type.msgt_number && i < IO_INBAND_MAX; i++)
		put_byte(input->data[i], interrupted);
}

char *console_line(void)
{
	if (line_taken)
		edit_begin();
	line_taken = false;
	while (ring_count > 0 && !line_taken)
		line_taken = edit_key((char)console_key());
	if (line_taken)
		putchar('\n');
	fflush(stdout);
	return line_taken ? edit_line() : NULL;
}

void console_flush(void)
{
	edit_begin();
	line_taken = false;
}
