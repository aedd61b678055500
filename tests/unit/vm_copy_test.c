/* SPDX-License-Identifier: BSD-2-Clause */
/* Sharing and regions in transit: what is copied, what is not, who pays, and what is never seen.

   SOURCES: mem vm kernel/vm/contiguous.c */
#include "support/vm_test.h"
#include "vm/contiguous.h"

static struct ledger *sender, *receiver;

static struct vm_map *filled(uint64_t pages, uint64_t *base)
{
	struct vm_map *map = test_map(sender);

	*base = test_allocate(map, pages);
	for (uint64_t i = 0; i < pages; i++)
		test_poke(map, *base + i * PAGE_SIZE, 100 + i);
	return map;
}

static void end(struct vm_map *a, struct vm_map *b, const char *what)
{
	if (a != NULL)
		test_map_end(a);
	if (b != NULL)
		test_map_end(b);
	reap_all();
	ok(test_empty(sender) && test_empty(receiver), "%s: nothing is left", what);
}

static uint64_t receive(struct vm_map *map, struct vm_copy *copy)
{
	uint64_t address;

	if (vm_copy_out(map, copy, &address) != KERN_SUCCESS)
		panic("cannot receive");
	return address;
}

static uint64_t frame_of(struct vm_map *map, uint64_t address)
{
	return page_frame(page_of_address(host_user_page(&map->pmap, address, false)));
}

static void large_is_shared(void)
{
	uint64_t base, at;
	struct vm_map *a = filled(64, &base), *b = test_map(receiver);
	struct vm_copy *copy;

	ok(vm_copy_in(a, base, 64 * PAGE_SIZE, false, sender, &copy) == KERN_SUCCESS,
	   "64 pages in transit");
	is_u64(host_used(sender, LEDGER_RESIDENT_PAGES), 64, "no page was copied");
	is_u64(host_used(sender, LEDGER_ENTRIES), 2, "the sender pays for the entry in transit");
	is_u64(host_used(sender, LEDGER_VIRTUAL_PAGES), 128, "and their pages of address space");
	test_poke(a, base, 1);
	at = receive(b, copy);
	is_u64(host_used(sender, LEDGER_ENTRIES), 1, "once received, the receiver does");
	is_u64(host_used(receiver, LEDGER_VIRTUAL_PAGES), 64, "for the address space too");
	is_u64(test_peek(b, at), 100, "the sender's later write is not seen");
	is_u64(test_peek(b, at + 63 * PAGE_SIZE), 163, "the data is");
	is_u64(host_used(receiver, LEDGER_RESIDENT_PAGES) +
		       host_used(sender, LEDGER_RESIDENT_PAGES),
	       65, "one page was copied, for that write");
	test_poke(b, at + PAGE_SIZE, 2);
	is_u64(test_peek(a, base + PAGE_SIZE), 101,
	       "the receiver's write is not seen by the sender");
	ok(host_audit(), "the audit agrees");
	end(a, b, "large");
}

static void what_is_undone(void)
{
	uint64_t base, other, resident;
	struct vm_map *a = filled(64, &base);
	struct vm_copy *copy, *second;

	vm_copy_in(a, base + 10 * PAGE_SIZE, 20 * PAGE_SIZE, false, sender, &copy);
	vm_copy_in(a, base + 40 * PAGE_SIZE + 5, 9 * PAGE_SIZE, false, sender, &second);
	is_u64(a->entry_count, 5, "two copies cut their source");
	vm_copy_undo(a, copy);
	is_u64(a->entry_count, 5, "the source of one that is undone stays while the other is there");
	vm_copy_undo(a, second);
	is_u64(a->entry_count, 1, "and is whole again without it");
	is_u64(host_used(sender, LEDGER_ENTRIES), 1, "as its ledger says");
	resident = host_used(sender, LEDGER_RESIDENT_PAGES);
	test_poke(a, base + 15 * PAGE_SIZE, 3);
	is_u64(host_used(sender, LEDGER_RESIDENT_PAGES), resident, "a write to it copies nothing");
	vm_copy_in(a, base, 64 * PAGE_SIZE, false, sender, &copy);
	other = receive(a, copy);
	vm_copy_in(a, base + 10 * PAGE_SIZE, 20 * PAGE_SIZE, false, sender, &copy);
	vm_copy_undo(a, copy);
	test_poke(a, base + 11 * PAGE_SIZE, 4);
	is_u64(test_peek(a, other + 11 * PAGE_SIZE), 111, "what another has a copy of stays frozen");
	ok(host_audit(), "the audit agrees");
	end(a, NULL, "undone");
}

/* What has been copied before: a part needs nothing of the source; but its rights, wiring and a move count all the same. */
static void copied_again(void)
{
	struct vm_copy *first, *copy, *none;
	uint64_t base, at, pages;
	struct vm_map *a = filled(16, &base), *b = test_map(receiver);

	ok(vm_copy_in(a, base, 16 * PAGE_SIZE, false, sender, &first) == KERN_SUCCESS, "all is copied once");
	pages = host_used(sender, LEDGER_RESIDENT_PAGES);
	ok(vm_copy_in(a, base + 3 * PAGE_SIZE, 5 * PAGE_SIZE, false, sender, &copy) == KERN_SUCCESS, "and a part again");
	is_u64(a->entry_count, 1, "which cuts nothing");
	is_u64(host_used(sender, LEDGER_RESIDENT_PAGES), pages, "and copies no page");
	is_u64(vm_copy_in(a, base + 12 * PAGE_SIZE, 5 * PAGE_SIZE, false, sender, &none), KERN_INVALID_ADDRESS,
	       "what goes beyond the entry is not there");
	test_poke(a, base + 4 * PAGE_SIZE, 7);
	at = receive(b, copy);
	is_u64(at % PAGE_SIZE + test_peek(b, at + PAGE_SIZE), 104, "the part is as it was");
	is_u64(test_peek(b, at + 4 * PAGE_SIZE), 107, "to its end");
	host_fail_nth(1);
	is_u64(vm_copy_in(a, base, 16 * PAGE_SIZE, false, sender, &none), KERN_RESOURCE_SHORTAGE, "one more may be denied");
	host_fail_nth(0);
	/* The write has made the source's pages its own: they are marked once more. */
	ok(vm_copy_in(a, base, 16 * PAGE_SIZE, false, sender, &copy) == KERN_SUCCESS, "all of it, since written to");
	vm_map_protect(a, base, 16 * PAGE_SIZE, false, VM_PROT_NONE);
	is_u64(vm_copy_in(a, base, 16 * PAGE_SIZE, false, sender, &none), KERN_PROTECTION_FAILURE, "but not what may not be read");
	vm_map_protect(a, base, 16 * PAGE_SIZE, false, VM_PROT_READ);
	if (vm_map_wire(a, base, 16 * PAGE_SIZE, VM_PROT_READ, UINT64_MAX) != KERN_SUCCESS)
		panic("cannot wire");
	pages = host_used(sender, LEDGER_RESIDENT_PAGES);
	ok(vm_copy_in(a, base + PAGE_SIZE, 2 * PAGE_SIZE, false, sender, &none) == KERN_SUCCESS, "wired pages");
	is_u64(host_used(sender, LEDGER_RESIDENT_PAGES), pages + 2, "are copied at once");
	vm_copy_discard(none);
	vm_copy_discard(copy);
	vm_copy_discard(first);
	vm_map_wire(a, base, 16 * PAGE_SIZE, VM_PROT_NONE, UINT64_MAX);
	end(a, b, "copied again");
}

static void move_hands_over(void)
{
	uint64_t base, at, frame, calls;
	struct vm_map *a = filled(64, &base), *b = test_map(receiver);
	struct vm_copy *copy;

	frame = frame_of(a, base + 20 * PAGE_SIZE);
	ok(vm_copy_in(a, base + 10 * PAGE_SIZE, 20 * PAGE_SIZE, true, sender, &copy) ==
		   KERN_SUCCESS,
	   "20 pages moved out of the middle");
	ok(vm_map_lookup(a, base + 10 * PAGE_SIZE) == NULL, "they are gone there");
	at = receive(b, copy);
	test_poke(b, at + 10 * PAGE_SIZE, 5);
	is_u64(frame_of(b, at + 10 * PAGE_SIZE), frame,
	       "the very frame arrived, and is written in place");
	calls = host_fail_calls;
	ok(vm_map_deallocate(b, at, 20 * PAGE_SIZE) == KERN_SUCCESS && host_fail_calls == calls,
	   "what was received goes as it came, needing nothing");
	reap_all();
	is_u64(host_used(sender, LEDGER_RESIDENT_PAGES) +
		       host_used(receiver, LEDGER_RESIDENT_PAGES),
	       44, "and its pages are free");
	is_u64(test_peek(a, base + 9 * PAGE_SIZE), 109, "before the hole all is as it was");
	is_u64(test_peek(a, base + 30 * PAGE_SIZE), 130, "behind it too");
	end(a, b, "move");
}

static void no_foreign_bytes(void)
{
	uint64_t base, at, bytes[] = { 1, 100, 4096, 8191, 8192, 8200, 12288, 20000 };
	uint8_t page[PAGE_SIZE];

	claim_begin("bytes around the data are zero, whatever its size and place");
	for (unsigned i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++)
		for (unsigned offset = 0; offset < PAGE_SIZE; offset += 511) {
			struct vm_map *a = filled(8, &base), *b = test_map(receiver);
			struct vm_copy *copy;
			uint64_t pages, sum = 0;

			memset(page, 0xee, sizeof(page));
			for (unsigned p = 0; p < 8; p++)
				test_access(a, base + p * PAGE_SIZE, page, PAGE_SIZE, true);
			claim(vm_copy_in(a, base + offset, bytes[i], false, sender, &copy) ==
				      KERN_SUCCESS,
			      "in");
			pages = vm_copy_pages(copy);
			at = receive(b, copy) & ~(uint64_t)PAGE_MASK;
			for (uint64_t p = 0; p < pages; p++) {
				test_access(b, at + p * PAGE_SIZE, page, PAGE_SIZE, false);
				for (unsigned k = 0; k < PAGE_SIZE; k++)
					sum += page[k] != 0;
			}
			claim(sum == bytes[i], "%lu bytes at %u: %lu are not zero", (long)bytes[i],
			      offset, (long)sum);
			test_map_end(a);
			test_map_end(b);
		}
	claim_end();
	end(NULL, NULL, "foreign");
}

static void shared_over_frozen(void)
{
	uint64_t base;
	struct vm_map *a = filled(4, &base), *old = test_map(receiver), *b = test_map(receiver);

	/* old and a share for copying; then a and b share for writing, on top of it. */
	vm_map_fork(a, old);
	vm_map_inherit(a, base, 4 * PAGE_SIZE, VM_INHERIT_SHARE);
	vm_map_fork(a, b);
	is_u64(test_peek(b, base), 100, "a sharer reads the page below");
	test_poke(a, base, 7);
	is_u64(test_peek(b, base), 7, "another's write, which copies it, is seen by the sharer");
	is_u64(test_peek(old, base), 100, "and not by the copy");
	test_poke(b, base, 8);
	is_u64(test_peek(a, base), 8, "and back");
	test_map_end(old);
	end(a, b, "shared over frozen");
}

static void limits_at_receive(void)
{
	uint64_t base, at;
	struct vm_map *a = filled(16, &base), *b = test_map(receiver);
	struct vm_copy *copy;

	vm_copy_in(a, base, 16 * PAGE_SIZE, false, sender, &copy);
	b->size_limit = 15 * PAGE_SIZE;
	is_u64(vm_copy_out(b, copy, &at), KERN_NO_SPACE, "the receiver's size limit holds");
	b->size_limit = UINT64_MAX;
	ledger_limit(receiver, LEDGER_VIRTUAL_PAGES, 15);
	is_u64(vm_copy_out(b, copy, &at), KERN_RESOURCE_SHORTAGE,
	       "the receiver's ledger may deny");
	is_u64(b->entry_count, 0, "and nothing has come");
	ledger_limit(receiver, LEDGER_VIRTUAL_PAGES, 16);
	is_u64(test_peek(b, receive(b, copy)), 100, "with room in it, it is received");
	ledger_limit(receiver, LEDGER_VIRTUAL_PAGES, LEDGER_UNLIMITED);
	end(a, b, "limits");
}

static void codes(void)
{
	uint64_t base;
	struct vm_map *a = filled(4, &base);
	struct vm_copy *copy = (void *)1;
	char string[8];

	is_u64(vm_copy_in(a, base, 0, false, sender, &copy), KERN_SUCCESS, "nothing is a copy");
	ok(copy == NULL, "of nothing");
	is_u64(vm_copy_in(a, base, 5 * PAGE_SIZE, false, sender, &copy), KERN_INVALID_ADDRESS,
	       "beyond the region");
	is_u64(vm_copy_in(a, UINT64_MAX - 5, 10, false, sender, &copy), KERN_INVALID_ADDRESS,
	       "around the end");
	vm_map_protect(a, base + PAGE_SIZE, PAGE_SIZE, false, VM_PROT_NONE);
	is_u64(vm_copy_in(a, base, 2 * PAGE_SIZE, false, sender, &copy), KERN_PROTECTION_FAILURE,
	       "unreadable");
	is_u64(copyin(a, string, UINT64_MAX - 2, 8), KERN_INVALID_ADDRESS, "copyin around the end");
	is_u64(copyin(a, string, USER_ADDRESS_MAX - 4, 8), KERN_INVALID_ADDRESS,
	       "copyin over the end");
	is_u64(copyin(a, string, 0, 8), KERN_INVALID_ADDRESS, "copyin of nothing there");
	is_u64(copyin(a, string, base + PAGE_SIZE - 4, 8), KERN_PROTECTION_FAILURE,
	       "copyin into the unreadable");
	is_u64(copyout_prepare(a, base + PAGE_SIZE - 4, 8), KERN_PROTECTION_FAILURE,
	       "copyout into the unwritable");
	memcpy(host_user_page(&a->pmap, base, true), "abcdefgh", 8);
	is_u64(copyin_string(a, string, base, 8), KERN_INVALID_ARGUMENT, "a string too long");
	memcpy(host_user_page(&a->pmap, base, true), "abcdefg", 8);
	is_u64(copyin_string(a, string, base, 8), KERN_SUCCESS, "a string");
	is_str(string, "abcdefg", "the same");
	end(a, NULL, "codes");
}

static void kernel_objects(void)
{
	static char text[3 * PAGE_SIZE + 100];
	struct vm_map *b = test_map(receiver);
	struct vm_copy *copy;
	struct vm_object *object;
	uint64_t at, physical, calls = host_used(&root_ledger, LEDGER_RESIDENT_PAGES);

	for (unsigned i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7 + i / 256);
	object = vm_object_contiguous(&root_ledger, 5 * PAGE_SIZE, 0, 0, 4 * PAGE_SIZE, &physical);
	ok(object != NULL && physical % (4 * PAGE_SIZE) == 0, "contiguous frames, aligned");
	object->kernel_held = true;
	memcpy(phys_to_virt(physical), text, sizeof(text));
	is_u64(vm_copy_from_object(object, 100, 3 * PAGE_SIZE, receiver, &copy), KERN_SUCCESS,
	       "a copy of an object");
	is_u64(host_used(receiver, LEDGER_RESIDENT_PAGES), 2, "only its ends are copied");
	at = receive(b, copy);
	copyin(b, text + 0, at, 3 * PAGE_SIZE);
	claim_begin("with the object's bytes");
	for (unsigned i = 0; i < 3 * PAGE_SIZE; i++)
		claim(text[i] == (char)((i + 100) * 7 + (i + 100) / 256), "byte %u", i);
	claim_end();
	test_poke(b, (at & ~(uint64_t)PAGE_MASK) + PAGE_SIZE, 0);
	ok(memcmp((char *)phys_to_virt(physical) + PAGE_SIZE, (char *)text + PAGE_SIZE - 100, 8) ==
		   0,
	   "a write does not reach the object");
	is_u64(vm_copy_from_object(object, 5 * PAGE_SIZE - 1, 2, receiver, &copy),
	       KERN_INVALID_ARGUMENT, "beyond it");
	test_map_end(b);
	object->kernel_held = false;
	vm_object_release(object);
	reap_all();
	is_u64(host_used(&root_ledger, LEDGER_RESIDENT_PAGES), calls, "all came back");
	ok(vm_object_contiguous(&root_ledger, 1ull << 40, 0, 0, 0, &physical) == NULL,
	   "more than there is");
	ok(vm_object_contiguous(&root_ledger, 2 * PAGE_SIZE, 0x3000, 0x4000, 0, &physical) == NULL,
	   "bounds too narrow");
	ok(host_audit(), "the audit agrees");
	end(NULL, NULL, "kernel objects");
}

/* A dead map, worked off when memory is short. */
struct dying {
	struct reap reap;
	struct vm_map *map;
};

static bool dying_step(struct reap *item)
{
	return vm_map_dismantle(((struct dying *)item)->map);
}

/* While a page is added to a shared object, the allocation works off the map whose ledger pays for
 * the object. */
static void payer_dies_in_allocation(void)
{
	struct dying dying;
	struct vm_map *b = test_map(receiver);
	uint64_t base, left;

	dying.map = test_map(sender);
	base = test_allocate(dying.map, 64);
	vm_map_inherit(dying.map, base, 64 * PAGE_SIZE, VM_INHERIT_SHARE);
	test_poke(dying.map, base, 1);
	vm_map_fork(dying.map, b);
	test_peek(b, base);
	/* Room for the shared object's pages only after the dead map's own memory has gone. */
	left = test_allocate(dying.map, 32);
	for (unsigned i = 0; i < 32; i++)
		test_poke(dying.map, left + i * PAGE_SIZE, i);
	ledger_limit(sender, LEDGER_RESIDENT_PAGES, host_used(sender, LEDGER_RESIDENT_PAGES));
	reap_defer(&dying.reap, dying_step);
	is_u64(test_poke(b, base + PAGE_SIZE, 2), KERN_SUCCESS,
	       "a page is added when the dead are worked off");
	ledger_limit(sender, LEDGER_RESIDENT_PAGES, LEDGER_UNLIMITED);
	reap_all();
	ok(test_empty(sender), "the dead map's ledger pays for nothing");
	is_u64(host_used(receiver, LEDGER_RESIDENT_PAGES), 2, "the sharer's pays for both pages");
	ok(host_audit(), "the audit agrees");
	vm_object_check(vm_map_lookup(b, base)->object);
	free(dying.map);
	end(b, NULL, "payer dies");
}

int main(void)
{
	tap_begin("vm_copy_test");
	host_memory(8192, 4096);
	vm_init();
	sender = test_ledger("sender");
	receiver = test_ledger("receiver");
	large_is_shared();
	what_is_undone();
	copied_again();
	move_hands_over();
	no_foreign_bytes();
	shared_over_frozen();
	limits_at_receive();
	codes();
	kernel_objects();
	payer_dies_in_allocation();
	return tap_done();
}
