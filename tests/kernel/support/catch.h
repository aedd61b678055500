/* SPDX-License-Identifier: BSD-2-Clause */
/* Receiving exceptions by hand, message by message, and answering them. */
#ifndef CATCH_H
#define CATCH_H

#include <mach/mach_types.h>
#include <mach/machine/thread_status.h>
#include <mach/message.h>
#include <stdbool.h>

struct caught {
	mach_port_t reply;		/* send-once */
	thread_t thread;		/* send rights */
	task_t task;
	int exception, code;
	uint64_t subcode;
};

/* The next exception at the port; false: none came in time (or another message: it is dropped). */
bool catch_next(mach_port_t port, unsigned milliseconds, struct caught *caught);
/* Answers with the code and gives the rights back. */
void catch_answer(struct caught *caught, kern_return_t code);
/* A receive right with a send right beside it under the same name. Fails the test. */
mach_port_t catch_port(void);
void catch_port_destroy(mach_port_t port);

/* The registers of a thread. Fail the test. */
void registers_get(thread_t thread, struct i386_thread_state *state);
void registers_set(thread_t thread, const struct i386_thread_state *state);

#endif
