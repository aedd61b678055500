/* SPDX-License-Identifier: BSD-2-Clause */
/* What generated user stubs need from the library. */
#ifndef MACH_MIG_SUPPORT_H
#define MACH_MIG_SUPPORT_H

#include <mach/kern_return.h>
#include <mach/message.h>
#include <mach/port.h>
#include <mach/std_types.h>
#include <mach/syscall_sw.h>

/* The calling thread's reply port; made at first use, MACH_PORT_NULL if denied. */
mach_port_t mig_get_reply_port(void);
/* The reply port took a wrong or no message: destroy it, a new one is made next. */
void mig_dealloc_reply_port(mach_port_t port);
/*
 * Sends the request with a send-once right to the thread's reply port (msgh_local_slot is filled in here) and receives the
 * reply in its place; option has MACH_SEND_MSG and MACH_RCV_MSG at least. On any other code than MACH_MSG_SUCCESS
 * mig_rpc_failed goes on: when the call was interrupted, or there was no reply port yet. Its code is the final one;
 * KERN_RESOURCE_SHORTAGE: there is no reply port to be had, and nothing was sent. Of a message that came back or was
 * received in part (MACH_RCV_BODY_ERROR) nothing is left.
 */
#ifdef MIG_RPC_ELSEWHERE		/* whoever links the stubs has one of his own */
mach_msg_return_t mig_rpc(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
			  mach_msg_size_t rcv_size, mach_msg_timeout_t timeout);
#else
static inline mach_msg_return_t mig_rpc(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
					mach_msg_size_t rcv_size, mach_msg_timeout_t timeout);
#endif
mach_msg_return_t mig_rpc_failed(mach_msg_return_t code, mach_msg_header_t *msg, mach_msg_option_t option,
				 mach_msg_size_t send_size, mach_msg_size_t rcv_size, mach_msg_timeout_t timeout);
/*
 * After a failed call: may the reply port still be named in a message, or hold one? Not when the send itself was refused, for
 * then nothing has left; nor when the reply was received, without what could not be held (MACH_RCV_BODY_ERROR): who was denied
 * memory for that might be denied another port. KERN_RESOURCE_SHORTAGE is of the receive: the buffer's pages were denied, the reply
 * is in the port.
 */
static inline int mig_reply_port_lost(mach_msg_return_t code)
{
	if ((code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
		return 0;
	return (code & ~MACH_MSG_MASK) >= MACH_RCV_IN_PROGRESS || code == KERN_RESOURCE_SHORTAGE ||
	       code == MACH_SEND_INVALID_REPLY || code == MACH_SEND_TIMED_OUT || code == MACH_SEND_INTERRUPTED ||
	       code == MACH_SEND_WILL_NOTIFY;
}
/*
 * What became of the message of a call that failed? One that came back, as it was nearly sent (MACH_SEND_TIMED_OUT,
 * MACH_SEND_INTERRUPTED), is destroyed: the stub's caller cannot get at it. The code is passed on.
 */
mach_msg_return_t mig_send_failed(mach_msg_return_t code, mach_msg_header_t *msg);
/* Give back all rights and memory of a received message that is not wanted. */
void mach_msg_destroy(mach_msg_header_t *msg);

/* -- inline, as each stub makes one call -- */

#define MIG_RPC_PORT		72	/* in struct thread, at %fs: the reply port while calls may go straight to the kernel, or null */
#define MIG_RPC_NOT_TRIED	(-1)	/* between these two only: mig_rpc has left the call to mig_rpc_failed */

#ifndef MIG_RPC_ELSEWHERE
/* The trap is without the notify port, which the kernel reads only when the option says so. Of a 32-bit argument it reads the lower half of
   the register, and it keeps them all. */
static inline __attribute__((always_inline)) mach_msg_return_t mig_rpc(mach_msg_header_t *msg, mach_msg_option_t option,
								       mach_msg_size_t send_size, mach_msg_size_t rcv_size,
								       mach_msg_timeout_t timeout)
{
	uint64_t reply = *(const __seg_fs mach_port_t *)MIG_RPC_PORT;
	int64_t code = TRAP_mach_msg_trap;

	if (reply == MACH_PORT_NULL)
		return MIG_RPC_NOT_TRIED;
	msg->msgh_local_slot = reply;
	/* After all else: an instrumented store is a call, which would spoil them. */
	register mach_msg_size_t fourth __asm__("r10") = rcv_size;
	register uint64_t fifth __asm__("r8") = reply;
	register mach_msg_timeout_t sixth __asm__("r9") = timeout;
	/* The address is worked out here, as it is known from the stack pointer and need not be kept. */
	__asm__ volatile("leaq %[msg], %%rdi\n\tsyscall" : "+a"(code), [msg] "+m"(*msg)
			 : "S"(option), "d"(send_size), "r"(fourth), "r"(fifth), "r"(sixth) : "rdi", "rcx", "r11", "memory");
	return (mach_msg_return_t)code;
}
#endif

#endif
