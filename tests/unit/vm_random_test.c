/* SPDX-License-Identifier: BSD-2-Clause */
/* Random operations on several maps that share and copy, against a model of bytes; every allocation
   and charge of an operation is denied once, and a denied call must have changed nothing.

   SOURCES: mem vm */
#include "support/vm_test.h"

#define MAPS          4
#define PAGES         64 /* looked at in each map, from USER_ADDRESS_MIN */
#define COPIES        3  /* in transit */
#define ADDRESS(page) (USER_ADDRESS_MIN + (uint64_t)(page)*PAGE_SIZE)

/* -- the model -- */

struct bytes { /* of one page, maybe seen in several maps */
	unsigned refs;
	uint8_t byte[PAGE_SIZE];
};
struct model_page {
	struct bytes *bytes; /* NULL: not allocated */
	uint8_t protection, max_protection, inheritance;
	unsigned range;
};
static struct {
	struct vm_map *map; /* NULL: none */
	struct ledger *ledger;
	struct model_page page[PAGES];
} tasks[MAPS];
static struct {
	struct vm_copy *copy; /* NULL: none */
	uint8_t *bytes;
	uint64_t size;
} transit[COPIES];
static unsigned next_range = 1;

static struct bytes *bytes_new(void)
{
	struct bytes *bytes = calloc(1, sizeof(*bytes));

	bytes->refs = 1;
	return bytes;
}

static void page_drop(struct model_page *page)
{
	if (page->bytes != NULL && --page->bytes->refs == 0)
		free(page->bytes);
	page->bytes = NULL;
}

static void model_allocate(unsigned t, unsigned first, unsigned count)
{
	unsigned range = next_range++;

	for (unsigned p = first; p < first + count; p++)
		tasks[t].page[p] = (struct model_page){ bytes_new(), VM_PROT_DEFAULT, VM_PROT_ALL,
							VM_INHERIT_DEFAULT, range };
}

/* What a call on these pages with this access must say. */
static kern_return_t model_check(unsigned t, unsigned first, unsigned count, vm_prot_t access)
{
	for (unsigned p = first; p < first + count; p++) {
		if (tasks[t].page[p].bytes == NULL)
			return KERN_INVALID_ADDRESS;
		if (access & ~tasks[t].page[p].protection)
			return KERN_PROTECTION_FAILURE;
	}
	return KERN_SUCCESS;
}

static void model_get(unsigned t, uint64_t address, uint8_t *to, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++) {
		uint64_t at = address + i - USER_ADDRESS_MIN;

		to[i] = tasks[t].page[at / PAGE_SIZE].bytes->byte[at % PAGE_SIZE];
	}
}

static void model_put(unsigned t, uint64_t address, const uint8_t *from, uint64_t size)
{
	for (uint64_t i = 0; i < size; i++) {
		uint64_t at = address + i - USER_ADDRESS_MIN;

		tasks[t].page[at / PAGE_SIZE].bytes->byte[at % PAGE_SIZE] = from[i];
	}
}

/* -- comparison -- */

static void compare_page(unsigned t, unsigned p, bool contents)
{
	struct model_page *page = &tasks[t].page[p];
	struct vm_map *map = tasks[t].map;
	struct vm_entry *entry = vm_map_lookup(map, ADDRESS(p));
	uint8_t *seen = host_user_page(&map->pmap, ADDRESS(p), false), buffer[PAGE_SIZE];

	if (page->bytes == NULL) {
		claim(entry == NULL && seen == NULL, "map %u page %u: should not be there", t, p);
		return;
	}
	if (!claim(entry != NULL, "map %u page %u: is not there", t, p))
		return;
	claim(entry->protection == page->protection &&
		      entry->max_protection == page->max_protection &&
		      entry->inheritance == page->inheritance,
	      "map %u page %u: attributes", t, p);
	claim(seen == NULL || entry->protection != 0, "map %u page %u: accessible", t, p);
	claim((page->protection & VM_PROT_WRITE) ||
		      host_user_page(&map->pmap, ADDRESS(p), true) == NULL,
	      "map %u page %u: writable", t, p);
	if (!contents)
		return;
	vm_map_peek(map, ADDRESS(p), buffer, PAGE_SIZE);
	claim(memcmp(buffer, page->bytes->byte, PAGE_SIZE) == 0, "map %u page %u: contents", t, p);
	claim(seen == NULL || memcmp(seen, page->bytes->byte, PAGE_SIZE) == 0,
	      "map %u page %u: a stale page is mapped", t, p);
	if (entry->object != NULL)
		vm_object_check(entry->object);
}

static void compare_all(bool contents)
{
	for (unsigned t = 0; t < MAPS; t++) {
		uint64_t pages = 0;

		if (tasks[t].map == NULL)
			continue;
		vm_map_check(tasks[t].map);
		for (unsigned p = 0; p < PAGES; p++) {
			compare_page(t, p, contents);
			pages += tasks[t].page[p].bytes != NULL;
			/* Different ranges are different entries; of one range at most as many as
			 * there are changes. */
			if (p > 0 && tasks[t].page[p].bytes != NULL &&
			    tasks[t].page[p - 1].bytes != NULL &&
			    tasks[t].page[p].range != tasks[t].page[p - 1].range)
				claim(vm_map_lookup(tasks[t].map, ADDRESS(p))->start == ADDRESS(p),
				      "map %u page %u: joined with another range", t, p);
		}
		claim(tasks[t].map->size_bytes == pages * PAGE_SIZE, "map %u: size", t);
	}
	for (unsigned c = 0; c < COPIES && contents; c++) {
		uint8_t *buffer;

		if (transit[c].copy == NULL)
			continue;
		buffer = malloc(transit[c].size);
		vm_copy_read(transit[c].copy, 0, buffer, transit[c].size);
		claim(memcmp(buffer, transit[c].bytes, transit[c].size) == 0,
		      "copy %u in transit: contents", c);
		free(buffer);
	}
}

/* -- operations: a function that does it once; repeated with each of its allocations denied -- */

struct operation {
	unsigned t, first, count, other;
	uint64_t address, size;
	unsigned extra;
	bool flag;
};
static struct operation op;
static uint64_t denied_calls;

static uint64_t charged(unsigned resource)
{
	reap_all();
	return host_used(&root_ledger, resource);
}

/* Calls until it is not denied by the test any more; each denial must have changed nothing. */
static kern_return_t deny_each(kern_return_t (*call)(void), bool strict)
{
	bool deny = random_below(3) == 0;

	for (uint64_t nth = 1;; nth++) {
		uint64_t entries = charged(LEDGER_ENTRIES), pages = charged(LEDGER_VIRTUAL_PAGES);
		uint64_t objects = charged(LEDGER_OBJECTS),
			 resident = charged(LEDGER_RESIDENT_PAGES);
		kern_return_t result;

		host_fail_nth(deny ? nth : 0);
		result = call();
		deny = deny && host_fail_fired;
		host_fail_nth(0);
		if (!deny || result != KERN_RESOURCE_SHORTAGE) {
			claim(result != KERN_RESOURCE_SHORTAGE, "denied without reason");
			return result;
		}
		denied_calls++;
		/* Pieces that an earlier copy, gone since, kept apart may be one again. */
		claim(charged(LEDGER_ENTRIES) <= entries && charged(LEDGER_VIRTUAL_PAGES) == pages,
		      "a denied call charged entries or pages");
		claim(!strict || (charged(LEDGER_OBJECTS) == objects &&
				  charged(LEDGER_RESIDENT_PAGES) == resident),
		      "a denied call charged memory");
		compare_all(true);
	}
}

static void pick(void)
{
	do
		op.t = random_below(MAPS);
	while (tasks[op.t].map == NULL);
	op.first = random_below(PAGES);
	op.count = 1 + random_below(PAGES - op.first < 12 ? PAGES - op.first : 12);
	op.address = ADDRESS(op.first) + random_below(PAGE_SIZE);
	op.size = 1 + random_below(op.count * PAGE_SIZE - op.address % PAGE_SIZE);
	if (random_below(3) == 0) {
		op.address = ADDRESS(op.first);
		op.size = op.count * PAGE_SIZE;
	}
	op.count = (op.address % PAGE_SIZE + op.size + PAGE_SIZE - 1) / PAGE_SIZE;
	op.flag = random_below(2);
}

static kern_return_t call_allocate(void)
{
	op.address = ADDRESS(op.first);
	return vm_map_allocate(tasks[op.t].map, &op.address, op.size, op.flag);
}

static unsigned lowest_free(unsigned t, unsigned count)
{
	unsigned run = 0, p;

	for (p = 0; p < PAGES && run < count; p++)
		run = tasks[t].page[p].bytes == NULL ? run + 1 : 0;
	return p - run;
}

static void do_allocate(void)
{
	bool taken = false;
	kern_return_t result;

	pick();
	op.count = (op.size + PAGE_SIZE - 1) / PAGE_SIZE;
	for (unsigned p = op.first; p < op.first + op.count && p < PAGES; p++)
		taken |= tasks[op.t].page[p].bytes != NULL;
	if (op.flag) {
		op.first = lowest_free(op.t, op.count);
		if (op.first + op.count > PAGES)
			return;
		taken = false;
	}
	result = deny_each(call_allocate, true);
	claim(result == (taken ? KERN_NO_SPACE : KERN_SUCCESS), "allocate: %d", result);
	if (result != KERN_SUCCESS)
		return;
	claim(op.address == ADDRESS(op.first), "not the lowest gap");
	model_allocate(op.t, op.first, op.count);
}

static kern_return_t call_deallocate(void)
{
	return vm_map_deallocate(tasks[op.t].map, op.address, op.size);
}

static void do_deallocate(void)
{
	kern_return_t result, expected = KERN_INVALID_ADDRESS;

	pick();
	for (unsigned p = op.first; p < op.first + op.count; p++)
		if (tasks[op.t].page[p].bytes != NULL)
			expected = KERN_SUCCESS;
	result = deny_each(call_deallocate, true);
	claim(result == expected, "deallocate: %d", result);
	for (unsigned p = op.first; p < op.first + op.count; p++)
		page_drop(&tasks[op.t].page[p]);
}

static kern_return_t call_protect(void)
{
	return vm_map_protect(tasks[op.t].map, op.address, op.size, op.flag, op.extra);
}

static void do_protect(void)
{
	static const uint8_t some[] = { VM_PROT_READ, VM_PROT_DEFAULT, VM_PROT_DEFAULT, VM_PROT_ALL,
					VM_PROT_NONE };
	kern_return_t result, expected;

	pick();
	op.extra = some[random_below(sizeof(some))];
	op.flag = random_below(20) == 0 && op.extra == VM_PROT_DEFAULT;
	expected = model_check(op.t, op.first, op.count, VM_PROT_NONE);
	for (unsigned p = op.first; p < op.first + op.count && expected == KERN_SUCCESS; p++)
		if (op.extra & ~tasks[op.t].page[p].max_protection)
			expected = KERN_PROTECTION_FAILURE;
	result = deny_each(call_protect, true);
	claim(result == expected, "protect: %d, not %d", result, expected);
	for (unsigned p = op.first; p < op.first + op.count && result == KERN_SUCCESS; p++) {
		struct model_page *page = &tasks[op.t].page[p];

		if (op.flag)
			page->max_protection = op.extra;
		page->protection = op.flag ? page->protection & op.extra : op.extra;
	}
}

static kern_return_t call_inherit(void)
{
	return vm_map_inherit(tasks[op.t].map, op.address, op.size, op.extra);
}

static void do_inherit(void)
{
	kern_return_t result;

	pick();
	op.extra = random_below(3);
	result = deny_each(call_inherit, true);
	claim(result == model_check(op.t, op.first, op.count, VM_PROT_NONE), "inherit: %d", result);
	for (unsigned p = op.first; p < op.first + op.count && result == KERN_SUCCESS; p++)
		tasks[op.t].page[p].inheritance = op.extra;
}

static uint8_t buffer[16 * PAGE_SIZE], expected_bytes[16 * PAGE_SIZE];

static kern_return_t call_access(void)
{
	return test_access(tasks[op.t].map, op.address, buffer, op.size, op.flag);
}

/* Reads here and there, so that much is mapped when the next operation comes. */
static void do_look_around(void)
{
	uint8_t byte = 0;

	pick();
	for (unsigned p = 0; p < PAGES; p++)
		if (tasks[op.t].page[p].protection & VM_PROT_READ &&
		    tasks[op.t].page[p].bytes != NULL)
			claim(test_access(tasks[op.t].map, ADDRESS(p), &byte, 1, false) ==
					      KERN_SUCCESS &&
				      byte == tasks[op.t].page[p].bytes->byte[0],
			      "page %u reads as %u", p, byte);
}

/* A program's access, inside one page. */
static void do_access(void)
{
	kern_return_t result;

	pick();
	op.count = 1;
	if (op.size > PAGE_SIZE - op.address % PAGE_SIZE)
		op.size = PAGE_SIZE - op.address % PAGE_SIZE;
	for (unsigned i = 0; i < op.size; i++)
		buffer[i] = random_u64();
	result = deny_each(call_access, true);
	claim(result == model_check(op.t, op.first, 1, op.flag ? VM_PROT_WRITE : VM_PROT_READ),
	      "access: %d", result);
	if (result != KERN_SUCCESS)
		return;
	if (op.flag) {
		model_put(op.t, op.address, buffer, op.size);
		return;
	}
	model_get(op.t, op.address, expected_bytes, op.size);
	claim(memcmp(buffer, expected_bytes, op.size) == 0, "read something else");
}

static kern_return_t call_copyin(void)
{
	kern_return_t result;

	host_pmap_current = op.extra ? &tasks[op.t].map->pmap : NULL;
	if (op.flag) {
		result = copyout_prepare(tasks[op.t].map, op.address, op.size);
		if (result == KERN_SUCCESS)
			copyout(tasks[op.t].map, op.address, buffer, op.size);
	} else {
		result = copyin(tasks[op.t].map, buffer, op.address, op.size);
	}
	host_pmap_current = NULL;
	return result;
}

static void do_copyio(void)
{
	kern_return_t result, expected;

	pick();
	op.extra = random_below(2);
	for (unsigned i = 0; i < op.size; i++)
		buffer[i] = random_u64();
	result = deny_each(call_copyin, false);
	expected = model_check(op.t, op.first, op.count, op.flag ? VM_PROT_WRITE : VM_PROT_READ);
	claim(result == expected, "%s: %d, not %d", op.flag ? "copyout" : "copyin", result,
	      expected);
	if (result != KERN_SUCCESS)
		return;
	if (op.flag) {
		model_put(op.t, op.address, buffer, op.size);
		return;
	}
	model_get(op.t, op.address, expected_bytes, op.size);
	claim(memcmp(buffer, expected_bytes, op.size) == 0, "copyin read something else");
}

static kern_return_t call_copy_in(void)
{
	return vm_copy_in(tasks[op.t].map, op.address, op.size, op.flag, tasks[op.t].ledger,
			  &transit[op.extra].copy);
}

static void do_copy_in(void)
{
	kern_return_t result;

	pick();
	op.extra = random_below(COPIES);
	if (transit[op.extra].copy != NULL)
		return;
	result = deny_each(call_copy_in, false);
	claim(result == model_check(op.t, op.first, op.count, VM_PROT_READ), "copy in: %d", result);
	if (result != KERN_SUCCESS)
		return;
	transit[op.extra].size = op.size;
	transit[op.extra].bytes = malloc(op.size);
	model_get(op.t, op.address, transit[op.extra].bytes, op.size);
	for (unsigned p = op.first; p < op.first + op.count && op.flag; p++)
		page_drop(&tasks[op.t].page[p]);
}

static void transit_drop(unsigned c)
{
	transit[c].copy = NULL;
	free(transit[c].bytes);
	transit[c].bytes = NULL;
}

static kern_return_t call_copy_out(void)
{
	return vm_copy_out(tasks[op.t].map, transit[op.extra].copy, &op.address);
}

/* Sometimes into a map that wires all that comes: then there is more that may be denied, and to be undone. */
static void do_copy_out(void)
{
	struct vm_map *map;
	unsigned count, first, wired;
	uint64_t offset;

	pick();
	map = tasks[op.t].map;
	op.extra = random_below(COPIES);
	if (transit[op.extra].copy == NULL)
		return;
	count = vm_copy_pages(transit[op.extra].copy);
	offset = transit[op.extra].copy->first.page_offset;
	first = lowest_free(op.t, count);
	if (first + count > PAGES)
		return;
	wired = map->wired_pages;
	map->wire_future = op.flag;
	claim(deny_each(call_copy_out, !op.flag) == KERN_SUCCESS, "copy out");
	map->wire_future = false;
	claim(op.address == ADDRESS(first) + offset, "copied out to another address");
	claim(map->wired_pages - wired == (op.flag ? count : 0), "%u pages wired", map->wired_pages - wired);
	if (op.flag)
		vm_map_wire(map, ADDRESS(first), count * PAGE_SIZE, VM_PROT_NONE, 0);
	model_allocate(op.t, first, count);
	/* What is around the data is zero: no foreign byte. */
	model_put(op.t, op.address, transit[op.extra].bytes, transit[op.extra].size);
	transit_drop(op.extra);
}

static kern_return_t call_overwrite(void)
{
	return vm_copy_overwrite(tasks[op.t].map, op.address, transit[op.extra].copy);
}

static void do_overwrite(void)
{
	kern_return_t result;

	pick();
	op.extra = random_below(COPIES);
	if (transit[op.extra].copy == NULL)
		return;
	op.size = transit[op.extra].size;
	op.count = (op.address % PAGE_SIZE + op.size + PAGE_SIZE - 1) / PAGE_SIZE;
	if (op.first + op.count > PAGES)
		return;
	result = deny_each(call_overwrite, false);
	claim(result == model_check(op.t, op.first, op.count, VM_PROT_WRITE), "overwrite: %d",
	      result);
	if (result != KERN_SUCCESS)
		return;
	model_put(op.t, op.address, transit[op.extra].bytes, op.size);
	transit_drop(op.extra);
}

static void do_discard(void)
{
	unsigned c = random_below(COPIES);

	if (transit[c].copy == NULL)
		return;
	vm_copy_discard(transit[c].copy);
	transit_drop(c);
}

static kern_return_t call_fork(void)
{
	struct vm_map *child = calloc(1, sizeof(*child));
	kern_return_t result;

	if (!vm_map_create(child, tasks[op.other].ledger)) {
		free(child);
		return KERN_RESOURCE_SHORTAGE;
	}
	result = vm_map_fork(tasks[op.t].map, child);
	if (result != KERN_SUCCESS)
		test_map_end(child);
	else
		tasks[op.other].map = child;
	return result;
}

static void do_end(unsigned t)
{
	test_map_end(tasks[t].map);
	tasks[t].map = NULL;
	for (unsigned p = 0; p < PAGES; p++)
		page_drop(&tasks[t].page[p]);
}

static void do_fork(void)
{
	pick();
	op.other = random_below(MAPS);
	if (op.other == op.t)
		return;
	if (tasks[op.other].map != NULL)
		do_end(op.other);
	/* Often all of it is shared. */
	if (random_below(2) == 0)
		for (unsigned p = 0; p < PAGES; p++)
			if (tasks[op.t].page[p].bytes != NULL) {
				vm_map_inherit(tasks[op.t].map, ADDRESS(p), PAGE_SIZE,
					       VM_INHERIT_SHARE);
				tasks[op.t].page[p].inheritance = VM_INHERIT_SHARE;
			}
	claim(deny_each(call_fork, false) == KERN_SUCCESS, "fork");
	for (unsigned p = 0; p < PAGES; p++) {
		struct model_page *from = &tasks[op.t].page[p], *to = &tasks[op.other].page[p];

		if (from->bytes == NULL || from->inheritance == VM_INHERIT_NONE)
			continue;
		*to = *from;
		if (from->inheritance == VM_INHERIT_SHARE) {
			to->bytes->refs++;
			continue;
		}
		to->bytes = bytes_new();
		memcpy(to->bytes->byte, from->bytes->byte, PAGE_SIZE);
	}
}

static kern_return_t call_wire(void)
{
	return vm_map_wire(tasks[op.t].map, op.address, op.size, op.extra, UINT64_MAX);
}

static void do_wire(void)
{
	kern_return_t result;

	pick();
	op.extra = op.flag ? VM_PROT_NONE : random_below(2) ? VM_PROT_READ : VM_PROT_DEFAULT;
	result = deny_each(call_wire, false);
	claim(result == (model_check(op.t, op.first, op.count, op.extra) == KERN_SUCCESS
				 ? KERN_SUCCESS
				 : KERN_NO_SPACE),
	      "wire: %d", result);
	if (result == KERN_SUCCESS && op.extra != VM_PROT_NONE)
		for (unsigned p = op.first; p < op.first + op.count; p++)
			claim(host_user_page(&tasks[op.t].map->pmap, ADDRESS(p),
					     op.extra & VM_PROT_WRITE) != NULL,
			      "a wired page would fault");
}

static void step(void)
{
	static void (*const operations[])(void) = {
		do_allocate, do_allocate,    do_deallocate,  do_protect,   do_inherit,
		do_access,   do_access,      do_access,      do_access,    do_access,
		do_copyio,   do_copyio,      do_copy_in,     do_copy_in,   do_copy_out,
		do_copy_out, do_look_around, do_look_around, do_overwrite, do_discard,
		do_fork,     do_wire,
	};

	operations[random_below(sizeof(operations) / sizeof(operations[0]))]();
}

int main(void)
{
	unsigned steps = getenv("WEIR_FULL") != NULL ? 100000 : 6000;

	tap_begin("vm_random_test");
	host_memory(32768, 16384);
	vm_init();
	for (unsigned t = 0; t < MAPS; t++)
		tasks[t].ledger = test_ledger("task");
	tasks[0].map = test_map(tasks[0].ledger);
	claim_begin("%u random operations do what the model does, denied or not", steps);
	for (unsigned n = 0; n < steps; n++) {
		step();
		compare_all(n % 16 == 0);
		if (n % 64 == 0) {
			reap_all();
			claim(host_audit(), "step %u: audit", n);
		}
	}
	claim_end();
	diag("%lu calls were denied", (long)denied_calls);
	ok(denied_calls > steps / 8, "many calls were denied");
	for (unsigned t = 0; t < MAPS; t++)
		if (tasks[t].map != NULL)
			do_end(t);
	for (unsigned c = 0; c < COPIES; c++)
		if (transit[c].copy != NULL) {
			vm_copy_discard(transit[c].copy);
			transit_drop(c);
		}
	reap_all();
	for (unsigned t = 0; t < MAPS; t++)
		ok(test_empty(tasks[t].ledger), "in the end ledger %u pays for nothing", t);
	ok(host_audit(), "the audit agrees in the end");
	return tap_done();
}
