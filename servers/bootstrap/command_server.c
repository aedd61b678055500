/* SPDX-License-Identifier: BSD-2-Clause */
/* The command about servers: which instance answers, and how often it was started. */
#include <inttypes.h>
#include <mach.h>
#include <stdio.h>
#include <weir_user.h>
#include "bootstrap.h"
#include "command.h"
#include "job.h"

/* The kernel's number of a task that we hold a right to; 0: it is gone, or not in the list. */
static uint64_t find_task(task_t task, const weir_task_info_t *tasks, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		task_t same = MACH_PORT_NULL;
		kern_return_t code = weir_task_by_id(host_priv, tasks[i].id, &same);

		give_back_right(same);
		if (code == KERN_SUCCESS && same == task)
			return tasks[i].id;
	}
	return 0;
}

void command_servers(int argc, char **argv)
{
	const struct job *job = job_server(null_name);
	weir_task_info_array_t tasks;
	mach_msg_type_number_t count;
	kern_return_t code = weir_task_list(host_priv, &tasks, &count);

	(void)argc;
	if (code != KERN_SUCCESS) {
		command_failed(argv[0], code);
		return;
	}
	printf("%s: task %" PRIu64 ", started %u times\n", null_name,
	       job != NULL ? find_task(job->task, tasks, count) : 0, null_starts);
	if (count > 0)
		give_back_memory((vm_address_t)tasks, count * sizeof *tasks);
}
