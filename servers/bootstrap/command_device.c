/* SPDX-License-Identifier: BSD-2-Clause */
/* The command about devices: their names and who serves them. */
#include <stdio.h>
#include "command.h"
#include "names.h"

void command_devices(int argc, char **argv)
{
	(void)argc, (void)argv;
	for (unsigned i = 0; i < NAMES_MAX; i++) {
		uint32_t id;
		const char *name = names_at(i, &id);
		const struct job *job = name != NULL ? job_of_id(id) : NULL;

		if (job != NULL)
			printf("/dev/%s: %s\n", name, job->name);
	}
}
