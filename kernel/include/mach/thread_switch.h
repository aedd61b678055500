/* SPDX-License-Identifier: BSD-2-Clause */
/* Options of the thread_switch trap. */
#ifndef MACH_THREAD_SWITCH_H
#define MACH_THREAD_SWITCH_H

#define SWITCH_OPTION_NONE	0
#define SWITCH_OPTION_DEPRESS	1
#define SWITCH_OPTION_WAIT	2

#define valid_switch_option(opt)	(0 <= (opt) && (opt) <= 2)

#endif
