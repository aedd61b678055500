/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of the counter server. The example of docs/servers.md. */
#include <counter_user.h>
#include <mach.h>
#include <mach/program.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn static void usage(void)
{
	fprintf(stderr, "usage: count add N | count await N\n");
	exit(EXIT_USAGE);
}

int main(int argc, char **argv)
{
	natural_t value = 0;
	mach_port_t counter;
	kern_return_t code;
	uint64_t n;

	if (argc != 3 || !parse_number(argv[2], &n) || n > UINT32_MAX)
		usage();
	code = program_lookup("counter", &counter);
	if (code == KERN_SUCCESS && strcmp(argv[1], "add") == 0)
		code = counter_add(counter, (natural_t)n, &value);
	else if (code == KERN_SUCCESS && strcmp(argv[1], "await") == 0)
		code = counter_await(counter, (natural_t)n, &value);
	else if (code == KERN_SUCCESS)
		usage();
	if (code == KERN_SUCCESS)
		printf("count: %u\n", value);
	else
		fprintf(stderr, "count: %s\n", mach_error_string(code));
	return code == KERN_SUCCESS ? EXIT_SUCCESS : EXIT_FAILURE;
}
