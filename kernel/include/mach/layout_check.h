/* SPDX-License-Identifier: BSD-2-Clause */
/* Compile-time proof that a type has the layout binaries rely on. */
#ifndef MACH_LAYOUT_CHECK_H
#define MACH_LAYOUT_CHECK_H

#include <stddef.h>

#define LAYOUT_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), #type ": size is not " #bytes)
#define LAYOUT_AT(type, member, offset) \
	_Static_assert(offsetof(type, member) == (offset), \
		       #type "." #member ": offset is not " #offset)

#endif
