/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watched calls: the calls of mach_msg in which threads wait, but for locks and other words, so
 * that somebody else in the task can end one of them. A thread is watched on behalf of
 * something (a pool of threads, say), as are the threads that it makes.
 */
#ifndef MACH_CALLS_H
#define MACH_CALLS_H

#include <stdbool.h>

/* From now on this thread's calls are watched on behalf of watcher; NULL: they are not. Returns what it was. */
void *calls_watch(void *watcher);

/*
 * Aborts the call that began last of those that are watched on behalf of watcher: it
 * returns MACH_SEND_INTERRUPTED or MACH_RCV_INTERRUPTED, and mach_msg does not
 * repeat it. In the first case what the message carried is destroyed. False: there
 * is none. Does not wait for it to return.
 */
bool calls_abort_newest(const void *watcher);

#endif
