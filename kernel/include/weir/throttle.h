/* SPDX-License-Identifier: BSD-2-Clause */
/* Throttled port sets: calls in weir/throttle.defs. */
#ifndef WEIR_THROTTLE_H
#define WEIR_THROTTLE_H

#include <mach/layout_check.h>
#include <stdint.h>

struct throttle_status {
	uint64_t	target;		/* 0: not throttled */
	uint64_t	delay_ms;
	uint64_t	running;	/* threads that serve the set and run */
	uint64_t	listening;	/* 1: a thread waits for a message */
	uint64_t	waiting;	/* 1: messages wait, or senders */
	uint64_t	taken;		/* messages received through the set since it was throttled */
	uint64_t	waited_ns;	/* how long they had been queued, in all */
	uint64_t	since_taken_ns;	/* since the last of them */
	uint64_t	oldest_ns;	/* how long the next message has been queued; 0: none is */
};
typedef struct throttle_status	throttle_status_t;

LAYOUT_SIZE(struct throttle_status, 72);

/* The notification of port_set_request_stall: weir/throttle_notify.defs. */
#define THROTTLE_NOTIFY_STALLED	5350

#endif
