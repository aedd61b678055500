/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Jobs. Each has a port of its own as its bootstrap port, by which we know who
 * asks, and by default a ledger of its own: with it end all tasks that the
 * program has made. Its death is the dead-name notification of its task.
 */
#include "job.h"
#include <console_server.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/loader.h>
#include <mach/notify.h>
#include <mach/program.h>
#include <mach/task_special_ports.h>
#include <mach/threads.h>
#include <stdio.h>
#include <string.h>
#include <weir_user.h>
#include "archive.h"
#include "bootstrap.h"
#include "command.h"
#include "demand.h"
#include "ledgers.h"
#include "names.h"
#include "server.h"
#include "shell.h"

#define STARTING_US	2000000		/* who has told no name after so long is no server */

static struct job jobs[JOBS_MAX];
static uint32_t next_id = 1;

#define STAGING_SIZE	(64 * 1024)
static char staging[STAGING_SIZE] __attribute__((aligned(4096)));

struct job *job_at(unsigned index)
{
	return index < JOBS_MAX && jobs[index].used ? &jobs[index] : NULL;
}

static struct job *free_slot(void)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		if (!jobs[i].used)
			return &jobs[i];
	}
	return NULL;
}

struct job *job_of_port(mach_port_t port)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		if (jobs[i].used && jobs[i].port == port)
			return &jobs[i];
	}
	return NULL;
}

struct job *job_of_task(task_t task)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		if (jobs[i].used && jobs[i].task == task)
			return &jobs[i];
	}
	return NULL;
}

struct job *job_server(const char *name)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		if (jobs[i].used && !jobs[i].killed && jobs[i].server != MACH_PORT_NULL &&
		    strcmp(jobs[i].name, name) == 0)
			return &jobs[i];
	}
	return NULL;
}

struct job *job_of_id(uint32_t id)
{
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		if (jobs[i].used && jobs[i].id == id)
			return &jobs[i];
	}
	return NULL;
}

unsigned job_count_background(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < JOBS_MAX; i++)
		count += jobs[i].used && jobs[i].background && !jobs[i].is_server;
	return count;
}

/* Gives back all that belongs to the job, whatever of it there is. */
static void discard(struct job *job)
{
	if (job->session != MACH_PORT_NULL) {
		ledger_terminate(job->session);
		give_back_right(job->session);
	}
	if (job->task != MACH_PORT_NULL) {
		give_back_task(job->task);
		give_back_right(job->task);
	}
	give_back_right(job->server);
	names_drop(job->id);
	event_port_destroy(job->port);
	memset(job, 0, sizeof *job);
}

/* The ledger that pays: the place's own, or a new one below it. */
static kern_return_t make_session(struct job *job, const struct job_place *place, mach_port_t *payer)
{
	char name[LEDGER_NAME_MAX];

	*payer = place->ledger;
	if (!place->own_session)
		return KERN_SUCCESS;
	snprintf(name, sizeof name, "%.20s.%u", job->name, job->id);
	if (ledger_create(place->ledger, name, &job->session) != KERN_SUCCESS) {
		job->session = MACH_PORT_NULL;
		return KERN_RESOURCE_SHORTAGE;
	}
	*payer = job->session;
	return KERN_SUCCESS;
}

/* The empty task with its bootstrap port. */
static kern_return_t make_task(struct job *job, const struct job_place *place)
{
	mach_port_t payer;
	kern_return_t code = make_session(job, place, &payer);

	if (code == KERN_SUCCESS)
		code = task_create_in_ledger(mach_task_self(), payer, FALSE, &job->task);
	if (code != KERN_SUCCESS) {
		job->task = MACH_PORT_NULL;
		return code;
	}
	task_set_name(job->task, job->name);
	job->port = event_port();
	if (job->port == MACH_PORT_NULL)
		return KERN_RESOURCE_SHORTAGE;
	code = mach_port_insert_right(mach_task_self(), job->port, job->port,
				      MACH_MSG_TYPE_MAKE_SEND);
	if (code == KERN_SUCCESS)
		code = task_set_special_port(job->task, TASK_BOOTSTRAP_PORT, job->port);
	/* Our own send right has done its work; the task's keeps the port useful. */
	if (code == KERN_SUCCESS)
		code = give_back_right(job->port);
	return code;
}

static kern_return_t fill_and_run(struct job *job, const struct loader_plan *plan,
				  const void *image, int argc, char *const argv[])
{
	thread_t thread;
	kern_return_t code = loader_load(plan, image, job->task, argc, argv, staging,
					 sizeof staging, &thread);

	if (code != KERN_SUCCESS)
		return code;
	code = mach_request_notification(job->task, MACH_NOTIFY_DEAD_NAME, 0, notify_port);
	if (code == KERN_SUCCESS)
		code = thread_resume(thread);
	give_back_right(thread);
	return code;
}

static void say_why(const char *name, kern_return_t code)
{
	char what[JOB_NAME_MAX + 16];

	snprintf(what, sizeof what, "%s: cannot start", name);
	command_failed(what, code);
}

struct job *job_start(int argc, char *const argv[], const struct job_place *place, bool background)
{
	struct archive_file file;
	static struct loader_plan plan;
	struct job *job = free_slot();
	const char *wrong;
	kern_return_t code;

	if (!archive_find(argv[0], &file)) {
		printf("%s: no such command or program; try `help`\n", argv[0]);
		return NULL;
	}
	if (job == NULL) {
		printf("%s: cannot start: %u programs run already\n", argv[0], JOBS_MAX);
		return NULL;
	}
	wrong = loader_read(file.data, file.size, &plan);
	if (wrong != NULL) {
		printf("%s: cannot start: %s\n", argv[0], wrong);
		return NULL;
	}
	job->used = true;
	job->id = next_id++;
	job->started_us = clock_uptime_us();
	job->privileged = place->privileged;
	job->is_server = place->is_server;
	job->background = background;
	strlcpy(job->name, argv[0], sizeof job->name);
	code = make_task(job, place);
	if (code == KERN_SUCCESS)
		code = fill_and_run(job, &plan, file.data, argc, argv);
	if (code == KERN_SUCCESS)
		return job;
	say_why(argv[0], code);
	discard(job);
	return NULL;
}

/* One round; how many it killed. */
static unsigned kill_some_by_name(const struct job *job)
{
	weir_task_info_array_t tasks;
	mach_msg_type_number_t count;
	unsigned killed = 0;

	if (weir_task_list(host_priv, &tasks, &count) != KERN_SUCCESS)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		task_t task;

		if (strncmp(tasks[i].name, job->name, sizeof tasks[i].name) != 0 ||
		    weir_task_by_id(host_priv, tasks[i].id, &task) != KERN_SUCCESS)
			continue;
		if ((task == job->task || job_of_task(task) == NULL) &&
		    give_back_task(task) == KERN_SUCCESS)
			killed++;
		give_back_right(task);
	}
	if (count > 0)
		give_back_memory((vm_address_t)tasks, count * sizeof *tasks);
	return killed;
}

#define KILL_ROUNDS	64

/*
 * In a ledger that it shares: its descendants are known by their name only. A
 * list may be cut short when there are many tasks, and some may have forked.
 */
static void kill_by_name(const struct job *job)
{
	for (unsigned round = 0; round < KILL_ROUNDS && kill_some_by_name(job) > 0; round++)
		;
}

void job_kill(struct job *job)
{
	job->killed = true;
	if (job->session != MACH_PORT_NULL)
		ledger_terminate(job->session);
	/* First itself: that gives back what the list of all tasks may need. */
	give_back_task(job->task);
	if (job->session == MACH_PORT_NULL)
		kill_by_name(job);
}

void job_task_died(mach_port_name_t task)
{
	struct job *job = job_of_task(task);
	char background[16] = "";

	/* The notification has added a reference to the dead name. */
	give_back_right(task);
	if (job == NULL)
		return;
	if (job->background)
		snprintf(background, sizeof background, "[%u] ", job->id);
	if (job->killed)
		printf("%s%s: killed\n", background, job->name);
	else if (!job->reported)
		printf("%s%s: ended without a status\n", background, job->name);
	else if (job->status != 0)
		printf("%s%s: status %d\n", background, job->name, job->status);
	else if (job->background)
		printf("%s%s: done\n", background, job->name);
	server_died(job);
	if (job->background)
		shell_printed();
	discard(job);
}

/* --- what programs ask (console.defs) --- */

kern_return_t serve_console_get_output(mach_port_t port, mach_port_t *output)
{
	if (job_of_port(port) == NULL || console_device == MACH_PORT_NULL)
		return KERN_FAILURE;
	*output = console_device;
	return KERN_SUCCESS;
}

/* Does another server start, which may have any name? It is known when it tells it. */
static bool server_starts(const struct job *asker)
{
	uint64_t now_us = clock_uptime_us();

	for (const struct job *job = jobs; job < jobs + JOBS_MAX; job++) {
		if (job->used && job != asker && job->is_server && !job->killed && job->server == MACH_PORT_NULL &&
		    !names_has(job->id) && now_us - job->started_us < STARTING_US)
			return true;
	}
	return false;
}

kern_return_t serve_console_lookup(mach_port_t port, const char *name, mach_port_t *server)
{
	const struct job *job = job_server(name), *asker = job_of_port(port);

	if (asker == NULL)
		return KERN_FAILURE;
	*server = job != NULL ? job->server : names_find(name);
	if (*server != MACH_PORT_NULL)
		return KERN_SUCCESS;
	return demand_server(name) || server_starts(asker) ? KERN_ABORTED : KERN_INVALID_NAME;
}

kern_return_t serve_console_get_host_priv(mach_port_t port, mach_port_t *result)
{
	struct job *job = job_of_port(port);

	if (job == NULL || !job->privileged)
		return KERN_NO_ACCESS;
	*result = host_priv;
	return KERN_SUCCESS;
}

kern_return_t serve_console_exit(mach_port_t port, int status)
{
	struct job *job = job_of_port(port);

	if (job == NULL)
		return KERN_FAILURE;
	job->reported = true;
	job->status = status;
	return KERN_SUCCESS;
}

kern_return_t serve_console_exit_now(mach_port_t port, int status)
{
	return serve_console_exit(port, status);
}

kern_return_t serve_console_register(mach_port_t port, mach_port_t server)
{
	struct job *job = job_of_port(port);

	if (job == NULL || !job->is_server)
		return KERN_NO_ACCESS;
	if (names_is_foreign(job, job->name))
		return KERN_NAME_EXISTS;
	give_back_right(job->server);
	job->server = server;
	demand_registered(job);
	server_registered(job);
	return KERN_SUCCESS;
}

kern_return_t serve_console_register_name(mach_port_t port, const char *name, mach_port_t server)
{
	const struct job *job = job_of_port(port);

	return job != NULL && job->is_server ? names_add(job, name, server) : KERN_NO_ACCESS;
}

kern_return_t serve_console_withdraw_name(mach_port_t port, const char *name)
{
	const struct job *job = job_of_port(port);

	return job != NULL && job->is_server ? names_withdraw(job, name) : KERN_NO_ACCESS;
}

kern_return_t serve_console_get_test_output(mach_port_t port, mach_port_t *output)
{
	struct job *job = job_of_port(port);

	if (job == NULL || !job->privileged)
		return KERN_NO_ACCESS;
	if (test_device == MACH_PORT_NULL)
		return KERN_FAILURE;
	*output = test_device;
	return KERN_SUCCESS;
}
