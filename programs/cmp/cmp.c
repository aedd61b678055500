/* SPDX-License-Identifier: BSD-2-Clause */
/* cmp: the first byte in which two devices differ. Status 0: none, 1: one, 2: they could not be read. */
#include <getopt.h>
#include <inttypes.h>
#include <mach.h>
#include <mach/device_file.h>
#include <stdio.h>
#include <stdlib.h>

#define BLOCK	(32 * 1024)
#define STATUS_DIFFERENT	1
#define STATUS_TROUBLE	2

struct side {
	const char *name;
	struct device_file file;
	char block[BLOCK];
	size_t size;		/* bytes in it */
};
static struct side a, b;

_Noreturn static void usage(void)
{
	fprintf(stderr, "usage: cmp [-n BYTES] DEVICE DEVICE\n"
			"  tells the first byte that differs, of the first BYTES; status 1 if there is one\n");
	exit(EXIT_USAGE);
}

_Noreturn static void give_up(const struct side *side, const char *why)
{
	fprintf(stderr, "cmp: %s: %s\n", side->name, why);
	exit(STATUS_TROUBLE);
}

static void open_side(struct side *side, const char *name)
{
	kern_return_t code;

	side->name = name;
	code = device_file_open(name, D_READ, &side->file);
	if (code != D_SUCCESS)
		give_up(side, code == KERN_INVALID_NAME ? "no such device" : mach_error_string(code));
}

static void read_side(struct side *side, uint64_t at, size_t size)
{
	char text[DEVICE_FILE_TEXT_MAX];
	kern_return_t code = device_file_read(&side->file, at, side->block, size, &side->size);

	if (code != D_SUCCESS)
		give_up(side, device_file_error(&side->file, code, text));
}

/* Tells the difference in what was read at that place, if there is one. */
static bool differ(uint64_t at)
{
	size_t both = a.size < b.size ? a.size : b.size;

	for (size_t i = 0; i < both; i++) {
		if (a.block[i] != b.block[i]) {
			printf("%s %s differ: byte %" PRIu64 "\n", a.name, b.name, at + i + 1);
			return true;
		}
	}
	if (a.size == b.size)
		return false;
	printf("cmp: end of %s after byte %" PRIu64 "\n", a.size < b.size ? a.name : b.name, at + both);
	return true;
}

int main(int argc, char **argv)
{
	uint64_t most = UINT64_MAX, at = 0;
	bool different = false;
	int option;

	while ((option = getopt(argc, argv, "n:")) != -1) {
		if (option != 'n')
			usage();
		if (!parse_size(optarg, &most)) {
			fprintf(stderr, "cmp: -n: not a size: %s\n", optarg);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 2)
		usage();
	open_side(&a, argv[optind]);
	open_side(&b, argv[optind + 1]);
	while (!different && at < most) {
		size_t size = most - at < BLOCK ? (size_t)(most - at) : BLOCK;

		read_side(&a, at, size);
		read_side(&b, at, size);
		different = differ(at);
		if (a.size < size)
			break;
		at += size;
	}
	device_file_close(&a.file);
	device_file_close(&b.file);
	return different ? STATUS_DIFFERENT : EXIT_SUCCESS;
}
