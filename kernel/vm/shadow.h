/* SPDX-License-Identifier: BSD-2-Clause */
/* What object.c and collapse.c share. */
#ifndef VM_SHADOW_H
#define VM_SHADOW_H
#include "vm/object.h"

/* radix_reserve of the object's tree, the payer staying while it runs. */
bool vm_object_reserve(struct vm_object *object, uint64_t index);
/* Takes the object off its shadow's list and returns the shadow, whose reference is the caller's
 * then. */
struct vm_object *vm_object_leave_shadow(struct vm_object *object);

#endif
