/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and strings. Plain loops of 8-byte words: string instructions are slow to start, and
   where instructions are counted (QEMU -icount) each of their steps counts as one. x86-64 takes
   unaligned words. */
#include "kern/string.h"
#include <stdint.h>

/* Or the compiler makes these loops into calls of the very functions that they are. */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

/* Words without alignment or aliasing rules. */
typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

/* From low to high; each step reads its words before it writes them, so `to` may overlap from
   below. */
static inline void copy_up(uint8_t *t, const uint8_t *f, size_t size)
{
	for (; size >= 32; size -= 32, t += 32, f += 32) {
		const word_t *w = (const word_t *)f;
		uint64_t a = w[0], b = w[1], c = w[2], d = w[3];
		word_t *v = (word_t *)t;
		v[0] = a;
		v[1] = b;
		v[2] = c;
		v[3] = d;
	}
	if (size & 16) {
		uint64_t a = ((const word_t *)f)[0], b = ((const word_t *)f)[1];
		((word_t *)t)[0] = a;
		((word_t *)t)[1] = b;
		t += 16;
		f += 16;
	}
	if (size & 8) {
		*(word_t *)t = *(const word_t *)f;
		t += 8;
		f += 8;
	}
	for (size &= 7; size > 0; size--)
		*t++ = *f++;
}

void *(memcpy)(void *restrict to, const void *restrict from, size_t size)
{
	copy_up(to, from, size);
	return to;
}

void *memmove(void *to, const void *from, size_t size)
{
	uint8_t *t = (uint8_t *)to + size;
	const uint8_t *f = (const uint8_t *)from + size;

	if ((uintptr_t)to <= (uintptr_t)from) {
		copy_up(to, from, size);
		return to;
	}
	while (size % 8 > 0) {
		*--t = *--f;
		size--;
	}
	for (; size > 0; size -= 8) {
		t -= 8;
		f -= 8;
		*(word_t *)t = *(const word_t *)f;
	}
	return to;
}

void *(memset)(void *to, int byte, size_t size)
{
	uint8_t *t = to;
	uint64_t word = 0x0101010101010101ull * (uint8_t)byte;

	for (; size >= 64; size -= 64, t += 64) {
		word_t *v = (word_t *)t;
		v[0] = word;
		v[1] = word;
		v[2] = word;
		v[3] = word;
		v[4] = word;
		v[5] = word;
		v[6] = word;
		v[7] = word;
	}
	for (; size >= 8; size -= 8, t += 8)
		*(word_t *)t = word;
	while (size-- > 0)
		*t++ = byte;
	return to;
}

int (memcmp)(const void *a, const void *b, size_t size)
{
	const uint8_t *x = a, *y = b;

	for (; size >= 8 && *(const word_t *)x == *(const word_t *)y; size -= 8, x += 8, y += 8)
		continue;
	for (; size > 0; size--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	for (; *a && *a == *b; a++, b++)
		continue;
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (; max > 0 && *a && *a == *b; a++, b++, max--)
		continue;
	return max == 0 ? 0 : (uint8_t)*a - (uint8_t)*b;
}

char *strchr(const char *s, int c)
{
	for (; *s != (char)c; s++)
		if (!*s)
			return NULL;
	return (char *)(uintptr_t)s;
}

size_t strlcpy(char *to, const char *from, size_t size)
{
	size_t length = strlen(from);

	if (size > 0) {
		size_t n = length < size ? length : size - 1;
		memcpy(to, from, n);
		to[n] = '\0';
	}
	return length;
}
