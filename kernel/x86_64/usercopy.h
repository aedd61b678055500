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

/* Four words of the current address space, from a user address that is looked at; false: they are not all there. The second and the fourth
   come in the registers of a second and a sixth argument (msg_fast.h). */
static inline __attribute__((always_inline)) bool user_read4(uint64_t from, uint64_t word[4])
{
	register uint64_t a __asm__("r10");
	register uint64_t b __asm__("rsi");
	register uint64_t c __asm__("r11");
	register uint64_t d __asm__("r9");

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

/* Two words from a user address (usercopy_range). */
static inline __attribute__((always_inline)) bool user_read2(uint64_t from, uint64_t word[2])
{
	uint64_t a, b;

	__asm__ volatile goto(USERCOPY_STAC
		"1: movq (%[from]), %[a]\n\tmovq 8(%[from]), %[b]\n\t"
		USERCOPY_FIXUP("%l[fault]")
		: [a] "=&r"(a), [b] "=&r"(b) : [from] "r"(from) : "rax", "memory" : fault);
	USERCOPY_OUTPUTS;
	word[0] = a;
	word[1] = b;
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

/*
 * A row of loads and stores, a word each, from a message at r10 - 160 to one at r11 - 160, the last word first: four bytes of code each,
 * eight for a word. So the copy of a message's bytes from `first` (a constant) on begins as many bytes before the row's end. first: at least 32;
 * end: at most 288; so that each place that is used is told in one byte.
 */
#define USERCOPY_ROW_MAX 224
#define USERCOPY_ROW_BASE 160
#define USERCOPY_ROW \
	"leaq 2f + %c[first](%%rip), %%rax\n\tsubq %[end], %%rax\n\tjmp *%%rax\n\t" \
	".set usercopy_at, %c[first] + 56\n\t.rept 28\n\t" \
	"%{disp8%} movq usercopy_at(%%r10), %%rax\n\t%{disp8%} movq %%rax, usercopy_at(%%r11)\n\t" \
	".set usercopy_at, usercopy_at - 8\n\t.endr\n\t"

/* Copies a message's bytes from first on, and before end (multiples of 8, less than USERCOPY_ROW_MAX apart or as much), to the
   same place of another; false: perhaps in part. In and out: which of the two is the user's (usercopy_range). */
static inline __attribute__((always_inline)) bool user_words_copy(char *to, const char *from, uint64_t first, uint64_t end)
{
	register const char *r10 __asm__("r10") = from + USERCOPY_ROW_BASE;
	register char *r11 __asm__("r11") = to + USERCOPY_ROW_BASE;

	__asm__ volatile goto(USERCOPY_STAC "1: " USERCOPY_ROW USERCOPY_FIXUP("%l[fault]")
		: : [first] "i"(first), [end] "ri"(end), "r"(r10), "r"(r11) : "rax", "memory", "cc" : fault);
	return true;
fault:
	return false;
}

static inline __attribute__((always_inline)) bool user_words_in(void *to, uint64_t from, uint64_t first, uint64_t end)
{
	return user_words_copy(to, (const char *)from, first, end);
}

static inline __attribute__((always_inline)) bool user_words_out(uint64_t to, const void *from, uint64_t first, uint64_t end)
{
	return user_words_copy((char *)to, from, first, end);
}

/* A message of size bytes without a reply right, to a user address (usercopy_range): its head, and from there on as in `from`, at most
   USERCOPY_ROW_MAX bytes; false: it may be there in part. bits: a constant. What is loaded is stored at once: it takes one register. */
static inline __attribute__((always_inline)) bool user_write_message(uint64_t to, uint32_t bits, uint64_t size, const uint32_t *local,
								     const uint32_t *sequence, const uint32_t *id, const void *from)
{
	register const char *r10 __asm__("r10") = (const char *)from + USERCOPY_ROW_BASE;
	register uint64_t r11 __asm__("r11") = to + USERCOPY_ROW_BASE;

	__asm__ volatile goto(USERCOPY_STAC
		"1: movl %[bits], -160(%%r11)\n\tmovl %k[end], -156(%%r11)\n\tmovq $0, -152(%%r11)\n\t"
		"movl %[local], %%eax\n\tmovq %%rax, -144(%%r11)\n\tmovl %[sequence], %%eax\n\tmovl %%eax, -136(%%r11)\n\t"
		"movl %[id], %%eax\n\tmovl %%eax, -132(%%r11)\n\t"
		USERCOPY_ROW USERCOPY_FIXUP("%l[fault]")
		: : [bits] "i"(bits), [first] "i"(32), [end] "r"(size), [local] "m"(*local), [sequence] "m"(*sequence), [id] "m"(*id),
		    "r"(r10), "r"(r11)
		: "rax", "memory", "cc" : fault);
	return true;
fault:
	return false;
}

/* A reply of size bytes: its head (mig_reply_header_t), halves of words as of user_write_head, and from there on as in `from`, at most
   USERCOPY_ROW_MAX bytes. to_base: where it goes, and USERCOPY_ROW_BASE. bits and type: constants. */
static inline __attribute__((always_inline)) bool user_write_reply(uint64_t to_base, uint32_t bits, uint64_t size, uint64_t local,
								   uint32_t sequence, uint32_t id, uint64_t type, uint64_t code,
								   const void *from)
{
	register const char *r10 __asm__("r10") = (const char *)from + USERCOPY_ROW_BASE;
	register uint64_t r11 __asm__("r11") = to_base;

	__asm__ volatile goto(USERCOPY_STAC
		"1: movl %[bits], -160(%%r11)\n\tmovl %k[end], -156(%%r11)\n\tmovq $0, -152(%%r11)\n\tmovq %[local], -144(%%r11)\n\t"
		"movl %[sequence], -136(%%r11)\n\tmovl %[id], -132(%%r11)\n\tmovl %[low], -128(%%r11)\n\tmovl %[high], -124(%%r11)\n\t"
		"movq %[code], -120(%%r11)\n\t"
		USERCOPY_ROW USERCOPY_FIXUP("%l[fault]")
		: : [bits] "i"(bits), [first] "i"(48), [end] "r"(size), [local] "r"(local), [sequence] "r"(sequence), [id] "r"(id),
		    [low] "i"((uint32_t)type), [high] "i"((uint32_t)(type >> 32)), [code] "re"(code), "r"(r10), "r"(r11)
		: "rax", "memory", "cc" : fault);
	return true;
fault:
	return false;
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
