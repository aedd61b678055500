/* SPDX-License-Identifier: BSD-2-Clause */
/* Texts to numbers. What does not fit becomes the largest; there is no errno. */
#include <ctype.h>
#include <stdlib.h>

#include <string.h>

static int digit_value(char c)
{
	if (isdigit(c))
		return c - '0';
	return isalpha(c) ? tolower(c) - 'a' + 10 : 99;
}

/* The number behind the sign; *end stays when there is none. */
static uint64_t magnitude(const char *text, const char **end, int base, bool *overflow)
{
	uint64_t value = 0;

	*overflow = false;
	if ((base == 0 || base == 16) && text[0] == '0' && tolower(text[1]) == 'x' &&
	    isxdigit(text[2])) {
		text += 2;
		base = 16;
	}
	if (base == 0)
		base = text[0] == '0' ? 8 : 10;
	for (; digit_value(*text) < base; text++) {
		if (__builtin_mul_overflow(value, (uint64_t)base, &value) ||
		    __builtin_add_overflow(value, (uint64_t)digit_value(*text), &value))
			*overflow = true;
		*end = text + 1;
	}
	return *overflow ? UINT64_MAX : value;
}

static uint64_t number(const char *text, char **end, int base, bool *negative, bool *overflow)
{
	const char *stop = text, *from = text;
	uint64_t value;

	while (isspace(*from))
		from++;
	*negative = *from == '-';
	if (*from == '-' || *from == '+')
		from++;
	value = magnitude(from, &stop, base, overflow);
	if (end != NULL)
		*end = (char *)(uintptr_t)stop;
	return value;
}

unsigned long strtoul(const char *text, char **end, int base)
{
	bool negative, overflow;
	uint64_t value = number(text, end, base, &negative, &overflow);

	return negative && !overflow ? -value : value;
}

long strtol(const char *text, char **end, int base)
{
	bool negative, overflow;
	uint64_t value = number(text, end, base, &negative, &overflow);

	if (negative)
		return value > (uint64_t)INT64_MAX ? INT64_MIN : -(long)value;
	return value > (uint64_t)INT64_MAX ? INT64_MAX : (long)value;
}

unsigned long long strtoull(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}

long long strtoll(const char *text, char **end, int base)
{
	return strtol(text, end, base);
}

/* Digits at the start of the text; behind them is *rest. */
static bool parse(const char *text, uint64_t *value, const char **rest)
{
	bool overflow, hex = text[0] == '0' && tolower(text[1]) == 'x';

	*rest = text;
	*value = magnitude(text, rest, hex ? 16 : 10, &overflow);
	return *rest != text && !overflow;
}

bool parse_number(const char *text, uint64_t *value)
{
	const char *rest;

	return parse(text, value, &rest) && *rest == '\0';
}

bool parse_size(const char *text, uint64_t *value)
{
	static const char suffixes[] = "kmg";
	const char *rest, *suffix;

	if (!parse(text, value, &rest))
		return false;
	if (*rest == '\0')
		return true;
	suffix = strchr(suffixes, tolower(*rest));
	if (suffix == NULL || rest[1] != '\0')
		return false;
	return !__builtin_mul_overflow(*value, 1UL << (10 * (suffix - suffixes + 1)), value);
}
