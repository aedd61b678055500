/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks: made empty or as a copy, suspended, killed.
 *
 * A task is charged to one ledger, together with everything made in it. Killing one is a long
 * destruction: it is detached at once (its port dies, none of its threads is chosen to run again),
 * and taken apart in pieces by reaping: threads, then names, then memory. None of that needs memory.
 */
#include "kern/task.h"
#include "ipc/port.h"
#include "kern/assert.h"
#include "kern/gsync.h"
#include "kern/new_task.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/thread.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

/* Threads killed in one piece of reaping. */
#define TASK_REAP_THREADS 32

struct zone task_zone;
struct task_list task_list = LIST_HEAD_INITIALIZER(task_list);
static uint32_t next_id = 1;

static struct ledger *task_payer(const void *element)
{
	return ((const struct task *)element)->ledger;
}

void task_init(void)
{
	zone_init_aligned(&task_zone, "task", sizeof(struct task), 8, LEDGER_TASKS, task_payer);
}

struct task *task_by_id(uint32_t id)
{
	struct task *task;

	LIST_FOREACH(task, &task_list, all)
		if (task->id == id)
			return task;
	return NULL;
}

/* Of a dead port there is nothing to inherit. */
static struct port *copy_send_or_null(struct port *port)
{
	struct port *copy = port != NULL ? right_copy_send(port) : NULL;

	return port_valid(copy) ? copy : NULL;
}

static void task_inherit(struct task *task, struct task *parent)
{
	unsigned i;

	task->priority = parent->priority;
	task->new_standing = parent->new_standing;
	task->exception_port = copy_send_or_null(parent->exception_port);
	task->bootstrap_port = copy_send_or_null(parent->bootstrap_port);
	for (i = 0; i < TASK_PORT_REGISTER_MAX; i++)
		task->registered[i] = copy_send_or_null(parent->registered[i]);
	task->map.size_limit = parent->map.size_limit;
	task->map.size_limit_max = parent->map.size_limit_max;
	strlcpy(task->name, parent->name, sizeof(task->name));
}

static bool task_reap(struct reap *reap);

/* All but what it is made of, its map and space, and what is known later. Links are written when they are used. */
static void task_init_fields(struct task *task)
{
	task->messages_sent = task->messages_received = 0;
	task->suspend_count = task->thread_count = 0;
	sched_task_priority(task, SCHED_PRIORITY_USER);
	task->dead = false;
	task->ending = task->dying_current = task->dismantled = false;
	LIST_INIT(&task->threads);
	task->kernel_port = task->exception_port = task->bootstrap_port = NULL;
	for (unsigned i = 0; i < TASK_PORT_REGISTER_MAX; i++)
		task->registered[i] = NULL;
	task->dead_threads_cpu_ticks = 0;
	task->name[0] = 0;
	for (unsigned i = 0; i < DENIALS_OF_TASK; i++)
		task->denials[i].thread = NULL;
}

struct task *task_begin(struct ledger *ledger)
{
	struct task *task = ledger_alive(ledger, LEDGER_TASKS) ? zone_alloc(&task_zone, ledger) : NULL;

	if (task == NULL)
		return NULL;
	task_init_fields(task);
	task->ledger = ledger;
	if (!vm_map_create(&task->map, ledger))
		goto out_task;
	space_init(&task->space, ledger);
	task->self = task->asks_for = port_make_kernel(KOBJECT_TASK, task, ledger);
	if (task->self != NULL)
		return task;
	while (!vm_map_dismantle(&task->map))
		machine_window();
out_task:
	zone_free(&task_zone, task, ledger);
	return NULL;
}

/* Others find it from now on. */
static void task_publish(struct task *task, struct task *parent)
{
	sched_task_enter(task, parent != NULL && parent->ledger == task->ledger ? parent->home : sched_share_of(task->ledger));
	LIST_INSERT_HEAD(&task_list, task, all);
	LIST_INSERT_HEAD(&task->ledger->tasks, task, ledger_link);
}

bool task_commit(struct task *task, struct task *parent)
{
	struct port *once = NULL;

	/* It may have ended since. */
	if (!ledger_alive(task->ledger, LEDGER_TASKS) || (parent != NULL && !new_task_reserve(task->ledger, &once)))
		return false;
	task->id = next_id++;
	task->created_ns = clock_uptime_ns();
	if (parent != NULL)
		task_inherit(task, parent);
	task_publish(task, parent);
	new_task_tell(once, task, parent);
	return true;
}

void task_unmake(struct task *task)
{
	task_publish(task, NULL);
	task_kill(task);
}

struct task *task_make(struct task *parent, struct ledger *ledger, bool inherit_memory, int *error)
{
	struct task *task = task_begin(ledger);

	*error = KERN_RESOURCE_SHORTAGE;
	if (task == NULL)
		return NULL;
	if (parent != NULL && inherit_memory) {
		*error = vm_map_fork(&parent->map, &task->map);
		if (*error != KERN_SUCCESS)
			goto out_task;
	}
	*error = KERN_RESOURCE_SHORTAGE;
	if (!task_commit(task, parent))
		goto out_task;
	*error = KERN_SUCCESS;
	return task;
out_task:
	task_unmake(task);
	return NULL;
}

static void release_send_or_null(struct port **port)
{
	if (*port != NULL)
		right_release_send(*port);
	*port = NULL;
}

void task_kill(struct task *task)
{
	struct thread *current = thread_current();
	unsigned i;

	if (task->dead)
		return;
	task->dead = true;
	task->suspend_count = UINT32_MAX;
	task->map.pmap.changes++;	/* as in task_suspend */
	port_destroy_kernel(task->self);
	task->self = task->asks_for = NULL;
	release_send_or_null(&task->kernel_port);
	release_send_or_null(&task->exception_port);
	release_send_or_null(&task->bootstrap_port);
	for (i = 0; i < TASK_PORT_REGISTER_MAX; i++)
		release_send_or_null(&task->registered[i]);
	LIST_REMOVE(task, all);
	LIST_REMOVE(task, ledger_link);
	if (current != NULL && current->task == task) {
		thread_kill(current);
		machine_switch(current, current, &kernel_pmap);
	}
	reap_defer(&task->reap, task_reap);
}

/* Of a task that is taken apart only memory is left. Its last thread and the list of task_end may still lead to it. */
static void task_free_unless_needed(struct task *task)
{
	if (!task->dismantled || task->ending || task->dying_current)
		return;
	gsync_map_ends(&task->map);
	sched_task_leave(task);
	zone_free(&task_zone, task, task->ledger);
}

void task_buried(struct task *task)
{
	task->dying_current = false;
	task_free_unless_needed(task);
}

static bool task_end(struct reap *reap)
{
	struct task *task = (struct task *)((char *)reap - offsetof(struct task, end));

	task->ending = false;
	if (!task->dismantled)
		task_kill(task);
	else
		task_free_unless_needed(task);
	return true;
}

void task_kill_later(struct task *task)
{
	if (task->dead || task->ending)
		return;
	task->ending = true;
	reap_defer_live(&task->end, task_end);
}

/* One piece of taking a dead task apart. */
static bool task_reap(struct reap *reap)
{
	struct task *task = (struct task *)((char *)reap - offsetof(struct task, reap));
	struct thread *thread;
	unsigned n;

	for (n = 0; n < TASK_REAP_THREADS; n++) {
		thread = LIST_FIRST(&task->threads);
		if (thread == NULL)
			break;
		thread_kill(thread);
	}
	if (n > 0 || !space_dismantle(&task->space) || !vm_map_dismantle(&task->map))
		return false;
	task->dismantled = true;
	task_free_unless_needed(task);
	return true;
}
