/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine of floods that take one thing after another. */
#include "engine.h"
#include <inttypes.h>
#include <mach.h>
#include <mach/notify.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define PIECE		1024
#define PIECES_MAX	4096

/* Names in the space of each task that floods for us. */
#define KEEPER_NAME	((mach_port_name_t)0x20)
#define DONE_NAME	((mach_port_name_t)0x21)
#define ID_DONE		7301
#define LOOK_MS		200	/* how often one of them looks whether we still live */

struct done_message {
	mach_msg_header_t head;
	mach_msg_type_t type;		/* bytes: from taken to the end */
	uint64_t taken;
	struct flood_end end;
};
#define DONE_BYTES	(sizeof(struct done_message) - offsetof(struct done_message, taken))
_Static_assert(sizeof(struct done_message) <= 32 + 256, "a prepaid message holds no more");
_Static_assert(sizeof(struct done_message) % 8 == 0, "messages are made of words");

static const struct flood *flood;
static struct flood_options options;
static struct flood_record *pieces[PIECES_MAX];
static struct flood_end end;
static mach_port_t report;
static task_t tasks[FLOOD_TASKS_MAX];

static struct flood_record *record_of(uint64_t index)
{
	return &pieces[index / PIECE][index % PIECE];
}

static kern_return_t make_room(uint64_t index)
{
	vm_address_t address = 0;
	kern_return_t code;

	if (index % PIECE != 0)
		return KERN_SUCCESS;
	if (index / PIECE == PIECES_MAX)
		return KERN_NO_SPACE;
	code = memory_allocate(&address, PIECE * sizeof(struct flood_record));
	pieces[index / PIECE] = (struct flood_record *)address;
	return code;
}

/* How many were taken; the end tells what stopped it. */
static uint64_t take_all(void)
{
	kern_return_t code = flood_hold_ports(options.ports);
	uint64_t taken = 0, start = clock_uptime_us();

	if (code == KERN_SUCCESS && flood->begin != NULL)
		code = flood->begin(&options);
	while (code == KERN_SUCCESS && taken < options.count) {
		code = make_room(taken);
		if (code == KERN_SUCCESS)
			code = flood->take(record_of(taken), taken);
		if (code == KERN_SUCCESS)
			flood_pace(&options, ++taken, start);
	}
	if (code == KERN_SUCCESS)
		return taken;
	flood_stopped(&end, code);
	if (flood->stopped != NULL)
		flood->stopped(&end);
	return taken;
}

/* How many could not be given back. */
static uint64_t give_back_all(uint64_t taken)
{
	uint64_t failed = 0, count = taken;
	struct flood_order order;

	/* The one that failed has a record as well, if there was room for it. */
	if (taken / PIECE < PIECES_MAX && pieces[taken / PIECE] != NULL)
		count++;
	order = flood_order(count, options.seed);
	for (uint64_t i = 0; i < count; i++) {
		if (flood->give_back(record_of(flood_order_next(&order))) != KERN_SUCCESS)
			failed++;
	}
	if (flood->finish != NULL)
		flood->finish();
	for (uint64_t i = 0; i < PIECES_MAX && pieces[i] != NULL; i++) {
		give_back_memory((vm_address_t)pieces[i], PIECE * sizeof(struct flood_record));
		pieces[i] = NULL;
	}
	return failed;
}

/* --- several tasks at once: each floods, tells how it went, and waits to be killed --- */

static bool keeper_lives(void)
{
	mach_port_type_t type = MACH_PORT_TYPE_SEND;

	if (mach_port_type(mach_task_self(), KEEPER_NAME, &type) == KERN_INVALID_NAME)
		return false;
	return type & MACH_PORT_TYPE_SEND;
}

static void flood_in_task(void *unused)
{
	struct done_message message = {
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0),
			.msgh_size = sizeof message,
			.msgh_remote_slot = DONE_NAME,
			.msgh_id = ID_DONE,
		},
		.type = {
			.msgt_name = MACH_MSG_TYPE_BYTE,
			.msgt_size = 8,
			.msgt_inline = 1,
			.msgt_number = DONE_BYTES,
		},
	};

	(void)unused;
	if (program_touch_static() == KERN_SUCCESS) {
		flood_reserve();
		message.taken = take_all();
	} else {
		flood_stopped(&end, KERN_RESOURCE_SHORTAGE);
	}
	message.end = end;
	mach_msg(&message.head, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0,
		 MACH_PORT_NULL);
	while (keeper_lives())
		thread_sleep(LOOK_MS);
	if (flood->outlives)
		give_back_all(message.taken);
}

/* It begins when all are there and what we write to is ours: until then nothing may run short. */
static kern_return_t equip_task(task_t child, void *unused)
{
	kern_return_t code = task_suspend(child);

	(void)unused;
	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(child, KEEPER_NAME, report, MACH_MSG_TYPE_MAKE_SEND);
	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(child, DONE_NAME, report,
					      MACH_MSG_TYPE_MAKE_SEND_ONCE);
	if (code == KERN_SUCCESS && flood->equip != NULL)
		code = flood->equip(child);
	return code;
}

static void remember_end(const struct flood_end *other)
{
	if (!end.denied && other->code != KERN_SUCCESS)
		end = *other;
}

/* Of all tasks; *died: how many ended without a word. */
static uint64_t hear_all(uint64_t started, uint64_t *died)
{
	union {
		mach_msg_header_t head;
		struct done_message done;
		char room[512];
	} message;
	uint64_t taken = 0;

	*died = 0;
	while (started > 0) {
		mach_msg_return_t code = mach_msg(&message.head, MACH_RCV_MSG, 0, sizeof message,
						  report, 0, MACH_PORT_NULL);

		if (code != MACH_MSG_SUCCESS)
			continue;
		started--;
		if (message.head.msgh_id == ID_DONE) {
			taken += message.done.taken;
			remember_end(&message.done.end);
		} else {
			(*died)++;
		}
	}
	return taken;
}

static uint64_t take_in_tasks(uint64_t *started)
{
	uint64_t taken, died, begun = 0;
	kern_return_t code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &report);

	*started = 0;
	while (code == KERN_SUCCESS && *started < options.tasks) {
		code = program_fork(flood_in_task, NULL, equip_task, &tasks[*started]);
		if (code == KERN_SUCCESS)
			(*started)++;
	}
	if (code == KERN_SUCCESS)
		code = program_touch_static();
	if (code != KERN_SUCCESS)
		flood_stopped(&end, code);
	for (uint64_t i = 0; i < *started; i++)
		begun += task_resume(tasks[i]) == KERN_SUCCESS;
	taken = hear_all(begun, &died);
	/* Whoever died was denied a page and could not say so: we find out what is short. */
	if (!end.denied && died > 0)
		taken += take_all();
	return taken;
}

/* They go when they see that their keeper's port has gone. */
static void await_end_of(task_t task)
{
	mach_port_type_t type;

	while (mach_port_type(mach_task_self(), task, &type) == KERN_SUCCESS &&
	       type & MACH_PORT_TYPE_SEND)
		thread_sleep(LOOK_MS / 4);
}

static uint64_t give_back_tasks(uint64_t started)
{
	uint64_t failed = 0;

	if (started > 0 && flood->outlives)
		mach_port_mod_refs(mach_task_self(), report, MACH_PORT_RIGHT_RECEIVE, -1);
	while (started-- > 0) {
		kern_return_t code = KERN_SUCCESS;

		if (flood->outlives)
			await_end_of(tasks[started]);
		else
			code = give_back_task(tasks[started]);
		/* One that was denied a page is dead already. */
		if (code != KERN_SUCCESS && code != MACH_SEND_INVALID_DEST)
			failed++;
		give_back_right(tasks[started]);
	}
	return failed;
}

static void look(const char *program, const char *when)
{
	if (flood->look != NULL)
		flood->look(program, when);
}

int flood_main(int argc, char **argv, const struct flood *of)
{
	uint64_t taken, failed, start, middle, started = 0;
	kern_return_t code = program_touch_static();

	flood = of;
	flood_parse(argc, argv, &of->syntax, &options);
	if (code != KERN_SUCCESS) {
		printf("%s: cannot begin: %s\n", argv[0], mach_error_string(code));
		return EXIT_FAILURE;
	}
	flood_reserve();
	look(argv[0], "before");
	if (flood->prepare != NULL)
		code = flood->prepare(&options);
	if (code != KERN_SUCCESS) {
		printf("%s: cannot begin: %s\n", argv[0], mach_error_string(code));
		return EXIT_FAILURE;
	}
	start = clock_uptime_us();
	taken = options.tasks > 0 ? take_in_tasks(&started) : take_all();
	middle = clock_uptime_us();
	printf("%s: %" PRIu64 " %s in %" PRIu64 " ms\n", argv[0], taken, of->noun,
	       (middle - start) / 1000);
	look(argv[0], "at the peak");
	if (options.keep)
		flood_print_end(argv[0], &end);
	while (options.keep)
		thread_sleep(1000);
	middle = clock_uptime_us();
	failed = give_back_tasks(started);
	failed += give_back_all(options.tasks > 0 && pieces[0] == NULL ? 0 : taken);
	printf("%s: gave them back in %" PRIu64 " ms\n", argv[0],
	       (clock_uptime_us() - middle) / 1000);
	look(argv[0], "after");
	if (failed > 0)
		printf("%s: %" PRIu64 " could not be given back\n", argv[0], failed);
	if (end.code == KERN_SUCCESS)
		printf("took %" PRIu64 " %s\n", taken, of->noun);
	flood_print_end(argv[0], &end);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
