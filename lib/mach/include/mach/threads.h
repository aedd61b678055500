/* SPDX-License-Identifier: BSD-2-Clause */
/* Threads, mutexes and conditions for user programs. */
#ifndef MACH_THREADS_H
#define MACH_THREADS_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>

/* Whoever comes second, its end or thread_detach, frees the record of a detached thread. */
enum { THREAD_RUNS, THREAD_FINISHED, THREAD_DETACHED };

/* What the library keeps per thread; %fs:0 points at it. */
struct thread {
	struct thread *self;		/* must be first */
	mach_port_t reply_port;		/* MACH_PORT_NULL: none yet */
	mach_port_t port;		/* its kernel port */
	void (*function)(void *);
	void *argument;
	vm_address_t stack;		/* lowest address; 0: not the library's */
	vm_size_t stack_size;
	uint32_t state;			/* THREAD_..., waited on */
	bool replacing_port;		/* inside mig_dealloc_reply_port */
	void *watcher;			/* on whose behalf its calls are watched (calls.h), or NULL */
	void *serving;			/* lib/ports: the request that it serves, or NULL */
	mach_port_t rpc_port;		/* reply_port while its calls are not watched, else MACH_PORT_NULL */
};

static inline struct thread *thread_self(void)
{
	struct thread *self;

	__asm__("movq %%fs:0, %0" : "=r" (self));
	return self;
}

#define THREAD_STACK_SIZE	(32 * 1024)

/*
 * Runs function(argument) on a new thread of this task with a stack of its own
 * (bytes; 0: THREAD_STACK_SIZE), all of it present from the start. KERN_RESOURCE_SHORTAGE or a message code: no
 * thread was made and nothing is held. Charged to this task's ledger.
 */
kern_return_t thread_spawn(void (*function)(void *), void *argument, vm_size_t stack_size,
			   struct thread **thread);
/* Waits for its end and frees it. Once per thread, not for detached ones. */
void thread_join(struct thread *thread);
/* Nobody will join it: it frees itself. */
void thread_detach(struct thread *thread);
_Noreturn void thread_finish(void);
void thread_yield(void);
/* Milliseconds; may be longer. */
void thread_sleep(unsigned milliseconds);
/* Nanoseconds since boot. */
uint64_t clock_uptime_ns(void);
static inline uint64_t clock_uptime_us(void) { return clock_uptime_ns() / 1000; }

/* The first thread of a task makes itself known, with a block of static memory. */
void thread_adopt(struct thread *thread);

/*
 * A mutex of three states (Drepper, "Futexes Are Tricky", 2011, mutex3): 0
 * free, 1 held, 2 held and perhaps waited for. Never fails.
 */
struct mutex {
	uint32_t state;
};
#define MUTEX_INIT	{ 0 }
void mutex_lock(struct mutex *mutex);
bool mutex_try_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

/* A condition: a count of the signals. Waits may end without one. */
struct condition {
	uint32_t signals;
};
#define CONDITION_INIT	{ 0 }
void condition_wait(struct condition *condition, struct mutex *mutex);
/* False: the time was over (milliseconds). */
bool condition_wait_for(struct condition *condition, struct mutex *mutex, unsigned milliseconds);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

/*
 * Waits while *word is value, at most the time (milliseconds; 0: no limit).
 * False: the time was over. May return early. When the wait itself is denied
 * memory it yields the CPU instead.
 */
bool word_wait(uint32_t *word, uint32_t value, unsigned milliseconds);
void word_wake(uint32_t *word, bool all);

#endif
