/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The shell is busy while it waits for a job, a time or all background jobs, or shows a screen;
 * otherwise it takes the next boot command, and when there is none a line.
 */
#include "shell.h"
#include <mach.h>
#include <mach/threads.h>
#include <stdio.h>
#include <string.h>
#include "command.h"
#include "console.h"
#include "edit.h"
#include "job.h"
#include "server.h"
#include "words.h"

#define PROMPT		"weir> "

static char *script;		/* boot commands still to do */
static char *typed;		/* the rest of a line with several commands */
static bool prompted;

static uint32_t awaited_job;	/* 0: none */
static uint64_t awaited_us;	/* 0: none */
static bool awaiting_background, awaiting_server;

static void (*screen)(void);	/* drawn each second; NULL: none */
static uint64_t screen_left;	/* how often yet */
static uint64_t screen_due_us;
#define SCREEN_US	1000000

void shell_begin(char *commands)
{
	script = commands;
}

void shell_wait_for_job(const struct job *job)
{
	awaited_job = job->id;
}

void shell_wait_for_time(unsigned milliseconds)
{
	awaited_us = clock_uptime_us() + (uint64_t)milliseconds * 1000;
}

void shell_wait_for_background(void)
{
	awaiting_background = true;
}

void shell_wait_for_server(void)
{
	awaiting_server = true;
}

void shell_show_screen(void (*draw)(void), uint64_t times)
{
	screen = draw;
	screen_left = times;
	screen_due_us = 0;
}

/* Looks whether `q` was typed, draws when it is time to. */
static void watch_screen(void)
{
	int key;

	while ((key = console_key()) >= 0) {
		if (key == 'q' || key == 'Q')
			screen_left = 0;
	}
	if (screen_left > 0 && clock_uptime_us() < screen_due_us)
		return;
	if (screen_left > 0) {
		screen();
		screen_left--;
	}
	if (screen_left == 0) {
		printf("\n");
		screen = NULL;
		return;
	}
	/* From its end: what takes long to draw leaves time for other things too. */
	screen_due_us = clock_uptime_us() + SCREEN_US;
}

static bool busy(void)
{
	if (screen != NULL)
		watch_screen();
	if (awaited_job != 0 && job_of_id(awaited_job) == NULL)
		awaited_job = 0;
	if (awaited_us != 0 && clock_uptime_us() >= awaited_us)
		awaited_us = 0;
	if (awaiting_background && job_count_background() == 0)
		awaiting_background = false;
	if (awaiting_server && !server_changes())
		awaiting_server = false;
	return awaited_job != 0 || awaited_us != 0 || awaiting_background || awaiting_server ||
	       screen != NULL;
}

unsigned shell_patience(void)
{
	uint64_t until = screen != NULL ? screen_due_us : awaited_us, now;

	if (until == 0)
		return 0;
	now = clock_uptime_us();
	return now < until ? (unsigned)((until - now + 999) / 1000) : 1;
}

static void carry_out(char *command)
{
	char *argv[WORDS_MAX + 1];
	const char *error;
	int argc = words_split(command, argv, &error);

	if (argc < 0)
		printf("%s\n", error);
	else if (argc > 0)
		command_run(argc, argv);
}

/* The next command of boot or of the line; NULL: there is none yet. */
static char *next_command(void)
{
	if (script != NULL) {
		char *command = words_next_command(&script);

		/* As if it had been typed. */
		printf(PROMPT "%s\n", command + strspn(command, " "));
		return command;
	}
	if (typed == NULL) {
		if (!prompted) {
			printf(PROMPT);
			fflush(stdout);
			prompted = true;
		}
		typed = console_line();
		if (typed == NULL)
			return NULL;
		prompted = false;
	}
	return words_next_command(&typed);
}

void shell_continue(void)
{
	while (!busy()) {
		char *command = next_command();

		if (command == NULL)
			return;
		carry_out(command);
	}
}

void shell_printed(void)
{
	if (!prompted)
		return;
	printf(PROMPT);
	edit_show();
	fflush(stdout);
}

void shell_interrupt(void)
{
	if (!busy()) {
		printf("^C\n");
		console_flush();
		prompted = false;
		typed = NULL;
		return;
	}
	printf("^C\n");
	for (unsigned i = 0; i < JOBS_MAX; i++) {
		struct job *job = job_at(i);

		if (job != NULL && job->id == awaited_job)
			job_kill(job);
	}
	awaited_us = 0;
	awaiting_background = awaiting_server = false;
	screen = NULL;
	typed = NULL;
}
