/* SPDX-License-Identifier: BSD-2-Clause */
/* The battery-backed clock (Motorola MC146818A datasheet: registers A and B, time and calendar). */
#include "x86_64/cpu.h"
#include "x86_64/io.h"

#define INDEX 0x70
#define DATA 0x71
#define REG_SECONDS 0
#define REG_MINUTES 2
#define REG_HOURS 4
#define REG_DAY 7
#define REG_MONTH 8
#define REG_YEAR 9
#define REG_A 10
#define REG_B 11
#define A_UPDATING 0x80
#define B_BINARY 0x04
#define B_24H 0x02
#define HOURS_PM 0x80
#define TRIES 100000

struct calendar { unsigned second, minute, hour, day, month, year; };

static uint8_t reg(unsigned index)
{
	outb(INDEX, index);
	return inb(DATA);
}

static struct calendar sample(void)
{
	for (unsigned i = 0; i < TRIES && (reg(REG_A) & A_UPDATING); i++)
		continue;
	return (struct calendar){reg(REG_SECONDS), reg(REG_MINUTES), reg(REG_HOURS), reg(REG_DAY), reg(REG_MONTH),
		reg(REG_YEAR)};
}

static unsigned binary(unsigned value)
{
	return reg(REG_B) & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar, counted from 1 March so that the
   leap day is last. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
	uint64_t y = month > 2 ? year : year - 1;
	uint64_t m = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

/* Seconds since 1970, taking the clock as UTC and its two-digit year as 1970 to 2069. */
uint64_t rtc_read_s(void)
{
	struct calendar now = sample(), again = sample();

	/* Two equal readings: no update struck in between. */
	for (unsigned i = 0; i < 10 && (now.second != again.second || now.minute != again.minute); i++) {
		now = again;
		again = sample();
	}
	bool pm = !(reg(REG_B) & B_24H) && (now.hour & HOURS_PM);
	unsigned hour = binary(reg(REG_B) & B_24H ? now.hour : now.hour & ~HOURS_PM);
	if (!(reg(REG_B) & B_24H))
		hour = hour % 12 + (pm ? 12 : 0);
	unsigned year = binary(now.year) + 1900;
	if (year < 1970)
		year += 100;
	unsigned month = binary(now.month);
	if (month < 1 || month > 12)
		return 0;
	return days_since_1970(year, month, binary(now.day)) * 86400 + hour * 3600ull +
		binary(now.minute) * 60ull + binary(now.second);
}
