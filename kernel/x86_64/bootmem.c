/* SPDX-License-Identifier: BSD-2-Clause */
/* RAM before the page allocator. Two short sorted lists of ranges; free is what the first has
   and the second lacks. */
#include "x86_64/bootmem.h"
#include "kern/string.h"
#include "x86_64/cpu.h"

#define PAGE 4096ull
#define RANGES_MAX 128u

struct list {
	struct range ranges[RANGES_MAX];
	unsigned count;
};
static struct list ram, taken;

/* Inserts a range, joining it with those that it touches. False: the list is full. */
static bool list_add(struct list *list, uint64_t start, uint64_t end)
{
	unsigned at = 0, after;

	while (at < list->count && list->ranges[at].end < start)
		at++;
	for (after = at; after < list->count && list->ranges[after].start <= end; after++) {
		if (list->ranges[after].start < start)
			start = list->ranges[after].start;
		if (list->ranges[after].end > end)
			end = list->ranges[after].end;
	}
	if (after == at && list->count == RANGES_MAX)
		return false;
	memmove(&list->ranges[at + 1], &list->ranges[after], (list->count - after) * sizeof(struct range));
	list->ranges[at] = (struct range){start, end};
	list->count = list->count - (after - at) + 1;
	return true;
}

void bootmem_add_ram(uint64_t start, uint64_t end)
{
	uint64_t limit = cpu_physical_limit();

	if (end > limit)
		end = limit;
	/* Part of a page is no RAM for us. A list that is full costs the rest of the RAM,
	   nothing else. */
	start = (start + PAGE - 1) & ~(PAGE - 1);
	end &= ~(PAGE - 1);
	if (start < end)
		list_add(&ram, start, end);
}

void bootmem_reserve(uint64_t start, uint64_t end)
{
	start &= ~(PAGE - 1);
	end = end > ~0ull - PAGE ? ~(PAGE - 1) : (end + PAGE - 1) & ~(PAGE - 1);
	if (start < end && !list_add(&taken, start, end))
		machine_cannot_boot("the memory map has too many reserved ranges");
}

unsigned bootmem_ram(const struct range **ranges)
{
	*ranges = ram.ranges;
	return ram.count;
}

bool bootmem_is_ram(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < ram.count; i++)
		if (start >= ram.ranges[i].start && end <= ram.ranges[i].end)
			return true;
	return false;
}

uint64_t bootmem_ram_bytes(void)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < ram.count; i++)
		bytes += ram.ranges[i].end - ram.ranges[i].start;
	return bytes;
}

/* The first free stretch at or above from; false: none. */
static bool next_free(uint64_t from, struct range *found)
{
	for (unsigned i = 0; i < ram.count; i++) {
		uint64_t start = ram.ranges[i].start > from ? ram.ranges[i].start : from;
		uint64_t end = ram.ranges[i].end;

		for (unsigned j = 0; j < taken.count; j++) {
			const struct range *t = &taken.ranges[j];
			if (t->end <= start)
				continue;
			if (t->start > start) {
				end = t->start < end ? t->start : end;
				break;
			}
			start = t->end;
		}
		if (start < end) {
			*found = (struct range){start, end};
			return true;
		}
	}
	return false;
}

uint64_t bootmem_take(uint64_t bytes, uint64_t limit)
{
	struct range piece;

	bytes = (bytes + PAGE - 1) & ~(PAGE - 1);
	for (uint64_t from = 0; next_free(from, &piece); from = piece.end) {
		if (piece.end > limit)
			piece.end = limit;
		if (piece.start >= limit)
			return 0;
		if (piece.end - piece.start >= bytes) {
			bootmem_reserve(piece.start, piece.start + bytes);
			return piece.start;
		}
	}
	return 0;
}

void bootmem_untake(uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < taken.count; i++) {
		struct range *t = &taken.ranges[i];
		if (t->start > start || t->end < end)
			continue;
		uint64_t rest = t->end;
		t->end = start;
		if (end < rest)
			bootmem_reserve(end, rest);
		if (t->start == t->end) {
			taken.count--;
			memmove(t, t + 1, (taken.count - i) * sizeof(*t));
		}
		return;
	}
}

void bootmem_each_free(void (*visit)(uint64_t start, uint64_t end))
{
	struct range piece;

	for (uint64_t from = 0; next_free(from, &piece); from = piece.end)
		visit(piece.start, piece.end);
}
