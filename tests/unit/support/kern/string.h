/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/kern/string.h: the C library's, and strlcpy (libbsd's name for the kernel's). */
#ifndef KERN_STRING_H
#define KERN_STRING_H
#include <string.h>

#define strlcpy host_strlcpy
size_t host_strlcpy(char *to, const char *from, size_t size);

#endif
