/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rights to a victim that does not want them: a task in a ledger of its own
 * below ours gets messages, each full of send rights to new ports.
 *   hold    the victim receives and keeps all of them
 *   refuse  it receives and gives each back at once
 *   ignore  it receives nothing: its queue fills, and what then does not fit stays ours
 * The line at the peak tells who pays: the sender its ports, the victim the names it took.
 */
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <stddef.h>
#include <stdio.h>
#include "engine.h"

#define RIGHTS		64		/* in a message, at most */
#define VICTIM_NAME	((mach_port_name_t)0x30)
#define WAIT_MS		1000		/* for a victim that is slow */

enum { SHAPE_HOLD, SHAPE_REFUSE, SHAPE_IGNORE };
static const char *const shapes[] = { "hold", "refuse", "ignore", NULL };

struct rights_message {
	mach_msg_header_t head;
	mach_msg_type_t type;
	uint64_t rights[RIGHTS];
};

static union {
	struct rights_message part;
	char room[sizeof(struct rights_message) + 256];
} message;
static unsigned filled, wanted;	/* rights in it, and how many when it is sent */
static unsigned shape;
static mach_port_t victim_port;		/* our send right */
static ledger_t victim_ledger;
static task_t victim;
static bool ignored;			/* the queue is full and nobody reads it */

/* The victim. What it cannot receive is gone, and it goes on. */
static void receive_rights(void *unused)
{
	mach_msg_return_t code;

	(void)unused;
	if (program_touch_static() != KERN_SUCCESS)
		return;
	while (shape == SHAPE_IGNORE)
		thread_sleep(WAIT_MS);
	for (;;) {
		code = mach_msg(&message.part.head, MACH_RCV_MSG, 0, sizeof message, VICTIM_NAME,
				0, MACH_PORT_NULL);
		if (code == MACH_RCV_INVALID_NAME || code == MACH_RCV_PORT_DIED)
			return;
		if (code != MACH_MSG_SUCCESS || shape == SHAPE_HOLD)
			continue;
		for (unsigned i = 0; i < message.part.type.msgt_number && i < RIGHTS; i++)
			give_back_right((mach_port_name_t)message.part.rights[i]);
	}
}

/* The victim gets the right to receive, we keep one to send. */
static kern_return_t equip_victim(task_t task, void *unused)
{
	mach_port_t port;
	kern_return_t code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port);

	(void)unused;
	if (code != KERN_SUCCESS)
		return code;
	code = mach_port_insert_right(mach_task_self(), port, port, MACH_MSG_TYPE_MAKE_SEND);
	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(task, VICTIM_NAME, port, MACH_MSG_TYPE_MOVE_RECEIVE);
	victim_port = port;
	return code;
}

static kern_return_t begin(const struct flood_options *options)
{
	ledger_name_t own;
	kern_return_t code = task_get_ledger(mach_task_self(), &own);

	shape = options->shape;
	wanted = options->size > 0 ? (unsigned)options->size : RIGHTS;
	if (code == KERN_SUCCESS)
		code = ledger_create(own, "victim", &victim_ledger);
	if (code == KERN_SUCCESS)
		code = program_fork_in(victim_ledger, receive_rights, NULL, equip_victim, &victim);
	return code == KERN_SUCCESS ? program_touch_static() : code;
}

static kern_return_t send(void)
{
	mach_msg_size_t bytes = offsetof(struct rights_message, rights) +
				wanted * sizeof message.part.rights[0];

	message.part.head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0) | MACH_MSGH_BITS_COMPLEX,
		.msgh_size = bytes,
		.msgh_remote_slot = victim_port,
		.msgh_id = 7500,
	};
	message.part.type = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_MAKE_SEND,
		.msgt_size = 64,
		.msgt_inline = 1,
		.msgt_number = wanted,
	};
	return mach_msg(&message.part.head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, bytes, 0,
		 MACH_PORT_NULL, WAIT_MS, MACH_PORT_NULL);
}

/* What was not sent is given back to us: rights to our own ports, by their own names. */
static void take_back_rights(void)
{
	for (unsigned i = 0; i < wanted; i++)
		give_back_right((mach_port_name_t)message.part.rights[i]);
	give_back_right(message.part.head.msgh_remote_port);
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	kern_return_t code = syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
							&record->port);

	(void)index;
	if (code != KERN_SUCCESS) {
		record->port = MACH_PORT_NULL;
		return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
	}
	message.part.rights[filled++] = record->port;
	if (filled < wanted)
		return KERN_SUCCESS;
	filled = 0;
	if (ignored)
		return KERN_SUCCESS;
	code = send();
	if ((code & ~MACH_MSG_MASK) != MACH_SEND_TIMED_OUT)
		return code;
	take_back_rights();
	ignored = shape == SHAPE_IGNORE;
	return ignored ? KERN_SUCCESS : code;
}

static kern_return_t give_back(struct flood_record *record)
{
	if (record->port == MACH_PORT_NULL)
		return KERN_SUCCESS;
	return mach_port_mod_refs(mach_task_self(), record->port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static uint64_t used(mach_port_t ledger, int resource)
{
	ledger_usage_t usage;

	return ledger_get_usage(ledger, resource, &usage) == KERN_SUCCESS ? usage.used : 0;
}

/* Our ledger counts what those below it hold. */
static void look(const char *program, const char *when)
{
	ledger_name_t own;

	if (victim == MACH_PORT_NULL || task_get_ledger(mach_task_self(), &own) != KERN_SUCCESS)
		return;
	printf("%s: %s the victim pays %" PRIu64 " names, %" PRIu64 " ports, %" PRIu64
	       " messages; the sender %" PRIu64 " names, %" PRIu64 " ports, %" PRIu64
	       " messages\n",
	       program, when, used(victim_ledger, LEDGER_NAMES), used(victim_ledger, LEDGER_PORTS),
	       used(victim_ledger, LEDGER_MESSAGES),
	       used(own, LEDGER_NAMES) - used(victim_ledger, LEDGER_NAMES),
	       used(own, LEDGER_PORTS) - used(victim_ledger, LEDGER_PORTS),
	       used(own, LEDGER_MESSAGES) - used(victim_ledger, LEDGER_MESSAGES));
	give_back_right(own);
}

static void finish(void)
{
	if (victim_ledger == MACH_PORT_NULL)
		return;
	ledger_terminate(victim_ledger);
	give_back_right(victim_ledger);
	give_back_right(victim);
	give_back_right(victim_port);
	victim = MACH_PORT_NULL;
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "rights",
		.syntax = { "snptrSkz", shapes, "rights to a victim that does not want them",
			    "rights in each message", RIGHTS },
		.begin = begin,
		.take = take,
		.give_back = give_back,
		.look = look,
		.finish = finish,
	};

	return flood_main(argc, argv, &flood);
}
