/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory and strings. Plain loops: the compiler is kept from turning them into calls of themselves. */
#include <string.h>
#include <stdint.h>
#include <stdlib.h>

#pragma GCC optimize("no-tree-loop-distribute-patterns")

void *(memcpy)(void *restrict to, const void *restrict from, size_t size)
{
	void *start = to;
	size_t words = size / 8, rest = size % 8;

	__asm__ volatile("rep movsq" : "+D" (to), "+S" (from), "+c" (words) : : "memory");
	__asm__ volatile("rep movsb" : "+D" (to), "+S" (from), "+c" (rest) : : "memory");
	return start;
}

void *memmove(void *to, const void *from, size_t size)
{
	unsigned char *t = to;
	const unsigned char *f = from;

	if ((uintptr_t)t - (uintptr_t)f >= size)
		return memcpy(to, from, size);
	while (size-- > 0)
		t[size] = f[size];
	return to;
}

void *(memset)(void *to, int byte, size_t size)
{
	void *start = to;
	size_t words = size / 8, rest = size % 8;
	uint64_t pattern = (unsigned char)byte * 0x0101010101010101UL;

	__asm__ volatile("rep stosq" : "+D" (to), "+c" (words) : "a" (pattern) : "memory");
	__asm__ volatile("rep stosb" : "+D" (to), "+c" (rest) : "a" (pattern) : "memory");
	return start;
}

int (memcmp)(const void *a, const void *b, size_t size)
{
	const unsigned char *x = a, *y = b;

	for (; size > 0; size--, x++, y++) {
		if (*x != *y)
			return *x < *y ? -1 : 1;
	}
	return 0;
}

void *memchr(const void *in, int byte, size_t size)
{
	const unsigned char *p = in;

	for (; size > 0; size--, p++) {
		if (*p == (unsigned char)byte)
			return (void *)(uintptr_t)p;
	}
	return NULL;
}

size_t strlen(const char *text)
{
	size_t n = 0;

	while (text[n] != '\0')
		n++;
	return n;
}

size_t strnlen(const char *text, size_t max)
{
	size_t n = 0;

	while (n < max && text[n] != '\0')
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t max)
{
	for (; max > 0; max--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
		if (*a == '\0')
			break;
	}
	return 0;
}

char *strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
	size_t n = strnlen(from, size);

	memcpy(to, from, n);
	memset(to + n, 0, size - n);
	return to;
}

char *strcat(char *restrict to, const char *restrict from)
{
	strcpy(to + strlen(to), from);
	return to;
}

size_t strlcpy(char *restrict to, const char *restrict from, size_t size)
{
	size_t n = strlen(from);

	if (size > 0) {
		size_t fits = n < size ? n : size - 1;

		memcpy(to, from, fits);
		to[fits] = '\0';
	}
	return n;
}

size_t strlcat(char *restrict to, const char *restrict from, size_t size)
{
	size_t n = strnlen(to, size);

	return n + strlcpy(to + n, from, size - n);
}

char *strchr(const char *text, int byte)
{
	for (;; text++) {
		if (*text == (char)byte)
			return (char *)(uintptr_t)text;
		if (*text == '\0')
			return NULL;
	}
}

char *strrchr(const char *text, int byte)
{
	char *last = NULL;

	for (;; text++) {
		if (*text == (char)byte)
			last = (char *)(uintptr_t)text;
		if (*text == '\0')
			return last;
	}
}

char *strstr(const char *text, const char *part)
{
	size_t n = strlen(part);

	for (;; text++) {
		if (strncmp(text, part, n) == 0)
			return (char *)(uintptr_t)text;
		if (*text == '\0')
			return NULL;
	}
}

size_t strspn(const char *text, const char *accept)
{
	size_t n = 0;

	while (text[n] != '\0' && strchr(accept, text[n]) != NULL)
		n++;
	return n;
}

size_t strcspn(const char *text, const char *reject)
{
	size_t n = 0;

	while (text[n] != '\0' && strchr(reject, text[n]) == NULL)
		n++;
	return n;
}

char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	return copy != NULL ? memcpy(copy, text, size) : NULL;
}
