/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output: %d %i %u %x %X %p %s %c %%, with l, ll, z, h; flags 0 - +; width and
   precision, also as *. */
#include "kern/printf.h"
#include <stdbool.h>
#include <stdint.h>
#include "kern/string.h"
#include "x86_64/machine.h"

/* Where the characters go: into a buffer, or through one to the console. */
struct sink {
	char *buffer;
	size_t size, used;
	size_t total;
	bool console;
};

struct spec {
	bool left, zero, plus;
	int width;
	int precision;			/* -1: none */
	int longs;
};

static void put(struct sink *sink, char c)
{
	sink->total++;
	if (sink->console && sink->used == sink->size) {
		console_write(sink->buffer, sink->used);
		sink->used = 0;
	}
	if (sink->used < sink->size)
		sink->buffer[sink->used++] = c;
}

static void pad(struct sink *sink, char c, int count)
{
	while (count-- > 0)
		put(sink, c);
}

static void put_string(struct sink *sink, const struct spec *spec, const char *s)
{
	if (!s)
		s = "(null)";
	int length = spec->precision >= 0 ? strnlen(s, spec->precision) : strlen(s);

	if (!spec->left)
		pad(sink, ' ', spec->width - length);
	for (int i = 0; i < length; i++)
		put(sink, s[i]);
	if (spec->left)
		pad(sink, ' ', spec->width - length);
}

static void put_number(struct sink *sink, const struct spec *spec, uint64_t value, unsigned base, char sign, bool upper)
{
	char digits[24];
	int count = 0;

	do {
		digits[count++] = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[value % base];
		value /= base;
	} while (value > 0);
	int zeros = spec->precision > count ? spec->precision - count : 0;
	int space = spec->width - count - zeros - (sign != 0);
	bool zero_pad = spec->zero && !spec->left && spec->precision < 0;

	if (!spec->left && !zero_pad)
		pad(sink, ' ', space);
	if (sign)
		put(sink, sign);
	pad(sink, '0', zero_pad ? space : zeros);
	while (count > 0)
		put(sink, digits[--count]);
	if (spec->left)
		pad(sink, ' ', space);
}

static void put_signed(struct sink *sink, const struct spec *spec, int64_t value)
{
	char sign = value < 0 ? '-' : spec->plus ? '+' : 0;

	put_number(sink, spec, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, sign, false);
}

static const char *parse_number(const char *format, int *number)
{
	int value = 0;

	for (; *format >= '0' && *format <= '9'; format++)
		if (value < 10000)
			value = value * 10 + (*format - '0');
	*number = value;
	return format;
}

static const char *parse_flags(const char *format, struct spec *spec)
{
	for (;; format++) {
		if (*format == '-')
			spec->left = true;
		else if (*format == '0')
			spec->zero = true;
		else if (*format == '+')
			spec->plus = true;
		else
			return format;
	}
}

static const char *parse_longs(const char *format, struct spec *spec)
{
	for (;; format++) {
		if (*format == 'l' || *format == 'z' || *format == 'j' || *format == 't')
			spec->longs++;
		else if (*format != 'h')
			return format;
	}
}

static void format_all(struct sink *sink, const char *format, va_list args)
{
	for (; *format; format++) {
		if (*format != '%') {
			put(sink, *format);
			continue;
		}
		struct spec spec = {.precision = -1};
		format = parse_flags(format + 1, &spec);
		if (*format == '*') {
			spec.width = va_arg(args, int);
			format++;
		} else {
			format = parse_number(format, &spec.width);
		}
		if (*format == '.' && format[1] == '*') {
			spec.precision = va_arg(args, int);
			format += 2;
		} else if (*format == '.') {
			format = parse_number(format + 1, &spec.precision);
		}
		format = parse_longs(format, &spec);
		switch (*format) {
		case 'd':
		case 'i':
			put_signed(sink, &spec, spec.longs ? va_arg(args, long) : va_arg(args, int));
			break;
		case 'u':
			put_number(sink, &spec, spec.longs ? va_arg(args, unsigned long) : va_arg(args, unsigned), 10,
				   0, false);
			break;
		case 'x':
		case 'X':
			put_number(sink, &spec, spec.longs ? va_arg(args, unsigned long) : va_arg(args, unsigned), 16,
				   0, *format == 'X');
			break;
		case 'p':
			put(sink, '0');
			put(sink, 'x');
			put_number(sink, &spec, (uintptr_t)va_arg(args, void *), 16, 0, false);
			break;
		case 'c':
			put(sink, va_arg(args, int));
			break;
		case 's':
			put_string(sink, &spec, va_arg(args, const char *));
			break;
		case '\0':
			return;
		default:
			put(sink, *format);
		}
	}
}

void vprintf(const char *format, va_list args)
{
	char buffer[128];
	struct sink sink = {.buffer = buffer, .size = sizeof(buffer), .console = true};

	format_all(&sink, format, args);
	console_write(buffer, sink.used);
}

void printf(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

int vsnprintf(char *buffer, size_t size, const char *format, va_list args)
{
	struct sink sink = {.buffer = buffer, .size = size > 0 ? size - 1 : 0};

	format_all(&sink, format, args);
	if (size > 0)
		buffer[sink.used] = '\0';
	return sink.total;
}

int snprintf(char *buffer, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	int length = vsnprintf(buffer, size, format, args);
	va_end(args);
	return length;
}
