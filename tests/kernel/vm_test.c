/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vm_*: giving and giving back in any pieces, protection, reading and writing other tasks, copies,
 * regions, limits; copy on write between tasks over generations.
 * RUN: in root vm_test
 */
#include <string.h>
#include <ledger_user.h>
#include <mach/machine/vm_param.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <weir_user.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PAGE		4096ul
#define PATIENCE_MS	10000
#define WILD		0x123456789000ul
#define KERNEL		0xffffffff80000000ul
#define RW		(VM_PROT_READ | VM_PROT_WRITE)

static task_t self;

static char *pages(unsigned count)
{
	vm_address_t address = 0;

	need(vm_allocate(self, &address, count * PAGE, TRUE), "memory");
	return (char *)address;
}

static vm_address_t at(const void *pointer)
{
	return (vm_address_t)pointer;
}

static void give_back(void *address, unsigned count)
{
	need(vm_deallocate(self, at(address), count * PAGE), "memory to be given back");
}

static uint64_t user_pages(void)
{
	weir_memory_info_t info;

	need(weir_memory_info(test_host_priv(), &info), "the memory's state");
	return info.user_pages;
}

struct region {
	vm_address_t address;
	vm_size_t size;
	vm_prot_t protection, maximum;
	vm_inherit_t inheritance;
	boolean_t shared;
	vm_offset_t offset;
};

static kern_return_t region_at(task_t task, vm_address_t address, struct region *r)
{
	mach_port_t object = MACH_PORT_NULL;
	kern_return_t code;

	r->address = address;
	code = vm_region(task, &r->address, &r->size, &r->protection, &r->maximum, &r->inheritance, &r->shared,
			 &object, &r->offset);
	if (code == KERN_SUCCESS)
		give_back_right(object);
	return code;
}

/* By a call that looks only: vm_region would give names to memory objects. */
static bool mapped(task_t task, vm_address_t address)
{
	vm_machine_attribute_val_t value = MATTR_VAL_GET;

	return vm_machine_attribute(task, address & -PAGE, PAGE, MATTR_CACHE, &value) == KERN_SUCCESS;
}

static bool mapped_are(vm_address_t from, unsigned count, unsigned long pattern)
{
	for (unsigned i = 0; i < count; i++)
		if (mapped(self, from + i * PAGE) != (pattern >> i & 1))
			return false;
	return true;
}

static void allocation(void)
{
	vm_address_t a = 0, b = 0, c;

	is_code(vm_allocate(self, &a, 3 * PAGE, TRUE), KERN_SUCCESS, "memory can be had anywhere");
	ok(a != 0 && a % PAGE == 0, "at the start of a page");
	{
		unsigned zeros = 0;

		for (unsigned i = 0; i < 3 * PAGE; i++)
			zeros += ((char *)a)[i] == 0;
		is(zeros, 3 * PAGE, "all of it is zero");
	}
	is_code(vm_allocate(self, &b, 1, TRUE), KERN_SUCCESS, "a byte can be had");
	memset((void *)b, 'b', PAGE);
	ok(mapped(self, b + PAGE - 1), "which is a page");
	c = a + 1;
	is_code(vm_allocate(self, &c, PAGE, FALSE), KERN_NO_SPACE, "what is taken cannot be had again");
	need(vm_deallocate(self, a + PAGE, PAGE), "a page to be given back");
	c = a + PAGE + 17;
	is_code(vm_allocate(self, &c, PAGE, FALSE), KERN_SUCCESS, "a page given back can be had by its address");
	is(c, a + PAGE, "which is rounded down");
	is(*(char *)c, 0, "and is zero again");
	is_code(vm_deallocate(self, a + PAGE, PAGE), KERN_SUCCESS, "and given back again");
	c = a;
	is_code(vm_allocate(self, &c, 2 * PAGE, FALSE), KERN_NO_SPACE, "a range of which a part is taken cannot be had");
	c = a + PAGE;
	is_code(vm_allocate(self, &c, 2 * PAGE, FALSE), KERN_NO_SPACE, "at its other end either");
	ok(mapped_are(a, 3, 5), "and nothing of it was taken");
	need(vm_deallocate(self, a, 3 * PAGE), "memory with a hole to be given back");
	need(vm_deallocate(self, b, 1), "a byte to be given back");
	ok(!mapped(self, b), "a byte given back is its page");
	c = 0x5555;
	is_code(vm_allocate(self, &c, 0, TRUE), KERN_SUCCESS, "nothing can be had");
	is_code(vm_deallocate(self, a, 0), KERN_SUCCESS, "and given back");
}

/* The trap takes and leaves the address at this place. */
static void place_refused(vm_address_t place, const char *what)
{
	uint64_t before = used_now(test_ledger(), LEDGER_VIRTUAL_PAGES);

	is(syscall_vm_allocate(self, (vm_address_t *)place, 3 * PAGE, TRUE), MACH_SEND_INTERRUPTED, "no place for an address: %s", what);
	is(used_now(test_ledger(), LEDGER_VIRTUAL_PAGES), before, "and nothing is allocated");
}

static void place_good(char *place, const char *what)
{
	vm_address_t address;

	is(syscall_vm_allocate(self, (vm_address_t *)place, 3 * PAGE, TRUE), KERN_SUCCESS, "a place for an address: %s", what);
	memcpy(&address, place, sizeof(address));
	memset((char *)address, 1, 3 * PAGE);
	is(vm_deallocate(self, address, 3 * PAGE), KERN_SUCCESS, "and the memory is there");
}

static void places_of_addresses(void)
{
	char *place = pages(4), *copy = pages(1);
	vm_address_t last;

	place_good(place, "never touched");
	place_good(place, "touched");
	place_good(place + PAGE - 3, "across two pages, the second never touched");
	place_good(place + PAGE - 3, "across two pages");
	memset(place, 7, PAGE);
	need(vm_copy(self, at(place), PAGE, at(copy)), "a copy");
	place_good(place + 8, "yet to be copied");
	need(memcmp(place, copy, 8) == 0 && copy[8] == 7 && copy[15] == 7 ? KERN_SUCCESS : KERN_FAILURE, "the copy as it was");
	memset(place + PAGE, 7, PAGE);
	need(vm_protect(self, at(place + PAGE), PAGE, FALSE, VM_PROT_READ), "protection");
	place_refused(at(place + PAGE), "read only");
	place_refused(at(place + PAGE - 3), "the second page read only");
	place_refused(at(place + 2 * PAGE - 3), "the first page read only");
	is(place[PAGE], 7, "what is there stays");
	need(vm_deallocate(self, at(place + 2 * PAGE), PAGE), "a hole");
	place_refused(at(place + 2 * PAGE), "not allocated");
	place_refused(at(place + 3 * PAGE - 3), "the first page not allocated");
	last = VM_MAX_ADDRESS - PAGE;
	need(vm_allocate(self, &last, PAGE, FALSE), "the last page");
	place_good((char *)last, "in the last page");
	place_good((char *)last + PAGE - 8, "at the very end");
	place_refused(last + PAGE - 7, "across the end");
	place_refused(last + PAGE, "behind the end");
	place_refused(KERNEL, "the kernel's");
	place_refused(UINT64_MAX - 3, "around zero");
	need(vm_deallocate(self, last, PAGE), "the last page to be given back");
	give_back(place, 4);
	give_back(copy, 1);
}

static void wild_allocations(void)
{
	static const struct { vm_address_t address; vm_size_t size; } bad[] = {
		{ VM_MAX_ADDRESS, PAGE }, { KERNEL, PAGE }, { -PAGE, PAGE }, { 0x8000000000000000, PAGE },
		{ VM_MAX_ADDRESS - PAGE, 2 * PAGE }, { PAGE, -PAGE }, { PAGE * 16, VM_MAX_ADDRESS },
		{ WILD, 0xfffffffffffffffe },
	};
	static const vm_size_t sizes[] = { VM_MAX_ADDRESS, 1ul << 47, 1ul << 48, 1ul << 63, -1ul, -PAGE, -PAGE + 1 };
	struct snapshot before;
	unsigned refused = 0;

	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < countof(bad); i++) {
		vm_address_t address = bad[i].address;
		kern_return_t code = vm_allocate(self, &address, bad[i].size, FALSE);

		if (code == KERN_NO_SPACE || code == KERN_INVALID_ADDRESS || code == KERN_INVALID_ARGUMENT)
			refused++;
		else
			diag("%#lx of %#lx bytes: %#x", bad[i].address, bad[i].size, (unsigned)code);
	}
	is(refused, countof(bad), "memory outside the user's addresses is refused");
	refused = 0;
	for (unsigned i = 0; i < countof(sizes); i++) {
		vm_address_t address = 0;
		kern_return_t code = vm_allocate(self, &address, sizes[i], TRUE);

		if (code == KERN_NO_SPACE || code == KERN_INVALID_ADDRESS || code == KERN_INVALID_ARGUMENT)
			refused++;
		else
			diag("%#lx bytes: %#x", sizes[i], (unsigned)code);
	}
	is(refused, countof(sizes), "more memory than there are addresses is refused");
	ok(vm_deallocate(self, KERNEL, PAGE) != KERN_SUCCESS, "the kernel's memory cannot be given back");
	ok(vm_deallocate(self, PAGE, -PAGE) != KERN_SUCCESS, "nor all memory at once by a size that wraps around");
	is_code(vm_allocate(test_thread(), &(vm_address_t){ 0 }, PAGE, TRUE), KERN_INVALID_ARGUMENT,
		"what is no task has no memory");
	snapshot_same(&before, SNAPSHOT_THINGS, "refused allocations leave nothing behind");
}

/* A range given as a whole comes back whatever the order of its pieces. */
static void pieces(void)
{
	enum { COUNT = 12, ROUNDS = 60 };
	struct random random = { .state = 20261121 };
	struct snapshot before;
	unsigned good = 0, exact = 0;

	diag("seed %lu", (unsigned long)random.state);
	snapshot_take(&before, test_ledger());
	for (unsigned round = 0; round < ROUNDS; round++) {
		char *from = pages(COUNT);
		unsigned long left = (1ul << COUNT) - 1;
		bool right = true;

		for (unsigned i = 0; i < COUNT; i++)
			from[i * PAGE] = (char)(i + 1);
		while (left != 0) {
			unsigned first = (unsigned)random_below(&random, COUNT);
			unsigned size = 1 + (unsigned)random_below(&random, 3);

			for (; size > 1 && first + size > COUNT; size--)
				;
			unsigned long piece = ((1ul << size) - 1) << first;

			/* Through holes too, but not where nothing is. */
			right &= vm_deallocate(self, at(from) + first * PAGE, size * PAGE) ==
				 (left & piece ? KERN_SUCCESS : KERN_INVALID_ADDRESS);
			left &= ~piece;
			right &= mapped_are(at(from), COUNT, left);
			for (unsigned i = 0; i < COUNT; i++)
				right &= !(left >> i & 1) || from[i * PAGE] == (char)(i + 1);
		}
		good += right;
		exact += snapshot_equal(&before, SNAPSHOT_THINGS);
	}
	is(good, ROUNDS, "a range can be given back in any pieces, in any order; what is left keeps its bytes");
	is(exact, ROUNDS, "each time all of it comes back");
}

static void across_ranges(void)
{
	char *from = pages(9);
	vm_address_t a;
	struct snapshot before;

	give_back(from, 9);
	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < 9; i += 3) {
		a = at(from) + i * PAGE;
		need(vm_allocate(self, &a, 3 * PAGE, FALSE), "neighbours");
	}
	memset(from, 'n', 9 * PAGE);
	is_code(vm_deallocate(self, at(from) + 2 * PAGE, 5 * PAGE), KERN_SUCCESS,
		"one call can give back parts of neighbours and all between");
	ok(mapped_are(at(from), 9, 0x183), "and no more than that");
	is_code(vm_deallocate(self, at(from), 9 * PAGE), KERN_SUCCESS, "and the rest in another");
	snapshot_same(&before, SNAPSHOT_THINGS, "all comes back");
}

static kern_return_t read_byte(vm_address_t address)
{
	vm_offset_t data = 0;
	mach_msg_type_number_t size = 0;
	kern_return_t code = vm_read(self, address & -PAGE, PAGE, &data, &size);

	if (code == KERN_SUCCESS)
		need(vm_deallocate(self, data, size), "what was read");
	return code;
}

static bool writable(void *address)
{
	mach_port_name_t *place = address;

	/* The trap stores a name; for a right of no kind it only looks at the place. */
	return syscall_mach_port_allocate(self, 99, place) != MACH_SEND_INTERRUPTED;
}

static void protection(void)
{
	char *from = pages(4);
	struct region r;
	struct snapshot before;

	memset(from, 'p', 4 * PAGE);
	snapshot_take(&before, test_ledger());
	is_code(vm_protect(self, at(from) + PAGE, PAGE, FALSE, VM_PROT_READ), KERN_SUCCESS, "a page can be made read-only");
	ok(writable(from) && !writable(from + PAGE) && writable(from + 2 * PAGE), "it alone cannot be written");
	is(from[PAGE], 'p', "it can be read");
	need(region_at(self, at(from) + PAGE, &r), "its region");
	ok(r.address == at(from) + PAGE && r.size == PAGE && r.protection == VM_PROT_READ && r.maximum == VM_PROT_ALL,
	   "vm_region tells of it");
	is_code(vm_protect(self, at(from) + PAGE, PAGE, FALSE, RW), KERN_SUCCESS, "and writable again");
	ok(writable(from + PAGE), "it can be written");
	from[PAGE] = 'q';
	is_code(vm_protect(self, at(from), 4 * PAGE, FALSE, VM_PROT_NONE), KERN_SUCCESS, "memory can be forbidden");
	is_code(read_byte(at(from)), KERN_PROTECTION_FAILURE, "then reading it is a protection failure");
	is_code(vm_write(self, at(from), at(from) & 0, 0), KERN_SUCCESS, "writing nothing to it is allowed");
	{
		char *other = pages(1);

		is_code(vm_write(self, at(from), at(other), PAGE), KERN_PROTECTION_FAILURE, "writing it is one too");
		give_back(other, 1);
	}
	is_code(vm_protect(self, at(from), 4 * PAGE, FALSE, VM_PROT_ALL), KERN_SUCCESS, "and allowed again");
	ok(from[PAGE] == 'q' && from[0] == 'p', "its bytes are there");
	is_code(vm_protect(self, at(from), PAGE, TRUE, VM_PROT_READ), KERN_SUCCESS, "the maximum can be lowered");
	ok(!writable(from), "and the protection with it");
	is_code(vm_protect(self, at(from), PAGE, FALSE, RW), KERN_PROTECTION_FAILURE,
		"the protection cannot exceed the maximum");
	is_code(vm_protect(self, at(from), PAGE, TRUE, VM_PROT_ALL), KERN_PROTECTION_FAILURE,
		"the maximum cannot be raised");
	is_code(vm_protect(self, at(from), 4 * PAGE, FALSE, RW), KERN_PROTECTION_FAILURE,
		"nor by a range of which a part may be written");
	ok(!writable(from), "which changes nothing");
	is_code(vm_protect(self, WILD, PAGE, FALSE, RW), KERN_INVALID_ADDRESS, "memory that is not there has no protection");
	is_code(vm_protect(self, KERNEL, PAGE, FALSE, RW), KERN_INVALID_ADDRESS, "nor has the kernel's");
	ok(vm_protect(self, at(from), PAGE, FALSE, 0x40) != KERN_SUCCESS, "an unknown protection is refused");
	give_back(from, 4);
}

static void inheritance(void)
{
	char *from = pages(4);
	task_t child = MACH_PORT_NULL;
	struct region r;
	vm_offset_t data;
	mach_msg_type_number_t size;
	char *copy;

	memset(from, 'i', 4 * PAGE);
	is_code(vm_inherit(self, at(from), PAGE, VM_INHERIT_SHARE), KERN_SUCCESS, "memory can be shared with children");
	is_code(vm_inherit(self, at(from) + PAGE, PAGE, VM_INHERIT_NONE), KERN_SUCCESS, "or kept from them");
	is_code(vm_inherit(self, at(from), PAGE, 77), KERN_INVALID_ARGUMENT, "an unknown inheritance is refused");
	is_code(vm_inherit(self, WILD, PAGE, VM_INHERIT_NONE), KERN_INVALID_ADDRESS, "so is memory that is not there");
	need(region_at(self, at(from), &r), "a region");
	ok(r.inheritance == VM_INHERIT_SHARE && r.size == PAGE, "vm_region tells of it");
	need(region_at(self, at(from) + 2 * PAGE, &r), "a region");
	is(r.inheritance, VM_INHERIT_COPY, "memory is copied if nothing was said");
	need(task_create(self, TRUE, &child), "a child");
	ok(mapped(child, at(from)) && !mapped(child, at(from) + PAGE) && mapped(child, at(from) + 2 * PAGE),
	   "a child has what is shared and what is copied, not what is kept");
	from[0] = 'S';
	from[2 * PAGE] = 'S';
	need(vm_read(child, at(from), PAGE, &data, &size), "the child's memory");
	is(*(char *)data, 'S', "what the parent writes to shared memory the child sees");
	need(vm_deallocate(self, data, size), "what was read");
	need(vm_read(child, at(from) + 2 * PAGE, PAGE, &data, &size), "the child's memory");
	is(*(char *)data, 'i', "to copied memory it does not");
	need(vm_deallocate(self, data, size), "what was read");
	copy = pages(1);
	memset(copy, 'C', PAGE);
	need(vm_write(child, at(from), at(copy), PAGE), "the child's memory to be written");
	need(vm_write(child, at(from) + 2 * PAGE, at(copy), PAGE), "the child's memory to be written");
	ok(from[0] == 'C' && from[2 * PAGE] == 'S', "and the other way round");
	task_terminate(child);
	mach_port_deallocate(self, child);
	is(from[0], 'C', "shared memory outlives the child");
	give_back(copy, 1);
	give_back(from, 4);
}

static void reading_and_writing(void)
{
	char *from = pages(8);
	task_t child = MACH_PORT_NULL;
	vm_address_t there = 0x10000000;
	vm_offset_t data = 0;
	mach_msg_type_number_t size = 0;

	memset(from, 'f', 8 * PAGE);
	from[8 * PAGE - 1] = 'e';
	need(child_empty(&child, MACH_PORT_NULL), "an empty task");
	is_code(vm_allocate(child, &there, 16 * PAGE, FALSE), KERN_SUCCESS, "another task can be given memory");
	is(there, 0x10000000, "where it is wanted");
	is_code(vm_write(child, there + PAGE, at(from), 8 * PAGE), KERN_SUCCESS, "another task can be written to");
	memset(from, 'g', 8 * PAGE);
	is_code(vm_read(child, there, 10 * PAGE, &data, &size), KERN_SUCCESS, "and read from");
	is(size, 10 * PAGE, "as much as was asked for");
	ok(((char *)data)[0] == 0 && ((char *)data)[PAGE] == 'f' && ((char *)data)[9 * PAGE - 1] == 'e' &&
		   ((char *)data)[9 * PAGE] == 0,
	   "what was written is there, at its place");
	need(vm_deallocate(self, data, size), "what was read");
	is_code(vm_read(child, there + 8, PAGE, &data, &size), KERN_INVALID_ARGUMENT, "a read from within a page is refused");
	is_code(vm_read(child, there, 100, &data, &size), KERN_INVALID_ARGUMENT, "so is one of less than a page");
	is_code(vm_read(child, there + 15 * PAGE, 2 * PAGE, &data, &size), KERN_INVALID_ADDRESS,
		"so is one beyond the memory");
	is_code(vm_read(child, WILD, PAGE, &data, &size), KERN_INVALID_ADDRESS, "or where there is none");
	ok(vm_read(child, KERNEL, PAGE, &data, &size) != KERN_SUCCESS, "or in the kernel");
	ok(vm_read(child, there, -PAGE, &data, &size) != KERN_SUCCESS, "or of all memory");
	is_code(vm_write(child, there + 15 * PAGE, at(from), 2 * PAGE), KERN_INVALID_ADDRESS,
		"a write beyond the memory is refused");
	is_code(vm_write(child, there + 8, at(from), PAGE), KERN_INVALID_ARGUMENT, "so is one within a page");
	is_code(vm_write(child, there, at(from), 100), KERN_INVALID_ARGUMENT, "or of less than one");
	is_code(vm_write(child, KERNEL, at(from), PAGE), KERN_INVALID_ADDRESS, "or to the kernel");
	need(vm_protect(child, there, PAGE, FALSE, VM_PROT_READ), "read-only memory");
	is_code(vm_write(child, there, at(from), PAGE), KERN_PROTECTION_FAILURE, "or to read-only memory");
	is_code(vm_write(child, there, at(from), 2 * PAGE), KERN_PROTECTION_FAILURE, "or partly so");
	need(vm_read(child, there + PAGE, PAGE, &data, &size), "the child's memory");
	is(*(char *)data, 'f', "of which nothing is written");
	need(vm_deallocate(self, data, size), "what was read");
	is_code(vm_read(test_thread(), there, PAGE, &data, &size), KERN_INVALID_ARGUMENT, "what is no task cannot be read");
	task_terminate(child);
	mach_port_deallocate(self, child);
	give_back(from, 8);
}

static void copying(void)
{
	enum { COUNT = 10 };
	char *from = pages(COUNT), *to;
	vm_address_t a, b;
	unsigned good = 0;

	for (unsigned i = 0; i < COUNT; i++)
		from[i * PAGE] = (char)('0' + i);
	to = pages(COUNT);
	is_code(vm_copy(self, at(from), COUNT * PAGE, at(to)), KERN_SUCCESS, "vm_copy copies a range");
	for (unsigned i = 0; i < COUNT; i++)
		good += to[i * PAGE] == (char)('0' + i);
	is(good, COUNT, "all of it");
	to[0] = 'x';
	from[PAGE] = 'y';
	ok(from[0] == '0' && to[PAGE] == '1', "either side is its own afterwards");
	give_back(to, COUNT);
	/* Over neighbours on both sides, with other borders. */
	to = pages(COUNT);
	give_back(to, COUNT);
	a = at(to);
	need(vm_allocate(self, &a, 3 * PAGE, FALSE), "neighbours");
	a = at(to) + 3 * PAGE;
	need(vm_allocate(self, &a, 7 * PAGE, FALSE), "neighbours");
	b = at(from) + 5 * PAGE;
	need(vm_deallocate(self, b, 5 * PAGE), "a half");
	need(vm_allocate(self, &b, 5 * PAGE, FALSE), "neighbours");
	for (unsigned i = 0; i < COUNT; i++)
		from[i * PAGE] = (char)('a' + i);
	is_code(vm_copy(self, at(from) + PAGE, 8 * PAGE, at(to) + PAGE), KERN_SUCCESS,
		"over several ranges on either side too");
	good = to[0] == 0 && to[9 * PAGE] == 0;
	for (unsigned i = 1; i < 9; i++)
		good += to[i * PAGE] == (char)('a' + i);
	is(good, 9, "all of it and no more");
	is_code(vm_copy(self, at(from), 6 * PAGE, at(from) + 2 * PAGE), KERN_SUCCESS, "ranges may overlap upwards");
	good = 0;
	for (unsigned i = 0; i < 6; i++)
		good += from[(i + 2) * PAGE] == (char)('a' + i);
	is(good, 6, "the source as it was is copied");
	is_code(vm_copy(self, at(from) + 2 * PAGE, 6 * PAGE, at(from)), KERN_SUCCESS, "and downwards");
	good = 0;
	for (unsigned i = 0; i < 6; i++)
		good += from[i * PAGE] == (char)('a' + i);
	is(good, 6, "the same");
	is_code(vm_copy(self, at(from), 2 * PAGE, at(from)), KERN_SUCCESS, "a range can be copied to itself");
	ok(from[0] == 'a' && from[PAGE] == 'b', "and stays as it is");
	is_code(vm_copy(self, at(from), PAGE, WILD), KERN_INVALID_ADDRESS, "the destination must be there");
	is_code(vm_copy(self, WILD, PAGE, at(to)), KERN_INVALID_ADDRESS, "and the source");
	is_code(vm_copy(self, at(from) + 1, PAGE, at(to)), KERN_INVALID_ARGUMENT, "at a page");
	is_code(vm_copy(self, at(from), PAGE, at(to) + 1), KERN_INVALID_ARGUMENT, "both");
	is_code(vm_copy(self, at(from), PAGE + 1, at(to)), KERN_INVALID_ARGUMENT, "of whole pages");
	need(vm_protect(self, at(to), PAGE, FALSE, VM_PROT_READ), "read-only memory");
	is_code(vm_copy(self, at(from), 2 * PAGE, at(to)), KERN_PROTECTION_FAILURE, "and writable");
	need(vm_protect(self, at(from), PAGE, FALSE, VM_PROT_NONE), "forbidden memory");
	is_code(vm_copy(self, at(from), PAGE, at(to) + 2 * PAGE), KERN_PROTECTION_FAILURE, "or readable");
	give_back(from, COUNT);
	give_back(to, COUNT);
}

static void mapping(void)
{
	vm_address_t a = 0, b;
	struct region r;

	is_code(vm_map(self, &a, 2 * PAGE, 0xffff, TRUE, MACH_PORT_NULL, 0, FALSE, VM_PROT_READ, RW, VM_INHERIT_NONE),
		KERN_SUCCESS, "memory with a mask can be mapped");
	is(a & 0xffff, 0, "at an address without the mask's bits");
	need(region_at(self, a, &r), "its region");
	ok(r.size == 2 * PAGE && r.protection == VM_PROT_READ && r.maximum == RW && r.inheritance == VM_INHERIT_NONE,
	   "with the protections and inheritance given");
	is(*(char *)a, 0, "zero-filled");
	b = a + 5;
	is_code(vm_map(self, &b, PAGE, 0, FALSE, MACH_PORT_NULL, 0, FALSE, RW, RW, VM_INHERIT_COPY), KERN_NO_SPACE,
		"what is taken is not mapped over");
	need(vm_deallocate(self, a, 2 * PAGE), "memory");
	b = a + PAGE;
	is_code(vm_map(self, &b, PAGE, 0xffff, FALSE, MACH_PORT_NULL, 0, FALSE, RW, RW, VM_INHERIT_COPY), KERN_NO_SPACE,
		"an address with the mask's bits is no place");
	b = 0;
	is_code(vm_map(self, &b, PAGE, 0x3fffffff, TRUE, MACH_PORT_NULL, 0, FALSE, RW, RW, VM_INHERIT_COPY), KERN_SUCCESS,
		"a gigabyte's alignment can be had");
	is(b & 0x3fffffff, 0, "and is");
	need(vm_deallocate(self, b, PAGE), "memory");
	b = 0;
	is_code(vm_map(self, &b, PAGE, 0, TRUE, MACH_PORT_NULL, 0, FALSE, VM_PROT_ALL, VM_PROT_READ, VM_INHERIT_COPY),
		KERN_INVALID_ARGUMENT, "more protection than the maximum is refused");
	is_code(vm_map(self, &b, PAGE, 0, TRUE, MACH_PORT_NULL, 0, FALSE, RW, RW, 55), KERN_INVALID_ARGUMENT,
		"so is an unknown inheritance");
	is_code(vm_map(self, &b, PAGE, 0, TRUE, MACH_PORT_NULL, 0, FALSE, 0x80, 0x80, VM_INHERIT_COPY),
		KERN_INVALID_ARGUMENT, "so is an unknown protection");
	is_code(vm_map(self, &b, PAGE, ~0ul, TRUE, MACH_PORT_NULL, 0, FALSE, RW, RW, VM_INHERIT_COPY), KERN_NO_SPACE,
		"a mask of all bits leaves no place");
	ok(vm_map(self, &b, PAGE, 0, TRUE, test_thread(), 0, FALSE, RW, RW, VM_INHERIT_COPY) != KERN_SUCCESS,
	   "a port that is no memory cannot be mapped");
	is_code(syscall_vm_map(self, &b, 3 * PAGE, 0, TRUE, 0, 0, FALSE, RW, RW, VM_INHERIT_COPY), KERN_SUCCESS,
		"the trap maps too");
	*(char *)b = 1;
	is_code(syscall_vm_deallocate(self, b, 3 * PAGE), KERN_SUCCESS, "and gives back");
}

static void walking(void)
{
	static const vm_prot_t protections[] = { RW, VM_PROT_READ, VM_PROT_ALL, VM_PROT_NONE };
	vm_address_t end = 0;
	struct region r;
	unsigned good = 0, regions = 0;
	uint64_t total = 0;
	task_t child = MACH_PORT_NULL;

	need(child_empty(&child, MACH_PORT_NULL), "an empty task");
	is_code(region_at(child, 0, &r), KERN_NO_SPACE, "an empty task has no regions");
	for (unsigned i = 0; i < countof(protections); i++) {
		vm_address_t a = (i + 1) * 0x100000000 + (i & 1) * PAGE;

		need(vm_map(child, &a, (i + 1) * PAGE, 0, FALSE, 0, 0, FALSE, protections[i], VM_PROT_ALL,
			    VM_INHERIT_COPY), "a region");
	}
	while (region_at(child, end, &r) == KERN_SUCCESS && r.address >= end && r.size > 0 && regions < 100) {
		good += regions < countof(protections) && r.protection == protections[regions] &&
			r.size == (regions + 1) * PAGE;
		regions++;
		total += r.size;
		end = r.address + r.size;
	}
	is(regions, countof(protections), "an address space can be walked through");
	is(good, countof(protections), "every region is met once, in order, as it is");
	is(total, 10 * PAGE, "with its size");
	is_code(region_at(child, end, &r), KERN_NO_SPACE, "behind the last region there is none");
	is_code(region_at(child, -1ul, &r), KERN_NO_SPACE, "at the end of all addresses there is none");
	need(region_at(child, 0x200000000 + 2 * PAGE, &r), "a region");
	is(r.address, 0x200000000 + PAGE, "an address within a region finds it from its start");
	task_terminate(child);
	mach_port_deallocate(self, child);
}

static void size_limits(void)
{
	task_t child = MACH_PORT_NULL, grandchild = MACH_PORT_NULL;
	vm_size_t current = 0, max = 0;
	vm_address_t a = 0;
	mach_port_t host = mach_host_self(), host_priv = test_host_priv();

	need(child_empty(&child, MACH_PORT_NULL), "an empty task");
	is_code(vm_get_size_limit(child, &current, &max), KERN_SUCCESS, "the size limits can be asked for");
	ok(current >= 1ul << 40 && max >= current, "at first there is none");
	is_code(vm_set_size_limit(host, child, 8 * PAGE, 16 * PAGE), KERN_SUCCESS, "anyone may lower them");
	vm_get_size_limit(child, &current, &max);
	ok(current == 8 * PAGE && max == 16 * PAGE, "and they are");
	is_code(vm_allocate(child, &a, 8 * PAGE, TRUE), KERN_SUCCESS, "memory up to the limit can be had");
	is_code(vm_allocate(child, &(vm_address_t){ 0 }, PAGE, TRUE), KERN_NO_SPACE, "more cannot");
	is_code(vm_map(child, &(vm_address_t){ 0 }, PAGE, 0, TRUE, 0, 0, FALSE, RW, RW, 1), KERN_NO_SPACE, "nor mapped");
	is_code(vm_map(child, &(vm_address_t){ 0 }, PAGE, 0, TRUE, 0, 0, FALSE, 0, 0, 1), KERN_SUCCESS,
		"what can never be touched does not count");
	is_code(vm_set_size_limit(host, child, 16 * PAGE, 16 * PAGE), KERN_SUCCESS, "up to the maximum it can be raised");
	is_code(vm_allocate(child, &(vm_address_t){ 0 }, 8 * PAGE, TRUE), KERN_SUCCESS, "and used");
	is_code(vm_set_size_limit(host, child, 16 * PAGE, 32 * PAGE), KERN_NO_ACCESS, "the maximum cannot be raised");
	is_code(vm_set_size_limit(host_priv, child, 16 * PAGE, 32 * PAGE), KERN_SUCCESS,
		"but by the privileged host port");
	is_code(vm_set_size_limit(host_priv, child, 33 * PAGE, 32 * PAGE), KERN_INVALID_ARGUMENT,
		"the limit cannot exceed the maximum");
	is_code(vm_set_size_limit(test_thread(), child, PAGE, PAGE), KERN_INVALID_HOST, "a port that is no host is refused");
	vm_get_size_limit(child, &current, &max);
	ok(current == 16 * PAGE && max == 32 * PAGE, "what was refused changed nothing");
	need(task_create(child, TRUE, &grandchild), "a grandchild");
	vm_get_size_limit(grandchild, &current, &max);
	ok(current == 16 * PAGE && max == 32 * PAGE, "children inherit the limits");
	is_code(vm_deallocate(child, a, PAGE), KERN_SUCCESS, "a page is given back");
	is_code(vm_allocate(child, &(vm_address_t){ 0 }, PAGE, TRUE), KERN_SUCCESS, "and can be had again");
	task_terminate(grandchild);
	task_terminate(child);
	mach_port_deallocate(self, grandchild);
	mach_port_deallocate(self, child);
	mach_port_deallocate(self, host);
}

/* --- copy on write between tasks --- */

struct writer {
	uint32_t step;
	char *memory;
	unsigned right;
};

enum { COW_PAGES = 64 };

static void writer_main(void *argument)
{
	struct writer *w = argument;

	for (unsigned i = 0; i < COW_PAGES; i++)
		w->right += w->memory[i * PAGE] == 'c';
	for (unsigned i = 0; i < COW_PAGES / 2; i++)
		w->memory[i * PAGE] = 'w';
	word_post(&w->step, 1);
	word_await(&w->step, 2, PATIENCE_MS);
	for (unsigned i = 0; i < COW_PAGES; i++)
		w->right += w->memory[i * PAGE] == (i < COW_PAGES / 2 ? 'w' : 'c');
	word_post(&w->step, 3);
	word_await(&w->step, 4, PATIENCE_MS);
}

static void copy_on_write(void)
{
	struct writer *w = shared_alloc(sizeof *w);
	uint64_t before, now;
	struct child child;
	unsigned good = 0;

	w->memory = pages(COW_PAGES);
	memset(w->memory, 'c', COW_PAGES * PAGE);
	before = user_pages();
	need(child_start(&child, writer_main, w, NULL), "a child");
	ok(word_await(&w->step, 1, PATIENCE_MS), "a child runs on a copy of our memory");
	now = user_pages();
	is_between(now - before, COW_PAGES / 2, COW_PAGES / 2 + 24, "of which only what it writes is copied");
	for (unsigned i = 0; i < COW_PAGES; i++)
		good += w->memory[i * PAGE] == 'c';
	is(good, COW_PAGES, "we do not see what it writes");
	memset(w->memory, 'P', COW_PAGES * PAGE);
	word_post(&w->step, 2);
	ok(word_await(&w->step, 3, PATIENCE_MS), "it goes on");
	is(w->right, 2 * COW_PAGES, "it does not see what we write");
	child_finish(&child);
	is_between(user_pages(), before, before + 4, "with its end all copies come back");
	give_back(w->memory, COW_PAGES);
	shared_free(w, sizeof *w);
}

/* Each generation is a copy of the one before, which then changes a page and dies. */
static void generations(void)
{
	enum { GENERATIONS = 100, COUNT = 8 };
	char *from = pages(COUNT);
	task_t task = MACH_PORT_NULL, next = MACH_PORT_NULL;
	vm_address_t there = at(from);
	uint64_t before = user_pages(), peak = 0, objects_peak = 0, objects = used_now(test_ledger(), LEDGER_OBJECTS);
	unsigned good = 0;
	vm_offset_t data;
	mach_msg_type_number_t size;
	char *page = pages(1);

	for (unsigned i = 0; i < COUNT; i++)
		from[i * PAGE] = 'A';
	need(task_create(self, TRUE, &task), "a first generation");
	for (unsigned i = 0; i < GENERATIONS; i++) {
		uint64_t used, held;

		page[0] = (char)('a' + i % 26);
		need(vm_write(task, there + i % COUNT * PAGE, at(page), PAGE), "a page of a generation");
		need(task_create(task, TRUE, &next), "a generation");
		task_terminate(task);
		mach_port_deallocate(self, task);
		task = next;
		used = user_pages();
		held = used_now(test_ledger(), LEDGER_OBJECTS);
		peak = used > peak ? used : peak;
		objects_peak = held > objects_peak ? held : objects_peak;
	}
	need(vm_read(task, there, COUNT * PAGE, &data, &size), "the last generation's memory");
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned last = GENERATIONS - 1;

		while (last % COUNT != i)
			last--;
		good += ((char *)data)[i * PAGE] == (char)('a' + last % 26);
	}
	is(good, COUNT, "a hundred generations later each page is what it was last made");
	need(vm_deallocate(self, data, size), "what was read");
	is_between(peak - before, 0, 80, "the generations' dead leave no pages behind");
	is_between(objects_peak - objects, 0, 60, "nor objects");
	is(from[0], 'A', "the first ancestor's memory is as it was");
	task_terminate(task);
	mach_port_deallocate(self, task);
	give_back(from, COUNT);
	give_back(page, 1);
}

/* A tree of tasks that all live: each sees its own. */
static void family(void)
{
	enum { TASKS = 20 };
	char *from = pages(2), *page = pages(1);
	task_t tasks[TASKS];
	unsigned good = 0;

	from[0] = from[PAGE] = 'r';
	for (unsigned i = 0; i < TASKS; i++) {
		need(task_create(i == 0 ? self : tasks[(i - 1) / 2], TRUE, &tasks[i]), "a task of a family");
		page[0] = (char)('a' + i);
		need(vm_write(tasks[i], at(from), at(page), PAGE), "its own page");
	}
	from[PAGE] = 'R';
	for (unsigned i = TASKS; i-- > 0;) {
		vm_offset_t data;
		mach_msg_type_number_t size;

		need(vm_read(tasks[i], at(from), 2 * PAGE, &data, &size), "its memory");
		good += ((char *)data)[0] == (char)('a' + i) && ((char *)data)[PAGE] == 'r';
		need(vm_deallocate(self, data, size), "what was read");
	}
	is(good, TASKS, "in a tree of twenty living tasks each has its own page, and the common one as it was");
	for (unsigned i = 0; i < TASKS; i++) {
		task_terminate(tasks[i * 7 % TASKS]);
		mach_port_deallocate(self, tasks[i * 7 % TASKS]);
	}
	give_back(from, 2);
	give_back(page, 1);
}

#define TABLE_PAGES	512u		/* pages that one page table maps */

/* What is given back from one page table into the next, both just used, is gone from both. */
static void across_tables(void)
{
	static const unsigned counts[] = { 2, 3, 40, TABLE_PAGES, TABLE_PAGES + 1 };
	char *all = pages(4 * TABLE_PAGES);
	/* The first page of a table, with one before it. */
	char *edge = (char *)((at(all) / (TABLE_PAGES * PAGE) + 1) * TABLE_PAGES * PAGE);

	for (unsigned i = 0; i < countof(counts); i++) {
		vm_address_t from = at(edge) - PAGE;
		vm_size_t size = counts[i] * PAGE;
		volatile char *first = edge - PAGE, *last = first + size - PAGE;

		*first = *last = 1;
		need(vm_deallocate(self, from, size), "pages of two tables to be given back");
		need(vm_allocate(self, &from, size, FALSE), "the same range");
		ok(*first == 0 && *last == 0, "%u pages across the edge of a page table are new after they were given back",
		   counts[i]);
	}
	give_back(all, 4 * TABLE_PAGES);
	ok(books_agree(), "and the books agree");
}

/* -- names of objects -- */

#define NAMED_PAGES	8

static void name_unused(void)
{
	uint64_t ports = used_now(test_ledger(), LEDGER_PORTS);
	vm_address_t memory = 0, address;
	vm_size_t size;
	vm_prot_t protection, maximum;
	vm_inherit_t inheritance;
	boolean_t shared;
	mach_port_t first, second;
	vm_offset_t offset;

	need(vm_allocate(self, &memory, vm_page_size, TRUE), "memory");
	need(memory_touch(memory, vm_page_size), "memory");
	address = memory;
	need(vm_region(self, &address, &size, &protection, &maximum, &inheritance, &shared, &first, &offset), "vm_region");
	need(vm_region(self, &address, &size, &protection, &maximum, &inheritance, &shared, &second, &offset), "vm_region");
	is(first, second, "an object that is named has one name");
	is(used_now(test_ledger(), LEDGER_PORTS), ports + 1, "which is a port");
	give_back_right(first);
	is(used_now(test_ledger(), LEDGER_PORTS), ports + 1, "it is there while it is held");
	give_back_right(second);
	is(used_now(test_ledger(), LEDGER_PORTS), ports, "and goes with the last right to it");
	need(vm_region(self, &address, &size, &protection, &maximum, &inheritance, &shared, &first, &offset), "vm_region");
	ok(port_type(first) == MACH_PORT_TYPE_SEND, "it may be named again");
	give_back_memory(memory, vm_page_size);
	ok(port_type(first) == MACH_PORT_TYPE_DEAD_NAME, "and the name dies with the object");
	give_back_right(first);
}

static void do_nothing(void *argument)
{
	(void)argument;
}

/* When its parent has a shadow of its own, the child pays for the object that both see, and for its name. When the child ends
   the object is left to the parent. */
static void name_of_left_object(void)
{
	struct child_options options = { .suspended = true };
	vm_address_t memory = 0, address;
	struct snapshot before;
	struct child child;
	vm_size_t size;
	vm_prot_t protection, maximum;
	vm_inherit_t inheritance;
	boolean_t shared;
	mach_port_t name;
	vm_offset_t offset;

	need(vm_allocate(self, &memory, NAMED_PAGES * vm_page_size, TRUE), "memory");
	need(memory_touch(memory, NAMED_PAGES * vm_page_size), "memory");
	snapshot_take(&before, test_ledger());
	options.ledger = ledger_new(test_ledger(), "namer");
	need(child_start(&child, do_nothing, NULL, &options), "a child");
	*(volatile char *)memory = 1;
	address = memory;
	need(vm_region(child.task, &address, &size, &protection, &maximum, &inheritance, &shared, &name, &offset), "vm_region");
	child_finish(&child);
	ledger_terminate(options.ledger);
	give_back_right(options.ledger);
	ok(port_type(name) == MACH_PORT_TYPE_SEND, "an object's name outlives him who paid for it");
	snapshot_settles(&before, 1u << LEDGER_LEDGERS | 1u << LEDGER_TASKS, "but his ledger does not");
	give_back_right(name);
	give_back_memory(memory, NAMED_PAGES * vm_page_size);
	snapshot_settles(&before, 1u << LEDGER_PORTS | SNAPSHOT_NAMES_HERE, "and the name goes in the end");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	allocation();
	places_of_addresses();
	wild_allocations();
	pieces();
	across_ranges();
	across_tables();
	protection();
	inheritance();
	reading_and_writing();
	copying();
	mapping();
	walking();
	size_limits();
	copy_on_write();
	generations();
	family();
	name_unused();
	name_of_left_object();
	return done_testing();
}
