/* SPDX-License-Identifier: BSD-2-Clause */
/* Which way a branch goes as a rule. */
#ifndef KERN_LIKELY_H
#define KERN_LIKELY_H

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* It is a branch: GCC does not work out what is rare each time, and choose. */
#define rarely(x) __builtin_expect_with_probability(!!(x), 0, 1.0)

#endif
