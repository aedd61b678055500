/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading a few words of user memory in line; machine.h has what copies any number of bytes. */
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

/* Four words of the current address space, from a user address; false: they are not all there. A fault on the way goes on at 3 with
   rax spoilt (trap.c). */
static inline bool user_read4(uint64_t from, uint64_t word[4])
{
	uint64_t ok, a, b, c, d;

	if (from >= USER_ADDRESS_MAX - 4096)
		return false;
	__asm__ volatile(USERCOPY_STAC
		"1: movq (%[from]), %[a]\n\tmovq 8(%[from]), %[b]\n\tmovq 16(%[from]), %[c]\n\tmovq 24(%[from]), %[d]\n\t"
		"movl $1, %%eax\n\t"
		"2: " USERCOPY_CLAC
		".pushsection .text.unlikely\n\t3: xorl %%eax, %%eax\n\tjmp 2b\n\t.popsection\n\t"
		".pushsection .fixup, \"a\"\n\t.quad 1b, 2b, 3b\n\t.popsection"
		: "=&a"(ok), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d) : [from] "r"(from) : "memory", "cc");
	if (!ok)
		return false;
	word[0] = a;
	word[1] = b;
	word[2] = c;
	word[3] = d;
	return true;
}

#endif
