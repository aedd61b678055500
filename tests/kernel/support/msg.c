/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages by hand. */
#include "msg.h"
#include <mach/mig_errors.h>
#include <mach/mig_support.h>
#include <string.h>
#include "tap.h"

#define PATIENCE_MS	10000

void msg_begin(struct msg *m, unsigned remote_type, mach_port_t remote, unsigned local_type, mach_port_t local,
	       mach_msg_id_t id)
{
	memset(m, 0, sizeof *m);
	m->head.msgh_bits = MACH_MSGH_BITS(remote_type, local_type);
	m->head.msgh_remote_slot = remote;
	m->head.msgh_local_slot = local;
	m->head.msgh_id = id;
	m->size = sizeof m->head;
}

/* Room for a descriptor and so many bytes of data, which follow it. */
static mach_msg_type_t *add(struct msg *m, unsigned type, unsigned bits, uint64_t number, uint32_t bytes)
{
	mach_msg_type_t *item = (mach_msg_type_t *)(void *)(m->bytes + m->size);

	bytes = (bytes + 7) & ~7u;
	if (m->size + sizeof *item + bytes > sizeof m->bytes)
		give_up("a message of the test fits into its buffer");
	*item = (mach_msg_type_t){ .msgt_name = type & 0xff, .msgt_size = bits & 0xffff, .msgt_inline = 1,
				   .msgt_number = (mach_msg_type_number_t)number };
	m->size += (uint32_t)sizeof *item + bytes;
	return item;
}

mach_msg_type_t *msg_add_data(struct msg *m, const void *bytes, uint32_t size)
{
	mach_msg_type_t *item = add(m, MACH_MSG_TYPE_BYTE, 8, size, size);

	memcpy(item + 1, bytes, size);
	return item;
}

mach_msg_type_t *msg_add_ports(struct msg *m, unsigned type, const mach_port_t *names, uint32_t count)
{
	mach_msg_type_t *item = add(m, type, 64, count, count * 8);
	uint64_t *slots = (uint64_t *)(void *)(item + 1);

	m->head.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
	for (uint32_t i = 0; i < count; i++)
		slots[i] = names[i];
	return item;
}

mach_msg_type_t *msg_add_port(struct msg *m, unsigned type, mach_port_t name)
{
	return msg_add_ports(m, type, &name, 1);
}

static mach_msg_type_t *add_out_of_line(struct msg *m, unsigned type, unsigned bits, const void *address,
					uint64_t number, bool deallocate)
{
	mach_msg_type_t *item = add(m, type, bits, number, 8);
	uint64_t word = (uint64_t)(uintptr_t)address;

	m->head.msgh_bits |= MACH_MSGH_BITS_COMPLEX;
	item->msgt_inline = 0;
	item->msgt_deallocate = deallocate;
	memcpy(item + 1, &word, sizeof word);
	return item;
}

mach_msg_type_t *msg_add_region(struct msg *m, const void *address, uint64_t size, bool deallocate)
{
	return add_out_of_line(m, MACH_MSG_TYPE_BYTE, 8, address, size, deallocate);
}

mach_msg_type_t *msg_add_array(struct msg *m, unsigned type, const mach_port_t *names, uint32_t count,
			       bool deallocate)
{
	return add_out_of_line(m, type, 32, names, count, deallocate);
}

void msg_reply(const mach_msg_header_t *request, mach_msg_header_t *reply, kern_return_t code)
{
	mig_reply_header_t *head = (mig_reply_header_t *)reply;

	head->Head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(request->msgh_bits), 0),
		.msgh_size = sizeof *head,
		.msgh_remote_port = request->msgh_remote_port,
		.msgh_id = request->msgh_id + 100,
	};
	head->RetCodeType = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1,
	};
	head->RetCode = code;
}

mach_msg_return_t msg_call(mach_port_t port, mach_msg_id_t id, kern_return_t *answer)
{
	struct {
		mig_reply_header_t head;
		uint64_t room;
	} m;
	mach_port_t reply = mig_get_reply_port();
	mach_msg_return_t code;

	m.head.Head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, MACH_MSG_TYPE_MAKE_SEND_ONCE),
		.msgh_remote_slot = port,
		.msgh_local_slot = reply,
		.msgh_id = id,
	};
	code = mach_msg(&m.head.Head, MACH_SEND_MSG | MACH_RCV_MSG, sizeof m.head.Head, sizeof m, reply, 0,
			MACH_PORT_NULL);
	if (code != MACH_MSG_SUCCESS)
		mig_dealloc_reply_port(reply);
	else
		*answer = m.head.Head.msgh_id == id + 100 ? m.head.RetCode : MIG_SERVER_DIED;
	return code;
}

kern_return_t msg_call_answer(mach_port_t port, mach_msg_id_t id)
{
	kern_return_t answer = KERN_FAILURE;
	mach_msg_return_t code = msg_call(port, id, &answer);

	return code != MACH_MSG_SUCCESS ? code : answer;
}

mach_msg_return_t msg_send(struct msg *m, mach_msg_option_t option, unsigned timeout)
{
	return mach_msg_trap(&m->head, MACH_SEND_MSG | option, m->size, 0, MACH_PORT_NULL, timeout, MACH_PORT_NULL);
}

mach_msg_return_t msg_receive_size(struct msg *m, mach_port_t port, mach_msg_option_t option, unsigned timeout,
				   uint32_t size)
{
	memset(m, 0xaa, sizeof m->bytes);
	if ((option & MACH_RCV_TIMEOUT) == 0)
		timeout = PATIENCE_MS;
	return mach_msg_trap(&m->head, MACH_RCV_MSG | MACH_RCV_TIMEOUT | option, 0, size, port, timeout,
			     MACH_PORT_NULL);
}

mach_msg_return_t msg_receive(struct msg *m, mach_port_t port, mach_msg_option_t option, unsigned timeout)
{
	return msg_receive_size(m, port, option, timeout, sizeof m->bytes);
}

bool msg_none(mach_port_t port)
{
	struct msg m;

	return msg_receive(&m, port, MACH_RCV_TIMEOUT, 0) == MACH_RCV_TIMED_OUT;
}

mach_msg_return_t msg_send_plain(mach_port_t port, mach_msg_id_t id)
{
	struct msg m;

	msg_begin(&m, COPY_SEND, port, 0, MACH_PORT_NULL, id);
	return msg_send(&m, MACH_SEND_TIMEOUT, 0);
}

int msg_receive_plain(mach_port_t port)
{
	struct msg m;

	return msg_receive(&m, port, MACH_RCV_TIMEOUT, 0) == MACH_MSG_SUCCESS ? m.head.msgh_id : 0;
}

mach_msg_type_t *msg_item(struct msg *m, unsigned n)
{
	char *at = (char *)(&m->head + 1), *end = m->bytes + m->head.msgh_size;

	while (at + sizeof(mach_msg_type_t) <= end) {
		mach_msg_type_t *item = (mach_msg_type_t *)(void *)at;
		uint64_t bytes = item->msgt_inline ? ((uint64_t)item->msgt_size * item->msgt_number + 7) / 8 : 8;

		if (n-- == 0)
			return item;
		at += sizeof *item + ((bytes + 7) & ~7ull);
	}
	give_up("a received message has the items that were sent");
}

mach_port_t msg_item_port(struct msg *m, unsigned n)
{
	mach_port_t name;

	memcpy(&name, msg_item(m, n) + 1, sizeof name);
	return name;
}

char *msg_item_region(struct msg *m, unsigned n)
{
	uint64_t address;

	memcpy(&address, msg_item(m, n) + 1, sizeof address);
	return (char *)(uintptr_t)address;
}

static mach_port_t make(mach_port_right_t right)
{
	mach_port_t name = MACH_PORT_NULL;

	need(mach_port_allocate(mach_task_self(), right, &name), "a new right");
	return name;
}

mach_port_t port_new(void)
{
	return make(MACH_PORT_RIGHT_RECEIVE);
}

mach_port_t port_new_set(void)
{
	return make(MACH_PORT_RIGHT_PORT_SET);
}

void port_add_send(mach_port_t port)
{
	need(mach_port_insert_right(mach_task_self(), port, port, MAKE_SEND), "a send right");
}

mach_port_t port_new_send(void)
{
	mach_port_t port = port_new();

	port_add_send(port);
	return port;
}

mach_port_t port_new_once(mach_port_t port)
{
	mach_port_t once = MACH_PORT_NULL;
	mach_msg_type_name_t type;

	need(mach_port_extract_right(mach_task_self(), port, MAKE_ONCE, &once, &type), "a send-once right");
	return once;
}

void port_free(mach_port_t port)
{
	need(mach_port_destroy(mach_task_self(), port), "the end of a right of its own");
}

mach_port_type_t port_type(mach_port_t name)
{
	mach_port_type_t type = 0;

	return mach_port_type(mach_task_self(), name, &type) == KERN_SUCCESS ? type : 0;
}

unsigned port_refs(mach_port_t name, mach_port_right_t right)
{
	mach_port_urefs_t refs = 0;

	return mach_port_get_refs(mach_task_self(), name, right, &refs) == KERN_SUCCESS ? refs : ~0u;
}

mach_port_status_t port_status(mach_port_t name)
{
	mach_port_status_t status = { 0 };

	need(mach_port_get_receive_status(mach_task_self(), name, &status), "the status of its receive right");
	return status;
}
