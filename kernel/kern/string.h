/* SPDX-License-Identifier: BSD-2-Clause */
/* The few string functions that the kernel uses (the compiler needs the mem* ones too). */
#ifndef KERN_STRING_H
#define KERN_STRING_H
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);

/* A compiler that is told of no library does not know these by name: short ones of a size it knows need no call. */
#define memcpy(to, from, size) __builtin_memcpy(to, from, size)
#define memset(to, byte, size) __builtin_memset(to, byte, size)
#define memcmp(a, b, size) __builtin_memcmp(a, b, size)

size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t max);
char *strchr(const char *s, int c);
/* Copies at most size - 1 bytes and always ends with NUL; returns strlen(from). */
size_t strlcpy(char *to, const char *from, size_t size);

#endif
