/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of chaos_test share. Opening comment in main.c. */
#ifndef CHAOS_H
#define CHAOS_H

#include <mach.h>
#include <mach/threads.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "child.h"

#define TASKS		3
#define WORKERS		12	/* threads of each task that do operations */
#define SLOTS		48	/* names of each task that operations are done on */
#define SLOT_NAME(i)	((mach_port_name_t)(0x1000 + (i)))
#define COMMON_PORTS	4	/* the parent's, which all may send to */
#define HOST_PRIV_NAME	0x6001	/* a right to the privileged host port, for fail-nth: not among the slots */

/* The first slots as the parent fills them; the rest are ports and sets of the task's own. */
enum {
	SLOT_SELF, SLOT_THREAD, SLOT_TASKS, SLOT_LEDGER = SLOT_TASKS + TASKS, SLOT_HOST, SLOT_MASTER, SLOT_CONSOLE, SLOT_TIME,
	SLOT_MEMORY, SLOT_COMMON, SLOT_PORTS = SLOT_COMMON + COMMON_PORTS, SLOT_SETS = SLOT_PORTS + 12, SLOT_FREE = SLOT_SETS + 4,
};

#define ARENA		0x20000000000ull	/* each task's own memory that operations are done on */
#define ARENA_PAGES	64
#define SHARED_PAGES	16			/* the same of all tasks */
#define OUT_ROOM	(20 * 1024)

/* In memory shared with the parent. */
struct common {
	uint64_t progress[TASKS][WORKERS];	/* operations done */
	uint64_t sent, received, restarts, denials;
	uint64_t leaks;				/* words in received messages that look like the kernel's pointers */
	uint64_t refused;			/* small replies by send-once rights that were denied memory */
	uint64_t leak_word, leak_id, refused_code;
};

struct worker {
	struct random random;
	unsigned task, index;
	bool messages_mostly;			/* it does little but to call and serve, so that there are calls to disturb */
	mach_port_t reply;			/* a port of mach_reply_port */
	mach_port_t answer_to;			/* a send-once right, or null */
	mach_port_name_t recent[16];		/* names that came in messages */
	unsigned recent_next;
	struct { vm_address_t address; vm_size_t size; } regions[8];	/* memory that came */
	char *out;				/* OUT_ROOM bytes of its own */
};

extern struct common *common;
extern char *shared_arena;
extern struct worker workers[WORKERS];

/* A task's first thread; argument: its number. */
void chaos_child(void *argument);
/* Where a thread that an exception has stopped goes on: the worker's loop, anew. */
void chaos_restart(void);
extern char chaos_restart_end[];
/* The thread goes on in its loop, if it is one of ours. */
kern_return_t restart_thread(thread_t thread);

static inline uint64_t below(struct worker *worker, uint64_t bound)
{
	return random_below(&worker->random, bound);
}
static inline bool one_in(struct worker *worker, unsigned n)
{
	return below(worker, n) == 0;
}
/* A name to operate on; nearly always one that means something. */
mach_port_name_t some_name(struct worker *worker);
/* Of these slots, or a name of another kind now and then. */
mach_port_name_t some_slot(struct worker *worker, unsigned first, unsigned count);
mach_port_name_t some_task(struct worker *worker);
mach_port_name_t some_thread(struct worker *worker);
/* An address in an arena. */
vm_address_t some_address(struct worker *worker);
vm_size_t some_size(struct worker *worker);
uint64_t some_word(struct worker *worker);
/* A right has come: it becomes one to operate on. */
void keep_name(struct worker *worker, mach_port_name_t name);
void keep_region(struct worker *worker, vm_address_t address, vm_size_t size);

/* Each does one operation. */
void message_operation(struct worker *worker);
void nonsense_operation(struct worker *worker);
void right_operation(struct worker *worker);
void memory_operation(struct worker *worker);
void thread_operation(struct worker *worker);
void ledger_operation(struct worker *worker);
void other_operation(struct worker *worker);
/* One of the first allocations of the thread's next call is to be denied. */
void arm(struct worker *worker, thread_t thread);

#endif
