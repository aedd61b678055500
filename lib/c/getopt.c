/* SPDX-License-Identifier: BSD-2-Clause */
/* Short options; the rules are those of POSIX.1-2017, getopt. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

char *optarg;
int optind = 1, opterr = 1, optopt;

/* Where we are inside a word such as -abc; NULL: at the start of the next one. */
static char *inside;

/* word: a whole word of options, where that says more than one letter of it. */
static int wrong(const char *program, const char *why, const char *word, const char *options)
{
	if (!opterr || options[0] == ':')
		return '?';
	if (word[0] == '-' && word[1] == '-')
		fprintf(stderr, "%s: %s: %s\n", program, why, word);
	else
		fprintf(stderr, "%s: %s: -%c\n", program, why, optopt);
	return '?';
}

int getopt(int argc, char *const argv[], const char *options)
{
	const char *option, *word = optind < argc ? argv[optind] : "";

	optarg = NULL;
	if (inside == NULL || *inside == '\0') {
		if (optind >= argc || argv[optind][0] != '-' || argv[optind][1] == '\0')
			return -1;
		if (strcmp(argv[optind], "--") == 0) {
			optind++;
			return -1;
		}
		inside = argv[optind] + 1;
	}
	optopt = (unsigned char)*inside++;
	if (*inside == '\0')
		optind++;
	option = optopt == ':' ? NULL : strchr(options, optopt);
	if (option == NULL)
		return wrong(argv[0], "unknown option", word, options);
	if (option[1] != ':')
		return optopt;
	if (*inside != '\0') {
		optarg = inside;
		optind++;
	} else if (optind < argc) {
		optarg = argv[optind++];
	} else {
		inside = NULL;
		wrong(argv[0], "option needs a value", word, options);
		return options[0] == ':' ? ':' : '?';
	}
	inside = NULL;
	return optopt;
}
