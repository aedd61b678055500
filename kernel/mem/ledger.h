/* SPDX-License-Identifier: BSD-2-Clause */
/* Ledgers: accounts of things, in a tree at most LEDGER_DEPTH deep. Theory in ledger.c. */
#ifndef MEM_LEDGER_H
#define MEM_LEDGER_H
#include <stdbool.h>
#include <stdint.h>
#include <weir/ledger.h>
#include <weir/queue.h>
#include "kern/likely.h"
#include "mem/reap.h"
#include "mem/site.h"

#define LEDGER_DEPTH LEDGER_DEPTH_MAX
/* No ledger can be promised more things of one kind. */
#define LEDGER_GUARANTEE_MAX (1ull << 40)

struct port;
struct task;

struct ledger_account {
	uint64_t used;		/* things of this ledger, and what its children's accounts cover; exact after ledger_settle */
	uint64_t quick;		/* used may reach this without a look at anything: the lesser of easy and covers */
	uint64_t easy;		/* without a look at limit, peak, mark and memory: kept by ledger_ease */
	uint64_t covers;	/* what the parent counts for this: used up to it is no concern of the parent; the root's: all */
	uint64_t floor;		/* used may fall to this without telling the parent (ledger_slack.c) */
	uint64_t limit;		/* LEDGER_UNLIMITED: none */
	uint64_t guarantee;
	uint64_t peak;
};

struct ledger {
	struct ledger *parent;				/* NULL: the root */
	struct ledger_account account[LEDGER_RESOURCES];
	uint64_t guaranteed_bytes;			/* kernel bytes of all its guarantees */
	uint64_t denials[LEDGER_RESOURCES];
	uint64_t ram_limit, ram_denials;		/* of kernel bytes and resident pages together; the root has the machine's */
	TAILQ_HEAD(ledger_children, ledger) children;	/* those alive first, dead shells behind them */
	uint32_t child_count;				/* those alive */
	TAILQ_ENTRY(ledger) sibling;
	LIST_ENTRY(ledger) all;				/* in ledger_list, newest first: children before their parents */
	struct port *port, *name_port;			/* control port, name port; NULL when terminated */
	void *share;					/* the scheduler's; children of the root only (struct sched_share *) */
	LIST_HEAD(, task) tasks;			/* kern/task.h: tasks charged here */
	uint32_t id;
	uint16_t depth;					/* root: 1 */
	uint16_t weight;				/* of CPU time, root's children */
	bool dead;					/* terminated: refuses charges, freed with its last refund */
	uint32_t holds;					/* kernel holders: a dead one is not freed before the last lets go */
	struct reap reap;				/* termination in pieces (kern/ledger_server.c) */
	struct { uint64_t at; uint8_t resource; bool pending; } mark;	/* at 0: none set */
	struct port *mark_port;				/* send-once right to tell, NULL: none (kern/ledger_server.c) */
	struct reap mark_reap;				/* its sending */
	uint64_t audit[LEDGER_RESOURCES];		/* scratch of ledger_audit */
	char name[LEDGER_NAME_MAX];
};

LIST_HEAD(ledger_list, ledger);
extern struct ledger root_ledger;
extern struct ledger_list ledger_list;

/* The ledgers' zone. Boot, after page_init. */
void ledger_system_init(void);

/* Charges n things of the resource, and their fixed kernel bytes, to the ledger and up the chain
   until a guarantee covers them. False: denied, nothing charged, a denial recorded (mem_denied). */
bool ledger_charge_at(struct ledger *ledger, unsigned resource, uint64_t n, const struct alloc_site *site);
#define ledger_charge(ledger, resource, n) ledger_charge_at(ledger, resource, n, ALLOC_SITE())
/* Gives back what was charged. May free a dead ledger: do not use the pointer afterwards. */
void ledger_refund(struct ledger *ledger, unsigned resource, uint64_t n);
/* Moves a charge, unrefused: a ledger over its limit is only denied new things. */
/* Is more used of the resource, or of kernel bytes, by the ledger or one above, than may be, as a limit was set below what is used? Then
   no element and no table is kept, so that what is new is denied. */
bool ledger_beyond(const struct ledger *ledger, unsigned resource);
void ledger_move(struct ledger *from, struct ledger *to, unsigned resource, uint64_t n);

/* Makes all figures exact: what a refund has left with the ledgers above goes back (ledger_slack.c), and so does what zones keep
   (zone.c). Before anyone reads used or peak. O(depth) for each resource. */
void ledger_settle(void);

/* The same without the fail-nth hook: for those who have called it themselves. */
bool ledger_take(struct ledger *ledger, unsigned resource, uint64_t n, const struct alloc_site *site);
/* Charges what is there already, unrefused (modules at boot, moves). */
void ledger_force(struct ledger *ledger, unsigned resource, uint64_t n);

/* A new child, charged to the parent (LEDGER_LEDGERS). NULL: *error is KERN_RESOURCE_SHORTAGE (denied), KERN_INVALID_ARGUMENT
   (too deep) or KERN_TERMINATED (the parent or one above it is dead). The port is made by the caller. */
struct ledger *ledger_new_at(struct ledger *parent, const char *name, int *error, const struct alloc_site *site);
#define ledger_new(parent, name, error) ledger_new_at(parent, name, error, ALLOC_SITE())
/* Marks it dead and gives its guarantees back; it and dead ancestors go when their last charge is refunded. At once, when
   nothing is charged: do not use the pointer afterwards, unless held. Its children must be dead. */
void ledger_kill(struct ledger *ledger);
extern uint32_t ledger_shells;		/* dead ledgers that are still there */
bool ledger_dying_slow(const struct ledger *ledger);
/* True: it or an ancestor is dead, so nothing new may live in it. O(depth) while there are dead ones. */
static inline bool ledger_dying(const struct ledger *ledger) { return ledger_shells != 0 && ledger_dying_slow(ledger); }
/* For who makes a task or thread: false: dying, and a denial of the resource is recorded. The charge itself looks at the ledger only. */
bool ledger_alive_slow(struct ledger *ledger, unsigned resource, const struct alloc_site *site);
static inline bool ledger_alive_at(struct ledger *ledger, unsigned resource, const struct alloc_site *site)
{
	return likely(ledger_shells == 0) || ledger_alive_slow(ledger, resource, site);
}
#define ledger_alive(ledger, resource) ledger_alive_at(ledger, resource, ALLOC_SITE())
/* A kernel holder: the memory stays until ledger_unhold. */
void ledger_hold(struct ledger *ledger);
void ledger_unhold(struct ledger *ledger);
/* Sets the mark: mem_mark_reached is called once, when used of the resource reaches `at` (at once when it has). at 0: no mark. */
void ledger_mark(struct ledger *ledger, unsigned resource, uint64_t at);
/* Kernel bytes and resident pages that it counts, in bytes: what its limit of LEDGER_RAM bounds. */
uint64_t ledger_ram_used(const struct ledger *ledger);
/* LEDGER_RAM has a limit too, but for the root.
   KERN_SUCCESS, KERN_INVALID_ARGUMENT (no such resource, limit below guarantee, bytes guaranteed, more than LEDGER_GUARANTEE_MAX),
   KERN_RESOURCE_SHORTAGE (a guarantee that does not fit), KERN_TERMINATED (a guarantee for a dead ledger). A limit may be below
   what is used: then only new things are denied. */
int ledger_limit(struct ledger *ledger, unsigned resource, uint64_t limit);
int ledger_guarantee_at(struct ledger *ledger, unsigned resource, uint64_t amount, const struct alloc_site *site);
#define ledger_guarantee(ledger, resource, amount) ledger_guarantee_at(ledger, resource, amount, ALLOC_SITE())
/* Kernel bytes of one thing of a resource; set by zone_init. */
extern uint32_t ledger_thing_bytes[LEDGER_RESOURCES];
/* What is charged now is only tried: who is denied goes on in another way, which tries again and is denied on the record. */
extern bool ledger_trying;
/* Fills in and reports a denial (also for things that ledgers do not count, as RAM and the zone map). */
void ledger_deny(struct ledger *ledger, unsigned resource, uint64_t used, uint64_t limit, uint64_t wanted,
		 const struct alloc_site *site);
struct ledger_shortage;
/* The same of what is missing for things of the resource (policy.c: Mach would panic). */
void ledger_deny_shortage(unsigned resource, const struct ledger_shortage *shortage, const struct alloc_site *site);
/* Denials of the root's pseudo resources LEDGER_ZONE_MAP and LEDGER_RAM. */
uint64_t ledger_machine_denials(unsigned resource);

/* -- between ledgers and what stands behind the things (slab.c, page.c): theory in ledger.c -- */

/* How many things of the resource the root may count without asking backing_ensure. */
extern uint64_t ledger_backed[LEDGER_RESOURCES];
/* Looks at limit, peak, mark, death and backing of the account anew: after one of them changed. */
void ledger_ease(struct ledger *ledger, unsigned resource);
/* What is missing, as a denial will say it. */
struct ledger_shortage {
	struct ledger *ledger;
	unsigned resource;
	uint64_t used, limit, wanted;
};
/* Has memory for `things` of the resource, all in all: true, else nothing has changed. last: the reserve may be used. */
bool backing_ensure(unsigned resource, uint64_t things, bool last, struct ledger_shortage *shortage);
/* Fewer are needed: what is superfluous may go. */
void backing_trim(unsigned resource);

#endif
