/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside the library: formatting to wherever. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdarg.h>
#include <stddef.h>

struct output {
	void (*put)(struct output *out, char c);
	size_t length;		/* characters put before this one */
};

void format_to(struct output *out, const char *format, va_list arguments);

#endif
