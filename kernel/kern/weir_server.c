/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls on the privileged host port about the kernel itself (weir/weir.defs). */
#include <mach/kern_return.h>
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/assert.h"
#include "kern/printf.h"
#include "kern/stretch.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/syscall.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mem/audit.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "vm/copy.h"
#include "weir_server.h"
#include "x86_64/machine.h"

#define WINDOW 64		/* tasks looked at before interrupts get a window */
#define HALT_STATUS_MASK 0xff
#define ZONE_ROUNDS_MAX 1000	/* with interrupts off */

/* -- memory -- */

kern_return_t weir_memory_info(struct host *host_priv, weir_memory_info_t *info)
{
	struct page_counts pages;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	ledger_settle();
	page_count(&pages);
	*info = (weir_memory_info_t){
		.ram_pages = pages.total, .free_pages = pages.free, .zone_map_pages = zone_map_used_pages(),
		.zone_map_limit_pages = zone_map_limit_pages(), .user_pages = pages.user,
		.kernel_pages = pages.kernel + pages.slab, .boot_ticks = clock_boot_ticks(),
	};
	return KERN_SUCCESS;
}

/* -- debugging -- */

kern_return_t weir_debug_fail_nth(struct host *host_priv, struct thread *thread, int nth, int *fired, char *site)
{
	struct thread_extra *extra;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	if (thread == NULL || nth < 0)
		return KERN_INVALID_ARGUMENT;
	if (!thread_extra_make(thread))
		return KERN_RESOURCE_SHORTAGE;
	extra = thread->extra;
	*fired = extra->fail_site != NULL;
	site[0] = 0;
	if (extra->fail_site != NULL)
		snprintf(site, WEIR_SITE_MAX, "%s:%u", extra->fail_site->file, extra->fail_site->line);
	extra->fail_site = NULL;
	extra->fail_nth = (uint32_t)nth;
	mem_fail_enabled = true;
	syscalls_watch();
	return KERN_SUCCESS;
}

kern_return_t weir_debug_audit(struct host *host_priv, int *result, char *text)
{
	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	*result = ledger_audit(text, WEIR_TEXT_MAX) ? 0 : 1;
	return KERN_SUCCESS;
}

/* For the benchmark: what one element costs, without a call of the kernel around it. */
static kern_return_t zone_rounds(uint64_t rounds)
{
	struct zone *zone = zone_find("name");
	struct ledger *ledger = thread_current()->task->ledger;

	if (rounds > ZONE_ROUNDS_MAX)
		return KERN_INVALID_ARGUMENT;
	while (rounds-- > 0) {
		void *element = zone_alloc(zone, ledger);

		if (element == NULL)
			return KERN_RESOURCE_SHORTAGE;
		zone_free(zone, element, ledger);
	}
	return KERN_SUCCESS;
}

/* Interrupts are off in the kernel, so nothing ends this but the machine's watchdog. */
static _Noreturn void hang(void)
{
	for (;;)
		continue;
}

kern_return_t weir_debug(struct host *host_priv, int what, uint64_t arg)
{
	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	switch (what) {
	case WEIR_DEBUG_PANIC:
		panic("weir_debug was asked for a panic");
	case WEIR_DEBUG_TRIPLE_FAULT:
		machine_triple_fault();
	case WEIR_DEBUG_HANG:
		hang();
	case WEIR_DEBUG_KERNEL_FAULT:
		(void)*(volatile const uint8_t *)arg;
		return KERN_SUCCESS;
	case WEIR_DEBUG_ZONE:
		return zone_rounds(arg);
	case WEIR_DEBUG_STRETCH:
		return stretch_tell() ? KERN_SUCCESS : KERN_FAILURE;
	default:
		return KERN_INVALID_ARGUMENT;
	}
}

kern_return_t weir_halt(struct host *host_priv, int status)
{
	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	machine_halt((unsigned)status & HALT_STATUS_MASK);
}

/* -- tasks -- */

/* Kernel memory of the things that the task is made of; what it has in objects and messages is its ledger's. */
static uint64_t task_kmem_bytes(const struct task *task)
{
	return ledger_thing_bytes[LEDGER_TASKS] + task->thread_count * (uint64_t)ledger_thing_bytes[LEDGER_THREADS] +
	       task->space.charged * (uint64_t)ledger_thing_bytes[LEDGER_NAMES] +
	       task->space.names.nodes * (uint64_t)ledger_thing_bytes[LEDGER_NODES] +
	       task->map.entry_count * (uint64_t)ledger_thing_bytes[LEDGER_ENTRIES] +
	       (task->map.pmap.tables + 1) * (uint64_t)PAGE_SIZE;
}

static void task_info_fill(const struct task *task, struct weir_task_info *info)
{
	*info = (struct weir_task_info){
		.id = task->id, .threads = task->thread_count, .names = space_names(&task->space),
		.entries = task->map.entry_count, .virtual_pages = task->map.size_bytes / PAGE_SIZE,
		.resident_pages = task->map.pmap.mapped, .kmem_bytes = task_kmem_bytes(task),
		.ledger_id = task->ledger->id, .suspend_count = task->suspend_count,
		.cpu_ns = clock_ticks_ns(task->dead_threads_cpu_ticks) + task_live_cpu_ns(task),
	};
	strlcpy(info->name, task->name, sizeof(info->name));
}

static uint32_t tasks_count(void)
{
	const struct task *task;
	uint32_t n = 0;

	LIST_FOREACH(task, &task_list, all) {
		if (++n % WINDOW == 0)
			machine_window();
	}
	return n;
}

/* Room for the descriptions of *count tasks; when so much is denied, for fewer, down to a page full. */
static kern_return_t task_list_alloc(uint32_t *count, struct vm_copy **list)
{
	const uint32_t least = PAGE_SIZE / sizeof(struct weir_task_info);
	kern_return_t result;

	for (;; *count /= 2) {
		result = vm_copy_alloc(*count * sizeof(struct weir_task_info), thread_current()->task->ledger, list);
		if (result != KERN_RESOURCE_SHORTAGE || *count <= least)
			return result;
	}
}

kern_return_t weir_task_list(struct host *host_priv, struct vm_copy **tasks, mach_msg_type_number_t *count)
{
	struct weir_task_info info;
	const struct task *task;
	uint32_t n = 0, room = tasks_count();
	kern_return_t result;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	result = task_list_alloc(&room, tasks);
	if (result != KERN_SUCCESS)
		return result;
	ledger_settle();
	/* Reaping for memory has freed dead tasks at most: they are on this list no more. */
	LIST_FOREACH(task, &task_list, all) {
		if (n == room)
			break;
		task_info_fill(task, &info);
		vm_copy_write(*tasks, n++ * sizeof(info), &info, sizeof(info));
		if (n % WINDOW == 0)
			machine_window();
	}
	assert(n == room);
	*count = n;
	return KERN_SUCCESS;
}

kern_return_t weir_task_by_id(struct host *host_priv, uint64_t id, struct port **task)
{
	struct task *found;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	found = id <= UINT32_MAX ? task_by_id((uint32_t)id) : NULL;
	if (found == NULL)
		return KERN_INVALID_ARGUMENT;
	*task = right_make_send(found->self);
	return KERN_SUCCESS;
}
