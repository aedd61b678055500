/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages put together by hand, item by item, and short ways to what tests ask about names. */
#ifndef MSG_H
#define MSG_H

#include <mach.h>
#include <mach/message.h>
#include <mach/notify.h>
#include <stdbool.h>
#include <stdint.h>

#define MSG_ROOM	4096	/* bytes of a whole message */

/* The types, abbreviated. */
enum {
	MOVE_RECEIVE = MACH_MSG_TYPE_MOVE_RECEIVE,
	MOVE_SEND = MACH_MSG_TYPE_MOVE_SEND,
	MOVE_ONCE = MACH_MSG_TYPE_MOVE_SEND_ONCE,
	COPY_SEND = MACH_MSG_TYPE_COPY_SEND,
	MAKE_SEND = MACH_MSG_TYPE_MAKE_SEND,
	MAKE_ONCE = MACH_MSG_TYPE_MAKE_SEND_ONCE,
};

struct msg {
	union {
		mach_msg_header_t head;
		uint64_t words[MSG_ROOM / 8];
		char bytes[MSG_ROOM];
	};
	uint32_t size;		/* of what was put together */
};

/* A header; local_type 0: no reply port. */
void msg_begin(struct msg *m, unsigned remote_type, mach_port_t remote, unsigned local_type, mach_port_t local,
	       mach_msg_id_t id);
/* Items. Each returns its descriptor, which a test may spoil; those with rights or regions set COMPLEX. */
mach_msg_type_t *msg_add_data(struct msg *m, const void *bytes, uint32_t size);
mach_msg_type_t *msg_add_port(struct msg *m, unsigned type, mach_port_t name);
mach_msg_type_t *msg_add_ports(struct msg *m, unsigned type, const mach_port_t *names, uint32_t count);
mach_msg_type_t *msg_add_region(struct msg *m, const void *address, uint64_t size, bool deallocate);
mach_msg_type_t *msg_add_array(struct msg *m, unsigned type, const mach_port_t *names, uint32_t count,
			       bool deallocate);

/* A server's reply that is only a code, to the request's reply port. */
void msg_reply(const mach_msg_header_t *request, mach_msg_header_t *reply, kern_return_t code);

/* A request of a header, with the thread's reply port. *answer: the code in the reply; MIG_SERVER_DIED, if it is none. After a failure
   the thread has another reply port. */
mach_msg_return_t msg_call(mach_port_t port, mach_msg_id_t id, kern_return_t *answer);
/* The same: the call's failure, or the answer. */
kern_return_t msg_call_answer(mach_port_t port, mach_msg_id_t id);

/* MACH_SEND_MSG and other options; time-outs in milliseconds, given only with the option. */
mach_msg_return_t msg_send(struct msg *m, mach_msg_option_t option, unsigned timeout);
/* Receives into m, which is filled with 0xaa first; without options waits at most 10 s. */
mach_msg_return_t msg_receive(struct msg *m, mach_port_t port, mach_msg_option_t option, unsigned timeout);
/* The same with a limit of the buffer. */
mach_msg_return_t msg_receive_size(struct msg *m, mach_port_t port, mach_msg_option_t option, unsigned timeout,
				   uint32_t size);
/* True when nothing is queued. */
bool msg_none(mach_port_t port);
/* A plain message of a header: sent within 0 ms to a send right / received; the id, or 0. */
mach_msg_return_t msg_send_plain(mach_port_t port, mach_msg_id_t id);
int msg_receive_plain(mach_port_t port);

/* The n-th item of a received message (0: the first); its data or its first right or its address. */
mach_msg_type_t *msg_item(struct msg *m, unsigned n);
mach_port_t msg_item_port(struct msg *m, unsigned n);
char *msg_item_region(struct msg *m, unsigned n);

/* Rights: each fails the test when it cannot be had. */
mach_port_t port_new(void);			/* a receive right */
mach_port_t port_new_send(void);		/* with a send right of the same name */
mach_port_t port_new_set(void);
void port_add_send(mach_port_t port);		/* one more send right, or reference to it */
mach_port_t port_new_once(mach_port_t port);	/* a send-once right for the port */
void port_free(mach_port_t port);		/* mach_port_destroy, claimed silently */
mach_port_type_t port_type(mach_port_t name);	/* 0: no such name */
unsigned port_refs(mach_port_t name, mach_port_right_t right);
mach_port_status_t port_status(mach_port_t name);

#endif
