/* SPDX-License-Identifier: BSD-2-Clause */
/* How a program begins and ends. */
#include <assert.h>
#include <mach/program.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv, char **envp);
_Noreturn void program_start(long *stack);

/* stack: argc, argv, NULL, envp, NULL. */
_Noreturn void program_start(long *stack)
{
	int argc = (int)stack[0];
	char **argv = (char **)(stack + 1);

	program_init();
	exit(main(argc, argv, argv + argc + 1));
}

_Noreturn void exit(int status)
{
	fflush(stdout);
	program_exit(status);
}

_Noreturn void abort(void)
{
	fflush(stdout);
	__builtin_trap();
}

_Noreturn void assert_failed(const char *what, const char *file, int line, const char *function)
{
	fprintf(stderr, "%s:%d: %s: assertion failed: %s\n", file, line, function, what);
	abort();
}
