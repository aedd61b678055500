/* SPDX-License-Identifier: BSD-2-Clause */
/* User memory: copyin and copyout; and regions in transit (out-of-line memory). */
#ifndef VM_COPY_H
#define VM_COPY_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/kern_return.h>
#include <mach/vm_param.h>
#include "vm/map.h"

/* Copies size bytes from a user address of map into the kernel; faults pages in. Works for the
   current map (fast) and for others (page by page through the direct map). KERN_SUCCESS,
   KERN_INVALID_ADDRESS, KERN_PROTECTION_FAILURE, KERN_RESOURCE_SHORTAGE. */
kern_return_t copyin(struct vm_map *map, void *to, uint64_t from, uint64_t size);
/* A C string of at most max bytes with its NUL; KERN_INVALID_ARGUMENT when longer. */
kern_return_t copyin_string(struct vm_map *map, char *to, uint64_t from, uint64_t max);
/* Makes [to, to + size) present and writable, charged to the map's payer. After it, copyout of that
   range under the same hold of the lock cannot fail. */
kern_return_t copyout_prepare(struct vm_map *map, uint64_t to, uint64_t size);
void copyout(struct vm_map *map, uint64_t to, const void *from, uint64_t size);

/* A region in transit: a chain of entries in no map, paid by the sender's ledger until received. It is its
   first entry, which knows about all. */
struct vm_copy {
	struct vm_entry first;
};
/* Pages that the region takes in an address space. */
static inline uint64_t vm_copy_pages(const struct vm_copy *copy)
{
	return round_page(copy->first.page_offset + copy->first.size) >> PAGE_SHIFT;
}
/* Takes a copy of [address, size) of map: copy on write, no page copied but unaligned ends (whose
   foreign bytes are zeroed). The copy and its entries are charged to payer. destroy: the source
   range is deallocated on success (move). size 0 gives *copy NULL. KERN_INVALID_ADDRESS,
   KERN_PROTECTION_FAILURE, KERN_RESOURCE_SHORTAGE. */
kern_return_t vm_copy_in(struct vm_map *map, uint64_t address, uint64_t size, bool destroy,
			 struct ledger *payer, struct vm_copy **copy);
/* The same of [offset, offset + size) of an object whose bytes the kernel does not change any more
   in place (the RAM disk): copy on write. KERN_INVALID_ARGUMENT beyond its end. */
kern_return_t vm_copy_from_object(struct vm_object *object, uint64_t offset, uint64_t size,
				  struct ledger *payer, struct vm_copy **copy);
/* The same with a kernel buffer's bytes (replies of the kernel). */
kern_return_t vm_copy_from_kernel(const void *bytes, uint64_t size, struct ledger *payer,
				  struct vm_copy **copy);
/* A copy of size zero bytes, all its pages there and charged to payer, to be filled by
   vm_copy_write: for long replies of the kernel, written piece by piece (ipc/mach_port_server.c).
   size 0 gives *copy NULL. KERN_RESOURCE_SHORTAGE. */
kern_return_t vm_copy_alloc(uint64_t size, struct ledger *payer, struct vm_copy **copy);
/* Writes bytes [offset, offset + size), which must lie within a copy made by vm_copy_alloc. Cannot
 * fail. */
void vm_copy_write(struct vm_copy *copy, uint64_t offset, const void *bytes, uint64_t size);
/* Such a copy without all but its first size bytes: itself, or NULL for nothing. Cannot fail. */
struct vm_copy *vm_copy_trim(struct vm_copy *copy, uint64_t size);
/* Reads bytes of the copy into the kernel (offset from the data's start), as vm_write and OOL
 * arguments need. */
kern_return_t vm_copy_read(struct vm_copy *copy, uint64_t offset, void *to, uint64_t size);
/* Receives it into map: its entries become one range there, charged to the map's ledger; *address is that of
   the data. Consumes it, unless denied: KERN_NO_SPACE, KERN_RESOURCE_SHORTAGE. NULL: address 0. */
kern_return_t vm_copy_out(struct vm_map *map, struct vm_copy *copy, uint64_t *address);
/* Destroys it: pieces by reaping. Never fails. NULL is fine. */
void vm_copy_discard(struct vm_copy *copy);
/* The same of a copy just made by vm_copy_in, without destroy, of which nothing comes after all: what it cut
   out of map's entries and marked for copy on write goes together again, where nobody else shares it. */
void vm_copy_undo(struct vm_map *map, struct vm_copy *copy);
/* Overwrites [address, size) of map with the copy's data (vm_write, vm_copy). Consumes on success.
 */
kern_return_t vm_copy_overwrite(struct vm_map *map, uint64_t address, struct vm_copy *copy);

#endif
