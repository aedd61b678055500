/* SPDX-License-Identifier: BSD-2-Clause */
/* The loop over all denials of a call. */
#include "denial.h"
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <string.h>
#include <weir_user.h>
#include "snapshot.h"
#include "tap.h"

#define DENIALS_MAX	400

bool is_shortage(kern_return_t code)
{
	kern_return_t base = code & ~MACH_MSG_MASK;

	return code == KERN_RESOURCE_SHORTAGE || base == MACH_SEND_NO_BUFFER ||
	       base == MACH_RCV_BODY_ERROR || base == MACH_RCV_HEADER_ERROR;
}

static bool set_nth(unsigned nth, char *site)
{
	weir_site_t place = "";
	int fired = 0;

	if (thread_self()->port == MACH_PORT_NULL)
		thread_self()->port = mach_thread_self();
	/* A stub makes its reply port by a call of its own: that must not be the next one. */
	mig_get_reply_port();
	need(weir_debug_fail_nth(test_host_priv(), thread_self()->port, (int)nth, &fired, place),
	     "weir_debug_fail_nth");
	if (site != NULL)
		strlcpy(site, place, WEIR_SITE_MAX);
	return fired != 0;
}

void deny_next(unsigned nth)
{
	set_nth(nth, NULL);
}

bool deny_struck(char *site)
{
	return set_nth(0, site);
}

/* One call with the nth denied; false: there was no nth. */
static bool try_nth(const struct denial_case *denial, unsigned nth)
{
	ledger_t ledger = denial->ledger != MACH_PORT_NULL ? denial->ledger : test_ledger();
	unsigned what = SNAPSHOT_ALL & ~denial->except;
	struct snapshot before;
	mach_port_t reply_port;
	weir_site_t site;
	kern_return_t code;

	if (denial->prepare != NULL)
		denial->prepare(denial->argument);
	/* What the thread needs to be denied something, it has before it is counted. */
	deny_next(0);
	snapshot_take(&before, ledger);
	deny_next(nth);
	reply_port = mig_get_reply_port();
	code = denial->call(denial->argument);
	/*
	 * A stub that fails replaces its reply port: as many ports and names, but another name, which may
	 * need another node of the tree of names.
	 */
	if (mig_get_reply_port() != reply_port)
		what &= ~(1u << LEDGER_NODES | 1u << LEDGER_KMEM);
	if (!deny_struck(site)) {
		is_code(code, KERN_SUCCESS, "%s succeeds when none of its %u allocations is denied",
			denial->what, nth - 1);
		if (code == KERN_SUCCESS && denial->undo != NULL)
			denial->undo(denial->argument);
		snapshot_settles(&before, SNAPSHOT_THINGS, "%s can be undone", denial->what);
		return false;
	}
	if (!ok(is_shortage(code) || (denial->may_overcome && code == KERN_SUCCESS), "%s, allocation %u denied (%s): the code tells of a shortage",
		denial->what, nth, site))
		diag("got:      %#x (%s)", (unsigned)code, mach_error_string(code));
	if (code == KERN_SUCCESS && denial->undo != NULL)
		denial->undo(denial->argument);
	else if (denial->check != NULL)
		denial->check(denial->argument, code);
	snapshot_settles(&before, what, "%s, allocation %u denied (%s): nothing has changed",
			 denial->what, nth, site);
	return true;
}

unsigned for_each_denial(const struct denial_case *denial)
{
	unsigned nth = 1;

	/* Once for nothing: slabs, tables and the test's own pages are there afterwards. */
	if (denial->prepare != NULL)
		denial->prepare(denial->argument);
	if (denial->call(denial->argument) == KERN_SUCCESS && denial->undo != NULL)
		denial->undo(denial->argument);
	while (nth <= DENIALS_MAX && try_nth(denial, nth))
		nth++;
	ok(nth > 1, "%s allocates something", denial->what);
	ok(nth <= DENIALS_MAX, "%s comes to the end of its allocations", denial->what);
	return nth - 1;
}
