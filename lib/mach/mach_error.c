/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts of codes. */
#include <mach/mach_error.h>
#include <device/device_types.h>
#include <mach/message.h>
#include <mach/mig_errors.h>
#include <stddef.h>

struct text {
	kern_return_t code;
	const char *text;
};

static const struct text texts[] = {
	{ KERN_SUCCESS, "success" },
	{ KERN_INVALID_ADDRESS, "no memory is mapped at that address" },
	{ KERN_PROTECTION_FAILURE, "the memory's protection forbids it" },
	{ KERN_NO_SPACE, "no room in the address space" },
	{ KERN_INVALID_ARGUMENT, "an argument makes no sense" },
	{ KERN_FAILURE, "failed" },
	{ KERN_RESOURCE_SHORTAGE, "a ledger or the machine is full" },
	{ KERN_NOT_RECEIVER, "the task does not hold the receive right" },
	{ KERN_NO_ACCESS, "access is refused" },
	{ KERN_MEMORY_FAILURE, "the memory object is gone" },
	{ KERN_MEMORY_ERROR, "the memory object could not give its data" },
	{ KERN_NOT_IN_SET, "the port is in no set" },
	{ KERN_NAME_EXISTS, "the name is taken" },
	{ KERN_ABORTED, "the call was aborted" },
	{ KERN_INVALID_NAME, "no right has that name" },
	{ KERN_INVALID_TASK, "not a task" },
	{ KERN_INVALID_RIGHT, "the name holds another kind of right" },
	{ KERN_INVALID_VALUE, "a value is out of range" },
	{ KERN_UREFS_OVERFLOW, "too many references to one name" },
	{ KERN_INVALID_CAPABILITY, "the right is of no use here" },
	{ KERN_RIGHT_EXISTS, "the right has a name already" },
	{ KERN_INVALID_HOST, "not a host port" },
	{ KERN_MEMORY_PRESENT, "the page is there already" },
	{ KERN_WRITE_PROTECTION_FAILURE, "the page may not be written" },
	{ KERN_TERMINATED, "the object was terminated" },
	{ KERN_TIMEDOUT, "the time is over" },
	{ KERN_INTERRUPTED, "interrupted" },
	{ MACH_SEND_IN_PROGRESS, "send: still under way" },
	{ MACH_SEND_INVALID_DATA, "send: the message cannot be read" },
	{ MACH_SEND_INVALID_DEST, "send: no such destination" },
	{ MACH_SEND_TIMED_OUT, "send: the queue stayed full for too long" },
	{ MACH_SEND_WILL_NOTIFY, "send: the queue is full, a notification will come" },
	{ MACH_SEND_NOTIFY_IN_PROGRESS, "send: a notification was asked for already" },
	{ MACH_SEND_INTERRUPTED, "send: interrupted" },
	{ MACH_SEND_MSG_TOO_SMALL, "send: smaller than a header, or no multiple of 8" },
	{ MACH_SEND_INVALID_REPLY, "send: the reply port's name is wrong" },
	{ MACH_SEND_INVALID_RIGHT, "send: a right in the body is wrong" },
	{ MACH_SEND_INVALID_NOTIFY, "send: the notify port's name is wrong" },
	{ MACH_SEND_INVALID_MEMORY, "send: out-of-line memory cannot be read" },
	{ MACH_SEND_NO_BUFFER, "send: denied the memory for the message" },
	{ MACH_SEND_NO_NOTIFY, "send: denied the memory for the notification" },
	{ MACH_SEND_INVALID_TYPE, "send: an item's type is wrong" },
	{ MACH_SEND_INVALID_HEADER, "send: a field of the header is wrong" },
	{ MACH_RCV_IN_PROGRESS, "receive: still under way" },
	{ MACH_RCV_INVALID_NAME, "receive: no such port or set" },
	{ MACH_RCV_TIMED_OUT, "receive: nothing came in time" },
	{ MACH_RCV_TOO_LARGE, "receive: the message is larger than the buffer" },
	{ MACH_RCV_INTERRUPTED, "receive: interrupted" },
	{ MACH_RCV_PORT_CHANGED, "receive: the port moved into a set" },
	{ MACH_RCV_INVALID_NOTIFY, "receive: the notify port's name is wrong" },
	{ MACH_RCV_INVALID_DATA, "receive: the buffer cannot be written" },
	{ MACH_RCV_PORT_DIED, "receive: the port or set is gone" },
	{ MACH_RCV_IN_SET, "receive: the port is a member of a set" },
	{ MACH_RCV_HEADER_ERROR, "receive: the header's rights could not be held" },
	{ MACH_RCV_BODY_ERROR, "receive: rights or memory of the body could not be held" },
	{ MIG_TYPE_ERROR, "the reply has the wrong types" },
	{ MIG_REPLY_MISMATCH, "the reply belongs to another call" },
	{ MIG_REMOTE_ERROR, "the server failed" },
	{ MIG_BAD_ID, "the server knows no such call" },
	{ MIG_BAD_ARGUMENTS, "the request has the wrong types" },
	{ MIG_NO_REPLY, "no reply yet" },
	{ MIG_EXCEPTION, "the server met an exception" },
	{ MIG_ARRAY_TOO_LARGE, "an array is larger than the message allows" },
	{ MIG_SERVER_DIED, "the server dropped the call" },
	{ MIG_DESTROY_REQUEST, "the request is dropped" },
	{ D_IO_QUEUED, "device: the answer comes later" },
	{ D_IO_ERROR, "device: input or output failed" },
	{ D_WOULD_BLOCK, "device: it would have to wait" },
	{ D_NO_SUCH_DEVICE, "device: no such device" },
	{ D_ALREADY_OPEN, "device: somebody has it open alone" },
	{ D_DEVICE_DOWN, "device: it was shut down" },
	{ D_INVALID_OPERATION, "device: it cannot do that" },
	{ D_INVALID_RECNUM, "device: no such record" },
	{ D_INVALID_SIZE, "device: wrong size" },
	{ D_NO_MEMORY, "device: denied memory" },
	{ D_READ_ONLY, "device: it cannot be written" },
};

static const char *find(kern_return_t code)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		if (texts[i].code == code)
			return texts[i].text;
	}
	return NULL;
}

const char *mach_error_string(kern_return_t code)
{
	const char *text = find(code);

	/* A receive adds bits that tell what was lost on the way. */
	if (text == NULL)
		text = find(code & ~MACH_MSG_MASK);
	return text != NULL ? text : "unknown error";
}
