/* SPDX-License-Identifier: BSD-2-Clause */
/* Lists: the BSD queue macros, from libbsd (they allocate nothing and suit a kernel). */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H
#include <stddef.h>
#include <bsd/sys/queue.h>
#endif
