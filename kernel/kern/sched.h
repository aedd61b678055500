/* SPDX-License-Identifier: BSD-2-Clause */
/* The scheduler: shares of the root's children by virtual time, Mach priorities inside one. Theory in sched.c. */
#ifndef KERN_SCHED_H
#define KERN_SCHED_H
#include <stdbool.h>
#include <stdint.h>
#include <weir/tree.h>
#include "kern/task.h"
#include "kern/thread.h"

struct ledger;

#define SCHED_PRIORITIES 64		/* 0 is the most urgent */
#define SCHED_PRIORITY_USER 25		/* what new tasks have */
#define SCHED_PRIORITY_LOWEST (SCHED_PRIORITIES - 1)
#define SCHED_QUANTUM_MS 10
#define SCHED_WEIGHT_DEFAULT 100

/* The run queue of one child of the root ledger (or of the root itself), and the time it has had. */
struct sched_share {
	RB_ENTRY(sched_share) node;	/* in the tree of shares that have ready threads, by time */
	uint64_t virtual_ns;		/* CPU time had, divided by weight */
	uint64_t ready_mask;		/* bit p: queue p is not empty */
	uint32_t ready;			/* threads queued */
	uint32_t tasks;			/* whose home this is */
	uint32_t weight;
	bool retired;			/* its ledger is gone: freed with its last task */
	struct thread *queue[SCHED_PRIORITIES];	/* rings; the head runs next */
};

void sched_init(void);
/* A share for a child of the root ledger: one kernel page, paid by the root. False: denied. */
bool sched_share_create(struct ledger *ledger);
/* The ledger is terminated: its share goes when its last task has gone. */
void sched_share_retire(struct ledger *ledger);
void sched_share_weight(struct ledger *ledger, uint32_t weight);
/* The share whose time the ledger's threads use: that of the root's child above it. */
struct sched_share *sched_share_of(struct ledger *ledger);
/* The share becomes the task's home, or is so no more. */
void sched_task_enter(struct task *task, struct sched_share *share);
void sched_task_leave(struct task *task);

/* What the task's new threads have, if all threads may. */
static inline void sched_task_priority(struct task *task, uint8_t priority)
{
	struct thread new;

	new.standing = 0;
	new.state = THREAD_STOPPED;
	new.priority = new.base_priority = priority;
	new.max_priority = SCHED_PRIORITY_USER < priority ? SCHED_PRIORITY_USER : priority;
	task->priority = priority;
	task->new_standing = new.standing;
}

/* True if nothing stops the thread from running: the dead are suspended for good. */
static inline __attribute__((always_inline)) bool sched_runnable(const struct thread *thread)
{
	return thread->suspend_count == 0 && thread->task->suspend_count == 0;
}
/* Queues a thread that may run (or marks it stopped, if it may not). */
void sched_ready(struct thread *thread);
/* Takes a ready thread off its queue. */
void sched_unready(struct thread *thread);
/* The next switch goes to this woken thread, on the current thread's share. */
void sched_handoff(struct thread *thread);
/* Leaves the current thread as it is (waiting, stopped, dead or queued) and runs another. */
_Noreturn void sched_switch(void);
/* from waits, to does not any more and may run: it has the CPU, on from's share and quantum, and its call returns 0. For the
   fast path of mach_msg: neither serves a throttled set. */
_Noreturn void sched_pass(struct thread *from, struct thread *to);
/* The current thread stays ready, behind its equals; others run first. */
_Noreturn void sched_yield(void);
/* The current thread's long call pauses: what is done at the return to user mode is done, and the call goes on, now or after others. */
_Noreturn void sched_pause(struct thread *thread);
/* The ready thread runs on the same share as the current one now does, so the CPU may be handed to it. */
bool sched_same_share(const struct thread *ready);
/* Is a thread ready beside the current one? */
bool sched_others_ready(void);
/* The same for an order of priorities that changed: requeues a ready thread. */
void sched_set_priority(struct thread *thread, unsigned priority);
/* A thread that is not on a queue and not current may run again (resume). */
void sched_resume(struct thread *thread);
/* The thread's CPU time, up to now, in ticks of the TSC and in ns. */
uint64_t sched_cpu_ticks(const struct thread *thread);
uint64_t sched_cpu_ns(const struct thread *thread);

#endif
