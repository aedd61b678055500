/* SPDX-License-Identifier: BSD-2-Clause */
/* Tasks: an address space, a name space, threads, and the ledger that pays. */
#ifndef KERN_TASK_H
#define KERN_TASK_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/queue.h>
#include "ipc/space.h"
#include "kern/denials.h"
#include "mem/reap.h"
#include "vm/map.h"

#define TASK_PORT_REGISTER_MAX 4

/* What a message needs lies in few cache lines (tools/breakdown counts them): its own. */
struct task {
	struct vm_map map;
	uint64_t created_ns;
	struct space space;
	uint64_t messages_sent, messages_received;
	struct ledger *ledger;			/* pays for it and for what it makes */
	struct sched_share *home;		/* the ledger's share of the CPU: its threads' */
	uint32_t suspend_count;			/* not 0 of a dead one */
	uint32_t thread_count;
	uint8_t priority;			/* set by sched_task_priority */
	bool dead;
	bool ending : 1, dying_current : 1;	/* end is on its list; its thread that died as the current one is not buried yet */
	bool dismantled : 1;			/* so only its memory is left, which goes when neither is true */
	bool booted : 1;			/* of a boot module: nobody else tells of its end */
	uint32_t id;
	LIST_HEAD(, thread) threads;
	struct port *self;			/* kernel port; NULL when dead */
	struct port *asks_for;			/* what it is told when it asks for itself: self, or NULL: kernel_port */
	struct port *kernel_port;		/* send rights or NULL; this one stands for self */
	struct port *exception_port;
	struct port *bootstrap_port;
	struct port *registered[TASK_PORT_REGISTER_MAX];
	union {
		LIST_ENTRY(task) all;
		struct reap reap;		/* once it is dead */
	};
	LIST_ENTRY(task) ledger_link;
	struct reap end;			/* of task_kill_later */
	uint64_t dead_threads_cpu_ticks;
	uint64_t new_standing;			/* of its new threads (thread.c) */
	char name[32];
	struct denial_record denials[DENIALS_OF_TASK];	/* of its threads (denials.c) */
};
_Static_assert(offsetof(struct task, space) == 192 && sizeof(struct task) <= 808, "cache lines, and five to a page");


extern struct zone task_zone;
extern LIST_HEAD(task_list, task) task_list;
/* NULL: denied, nothing changed. parent NULL: empty, no special ports. */
struct task *task_make(struct task *parent, struct ledger *ledger, bool inherit_memory, int *error);
/* The same in parts: one with nothing in it, that nobody sees yet; NULL: denied. */
struct task *task_begin(struct ledger *ledger);
/* What it has but memory; it is there. False: denied, its memory is as it was. */
bool task_commit(struct task *task, struct task *parent);
/* One that is not there yet goes. */
void task_unmake(struct task *task);
void task_kill(struct task *task);
/* The same from reaping: where no handler is under way, which may be at work on this very task. */
void task_kill_later(struct task *task);
/* Its thread that died as the current one is buried. */
void task_buried(struct task *task);
void task_init(void);		/* zones */
/* The CPU time of its threads that live, ns (task_server.c). Opens windows. */
uint64_t task_live_cpu_ns(const struct task *task);
/* The task with this id, NULL: none. */
struct task *task_by_id(uint32_t id);
static inline struct task *task_of_map(struct vm_map *map) { return (struct task *)((char *)map - __builtin_offsetof(struct task, map)); }
static inline struct task *task_of_space(struct space *space) { return (struct task *)((char *)space - __builtin_offsetof(struct task, space)); }

#endif
