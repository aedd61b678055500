/* SPDX-License-Identifier: BSD-2-Clause */
/* assert: prints what was wrong and where, then aborts. */
#undef assert
#ifdef NDEBUG
#define assert(what)	((void) 0)
#else
#define assert(what) \
	((what) ? (void) 0 : assert_failed(#what, __FILE__, __LINE__, __func__))
#endif

#ifndef ASSERT_H
#define ASSERT_H

#define static_assert	_Static_assert

_Noreturn void assert_failed(const char *what, const char *file, int line, const char *function);

#endif
