/* SPDX-License-Identifier: BSD-2-Clause */
/* Which way a branch goes as a rule. */
#ifndef KERN_LIKELY_H
#define KERN_LIKELY_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#endif
