/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first task: opens the console, makes the ledgers, starts the servers and
 * carries out commands. Started as
 *
 *	bootstrap HOST-PORT DEVICE-PORT KERNEL-COMMAND-LINE
 *
 * with the decimal names of the privileged host port and the device master
 * port. In the kernel's command line `run=` is the last option and takes the
 * rest as it is: commands for the console with `;` between them.
 *
 * One thread waits for one event at a time and answers it without ever waiting
 * for a program: replies that cannot be queued are dropped, and everything that
 * it writes to is there from the start, so that it goes on when all memory is
 * gone (its guarantees pay for the rest).
 */
#include "bootstrap.h"
#include <console_server.h>
#include <device_user.h>
#include <mach.h>
#include <mach/notify.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "archive.h"
#include "console.h"
#include "job.h"
#include "ledgers.h"
#include "server.h"
#include "shell.h"

#define MESSAGE_MAX	1024
#define COMMAND_LINE_MAX	4096

mach_port_t host_priv, device_master, test_device;
mach_port_t event_set, notify_port;

static union {
	mach_msg_header_t head;
	mach_dead_name_notification_t dead_name;
	char room[MESSAGE_MAX];
} request, reply;

char command_line[COMMAND_LINE_MAX];
static char script[COMMAND_LINE_MAX];

mach_port_t event_port(void)
{
	mach_port_t port = MACH_PORT_NULL;

	if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &port) != KERN_SUCCESS)
		return MACH_PORT_NULL;
	if (mach_port_move_member(mach_task_self(), port, event_set) == KERN_SUCCESS)
		return port;
	event_port_destroy(port);
	return MACH_PORT_NULL;
}

void event_port_destroy(mach_port_t port)
{
	if (port != MACH_PORT_NULL)
		mach_port_mod_refs(mach_task_self(), port, MACH_PORT_RIGHT_RECEIVE, -1);
}

static void take_notification(void)
{
	if (request.head.msgh_id == MACH_NOTIFY_DEAD_NAME)
		job_task_died(request.dead_name.not_port);
	else
		mach_msg_destroy(&request.head);
}

static void take_event(void)
{
	mach_port_t to = request.head.msgh_local_port;
	bool interrupted;

	if (to == console_input_port()) {
		console_take_input(&request.head, &interrupted);
		if (interrupted)
			shell_interrupt();
	} else if (to == notify_port) {
		take_notification();
	} else {
		mach_msg_answer(console_server, &request.head, &reply.head);
	}
}

void event_wait(unsigned milliseconds)
{
	mach_msg_option_t option = MACH_RCV_MSG | (milliseconds > 0 ? MACH_RCV_TIMEOUT : 0);
	mach_msg_return_t code;

	code = mach_msg(&request.head, option, 0, sizeof request, event_set, milliseconds,
			MACH_PORT_NULL);
	if (code == MACH_MSG_SUCCESS)
		take_event();
	else if ((code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
		/* Received all the same, without what we cannot hold: the reply right is ours. */
		mach_msg_destroy(&request.head);
	else if (code != MACH_RCV_TIMED_OUT && code != MACH_RCV_TOO_LARGE)
		thread_sleep(1);
}

/* Milliseconds until the shell or a server is to be looked after; 0: not before an event. */
static unsigned patience(void)
{
	unsigned shell = shell_patience(), server = server_patience();

	if (shell == 0 || server == 0)
		return shell + server;
	return shell < server ? shell : server;
}

/* The value of the option ("run=") at the start of a word; NULL: not there. */
static char *find_option(char *line, const char *option)
{
	char *at = line;

	while ((at = strstr(at, option)) != NULL) {
		if (at == line || at[-1] == ' ')
			return at + strlen(option);
		at++;
	}
	return NULL;
}

/* The boot option random_seed=N, of the words before run=, as the null server takes it; NULL: none. */
static char *find_seed(void)
{
	static char word[40];
	const char *seed = find_option(command_line, "random_seed=");
	const char *run = find_option(command_line, "run=");
	char number[24];
	uint64_t value;

	if (seed == NULL || (run != NULL && seed > run))
		return NULL;
	snprintf(number, sizeof number, "%.*s", (int)strcspn(seed, " "), seed);
	if (!parse_number(number, &value)) {
		printf("random_seed=%s is no number: ignored\n", number);
		return NULL;
	}
	snprintf(word, sizeof word, "--seed=%s", number);
	return word;
}

/* The kernel's command line is one argument, or came apart at its blanks. */
static char *find_script(int argc, char **argv)
{
	for (int i = 3; i < argc; i++) {
		strlcat(command_line, argv[i], sizeof command_line);
		if (i + 1 < argc)
			strlcat(command_line, " ", sizeof command_line);
	}
	/* The commands are taken apart where they stand; `cmdline` shows the whole as it came. */
	strlcpy(script, command_line, sizeof script);
	return find_option(script, "run=");
}

static bool make_ports(void)
{
	kern_return_t code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_PORT_SET,
						&event_set);

	if (code == KERN_SUCCESS)
		notify_port = event_port();
	return code == KERN_SUCCESS && notify_port != MACH_PORT_NULL;
}

int main(int argc, char **argv)
{
	uint64_t host, device;
	char *commands;

	if (argc < 3 || !parse_number(argv[1], &host) || !parse_number(argv[2], &device)) {
		printf("usage: bootstrap HOST-PORT DEVICE-PORT [KERNEL-COMMAND-LINE]\n");
		return EXIT_USAGE;
	}
	host_priv = (mach_port_t)host;
	device_master = (mach_port_t)device;
	if (!make_ports() || program_touch_static() != KERN_SUCCESS) {
		printf("bootstrap: no memory to begin with\n");
		return EXIT_FAILURE;
	}
	console_open();
	if (device_open(device_master, D_WRITE, "com1", &test_device) != D_SUCCESS)
		test_device = MACH_PORT_NULL;
	archive_open(device_master);
	ledgers_make();
	commands = find_script(argc, argv);
	server_boot(find_seed());
	ledgers_divide();
	if (commands == NULL)
		printf("`help` lists commands, Ctrl-A X leaves, Ctrl-C stops what runs. "
		       "Try: forkbomb\n");
	shell_begin(commands);
	for (;;) {
		shell_continue();
		event_wait(patience());
		server_continue();
	}
}
