/* SPDX-License-Identifier: BSD-2-Clause */
/* Making memory present with a return code instead of an exception. */
#include <mach/mach_init.h>

#define NO_SUCH_RIGHT	((mach_port_right_t) 99)

/*
 * A trap that returns a name makes its place in our memory present and writable
 * before it looks at anything else. Asked for a right of no known kind it then
 * changes nothing. MACH_SEND_INTERRUPTED tells that the place could not be had.
 */
kern_return_t memory_touch(vm_address_t address, vm_size_t size)
{
	vm_address_t end = round_page(address + size);

	for (address = trunc_page(address); address < end; address += vm_page_size) {
		mach_port_name_t *place = (mach_port_name_t *)address;

		if (syscall_mach_port_allocate(mach_task_self(), NO_SUCH_RIGHT, place) ==
		    MACH_SEND_INTERRUPTED)
			return KERN_RESOURCE_SHORTAGE;
	}
	return KERN_SUCCESS;
}

kern_return_t memory_allocate(vm_address_t *address, vm_size_t size)
{
	kern_return_t code;

	size = round_page(size);
	code = syscall_vm_allocate(mach_task_self(), address, size, TRUE);
	if (code == MACH_SEND_INTERRUPTED)
		code = KERN_RESOURCE_SHORTAGE;
	if (code != KERN_SUCCESS)
		return code;
	code = memory_touch(*address, size);
	if (code != KERN_SUCCESS)
		give_back_memory(*address, size);
	return code;
}
