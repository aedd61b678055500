/* SPDX-License-Identifier: BSD-2-Clause */
/* Host stand-in for kernel/kern/printf.h: the C library's. */
#ifndef KERN_PRINTF_H
#define KERN_PRINTF_H
#include <stdarg.h>
#include <stdio.h>
#endif
