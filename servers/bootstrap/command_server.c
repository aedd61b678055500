/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands about servers: which instance answers and how it was started; starting it otherwise. */
#include "command_server.h"
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <stdio.h>
#include <string.h>
#include <weir_user.h>
#include "bootstrap.h"
#include "command.h"
#include "ledgers.h"
#include "names.h"
#include "server.h"
#include "shell.h"

/* What the kernel tells of a task that we hold a right to; NULL: it is gone, or not in the list. */
static const struct weir_task_info *find_task(task_t task, const weir_task_info_t *tasks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		task_t same = MACH_PORT_NULL;
		kern_return_t code = weir_task_by_id(host_priv, tasks[i].id, &same);

		give_back_right(same);
		if (code == KERN_SUCCESS && same == task)
			return &tasks[i];
	}
	return NULL;
}

static void print_server(const struct server_facts *facts, const weir_task_info_t *tasks, unsigned count)
{
	const struct weir_task_info *task =
		facts->job != NULL ? find_task(facts->job->task, tasks, count) : NULL;
	struct ledger_facts ledger;

	printf("%s: ", null_name);
	if (task != NULL)
		printf("task %" PRIu64 ", %" PRIu64 " threads", task->id, task->threads);
	else
		printf("not running");
	if (ledger_info(facts->ledger, &ledger.id, &ledger.parent_id, ledger.name, &ledger.children,
			&ledger.tasks, &ledger.weight) != KERN_SUCCESS)
		strlcpy(ledger.name, "?", sizeof ledger.name);
	printf(", in %s:", ledger.name);
	for (char *const *word = facts->argv; *word != NULL; word++)
		printf(" %s", *word);
	printf(", started %u times\n", facts->starts);
}

/* The names that it is found by, whether its program's is one of them; false: none. */
static bool print_names(const struct job *job, const char *before)
{
	bool any = job->server != MACH_PORT_NULL;

	if (any)
		printf("%s %s", before, job->name);
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		uint32_t id;
		const char *name = names_at(i, &id);

		if (name == NULL || id != job->id)
			continue;
		printf("%s %s", any ? "" : before, name);
		any = true;
	}
	return any;
}

/* A server that was started as a program: whoever wants it anew starts it. */
static void print_other(const struct job *job, const weir_task_info_t *tasks, unsigned count)
{
	const struct weir_task_info *task = find_task(job->task, tasks, count);
	char ledger[LEDGER_NAME_MAX];

	if (task == NULL)
		return;
	ledgers_name(task->ledger_id, ledger);
	printf("%s: task %" PRIu64 ", %" PRIu64 " threads, in %s", job->name, task->id, task->threads, ledger);
	if (!print_names(job, ", found as"))
		printf(", not found by any name");
	printf("\n");
}

void command_servers(int argc, char **argv)
{
	struct server_facts facts;
	weir_task_info_array_t tasks;
	mach_msg_type_number_t count;
	kern_return_t code = weir_task_list(host_priv, &tasks, &count);

	(void)argc;
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	server_tell(&facts);
	print_server(&facts, tasks, count);
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		const struct job *job = job_at(i);

		if (job != NULL && job->is_server && job != facts.job)
			print_other(job, tasks, count);
	}
	if (count > 0)
		give_back_memory((vm_address_t)tasks, count * sizeof *tasks);
}

void command_server_in(mach_port_t ledger, int argc, char **argv)
{
	if (argc < 2)
		printf("usage: in LEDGER server NAME [WORD...]\n");
	else if (strcmp(argv[1], null_name) != 0)
		printf("%s: no such server; there is %s\n", argv[1], null_name);
	else if (server_changes())
		printf("server: %s is still being started\n", argv[1]);
	else if (server_change(argc - 1, argv + 1, ledger))
		shell_wait_for_server();
}

void command_server(int argc, char **argv)
{
	command_server_in(ledger_of_services, argc, argv);
}
