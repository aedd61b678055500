/* SPDX-License-Identifier: BSD-2-Clause */
/* Copying a few words of user memory in line; machine.h has what copies any number of bytes. */
#ifndef X86_64_USERCOPY_H
#define X86_64_USERCOPY_H
#include <stdbool.h>
#include <stdint.h>
#include "x86_64/machine.h"

/* Becomes stac or clac at boot, as in entry.S. */
#define USERCOPY_SMAP(bytes) \
	"900: nopl (%%rax)\n\t.pushsection .patch_smap, \"a\"\n\t.quad 900b\n\t.long " bytes "\n\t.long 0\n\t.popsection\n\t"
#define USERCOPY_STAC USERCOPY_SMAP("0xcb010f")
#define USERCOPY_CLAC USERCOPY_SMAP("0xca010f")

/* Where to begin, so that USERCOPY_MAX bytes do not reach beyond the users' addresses. What says so looks at its own range. */
#define USERCOPY_MAX 4096
static inline bool usercopy_range(uint64_t address)
{
	return address < USER_ADDRESS_MAX - USERCOPY_MAX;
}

/* A fault between 1 and 2 goes on at 3, with rax spoilt (trap.c), and from there at the label. */
#define USERCOPY_FIXUP(label) \
	"2: " USERCOPY_CLAC \
	".pushsection .text.unlikely\n\t3: " USERCOPY_CLAC "jmp " label "\n\t.popsection\n\t" \
	".pushsection .fixup, \"a\"\n\t.quad 1b, 2b, 3b\n\t.popsection"

/* After an asm goto that has outputs: GCC before 12.4 and 13.3 may lose them otherwise (its bug 113921). */
#define USERCOPY_OUTPUTS __asm__ volatile("")

/* Four words of the current address space, from a user address that is looked at; false: they are not all there. */
static inline bool user_read4(uint64_t from, uint64_t word[4])
{
	uint64_t a, b, c, d;

	if (!usercopy_range(from))
		return false;
	__asm__ volatile goto(USERCOPY_STAC
		"1: movq (%[from]), %[a]\n\tmovq 8(%[from]), %[b]\n\tmovq 16(%[from]), %[c]\n\tmovq 24(%[from]), %[d]\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d) : [from] "r"(from) : "rax", "memory" : fault);
	USERCOPY_OUTPUTS;
	word[0] = a;
	word[1] = b;
	word[2] = c;
	word[3] = d;
	return true;
fault:
	return false;
}

/* A message's head to a user address (usercopy_range), in halves of words, so that nothing need be put together; false: it may be there
   in part. */
static inline bool user_write_head(uint64_t to, uint32_t bits, uint32_t size, uint64_t remote, uint64_t local, uint32_t sequence, uint32_t id)
{
	__asm__ volatile goto(USERCOPY_STAC
		"1: movl %[bits], (%[to])\n\tmovl %[size], 4(%[to])\n\tmovq %[remote], 8(%[to])\n\tmovq %[local], 16(%[to])\n\t"
		"movl %[sequence], 24(%[to])\n\tmovl %[id], 28(%[to])\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: : [to] "r"(to), [bits] "r"(bits), [size] "r"(size), [remote] "re"(remote), [local] "r"(local), [sequence] "r"(sequence),
		    [id] "r"(id)
		: "rax", "memory" : fault);
	return true;
fault:
	return false;
}

/* The head of a reply (mig_reply_header_t) in the same way. bits and type: constants. */
static inline __attribute__((always_inline)) bool user_write_reply(uint64_t to, uint32_t bits, uint32_t size, uint64_t local,
								   uint32_t sequence, uint32_t id, uint64_t type, uint32_t code)
{
	__asm__ volatile goto(USERCOPY_STAC
		"1: movl %[bits], (%[to])\n\tmovl %[size], 4(%[to])\n\tmovq $0, 8(%[to])\n\tmovq %[local], 16(%[to])\n\t"
		"movl %[sequence], 24(%[to])\n\tmovl %[id], 28(%[to])\n\tmovl %[low], 32(%[to])\n\tmovl %[high], 36(%[to])\n\t"
		"movl %[code], 40(%[to])\n\tmovl $0, 44(%[to])\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: : [to] "r"(to), [bits] "i"(bits), [size] "r"(size), [local] "r"(local), [sequence] "r"(sequence), [id] "r"(id),
		    [low] "i"((uint32_t)type), [high] "i"((uint32_t)(type >> 32)), [code] "r"(code)
		: "rax", "memory" : fault);
	return true;
fault:
	return false;
}

/* Copies bytes (a multiple of 8, 8 to USERCOPY_MAX), one of the two addresses the user's; false: perhaps in part. */
static inline bool user_words_copy(char *to, const char *from, uint64_t bytes)
{
	uint64_t left = -bytes, word;

	__asm__ volatile goto(USERCOPY_STAC
		"testb $8, %b[left]\n\tjz 4f\n\t"
		"1: movq (%[from],%[left]), %%rax\n\tmovq %%rax, (%[to],%[left])\n\taddq $8, %[left]\n\tjz 2f\n\t"
		"4: movq (%[from],%[left]), %%rax\n\tmovq 8(%[from],%[left]), %[word]\n\t"
		"movq %%rax, (%[to],%[left])\n\tmovq %[word], 8(%[to],%[left])\n\taddq $16, %[left]\n\tjnz 4b\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: [left] "+&r"(left), [word] "=&r"(word) : [to] "r"(to + bytes), [from] "r"(from + bytes)
		: "rax", "memory", "cc" : fault);
	USERCOPY_OUTPUTS;
	return true;
fault:
	return false;
}

/* The same, user memory told apart (usercopy_range, or so far behind such an address that USERCOPY_MAX is not passed). */
static inline bool user_words_in(void *to, uint64_t from, uint64_t bytes)
{
	return user_words_copy(to, (const char *)from, bytes);
}

static inline bool user_words_out(uint64_t to, const void *from, uint64_t bytes)
{
	return user_words_copy((char *)to, from, bytes);
}

/* A word at a user address (usercopy_range) that user_write will write to: reads it and writes it back. False: it cannot be both,
   or spans pages of which one cannot; nothing has changed. */
static inline bool user_read_back(uint64_t at, uint64_t *word)
{
	uint64_t value;

	__asm__ volatile goto(USERCOPY_STAC
		"1: movq (%[at]), %[value]\n\tmovq %[value], (%[at])\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: [value] "=&r"(value) : [at] "r"(at) : "rax", "memory" : fault);
	USERCOPY_OUTPUTS;
	*word = value;
	return true;
fault:
	return false;
}

/* A word to a user address (usercopy_range). */
static inline bool user_write(uint64_t to, uint64_t word)
{
	__asm__ volatile goto(USERCOPY_STAC
		"1: movq %[word], (%[to])\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: : [to] "r"(to), [word] "r"(word) : "rax", "memory" : fault);
	return true;
fault:
	return false;
}

#endif
