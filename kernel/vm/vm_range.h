/* SPDX-License-Identifier: BSD-2-Clause */
/* vm_deallocate, for its trap too: it may pause. */
#ifndef VM_VM_RANGE_H
#define VM_VM_RANGE_H
#include "kern/pause.h"
#include "vm/map.h"

kern_return_t vm_range_deallocate_long(struct vm_map *map, uint64_t address, uint64_t size, bool by_trap);
/* Of the current thread, by its trap or a message, to be answered behind a pause: then KERN_BLOCKED. Else as
   vm_map_deallocate. */
static inline kern_return_t vm_range_deallocate(struct vm_map *map, uint64_t address, uint64_t size, bool by_trap)
{
	return pause_large(size) ? vm_range_deallocate_long(map, address, size, by_trap) : vm_map_deallocate(map, address, size);
}

#endif
