/* SPDX-License-Identifier: BSD-2-Clause */
/* Output. stdout and stderr are one: the console that the program was given, else mach_print. */
#ifndef STDIO_H
#define STDIO_H

#include <stdarg.h>
#include <stddef.h>

#define EOF	(-1)

typedef struct file	FILE;
extern FILE *const stdout, *const stderr;

#define PRINTF(text, first)	__attribute__((format(printf, text, first)))

/*
 * The conversions d i u x X o c s p %, the flags - 0 + space #, width and
 * precision (also *), the lengths hh h l ll z j t. No floating point.
 */
int printf(const char *format, ...) PRINTF(1, 2);
int fprintf(FILE *file, const char *format, ...) PRINTF(2, 3);
int snprintf(char *to, size_t size, const char *format, ...) PRINTF(3, 4);
int vprintf(const char *format, va_list arguments) PRINTF(1, 0);
int vfprintf(FILE *file, const char *format, va_list arguments) PRINTF(2, 0);
int vsnprintf(char *to, size_t size, const char *format, va_list arguments) PRINTF(3, 0);
int puts(const char *text);
int fputs(const char *text, FILE *file);
int putchar(int c);
int fputc(int c, FILE *file);
size_t fwrite(const void *from, size_t size, size_t count, FILE *file);
/* What was printed is held back until its line ends, or this is called. */
int fflush(FILE *file);

/*
 * Where output goes: called with at most STDIO_BUFFER bytes, on the printing
 * thread, with the file's lock held. It must not print.
 */
#define STDIO_BUFFER	512
void stdio_set_writer(FILE *file, void (*write)(const char *data, size_t size));

#endif
