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
#include "kern/assert.h"
#include "kern/wait.h"
#include "x86_64/regs.h"

struct task;
struct port;
struct alloc_site;
struct ledger;

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_WAITING, THREAD_STOPPED, THREAD_DEAD };

/* The arguments of a mach_msg in progress, and of a kernel call whose reply is still due: ipc/ owns them. */
struct msg_state {
	struct kmsg *kmsg;		/* message being built or a kernel call's request */
	struct port *reply_port;	/* kernel call: where the reply goes (one right held) */
	uint64_t buffer;		/* user address */
	uint32_t option;
	union {
		uint32_t send_size;	/* until it is sent, */
		uint32_t reply_id;	/* then of a kernel call */
	};
	uint32_t receive_size;
	uint32_t receive_name;
	uint32_t timeout_ms;
	uint32_t notify;
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

/* What few threads need. It is made at the first use of any of it (thread_extra_make) and charged to the task's ledger, as one of
   LEDGER_FPUS, which most are made for. */
struct thread_extra {
	uint8_t fpu[FPU_STATE_SIZE] __attribute__((aligned(16))); /* an image of the registers, while the thread has_fpu */
	struct ledger *payer;
	struct port *exception_port;	/* send right or NULL */
	const struct alloc_site *fail_site; /* NULL: it has not fired */
	uint32_t fail_nth;		/* 0: off; armed for the next call */
	uint32_t fail_armed;
	char name[32];
};
_Static_assert(sizeof(struct thread_extra) == 576, "seven to a page: keep it so");

/* Bytes of the head of an exception's message. */
#define THREAD_EXCEPTION_BYTES (offsetof(struct kmsg, queued_ns) + sizeof(uint64_t))

/*
 * What is never needed at the same time lies in one place, what few threads need in another (extra), and what is seldom asked for in
 * the task (denials). What a message needs lies in few cache lines (make bench-breakdown counts them): the registers, and all from
 * there to straight.
 */
struct thread {
	struct regs regs;		/* must be first */
	struct task *task;		/* its ledger pays */
	union {
		struct {
			enum thread_state state : 8;
			uint8_t priority;	/* now (depressed: the lowest) */
			uint8_t base_priority, max_priority;
			union {
				struct {
					bool depressed : 1;
					bool serves_counted : 1; /* among the running threads of the set that it serves */
				};
				uint8_t unusual; /* either: the end of its running takes more than usual */
			};
			bool works_off : 1;	/* it deferred destruction in this call: works it off before it returns */
			bool has_fpu : 1;	/* extra has its FPU registers, when they are not in the processor */
			bool has_gs_base : 1;	/* regs.gs_base is not 0 */
			bool timed : 1;		/* its deadline is awaited: of its wait, or of its depression (kern/timer.c) */
			bool deadline_kept : 1;	/* wait.deadline_ns is that of the send, or of the receive, that is not over yet */
			uint16_t straight_room;	/* bytes for which straight is good; 0: for none */
		};
		uint64_t standing;	/* all of these: a new one's is its task's new_standing */
	};
	union {
		struct {
			struct wait wait;
			LIST_ENTRY(thread) timer; /* while timed */
			struct msg_state msg;
		};
		/* The head of an exception's message (kern/exception.c), while the thread waits for the answer: then it is in no queue, has
		   no deadline and is in no call. Cleared before and afterwards, so that no pointer of the one is taken for the other's. */
		struct {
			uint8_t of_wait[offsetof(struct wait, link)];
			uint8_t exception[THREAD_EXCEPTION_BYTES] __attribute__((aligned(8)));
		};
	};
	uint32_t suspend_count;		/* not 0 of a dead one */
	uint8_t reply_disposition;	/* of msg.reply_port: MACH_MSG_TYPE_PORT_SEND or SEND_ONCE */
	bool reply_direct;		/* kernel call: its reply needs no right, it goes straight into the buffer */
	uint8_t denial;			/* which of its task's denials is its last, from 1 on; 0: none (kern/denials.c) */
	/* serving a throttled port set (ipc/throttle.c) */
	struct port *serves;		/* the set it received from last (a reference), or NULL */
	uint64_t cpu_ticks;		/* had, of the TSC, less the time it began while it runs; sched_cpu_ns tells */
	union {
		TAILQ_ENTRY(thread) serves_link; /* while serves_counted */
		struct straight straight; /* while straight_room is not 0; then it serves none */
	};
	struct thread_extra *extra;	/* or NULL */
	struct port *self;		/* kernel port, NULL when dead */
	uint64_t created_ns;
	LIST_ENTRY(thread) task_link;
};
_Static_assert(offsetof(struct thread, msg.room) >= offsetof(struct thread, exception) + THREAD_EXCEPTION_BYTES,
	       "an exception's head leaves room alone, which is looked at whatever the thread does");
_Static_assert(sizeof(struct thread) <= 424, "nine to a page: keep it so");

/* The current thread; NULL while idle or booting. */
struct thread *thread_current(void);
static inline void thread_set_result(struct thread *thread, int64_t result) { thread->regs.rax = (uint64_t)result; }

/* A suspended-once (Mach: suspend count 1) thread of the task; charges the task's ledger. NULL: denied. */
struct thread *thread_make(struct task *task);
/* What a thread that was made and has no registers yet is woken for: it gets them before anybody sees any. */
extern const struct wait_kind thread_new;
static inline bool thread_is_new(const struct thread *thread) { return thread->wait.kind == &thread_new; }
/* A new one's registers: all zero but these, and the bases as they are. */
void thread_begin_at(struct thread *thread, uint64_t rip, uint64_t rsp);
/* Terminates: cancels its wait, takes it off all queues; its memory goes by reaping. The current thread too
   (then the caller must return KERN_BLOCKED-wise: it never runs again). */
void thread_kill(struct thread *thread);
/* The last of a dead thread that was current: called when another address space is active. */
void thread_bury(struct thread *thread);
void thread_init(void);		/* zones */
/* Finishes the call of a thread that was woken but has not run since. */
void thread_settle_slow(struct thread *thread);
static inline void thread_settle(struct thread *thread)
{
	if (thread->wait.kind != NULL)
		thread_settle_slow(thread);
}
void thread_suspend_one(struct thread *thread);
/* KERN_FAILURE: it was not suspended. */
kern_return_t thread_resume_one(struct thread *thread);
/* Behind all others for time_ms, or until it is ended. */
void thread_depress(struct thread *thread, uint32_t time_ms);
void thread_depress_end(struct thread *thread);
void thread_set_base_priority(struct thread *thread, unsigned priority);
/* It has thread->extra; its task's ledger pays. False: denied. */
bool thread_extra_make(struct thread *thread);
/* It has an image of the FPU's registers in there, the initial one when it had none. False: denied. */
bool thread_fpu_make(struct thread *thread);
/* It has none any more, as if it had never used the FPU. */
void thread_fpu_free(struct thread *thread);
/* The send right to its own handler of exceptions, NULL: none. */
static inline struct port *thread_exception_port(const struct thread *thread)
{
	return thread->extra != NULL ? thread->extra->exception_port : NULL;
}
extern struct zone thread_zone;

/* -- inline: the short forms of kern/wait.h -- */

/* wait_begin for a thread that is not depressed, without a time-out; of a throttled set that counts the thread nothing is told. */
static inline void wait_begin_plain(struct thread *thread, const struct wait_kind *kind, void *object)
{
	struct wait *wait = &thread->wait;

	assert(wait->kind == NULL && !thread->timed && !thread->depressed);
	wait->kind = kind;
	wait->object = object;
	thread->state = THREAD_WAITING;
}

/* Ends the wait, whose thread serves no throttled set; what its continuation is for has been done: the caller lets the thread run, and
   stops its timer (deadline_ns) before. */
static inline void wait_end_plain(struct thread *thread)
{
	assert(thread->state == THREAD_WAITING && thread->serves == NULL);
	thread->wait.kind = NULL;
}

#endif
