/* SPDX-License-Identifier: BSD-2-Clause */
/* Replies to calls of the kernel that come later, while their sender goes on. Theory in krpc_later.c. */
#ifndef IPC_KRPC_LATER_H
#define IPC_KRPC_LATER_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/kern_return.h>
#include <weir/queue.h>
#include <weir/tree.h>

struct kmsg;
struct port;
struct thread;

#define KRPC_LATER_BODY_MAX 200		/* bytes of such a reply, head included */

/* A reply that is due. Lies in the memory of the reply itself. */
struct krpc_later {
	RB_ENTRY(krpc_later) node;		/* of all, by reply port */
	struct kmsg *kmsg;
	void (*lost)(struct krpc_later *later);
	/* For the routine: */
	TAILQ_ENTRY(krpc_later) link;
	void *object;
	uint64_t word[4];
};
TAILQ_HEAD(krpc_later_queue, krpc_later);

/*
 * From a routine that does not want to make its caller wait: takes the reply right of the call, which krpc_is_direct
 * said is no direct one. The memory is the message prepaid with a send-once right, else one charged to the caller's ledger.
 * On success the routine links *later somewhere and returns MIG_NO_REPLY. lost is called when the reply port dies:
 * it unlinks it, releases what hangs from it and may do no more (it may run wherever something is allocated).
 * KERN_RESOURCE_SHORTAGE; KERN_INVALID_CAPABILITY: nobody waits for this reply.
 */
kern_return_t krpc_keep(struct thread *thread, void (*lost)(struct krpc_later *later), struct krpc_later **later);
/* Is the caller waiting for the reply in this very call? Then its thread may wait (KRPC_BLOCKED). */
bool krpc_is_direct(const struct thread *thread);
/* Sends the reply, body as for krpc_reply_data, and frees later, which is unlinked. Any context; never fails. */
void krpc_later_reply(struct krpc_later *later, kern_return_t code, const void *body, uint32_t size, bool complex);
/* The dead port loses one reply that is due to it; false: none is. */
bool krpc_later_lose(struct port *port);

#endif
