/* SPDX-License-Identifier: BSD-2-Clause */
/* Mutexes and conditions over gsync_wait and gsync_wake (the manual's section on gsync). */
#include <mach.h>
#include <mach/calls.h>
#include <mach/gsync.h>
#include <mach/threads.h>

bool word_wait(uint32_t *word, uint32_t value, unsigned milliseconds)
{
	int flags = milliseconds != 0 ? GSYNC_TIMED : 0;
	/* To abort it would not help: who waits for a lock waits again. */
	void *watcher = calls_watch(NULL);
	kern_return_t code = gsync_wait(mach_task_self(), (vm_address_t)word, value, 0, milliseconds,
					flags);

	calls_watch(watcher);
	if (code == KERN_TIMEDOUT)
		return false;
	/* Not success, not "the word has changed": no memory to wait with. */
	if (code != KERN_SUCCESS && code != KERN_INVALID_ARGUMENT && code != KERN_INTERRUPTED)
		thread_sleep(1);
	return true;
}

void word_wake(uint32_t *word, bool all)
{
	while (gsync_wake(mach_task_self(), (vm_address_t)word, 0, all ? GSYNC_BROADCAST : 0) ==
	       MACH_SEND_NO_BUFFER)
		thread_sleep(1);
}

bool mutex_try_lock(struct mutex *mutex)
{
	uint32_t open = 0;

	return __atomic_compare_exchange_n(&mutex->state, &open, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

void mutex_lock(struct mutex *mutex)
{
	if (mutex_try_lock(mutex))
		return;
	while (__atomic_exchange_n(&mutex->state, 2, __ATOMIC_ACQUIRE) != 0)
		word_wait(&mutex->state, 2, 0);
}

void mutex_unlock(struct mutex *mutex)
{
	if (__atomic_exchange_n(&mutex->state, 0, __ATOMIC_RELEASE) == 2)
		word_wake(&mutex->state, false);
}

bool condition_wait_for(struct condition *condition, struct mutex *mutex, unsigned milliseconds)
{
	uint32_t signals = __atomic_load_n(&condition->signals, __ATOMIC_RELAXED);
	bool in_time;

	mutex_unlock(mutex);
	in_time = word_wait(&condition->signals, signals, milliseconds);
	mutex_lock(mutex);
	return in_time;
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
	condition_wait_for(condition, mutex, 0);
}

void condition_signal(struct condition *condition)
{
	__atomic_fetch_add(&condition->signals, 1, __ATOMIC_RELEASE);
	word_wake(&condition->signals, false);
}

void condition_broadcast(struct condition *condition)
{
	__atomic_fetch_add(&condition->signals, 1, __ATOMIC_RELEASE);
	word_wake(&condition->signals, true);
}
