/* SPDX-License-Identifier: BSD-2-Clause */
/* The boot modules' command lines: tasks, ports and arguments. */
#ifndef KERN_BOOTSCRIPT_H
#define KERN_BOOTSCRIPT_H
/* Creates, loads and starts the tasks of all boot modules. What cannot be done ends the boot: "cannot boot: ...". */
void bootscript_run(void);
#endif
