/* SPDX-License-Identifier: BSD-2-Clause */
/* hexdump: bytes of a device, 16 in a line, in hexadecimal and as characters; equal lines once, then `*`. */
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/device_file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE	16
#define BLOCK	4096

_Noreturn static void usage(void)
{
	fprintf(stderr, "usage: hexdump [-s BYTES] [-n BYTES] DEVICE\n"
			"  -s  begins behind so many; -n  not more than so many (else all)\n");
	exit(EXIT_USAGE);
}

static char last[LINE];
static bool has_last, told_equal;

static void print_line(uint64_t at, const char *bytes, size_t count)
{
	printf("%08" PRIx64 " ", at);
	for (size_t i = 0; i < LINE; i++) {
		printf("%s", i == LINE / 2 ? " " : "");
		if (i < count)
			printf(" %02x", (unsigned char)bytes[i]);
		else
			printf("   ");
	}
	printf("  |");
	for (size_t i = 0; i < count; i++)
		putchar(bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : '.');
	printf("|\n");
}

static void take_line(uint64_t at, const char *bytes, size_t count)
{
	bool equal = has_last && count == LINE && memcmp(bytes, last, LINE) == 0;

	if (!equal)
		print_line(at, bytes, count);
	else if (!told_equal)
		printf("*\n");
	told_equal = equal;
	has_last = count == LINE;
	memcpy(last, bytes, count);
}

/* How much there was; the end is told by fewer bytes than asked. */
static kern_return_t dump(const struct device_file *file, uint64_t *at, uint64_t left)
{
	static char block[BLOCK];
	size_t got = BLOCK;
	kern_return_t code = D_SUCCESS;

	while (code == D_SUCCESS && left > 0 && got == BLOCK) {
		code = device_file_read(file, *at, block, left < BLOCK ? (size_t)left : BLOCK, &got);
		for (size_t i = 0; i < got; i += LINE)
			take_line(*at + i, block + i, got - i < LINE ? got - i : LINE);
		*at += got;
		left -= got;
	}
	return code;
}

int main(int argc, char **argv)
{
	uint64_t at = 0, count = UINT64_MAX;
	char text[DEVICE_FILE_TEXT_MAX];
	struct device_file file;
	kern_return_t code;
	int option;

	while ((option = getopt(argc, argv, "s:n:")) != -1) {
		if (option == '?')
			usage();
		if (!parse_size(optarg, option == 's' ? &at : &count)) {
			fprintf(stderr, "hexdump: -%c: not a size: %s\n", option, optarg);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 1)
		usage();
	code = device_file_open(argv[optind], D_READ, &file);
	if (code != D_SUCCESS) {
		fprintf(stderr, "hexdump: %s: %s\n", argv[optind],
			code == KERN_INVALID_NAME ? "no such device" : mach_error_string(code));
		return EXIT_FAILURE;
	}
	code = dump(&file, &at, count);
	printf("%08" PRIx64 "\n", at);
	if (code != D_SUCCESS)
		fprintf(stderr, "hexdump: %s: %s\n", argv[optind], device_file_error(&file, code, text));
	device_file_close(&file);
	return code == D_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
