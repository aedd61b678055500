/* SPDX-License-Identifier: BSD-2-Clause */
/* Finding a command, the help, and the commands that have to do with programs. */
#include "command.h"
#include <mach.h>
#include <mach/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir_user.h>
#include "archive.h"
#include "bootstrap.h"
#include "command_server.h"
#include "job.h"
#include <ledger_user.h>
#include "ledgers.h"
#include "shell.h"

static const struct {
	const char *title;
	const struct command *commands;
} tables[] = {
	{ "Programs: NAME [WORD...] runs one; with & at its end, in the background", program_commands },
	{ "Ledgers: who pays for what the kernel holds", ledger_commands },
	{ "Kernel objects", zone_commands },
	{ "The machine", system_commands },
};
#define TABLES	(sizeof tables / sizeof tables[0])

static const struct command *find(const char *name)
{
	for (unsigned i = 0; i < TABLES; i++) {
		for (const struct command *c = tables[i].commands; c->name != NULL; c++) {
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
	printf("%s: not a number\n", *word != '\0' ? word : "nothing");
	return false;
}

void command_failed(const char *what, int code)
{
	struct ledger_denial denial;
	char text[LEDGER_DENIAL_MAX];

	printf("%s: %s\n", what, mach_error_string(code));
	if (code == KERN_RESOURCE_SHORTAGE && program_last_denial(&denial))
		printf("%s\n", ledger_denial_string(&denial, text));
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

static void print_usage(const struct command *c)
{
	printf("usage: %s%s%s\n", c->name, *c->arguments != '\0' ? " " : "", c->arguments);
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
		print_usage(command);
		return;
	}
	command->run(argc, argv);
}

static void run_in(int argc, char **argv)
{
	const struct command *command = find(argv[2]);
	struct job_place place = { 0 };

	if (command != NULL && command->run != command_server) {
		printf("%s: a command of the console, no program\n", argv[2]);
		return;
	}
	if (!ledgers_find(argv[1], &place.ledger))
		return;
	place.privileged = place.ledger == ledger_of_root;
	place.is_server = place.ledger == ledger_of_services;
	place.own_session = !place.privileged && !place.is_server;
	if (command != NULL)
		command_server_in(place.ledger, argc - 2, argv + 2);
	else
		start(argc - 2, argv + 2, &place);
	give_back_right(place.ledger);
}

static void run_echo(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		printf("%s%s", argv[i], i + 1 < argc ? " " : "");
	printf("\n");
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

static void kill_program(const char *number)
{
	uint64_t id;

	for (unsigned i = 0; i < JOBS_MAX && parse_number(number, &id); i++) {
		struct job *job = job_at(i);

		if (job != NULL && job->id == id) {
			job_kill(job);
			return;
		}
	}
	printf("kill: %%%s: no program of that number runs\n", number);
}

static void run_kill(int argc, char **argv)
{
	uint64_t id;

	(void)argc;
	if (argv[1][0] == '%')
		kill_program(argv[1] + 1);
	else if (parse_number(argv[1], &id))
		kill_task(id);
	else
		kill_ledger(argv[1]);
}

#define HELP_COLUMN	30	/* where the text behind the usage begins; lines have 80 columns at most */
#define PROGRAMS_COLUMN	76

static void help_command(const struct command *c)
{
	int width = printf("  %s %s", c->name, c->arguments);

	printf("%*s %s\n", width < HELP_COLUMN ? HELP_COLUMN - 1 - width : 0, "", c->help);
}

static bool is_test(const char *name)
{
	const char *tail = strrchr(name, '_');

	return tail != NULL && strcmp(tail, "_test") == 0;
}

static void list_programs(const char *title, bool tests)
{
	struct archive_file file;
	size_t at = 0;
	int width = printf("%s", title);

	while (archive_next(&at, &file)) {
		if (is_test(file.name) != tests)
			continue;
		if (width + (int)strlen(file.name) > PROGRAMS_COLUMN)
			width = printf("\n ") - 1;
		width += printf(" %s", file.name);
	}
	printf("\n");
}

static void help_all(void)
{
	for (unsigned i = 0; i < TABLES; i++) {
		printf("%s\n", tables[i].title);
		for (const struct command *c = tables[i].commands; c->name != NULL; c++)
			help_command(c);
	}
	list_programs("Programs there are:", false);
	list_programs("Tests:", true);
	printf("`;` parts commands, '...' and \"...\" keep words together; sizes take K, M, G\n");
}

static void print_help(const struct command *c)
{
	print_usage(c);
	printf("  %s\n%s", c->help, c->more != NULL ? c->more : "");
}

static void run_help(int argc, char **argv)
{
	const struct command *command;
	struct archive_file file;

	if (argc == 1) {
		help_all();
		return;
	}
	command = find(argv[1]);
	if (command != NULL)
		print_help(command);
	else if (archive_find(argv[1], &file))
		printf("%s: a program; with a wrong option, as -h, it tells its own\n", argv[1]);
	else
		printf("%s: no such command or program; try `help`\n", argv[1]);
}

const struct command program_commands[] = {
	{ "in", "LEDGER NAME [WORD...]", "runs a program in that ledger", 2, -1, run_in,
	  "  in a ledger of its own below it, where it ends with all that it has started;\n"
	  "  `in root`: in the root itself, with no limits but the machine's and all rights\n"
	  "  `in LEDGER server ...`: that server in the ledger itself, see `help server`\n" },
	{ "kill", "TASKID|LEDGER|%N", "ends a task, all tasks of a ledger, program [N]", 1, 1,
	  run_kill,
	  "  a ledger ends with all below it; `ps` tells the tasks, `ledgers` the ledgers\n" },
	{ "wait", "", "waits until no background program is left", 0, 0, run_wait, NULL },
	{ "sleep", "MS", "waits so many milliseconds", 1, 1, run_sleep,
	  "  Ctrl-C ends it, as any wait\n" },
	{ "echo", "[WORD...]", "prints the words", 0, -1, run_echo, NULL },
	{ "help", "[COMMAND]", "what there is", 0, 1, run_help, NULL },
	{ 0 },
};
