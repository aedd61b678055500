/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes memory until denied (or -n pages), then gives it back.
 *   touch    writes to pages of one large region; a page that is denied comes as
 *            an exception, which a second thread turns into a return from touch_page
 *   entries  makes regions of one page, every other one protected, never touched
 */
#include <exc_server.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/exception.h>
#include <mach/machine/thread_status.h>
#include <mach/program.h>
#include <mach/thread_special_ports.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>
#include "flood.h"
#include "options.h"

#define REGION_PAGES	((uint64_t)1 << 20)
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

static mach_port_t exception_port;
static kern_return_t denied_code;
static vm_address_t region;
static uint64_t region_pages;

/* Addresses of the single pages, in pieces made as we go. */
#define PIECE		512
#define PIECES_MAX	8192
static vm_address_t *pieces[PIECES_MAX];

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

/* Not mach_msg_server, which asks for its buffers when the thread first runs. */
static void handle_exceptions(void *unused)
{
	static union {
		mach_msg_header_t head;
		char room[HANDLER_SIZE];
	} request, reply;

	(void)unused;
	while (mach_msg(&request.head, MACH_RCV_MSG, 0, sizeof request, exception_port,
			MACH_MSG_TIMEOUT_NONE, MACH_PORT_NULL) == MACH_MSG_SUCCESS)
		mach_msg_answer(exc_server, &request.head, &reply.head);
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

/* The largest region that can be had; the limit may be on virtual pages too. */
static void take_region(uint64_t wanted, struct flood_end *end)
{
	kern_return_t code = KERN_SUCCESS;

	for (region_pages = wanted; region_pages > 0; region_pages /= 2) {
		region = 0;
		code = vm_allocate(mach_task_self(), &region, region_pages * vm_page_size, TRUE);
		if (code == KERN_SUCCESS)
			return;
	}
	flood_stopped(end, code);
}

static uint64_t flood_touch(uint64_t wanted, struct flood_end *end)
{
	uint64_t touched = 0;

	take_region(wanted < REGION_PAGES ? wanted : REGION_PAGES, end);
	while (touched < region_pages && touch_page(region + touched * vm_page_size) == 0)
		touched++;
	if (touched < region_pages)
		flood_stopped(end, denied_code);
	return touched;
}

static void give_back_touched(void)
{
	if (region_pages > 0)
		give_back_memory(region, region_pages * vm_page_size);
}

/* One more page of its own, written down; nothing is held when it fails. */
static kern_return_t take_entry(uint64_t index)
{
	vm_address_t address = 0;
	kern_return_t code = KERN_SUCCESS;

	if (index % PIECE == 0) {
		code = memory_allocate(&address, PIECE * sizeof(vm_address_t));
		pieces[index / PIECE] = (vm_address_t *)address;
	}
	address = 0;
	if (code == KERN_SUCCESS)
		code = syscall_vm_allocate(mach_task_self(), &address, vm_page_size, TRUE);
	if (code == KERN_SUCCESS)
		pieces[index / PIECE][index % PIECE] = address;
	if (code == KERN_SUCCESS && index % 2 == 0)
		vm_protect(mach_task_self(), address, vm_page_size, FALSE, VM_PROT_READ);
	return code;
}

static uint64_t flood_entries(uint64_t wanted, struct flood_end *end)
{
	kern_return_t code = KERN_SUCCESS;
	uint64_t taken = 0;

	if (wanted > (uint64_t)PIECE * PIECES_MAX)
		wanted = (uint64_t)PIECE * PIECES_MAX;
	while (taken < wanted && (code = take_entry(taken)) == KERN_SUCCESS)
		taken++;
	if (code != KERN_SUCCESS)
		flood_stopped(end, code);
	return taken;
}

static void give_back_entries(uint64_t taken)
{
	for (uint64_t i = 0; i < taken; i++)
		give_back_memory(pieces[i / PIECE][i % PIECE], vm_page_size);
	for (uint64_t i = 0; i < PIECES_MAX && pieces[i] != NULL; i++)
		give_back_memory((vm_address_t)pieces[i], PIECE * sizeof(vm_address_t));
}

int main(int argc, char **argv)
{
	static const char *const shapes[] = { "touch", "entries", NULL };
	static const struct flood_syntax syntax = { "snpk", shapes, "pages until denied" };
	uint64_t wanted, taken, start, middle;
	struct flood_options options;
	struct flood_end end = { 0 };
	kern_return_t code;
	bool entries;

	flood_parse(argc, argv, &syntax, &options);
	entries = options.shape == 1;
	wanted = options.count < UINT64_MAX ? options.count : REGION_PAGES;
	code = start_handler();
	if (code == KERN_SUCCESS)
		code = flood_hold_ports(options.ports);
	if (code != KERN_SUCCESS) {
		printf("%s: cannot begin: %s\n", argv[0], mach_error_string(code));
		return EXIT_FAILURE;
	}
	flood_reserve();
	start = clock_uptime_us();
	taken = entries ? flood_entries(wanted, &end) : flood_touch(wanted, &end);
	middle = clock_uptime_us();
	printf("%s: took %" PRIu64 " pages in %" PRIu64 " ms\n", argv[0], taken,
	       (middle - start) / 1000);
	if (options.keep)
		flood_print_end(argv[0], &end);
	while (options.keep)
		thread_sleep(1000);
	if (entries)
		give_back_entries(taken);
	else
		give_back_touched();
	printf("%s: gave them back in %" PRIu64 " ms\n", argv[0],
	       (clock_uptime_us() - middle) / 1000);
	if (end.code == KERN_SUCCESS)
		printf("took %" PRIu64 " pages\n", taken);
	flood_print_end(argv[0], &end);
	return EXIT_SUCCESS;
}
