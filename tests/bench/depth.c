/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations in ledgers of each depth. The console gives a program a ledger of its own below the one that is
 * named, so none runs two deep by it; here a copy of this task is charged to a ledger of each depth in turn and
 * measures there. The copy has none of our names but two that it is given.
 */
#include "bench.h"
#include <ledger_user.h>
#include <mach.h>
#include <mach/message.h>
#include <mach/program.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST_NAME	21	/* the host port, in the copy */
#define DONE_NAME	22	/* where it says that it is through */
#define DONE_MS		120000

static mach_port_t host_priv, done;
static unsigned long depth;

static void in_copy(void *argument)
{
	mach_msg_header_t message = {
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_COPY_SEND, 0), .msgh_size = sizeof message,
		.msgh_remote_port = DONE_NAME,
	};
	char prefix[24];

	(void)argument;
	bench_host_priv = HOST_NAME;
	snprintf(prefix, sizeof prefix, "depth@%lu/", depth);
	bench_measure(prefix);
	need(mach_msg(&message, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL), "the copy's message");
}

static kern_return_t equip(task_t task, void *argument)
{
	kern_return_t code = mach_port_insert_right(task, HOST_NAME, host_priv, MACH_MSG_TYPE_COPY_SEND);

	(void)argument;
	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(task, DONE_NAME, done, MACH_MSG_TYPE_MAKE_SEND);
	return code;
}

static void measure_in(mach_port_t ledger)
{
	struct {
		mach_msg_header_t head;
		uint64_t room[8];
	} message;
	task_t copy;

	need(program_fork_in(ledger, in_copy, NULL, equip, &copy), "a copy of the task");
	need(mach_msg(&message.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof message, done, DONE_MS, MACH_PORT_NULL),
	     "the copy has not come to its end");
	task_terminate(copy);
	give_back_right(copy);
}

bool bench_depths(const char *list)
{
	mach_port_t ledger, child, first = MACH_PORT_NULL;
	unsigned long level = 1;
	char *end;

	need(program_host_priv(&host_priv), "the host port; `in root`");
	need(ledger_root(host_priv, &ledger), "ledger_root");
	done = bench_port();
	for (;; list = end + 1) {
		depth = strtoul(list, &end, 10);
		if (end == list || (*end != ',' && *end != '\0') || depth < level)
			return false;
		for (; level < depth; level++) {
			need(ledger_create(ledger, "depth", &child), "ledger_create");
			if (first == MACH_PORT_NULL)
				first = child;
			ledger = child;
		}
		measure_in(ledger);
		if (*end == '\0')
			break;
	}
	if (first != MACH_PORT_NULL)
		need(ledger_terminate(first), "ledger_terminate");
	bench_port_free(done);
	return true;
}
