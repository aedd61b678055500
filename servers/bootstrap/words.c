/* SPDX-License-Identifier: BSD-2-Clause */
/* Splitting of command lines. */
#include "words.h"
#include <ctype.h>

/* The quote that is open after this character. */
static char next_quote(char quote, char c)
{
	if (quote != '\0')
		return c == quote ? '\0' : quote;
	return c == '\'' || c == '"' ? c : '\0';
}

char *words_next_command(char **rest)
{
	char *command = *rest, quote = '\0';

	for (char *c = command; *c != '\0'; c++) {
		quote = next_quote(quote, *c);
		if (*c == ';' && quote == '\0') {
			*c = '\0';
			*rest = c + 1;
			return command;
		}
	}
	*rest = NULL;
	return command;
}

/* Moves one word to *to without its quotes; false: a quote stays open. */
static bool take_word(char **from, char **to)
{
	char quote = '\0';

	while (**from != '\0' && (quote != '\0' || !isspace(**from))) {
		char c = *(*from)++, next = next_quote(quote, c);

		/* A quote that opens or closes is not part of the word. */
		if (next == quote)
			*(*to)++ = c;
		quote = next;
	}
	return quote == '\0';
}

int words_split(char *command, char *argv[WORDS_MAX + 1], const char **error)
{
	char *from = command, *to = command;
	int count = 0;

	for (;;) {
		bool more;

		while (isspace(*from))
			from++;
		if (*from == '\0')
			break;
		if (count == WORDS_MAX) {
			*error = "too many words";
			return -1;
		}
		argv[count++] = to;
		if (!take_word(&from, &to)) {
			*error = "a quote is not closed";
			return -1;
		}
		more = *from != '\0';
		*to++ = '\0';
		if (!more)
			break;
		from++;
	}
	argv[count] = NULL;
	return count;
}
