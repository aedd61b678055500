/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on memory, all of them in arenas. */
#include <mach4_user.h>
#include <mach/gsync.h>
#include <mach/vm_attributes.h>
#include <mach/vm_sync.h>
#include "chaos.h"

static vm_prot_t some_protection(struct worker *worker)
{
	return one_in(worker, 3) ? (vm_prot_t)below(worker, 8) : VM_PROT_READ | VM_PROT_WRITE;
}

static void map(struct worker *worker, task_t task)
{
	vm_address_t address = some_address(worker) & ~4095ull;
	mach_port_t object = one_in(worker, 3) ? some_slot(worker, SLOT_MEMORY, 1) : MACH_PORT_NULL;

	vm_map(task, &address, some_size(worker), one_in(worker, 8) ? 0xffff : 0, one_in(worker, 10), object,
	       one_in(worker, 4) ? below(worker, 4) * 4096 : 0, one_in(worker, 2), some_protection(worker),
	       one_in(worker, 4) ? some_protection(worker) : VM_PROT_ALL, (vm_inherit_t)below(worker, 3));
}

static void allocate(struct worker *worker, task_t task)
{
	vm_address_t address = some_address(worker) & ~4095ull;

	if (one_in(worker, 2))
		vm_deallocate(task, address, some_size(worker));
	vm_allocate(task, &address, some_size(worker), FALSE);
}

/* The names of the objects below, to be mapped. */
static void look(struct worker *worker, task_t task)
{
	vm_address_t address = some_address(worker);
	vm_size_t size;
	vm_prot_t protection, maximum;
	vm_inherit_t inheritance;
	boolean_t shared;
	mach_port_t object = MACH_PORT_NULL;
	vm_offset_t offset;

	if (vm_region(task, &address, &size, &protection, &maximum, &inheritance, &shared, &object, &offset) != KERN_SUCCESS)
		return;
	if (one_in(worker, 3))
		vm_object_sync(object, 0, size, TRUE, TRUE, FALSE);
	keep_name(worker, object);
	if (one_in(worker, 3) && vm_region_create_proxy(task, some_address(worker), some_protection(worker), some_size(worker),
							&object) == KERN_SUCCESS)
		keep_name(worker, object);
}

static void transfer(struct worker *worker, task_t task)
{
	mach_msg_type_number_t n = 0;
	vm_offset_t data = 0;

	if (one_in(worker, 2)) {
		if (vm_read(task, some_address(worker) & ~4095ull, some_size(worker), &data, &n) == KERN_SUCCESS)
			keep_region(worker, data, n);
	} else {
		vm_write(task, some_address(worker) & ~4095ull, some_address(worker), (mach_msg_type_number_t)some_size(worker));
	}
}

static void synchronise(struct worker *worker, task_t task)
{
	vm_address_t address = some_address(worker) & ~3ull;
	int flags = (int)below(worker, 32);

	switch (below(worker, 3)) {
	case 0:
		gsync_wait(task, address, one_in(worker, 2) ? 0 : (unsigned)some_word(worker), 0, (natural_t)below(worker, 4),
			   flags | (one_in(worker, 20) ? 0 : GSYNC_TIMED));
		break;
	case 1: gsync_wake(task, address, 0, flags); break;
	default: gsync_requeue(task, address, some_address(worker) & ~3ull, one_in(worker, 2), flags); break;
	}
}

void memory_operation(struct worker *worker)
{
	task_t task = one_in(worker, 4) ? some_task(worker) : mach_task_self();
	vm_address_t address = some_address(worker), page = address & ~4095ull;
	vm_machine_attribute_val_t value = (vm_machine_attribute_val_t)below(worker, 9);
	vm_size_t size = some_size(worker);

	switch (below(worker, 20)) {
	case 0: case 1: case 2: allocate(worker, task); break;
	case 3: vm_deallocate(task, page, size); break;
	case 4: case 5: map(worker, task); break;
	case 6: vm_protect(task, address, size, one_in(worker, 10), some_protection(worker)); break;
	case 7: vm_inherit(task, address, size, (vm_inherit_t)below(worker, 4)); break;
	case 8: case 9: vm_copy(task, page, size & ~4095ull, some_address(worker) & ~4095ull); break;
	case 10: case 11: transfer(worker, task); break;
	case 12: look(worker, task); break;
	case 13: vm_machine_attribute(task, address, size, (vm_machine_attribute_t)below(worker, 5), &value); break;
	case 14: vm_msync(task, address, size, (vm_sync_t)below(worker, 8)); break;
	case 15: *(volatile uint64_t *)(address & ~7ull) = below(worker, 1000); break;
	case 16: (void)*(volatile uint64_t *)(address & ~7ull); break;
	case 17:
		if (one_in(worker, 4))
			vm_wire(HOST_PRIV_NAME, task, page, size & 0xffff, (vm_prot_t)below(worker, 8));
		break;
	default: synchronise(worker, task); break;
	}
}
