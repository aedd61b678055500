/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Children of a test: copies of its task with one thread that runs a function, in a ledger of
 * choice. A child shares memory with the test only where that was made with shared_alloc; it must
 * not claim (see tap.h) but leave its findings there. It has no port names but those it is given.
 */
#ifndef CHILD_H
#define CHILD_H

#include <mach/mach_types.h>
#include <stdbool.h>
#include <stdint.h>
#include <weir/ledger.h>

struct child {
	task_t task;		/* send rights of the test's */
	thread_t thread;
	mach_port_t end;	/* tells of the task's end */
	bool ended;
};

struct child_options {
	ledger_t ledger;	/* null: that of the test */
	/* Called in the test before the child runs, to put rights into it; may be NULL. */
	kern_return_t (*before)(struct child *child, void *argument);
	bool suspended;		/* leave its thread suspended once */
};

/* On an error nothing is left. options may be NULL. The function's return ends the child. */
kern_return_t child_start(struct child *child, void (*function)(void *), void *argument,
			  const struct child_options *options);
/* Waits for its end, at most so long; false: it still lives. */
bool child_wait(struct child *child, unsigned milliseconds);
/* Ends it if it lives, waits for that, and gives the rights back. */
void child_finish(struct child *child);

/* An empty task (no memory but what is given to it) for tests that only need one. */
kern_return_t child_empty(task_t *task, ledger_t ledger);

/* Whole pages of zeros that children made from now on share with the test. Fails the test. */
void *shared_alloc(vm_size_t size);
void shared_free(void *memory, vm_size_t size);

/*
 * Words in shared memory as events: post stores and wakes all; await waits until the word has at
 * least the value (false: not within the time). gsync with GSYNC_SHARED.
 */
void word_post(uint32_t *word, uint32_t value);
bool word_await(uint32_t *word, uint32_t value, unsigned milliseconds);
/* Looks at a word that nobody posts until it is the value; false: not within the time. */
bool word_becomes(const uint32_t *word, uint32_t value, unsigned milliseconds);

/* Waits for a message of any kind on the port; its id, 0: none came in time. Rights are given back. */
int message_await(mach_port_t port, unsigned milliseconds);

/* Waits until the thread waits (in the kernel, TH_STATE_WAITING); false: not within the time. */
bool thread_await_waiting(thread_t thread, unsigned milliseconds);
/* Or until its state is any of TH_STATE_... */
bool thread_await_state(thread_t thread, int state, unsigned milliseconds);

/* Random numbers (xorshift64*, Vigna 2016); print the seed with diag. */
struct random {
	uint64_t state;
};
uint64_t random_next(struct random *random);
/* Below the bound, which is not 0. */
uint64_t random_below(struct random *random, uint64_t bound);

#endif
