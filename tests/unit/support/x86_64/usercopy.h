/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/x86_64/usercopy.h. */
#ifndef X86_64_USERCOPY_H
#define X86_64_USERCOPY_H
#include "x86_64/machine.h"

/* True: nothing is readable in this way, nor writable by pmap_writable, so nothing goes the fast paths of mach_msg. */
extern bool host_fast_off;
/* How often a message's head was read to go such a way, and the one item of a body. */
extern unsigned host_heads_read, host_items_read;
#define USERCOPY_MAX 4096
#define USERCOPY_ROW_MAX 224
#define USERCOPY_ROW_BASE 160

static inline bool user_read4(uint64_t from, uint64_t word[4])
{
	uint64_t fault;

	host_heads_read++;
	if (host_fast_off)
		return false;
	return user_copy_in(word, from, 32, &fault);
}

static inline bool user_read2(uint64_t from, uint64_t word[2])
{
	uint64_t fault;

	host_items_read++;
	return user_copy_in(word, from, 16, &fault);
}

static inline bool usercopy_range(uint64_t address)
{
	return address < USER_ADDRESS_MAX - USERCOPY_MAX;
}

static inline bool user_write_head(uint64_t to, uint32_t bits, uint32_t size, uint64_t remote, uint64_t local, uint32_t sequence, uint32_t id)
{
	uint64_t word[4] = { bits | (uint64_t)size << 32, remote, local, sequence | (uint64_t)id << 32 }, fault;

	return !host_fast_off && user_copy_out(to, word, sizeof(word), &fault);
}

/* The last word first, as the machine does, which matters where users' buffers overlap. */
static inline bool user_words_in(void *to, uint64_t from, uint64_t first, uint64_t end)
{
	uint64_t fault;

	if (host_fast_off)
		return false;
	while (end != first) {
		end -= 8;
		if (!user_copy_in((char *)to + end, from + end, 8, &fault))
			return false;
	}
	return true;
}

static inline bool user_words_out(uint64_t to, const void *from, uint64_t first, uint64_t end)
{
	uint64_t fault;

	return !host_fast_off && user_copy_out(to + first, (const char *)from + first, end - first, &fault);
}

static inline bool user_write(uint64_t to, uint64_t word)
{
	uint64_t fault;

	return !host_fast_off && user_copy_out(to, &word, sizeof(word), &fault);
}

static inline bool user_write_reply(uint64_t to_base, uint32_t bits, uint64_t size, uint64_t local, uint32_t sequence, uint32_t id,
				    uint64_t type, uint32_t code, const void *from)
{
	uint64_t to = to_base - USERCOPY_ROW_BASE;
	uint64_t word[6] = { bits | size << 32, 0, local, sequence | (uint64_t)id << 32, type, code }, fault;

	return !host_fast_off && user_copy_out(to, word, sizeof(word), &fault) &&
	       (size == sizeof(word) || user_words_out(to, from, sizeof(word), size));
}

static inline bool user_write_message(uint64_t to, uint32_t bits, uint64_t size, const uint32_t *local, const uint32_t *sequence,
				      const uint32_t *id, const void *from)
{
	return user_write_head(to, bits, (uint32_t)size, 0, *local, *sequence, *id) &&
	       (size == 32 || user_words_out(to, from, 32, size));
}

#endif
