/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dd: copies records from one device to another. Records in: whole ones, and partial ones at the
 * input's end; out: those written whole, and one that was written in part. A record is filled by as
 * many reads as that takes.
 */
#include <inttypes.h>
#include <mach.h>
#include <mach/device_file.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MAX	(64 * 1024 * 1024)

struct side {
	const char *name;
	struct device_file file;
	uint64_t whole, partial;
};

struct copy {
	struct side in, out;
	uint64_t block, count, skip, seek;
	char *buffer;
	uint64_t bytes;
};

_Noreturn static void usage(void)
{
	fprintf(stderr, "usage: dd if=DEVICE of=DEVICE [bs=SIZE] [count=N] [skip=N] [seek=N]\n"
			"  copies records of SIZE bytes (512), N of them (else all), from the Nth on of the\n"
			"  input and to the Nth on of the output; numbers take K, M, G\n");
	exit(EXIT_USAGE);
}

/* The value, if the word is NAME=value. */
static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);

	return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static bool take_number(const char *word, const char *name, uint64_t *number)
{
	const char *value = value_of(word, name);

	if (value == NULL)
		return false;
	if (parse_size(value, number))
		return true;
	fprintf(stderr, "dd: %s: not a number\n", word);
	exit(EXIT_USAGE);
}

static void parse(int argc, char **argv, struct copy *copy)
{
	*copy = (struct copy){ .block = 512, .count = UINT64_MAX };
	for (int i = 1; i < argc; i++) {
		const char *in = value_of(argv[i], "if"), *out = value_of(argv[i], "of");

		if (in != NULL)
			copy->in.name = in;
		else if (out != NULL)
			copy->out.name = out;
		else if (!take_number(argv[i], "bs", &copy->block) &&
			 !take_number(argv[i], "count", &copy->count) &&
			 !take_number(argv[i], "skip", &copy->skip) &&
			 !take_number(argv[i], "seek", &copy->seek))
			usage();
	}
	if (copy->in.name == NULL || copy->out.name == NULL)
		usage();
	if (copy->block == 0 || copy->block > BLOCK_MAX) {
		fprintf(stderr, "dd: bs: 1 to %dM\n", BLOCK_MAX >> 20);
		exit(EXIT_USAGE);
	}
	if (copy->skip > UINT64_MAX / copy->block || copy->seek > UINT64_MAX / copy->block) {
		fprintf(stderr, "dd: skip or seek: too far\n");
		exit(EXIT_USAGE);
	}
}

static void complain(const struct side *side, const char *what)
{
	fprintf(stderr, "dd: %s: %s\n", side->name, what);
}

static bool open_side(struct side *side, dev_mode_t mode)
{
	kern_return_t code = device_file_open(side->name, mode, &side->file);

	if (code == D_SUCCESS)
		return true;
	complain(side, code == KERN_INVALID_NAME ? "no such device" : mach_error_string(code));
	return false;
}

/* A read beyond the end is no error: there is just nothing. */
static bool fail(const struct side *side, kern_return_t code)
{
	char text[DEVICE_FILE_TEXT_MAX];

	complain(side, device_file_error(&side->file, code, text));
	return false;
}

/* Copies one record. False: an error, said; *more: is there another one? */
static bool copy_record(struct copy *copy, uint64_t number, bool *more)
{
	size_t got, put;
	kern_return_t code = device_file_read(&copy->in.file, (copy->skip + number) * copy->block,
					      copy->buffer, copy->block, &got);

	*more = got == copy->block;
	if (got == copy->block)
		copy->in.whole++;
	else if (got > 0)
		copy->in.partial++;
	if (code != D_SUCCESS)
		return fail(&copy->in, code);
	if (got == 0)
		return true;
	code = device_file_write(&copy->out.file, (copy->seek + number) * copy->block, copy->buffer, got,
				 &put);
	if (put == copy->block)
		copy->out.whole++;
	else if (put > 0)
		copy->out.partial++;
	copy->bytes += put;
	return code == D_SUCCESS || fail(&copy->out, code);
}

static void tell(const struct copy *copy, uint64_t us)
{
	printf("%" PRIu64 "+%" PRIu64 " records in\n%" PRIu64 "+%" PRIu64 " records out\n",
	       copy->in.whole, copy->in.partial, copy->out.whole, copy->out.partial);
	printf("%" PRIu64 " bytes transferred in %" PRIu64 ".%03" PRIu64 " s (%" PRIu64 "K per second)\n",
	       copy->bytes, us / 1000000, us / 1000 % 1000,
	       us > 0 ? copy->bytes * 1000000 / us / 1024 : 0);
}

int main(int argc, char **argv)
{
	struct copy copy;
	uint64_t start;
	bool more = true, good = true;

	parse(argc, argv, &copy);
	copy.buffer = malloc(copy.block);
	if (copy.buffer == NULL) {
		fprintf(stderr, "dd: no memory for records of %" PRIu64 " bytes\n", copy.block);
		return EXIT_FAILURE;
	}
	if (!open_side(&copy.in, D_READ))
		return EXIT_FAILURE;
	if (!open_side(&copy.out, D_WRITE)) {
		device_file_close(&copy.in.file);
		return EXIT_FAILURE;
	}
	start = clock_uptime_us();
	for (uint64_t number = 0; good && more && number < copy.count; number++)
		good = copy_record(&copy, number, &more);
	tell(&copy, clock_uptime_us() - start);
	device_file_close(&copy.out.file);
	device_file_close(&copy.in.file);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
