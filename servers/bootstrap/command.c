/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding a command, the help, and the commands that have to do with programs. */
#include "command.h"
#include <mach.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir_user.h>
#include "archive.h"
#include "bootstrap.h"
#include "job.h"
#include <ledger_user.h>
#include "ledgers.h"
#include "shell.h"

static const struct command *const tables[] = {
	program_commands, system_commands, zone_commands, ledger_commands, server_commands,
};
#define TABLES	(sizeof tables / sizeof tables[0])

static const struct command *find(const char *name)
{
	for (unsigned i = 0; i < TABLES; i++) {
		for (const struct command *c = tables[i]; c->name != NULL; c++) {
			if (strcmp(c->name, name) == 0)
				return c;
		}
	}
	return NULL;
}

bool command_number(const char *word, uint64_t *value)
{
	if (parse_size(word, value))
		return true;
	printf("%s: not a number\n", word);
	return false;
}

void command_failed(const char *what, int code)
{
	printf("%s: %s\n", what, mach_error_string(code));
}

/* Starts a program; the shell waits for it unless the last word ended with `&`. */
static void start(int argc, char **argv, const struct job_place *place)
{
	size_t length = strlen(argv[argc - 1]);
	bool background = argv[argc - 1][length - 1] == '&';
	struct job *job;

	if (background) {
		argv[argc - 1][length - 1] = '\0';
		if (length == 1)
			argv[--argc] = NULL;
	}
	if (argc == 0) {
		printf("&: nothing to start\n");
		return;
	}
	job = job_start(argc, argv, place, background);
	if (job == NULL)
		return;
	if (background)
		printf("[%u] %s\n", job->id, job->name);
	else
		shell_wait_for_job(job);
}

void command_run(int argc, char **argv)
{
	const struct command *command = find(argv[0]);
	struct job_place place = { .ledger = ledger_of_user, .own_session = true };

	if (command == NULL) {
		start(argc, argv, &place);
		return;
	}
	if (argc - 1 < command->least || (command->most >= 0 && argc - 1 > command->most)) {
		printf("usage: %s %s\n", command->name, command->arguments);
		return;
	}
	command->run(argc, argv);
}

static void run_in(int argc, char **argv)
{
	struct job_place place = { 0 };

	if (!ledgers_find(argv[1], &place.ledger))
		return;
	place.privileged = place.ledger == ledger_of_root;
	place.is_server = place.ledger == ledger_of_services;
	place.own_session = !place.privileged && !place.is_server;
	start(argc - 2, argv + 2, &place);
	give_back_right(place.ledger);
}

static void run_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		/* Not by printf, which has a buffer's length at most for one call. */
		fputs(argv[i], stdout);
		fputs(i + 1 < argc ? " " : "", stdout);
	}
	printf("\n");
}

/* What the kernel was started with, byte for byte: the commands behind run= too. */
static void run_cmdline(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("%s\n", command_line);
}

static void run_sleep(int argc, char **argv)
{
	uint64_t milliseconds;

	(void)argc;
	if (!command_number(argv[1], &milliseconds))
		return;
	if (milliseconds > 1000 * 3600 * 24)
		printf("%s: longer than a day\n", argv[1]);
	else
		shell_wait_for_time((unsigned)milliseconds);
}

static void run_wait(int argc, char **argv)
{
	(void)argc, (void)argv;
	shell_wait_for_background();
}

static void kill_task(uint64_t id)
{
	task_t task;
	struct job *job;
	kern_return_t code = weir_task_by_id(host_priv, id, &task);

	if (code != KERN_SUCCESS) {
		printf("kill: no task %lu; `ps` lists them\n", id);
		return;
	}
	job = job_of_task(task);
	if (task == mach_task_self())
		printf("kill: that is the console itself\n");
	else if (job != NULL)
		job_kill(job);
	else
		code = give_back_task(task);
	if (code != KERN_SUCCESS)
		command_failed("kill", code);
	give_back_right(task);
}

static void kill_ledger(const char *name)
{
	mach_port_t ledger, own = MACH_PORT_NULL;
	kern_return_t code = KERN_SUCCESS;

	if (!ledgers_find(name, &ledger))
		return;
	task_get_ledger_control(host_priv, mach_task_self(), &own);
	if (ledger == ledger_of_root || ledger == own || ledger == ledger_of_user ||
	    ledger == ledger_of_services)
		printf("kill: %s: the machine could not go on without it\n", name);
	else
		code = ledger_terminate(ledger);
	if (code != KERN_SUCCESS)
		command_failed("kill", code);
	give_back_right(own);
	give_back_right(ledger);
}

static void run_kill(int argc, char **argv)
{
	uint64_t id;

	(void)argc;
	if (parse_number(argv[1], &id))
		kill_task(id);
	else
		kill_ledger(argv[1]);
}

static void help_all(void)
{
	struct archive_file file;
	size_t at = 0;

	for (unsigned i = 0; i < TABLES; i++) {
		for (const struct command *c = tables[i]; c->name != NULL; c++) {
			char usage[48];

			snprintf(usage, sizeof usage, "%s %s", c->name, c->arguments);
			printf("  %-34s %s\n", usage, c->help);
		}
	}
	printf("Programs (NAME ARGUMENTS [&]; `;` between commands, '...' and \"...\" group words):\n ");
	while (archive_next(&at, &file))
		printf(" %s", file.name);
	printf("\n");
}

static void run_help(int argc, char **argv)
{
	const struct command *command;

	if (argc == 1) {
		help_all();
		return;
	}
	command = find(argv[1]);
	if (command == NULL)
		printf("%s: no such command; programs tell their options when given a wrong one\n",
		       argv[1]);
	else
		printf("usage: %s %s\n  %s\n", command->name, command->arguments, command->help);
}

const struct command program_commands[] = {
	{ "help", "[COMMAND]", "what there is", 0, 1, run_help },
	{ "echo", "[WORD...]", "prints the words", 0, -1, run_echo },
	{ "cmdline", "", "the kernel's command line as it came", 0, 0, run_cmdline },
	{ "sleep", "MILLISECONDS", "waits; Ctrl-C ends any wait", 1, 1, run_sleep },
	{ "wait", "", "waits until no background program is left", 0, 0, run_wait },
	{ "in", "LEDGER NAME [WORD...]", "runs a program in that ledger (`root`: with all rights)", 2,
	  -1, run_in },
	{ "kill", "TASKID|LEDGER", "ends a task, or all tasks of a ledger", 1, 1, run_kill },
	{ 0 },
};
