/* SPDX-License-Identifier: BSD-2-Clause */
/* Physically contiguous memory, for devices. */
#ifndef VM_CONTIGUOUS_H
#define VM_CONTIGUOUS_H
#include <stdint.h>

struct ledger;
struct vm_object;

/* An object of size bytes (rounded to pages), zeroed, whose frames follow each other: within [pmin,
   pmax) (pmax 0: no bound), beginning at a multiple of palign (a power of two, 0: none); *physical
   is the first's address. Charged to payer, who needs room for what is looked through meanwhile.
   NULL: denied, or there is no such run. For privileged callers: O(free memory). */
struct vm_object *vm_object_contiguous(struct ledger *payer, uint64_t size, uint64_t pmin,
				       uint64_t pmax, uint64_t palign, uint64_t *physical);

#endif
