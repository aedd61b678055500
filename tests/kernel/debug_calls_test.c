/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the debugging calls tell of kernel objects: which are the same, and never where they lie.
 * RUN: in root debug_calls_test
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach_debug/mach_debug.h>
#include <mach_debug_user.h>
#include <weir_user.h>
#include "child.h"
#include "tap.h"

#define KERNEL_ADDRESSES	0xffff800000000000	/* and above */
#define NAME_THERE	0x4711

/* That a number may be told: by chance one in 131072 is as large as a kernel address. */
static bool told(uint64_t number)
{
	return number != 0 && number < KERNEL_ADDRESSES;
}

static uint64_t object_behind(task_t task, mach_port_name_t name, unsigned *type)
{
	vm_offset_t object = 0;

	*type = 0;
	need(mach_port_kernel_object(task, name, type, &object), "the object behind a port");
	return object;
}

static void test_ports(void)
{
	mach_port_t self = mach_task_self(), host = mach_host_self(), port;
	unsigned type, type_there;
	uint64_t task, thread, there;
	task_t other;

	need(child_empty(&other, MACH_PORT_NULL), "a task");
	need(mach_port_insert_right(other, NAME_THERE, self, MACH_MSG_TYPE_COPY_SEND), "a right in it");
	need(mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	task = object_behind(self, self, &type);
	there = object_behind(other, NAME_THERE, &type_there);
	thread = object_behind(self, test_thread(), &type);
	ok(told(task), "a task behind its port is a number, no kernel address (%#lx)", task);
	is(there, task, "it is the same by whatever name");
	is(object_behind(self, self, &type_there), task, "and at any time");
	ok(told(thread) && thread != task, "a thread is another");
	ok(told(object_behind(self, host, &type)), "a host is one");
	ok(object_behind(self, other, &type_there) != task, "another task is another");
	is(object_behind(self, port, &type), 0, "behind an ordinary port there is nothing");
	mach_port_mod_refs(self, port, MACH_PORT_RIGHT_RECEIVE, -1);
	mach_port_deallocate(self, host);
	task_terminate(other);
	mach_port_deallocate(self, other);
}

/* The object's number by the region and by its own name. */
static uint64_t memory_behind(task_t task, vm_address_t address)
{
	mach_port_t object = MACH_PORT_NULL, shadow = MACH_PORT_NULL, copy = MACH_PORT_NULL;
	vm_region_info_t region;
	vm_object_info_t info;

	need(mach_vm_region_info(task, address, &region, &object), "a region");
	need(mach_vm_object_info(object, &info, &shadow, &copy), "its object");
	is(info.voi_object, region.vri_object, "a region's object is what it calls itself");
	ok(shadow == MACH_PORT_NULL ? info.voi_shadow == 0 : told(info.voi_shadow),
	   "so is what it is a shadow of, if there is one");
	give_back_right(object);
	give_back_right(shadow);
	return region.vri_object;
}

static void test_memory(void)
{
	volatile char *shared = shared_alloc(vm_page_size);
	vm_address_t own = 0, address = (vm_address_t)shared;
	uint64_t number, there;
	task_t other;

	*shared = 1;
	need(vm_allocate(mach_task_self(), &own, vm_page_size, TRUE), "memory");
	*(volatile char *)own = 1;
	need(task_create(mach_task_self(), TRUE, &other), "a task with the same memory");
	number = memory_behind(mach_task_self(), address);
	there = memory_behind(other, address);
	ok(told(number), "a memory object is a number, no kernel address (%#lx)", number);
	is(there, number, "shared memory is the same object");
	ok(memory_behind(mach_task_self(), own) != number, "other memory is another");
	task_terminate(other);
	mach_port_deallocate(mach_task_self(), other);
	give_back_memory(own, vm_page_size);
	shared_free((void *)shared, vm_page_size);
}

static void test_denials(void)
{
	struct ledger_denial one, two, *all;
	mach_msg_type_number_t count;
	ledger_t ledger, child;

	need(ledger_create(test_ledger(), "none", &ledger), "a ledger");
	need(ledger_set_limit(ledger, LEDGER_LEDGERS, 0), "a limit");
	for (unsigned i = 0; i < 2; i++) {
		is_code(ledger_create(ledger, "child", &child), KERN_RESOURCE_SHORTAGE, "it denies a child");
		need(ledger_last_denial(test_thread(), i == 0 ? &one : &two), "the denial");
	}
	ok(told(one.site), "a denial's site is a number, no kernel address (%#lx)", one.site);
	is(two.site, one.site, "the same for the same site");
	need(ledger_denials(test_host_priv(), &all, &count), "all denials");
	is(all[count - 1].site, one.site, "in the list of all, too");
	give_back_memory((vm_address_t)all, count * sizeof *all);
	ledger_terminate(ledger);
	give_back_right(ledger);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 30);
	test_ports();
	test_memory();
	test_denials();
	return done_testing();
}
