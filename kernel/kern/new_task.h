/* SPDX-License-Identifier: BSD-2-Clause */
/* Who is told of new tasks: register_new_task_notification. Theory in new_task.c. */
#ifndef KERN_NEW_TASK_H
#define KERN_NEW_TASK_H
#include <stdbool.h>

struct ledger;
struct port;
struct task;

/* The right that the news of a task will go to, with its message, paid by the task's ledger; *once NULL: nobody wants it.
   False: denied. May reap. */
bool new_task_reserve(struct ledger *payer, struct port **once);
/* Tells of the task; once may be NULL. Cannot fail. */
void new_task_tell(struct port *once, struct task *task, struct task *parent);

#endif
