/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages that nobody reads, until denied; their sizes unless -z tells another:
 *   small  64 bytes; each port takes as many as its queue holds, then comes the next one
 *   large  16 KiB, the same way
 *   ool    64 KiB out of line each, the same way
 *   once   small ones through send-once rights, which no queue limit stops: one port takes all
 *   big    16 KiB ones through send-once rights
 *   null   requests to the null server; the answers wait, unread and paid by us,
 *          until the last request is sent: then each must have come
 */
#include <inttypes.h>
#include <mach.h>
#include <mach/program.h>
#include <null_user.h>
#include <stdio.h>
#include <string.h>
#include "engine.h"

#define LARGE		(16 * 1024)
#define OOL_BYTES	(64 * 1024)
#define SIZE_MAX_SENT	(16 * 1024 * 1024)
#define ID_COUNTERS	2821		/* of null.defs: a request without data */
#define ID_ANSWER	(ID_COUNTERS + 100)
#define ANSWER_MS	20000

enum { SHAPE_SMALL, SHAPE_LARGE, SHAPE_OOL, SHAPE_ONCE, SHAPE_BIG, SHAPE_NULL };
static const char *const shapes[] = { "small", "large", "ool", "once", "big", "null", NULL };

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
static mach_port_t server;		/* null's */
static uint64_t unanswered, last;	/* requests; the index of the last one */

static mach_msg_size_t inline_size(const struct flood_options *options)
{
	bool large = options->shape == SHAPE_LARGE || options->shape == SHAPE_BIG;

	if (options->size == 0)
		return large ? LARGE : 64;
	return (mach_msg_size_t)((offsetof(typeof(message.part), data) + options->size + 7) & ~7ul);
}

static kern_return_t prepare(const struct flood_options *options)
{
	if (options->shape == SHAPE_NULL)
		return options->size > 0 ? KERN_INVALID_ARGUMENT : program_lookup("null", &server);
	if (options->shape == SHAPE_OOL || inline_size(options) <= sizeof message)
		return KERN_SUCCESS;
	fprintf(stderr, "msgflood: -z: no more than %zu bytes are sent inline\n",
		sizeof message - offsetof(typeof(message.part), data));
	return KERN_INVALID_ARGUMENT;
}

/* The server's right gets the name that it has here. */
static kern_return_t equip(task_t task)
{
	if (server == MACH_PORT_NULL)
		return KERN_SUCCESS;
	return mach_port_insert_right(task, server, server, MACH_MSG_TYPE_COPY_SEND);
}

static kern_return_t begin(const struct flood_options *options)
{
	bool ool = options->shape == SHAPE_OOL;

	last = options->count - 1;
	if (options->shape == SHAPE_NULL)
		return mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);
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

/* Waits for all. MIG_REPLY_MISMATCH: instead of some came the note that they never will. */
static kern_return_t hear_answers(void)
{
	kern_return_t result = KERN_SUCCESS;

	for (; unanswered > 0; unanswered--) {
		kern_return_t code = mach_msg(&message.part.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0,
					      sizeof message, port, ANSWER_MS, MACH_PORT_NULL);

		if (code != MACH_MSG_SUCCESS)
			return code;
		if (message.part.head.msgh_id != ID_ANSWER)
			result = MIG_REPLY_MISMATCH;
	}
	return result;
}

/* Waits while the server's queue is full, but not for the answer. */
static kern_return_t take_request(uint64_t index)
{
	kern_return_t code;

	message.part.head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
		.msgh_size = sizeof message.part.head,
		.msgh_remote_slot = server,
		.msgh_local_slot = port,
		.msgh_id = ID_COUNTERS,
	};
	code = mach_msg(&message.part.head, MACH_SEND_MSG, sizeof message.part.head, 0,
			MACH_PORT_NULL, 0, MACH_PORT_NULL);
	if (code != MACH_MSG_SUCCESS)
		return code;
	unanswered++;
	return index == last ? hear_answers() : KERN_SUCCESS;
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	bool full = once ? index == 0 : index % MACH_PORT_QLIMIT_DEFAULT == 0;
	kern_return_t code;

	if (server != MACH_PORT_NULL)
		return take_request(index);
	code = full ? make_port(record) : KERN_SUCCESS;
	return code == KERN_SUCCESS ? send() : code;
}

/* A port, with the messages in it; the other records are empty. */
static kern_return_t give_back(struct flood_record *record)
{
	if (record->port == MACH_PORT_NULL)
		return KERN_SUCCESS;
	return mach_port_mod_refs(mach_task_self(), record->port, MACH_PORT_RIGHT_RECEIVE, -1);
}

/* Denied or not, what was sent must be answered. */
static void stopped(struct flood_end *end)
{
	kern_return_t code = hear_answers();

	if (code != KERN_SUCCESS)
		*end = (struct flood_end){ .code = code };
}

static void look(const char *program, const char *when)
{
	natural_t threads, most;
	uint64_t requests, refused;

	if (server != MACH_PORT_NULL &&
	    null_counters(server, &threads, &most, &requests, &refused) == KERN_SUCCESS)
		printf("%s: null %s: %u threads, most %u, denied %" PRIu64 ", requests %" PRIu64 "\n",
		       program, when, threads, most, refused, requests);
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "messages",
		.syntax = { "snptrSkz", shapes, "messages that nobody reads, until denied",
			    "bytes of a message's data", SIZE_MAX_SENT },
		.prepare = prepare,
		.equip = equip,
		.begin = begin,
		.take = take,
		.stopped = stopped,
		.give_back = give_back,
		.look = look,
	};

	return flood_main(argc, argv, &flood);
}
