/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pages until denied.
 *   touch    writes to pages of regions of 1024 (-z); a page that is denied comes as an
 *            exception, which a second thread turns into a return from touch_page
 *   entries  regions of one page (-z), every other one protected, never touched
 */
#include <exc_server.h>
#include <mach.h>
#include <mach/exception.h>
#include <mach/machine/thread_status.h>
#include <mach/program.h>
#include <mach/thread_special_ports.h>
#include <mach/threads.h>
#include "engine.h"

#define REGION_PAGES	1024
#define REGION_MAX	(1024 * 1024)
#define HANDLER_SIZE	512

/* The only instruction that may fault, and where to go on when it does. */
extern char touch_instruction[], touch_recovery[];
int touch_page(vm_address_t address);
__asm__(".text\n"
	".globl touch_page\n"
	".type touch_page, @function\n"
	"touch_page:\n"
	"touch_instruction:\n"
	"	movb $1, (%rdi)\n"
	"	xorl %eax, %eax\n"
	"	ret\n"
	"touch_recovery:\n"
	"	movl $1, %eax\n"
	"	ret\n"
	".size touch_page, . - touch_page\n");

static const char *const shapes[] = { "touch", "entries", NULL };
static bool entries;
static unsigned region_pages;
static mach_port_t exception_port;
static kern_return_t denied_code;
static vm_address_t next_page;		/* of the region that is being touched */
static uint64_t pages_left;

kern_return_t catch_exception_raise(mach_port_t port, mach_port_t thread, mach_port_t task,
				    integer_t exception, integer_t code, rpc_long_integer_t subcode)
{
	struct i386_thread_state state;
	mach_msg_type_number_t count = i386_THREAD_STATE_COUNT;
	kern_return_t result;

	(void)port, (void)subcode;
	flood_release();
	result = thread_get_state(thread, i386_THREAD_STATE, (natural_t *)&state, &count);
	if (result == KERN_SUCCESS && exception == EXC_BAD_ACCESS &&
	    state.rip == (uint64_t)(uintptr_t)touch_instruction) {
		denied_code = code;
		state.rip = (uint64_t)(uintptr_t)touch_recovery;
		result = thread_set_state(thread, i386_THREAD_STATE, (natural_t *)&state, count);
	} else if (result == KERN_SUCCESS) {
		result = KERN_FAILURE;		/* a fault of our own: the task dies of it */
	}
	give_back_right(thread);
	give_back_right(task);
	return result;
}

/* In buffers that are there from the start: this thread may run for the first time when all is taken. */
static void handle_exceptions(void *unused)
{
	static union {
		mach_msg_header_t head;
		char room[HANDLER_SIZE];
	} request, reply;

	(void)unused;
	for (;;) {
		mach_msg_return_t code = mach_msg(&request.head, MACH_RCV_MSG, 0, sizeof request,
						  exception_port, 0, MACH_PORT_NULL);

		/* What this task cannot hold is gone, and its sender has been told. */
		if (code == MACH_MSG_SUCCESS)
			mach_msg_answer(exc_server, &request.head, &reply.head);
		else if ((code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
			mach_msg_destroy(&request.head);
	}
}

/* All that handling needs is made now: when memory is short it is too late. */
static kern_return_t start_handler(void)
{
	mach_port_t self = mach_task_self();
	struct thread *handler;
	kern_return_t code = mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &exception_port);

	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(self, exception_port, exception_port,
					      MACH_MSG_TYPE_MAKE_SEND);
	if (code == KERN_SUCCESS)
		code = program_touch_static();
	if (code == KERN_SUCCESS)
		code = thread_spawn(handle_exceptions, NULL, 0, &handler);
	if (code == KERN_SUCCESS)
		code = thread_set_special_port(mach_thread_self(), THREAD_EXCEPTION_PORT,
					       exception_port);
	return code;
}

static kern_return_t begin(const struct flood_options *options)
{
	entries = options->shape == 1;
	region_pages = options->size > 0 ? (unsigned)options->size : entries ? 1 : REGION_PAGES;
	/* A forked task has its maker's variables. */
	pages_left = 0;
	return entries ? KERN_SUCCESS : start_handler();
}

/* The largest that can be had: the limit may be on virtual pages too. */
static kern_return_t take_region(struct flood_record *record)
{
	kern_return_t code = KERN_RESOURCE_SHORTAGE;

	for (record->kind = region_pages; record->kind > 0; record->kind /= 2) {
		record->address = 0;
		code = syscall_vm_allocate(mach_task_self(), &record->address,
					   record->kind * vm_page_size, TRUE);
		if (code == KERN_SUCCESS)
			break;
	}
	next_page = record->address;
	pages_left = record->kind;
	return code;
}

/* The record of a region's first page holds the region: its address, and its pages as the kind. */
static kern_return_t take_touched(struct flood_record *record)
{
	kern_return_t code = pages_left == 0 ? take_region(record) : KERN_SUCCESS;

	if (code != KERN_SUCCESS)
		return code;
	if (touch_page(next_page) != 0)
		return denied_code;
	next_page += vm_page_size;
	pages_left--;
	return KERN_SUCCESS;
}

static kern_return_t take_entry(struct flood_record *record, uint64_t index)
{
	vm_size_t size = region_pages * vm_page_size;
	kern_return_t code = syscall_vm_allocate(mach_task_self(), &record->address, size, TRUE);

	if (code != KERN_SUCCESS)
		return code;
	record->kind = region_pages;
	return index % 2 != 0 ? KERN_SUCCESS :
	       vm_protect(mach_task_self(), record->address, size, FALSE, VM_PROT_READ);
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	kern_return_t code = entries ? take_entry(record, index) : take_touched(record);

	/* The trap has no place for the address: the page of the record was denied. */
	return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
}

static kern_return_t give_back(struct flood_record *record)
{
	return record->kind == 0 ? KERN_SUCCESS :
	       give_back_memory(record->address, record->kind * vm_page_size);
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "pages",
		.syntax = { "snptrSkz", shapes, "pages until denied", "pages of each region", REGION_MAX },
		.begin = begin,
		.take = take,
		.give_back = give_back,
	};

	return flood_main(argc, argv, &flood);
}
