/* SPDX-License-Identifier: BSD-2-Clause */
/* TAP for unit tests, and the random numbers of a seed. */
#include "tap.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t tap_seed;
static uint64_t random_state;
static unsigned tests, failed;
static const char *test_name = "?";
static char claim_text[200];
static unsigned claim_failures;

void tap_begin(const char *name)
{
	const char *seed = getenv("SEED");

	setvbuf(stdout, NULL, _IOLBF, 0);
	test_name = name;
	tap_seed = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 1000003u + (uint64_t)clock();
	random_state = tap_seed != 0 ? tap_seed : 1;
	printf("# %s: repeat with SEED=%" PRIu64 " make test T=%s\n", name, tap_seed, name);
}

int tap_done(void)
{
	printf("1..%u\n", tests);
	if (failed != 0)
		printf("# %u of %u failed; repeat with SEED=%" PRIu64 " make test T=%s\n", failed, tests,
		       tap_seed, test_name);
	return failed != 0;
}

static bool result(bool condition, const char *format, va_list args)
{
	tests++;
	failed += !condition;
	printf("%sok %u - ", condition ? "" : "not ", tests);
	vprintf(format, args);
	printf("\n");
	return condition;
}

bool tap_ok(bool condition, const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	result(condition, format, args);
	va_end(args);
	if (!condition)
		printf("# at %s:%d\n", file, line);
	return condition;
}

bool tap_is_u64(uint64_t got, uint64_t expected, const char *file, int line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	result(got == expected, format, args);
	va_end(args);
	if (got != expected)
		printf("# at %s:%d\n#      got: %" PRIu64 " (0x%" PRIx64 ")\n# expected: %" PRIu64 " (0x%" PRIx64 ")\n",
		       file, line, got, got, expected, expected);
	return got == expected;
}

bool tap_is_str(const char *got, const char *expected, const char *file, int line, const char *format, ...)
{
	bool same = got != NULL && expected != NULL && strcmp(got, expected) == 0;
	va_list args;

	va_start(args, format);
	result(same, format, args);
	va_end(args);
	if (!same)
		printf("# at %s:%d\n#      got: %s\n# expected: %s\n", file, line, got ? got : "(none)",
		       expected ? expected : "(none)");
	return same;
}

void diag(const char *format, ...)
{
	va_list args;

	printf("# ");
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
}

void claim_begin(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(claim_text, sizeof(claim_text), format, args);
	va_end(args);
	claim_failures = 0;
}

bool claim_check(bool condition, const char *file, int line, const char *format, ...)
{
	va_list args;

	if (condition || claim_failures++ != 0)
		return condition;
	printf("# at %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	return false;
}

void claim_end(void)
{
	tap_ok(claim_failures == 0, __FILE__, __LINE__, "%s", claim_text);
}

uint64_t random_u64(void)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return random_state * 0x2545f4914f6cdd1dull;
}

uint64_t random_below(uint64_t bound)
{
	return bound == 0 ? 0 : (random_u64() >> 11) % bound;
}
