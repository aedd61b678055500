/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between users' memory and the kernel: copyin, copyout, and the walk over the items of a body. */
#ifndef IPC_KMSG_COPY_H
#define IPC_KMSG_COPY_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>
#include "ipc/kmsg.h"
#include "kern/assert.h"
#include "x86_64/machine.h"

struct task;

#define KMSG_RIGHTS_MAX 4096	/* rights in the body of one message from a user */
#define KMSG_DEALLOCATE_MAX 16	/* regions with msgt_deallocate in it */
#define KMSG_RIGHTS_PIECE 16	/* handled before interrupts get a window */
#define KMSG_ITEMS_PIECE 1024	/* bytes of items between two windows: a power of two */

enum kmsg_item_kind { KMSG_ITEM_DATA, KMSG_ITEM_PORTS, KMSG_ITEM_REGION, KMSG_ITEM_PORT_ARRAY };

/* One item of a body. */
struct kmsg_item {
	mach_msg_type_t *type;
	enum kmsg_item_kind kind;
	uint32_t offset;	/* of the data, or of the address's slot, in the message */
	uint64_t bytes;		/* data: inline or in the region */
};
/* Behind right i of a message, which may carry many, and the kernel's own more (task_threads). */
static inline void rights_window(uint32_t i)
{
	if (i % KMSG_RIGHTS_PIECE == KMSG_RIGHTS_PIECE - 1)
		machine_window();
}

/* Between the items at two offsets of a body, which may have very many that hold nothing. */
static inline void items_window(uint32_t at, uint32_t next)
{
	if ((at ^ next) >= KMSG_ITEMS_PIECE)
		machine_window();
}

/* The item whose type is at offset; returns the bytes of the message that its data, or its slot, takes behind the type. */
static inline uint64_t kmsg_item_at(struct kmsg *kmsg, uint32_t offset, struct kmsg_item *item)
{
	mach_msg_type_t *type = kmsg_at(kmsg, offset);
	bool ports = MACH_MSG_TYPE_PORT_ANY(type->msgt_name);

	item->type = type;
	item->offset = offset + (uint32_t)sizeof(*type);
	item->bytes = ((uint64_t)type->msgt_size * type->msgt_number + 7) / 8;
	if (!type->msgt_inline) {
		item->kind = ports ? KMSG_ITEM_PORT_ARRAY : KMSG_ITEM_REGION;
		return 8;
	}
	item->kind = ports ? KMSG_ITEM_PORTS : KMSG_ITEM_DATA;
	return (item->bytes + 7) & ~7ull;
}

/* In the first half of a mach_msg_type_t: msgt_inline, and what a sender must not or may not set beside it. */
#define KMSG_TYPE_INLINE (1u << 29)
#define KMSG_TYPE_FLAGS (1u << 31 | 0x1fu << 24)	/* msgt_deallocate, msgt_unused */
/* Whether the body is one region and nothing else, without these flags, in the struct kmsg itself: most bodies with memory
   are. */
static inline bool kmsg_is_region(const struct kmsg *kmsg, uint32_t flags)
{
	uint32_t type = *(const uint32_t *)(kmsg->small + sizeof(mach_msg_header_t));

	return kmsg->size == sizeof(mach_msg_header_t) + sizeof(mach_msg_type_t) + 8 && kmsg->pages == 0 &&
	       (type & (KMSG_TYPE_INLINE | flags)) == 0 && !MACH_MSG_TYPE_PORT_ANY((uint8_t)type);
}

/* The item at *offset of a message in kernel form; *offset moves on to the next. Call while *offset < kmsg->size. */
static inline void kmsg_item_step(struct kmsg *kmsg, uint32_t *offset, struct kmsg_item *item)
{
	uint64_t bytes = kmsg_item_at(kmsg, *offset, item);

	assert(item->offset <= kmsg->size && bytes <= kmsg->size - item->offset);
	*offset = item->offset + (uint32_t)bytes;
}

/* The 8-byte slot at offset as a right. */
static inline struct port **kmsg_slot(struct kmsg *kmsg, uint32_t offset)
{
	return (struct port **)kmsg_at(kmsg, offset);
}

/* In kmsg_copyin's skip: that right of the header stays with the sender and in the message stands no right. */
#define KMSG_SKIP_REMOTE 1
#define KMSG_SKIP_LOCAL 2

/*
 * Reads a message from task's memory into kmsg, whose size and memory are ready, and takes the rights and regions out of
 * the task. The first `have` bytes are in kmsg already. On success kmsg is in kernel form. An error is one of mach_msg's
 * (manual: Message Send): after MACH_SEND_NO_BUFFER (denied) and errors found by checking nothing has changed; where
 * the same right stood twice in the body and was there once, part of the message is destroyed. kmsg's memory
 * stays with the caller. Regions, prepaid messages are charged to the task's ledger. Does not block.
 */
mach_msg_return_t kmsg_copyin(struct kmsg *kmsg, struct task *task, uint64_t buffer, uint32_t have, unsigned skip);

/* The same with the body of a complex message only, whose bytes are all there. After an error it holds nothing. */
mach_msg_return_t kmsg_body_copyin(struct kmsg *kmsg, struct task *task);

/*
 * Moves a dequeued message in kernel form into task: rights into its space, regions into its map, all into the buffer,
 * which copyout_prepare has made ready for kmsg->size bytes (unless !writable: then rights and regions are received and
 * nothing is written). What cannot be held is destroyed, as the manual's Message Receive says. notify: name of the
 * receive right for MACH_RCV_NOTIFY, else 0. Consumes kmsg. MACH_MSG_SUCCESS,
 * MACH_RCV_HEADER_ERROR, MACH_RCV_BODY_ERROR, both with bits, MACH_RCV_INVALID_NOTIFY, MACH_RCV_INVALID_DATA.
 */
mach_msg_return_t kmsg_copyout(struct kmsg *kmsg, struct task *task, uint64_t buffer, bool writable, uint32_t option,
			       uint32_t notify);
/* The same with the body of a complex message only, in the kernel's memory still. Returns 0 or bits of MACH_RCV_BODY_ERROR. */
mach_msg_return_t kmsg_body_receive(struct kmsg *kmsg, struct task *task);
/* A right of a message is received: inserted, or destroyed when the task cannot hold it; consumed either way. *name as in the
   message's slot. Returns the bits of MACH_RCV_BODY_ERROR, 0: it is there. */
mach_msg_return_t kmsg_right_receive(struct task *task, struct port *port, uint32_t disposition, mach_port_name_t *name);
/* The message is destroyed, the receiver gets the header only, without reply port; the buffer is ready for 32 bytes. */
void kmsg_copyout_header(struct kmsg *kmsg, struct task *task, uint64_t buffer);
/* Gives the contents back to the sender, ready to be sent again. Consumes kmsg. Returns 0 or bits to be added to the code. */
mach_msg_return_t kmsg_pseudo_receive(struct kmsg *kmsg, struct task *task, uint64_t buffer);

#endif
