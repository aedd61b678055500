/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The scheduler.
 *
 * CPU time is divided first between the children of the root ledger (users, services) and the root
 * itself: each has a share with a weight, and the share that has had the least time for its weight
 * runs next (virtual time, as in Duda and Cheriton's and Waldspurger's stride scheduling). So ten
 * thousand ready threads of one user get one user's part. Inside a share the most urgent priority
 * goes first, equals take turns of a quantum.
 *
 * A share that becomes ready after a pause starts at the time of the share that runs, less nothing:
 * it cannot save up time while it sleeps.
 *
 * There is no kernel stack to switch. sched_switch empties the CPU's one stack, loads the chosen
 * thread's address space and either runs the continuation of its wait or returns to user mode.
 *
 * Direct hand-off: a woken thread may be run next on the waker's share, without touching a queue.
 * If the waker does not block after all, the woken thread is queued at the end of its call. The quantum goes on
 * counting across hand-offs, so that two threads that call each other do not keep the CPU.
 *
 * Invariants: a thread is on a queue exactly when its state is THREAD_READY and it is not the
 * hand-off; a share is in the tree exactly when ready > 0; no thread of a dead or suspended task runs.
 */
#include "kern/sched.h"
#include "ipc/mqueue.h"
#include "ipc/throttle.h"
#include "kern/assert.h"
#include "kern/ast.h"
#include "kern/likely.h"
#include "kern/pause.h"
#include "kern/stretch.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/timer.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/reap.h"
#include "x86_64/machine.h"
#include "x86_64/pmap.h"

RB_HEAD(share_tree, sched_share);

static int share_compare(const struct sched_share *a, const struct sched_share *b)
{
	if (a->virtual_ns != b->virtual_ns)
		return a->virtual_ns < b->virtual_ns ? -1 : 1;
	return a < b ? -1 : a > b;
}
RB_GENERATE_STATIC(share_tree, sched_share, node, share_compare)

static struct share_tree ready_shares = RB_INITIALIZER(&ready_shares);
static struct sched_share root_share;
static struct sched_share *share_running; /* whose time the current thread runs on: its task's home, or a caller's (hand-off); idle: nobody's */
static struct thread *handoff_thread;	/* woken, to run next when the current one waits; cpu->handoff: there is one */
static uint64_t clock_virtual_ns;	/* time of the share that ran last: where late-comers start */
static uint64_t switched;		/* clock_ticks() at the last switch by switch_from */
static uint64_t share_switched;		/* and since when the current share is not charged yet */
static unsigned quantum_ticks;		/* that the current thread, and those it handed off to, have had */

static void handoff_set(struct thread *thread)
{
	handoff_thread = thread;
	cpu_current()->handoff = thread != NULL;
}

void sched_init(void)
{
	root_share.weight = SCHED_WEIGHT_DEFAULT;
	root_ledger.share = &root_share;
}

bool sched_share_create(struct ledger *ledger)
{
	struct page *page = kpage_alloc(&root_ledger);
	struct sched_share *share;

	_Static_assert(sizeof(*share) <= PAGE_SIZE, "a share is one page");
	if (page == NULL)
		return false;
	share = page_address(page);
	memset(share, 0, sizeof(*share));
	share->weight = SCHED_WEIGHT_DEFAULT;
	share->virtual_ns = clock_virtual_ns;
	ledger->share = share;
	return true;
}

static void share_free_if_unused(struct sched_share *share)
{
	struct thread *current = thread_current();

	if (!share->retired || share->tasks != 0)
		return;
	/* The current thread can be running on a borrowed one. */
	if (share_running == share)
		share_running = current != NULL ? current->task->home : NULL;
	kpage_free(page_of_address(share));
}

void sched_share_retire(struct ledger *ledger)
{
	struct sched_share *share = ledger->share;

	if (share == NULL || share == &root_share)
		return;
	ledger->share = NULL;
	share->retired = true;
	share_free_if_unused(share);
}

void sched_share_weight(struct ledger *ledger, uint32_t weight)
{
	struct sched_share *share = ledger->share;

	if (share != NULL)
		share->weight = weight;
}

struct sched_share *sched_share_of(struct ledger *ledger)
{
	while (ledger->share == NULL && ledger->parent != NULL)
		ledger = ledger->parent;
	return ledger->share != NULL ? ledger->share : &root_share;
}

void sched_task_enter(struct task *task, struct sched_share *share)
{
	task->home = share;
	share->tasks++;
}

void sched_task_leave(struct task *task)
{
	task->home->tasks--;
	share_free_if_unused(task->home);
}

/* Is no thread ready but those of this share, of which there are? */
static inline bool ready_alone(const struct sched_share *share)
{
	return RB_ROOT(&ready_shares) == share && RB_LEFT(share, node) == NULL && RB_RIGHT(share, node) == NULL;
}

/* It has ready threads. Mostly it is the only one: there is nothing to balance. */
static inline void share_insert(struct sched_share *share)
{
	if (share->virtual_ns < clock_virtual_ns)
		share->virtual_ns = clock_virtual_ns;
	if (!RB_EMPTY(&ready_shares)) {
		RB_INSERT(share_tree, &ready_shares, share);
		return;
	}
	RB_ROOT(&ready_shares) = share;
	RB_SET(share, NULL, node);
	RB_COLOR(share, node) = RB_BLACK;
}

static inline void share_remove(struct sched_share *share)
{
	if (likely(ready_alone(share)))
		RB_INIT(&ready_shares);
	else
		RB_REMOVE(share_tree, &ready_shares, share);
}

/* Appends to the ring of the thread's priority. */
static void queue_insert(struct thread *thread)
{
	struct sched_share *share = thread->task->home;
	unsigned priority = thread->priority;
	struct thread **head = &share->queue[priority];

	if (*head == NULL) {
		thread->wait.run.next = thread->wait.run.prev = thread;
		*head = thread;
		share->ready_mask |= 1ull << priority;
	} else {
		thread->wait.run.next = *head;
		thread->wait.run.prev = (*head)->wait.run.prev;
		thread->wait.run.prev->wait.run.next = thread;
		(*head)->wait.run.prev = thread;
	}
	if (share->ready++ == 0)
		share_insert(share);
}

/* Takes the thread out of the share's queue of the priority, its own. */
static inline __attribute__((always_inline)) void queue_take(struct sched_share *share, struct thread *thread, unsigned priority)
{
	struct thread **head = &share->queue[priority];

	if (thread->wait.run.next == thread) {
		*head = NULL;
		share->ready_mask &= ~(1ull << priority);
	} else {
		thread->wait.run.prev->wait.run.next = thread->wait.run.next;
		thread->wait.run.next->wait.run.prev = thread->wait.run.prev;
		if (*head == thread)
			*head = thread->wait.run.next;
	}
	if (--share->ready == 0)
		share_remove(share);
}

static void queue_remove(struct thread *thread)
{
	queue_take(thread->task->home, thread, thread->priority);
}

/* True if the thread, now queued, should run before the current one. */
static bool preempts(const struct thread *thread, const struct thread *current)
{
	if (current == NULL)
		return true;
	if (thread->task->home == share_running)
		return thread->priority < current->priority;
	return thread->task->home->virtual_ns < share_running->virtual_ns;
}

/* Off the queues; if it was woken to send, others may have the room, and its turn if it serves a throttled set. */
static void stop(struct thread *thread)
{
	thread->state = THREAD_STOPPED;
	throttle_sleeps(thread);
	mqueue_room_return(thread, false);
}

/* The thread is ready. False: it may not run, and is stopped. */
static inline bool make_ready(struct thread *thread)
{
	if (!sched_runnable(thread)) {
		stop(thread);
		return false;
	}
	thread->state = THREAD_READY;
	queue_insert(thread);
	return true;
}

void sched_ready(struct thread *thread)
{
	if (make_ready(thread) && preempts(thread, cpu_current()->thread))
		ast_reschedule();
}

void sched_unready(struct thread *thread)
{
	assert(thread->state == THREAD_READY);
	if (handoff_thread == thread)
		handoff_set(NULL);
	else
		queue_remove(thread);
	thread->state = THREAD_STOPPED;
}

void sched_resume(struct thread *thread)
{
	if (thread->state != THREAD_STOPPED)
		return;
	throttle_wakes(thread);
	sched_ready(thread);
}

void sched_handoff(struct thread *thread)
{
	struct thread *current = thread_current();

	if (handoff_thread != NULL || current == NULL || !sched_runnable(thread)) {
		sched_ready(thread);
		return;
	}
	thread->state = THREAD_READY;
	handoff_set(thread);
}

/* The waker goes on running after all: the woken thread takes its place in the queue. */
void sched_handoff_undo(void)
{
	struct thread *thread = handoff_thread;

	if (thread == NULL)
		return;
	handoff_set(NULL);
	sched_ready(thread);
}

void sched_set_priority(struct thread *thread, unsigned priority)
{
	bool queued = thread->state == THREAD_READY && handoff_thread != thread;

	if (queued)
		queue_remove(thread);
	thread->priority = (uint8_t)priority;
	if (queued)
		queue_insert(thread);
	if (thread == thread_current() || queued)
		ast_reschedule();
}

/* The share has had more: its place in the tree may be further behind. */
static void share_charge(struct sched_share *share, uint64_t ran_ns)
{
	struct sched_share *next = share->ready > 0 ? RB_NEXT(share_tree, &ready_shares, share) : NULL;
	uint64_t virtual_ns = share->virtual_ns + ran_ns * SCHED_WEIGHT_DEFAULT / share->weight;
	bool moves = next != NULL && next->virtual_ns <= virtual_ns;

	if (moves)
		RB_REMOVE(share_tree, &ready_shares, share);
	share->virtual_ns = virtual_ns;
	if (moves)
		RB_INSERT(share_tree, &ready_shares, share);
}

/* Charges the time since the last change of shares to the share. */
static void account(struct sched_share *share, uint64_t now)
{
	uint64_t ran = clock_ticks_ns(now - share_switched);

	share_switched = now;
	if (share == NULL)
		return;
	share_charge(share, ran);
	if (share->virtual_ns > clock_virtual_ns) {
		struct sched_share *first = RB_MIN(share_tree, &ready_shares);

		clock_virtual_ns = first != NULL && first->virtual_ns < share->virtual_ns ?
			(first->virtual_ns > clock_virtual_ns ? first->virtual_ns : clock_virtual_ns) :
			share->virtual_ns;
	}
}

/* The thread stops running. When the next is of the same share, its time goes on: after a hand-off, and when no other share has any
   ready. Each tick charges it. */
static inline __attribute__((always_inline)) void account_switch(struct thread *thread)
{
	switched = clock_ticks();
	thread->cpu_ticks += switched;
	if (handoff_thread == NULL && !ready_alone(share_running))
		account(share_running, switched);
}

/* While a thread runs, cpu_ticks is less by the time at which it began to. */
uint64_t sched_cpu_ticks(const struct thread *thread)
{
	return thread->cpu_ticks + (thread == thread_current() ? clock_ticks() : 0);
}

uint64_t sched_cpu_ns(const struct thread *thread)
{
	return clock_ticks_ns(sched_cpu_ticks(thread));
}

void sched_tick(void)
{
	struct thread *current = thread_current();
	struct sched_share *first;

	if (current == NULL)
		return;
	account(share_running, clock_ticks());
	first = RB_MIN(share_tree, &ready_shares);
	if (first == NULL)
		return;
	if (first != share_running ? first->virtual_ns < share_running->virtual_ns :
	    (first->ready_mask & ((2ull << current->priority) - 1)) != 0) {
		if (++quantum_ticks >= SCHED_QUANTUM_MS * CLOCK_TICK_HZ / 1000)
			ast_reschedule();
	}
}

static struct thread *choose(void)
{
	struct sched_share *share;
	struct thread *thread = handoff_thread;
	unsigned priority;

	if (thread != NULL) {
		handoff_set(NULL);
		if (sched_runnable(thread))
			return thread;
		account(share_running, switched);
		stop(thread);
	}
	while ((share = RB_MIN(share_tree, &ready_shares)) != NULL) {
		priority = (unsigned)__builtin_ctzll(share->ready_mask);
		thread = share->queue[priority];
		queue_take(share, thread, priority);
		if (sched_runnable(thread)) {
			quantum_ticks = 0;
			share_running = share;
			return thread;
		}
		stop(thread);
	}
	return NULL;
}

/* Nothing to run: dismantle dead things, else sleep until an interrupt. */
static struct thread *idle(void)
{
	struct thread *thread;
	cpu_local *cpu = cpu_current();

	while ((thread = choose()) == NULL) {
		if (!reap_one() && !cpu->ast)
			machine_idle();
		else
			machine_window();
		ast_idle();
	}
	return thread;
}

/* On the empty stack, in the context of a thread that was woken, or has paused. */
static void thread_continue(void *argument)
{
	struct thread *thread = argument;
	const struct wait_kind *woken = thread->wait.kind;

	thread->wait.kind = NULL;
	woken->continuation(thread, thread->wait.result);
	if (thread->state != THREAD_RUNNING)
		sched_switch();
	if (thread->wait.kind != NULL)
		sched_pause(thread);
	sched_handoff_undo();
	stretch_note(thread_continue);
	user_return();
}

/* The current thread goes on, wherever it was stopped. */
static inline __attribute__((always_inline)) _Noreturn void go_on(struct thread *thread)
{
	if (thread->wait.kind != NULL)
		stack_reset_call(thread_continue, thread);
	stretch_note(go_on);
	user_return();
}

__attribute__((noinline)) void sched_pause(struct thread *thread)
{
	assert(thread_pauses(thread));
	ast_handle(thread);
	go_on(thread);
}

/* `to` becomes the current thread, NULL: none does; from was, NULL: none was. If it is dead nothing is its own any more: it is buried. */
static inline __attribute__((always_inline)) void change(struct thread *from, struct thread *to)
{
	machine_switch(from, to, to != NULL ? &to->task->map.pmap : &kernel_pmap);
	if (from != NULL && from->state == THREAD_DEAD)
		thread_bury(from);
}

/* from: the current thread, whose time is accounted for until `switched`, NULL: none. */
static _Noreturn void switch_from(struct thread *from)
{
	struct thread *to = choose();

	if (to == NULL) {
		if (from != NULL)
			change(from, NULL);
		from = NULL;
		to = idle();
		switched = share_switched = clock_ticks();
	}
	ast_rescheduled();
	to->state = THREAD_RUNNING;
	to->cpu_ticks -= switched;
	if (to != from)
		change(from, to);
	go_on(to);
}

void sched_switch(void)
{
	struct thread *from = thread_current();

	if (from != NULL) {
		account_switch(from);
		throttle_sleeps(from);
	}
	switch_from(from);
}

/* Apart, so that the common way need not keep anything over a call. */
static _Noreturn __attribute__((noinline)) void pass_with_more(struct thread *from, struct thread *to)
{
	timer_stop(to);
	machine_pass(from, to, &to->task->map.pmap);
}

void sched_pass(struct thread *from, struct thread *to)
{
	uint64_t now = clock_ticks();

	from->cpu_ticks += now;
	to->cpu_ticks -= now;
	to->state = THREAD_RUNNING;
	stretch_note(sched_pass);
	if (unlikely(to->has_fpu || to->has_gs_base || to->timed) || unlikely(cpu_is_unusual()))
		pass_with_more(from, to);
	machine_pass_plain(from, to, &to->task->map.pmap);
}

bool sched_same_share(const struct thread *ready)
{
	return ready->task->home == share_running;
}

bool sched_others_ready(void)
{
	return !RB_EMPTY(&ready_shares) || handoff_thread != NULL;
}

void sched_yield(void)
{
	struct thread *current = thread_current();

	/* Nobody to yield to: it goes on. */
	if (RB_EMPTY(&ready_shares) && handoff_thread == NULL && share_running == current->task->home &&
	    sched_runnable(current)) {
		quantum_ticks = 0;
		ast_rescheduled();
		go_on(current);
	}
	account_switch(current);
	make_ready(current);
	switch_from(current);
}
