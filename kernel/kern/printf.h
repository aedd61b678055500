/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output of the kernel: to the console, or into a buffer. %d %u %x %p %s %c %ld %lu %lx %llu %zu, widths, 0 and -. */
#ifndef KERN_PRINTF_H
#define KERN_PRINTF_H
#include <stdarg.h>
#include <stddef.h>

void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vprintf(const char *format, va_list args);
/* Write at most size bytes, a NUL included; return the length that the whole would have. */
int snprintf(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *buffer, size_t size, const char *format, va_list args);

#endif
