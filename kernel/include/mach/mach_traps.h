/* SPDX-License-Identifier: BSD-2-Clause */
/* The traps that are called as functions by user programs. */
#ifndef MACH_MACH_TRAPS_H
#define MACH_MACH_TRAPS_H

#include <mach/std_types.h>

mach_port_t mach_reply_port(void);
mach_port_t mach_thread_self(void);
mach_port_t mach_task_self(void);
mach_port_t mach_host_self(void);
/* Write a string to the console, for debugging. */
void mach_print(const char *text);

boolean_t swtch_pri(int priority);
boolean_t swtch(void);
/* Time in milliseconds; option: SWITCH_OPTION_... */
kern_return_t thread_switch(mach_port_name_t thread, int option, natural_t time);
kern_return_t thread_set_self_state(int flavor, natural_t *state, natural_t count);

#endif
