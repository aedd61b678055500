/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages to ports that nobody reads, until denied; their sizes unless -z tells another:
 *   small  64 bytes; each port takes as many as its queue holds, then comes the next one
 *   large  16 KiB, the same way
 *   ool    64 KiB out of line each, the same way
 *   once   small ones through send-once rights, which no queue limit stops: one port takes all
 *   big    16 KiB ones through send-once rights
 */
#include <mach.h>
#include <mach/program.h>
#include <stdio.h>
#include <string.h>
#include "engine.h"

#define LARGE		(16 * 1024)
#define OOL_BYTES	(64 * 1024)
#define SIZE_MAX_SENT	(16 * 1024 * 1024)

enum { SHAPE_SMALL, SHAPE_LARGE, SHAPE_OOL, SHAPE_ONCE, SHAPE_BIG };
static const char *const shapes[] = { "small", "large", "ool", "once", "big", NULL };

static union {
	struct {
		mach_msg_header_t head;
		mach_msg_type_t type;
		uint64_t data;
	} part;
	char room[LARGE];
} message;
static mach_msg_size_t size;
static bool once;			/* no queue is ever full */
static mach_port_t port;		/* the one that takes the next */
static vm_address_t region;
static vm_size_t region_size;

static mach_msg_size_t inline_size(const struct flood_options *options)
{
	bool large = options->shape == SHAPE_LARGE || options->shape == SHAPE_BIG;

	if (options->size == 0)
		return large ? LARGE : 64;
	return (mach_msg_size_t)((offsetof(typeof(message.part), data) + options->size + 7) & ~7ul);
}

static kern_return_t prepare(const struct flood_options *options)
{
	if (options->shape == SHAPE_OOL || inline_size(options) <= sizeof message)
		return KERN_SUCCESS;
	fprintf(stderr, "msgflood: -z: no more than %zu bytes are sent inline\n",
		sizeof message - offsetof(typeof(message.part), data));
	return KERN_INVALID_ARGUMENT;
}

static kern_return_t begin(const struct flood_options *options)
{
	bool ool = options->shape == SHAPE_OOL;

	once = options->shape == SHAPE_ONCE || options->shape == SHAPE_BIG;
	size = ool ? sizeof message.part : inline_size(options);
	region_size = options->size > 0 ? options->size : OOL_BYTES;
	message.part.head.msgh_bits =
		MACH_MSGH_BITS(once ? MACH_MSG_TYPE_MAKE_SEND_ONCE : MACH_MSG_TYPE_MAKE_SEND, 0) |
		(ool ? MACH_MSGH_BITS_COMPLEX : 0);
	message.part.head.msgh_id = 7400;
	message.part.type = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_BYTE,
		.msgt_size = 8,
		.msgt_inline = !ool,
		.msgt_number = ool ? (unsigned)region_size :
			       size - offsetof(typeof(message.part), data),
	};
	return ool ? memory_allocate(&region, region_size) : KERN_SUCCESS;
}

/* What nobody reads: this task holds the right to, and does not. */
static kern_return_t make_port(struct flood_record *record)
{
	kern_return_t code = syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
							&record->port);

	if (code == MACH_SEND_INTERRUPTED)
		code = KERN_RESOURCE_SHORTAGE;
	if (code != KERN_SUCCESS)
		record->port = MACH_PORT_NULL;
	else
		port = record->port;
	return code;
}

static kern_return_t send(void)
{
	message.part.head.msgh_size = size;
	message.part.head.msgh_remote_slot = port;
	message.part.head.msgh_local_slot = MACH_PORT_NULL;
	if (region != 0)
		message.part.data = region;
	return mach_msg(&message.part.head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, size, 0,
			MACH_PORT_NULL, 0, MACH_PORT_NULL);
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	bool full = once ? index == 0 : index % MACH_PORT_QLIMIT_DEFAULT == 0;
	kern_return_t code = full ? make_port(record) : KERN_SUCCESS;

	return code == KERN_SUCCESS ? send() : code;
}

/* A port, with the messages in it; the other records are empty. */
static kern_return_t give_back(struct flood_record *record)
{
	if (record->port == MACH_PORT_NULL)
		return KERN_SUCCESS;
	return mach_port_mod_refs(mach_task_self(), record->port, MACH_PORT_RIGHT_RECEIVE, -1);
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "messages",
		.syntax = { "snptrSkz", shapes, "messages that nobody reads, until denied",
			    "bytes of a message's data", SIZE_MAX_SENT },
		.prepare = prepare,
		.begin = begin,
		.take = take,
		.give_back = give_back,
	};

	return flood_main(argc, argv, &flood);
}
