/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/ports: the life of ports and servers. Weak references and a cache that uses them, dead names,
 * requests that are inhibited and resumed, turns of ledgers, the end of a port, a class, a server; all also under
 * requests, and denied.
 * RUN: in root ports_life_test
 */
#include <stdlib.h>
#include "ports_life.h"
#include "tap.h"

int main(int argc, char **argv)
{
	/* malloc keeps a page of each size: not to be taken for a leak. */
	for (size_t size = 16; size < 1000; size *= 2)
		free(malloc(size));
	test_begin(argc, argv, 120);
	test_weak();
	test_dead_names();
	test_inhibition();
	test_turns();
	test_end();
	return done_testing();
}
