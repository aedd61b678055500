/* SPDX-License-Identifier: BSD-2-Clause */
/* mdconfig: makes, removes and lists memory disks. */
#include <device/device_types.h>
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/program.h>
#include <md_user.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_TEXT	24

_Noreturn static void usage(void)
{
	fprintf(stderr,
		"usage: mdconfig -a -t malloc -s SIZE [-u UNIT] [-o reserve|noreserve]\n"
		"       mdconfig -d -u UNIT [-o force]\n"
		"       mdconfig -l\n"
		"  -a  makes a disk: all its memory is taken now, or it is refused; with -o noreserve\n"
		"      as it is written to, and a write may then find no space\n"
		"  -d  removes it, unless it is open (-o force: all the same)\n"
		"  -l  lists the disks: size, reserved or not, bytes that are there, how often open\n");
	exit(EXIT_USAGE);
}

/* In the largest unit that leaves nothing; beyond a MiB to the tenth of one. */
static const char *size_text(uint64_t size, char text[SIZE_TEXT])
{
	if (size % (1 << 20) == 0)
		snprintf(text, SIZE_TEXT, "%" PRIu64 "M", size >> 20);
	else if (size > 1 << 20)
		snprintf(text, SIZE_TEXT, "%" PRIu64 ".%" PRIu64 "M", size >> 20,
			 (size & ((1 << 20) - 1)) * 10 >> 20);
	else if (size % 1024 == 0)
		snprintf(text, SIZE_TEXT, "%" PRIu64 "K", size >> 10);
	else
		snprintf(text, SIZE_TEXT, "%" PRIu64, size);
	return text;
}

static int complain(const char *what, kern_return_t code)
{
	fprintf(stderr, "mdconfig: %s: %s\n", what, mach_error_string(code));
	return EXIT_FAILURE;
}

static int refused(uint64_t size, uint64_t available, const ledger_denial_t *denial)
{
	char asked[SIZE_TEXT], had[SIZE_TEXT], told[LEDGER_DENIAL_MAX];

	fprintf(stderr, "mdconfig: refused: %s asked, %s available\n%s\n", size_text(size, asked),
		size_text(available, had), ledger_denial_string(denial, told));
	return EXIT_FAILURE;
}

static int make(mach_port_t server, int wanted, uint64_t size, bool reserve)
{
	kern_return_t outcome = KERN_FAILURE, code;
	ledger_denial_t denial;
	uint64_t available;
	int unit;

	code = md_create(server, wanted, size, reserve, &outcome, &unit, &available, &denial);
	if (code != KERN_SUCCESS)
		return complain("cannot make it", code);
	switch (outcome) {
	case KERN_SUCCESS:
		printf("md%d\n", unit);
		return EXIT_SUCCESS;
	case KERN_RESOURCE_SHORTAGE:
		return refused(size, available, &denial);
	case KERN_NO_SPACE:
		fprintf(stderr, "mdconfig: there are as many disks as there may be\n");
		return EXIT_FAILURE;
	case D_ALREADY_OPEN:
		fprintf(stderr, "mdconfig: there is an md%d\n", wanted);
		return EXIT_FAILURE;
	default:
		return complain("cannot make it", outcome);
	}
}

static int remove_disk(mach_port_t server, int unit, bool force)
{
	kern_return_t code = md_remove(server, unit, force);

	if (code == D_NO_SUCH_DEVICE)
		fprintf(stderr, "mdconfig: there is no md%d\n", unit);
	else if (code == D_ALREADY_OPEN)
		fprintf(stderr, "mdconfig: md%d is open; -o force removes it all the same\n", unit);
	else if (code != KERN_SUCCESS)
		complain("cannot remove it", code);
	return code == KERN_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int list(mach_port_t server)
{
	char whole[SIZE_TEXT], part[SIZE_TEXT];
	uint64_t size, used;
	boolean_t reserved;
	natural_t opens;
	int unit = -1;
	kern_return_t code;

	while ((code = md_next(server, unit + 1, &unit, &size, &used, &reserved, &opens)) ==
	       KERN_SUCCESS)
		printf("md%d  %s  %s  used %s  open %u times\n", unit, size_text(size, whole),
		       reserved ? "reserved" : "noreserve", size_text(used, part), opens);
	return code == D_NO_SUCH_DEVICE ? EXIT_SUCCESS : complain("cannot list them", code);
}

/* "0" or "md0". */
static int unit_of(const char *text)
{
	uint64_t unit;

	if (strncmp(text, "md", 2) == 0)
		text += 2;
	if (parse_number(text, &unit) && unit <= INT32_MAX)
		return (int)unit;
	fprintf(stderr, "mdconfig: -u: no unit: %s\n", text);
	exit(EXIT_USAGE);
}

struct options {
	char action;		/* a, d, l; 0: none yet, '?': more than one */
	int unit;		/* -1: none */
	uint64_t size;
	bool has_size, has_type, noreserve, force;
};

static void take_size(struct options *options, const char *text)
{
	options->has_size = parse_size(text, &options->size) && options->size > 0;
	if (options->has_size)
		return;
	fprintf(stderr, "mdconfig: -s: no size (as 16M): %s\n", text);
	exit(EXIT_USAGE);
}

static void take_word(struct options *options, const char *word)
{
	if (strcmp(word, "noreserve") == 0)
		options->noreserve = true;
	else if (strcmp(word, "reserve") == 0)
		options->noreserve = false;
	else if (strcmp(word, "force") == 0)
		options->force = true;
	else
		usage();
}

static void parse(int argc, char **argv, struct options *options)
{
	int option;

	*options = (struct options){ .unit = -1 };
	while ((option = getopt(argc, argv, "adlt:s:o:u:")) != -1) {
		switch (option) {
		case 'a': case 'd': case 'l':
			options->action = options->action == 0 ? (char)option : '?';
			break;
		case 't': options->has_type = strcmp(optarg, "malloc") == 0; break;
		case 's': take_size(options, optarg); break;
		case 'u': options->unit = unit_of(optarg); break;
		case 'o': take_word(options, optarg); break;
		default: usage();
		}
	}
	if (optind < argc || options->action == 0 || options->action == '?' ||
	    (options->action == 'a' && (!options->has_type || !options->has_size)) ||
	    (options->action == 'd' && options->unit < 0))
		usage();
}

int main(int argc, char **argv)
{
	struct options options;
	mach_port_t server;
	kern_return_t code;

	parse(argc, argv, &options);
	code = program_lookup("md", &server);
	if (code != KERN_SUCCESS)
		return complain("no server of memory disks", code);
	if (options.action == 'a')
		return make(server, options.unit, options.size, !options.noreserve);
	if (options.action == 'd')
		return remove_disk(server, options.unit, options.force);
	return list(server);
}
