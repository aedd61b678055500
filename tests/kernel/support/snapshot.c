/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading ledgers, comparing them, the audit. */
#include "snapshot.h"
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/threads.h>
#include <stdarg.h>
#include <weir_user.h>

#define SETTLE_MS	3000
#define QUIET_MS	10
#define QUIET_LIMIT_MS	10000

static weir_text_t audit_text;

unsigned names_here(void)
{
	mach_port_name_array_t names = NULL;
	mach_port_type_array_t types = NULL;
	mach_msg_type_number_t name_count = 0, type_count = 0;

	need(mach_port_names(mach_task_self(), &names, &name_count, &types, &type_count),
	     "the names of its task");
	if (name_count > 0)
		give_back_memory((vm_address_t)names, name_count * sizeof *names);
	if (type_count > 0)
		give_back_memory((vm_address_t)types, type_count * sizeof *types);
	return name_count;
}

void snapshot_take(struct snapshot *snapshot, ledger_t ledger)
{
	ledger_all_usage_t usage;

	snapshot->ledger = ledger;
	snapshot->names = names_here();
	need(ledger_get_all_usage(ledger, (uint64_t *)usage), "the usage of a ledger");
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++)
		snapshot->used[i] = usage[i].used;
}

void snapshot_take_quiet(struct snapshot *snapshot, ledger_t ledger)
{
	uint64_t start = clock_uptime_ns();

	do {
		snapshot_take(snapshot, ledger);
		thread_sleep(QUIET_MS);
	} while (!snapshot_equal(snapshot, SNAPSHOT_THINGS) &&
		 clock_uptime_ns() - start < QUIET_LIMIT_MS * 1000000ull);
}

ledger_t ledger_new(ledger_name_t parent, const char *name)
{
	ledger_t ledger;

	need(ledger_create(parent, name, &ledger), "a ledger");
	return ledger;
}

void ledger_drop(ledger_t ledger)
{
	need(ledger_terminate(ledger), "the end of a ledger");
	give_back_right(ledger);
}

struct ledger_usage usage_of(ledger_name_t ledger, unsigned resource)
{
	struct ledger_usage usage = { 0 };

	need(ledger_get_usage(ledger, (int)resource, &usage), "the usage of a ledger");
	return usage;
}

uint64_t used_now(ledger_t ledger, unsigned resource)
{
	return usage_of(ledger, resource).used;
}

static bool equal(const struct snapshot *a, const struct snapshot *b, unsigned what)
{
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++) {
		if ((what >> i & 1) && a->used[i] != b->used[i])
			return false;
	}
	return !(what & SNAPSHOT_NAMES_HERE) || a->names == b->names;
}

bool snapshot_equal(const struct snapshot *before, unsigned what)
{
	struct snapshot now;

	snapshot_take(&now, before->ledger);
	return equal(before, &now, what);
}

static void show(const struct snapshot *before, const struct snapshot *now, unsigned what)
{
	for (unsigned i = 0; i < LEDGER_RESOURCES; i++) {
		if ((what >> i & 1) && before->used[i] != now->used[i])
			diag("%s: expected %" PRIu64 ", got %" PRIu64, ledger_resource_name(i),
			     before->used[i], now->used[i]);
	}
	if ((what & SNAPSHOT_NAMES_HERE) && before->names != now->names)
		diag("names of this task: expected %u, got %u", before->names, now->names);
}

static bool compare(const struct snapshot *before, unsigned what, const char *claim, va_list arguments)
{
	struct snapshot now;
	char text[300];
	bool same;

	vsnprintf(text, sizeof text, claim, arguments);
	snapshot_take(&now, before->ledger);
	same = ok(equal(before, &now, what), "%s", text);
	if (!same)
		show(before, &now, what);
	return same;
}

bool snapshot_same(const struct snapshot *before, unsigned what, const char *claim, ...)
{
	va_list arguments;
	bool same;

	va_start(arguments, claim);
	same = compare(before, what, claim, arguments);
	va_end(arguments);
	return same;
}

bool snapshot_settles(const struct snapshot *before, unsigned what, const char *claim, ...)
{
	uint64_t start = clock_uptime_ns();
	va_list arguments;
	bool same;

	/* What the kernel takes apart when it is idle gives no sign of its end: so look again. */
	while (!snapshot_equal(before, what) && clock_uptime_ns() - start < SETTLE_MS * 1000000ull)
		thread_sleep(1);
	va_start(arguments, claim);
	same = compare(before, what, claim, arguments);
	va_end(arguments);
	return same;
}

bool books_agree(void)
{
	int result = -1;

	need(weir_debug_audit(test_host_priv(), &result, audit_text), "the kernel's audit");
	return result == 0;
}

const char *books_text(void)
{
	return audit_text;
}
