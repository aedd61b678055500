/* SPDX-License-Identifier: BSD-2-Clause */
/* What is looked at before a return to user mode: ticks, rescheduling, deadlines, dead things. */
#ifndef KERN_AST_H
#define KERN_AST_H

/* Have ast_handle called before the next return to user mode. */
void ast_set(void);
/* The same for what concerns the current thread only: nothing is left of it when another runs. */
void ast_set_current(void);
/* The same, and switch threads there. */
void ast_reschedule(void);
/* That has been done: the thread that runs next was chosen after it was asked for. */
void ast_rescheduled(void);
/* Ticks and input, while no thread runs. */
void ast_idle(void);
/* sched.c: a tick passed; and: the hand-off did not take place. */
void sched_tick(void);
void sched_handoff_undo(void);

#endif
