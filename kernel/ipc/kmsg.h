/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages in the kernel: their memory. Theory in kmsg.c; what is in them: kmsg_copy.h. */
#ifndef IPC_KMSG_H
#define IPC_KMSG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <mach/message.h>
#include <weir/ring.h>
#include "ipc/port.h"
#include "kern/likely.h"
#include "mem/page.h"
#include "mem/zone.h"

#define KMSG_SMALL 256				/* bytes of body and header without pages (a prepaid message) */
#define KMSG_INSIDE 112				/* as many of them in the struct kmsg itself, the others in a kmsg_rest */
#define KMSG_PREPAID 2				/* elements of a prepaid message */
#define KMSG_PAGES_MAX (KMSG_SMALL / 4)		/* a longer message: page frame numbers in the same place */
#define KMSG_SIZE_MAX (KMSG_PAGES_MAX * 4096)	/* inline messages: at most 256 KiB */
#define KMSG_LINEAR 0xffff			/* in kmsg->pages: the bytes are at kmsg->linear */

enum kmsg_kind {
	KMSG_NORMAL,
	KMSG_EXCEPTION,		/* a thread's exception under way: the head only, in its struct thread (kern/exception.c) */
	KMSG_STATIC,		/* the kernel's own buffers for its calls: never freed */
};

/* The second element of a message that one is too small for. */
struct kmsg_rest {
	uint8_t unused[16];
	struct ledger *payer;			/* where struct kmsg has it */
	uint8_t place[KMSG_SMALL - KMSG_INSIDE];
};

struct kmsg {
	union {
		RING_ENTRY(kmsg) link;		/* in a port's messages */
		LIST_ENTRY(kmsg) prepaid_link;	/* in a port's prepaid */
	};
	struct ledger *payer;			/* LEDGER_MESSAGES 1, for the rest 1 more, and KPAGES of its pages */
	struct port *remote, *local;		/* destination right and reply right carried, by dispositions in bits */
	uint32_t bits;				/* REMOTE and LOCAL: MACH_MSG_TYPE_PORT_* of remote and local; COMPLEX */
	uint32_t size;				/* header and body, bytes */
	uint32_t id;
	uint32_t sequence;			/* when numbered; scratch of kmsg_discard */
	union {
		struct {
			uint8_t kind;			/* enum kmsg_kind */
			bool by_send_once;		/* not counted in the port's queue */
			bool queued;			/* in remote->messages */
			bool receive_rights;		/* the body carries receive rights */
			bool numbered;			/* has left the queue, with its sequence number (mqueue.c) */
			bool has_rest;
			uint16_t pages;			/* 0: small */
		};
		uint64_t state;			/* all of these, to look at several at once: KMSG_STATE. 0: a new message of one element */
	};
	struct thread *holder;			/* the receiver that it was handed to and that has not run yet, else NULL */
	union {
		struct reap reap;
		uint64_t queued_ns;		/* uptime at which it was queued for a throttled set; 0: it was not */
	};
	union {
		/* Header and body; port slots hold struct port *, out-of-line slots struct vm_copy * or struct
		   port_array *, NULL for none. The header's 32 bytes mean nothing: the members above count. */
		uint8_t small[KMSG_INSIDE] __attribute__((aligned(8)));
		uint8_t *linear;
	};
	struct kmsg_rest *rest;			/* while has_rest */
};
/* kmsg->state with these values, and all else 0. */
#define KMSG_STATE(...) (((struct kmsg){ __VA_ARGS__ }).state)
_Static_assert(offsetof(struct kmsg, payer) == offsetof(struct kmsg_rest, payer) && sizeof(struct kmsg_rest) <= sizeof(struct kmsg),
	       "elements of one zone");
#define KMSG_HEAD_BYTES offsetof(struct kmsg, small)

void kmsg_system_init(void);
extern struct zone kmsg_zone;
/* Of an element: what a message of size bytes is before anything is in it. Member by member, as the links mean nothing yet. */
static inline void kmsg_init(struct kmsg *kmsg, uint32_t size, struct ledger *payer)
{
	kmsg->payer = payer;
	kmsg->remote = kmsg->local = NULL;
	kmsg->bits = 0;
	kmsg->size = size;
	kmsg->id = 0;
	_Static_assert(KMSG_NORMAL == 0, "the kind of a new one");
	kmsg->state = 0;
	kmsg->holder = NULL;
}
/* kmsg_alloc in line, for at most KMSG_INSIDE bytes. */
static inline struct kmsg *kmsg_alloc_inside(uint32_t size, struct ledger *payer)
{
	struct kmsg *kmsg = zone_alloc(&kmsg_zone, payer);

	if (likely(kmsg != NULL))
		kmsg_init(kmsg, size, payer);
	return kmsg;
}
/* For size bytes in all; NULL: denied or larger than KMSG_SIZE_MAX. bits, rights: none yet; kind KMSG_NORMAL. */
struct kmsg *kmsg_alloc(uint32_t size, struct ledger *payer);
/* Destroys the message and every right and region in it: by reaping when long. Never fails. */
void kmsg_discard(struct kmsg *kmsg);
/* Destroys at once all that the message carries, except kmsg->remote, which stays, as the memory does. */
void kmsg_empty(struct kmsg *kmsg);
/* Only the buffer (rights were moved on). NULL is fine. */
void kmsg_free(struct kmsg *kmsg);
/* Where byte offset of the KMSG_SMALL is that lie in the message's elements: bytes of a small one, else frame numbers. */
static inline void *kmsg_place(struct kmsg *kmsg, uint32_t offset)
{
	return offset < KMSG_INSIDE ? kmsg->small + offset : kmsg->rest->place + (offset - KMSG_INSIDE);
}
/* The frame number of one of the pages of a long message. */
static inline uint32_t *kmsg_frame(struct kmsg *kmsg, uint32_t page)
{
	return kmsg_place(kmsg, page * (uint32_t)sizeof(uint32_t));
}
/* Where the message's byte at offset is; the aligned 8 bytes there are in one piece. */
static inline void *kmsg_at(struct kmsg *kmsg, uint32_t offset)
{
	if (kmsg->pages == 0)
		return kmsg_place(kmsg, offset);
	if (kmsg->pages == KMSG_LINEAR)
		return kmsg->linear + offset;
	return (uint8_t *)page_address(page_of_frame(*kmsg_frame(kmsg, offset / PAGE_SIZE))) + offset % PAGE_SIZE;
}
/* How many bytes from offset on are in one piece. */
static inline uint32_t kmsg_contiguous(const struct kmsg *kmsg, uint32_t offset)
{
	uint32_t left = kmsg->size - offset, piece = PAGE_SIZE - offset % PAGE_SIZE;

	if (kmsg->pages == 0)
		piece = offset < KMSG_INSIDE ? KMSG_INSIDE - offset : KMSG_SMALL - offset;
	return kmsg->pages == KMSG_LINEAR || left < piece ? left : piece;
}
/* How long a message there is memory for. */
static inline uint32_t kmsg_capacity(const struct kmsg *kmsg)
{
	if (kmsg->pages != 0)
		return kmsg->pages * PAGE_SIZE;
	return kmsg->has_rest ? KMSG_SMALL : KMSG_INSIDE;
}

/* The first size bytes of the message, at most kmsg->size. */
void kmsg_write(struct kmsg *kmsg, const void *from, uint32_t size);

/* Prepaid messages of send-once rights. */
/* Adds one, charged to payer, to port->prepaid; false: denied. */
bool port_prepay(struct port *port, struct ledger *payer);
/* Adds one that stays with the port, which is one for replies, until its receive right moves; false: denied. */
bool port_keep_reply(struct port *port);
/* A send-once right does without its message: that is freed, or stays with a port that keeps one and has lent it. */
void port_unprepay(struct port *port);
/* Which port has lent the message for its reply, and keeps it when that was received or thrown away, or takes one that is as good;
   NULL: none. To be asked while the message has its right, which may be used up before the memory goes back. */
struct port *kmsg_lender(const struct kmsg *kmsg);
/* kmsg_free, or back to its lender (NULL: none). */
void kmsg_return(struct kmsg *kmsg, struct port *lender);
/* Takes one for use, charged as before; NULL: there is none (a right that the kernel made). */
struct kmsg *port_take_prepaid(struct port *port);

/* Arrays of rights: what out-of-line memory with port rights is in the kernel. Made of kernel pages, the first of which
   holds this structure, charged to one ledger (LEDGER_KPAGES). */
struct port_array {
	uint32_t count;
	uint32_t disposition;		/* MACH_MSG_TYPE_PORT_*: what they are when it is destroyed */
	uint32_t next;			/* reaping */
	uint32_t pages;			/* more of them */
	struct reap reap;
	union {
		struct port *direct[480];	/* pages 0: all there */
		uint32_t frames[960];		/* else: page frame numbers, 512 ports each */
	};
};
#define PORT_ARRAY_MAX (960 * 512)
_Static_assert(sizeof(struct port_array) <= PAGE_SIZE, "one page");
/* All NULL. count at most PORT_ARRAY_MAX. NULL: denied. */
struct port_array *port_array_make(uint32_t count, uint32_t disposition, struct ledger *payer);
/* The place of the right at index; NULL and PORT_DEAD may stand there. */
struct port **port_array_slot(struct port_array *array, uint32_t index);
/* Releases the rights still in it (slots not NULL) and the array: by reaping when long. NULL is fine. */
void port_array_discard(struct port_array *array);
/* Only the array. */
void port_array_free(struct port_array *array);

#endif
