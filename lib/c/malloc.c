/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc over vm_allocate. Blocks of 2^k bytes (32 to 1024) are cut from pages
 * of one size each; the page begins with its head, and an empty page goes back to
 * the kernel unless, and as long as, it is the only one of its size with room. Larger blocks are
 * regions of their own and go back at free. Each block is preceded by a header
 * of 16 bytes that tells its size. Memory is present when malloc returns it: what
 * cannot be had is NULL here, never an exception later.
 */
#include <stdlib.h>
#include <mach.h>
#include <mach/threads.h>
#include <string.h>
#include <bsd/sys/queue.h>

#define SMALLEST_SHIFT	5
#define SIZES		6	/* 32, 64 .. 1024 bytes, header included */
#define LARGE_MARK	0xff
#define SMALL_MARK	0x5a
#define FREE_MARK	0xee

struct header {
	uint64_t bytes;		/* of the region, when large */
	uint8_t index;		/* of the size, LARGE_MARK when large */
	uint8_t mark;		/* SMALL_MARK or LARGE_MARK; FREE_MARK: not in use */
	uint8_t spare[6];
};
_Static_assert(sizeof(struct header) == 16, "blocks must stay aligned to 16 bytes");

struct free_block {
	struct header header;
	struct free_block *next;
};

/* At the start of each page. */
struct block_page {
	LIST_ENTRY(block_page) link;	/* in partial[], while there is room */
	struct free_block *free;	/* given back; blocks from `fresh` on were never given */
	uint32_t fresh;			/* bytes */
	uint32_t used;			/* blocks */
};
_Static_assert(sizeof(struct block_page) == 32, "blocks must stay aligned to 16 bytes");
LIST_HEAD(block_pages, block_page);

static struct mutex lock = MUTEX_INIT;
static struct block_pages partial[SIZES];

static void *large_alloc(size_t size)
{
	vm_size_t bytes = (size + sizeof(struct header) + vm_page_size - 1) & -vm_page_size;
	vm_address_t address = 0;
	struct header *header;

	if (bytes < size || memory_allocate(&address, bytes) != KERN_SUCCESS)
		return NULL;
	header = (struct header *)address;
	header->bytes = bytes;
	header->index = LARGE_MARK;
	header->mark = LARGE_MARK;
	return header + 1;
}

static bool has_room(const struct block_page *page, unsigned index)
{
	return page->free != NULL || page->fresh + (1U << (SMALLEST_SHIFT + index)) <= vm_page_size;
}

static struct block_page *new_page(unsigned index)
{
	vm_address_t address = 0;
	struct block_page *page;

	if (memory_allocate(&address, vm_page_size) != KERN_SUCCESS)
		return NULL;
	page = (struct block_page *)address;
	page->fresh = sizeof *page;
	LIST_INSERT_HEAD(&partial[index], page, link);
	return page;
}

/* A block of a page that has room. */
static struct free_block *take_block(struct block_page *page, unsigned index)
{
	struct free_block *block = page->free;

	if (block != NULL) {
		page->free = block->next;
	} else {
		block = (struct free_block *)(void *)((char *)page + page->fresh);
		page->fresh += 1U << (SMALLEST_SHIFT + index);
	}
	page->used++;
	if (!has_room(page, index))
		LIST_REMOVE(page, link);
	return block;
}

/* Takes the page off the list if it is empty and others of its size have room; NULL: it stays. */
static struct block_page *page_to_go(struct block_page *page, unsigned index)
{
	if (page == NULL || page->used > 0 ||
	    (LIST_FIRST(&partial[index]) == page && LIST_NEXT(page, link) == NULL))
		return NULL;
	LIST_REMOVE(page, link);
	return page;
}

/* Returns the page that is to go, if there is one: this one, or the empty one that was kept while the rest was full. */
static struct block_page *put_block(struct block_page *page, struct free_block *block, unsigned index)
{
	struct block_page *kept = NULL;

	if (!has_room(page, index)) {
		kept = LIST_FIRST(&partial[index]);
		LIST_INSERT_HEAD(&partial[index], page, link);
	}
	block->next = page->free;
	page->free = block;
	page->used--;
	return page_to_go(kept != NULL ? kept : page, index);
}

void *malloc(size_t size)
{
	struct free_block *block = NULL;
	struct block_page *page;
	unsigned index = 0;

	if (size > (1UL << (SMALLEST_SHIFT + SIZES - 1)) - sizeof(struct header))
		return large_alloc(size);
	while ((1UL << (SMALLEST_SHIFT + index)) < size + sizeof(struct header))
		index++;
	mutex_lock(&lock);
	page = LIST_FIRST(&partial[index]);
	if (page == NULL)
		page = new_page(index);
	if (page != NULL)
		block = take_block(page, index);
	mutex_unlock(&lock);
	if (block == NULL)
		return NULL;
	block->header.index = (uint8_t)index;
	block->header.mark = SMALL_MARK;
	return &block->header + 1;
}

void free(void *memory)
{
	struct header *header;
	struct block_page *page;

	if (memory == NULL)
		return;
	header = (struct header *)memory - 1;
	if (header->mark == LARGE_MARK && header->index == LARGE_MARK) {
		give_back_memory((vm_address_t)header, header->bytes);
		return;
	}
	if (header->mark != SMALL_MARK || header->index >= SIZES)
		abort();
	header->mark = FREE_MARK;
	page = (struct block_page *)trunc_page((vm_address_t)header);
	mutex_lock(&lock);
	page = put_block(page, (struct free_block *)(void *)header, header->index);
	mutex_unlock(&lock);
	if (page != NULL)
		give_back_memory((vm_address_t)page, vm_page_size);
}

void *calloc(size_t count, size_t size)
{
	size_t bytes;
	void *memory;

	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	memory = malloc(bytes);
	return memory != NULL ? memset(memory, 0, bytes) : NULL;
}

static size_t room_of(void *memory)
{
	struct header *header = (struct header *)memory - 1;
	size_t bytes = header->index == LARGE_MARK ? header->bytes
						   : 1UL << (SMALLEST_SHIFT + header->index);

	return bytes - sizeof(struct header);
}

void *realloc(void *old, size_t size)
{
	void *memory;

	if (old == NULL)
		return malloc(size);
	if (room_of(old) >= size)
		return old;
	memory = malloc(size);
	if (memory == NULL)
		return NULL;
	memcpy(memory, old, room_of(old));
	free(old);
	return memory;
}
