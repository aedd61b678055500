/* SPDX-License-Identifier: BSD-2-Clause */
/* A program's first thread, its console, its end. */
#include <mach/program.h>
#include <console_user.h>
#include <device_user.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/mig_errors.h>
#include <mach/mig_support.h>
#include <mach/task_special_ports.h>
#include <mach/threads.h>
#include <stdio.h>
#include <string.h>
#include "program_private.h"

/* A server that is only now being started is asked for so often, at such intervals. */
#define LOOKUP_TURNS	300
#define LOOKUP_MS	10
/* How often, and at what intervals, a status is told again for which there was no memory. */
#define EXIT_TURNS	50
#define EXIT_MS		20

mach_port_t mach_task_self_;

static struct thread main_thread;
static mach_port_t console, output;

/* By trap, when the device cannot be reached or the message for it is denied: it needs no memory. */
static void print_by_trap(const char *data, size_t size)
{
	char text[129];

	while (size > 0) {
		size_t n = size < sizeof text - 1 ? size : sizeof text - 1;

		memcpy(text, data, n);
		text[n] = '\0';
		mach_print(text);
		data += n;
		size -= n;
	}
}

static void write_console(const char *data, size_t size)
{
	while (size > 0) {
		size_t n = size < IO_INBAND_MAX ? size : IO_INBAND_MAX;
		int written = 0;

		if (output == MACH_PORT_NULL ||
		    device_write_inband(output, 0, 0, data, (mach_msg_type_number_t)n, &written) !=
			    KERN_SUCCESS ||
		    written <= 0 || (size_t)written > n) {
			print_by_trap(data, n);
			written = (int)n;
		}
		data += written;
		size -= (size_t)written;
	}
}

void program_init(void)
{
	thread_adopt(&main_thread);
	mach_task_self_ = mach_task_self_trap();
	/* Now, while there is memory: what is asked and printed about a shortage needs them. */
	mig_get_reply_port();
	main_thread.port = mach_thread_self();
	if (task_get_special_port(mach_task_self(), TASK_BOOTSTRAP_PORT, &console) != KERN_SUCCESS)
		console = MACH_PORT_NULL;
	if (MACH_PORT_VALID(console) && console_get_output(console, &output) != KERN_SUCCESS)
		output = MACH_PORT_NULL;
	stdio_set_writer(stdout, write_console);
}

static bool is_no_buffer(kern_return_t code)
{
	return (code & ~MACH_MSG_MASK) == MACH_SEND_NO_BUFFER;
}

/*
 * The ledger has no room for the message, and may be kept full by others. What nobody needs any more, the port for
 * answers and the message prepaid with it, is room for a message without an answer, unless others are faster.
 */
static void tell_status_without_memory(int status)
{
	struct thread *self = thread_self();

	self->replacing_port = true;
	mach_port_mod_refs(mach_task_self(), self->reply_port, MACH_PORT_RIGHT_RECEIVE, -1);
	for (unsigned turn = 0; turn < EXIT_TURNS; turn++) {
		if (!is_no_buffer(console_exit_now(console, status)))
			return;
		thread_sleep(EXIT_MS);
	}
}

_Noreturn void program_exit(int status)
{
	kern_return_t code = MACH_PORT_VALID(console) ? console_exit(console, status) : KERN_SUCCESS;

	if (is_no_buffer(code) || code == MIG_SERVER_DIED)
		tell_status_without_memory(status);
	for (;;) {
		give_back_task(mach_task_self());
		thread_yield();
	}
}

/* The region that an address lies in. */
static kern_return_t region_of(vm_address_t *address, vm_size_t *size)
{
	vm_prot_t protection, maximum;
	vm_inherit_t inheritance;
	boolean_t shared;
	mach_port_t object = MACH_PORT_NULL;
	vm_offset_t offset;
	kern_return_t code = vm_region(mach_task_self(), address, size, &protection, &maximum,
				       &inheritance, &shared, &object, &offset);

	if (code == KERN_SUCCESS)
		give_back_right(object);
	return code;
}

/* The linker's marks: of initialised data there is no beginning, so a variable in it stands for it. */
extern char edata[], end[];

kern_return_t program_touch_static(void)
{
	vm_address_t here = (vm_address_t)__builtin_frame_address(0), address = here;
	vm_address_t data = (vm_address_t)edata, stop = (vm_address_t)end;
	vm_size_t size;
	kern_return_t code = KERN_SUCCESS;

	code = memory_touch(trunc_page(data - 1), round_page(stop) - trunc_page(data - 1));
	/* The stack is one region; its lower part is what the thread may come to use. */
	if (code == KERN_SUCCESS && region_of(&address, &size) == KERN_SUCCESS)
		code = memory_touch(address, here - address);
	return code;
}

bool program_last_denial(struct ledger_denial *denial)
{
	struct thread *thread = thread_self();

	if (thread->port == MACH_PORT_NULL)
		thread->port = mach_thread_self();
	return ledger_last_denial(thread->port, denial) == KERN_SUCCESS && denial->count > 0;
}

mach_port_t program_console(void)
{
	return console;
}

void program_set_output(mach_port_t device)
{
	output = device;
}

kern_return_t program_lookup(const char *name, mach_port_t *port)
{
	kern_return_t code = KERN_FAILURE;

	for (unsigned turn = 0; MACH_PORT_VALID(console) && turn < LOOKUP_TURNS; turn++) {
		code = console_lookup(console, name, port);
		if (code != KERN_ABORTED)
			break;
		thread_sleep(LOOKUP_MS);
	}
	return code;
}

kern_return_t program_host_priv(mach_port_t *host_priv)
{
	return MACH_PORT_VALID(console) ? console_get_host_priv(console, host_priv) : KERN_FAILURE;
}

/* In a forked task: names and threads of the parent mean nothing here. */
void program_reset(struct thread *thread)
{
	thread_adopt(thread);
	mach_task_self_ = mach_task_self_trap();
	console = MACH_PORT_NULL;
	output = MACH_PORT_NULL;
}
