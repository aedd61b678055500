/* SPDX-License-Identifier: BSD-2-Clause */
/* What the bombers do: they fork, and say so. */
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <string.h>
#include "forkbomb.h"

static char work_page[4096] __attribute__((aligned(4096)));

static void child_begin(void *argument);

/* Gives a child the right to the keeper, under the name it knows. */
static kern_return_t equip_child(task_t child, void *argument)
{
	(void)argument;
	return mach_port_insert_right(child, REPORT_NAME, REPORT_NAME, MACH_MSG_TYPE_COPY_SEND);
}

static kern_return_t fork_child(struct bomber *bomber)
{
	task_t child;
	kern_return_t code = program_fork(child_begin, bomber, equip_child, &child);

	if (code == KERN_SUCCESS)
		give_back_right(child);
	return code;
}

/* Cannot be denied: the message was paid with the right. */
static void send_done(mach_port_t done, uint64_t forks, const struct flood_end *end)
{
	struct done_message message = {
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0),
			.msgh_size = sizeof message,
			.msgh_remote_slot = done,
			.msgh_id = ID_DONE,
		},
		.type = {
			.msgt_name = MACH_MSG_TYPE_BYTE,
			.msgt_size = 8,
			.msgt_inline = 1,
			.msgt_number = DONE_BYTES,
		},
		.forks = forks,
		.end = *end,
	};

	mach_msg(&message.head, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0,
		 MACH_PORT_NULL);
}

/* Forks up to count children; tells how it went. */
static void fork_and_tell(struct bomber *bomber, uint64_t count, mach_port_t done)
{
	struct flood_end end = { 0 };
	kern_return_t code = KERN_SUCCESS;
	uint64_t forks = 0, start = clock_uptime_us();

	while (forks < count && (code = fork_child(bomber)) == KERN_SUCCESS) {
		forks++;
		/* So that each child has taken all it takes before the next: the count says something. */
		if (bomber->shape == SHAPE_WIDE)
			thread_yield();
		flood_pace(&bomber->options, forks, start);
	}
	if (code != KERN_SUCCESS)
		flood_stopped(&end, code);
	send_done(done, forks, &end);
}

#define LOOK_MS		200		/* after that one looks whether the keeper still lives */
#define LOOK_MAX_MS	3200		/* then later and later: thousands who look fill the CPU */
#define LOOK_TURNS	20000000	/* the same for those that spin */

static bool keeper_lives(void)
{
	mach_port_type_t type = MACH_PORT_TYPE_SEND;

	/* Even the name of the task itself may have been denied. */
	if (!MACH_PORT_VALID(mach_task_self()))
		mach_task_self_ = mach_task_self_trap();
	if (mach_port_type(mach_task_self(), REPORT_NAME, &type) == KERN_INVALID_NAME)
		return false;
	return type & MACH_PORT_TYPE_SEND;
}

static void wait_for_the_end(void)
{
	for (unsigned ms = LOOK_MS; keeper_lives(); ms = ms < LOOK_MAX_MS ? ms * 2 : ms)
		thread_sleep(ms);
}

static void spin_until_the_end(void)
{
	while (keeper_lives()) {
		for (unsigned i = 0; i < LOOK_TURNS; i++)
			__asm__ volatile("pause");
	}
}

void bomber_first(void *argument)
{
	struct bomber *bomber = argument;

	flood_reserve();
	fork_and_tell(bomber, bomber->first_count, DONE_NAME);
	wait_for_the_end();
}

/* Returns the right for `done` and the count when this child is to fork, null when it is to go. */
static mach_port_t say_born(bool wait, uint64_t *count)
{
	mach_port_t reply = wait ? mig_get_reply_port() : MACH_PORT_NULL;
	union {
		struct born_message born;
		struct go_message go;
		char room[128];
	} message = { .born = {
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND,
						    wait ? MACH_MSG_TYPE_MAKE_SEND_ONCE : 0) |
				     MACH_MSGH_BITS_COMPLEX,
			.msgh_size = sizeof(struct born_message),
			.msgh_remote_slot = REPORT_NAME,
			.msgh_local_slot = reply,
			.msgh_id = ID_BORN,
		},
		.task_type = {
			.msgt_name = MACH_MSG_TYPE_COPY_SEND,
			.msgt_size = 64,
			.msgt_inline = 1,
			.msgt_number = 1,
		},
		.task = mach_task_self(),
	} };
	mach_msg_return_t code;

	if (wait && !MACH_PORT_VALID(reply))
		return MACH_PORT_NULL;
	code = mach_msg(&message.born.head, MACH_SEND_MSG | (wait ? MACH_RCV_MSG : 0),
			sizeof(struct born_message), sizeof message, reply, 0, MACH_PORT_NULL);
	if (!wait)
		return code == MACH_MSG_SUCCESS ? MACH_PORT_DEAD : MACH_PORT_NULL;
	if (code != MACH_MSG_SUCCESS || message.go.head.msgh_id != ID_GO)
		return MACH_PORT_NULL;
	*count = message.go.count;
	return (mach_port_t)message.go.done;
}

/*
 * What a child takes besides: the page that the code it runs writes to, its ports, its memory.
 * A child without all of it is none, and keeps what it has: room that it made
 * would only be for the next one.
 */
static bool take_all(const struct flood_options *options)
{
	vm_address_t address = 0;

	if (memory_touch((vm_address_t)work_page, sizeof work_page) != KERN_SUCCESS)
		return false;
	memset(work_page, 1, sizeof work_page);
	return flood_hold_ports(options->ports) == KERN_SUCCESS &&
	       (options->size == 0 || memory_allocate(&address, options->size) == KERN_SUCCESS);
}

void bomber_idle(void *argument)
{
	struct bomber *bomber = argument;

	take_all(&bomber->options);
	wait_for_the_end();
}

/* Returning ends the task. */
static void child_begin(void *argument)
{
	struct bomber *bomber = argument;
	uint64_t count = 0;
	mach_port_t done;

	if (!take_all(&bomber->options)) {
		wait_for_the_end();
		return;
	}
	done = say_born(bomber->shape != SHAPE_SPIN, &count);
	if (done == MACH_PORT_NULL) {
		wait_for_the_end();
		return;
	}
	if (bomber->shape == SHAPE_SPIN) {
		spin_until_the_end();
		return;
	}
	flood_reserve();
	fork_and_tell(bomber, count, done);
	wait_for_the_end();
}
