/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting the server, trying it with other words, starting it anew. */
#include "server.h"
#include <mach.h>
#include <mach/threads.h>
#include <stdio.h>
#include <string.h>
#include "bootstrap.h"
#include "ledgers.h"
#include "shell.h"

#define START_MS	2000
#define RESTART_MS	1000
#define TEXT_MAX	256

char null_name[] = "null";

/* How it is started. */
struct setup {
	int argc;
	char *argv[SERVER_WORDS_MAX + 1], text[TEXT_MAX];	/* the words are in the text */
	mach_port_t ledger;
	uint32_t job;			/* 0: it does not run */
};
static struct setup setups[2];
static struct setup *now = &setups[0];	/* what serves, or shall again */
static struct setup *next = &setups[1];	/* what is tried, while its job is not 0 */
static uint32_t leaving;		/* the job that is no longer wanted */
static unsigned starts;
static uint64_t restart_us;		/* 0: not due */

static struct job *start(struct setup *setup)
{
	struct job_place place = { .ledger = setup->ledger, .is_server = true };
	struct job *job = job_start(setup->argc, setup->argv, &place, true);

	setup->job = job != NULL ? job->id : 0;
	return job;
}

/* False: too long. */
static bool set_words(struct setup *setup, int argc, char *const argv[])
{
	size_t used = 0;

	if (argc > SERVER_WORDS_MAX)
		return false;
	for (int i = 0; i < argc; i++) {
		setup->argv[i] = setup->text + used;
		used += strlcpy(setup->argv[i], argv[i], TEXT_MAX - used) + 1;
		if (used > TEXT_MAX)
			return false;
	}
	setup->argv[argc] = NULL;
	setup->argc = argc;
	return true;
}

/* Holds a right of its own. */
static bool set_ledger(struct setup *setup, mach_port_t ledger)
{
	if (mach_port_mod_refs(mach_task_self(), ledger, MACH_PORT_RIGHT_SEND, 1) != KERN_SUCCESS)
		return false;
	setup->ledger = ledger;
	return true;
}

static void forget_ledger(struct setup *setup)
{
	give_back_right(setup->ledger);
	setup->ledger = MACH_PORT_NULL;
}

static void restart_later(void)
{
	restart_us = clock_uptime_us() + RESTART_MS * 1000;
}

void server_boot(char *word)
{
	char *const argv[] = { null_name, word, NULL };
	uint64_t until = clock_uptime_us() + START_MS * 1000;

	set_words(now, word != NULL ? 2 : 1, argv);
	set_ledger(now, ledger_of_services);
	if (start(now) == NULL)
		restart_later();
	while (now->job != 0 && starts == 0 && clock_uptime_us() < until)
		event_wait(10);
	if (starts == 0)
		printf("bootstrap: the null server has not started\n");
}

bool server_change(int argc, char *const argv[], mach_port_t ledger)
{
	if (!set_words(next, argc, argv)) {
		printf("server: more than %d words or %d characters\n", SERVER_WORDS_MAX, TEXT_MAX - 1);
		return false;
	}
	if (!set_ledger(next, ledger))
		return false;
	if (start(next) != NULL)
		return true;
	forget_ledger(next);
	return false;
}

bool server_changes(void)
{
	return next->job != 0 || job_of_id(leaving) != NULL;
}

/* What was tried serves now, and what served ends. */
static void take_over(void)
{
	struct setup *old = now;
	struct job *job = job_of_id(old->job);

	now = next;
	next = old;
	restart_us = 0;
	if (job != NULL)
		job_kill(job);
	leaving = old->job;
	old->job = 0;
	forget_ledger(old);
}

void server_registered(const struct job *job)
{
	if (job->id != now->job && job->id != next->job)
		return;
	starts++;
	if (job->id == next->job)
		take_over();
}

void server_died(const struct job *job)
{
	if (job->id == now->job) {
		/* Not at once: if it cannot live there must be time for other things. */
		now->job = 0;
		restart_later();
	} else if (job->id == next->job) {
		next->job = 0;
		forget_ledger(next);
		printf("server: %s does not start so; all is as before\n", job->name);
	}
}

/* A ledger may have been killed, with the server in it. */
static void keep_ledger(struct setup *setup)
{
	mach_port_type_t type = MACH_PORT_TYPE_DEAD_NAME;

	mach_port_type(mach_task_self(), setup->ledger, &type);
	if (type & MACH_PORT_TYPE_SEND)
		return;
	printf("server: %s: its ledger is gone; from now on in services\n", setup->argv[0]);
	forget_ledger(setup);
	set_ledger(setup, ledger_of_services);
	shell_printed();
}

void server_continue(void)
{
	if (restart_us == 0 || clock_uptime_us() < restart_us)
		return;
	restart_us = 0;
	keep_ledger(now);
	if (start(now) == NULL)
		restart_later();
}

unsigned server_patience(void)
{
	uint64_t time = clock_uptime_us();

	if (restart_us == 0)
		return 0;
	return time < restart_us ? (unsigned)((restart_us - time + 999) / 1000) : 1;
}

void server_tell(struct server_facts *facts)
{
	*facts = (struct server_facts){
		.job = job_of_id(now->job),
		.argv = now->argv,
		.ledger = now->ledger,
		.starts = starts,
	};
}
