/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages in the kernel.
 *
 * A message of at most 112 bytes, as most are, lies in its struct kmsg; one of up to 256 bytes in that and in a second element of
 * the zone; a longer one in pages, whose frame numbers take the same place: nothing bigger than a page is ever
 * allocated, and an inline message has at most 256 KiB. Every message is charged to one ledger, the sender's, until it is
 * received; the message that a send-once right carries (prepaid: DESIGN, ledgers) to the ledger of whoever made the right.
 *
 * In kernel form the slots of the body hold pointers: rights, regions in transit (struct vm_copy), arrays of rights (struct
 * port_array). The bytes of the header are not used, the members of struct kmsg are.
 *
 * Nothing recurses: a message whose body carries rights or memory is destroyed by the reaper, in pieces, because what it
 * carries may be ports with messages in their queues.
 */
#include "ipc/kmsg.h"
#include <stddef.h>
#include "ipc/kmsg_copy.h"
#include "ipc/right.h"
#include "kern/assert.h"
#include "kern/string.h"
#include "mem/zone.h"
#include "vm/copy.h"
#include "x86_64/machine.h"

#define KMSG_PIECE 32		/* rights destroyed in one go */
#define KMSG_PAGES_PIECE 16	/* pages of a message made before interrupts get a window */

struct zone kmsg_zone;

static struct ledger *kmsg_payer(const void *element)
{
	return ((const struct kmsg *)element)->payer;
}

void kmsg_system_init(void)
{
	zone_init(&kmsg_zone, "message", sizeof(struct kmsg), LEDGER_MESSAGES, kmsg_payer);
}

static void kmsg_free_pages(struct kmsg *kmsg)
{
	while (kmsg->pages != 0)
		kpage_free(page_of_frame(*kmsg_frame(kmsg, --kmsg->pages)));
}

/* Gives the message what it needs beside its struct kmsg. NULL: denied, and the message is freed. */
static __attribute__((noinline)) struct kmsg *kmsg_extend(struct kmsg *kmsg)
{
	struct ledger *payer = kmsg->payer;
	uint32_t pages = kmsg->size <= KMSG_SMALL ? 0 : (kmsg->size + PAGE_SIZE - 1) / PAGE_SIZE;
	struct page *page;

	if (pages == 0 || pages * 4 > KMSG_INSIDE) {
		kmsg->rest = zone_alloc(&kmsg_zone, payer);
		if (kmsg->rest == NULL)
			goto denied;
		kmsg->rest->payer = payer;
		kmsg->has_rest = true;
	}
	while (kmsg->pages < pages) {
		page = kpage_alloc(payer);
		if (page == NULL)
			goto denied;
		*kmsg_frame(kmsg, kmsg->pages++) = (uint32_t)page_frame(page);
		if (kmsg->pages % KMSG_PAGES_PIECE == 0)
			machine_window();
	}
	return kmsg;
denied:
	kmsg_free(kmsg);
	return NULL;
}

static __attribute__((noinline)) struct kmsg *kmsg_deny(uint32_t size, struct ledger *payer)
{
	ledger_deny(payer, LEDGER_KPAGES, 0, KMSG_PAGES_MAX, (size + PAGE_SIZE - 1) / PAGE_SIZE, ALLOC_SITE());
	return NULL;
}

struct kmsg *kmsg_alloc(uint32_t size, struct ledger *payer)
{
	struct kmsg *kmsg;

	if (size > KMSG_SIZE_MAX)
		return kmsg_deny(size, payer);
	kmsg = zone_alloc(&kmsg_zone, payer);
	if (kmsg == NULL)
		return NULL;
	kmsg_init(kmsg, size, payer);
	return size <= KMSG_INSIDE ? kmsg : kmsg_extend(kmsg);
}

/* Apart, so that what most messages need is short. */
static __attribute__((noinline)) void kmsg_free_uncommon(struct kmsg *kmsg)
{
	if (kmsg->kind == KMSG_EXCEPTION)
		kmsg->kind = KMSG_NORMAL;
	else if (kmsg->kind == KMSG_NORMAL) {
		kmsg_free_pages(kmsg);
		if (kmsg->has_rest)
			zone_free(&kmsg_zone, kmsg->rest, kmsg->payer);
		zone_free(&kmsg_zone, kmsg, kmsg->payer);
	}
}

void kmsg_free(struct kmsg *kmsg)
{
	if (kmsg == NULL)
		return;
	assert(!kmsg->queued && kmsg->holder == NULL);
	if ((kmsg->state & KMSG_STATE(.kind = 0xff, .pages = 0xffff, .has_rest = true)) != 0)
		kmsg_free_uncommon(kmsg);
	else
		zone_free(&kmsg_zone, kmsg, kmsg->payer);
}

void kmsg_write(struct kmsg *kmsg, const void *from, uint32_t size)
{
	uint32_t done, piece;

	for (done = 0; done < size; done += piece) {
		piece = kmsg_contiguous(kmsg, done);
		if (piece > size - done)
			piece = size - done;
		memcpy(kmsg_at(kmsg, done), (const uint8_t *)from + done, piece);
	}
}

/* The right by which the message came is used up: no notification of a lost send-once right. */
static void kmsg_consume_remote(struct kmsg *kmsg)
{
	struct port *port = kmsg->remote;

	kmsg->remote = NULL;
	if (!port_valid(port))
		return;
	if (MACH_MSGH_BITS_REMOTE(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE)
		right_consume_send_once(port);
	else
		right_release_send(port);
}

/* Its right and its memory go. */
static void kmsg_end(struct kmsg *kmsg)
{
	struct port *lender = kmsg_lender(kmsg);

	kmsg_consume_remote(kmsg);
	kmsg_return(kmsg, lender);
}

static void kmsg_release_local(struct kmsg *kmsg)
{
	struct port *port = kmsg->local;

	kmsg->local = NULL;
	if (port_valid(port))
		right_release(port, MACH_MSGH_BITS_LOCAL(kmsg->bits));
}

/* Destroys what one item carries, at most *left rights; true when it carries nothing any more. */
static bool kmsg_item_clean(struct kmsg *kmsg, struct kmsg_item *item, unsigned *left)
{
	struct port **slot;
	uint32_t i;

	switch (item->kind) {
	case KMSG_ITEM_DATA:
		break;
	case KMSG_ITEM_REGION:
		vm_copy_discard(*(struct vm_copy **)kmsg_at(kmsg, item->offset));
		*(struct vm_copy **)kmsg_at(kmsg, item->offset) = NULL;
		break;
	case KMSG_ITEM_PORT_ARRAY:
		port_array_discard(*(struct port_array **)kmsg_at(kmsg, item->offset));
		*(struct port_array **)kmsg_at(kmsg, item->offset) = NULL;
		break;
	case KMSG_ITEM_PORTS:
		for (i = 0; i < item->type->msgt_number; i++) {
			slot = kmsg_slot(kmsg, item->offset + i * 8);
			if (!port_valid(*slot))
				continue;
			if (*left == 0)
				return false;
			--*left;
			right_release(*slot, item->type->msgt_name);
			*slot = NULL;
		}
		break;
	}
	return true;
}

/* One piece: kmsg->sequence is where the next item begins. */
static bool kmsg_clean(struct kmsg *kmsg)
{
	unsigned left = KMSG_PIECE;
	struct kmsg_item item;
	uint32_t next;

	while (kmsg->sequence < kmsg->size) {
		if (left == 0)
			return false;
		next = kmsg->sequence;
		kmsg_item_step(kmsg, &next, &item);
		if (!kmsg_item_clean(kmsg, &item, &left))
			return false;
		kmsg->sequence = next;
		left -= left != 0;
	}
	return true;
}

static bool kmsg_reap(struct reap *reap)
{
	struct kmsg *kmsg = (struct kmsg *)((char *)reap - offsetof(struct kmsg, reap));

	if (!kmsg_clean(kmsg))
		return false;
	kmsg_end(kmsg);
	return true;
}

static void kmsg_empty_body(struct kmsg *kmsg)
{
	kmsg->sequence = sizeof(mach_msg_header_t);
	while ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0 && !kmsg_clean(kmsg))
		;
	kmsg->bits &= ~MACH_MSGH_BITS_COMPLEX;
}

void kmsg_empty(struct kmsg *kmsg)
{
	kmsg_release_local(kmsg);
	kmsg_empty_body(kmsg);
}

void kmsg_discard(struct kmsg *kmsg)
{
	struct port *local = kmsg->local;
	uint32_t disposition = MACH_MSGH_BITS_LOCAL(kmsg->bits);

	assert(!kmsg->queued && kmsg->holder == NULL);
	if ((kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0 && kmsg->kind == KMSG_NORMAL) {
		kmsg_release_local(kmsg);
		kmsg->sequence = sizeof(mach_msg_header_t);
		reap_defer(&kmsg->reap, kmsg_reap);
		return;
	}
	/* Also the kernel's own buffers: they are wanted again at once, and what they carry is short. The reply right goes
	   last: when an exception's is lost, the next handler is asked with the same message. */
	kmsg->local = NULL;
	kmsg_empty_body(kmsg);
	kmsg_end(kmsg);
	if (port_valid(local))
		right_release(local, disposition);
}

bool port_prepay(struct port *port, struct ledger *payer)
{
	struct kmsg *kmsg = kmsg_alloc(KMSG_SMALL, payer);

	if (kmsg == NULL)
		return false;
	LIST_INSERT_HEAD(&port->prepaid, kmsg, prepaid_link);
	return true;
}

bool port_keep_reply(struct port *port)
{
	port->keeps_reply = port->spare_prepaid = port_prepay(port, port_payer(port));
	return port->keeps_reply;
}

void port_unprepay(struct port *port)
{
	if (port->keeps_reply && !port->spare_prepaid && !LIST_EMPTY(&port->prepaid))
		port->spare_prepaid = true;
	else
		kmsg_free(port_take_prepaid(port));
}

struct kmsg *port_take_prepaid(struct port *port)
{
	struct kmsg *kmsg = LIST_FIRST(&port->prepaid);

	if (kmsg != NULL)
		LIST_REMOVE(kmsg, prepaid_link);
	return kmsg;
}

/* A call's own message may be smaller. */
struct port *kmsg_lender(const struct kmsg *kmsg)
{
	struct port *port = kmsg->remote;
	bool lent = port_valid(port) && port->keeps_reply && !port->spare_prepaid && kmsg->kind == KMSG_NORMAL &&
		    kmsg_capacity(kmsg) == KMSG_SMALL && kmsg->payer == port_payer(port) &&
		    MACH_MSGH_BITS_REMOTE(kmsg->bits) == MACH_MSG_TYPE_PORT_SEND_ONCE;

	return lent ? port : NULL;
}

void kmsg_return(struct kmsg *kmsg, struct port *lender)
{
	if (lender == NULL) {
		kmsg_free(kmsg);
		return;
	}
	LIST_INSERT_HEAD(&lender->prepaid, kmsg, prepaid_link);
	lender->spare_prepaid = true;
}
