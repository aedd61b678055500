/* SPDX-License-Identifier: BSD-2-Clause */
/* What host_slab_info tells of each cache. */
#ifndef MACH_DEBUG_SLAB_INFO_H
#define MACH_DEBUG_SLAB_INFO_H

#include <mach/layout_check.h>
#include <mach/machine/vm_types.h>

#define CACHE_NAME_MAX_LEN 32

typedef struct cache_info {
	int			flags;
	rpc_vm_size_t		cpu_pool_size;
	rpc_vm_size_t		obj_size;	/* bytes */
	rpc_vm_size_t		align;
	rpc_vm_size_t		buf_size;	/* bytes */
	rpc_vm_size_t		slab_size;	/* bytes */
	rpc_long_natural_t	bufs_per_slab;
	rpc_long_natural_t	nr_objs;
	rpc_long_natural_t	nr_bufs;
	rpc_long_natural_t	nr_slabs;
	rpc_long_natural_t	nr_free_slabs;
	char			name[CACHE_NAME_MAX_LEN];
} cache_info_t;
typedef cache_info_t	*cache_info_array_t;

LAYOUT_AT(cache_info_t, flags, 0);
LAYOUT_AT(cache_info_t, cpu_pool_size, 8);
LAYOUT_AT(cache_info_t, obj_size, 16);
LAYOUT_AT(cache_info_t, align, 24);
LAYOUT_AT(cache_info_t, buf_size, 32);
LAYOUT_AT(cache_info_t, slab_size, 40);
LAYOUT_AT(cache_info_t, bufs_per_slab, 48);
LAYOUT_AT(cache_info_t, nr_objs, 56);
LAYOUT_AT(cache_info_t, nr_bufs, 64);
LAYOUT_AT(cache_info_t, nr_slabs, 72);
LAYOUT_AT(cache_info_t, nr_free_slabs, 80);
LAYOUT_AT(cache_info_t, name, 88);
LAYOUT_SIZE(cache_info_t, 120);

#endif
