/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fork bomb. The task that the console started is the keeper: it forks one
 * bomber and from then on only listens, so whatever the bombers meet it can
 * tell what happened and give all back.
 *
 * Each child says it is born, with its task right, and waits for the answer:
 * it comes when the child is to fork too (chain, tree), and says how many, so
 * that there are never more than the keeper was told; else the right to answer
 * is kept, and when the keeper goes the child hears that and goes too.
 * A forker ends with a `done` message through a send-once right that it was
 * given before, whose message is prepaid: that can always be sent. A forker
 * that dies instead (its pages are denied) is known by the right's last words.
 */
#ifndef FORKBOMB_H
#define FORKBOMB_H

#include <mach/mach_types.h>
#include <mach/message.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "flood.h"
#include "options.h"

enum shape { SHAPE_WIDE, SHAPE_CHAIN, SHAPE_TREE, SHAPE_SPIN, SHAPE_CHURN };

/* Names in the space of each bomber, given by whoever makes it. */
#define REPORT_NAME	((mach_port_name_t)0x20)
#define DONE_NAME	((mach_port_name_t)0x21)

#define ID_BORN		7000
#define ID_GO		7100	/* the answer */
#define ID_DONE		7001

struct born_message {
	mach_msg_header_t head;
	mach_msg_type_t task_type;
	uint64_t task;
};

struct go_message {
	mach_msg_header_t head;
	mach_msg_type_t done_type;
	uint64_t done;
	mach_msg_type_t count_type;
	uint64_t count;			/* of children that it may make */
};

struct done_message {
	mach_msg_header_t head;
	mach_msg_type_t type;		/* bytes: from forks to the end */
	uint64_t forks;
	struct flood_end end;
};
#define DONE_BYTES	(sizeof(struct done_message) - offsetof(struct done_message, forks))
_Static_assert(sizeof(struct done_message) <= 32 + 256, "a prepaid message holds no more");
_Static_assert(sizeof(struct done_message) % 8 == 0, "messages are made of words");

/* The bombers' side: what the first ones do. */
struct bomber {
	enum shape shape;
	uint64_t first_count;		/* children of each of the first, at most */
	struct flood_options options;
	mach_port_t report;		/* in the keeper: its receive right */
};
void bomber_first(void *bomber);
/* A child that only takes what each takes, and goes with its killer. */
void bomber_idle(void *bomber);

#endif
