/* SPDX-License-Identifier: BSD-2-Clause */
/* The formats of C11 7.21.6.1 without floating point; vsnprintf. */
#include "format.h"
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct spec {
	bool left, zero, plus, space, alternate, upper;
	int width, precision;	/* precision -1: none given */
};

static void put(struct output *out, char c)
{
	out->put(out, c);
	out->length++;
}

static void put_repeated(struct output *out, char c, int n)
{
	while (n-- > 0)
		put(out, c);
}

static void put_padded(struct output *out, const struct spec *spec, const char *text, size_t n)
{
	int padding = spec->width - (int)n;

	if (!spec->left)
		put_repeated(out, ' ', padding);
	while (n-- > 0)
		put(out, *text++);
	if (spec->left)
		put_repeated(out, ' ', padding);
}

static void put_number(struct output *out, const struct spec *spec, uint64_t value, unsigned base,
		       const char *prefix)
{
	const char *digits = spec->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char reversed[24];
	int n = 0, zeros, padding;

	for (; value != 0; value /= base)
		reversed[n++] = digits[value % base];
	zeros = (spec->precision < 0 ? 1 : spec->precision) - n;
	if (zeros < 0)
		zeros = 0;
	padding = spec->width - n - zeros - (int)strlen(prefix);
	if (spec->zero && !spec->left && spec->precision < 0 && padding > 0) {
		zeros += padding;
		padding = 0;
	}
	if (!spec->left)
		put_repeated(out, ' ', padding);
	while (*prefix != '\0')
		put(out, *prefix++);
	put_repeated(out, '0', zeros);
	while (n > 0)
		put(out, reversed[--n]);
	if (spec->left)
		put_repeated(out, ' ', padding);
}

static void put_signed(struct output *out, const struct spec *spec, int64_t value)
{
	const char *sign = value < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";

	put_number(out, spec, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, sign);
}

static const char *parse_flags(const char *format, struct spec *spec)
{
	for (;; format++) {
		switch (*format) {
		case '-': spec->left = true; break;
		case '0': spec->zero = true; break;
		case '+': spec->plus = true; break;
		case ' ': spec->space = true; break;
		case '#': spec->alternate = true; break;
		default: return format;
		}
	}
}

static int parse_int(const char **format)
{
	int value = 0;

	for (; isdigit(**format); ++*format) {
		if (value < 10000)
			value = value * 10 + (**format - '0');
	}
	return value;
}

/* The length modifier as a count of bytes of the argument. */
static int parse_length(const char **format)
{
	int bytes = 4;

	for (;; ++*format) {
		switch (**format) {
		case 'h': bytes /= 2; break;
		case 'l': case 'z': case 'j': case 't': bytes = 8; break;
		default: return bytes;
		}
	}
}

static int64_t sign_extend(uint64_t value, int bytes)
{
	int shift = 64 - 8 * bytes;

	return (int64_t)(value << shift) >> shift;
}

static uint64_t zero_extend(uint64_t value, int bytes)
{
	int shift = 64 - 8 * bytes;

	return value << shift >> shift;
}

static void put_string(struct output *out, const struct spec *spec, const char *text)
{
	size_t max = spec->precision < 0 ? SIZE_MAX : (size_t)spec->precision;

	if (text == NULL)
		text = "(null)";
	put_padded(out, spec, text, strnlen(text, max));
}

static void put_unsigned(struct output *out, struct spec *spec, char conversion, uint64_t value)
{
	bool prefixed = spec->alternate && value != 0;

	switch (conversion) {
	case 'u':
		put_number(out, spec, value, 10, "");
		break;
	case 'o':
		put_number(out, spec, value, 8, prefixed ? "0" : "");
		break;
	case 'X':
		spec->upper = true;
		put_number(out, spec, value, 16, prefixed ? "0X" : "");
		break;
	default:
		put_number(out, spec, value, 16, prefixed ? "0x" : "");
		break;
	}
}

void format_to(struct output *out, const char *format, va_list arguments)
{
	for (; *format != '\0'; format++) {
		struct spec spec = { .precision = -1 };
		int bytes;
		uint64_t value;
		char c;

		if (*format != '%') {
			put(out, *format);
			continue;
		}
		format = parse_flags(format + 1, &spec);
		if (*format == '*') {
			spec.width = va_arg(arguments, int);
			if (spec.width < 0) {
				spec.left = true;
				spec.width = -spec.width;
			}
			format++;
		} else {
			spec.width = parse_int(&format);
		}
		if (*format == '.') {
			format++;
			if (*format == '*') {
				spec.precision = va_arg(arguments, int);
				format++;
			} else {
				spec.precision = parse_int(&format);
			}
		}
		bytes = parse_length(&format);
		switch (*format) {
		case 'd':
		case 'i':
			value = bytes == 8 ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
			put_signed(out, &spec, sign_extend(value, bytes));
			break;
		case 'u':
		case 'o':
		case 'x':
		case 'X':
			value = bytes == 8 ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
			put_unsigned(out, &spec, *format, zero_extend(value, bytes));
			break;
		case 'c':
			c = (char)va_arg(arguments, int);
			put_padded(out, &spec, &c, 1);
			break;
		case 's':
			put_string(out, &spec, va_arg(arguments, const char *));
			break;
		case 'p':
			spec.alternate = true;
			put_unsigned(out, &spec, 'x', (uintptr_t)va_arg(arguments, void *));
			break;
		case '%':
			put(out, '%');
			break;
		case '\0':
			format--;
			break;
		default:
			put(out, '%');
			put(out, *format);
			break;
		}
	}
}

struct text {
	struct output out;
	char *to;
	size_t size;
};

static void put_in_text(struct output *out, char c)
{
	struct text *text = (struct text *)out;

	if (out->length + 1 < text->size)
		text->to[out->length] = c;
}

int vsnprintf(char *to, size_t size, const char *format, va_list arguments)
{
	struct text text = { .out.put = put_in_text, .to = to, .size = size };
	size_t length;

	format_to(&text.out, format, arguments);
	length = text.out.length;
	if (size > 0)
		to[length < size ? length : size - 1] = '\0';
	return (int)length;
}

int snprintf(char *to, size_t size, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(to, size, format, arguments);
	va_end(arguments);
	return length;
}
