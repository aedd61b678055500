/* SPDX-License-Identifier: BSD-2-Clause */
/* The device master port for tests: their own, or a copy of the console's. */
#include "master.h"
#include <string.h>
#include <device/device.h>
#include <device/device_types.h>
#include <mach.h>
#include <mach_debug/mach_debug.h>
#include <weir_user.h>
#include "tap.h"

/* A copy of a task's right, if it is the device master port. */
static bool is_master(task_t task, mach_port_name_t name, mach_port_t *master)
{
	mach_msg_type_name_t type;
	unsigned kind = 0;
	vm_offset_t object;
	device_t opened;

	if (mach_port_kernel_object(task, name, &kind, &object) != KERN_SUCCESS || kind == 0 ||
	    mach_port_extract_right(task, name, MACH_MSG_TYPE_COPY_SEND, master, &type) != KERN_SUCCESS)
		return false;
	if (device_open(*master, D_READ, "time", &opened) == KERN_SUCCESS) {
		device_close(opened);
		mach_port_deallocate(mach_task_self(), opened);
		return true;
	}
	mach_port_deallocate(mach_task_self(), *master);
	return false;
}

/* The console has one: it was given to it at boot. */
static bool master_of(task_t task, mach_port_t *master)
{
	mach_port_name_array_t names = NULL;
	mach_port_type_array_t types = NULL;
	mach_msg_type_number_t count = 0, type_count = 0;
	bool found = false;

	need(mach_port_names(task, &names, &count, &types, &type_count), "the names of a task");
	for (unsigned i = 0; i < count && !found; i++)
		found = (types[i] & MACH_PORT_TYPE_SEND) && is_master(task, names[i], master);
	give_back_memory((vm_address_t)names, count * sizeof *names);
	give_back_memory((vm_address_t)types, type_count * sizeof *types);
	return found;
}

mach_port_t master_port_get(void)
{
	mach_port_t master = test_device_master();
	weir_task_info_array_t tasks = NULL;
	mach_msg_type_number_t count = 0;
	bool found = master != MACH_PORT_NULL;

	if (found)
		return master;
	need(weir_task_list(test_host_priv(), &tasks, &count), "the machine's tasks");
	for (unsigned i = 0; i < count && !found; i++) {
		task_t task = MACH_PORT_NULL;

		if (strcmp(tasks[i].name, "bootstrap") != 0)
			continue;
		need(weir_task_by_id(test_host_priv(), tasks[i].id, &task), "the console's task");
		found = master_of(task, &master);
		mach_port_deallocate(mach_task_self(), task);
	}
	give_back_memory((vm_address_t)tasks, count * sizeof *tasks);
	if (!found)
		give_up("the device master port is the console's");
	return master;
}

void master_port_put(mach_port_t master)
{
	if (test_device_master() == MACH_PORT_NULL)
		mach_port_deallocate(mach_task_self(), master);
}
