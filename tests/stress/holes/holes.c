/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Maps pages, unmaps every second one, then the rest. Mapping may be denied,
 * unmapping never is, and at the end the task is as large as it was.
 *   pages   each mapped by itself
 *   malloc  the same by malloc and free, each block a page
 *   later   the same when 40,012 other mappings were made before
 *   range   mapped as one, and -n holes of a page each made in it; here a hole may
 *           be denied (it needs a new entry), the whole is given back all the same
 */
#include <inttypes.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/task_info.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>
#include "flood.h"
#include "options.h"

#define PAGES_DEFAULT	131030
#define HOLES_DEFAULT	65536
#define BEFORE		40012
#define MOST		((uint64_t)1 << 22)
/* Of malloc's own: a block's header, so that block and header are a page. */
#define BLOCK		(vm_page_size - 64)

enum { SHAPE_PAGES, SHAPE_MALLOC, SHAPE_LATER, SHAPE_RANGE };
static const char *const shapes[] = { "pages", "malloc", "later", "range", NULL };

static const char *program;
static unsigned shape;
static struct flood_end end;

/* An array of addresses, taken before anything is measured. */
static vm_address_t *make_list(uint64_t count)
{
	vm_address_t address = 0;
	kern_return_t code = memory_allocate(&address, count * sizeof(vm_address_t));

	if (code == KERN_SUCCESS)
		return (vm_address_t *)address;
	printf("%s: cannot begin: %s\n", program, mach_error_string(code));
	exit(EXIT_FAILURE);
}

static kern_return_t map_page(vm_address_t *address)
{
	kern_return_t code;

	*address = 0;
	code = syscall_vm_allocate(mach_task_self(), address, vm_page_size, TRUE);
	return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
}

static kern_return_t take(vm_address_t *address)
{
	if (shape == SHAPE_PAGES)
		return map_page(address);
	*address = (vm_address_t)malloc(BLOCK);
	return *address != 0 ? KERN_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

/* free() tells nothing; whether it has done its work shows in the size of the task. */
static kern_return_t give_back(vm_address_t address)
{
	if (shape == SHAPE_PAGES)
		return give_back_memory(address, vm_page_size);
	free((void *)address);
	return KERN_SUCCESS;
}

static uint64_t take_many(vm_address_t *list, uint64_t count,
			  kern_return_t (*take_one)(vm_address_t *address))
{
	kern_return_t code = KERN_SUCCESS;
	uint64_t taken = 0;

	while (taken < count && code == KERN_SUCCESS) {
		code = take_one(&list[taken]);
		if (code == KERN_SUCCESS)
			taken++;
	}
	if (code != KERN_SUCCESS)
		flood_stopped(&end, code);
	return taken;
}

/* Of every second one from the first on; *failed counts up. */
static uint64_t give_back_half(const vm_address_t *list, uint64_t first, uint64_t count,
			       uint64_t *failed)
{
	uint64_t given = 0;

	for (uint64_t i = first; i < count; i += 2) {
		if (give_back(list[i]) == KERN_SUCCESS)
			given++;
		else
			++*failed;
	}
	return given;
}

static uint64_t single_pages(uint64_t count)
{
	vm_address_t *list = make_list(count), *before = make_list(BEFORE);
	uint64_t failed = 0, taken, half, others = 0;

	if (shape == SHAPE_LATER)
		others = take_many(before, BEFORE, map_page);
	taken = take_many(list, count, take);
	printf("%s: mapped %" PRIu64 " pages, and %" PRIu64 " before\n", program, taken, others);
	half = give_back_half(list, 1, taken, &failed);
	printf("%s: unmapped every second one: %" PRIu64 "\n", program, half);
	half = give_back_half(list, 0, taken, &failed);
	printf("%s: unmapped the others: %" PRIu64 "\n", program, half);
	while (others-- > 0)
		failed += give_back_memory(before[others], vm_page_size) != KERN_SUCCESS;
	give_back_memory((vm_address_t)list, count * sizeof *list);
	give_back_memory((vm_address_t)before, BEFORE * sizeof *before);
	return failed;
}

/* Every second page of one region; the first and the last stay. */
static uint64_t punch_range(uint64_t holes)
{
	vm_size_t size = (2 * holes + 1) * vm_page_size;
	vm_address_t region = 0;
	uint64_t made = 0, denied = 0;
	kern_return_t code = vm_allocate(mach_task_self(), &region, size, TRUE);

	if (code != KERN_SUCCESS) {
		flood_stopped(&end, code);
		printf("%s: no range of %" PRIu64 " pages\n", program, size / vm_page_size);
		return 0;
	}
	for (uint64_t i = 0; i < holes; i++) {
		code = give_back_memory(region + (2 * i + 1) * vm_page_size, vm_page_size);
		if (code == KERN_SUCCESS)
			made++;
		else if (denied++ == 0)
			flood_stopped(&end, code);
	}
	printf("%s: made %" PRIu64 " holes in a range of %" PRIu64 " pages, %" PRIu64 " denied\n",
	       program, made, size / vm_page_size, denied);
	return give_back_memory(region, size) != KERN_SUCCESS;
}

static void own_size(uint64_t *virtual, uint64_t *resident)
{
	struct task_basic_info info = { 0 };
	mach_msg_type_number_t count = TASK_BASIC_INFO_COUNT;
	kern_return_t code = task_info(mach_task_self(), TASK_BASIC_INFO, (integer_t *)&info, &count);

	if (code != KERN_SUCCESS) {
		printf("%s: its own size: %s\n", program, mach_error_string(code));
		exit(EXIT_FAILURE);
	}
	*virtual = info.virtual_size;
	*resident = info.resident_size;
}

int main(int argc, char **argv)
{
	static const struct flood_syntax syntax = {
		"snp", shapes, "maps single pages (range: one region), unmaps every second one, then all",
		NULL, 0
	};
	uint64_t virtual, resident, virtual_after, resident_after, failed;
	struct flood_options options;
	kern_return_t code;

	program = argv[0];
	flood_parse(argc, argv, &syntax, &options);
	shape = options.shape;
	if (options.count == UINT64_MAX)
		options.count = shape == SHAPE_RANGE ? HOLES_DEFAULT : PAGES_DEFAULT;
	if (options.count > MOST)
		options.count = MOST;
	code = program_touch_static();
	if (code == KERN_SUCCESS)
		code = flood_hold_ports(options.ports);
	if (code != KERN_SUCCESS) {
		printf("%s: cannot begin: %s\n", program, mach_error_string(code));
		return EXIT_FAILURE;
	}
	/* What a first call leaves behind, a page of malloc's and a reply port, is no leak. */
	free(malloc(BLOCK));
	own_size(&virtual, &resident);
	flood_reserve();
	failed = shape == SHAPE_RANGE ? punch_range(options.count) : single_pages(options.count);
	flood_release();
	own_size(&virtual_after, &resident_after);
	printf("%s: %" PRIu64 " could not be unmapped; %" PRId64 " bytes leaked, %" PRId64
	       " of them in memory\n", program, failed, (int64_t)(virtual_after - virtual),
	       (int64_t)(resident_after - resident));
	flood_print_end(program, &end);
	return failed == 0 && virtual_after == virtual ? EXIT_SUCCESS : EXIT_FAILURE;
}
