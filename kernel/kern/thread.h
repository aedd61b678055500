/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads: saved user registers, a wait record, scheduling state. Theory in thread.c. */
#ifndef KERN_THREAD_H
#define KERN_THREAD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mach/kern_return.h>
#include <mach/message.h>
#include "ipc/kmsg.h"
#include "kern/denials.h"
#include "kern/wait.h"
#include "x86_64/regs.h"

struct task;
struct port;
struct alloc_site;
struct sched_share;

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_STOPPED, THREAD_DEAD };

/* The arguments of a mach_msg in progress, and of a kernel call whose reply is still due: ipc/ owns them. */
struct msg_state {
	struct kmsg *kmsg;		/* message being built or a kernel call's request */
	struct port *reply_port;	/* kernel call: where the reply goes (one right held) */
	uint64_t buffer;		/* user address */
	uint32_t option;
	uint32_t send_size, receive_size;
	uint32_t receive_name;
	uint32_t timeout_ms;
	uint32_t notify;
	int64_t deadline_ns;		/* of the send and then of the receive, when it has waited (0: not yet) */
	uint32_t reply_id;
	uint8_t reply_disposition;	/* MACH_MSG_TYPE_PORT_SEND or SEND_ONCE */
	bool reply_direct;		/* kernel call: its reply needs no right, it goes straight into the buffer */
	struct port *room;		/* woken sender: the port (a reference) whose room it was offered, until it runs */
};

/*
 * Where a message may be written to straight away when the thread waits with its msg as it is: it takes so many bytes (straight_room)
 * and can run, and its buffer was found writable when pmap.changes was this. Whoever changes one of these things sets
 * straight_room to 0 or counts pmap.changes up. Theory in ipc/msg_fast.c.
 */
struct straight {
	char *place;			/* of msg.buffer, in the direct map */
	uint64_t changes;
};

/* What is never needed at the same time lies in one place. What a message needs lies in few cache lines (make bench-breakdown
   counts them): those of regs, one from task on, of msg, and of what follows msg. */
struct thread {
	struct regs regs;		/* must be first */
	struct task *task;		/* its ledger pays */
	struct sched_share *share;	/* whose time it runs on: its task's home, or a caller's (hand-off) */
	enum thread_state state : 8;
	uint8_t priority;		/* now (depressed: the lowest) */
	uint8_t base_priority, max_priority;
	union {
		struct {
			bool depressed : 1;
			bool serves_counted : 1; /* among the running threads of the set that it serves */
		};
		uint8_t unusual;	/* either: the end of its running takes more than usual */
	};
	bool works_off;			/* it deferred destruction in this call: works it off before it returns */
	uint16_t straight_room;		/* bytes for which straight is good; 0: for none */
	struct wait wait;
	union {
		struct {
			RB_ENTRY(thread) timer;	/* while wait.deadline_ns is set */
			struct msg_state msg;
		};
		/* The head of an exception's message (kern/exception.c), while the thread waits for the answer: it is in no call then,
		   and has no deadline. Cleared before and afterwards, so that no pointer of the one is taken for the other's. */
		uint8_t exception[KMSG_HEAD_BYTES] __attribute__((aligned(8)));
	};
	uint32_t suspend_count;
	uint32_t id;
	/* serving a throttled port set (ipc/throttle.c) */
	struct port *serves;		/* the set it received from last (a reference), or NULL */
	void *fpu;			/* FPU_STATE_SIZE bytes or NULL */
	uint64_t cpu_ticks;		/* had, of the TSC, less the time it began while it runs; sched_cpu_ns tells */
	union {
		TAILQ_ENTRY(thread) serves_link; /* while serves_counted */
		struct straight straight; /* while straight_room is not 0; then it serves none */
	};
	struct port *self;		/* kernel port, NULL when dead */
	struct port *exception_port;	/* send right or NULL */
	uint64_t created_ns;
	/* debugging and accounting */
	struct denial_record denial;	/* the last; count 0: none */
	uint32_t fail_nth;		/* 0: off; armed for the next call */
	uint32_t fail_armed;
	const struct alloc_site *fail_site; /* NULL: it has not fired */
	LIST_ENTRY(thread) task_link;
	char name[32];
};
_Static_assert(offsetof(struct thread, msg.reply_id) >= offsetof(struct thread, exception) + KMSG_HEAD_BYTES,
	       "an exception's head leaves room and reply_direct alone, which are looked at whatever the thread does");
_Static_assert(sizeof(struct thread) == 576, "seven to a page: keep it so");

/* The current thread; NULL while idle or booting. */
struct thread *thread_current(void);
static inline void thread_set_result(struct thread *thread, int64_t result) { thread->regs.rax = (uint64_t)result; }

/* A suspended-once (Mach: suspend count 1) thread of the task; charges the task's ledger. NULL: denied. */
struct thread *thread_make(struct task *task);
/* Terminates: cancels its wait, takes it off all queues; its memory goes by reaping. The current thread too
   (then the caller must return KERN_BLOCKED-wise: it never runs again). */
void thread_kill(struct thread *thread);
/* The last of a dead thread that was current: called when another address space is active. */
void thread_bury(struct thread *thread);
void thread_init(void);		/* zones */
/* Finishes the call of a thread that was woken but has not run since. */
void thread_settle(struct thread *thread);
void thread_suspend_one(struct thread *thread);
/* KERN_FAILURE: it was not suspended. */
kern_return_t thread_resume_one(struct thread *thread);
/* Behind all others for time_ms, or until it is ended. */
void thread_depress(struct thread *thread, uint32_t time_ms);
void thread_depress_end(struct thread *thread);
void thread_set_base_priority(struct thread *thread, unsigned priority);
/* It has an image of the FPU's registers in thread->fpu, the initial one when it had none; its task's ledger pays. False: denied. */
bool thread_fpu_make(struct thread *thread);
/* It has none any more, as if it had never used the FPU. */
void thread_fpu_free(struct thread *thread);
extern struct zone thread_zone;

#endif
