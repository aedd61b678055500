/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of vm share: memory, maps, and accesses as a program makes them: through the page
   tables, with a fault when these do not allow it. */
#ifndef VM_TEST_H
#define VM_TEST_H
#include <stdlib.h>
#include <string.h>
#include "host.h"
#include "host_pmap.h"
#include "kern/assert.h"
#include "mem/page.h"
#include "mem/reap.h"
#include "mem/zone.h"
#include "tap.h"
#include "vm/copy.h"
#include "vm/entry.h"
#include "vm/map.h"
#include "vm/object.h"
#include "vm/upcalls.h"
#include "x86_64/machine.h"

/* The tests' objects have no name ports. */
void vm_name_port_destroy(struct port *port)
{
	panic("name port %p", (void *)port);
}
void vm_name_port_pay(struct vm_object *object)
{
	panic("name port %p", (void *)object->name_port);
}

/* Nor does anybody wait on them. */
void vm_waiters_wake(struct vm_object *object)
{
	panic("waiters of %p", (void *)object);
}

void vm_waiters_wake_range(struct vm_map *map, uint64_t start, uint64_t end)
{
	(void)map;
	(void)start;
	(void)end;
}

static inline struct vm_map *test_map(struct ledger *ledger)
{
	struct vm_map *map = calloc(1, sizeof(*map));

	if (!vm_map_create(map, ledger))
		panic("no map");
	return map;
}

static inline void test_map_end(struct vm_map *map)
{
	while (!vm_map_dismantle(map))
		;
	free(map);
}

/* One access inside a page. */
static inline kern_return_t test_access(struct vm_map *map, uint64_t address, void *bytes,
					uint64_t size, bool write)
{
	for (unsigned tries = 0; tries < 3; tries++) {
		uint8_t *page = host_user_page(&map->pmap, address, write);
		kern_return_t result;

		if (page != NULL) {
			page += address & (PAGE_SIZE - 1);
			memcpy(write ? page : bytes, write ? bytes : page, size);
			return KERN_SUCCESS;
		}
		result = vm_fault(map, address, write ? VM_PROT_WRITE : VM_PROT_READ);
		if (result != KERN_SUCCESS)
			return result;
	}
	panic("a successful fault left %lx unmapped", (long)address);
}

static inline kern_return_t test_poke(struct vm_map *map, uint64_t address, uint64_t value)
{
	return test_access(map, address, &value, sizeof(value), true);
}

static inline uint64_t test_peek(struct vm_map *map, uint64_t address)
{
	uint64_t value = 0;

	if (test_access(map, address, &value, sizeof(value), false) != KERN_SUCCESS)
		panic("cannot read %lx", (long)address);
	return value;
}

static inline uint64_t test_allocate(struct vm_map *map, uint64_t pages)
{
	uint64_t address = 0;

	if (vm_map_allocate(map, &address, pages * PAGE_SIZE, true) != KERN_SUCCESS)
		panic("cannot allocate %lu pages", (long)pages);
	return address;
}

/* True: the ledger pays for nothing of vm's, nor for pages. */
static inline bool test_empty(struct ledger *ledger)
{
	static const unsigned resources[] = { LEDGER_ENTRIES,       LEDGER_OBJECTS,
					      LEDGER_VIRTUAL_PAGES, LEDGER_RESIDENT_PAGES,
					      LEDGER_NODES,         LEDGER_KPAGES,
					      LEDGER_KMEM };

	for (unsigned i = 0; i < sizeof(resources) / sizeof(resources[0]); i++)
		if (host_used(ledger, resources[i]) != 0) {
			diag("%s: %s %lu", ledger->name, ledger_resource_name(resources[i]),
			     (long)host_used(ledger, resources[i]));
			return false;
		}
	return true;
}

static inline struct ledger *test_ledger(const char *name)
{
	int error;
	struct ledger *ledger = ledger_new(&root_ledger, name, &error);

	if (ledger == NULL)
		panic("no ledger");
	return ledger;
}

#endif
