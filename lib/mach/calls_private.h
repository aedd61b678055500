/* SPDX-License-Identifier: BSD-2-Clause */
/* What mach_msg tells of its watched calls. */
#ifndef CALLS_PRIVATE_H
#define CALLS_PRIVATE_H

#include <mach/calls.h>

struct thread;

struct call {
	struct call *previous, *next;
	struct thread *thread;
	void *watcher;
	bool aborted;
};

/* In a forked task the calls are those of its parent's threads. */
void calls_forget(void);
/* Between the two this thread is not watched: the lock's own calls must not come here. */
void call_begin(struct call *call);
void call_end(struct call *call);
/* NULL: a call that is not watched. */
bool call_aborted(const struct call *call);

/* From traps.S. */
mach_msg_return_t mach_msg_watched(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
				   mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
				   mach_port_name_t notify);
mach_msg_return_t mach_msg_sent_again(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
				      mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
				      mach_port_name_t notify);
mach_msg_return_t mach_msg_received_again(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
					  mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
					  mach_port_name_t notify);

#endif
