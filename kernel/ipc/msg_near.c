/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The near forms of the fast path of mach_msg. Theory in msg_fast.c and msg_pass.h.
 *
 * They never return: either another thread has the CPU then, or the call begins again by msg_fast_again. So this file is compiled by itself,
 * for registers that nobody expects to be kept (the Makefile's NEAR_FLAGS): no register is saved, and enough are left that nothing is
 * loaded twice, which makes a sixth of the instructions (docs/decisions/0023). Nothing here may return to a caller, and nothing but what
 * never returns may be called while something is to be kept in a register.
 */
#include "ipc/msg_fast.h"
#include "ipc/msg_pass.h"

#define NEAR_CALL(bytes) ((struct call){ buffer, (uint32_t)(bytes), (mach_port_name_t)name })

/* A function for each, so that what a message with a body takes is not taken for one without. */
static __attribute__((noipa)) _Noreturn void request_with_body(NEAR_ARGUMENTS(struct port *port))
{
	request(thread, port, (mach_port_name_t)name, w3, NEAR_CALL(size), false, NEAR);
	msg_fast_again(thread);
}

void msg_request_near(NEAR_ARGUMENTS(struct port *port))
{
	if ((uint32_t)size != HEAD)
		request_with_body(thread, port, size, buffer, name, w3);
	request(thread, port, (mach_port_name_t)name, w3, NEAR_CALL(HEAD), false, NEAR);
	msg_fast_again(thread);
}

void msg_request_near_in_set(NEAR_ARGUMENTS(struct port *port))
{
	request(thread, port, (mach_port_name_t)name, w3, NEAR_CALL(size), true, NEAR);
	msg_fast_again(thread);
}

static __attribute__((noipa)) _Noreturn void reply_with_body(NEAR_ARGUMENTS(uint64_t w1))
{
	reply(thread, name_of(w1), MACH_PORT_NAME_NULL, w3, NEAR_CALL(size), NEAR);
	msg_fast_again(thread);
}

void msg_reply_near(NEAR_ARGUMENTS(uint64_t w1))
{
	if ((uint32_t)size != HEAD)
		reply_with_body(thread, w1, size, buffer, name, w3);
	reply(thread, name_of(w1), MACH_PORT_NAME_NULL, w3, NEAR_CALL(HEAD), NEAR);
	msg_fast_again(thread);
}

void msg_request_right_near(NEAR_ARGUMENTS(struct port *port))
{
	request(thread, port, (mach_port_name_t)name, w3, NEAR_CALL(RIGHT_BYTES), false, NEAR_RIGHT);
	msg_fast_again(thread);
}

void msg_reply_right_near(NEAR_ARGUMENTS(uint64_t w1))
{
	reply(thread, name_of(w1), MACH_PORT_NAME_NULL, w3, NEAR_CALL(RIGHT_BYTES), NEAR_RIGHT);
	msg_fast_again(thread);
}
