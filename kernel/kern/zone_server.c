/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls about zones: weir/weir.defs, and host_slab_info of mach_debug/mach_debug.defs. */
#include <mach/kern_return.h>
#include <mach/vm_param.h>
#include "ipc/krpc.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "mach_debug_server.h"
#include "mem/zone.h"
#include "vm/copy.h"
#include "weir_server.h"

static uint32_t zones_count(void)
{
	const struct zone *zone;
	uint32_t n = 0;

	LIST_FOREACH(zone, &zone_list, all)
		n++;
	return n;
}

static void zone_info(const struct zone *zone, struct weir_zone_info *info)
{
	uint64_t count = zone_count(zone);

	*info = (struct weir_zone_info){
		.elem_size = zone->elem_size, .count = count, .free = zone_free_count(zone), .slabs = zone->slabs,
		.max = zone->max, .reserve = zone_reserve(zone), .peak = zone->peak, .allocs = zone->allocs,
		.frees = zone->allocs - count, .failures = zone->failures, .resource = zone->resource,
	};
	strlcpy(info->name, zone->name, sizeof(info->name));
}

kern_return_t weir_zone_info(struct host *host_priv, struct vm_copy **zones, mach_msg_type_number_t *count)
{
	struct weir_zone_info info;
	const struct zone *zone;
	kern_return_t result;
	uint32_t n = 0;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	result = vm_copy_alloc(zones_count() * sizeof(info), thread_current()->task->ledger, zones);
	if (result != KERN_SUCCESS)
		return result;
	ledger_settle();
	LIST_FOREACH(zone, &zone_list, all) {
		zone_info(zone, &info);
		vm_copy_write(*zones, n++ * sizeof(info), &info, sizeof(info));
	}
	*count = n;
	return KERN_SUCCESS;
}

kern_return_t weir_zone_set_max(struct host *host_priv, const char *name, uint64_t max)
{
	struct zone *zone;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	zone = zone_find(name);
	if (zone == NULL)
		return KERN_INVALID_ARGUMENT;
	zone_set_max(zone, max);
	return KERN_SUCCESS;
}

/* A zone in GNU Mach's words: a cache of buffers, without pools of the CPUs. */
static void slab_info(const struct zone *zone, cache_info_t *info)
{
	*info = (cache_info_t){
		.obj_size = zone->elem_size, .align = zone_align(zone), .buf_size = zone->stride,
		.slab_size = PAGE_SIZE, .bufs_per_slab = zone->per_slab, .nr_objs = zone_count(zone),
		.nr_bufs = zone->slabs * zone->per_slab, .nr_slabs = zone->slabs, .nr_free_slabs = zone->empties,
	};
	strlcpy(info->name, zone->name, sizeof(info->name));
}

kern_return_t host_slab_info(struct host *host, struct vm_copy **list, mach_msg_type_number_t *count)
{
	const struct zone *zone;
	cache_info_t info;
	kern_return_t result;
	uint32_t n = 0;

	if (host == NULL)
		return KERN_INVALID_HOST;
	result = vm_copy_alloc(zones_count() * sizeof(info), thread_current()->task->ledger, list);
	if (result != KERN_SUCCESS)
		return result;
	ledger_settle();
	LIST_FOREACH(zone, &zone_list, all) {
		slab_info(zone, &info);
		vm_copy_write(*list, n++ * sizeof(info), &info, sizeof(info));
	}
	*count = n;
	return KERN_SUCCESS;
}
