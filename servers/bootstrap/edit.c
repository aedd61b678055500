/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All editing is one operation: a part of the line is replaced and the rest of it printed anew. Only
 * backspaces move the cursor back, so this needs nothing of the terminal but that; of a line that
 * is wider than the terminal only the last row looks right.
 */
#include "edit.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define CTRL(letter)	((letter) - '@')
#define ESCAPE		27
#define RUBOUT		127

static char line[EDIT_LINE_MAX];
static unsigned length, cursor;
static bool after_return;

/* Inside an escape sequence: the number of the state, and the digits so far. */
static enum { PLAIN, AFTER_ESCAPE, IN_SEQUENCE } state;
static unsigned sequence_number;

static char history[EDIT_HISTORY_LINES][EDIT_HISTORY_WIDTH];
static unsigned history_count;		/* of all lines ever kept: the newest is count - 1 */
static unsigned shown;			/* lines back from the new one; 0: the new one */
static char unfinished[EDIT_LINE_MAX];	/* the new one, while an old one is shown */

static void go_to(unsigned place)
{
	for (; cursor > place; cursor--)
		putchar('\b');
	for (; cursor < place; cursor++)
		putchar(line[cursor]);
}

/* In the place of [from, to) comes the text; the cursor stands behind it. */
static void replace(unsigned from, unsigned to, const char *text, unsigned size)
{
	unsigned old_length = length, new_length = length - (to - from) + size;

	if (new_length >= EDIT_LINE_MAX)
		return;
	go_to(from);
	memmove(line + from + size, line + to, length - to);
	memcpy(line + from, text, size);
	length = new_length;
	go_to(length);
	for (unsigned i = length; i < old_length; i++)
		putchar(' ');
	for (unsigned i = length; i < old_length; i++)
		putchar('\b');
	go_to(from + size);
}

static void erase(unsigned from, unsigned to)
{
	replace(from, to, "", 0);
}

static unsigned word_start(void)
{
	unsigned at = cursor;

	while (at > 0 && line[at - 1] == ' ')
		at--;
	while (at > 0 && line[at - 1] != ' ')
		at--;
	return at;
}

static const char *old_line(unsigned back)
{
	return history[(history_count - back) % EDIT_HISTORY_LINES];
}

/* Shows the line so many lines back, 0: the new one. */
static void show_old(unsigned back)
{
	const char *text;

	if (back > history_count || back > EDIT_HISTORY_LINES)
		return;
	if (shown == 0)
		strlcpy(unfinished, edit_line(), sizeof unfinished);
	shown = back;
	text = back == 0 ? unfinished : old_line(back);
	replace(0, length, text, (unsigned)strlen(text));
}

/* Neither empty lines nor the same one again. */
static void keep(void)
{
	const char *text = edit_line();

	if (text[strspn(text, " ")] == '\0' || length >= EDIT_HISTORY_WIDTH)
		return;
	if (history_count > 0 && strcmp(old_line(1), text) == 0)
		return;
	strlcpy(history[history_count++ % EDIT_HISTORY_LINES], text, EDIT_HISTORY_WIDTH);
}

static void control(char byte)
{
	switch (byte) {
	case CTRL('A'):
		go_to(0);
		break;
	case CTRL('E'):
		go_to(length);
		break;
	case CTRL('B'):
		go_to(cursor > 0 ? cursor - 1 : 0);
		break;
	case CTRL('F'):
		go_to(cursor < length ? cursor + 1 : length);
		break;
	case CTRL('P'):
		show_old(shown + 1);
		break;
	case CTRL('N'):
		if (shown > 0)
			show_old(shown - 1);
		break;
	case CTRL('D'):
		if (cursor < length)
			erase(cursor, cursor + 1);
		break;
	case CTRL('H'):
	case RUBOUT:
		if (cursor > 0)
			erase(cursor - 1, cursor);
		break;
	case CTRL('U'):
		erase(0, cursor);
		break;
	case CTRL('K'):
		erase(cursor, length);
		break;
	case CTRL('W'):
		erase(word_start(), cursor);
		break;
	}
}

/* The control character that does what the last byte of ESC [ or ESC O asks for; 0: none. */
static char meaning(char final, unsigned number)
{
	static const char letters[] = "ABCDHF", keys[] = {
		CTRL('P'), CTRL('N'), CTRL('F'), CTRL('B'), CTRL('A'), CTRL('E'),
	};
	const char *found = strchr(letters, final);

	if (found != NULL)
		return keys[found - letters];
	if (final != '~')
		return 0;
	if (number == 1 || number == 7)
		return CTRL('A');
	if (number == 4 || number == 8)
		return CTRL('E');
	return number == 3 ? CTRL('D') : 0;
}

/* True: the byte belonged to an escape sequence. */
static bool escape(char byte)
{
	switch (state) {
	case PLAIN:
		if (byte != ESCAPE)
			return false;
		state = AFTER_ESCAPE;
		return true;
	case AFTER_ESCAPE:
		sequence_number = 0;
		state = byte == '[' || byte == 'O' ? IN_SEQUENCE : PLAIN;
		return state == IN_SEQUENCE || isprint(byte);
	default:
		if (byte >= '0' && byte <= '9') {
			sequence_number = (sequence_number * 10 + (unsigned)(byte - '0')) % 1000;
			return true;
		}
		if (byte == ';')
			return true;
		state = PLAIN;
		if (!isprint(byte))
			return false;
		control(meaning(byte, sequence_number));
		return true;
	}
}

bool edit_key(char byte)
{
	bool was_return = after_return;

	after_return = byte == '\r';
	if (byte == '\n' && was_return)
		return false;
	if (escape(byte))
		return false;
	if (byte == '\r' || byte == '\n') {
		keep();
		return true;
	}
	if (isprint(byte))
		replace(cursor, cursor, &byte, 1);
	else
		control(byte);
	return false;
}

char *edit_line(void)
{
	line[length] = '\0';
	return line;
}

void edit_begin(void)
{
	length = cursor = shown = 0;
	state = PLAIN;
}

void edit_show(void)
{
	unsigned place = cursor;

	cursor = 0;
	go_to(length);
	go_to(place);
}
