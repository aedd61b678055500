/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Asking for a notification to a port whose receive right we hold: the message
 * of mach_port_request_notification (3214), which makes the send-once right as
 * it goes instead of naming one.
 */
#include <mach.h>
#include <mach/mig_support.h>

#define REQUEST_ID	3214
#define REPLY_ID	(REQUEST_ID + 100)

struct word_item {
	mach_msg_type_t	type;
	uint32_t	value, padding;
};

struct request {
	mach_msg_header_t	head;
	struct word_item	name, id, sync, notify;
};

struct reply {
	mig_reply_header_t	head;
	struct word_item	previous;
};

static struct word_item item(unsigned name, unsigned bits, uint32_t value)
{
	return (struct word_item){
		.type = { .msgt_name = name, .msgt_size = bits & 0xffff, .msgt_inline = 1, .msgt_number = 1 },
		.value = value,
	};
}

kern_return_t mach_request_notification(mach_port_name_t name, mach_msg_id_t id,
					mach_port_mscount_t sync, mach_port_t notify)
{
	mach_port_t reply_port = mig_get_reply_port();
	union {
		struct request request;
		struct reply reply;
	} message = { .request = {
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND,
						    MACH_MSG_TYPE_MAKE_SEND_ONCE) |
				     MACH_MSGH_BITS_COMPLEX,
			.msgh_size = sizeof(struct request),
			.msgh_remote_slot = mach_task_self(),
			.msgh_local_slot = reply_port,
			.msgh_id = REQUEST_ID,
		},
		.name = item(MACH_MSG_TYPE_PORT_NAME, 32, name),
		.id = item(MACH_MSG_TYPE_INTEGER_32, 32, (uint32_t)id),
		.sync = item(MACH_MSG_TYPE_INTEGER_32, 32, sync),
		.notify = item(MACH_MSG_TYPE_MAKE_SEND_ONCE, 64, notify),
	} };
	mach_msg_return_t code;

	if (!MACH_PORT_VALID(reply_port))
		return KERN_RESOURCE_SHORTAGE;
	code = mach_msg(&message.request.head, MACH_SEND_MSG | MACH_RCV_MSG, sizeof(struct request),
			sizeof message, reply_port, MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL);
	if (code != MACH_MSG_SUCCESS) {
		mig_dealloc_reply_port(reply_port);
		return code;
	}
	mig_put_reply_port(reply_port);
	if (message.reply.head.Head.msgh_id != REPLY_ID)
		return MIG_REPLY_MISMATCH;
	/* The right that was registered before, if any. */
	if (message.reply.head.Head.msgh_bits & MACH_MSGH_BITS_COMPLEX)
		give_back_right(message.reply.previous.value);
	return message.reply.head.RetCode;
}
