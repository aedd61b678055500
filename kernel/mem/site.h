/* SPDX-License-Identifier: BSD-2-Clause */
/* Allocation sites: every place that allocates or charges has an identity, for fail-nth and leak reports. */
#ifndef MEM_SITE_H
#define MEM_SITE_H
#include <stdint.h>

struct alloc_site {
	const char *file;
	const char *function;
	uint32_t line;
};

/* The identity of the place where this macro stands. */
#define ALLOC_SITE() \
	({ static const struct alloc_site site_here = {__FILE__, __func__, __LINE__}; &site_here; })

#endif
