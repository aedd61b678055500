/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watched calls, in a list in the order of their beginning.
 *
 * A call is on the list from before its trap until after it, both under the
 * lock, so whoever holds that knows that the thread of a listed call is about
 * to wait, waits, or has come back and will look at `aborted` next. An abort
 * that comes too early for the kernel is repeated by the next one.
 */
#include <mach/calls.h>
#include <mach.h>
#include <mach/threads.h>
#include "calls_private.h"

static struct mutex lock = MUTEX_INIT;
static struct call *first, *last;

void *calls_watch(void *watcher)
{
	struct thread *thread = thread_self();
	void *before = thread->watcher;

	thread->watcher = watcher;
	thread->rpc_port = watcher == NULL ? thread->reply_port : MACH_PORT_NULL;
	return before;
}

void calls_forget(void)
{
	first = last = NULL;
	lock = (struct mutex)MUTEX_INIT;
}

void call_begin(struct call *call)
{
	call->thread = thread_self();
	call->watcher = calls_watch(NULL);
	call->aborted = false;
	call->next = NULL;
	mutex_lock(&lock);
	call->previous = last;
	*(last != NULL ? &last->next : &first) = call;
	last = call;
	mutex_unlock(&lock);
}

void call_end(struct call *call)
{
	mutex_lock(&lock);
	*(call->previous != NULL ? &call->previous->next : &first) = call->next;
	*(call->next != NULL ? &call->next->previous : &last) = call->previous;
	mutex_unlock(&lock);
	calls_watch(call->watcher);
}

bool call_aborted(const struct call *call)
{
	return call != NULL && __atomic_load_n(&call->aborted, __ATOMIC_ACQUIRE);
}

bool calls_abort_newest(const void *watcher)
{
	void *own = calls_watch(NULL);
	struct call *call;

	mutex_lock(&lock);
	for (call = last; call != NULL; call = call->previous)
		if (call->watcher == watcher && call->thread->port != MACH_PORT_NULL)
			break;
	if (call != NULL) {
		__atomic_store_n(&call->aborted, true, __ATOMIC_RELEASE);
		thread_abort(call->thread->port);
	}
	mutex_unlock(&lock);
	calls_watch(own);
	return call != NULL;
}
