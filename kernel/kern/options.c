/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of the kernel command line: words, separated by spaces.
 *
 *   zone_map=SIZE   bound of all kernel memory taken for users; default half of RAM
 *   console=WHICH   com, vga or both; com0 is com (GNU Mach names it so)
 *   reclaim=eager   a slab goes back the moment it is empty (debugging)
 *   pause=eager     long calls pause behind each piece, and pieces are small (debugging)
 *   policy=mach     ledgers refuse nothing, and a failed zalloc panics (mem/policy.c)
 *   run=COMMANDS    the last one: takes the rest of the line; the bootstrap server carries it out
 *   NAME=VALUE      a variable for the boot script
 */
#include "kern/options.h"
#include "kern/pause.h"
#include "kern/printf.h"
#include "kern/string.h"
#include "mem/policy.h"
#include "mem/zone.h"
#include "x86_64/machine.h"

uint64_t option_zone_map_bytes;
const char *option_console;

struct word { const char *text; size_t length; };

/* The next word of the line before run=; false at the end. */
static bool next_word(const char **line, struct word *word)
{
	const char *p = *line;

	while (*p == ' ')
		p++;
	if (*p == '\0' || strncmp(p, "run=", 4) == 0)
		return false;
	word->text = p;
	while (*p != '\0' && *p != ' ')
		p++;
	word->length = (size_t)(p - word->text);
	*line = p;
	return true;
}

/* The value, if the word is NAME=value. */
static bool word_value(const struct word *word, const char *name, struct word *value)
{
	size_t length = strlen(name);

	if (word->length <= length || strncmp(word->text, name, length) != 0 || word->text[length] != '=')
		return false;
	value->text = word->text + length + 1;
	value->length = word->length - length - 1;
	return true;
}

static bool word_is(const struct word *word, const char *text)
{
	return word->length == strlen(text) && strncmp(word->text, text, word->length) == 0;
}

bool option_parse_size(const char *text, size_t length, uint64_t *bytes)
{
	uint64_t value = 0;
	unsigned shift = 20;
	size_t i;

	for (i = 0; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
		if (value > (~0ull - 9) / 10)
			return false;
		value = value * 10 + (uint64_t)(text[i] - '0');
	}
	if (i == 0)
		return false;
	if (i < length) {
		switch (text[i] | 0x20) {
		case 'k': shift = 10; break;
		case 'm': shift = 20; break;
		case 'g': shift = 30; break;
		default: return false;
		}
		i++;
	}
	if (i != length || value > ~0ull >> shift)
		return false;
	*bytes = value << shift;
	return true;
}

static bool word_has_equals(const struct word *word)
{
	size_t i;

	for (i = 0; i < word->length; i++)
		if (word->text[i] == '=')
			return true;
	return false;
}

static void option_apply(const struct word *word)
{
	struct word value;

	if (word_value(word, "zone_map", &value)) {
		if (!option_parse_size(value.text, value.length, &option_zone_map_bytes))
			printf("zone_map=%.*s is no size (as 16M): the default is used\n",
			       (int)value.length, value.text);
	} else if (word_value(word, "console", &value)) {
		if (word_is(&value, "com") || word_is(&value, "com0"))
			option_console = "com";
		else if (word_is(&value, "vga"))
			option_console = "vga";
		else if (!word_is(&value, "both"))
			printf("console=%.*s is none of com, vga, both: both are used\n",
			       (int)value.length, value.text);
	} else if (word_value(word, "reclaim", &value)) {
		zone_reclaim_eager = word_is(&value, "eager");
		if (!zone_reclaim_eager)
			printf("reclaim=%.*s is not eager: ignored\n", (int)value.length, value.text);
	} else if (word_value(word, "pause", &value)) {
		if (word_is(&value, "eager"))
			pause_set_eager();
		else
			printf("pause=%.*s is not eager: ignored\n", (int)value.length, value.text);
	} else if (word_value(word, "policy", &value)) {
		if (policy_choose(value.text, value.length))
			printf("policy=mach: ledgers refuse nothing, a failed zalloc panics\n");
		else
			printf("policy=%.*s is none that this kernel has: ignored\n", (int)value.length, value.text);
	} else if (!word_has_equals(word)) {
		printf("unknown option: %.*s\n", (int)word->length, word->text);
	}
}

void options_init(void)
{
	const char *line = boot_info.command_line;
	struct word word;

	while (next_word(&line, &word))
		option_apply(&word);
}

bool option_variable(const char *name, char *value, size_t size)
{
	const char *line = boot_info.command_line;
	struct word word, found;

	while (next_word(&line, &word)) {
		if (!word_value(&word, name, &found))
			continue;
		if (found.length >= size)
			found.length = size - 1;
		memcpy(value, found.text, found.length);
		value[found.length] = '\0';
		return true;
	}
	return false;
}
