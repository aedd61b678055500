/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * malloc over vm_allocate. Blocks of 2^k bytes (32 to 2048) come from chunks
 * of CHUNK bytes and return to a list of their size, never to the kernel;
 * larger ones are regions of their own and go back at free. Each block is
 * preceded by a header of 16 bytes that tells its size. Memory is present when
 * malloc returns it: what cannot be had is NULL here, never an exception later.
 */
#include <stdlib.h>
#include <mach.h>
#include <mach/threads.h>
#include <string.h>

#define CHUNK		(64 * 1024)
#define SMALLEST_SHIFT	5
#define SIZES		7	/* 32, 64 .. 2048 bytes, header included */
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

static struct mutex lock = MUTEX_INIT;
static struct free_block *free_list[SIZES];
static char *chunk_next;
static size_t chunk_left;
static vm_address_t chunk_touched;

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

/* Makes the pages up to here present; those of the chunk behind it wait until they are needed. */
static bool touch_to(vm_address_t end)
{
	if (end > chunk_touched && memory_touch(chunk_touched, end - chunk_touched) != KERN_SUCCESS)
		return false;
	if (end > chunk_touched)
		chunk_touched = round_page(end);
	return true;
}

/* A new block of the size, cut from the chunk. The rest of a chunk that is too small for it is lost. */
static struct free_block *cut(size_t bytes)
{
	struct free_block *block;

	if (chunk_left < bytes) {
		vm_address_t address = 0;

		if (syscall_vm_allocate(mach_task_self(), &address, CHUNK, TRUE) != KERN_SUCCESS)
			return NULL;
		chunk_next = (char *)address;
		chunk_left = CHUNK;
		chunk_touched = address;
	}
	if (!touch_to((vm_address_t)chunk_next + bytes))
		return NULL;
	block = (struct free_block *)(void *)chunk_next;
	chunk_next += bytes;
	chunk_left -= bytes;
	return block;
}

void *malloc(size_t size)
{
	struct free_block *block;
	unsigned index = 0;

	if (size > (1UL << (SMALLEST_SHIFT + SIZES - 1)) - sizeof(struct header))
		return large_alloc(size);
	while ((1UL << (SMALLEST_SHIFT + index)) < size + sizeof(struct header))
		index++;
	mutex_lock(&lock);
	block = free_list[index];
	if (block != NULL)
		free_list[index] = block->next;
	else
		block = cut(1UL << (SMALLEST_SHIFT + index));
	mutex_unlock(&lock);
	if (block == NULL)
		return NULL;
	block->header.index = (uint8_t)index;
	block->header.mark = SMALL_MARK;
	return &block->header + 1;
}

void free(void *memory)
{
	struct free_block *block;
	struct header *header;

	if (memory == NULL)
		return;
	header = (struct header *)memory - 1;
	if (header->mark == LARGE_MARK && header->index == LARGE_MARK) {
		vm_deallocate(mach_task_self(), (vm_address_t)header, header->bytes);
		return;
	}
	if (header->mark != SMALL_MARK || header->index >= SIZES)
		abort();
	block = (struct free_block *)(void *)header;
	header->mark = FREE_MARK;
	mutex_lock(&lock);
	block->next = free_list[header->index];
	free_list[header->index] = block;
	mutex_unlock(&lock);
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
