/* SPDX-License-Identifier: BSD-2-Clause */
/* TAP for unit tests: one line a claim, "1..N" at the end, the seed and the line that repeats the run.

   int main(void)
   {
	tap_begin("mem_zone_test");
	ok(x == y, "claim in words, %d times", n);
	return tap_done();
   }
*/
#ifndef TAP_H
#define TAP_H
#include <stdbool.h>
#include <stdint.h>

/* Reads $SEED (decimal or 0x...; default: the clock), prints it with the line that repeats the run. */
void tap_begin(const char *name);
/* Exit status: 0 when all claims held. Prints the plan. */
int tap_done(void);

#define ok(condition, ...) tap_ok((condition), __FILE__, __LINE__, __VA_ARGS__)
#define is_u64(got, expected, ...) tap_is_u64((got), (expected), __FILE__, __LINE__, __VA_ARGS__)
#define is_str(got, expected, ...) tap_is_str((got), (expected), __FILE__, __LINE__, __VA_ARGS__)
bool tap_ok(bool condition, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
bool tap_is_u64(uint64_t got, uint64_t expected, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
bool tap_is_str(const char *got, const char *expected, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* "# ..." for people. */
void diag(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A claim about many cases: fails once, at the first bad case, and is reported once by claim_end.
   claim_begin("guarantees are served"); for (...) claim(x == y, "step %d: %d", i, x); claim_end(); */
void claim_begin(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define claim(condition, ...) \
	claim_check((condition), __FILE__, __LINE__, __VA_ARGS__)
bool claim_check(bool condition, const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void claim_end(void);

/* Random numbers of the seed (xorshift64*, Vigna 2016). */
extern uint64_t tap_seed;
uint64_t random_u64(void);
/* 0 .. bound - 1 */
uint64_t random_below(uint64_t bound);

#endif
