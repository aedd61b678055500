/* SPDX-License-Identifier: BSD-2-Clause */
/* mach_msg, reply ports of threads, and the loop of a simple server. */
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/syscall_sw.h>
#include <mach/threads.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include "calls_private.h"

static void destroy_right(mach_port_t name, unsigned type);

/* An interrupted call that goes on; one that was aborted on purpose (calls.h) does not. The manual's section "mach_msg" says
   what each part leaves behind when interrupted. */
static mach_msg_return_t go_on(mach_msg_return_t code, mach_msg_header_t *msg, mach_msg_option_t option,
			       mach_msg_size_t send_size, mach_msg_size_t rcv_size, mach_port_name_t rcv_name,
			       mach_msg_timeout_t timeout, mach_port_name_t notify, const struct call *watched)
{
	while (code == MACH_SEND_INTERRUPTED && !(option & MACH_SEND_INTERRUPT) && !call_aborted(watched))
		code = mach_msg_trap(msg, option, send_size, rcv_size, rcv_name, timeout, notify);
	while (code == MACH_RCV_INTERRUPTED && !(option & MACH_RCV_INTERRUPT) && !call_aborted(watched))
		code = mach_msg_trap(msg, option & ~MACH_SEND_MSG, 0, rcv_size, rcv_name, timeout,
				     notify);
	return code;
}

/* What came back with a call that failed before the message was sent: nobody asks for it. Twice does no harm. */
static void destroy_unsent(mach_msg_header_t *message)
{
	destroy_right(message->msgh_local_port, MACH_MSGH_BITS_LOCAL(message->msgh_bits));
	message->msgh_local_port = MACH_PORT_NULL;
	mach_msg_destroy(message);
	message->msgh_bits &= ~MACH_MSGH_BITS_COMPLEX;
}

mach_msg_return_t mig_send_failed(mach_msg_return_t code, mach_msg_header_t *msg)
{
	mach_msg_return_t plain = code & ~MACH_MSG_MASK;

	if (plain == MACH_SEND_TIMED_OUT || plain == MACH_SEND_INTERRUPTED)
		destroy_unsent(msg);
	return code;
}

/* The rest of mach_msg, which begins in traps.S: a thread's calls that are watched, and calls that were interrupted. */
_Static_assert(offsetof(struct thread, watcher) == 56, "as in traps.S");
_Static_assert(MACH_SEND_INTERRUPTED == 0x10000007 && MACH_RCV_INTERRUPTED == 0x10004005, "as in traps.S");

mach_msg_return_t mach_msg_watched(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
				   mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
				   mach_port_name_t notify)
{
	struct call watched;
	mach_msg_return_t code;

	call_begin(&watched);
	code = go_on(mach_msg_trap(msg, option, send_size, rcv_size, rcv_name, timeout, notify), msg, option,
		     send_size, rcv_size, rcv_name, timeout, notify, &watched);
	call_end(&watched);
	if (code == MACH_SEND_INTERRUPTED && call_aborted(&watched))
		destroy_unsent(msg);
	return code;
}

mach_msg_return_t mach_msg_sent_again(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
				      mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
				      mach_port_name_t notify)
{
	return go_on(MACH_SEND_INTERRUPTED, msg, option, send_size, rcv_size, rcv_name, timeout, notify, NULL);
}

mach_msg_return_t mach_msg_received_again(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
					  mach_msg_size_t rcv_size, mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
					  mach_port_name_t notify)
{
	return go_on(MACH_RCV_INTERRUPTED, msg, option, send_size, rcv_size, rcv_name, timeout, notify, NULL);
}

mach_port_t mig_get_reply_port(void)
{
	struct thread *thread = thread_self();

	if (thread->reply_port == MACH_PORT_NULL)
		thread->reply_port = mach_reply_port();
	if (thread->watcher == NULL)
		thread->rpc_port = thread->reply_port;
	return thread->reply_port;
}

void mig_dealloc_reply_port(mach_port_t port)
{
	struct thread *thread = thread_self();

	thread->reply_port = thread->rpc_port = MACH_PORT_NULL;
	if (port == MACH_PORT_NULL || thread->replacing_port)
		return;
	/* The new port is made by this very call; should that fail too, it must not come back here. */
	thread->replacing_port = true;
	mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
	thread->replacing_port = false;
}

_Static_assert(offsetof(struct thread, rpc_port) == MIG_RPC_PORT, "as in mig_support.h");

mach_msg_return_t mig_rpc_failed(mach_msg_return_t code, mach_msg_header_t *msg, mach_msg_option_t option,
				 mach_msg_size_t send_size, mach_msg_size_t rcv_size, mach_msg_timeout_t timeout)
{
	mach_port_t reply = mig_get_reply_port();

	if (reply == MACH_PORT_NULL)
		return KERN_RESOURCE_SHORTAGE;
	if (code == MIG_RPC_NOT_TRIED) {
		msg->msgh_local_slot = reply;
		code = mach_msg(msg, option, send_size, rcv_size, reply, timeout, MACH_PORT_NULL);
	} else {
		code = go_on(code, msg, option, send_size, rcv_size, reply, timeout, MACH_PORT_NULL, NULL);
	}
	if ((code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
		mach_msg_destroy(msg);
	mig_send_failed(code, msg);
	if (code != MACH_MSG_SUCCESS && mig_reply_port_lost(code))
		mig_dealloc_reply_port(reply);
	return code;
}

kern_return_t give_back_memory(vm_address_t address, vm_size_t size)
{
	kern_return_t code = syscall_vm_deallocate(mach_task_self(), address, size);

	return code == MACH_SEND_INTERRUPTED ? vm_deallocate(mach_task_self(), address, size) : code;
}

kern_return_t give_back_right(mach_port_name_t name)
{
	kern_return_t code;

	if (!MACH_PORT_VALID(name))
		return KERN_SUCCESS;
	code = syscall_mach_port_deallocate(mach_task_self(), name);
	return code == MACH_SEND_INTERRUPTED ? mach_port_deallocate(mach_task_self(), name) : code;
}

kern_return_t give_back_task(mach_port_name_t task)
{
	kern_return_t code = syscall_task_terminate(task);

	return code == MACH_SEND_INTERRUPTED ? task_terminate(task) : code;
}

static void destroy_right(mach_port_t name, unsigned type)
{
	if (!MACH_PORT_VALID(name))
		return;
	switch (type) {
	case MACH_MSG_TYPE_MOVE_SEND:
	case MACH_MSG_TYPE_MOVE_SEND_ONCE:
		give_back_right(name);
		break;
	case MACH_MSG_TYPE_MOVE_RECEIVE:
		mach_port_mod_refs(mach_task_self(), name, MACH_PORT_RIGHT_RECEIVE, -1);
		break;
	}
}

/* Bytes of the item's data in the message, or of the region it points at. */
static vm_size_t item_bytes(const mach_msg_type_t *type)
{
	return ((vm_size_t)type->msgt_size * type->msgt_number + 7) / 8;
}

static void destroy_item(const mach_msg_type_t *type)
{
	const char *data = (const char *)(type + 1);
	vm_size_t bytes = item_bytes(type), stride = type->msgt_size / 8;
	vm_address_t address = 0;

	if (!type->msgt_inline) {
		memcpy(&address, data, sizeof address);
		data = (const char *)address;
	}
	if (MACH_MSG_TYPE_PORT_ANY_RIGHT(type->msgt_name) && stride >= sizeof(mach_port_t)) {
		for (vm_size_t i = 0; i < type->msgt_number; i++) {
			mach_port_t name;

			memcpy(&name, data + i * stride, sizeof name);
			destroy_right(name, type->msgt_name);
		}
	}
	if (!type->msgt_inline && bytes > 0)
		give_back_memory(address, bytes);
}

void mach_msg_destroy(mach_msg_header_t *message)
{
	char *at = (char *)(message + 1), *end = (char *)message + message->msgh_size;

	destroy_right(message->msgh_remote_port, MACH_MSGH_BITS_REMOTE(message->msgh_bits));
	message->msgh_remote_port = MACH_PORT_NULL;
	if (!(message->msgh_bits & MACH_MSGH_BITS_COMPLEX))
		return;
	while ((size_t)(end - at) >= sizeof(mach_msg_type_t) + 8) {
		const mach_msg_type_t *type = (const mach_msg_type_t *)(const void *)at;
		vm_size_t bytes = type->msgt_inline ? item_bytes(type) : sizeof(vm_address_t);

		destroy_item(type);
		at += sizeof *type + ((bytes + 7) & ~(vm_size_t)7);
	}
}

static void destroy_body(mach_msg_header_t *message)
{
	message->msgh_remote_port = MACH_PORT_NULL;
	mach_msg_destroy(message);
}

void mach_msg_answer(mach_msg_demux_t demux, mach_msg_header_t *request, mach_msg_header_t *reply)
{
	mig_reply_header_t *head = (mig_reply_header_t *)reply;
	mach_msg_return_t code;

	demux(request, reply);
	if (!(reply->msgh_bits & MACH_MSGH_BITS_COMPLEX)) {
		if (head->RetCode == MIG_NO_REPLY)
			return;
		/* The routine that failed has not taken what the request brought. */
		if (head->RetCode != KERN_SUCCESS && (request->msgh_bits & MACH_MSGH_BITS_COMPLEX))
			destroy_body(request);
	}
	if (!MACH_PORT_VALID(reply->msgh_remote_port)) {
		reply->msgh_remote_port = MACH_PORT_NULL;
		if (reply->msgh_bits & MACH_MSGH_BITS_COMPLEX)
			mach_msg_destroy(reply);
		return;
	}
	code = mach_msg(reply, MACH_SEND_MSG | MACH_SEND_TIMEOUT, reply->msgh_size, 0,
			MACH_PORT_NULL, 0, MACH_PORT_NULL);
	if (code != MACH_MSG_SUCCESS)
		mach_msg_destroy(reply);
}

mach_msg_return_t mach_msg_server(mach_msg_demux_t demux, mach_msg_size_t max_size,
				  mach_port_t port)
{
	mach_msg_header_t *request = malloc(max_size), *reply = malloc(max_size);
	mach_msg_return_t code = KERN_RESOURCE_SHORTAGE;

	while (request != NULL && reply != NULL) {
		code = mach_msg(request, MACH_RCV_MSG, 0, max_size, port, MACH_MSG_TIMEOUT_NONE,
				MACH_PORT_NULL);
		if (code == MACH_MSG_SUCCESS)
			mach_msg_answer(demux, request, reply);
		else if ((code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
			/* Received all the same, without what this task cannot hold. */
			mach_msg_destroy(request);
		else if (code != MACH_RCV_TOO_LARGE && (code & ~MACH_MSG_MASK) != MACH_RCV_HEADER_ERROR)
			break;
	}
	free(request);
	free(reply);
	return code;
}
