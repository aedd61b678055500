/* SPDX-License-Identifier: BSD-2-Clause */
/* User memory: copyin and copyout; and regions in transit (out-of-line memory). */
#ifndef VM_COPY_H
#define VM_COPY_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/kern_return.h>
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

/* A region in transit: a chain of entries (map NULL) paid by the sender's ledger until received.
   The structure itself is charged as one entry and lies in the zone of entries: the first two
   members are common. */
struct vm_copy {
	struct ledger *payer;
	bool is_copy;                  /* true */
	struct vm_entry *first, *last; /* chained through `next` */
	uint64_t size;                 /* bytes of data */
	uint64_t page_offset;          /* of the data in its first page */
	uint64_t pages;
	uint32_t entries;
	struct reap reap;
};
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
/* Reads bytes of the copy into the kernel (offset from the data's start), as vm_write and OOL
 * arguments need. */
kern_return_t vm_copy_read(struct vm_copy *copy, uint64_t offset, void *to, uint64_t size);
/* Reserves what receiving needs in map (address, entries, virtual pages), then cannot fail:
   vm_copy_out_reserve -> KERN_SUCCESS with *address set; then vm_copy_out_commit (consumes copy),
   or vm_copy_out_cancel. */
kern_return_t vm_copy_out_reserve(struct vm_map *map, struct vm_copy *copy, uint64_t *address);
void vm_copy_out_commit(struct vm_map *map, struct vm_copy *copy, uint64_t address);
/* The copy is whole again, as before the reserve. */
void vm_copy_out_cancel(struct vm_map *map, struct vm_copy *copy, uint64_t address);
/* Destroys it: pieces by reaping. Never fails. NULL is fine. */
void vm_copy_discard(struct vm_copy *copy);
/* Overwrites [address, size) of map with the copy's data (vm_write, vm_copy). Consumes on success.
 */
kern_return_t vm_copy_overwrite(struct vm_map *map, uint64_t address, struct vm_copy *copy);

#endif
