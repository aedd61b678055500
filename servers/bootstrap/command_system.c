/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands about the machine: what it holds, how it ends. */
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <stdio.h>
#include <string.h>
#include <weir_user.h>
#include "bootstrap.h"
#include "command.h"
#include "command_server.h"
#include "ledgers.h"
#include "shell.h"
#include "top.h"

/* What is guaranteed is taken from the ledgers above, also as long as it is not used. */
static bool leave_out_unused(mach_port_t ledger, const struct ledger_facts *facts, unsigned depth,
			     void *argument)
{
	struct ledger_usage usage;
	uint64_t *tasks = argument;

	(void)facts, (void)depth;
	if (ledger_get_usage(ledger, LEDGER_TASKS, &usage) == KERN_SUCCESS && usage.guarantee > usage.used)
		*tasks -= usage.guarantee - usage.used;
	return true;
}

/* How many there are; 0: not to be had. */
static uint64_t count_tasks(void)
{
	struct ledger_usage all;
	uint64_t tasks;

	if (ledger_get_usage(ledger_of_root, LEDGER_TASKS, &all) != KERN_SUCCESS)
		return 0;
	tasks = all.used;
	return ledgers_walk(leave_out_unused, &tasks) == KERN_SUCCESS ? tasks : 0;
}

static void run_ps(int argc, char **argv)
{
	weir_task_info_array_t tasks;
	mach_msg_type_number_t count;
	uint64_t all;
	kern_return_t code = weir_task_list(host_priv, &tasks, &count);

	(void)argc;
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	printf("%5s %-14s %-14s %5s %7s %7s %7s %6s %6s\n", "ID", "NAME", "LEDGER", "PORTS",
	       "THREADS", "ENTRIES", "MEMORY", "KERNEL", "CPU ms");
	for (unsigned i = 0; i < count; i++) {
		const struct weir_task_info *task = &tasks[i];
		char ledger[LEDGER_NAME_MAX];

		ledgers_name(task->ledger_id, ledger);
		printf("%5" PRIu64 " %-14.32s %-14s %5" PRIu64 " %7" PRIu64 " %7" PRIu64 " %6" PRIu64
		       "K %5" PRIu64 "K %6" PRIu64 "%s\n",
		       task->id, task->name, ledger, task->names, task->threads, task->entries,
		       task->resident_pages * (PAGE_SIZE / 1024), task->kmem_bytes / 1024,
		       task->cpu_ns / 1000000, task->suspend_count > 0 ? " stopped" : "");
	}
	give_back_memory((vm_address_t)tasks, count * sizeof *tasks);
	all = count_tasks();
	if (count < all)
		printf("%u of %" PRIu64 " tasks, the newest: there is no memory for a longer list\n",
		       count, all);
}

static void run_top(int argc, char **argv)
{
	uint64_t times = UINT64_MAX;

	if (argc > 1 && !command_number(argv[1], &times))
		return;
	top_begin();
	shell_show_screen(top_draw, times);
}

static void run_mem(int argc, char **argv)
{
	weir_memory_info_t memory;
	kern_return_t code = weir_memory_info(host_priv, &memory);

	(void)argc;
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	printf("ram      %8" PRIu64 "K\n", memory.ram_pages * 4);
	printf("free     %8" PRIu64 "K\n", memory.free_pages * 4);
	printf("user     %8" PRIu64 "K\n", memory.user_pages * 4);
	printf("kernel   %8" PRIu64 "K\n", memory.kernel_pages * 4);
	printf("zone map %8" PRIu64 "K of %" PRIu64 "K\n", memory.zone_map_pages * 4,
	       memory.zone_map_limit_pages * 4);
}

static void run_audit(int argc, char **argv)
{
	char text[WEIR_TEXT_MAX];
	int result;
	kern_return_t code = weir_debug_audit(host_priv, &result, text);

	(void)argc;
	if (code != KERN_SUCCESS)
		command_failed(argv[0], code);
	else if (result == 0)
		printf("audit: the books agree\n");
	else
		printf("audit: %d differences: %s\n", result, text);
}

/* What the kernel was started with, byte for byte: the commands behind run= too. */
static void run_cmdline(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("%s\n", command_line);
}

static void run_debug(int argc, char **argv)
{
	static const struct {
		const char *name;
		int what;
	} kinds[] = {
		{ "panic", WEIR_DEBUG_PANIC },
		{ "triplefault", WEIR_DEBUG_TRIPLE_FAULT },
		{ "hang", WEIR_DEBUG_HANG },
		{ "fault", WEIR_DEBUG_KERNEL_FAULT },
		{ "stretch", WEIR_DEBUG_STRETCH },
	};
	uint64_t argument = 0;
	kern_return_t code;

	if (argc > 2 && !command_number(argv[2], &argument))
		return;
	for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		if (strcmp(argv[1], kinds[i].name) != 0)
			continue;
		code = weir_debug(host_priv, kinds[i].what, argument);
		if (code != KERN_SUCCESS)
			command_failed("debug", code);
		return;
	}
	printf("%s: not panic, triplefault, hang, fault or stretch\n", argv[1]);
}

static void run_halt(int argc, char **argv)
{
	uint64_t status = 0;

	if (argc > 1 && !command_number(argv[1], &status))
		return;
	if (status > 255)
		printf("%s: a status is 0 to 255\n", argv[1]);
	else
		command_failed("halt", weir_halt(host_priv, (int)status));
}

static void run_reboot(int argc, char **argv)
{
	(void)argc;
	command_failed(argv[0], host_reboot(host_priv, 0));
}

const struct command system_commands[] = {
	{ "ps", "", "tasks: ledger, ports, threads, entries, memory", 0, 0, run_ps,
	  "  the newest first; PORTS: names of ports, ENTRIES: regions of memory, KERNEL:\n"
	  "  the kernel's memory for it\n" },
	{ "top", "[N]", "zones, ledgers, tasks, denials, live; q leaves", 0, 1, run_top,
	  "  each second, N times or until q: the largest zones, of each the ledger that\n"
	  "  holds most; ledgers and tasks with most kernel memory; the newest denials\n" },
	{ "servers", "", "task, threads, ledger of each; words of null", 0, 0, command_servers, NULL },
	{ "server", "NAME [WORD...]", "starts that server anew, with these words", 1, -1, command_server,
	  "  in the ledger services; `in LEDGER server NAME ...`: in that ledger. The old\n"
	  "  one ends when the new one serves: if that does not start nothing has changed.\n"
	  "  When it ends it is started with the same words. `server null`: as at boot\n"
	  "  null's words: --throttle=none, in a flood a thread for each request; =cap, the\n"
	  "  same, at most --threads=N (8); =pool, what the work needs, at most 8; without\n"
	  "  any it has one thread. `msgflood -s null -t 50 -n 100` is such a flood\n" },
	{ "devices", "", "names of devices, and who serves them", 0, 0, command_devices,
	  "  `mdconfig` makes and removes memory disks, `dd if=/dev/zero of=/dev/md0`\n"
	  "  copies, `cmp` compares two, `hexdump` shows one: programs; -h: their options\n" },
	{ "mem", "", "memory as a whole", 0, 0, run_mem, NULL },
	{ "audit", "", "recounts what every ledger pays for", 0, 0, run_audit, NULL },
	{ "cmdline", "", "the kernel's command line as it came", 0, 0, run_cmdline, NULL },
	{ "halt", "[STATUS]", "ends the run, with this status (0)", 0, 1, run_halt, NULL },
	{ "reboot", "", "starts the machine anew", 0, 0, run_reboot, NULL },
	{ "debug", "WHAT [N]", "breaks the machine, or measures it", 1, 2, run_debug,
	  "  WHAT is panic, triplefault, hang, fault (N: the address) or stretch (the\n"
	  "  longest time without interrupts since the last one; it slows calls down)\n" },
	{ 0 },
};
