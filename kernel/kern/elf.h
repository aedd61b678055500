/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads static ELF64 programs into tasks. */
#ifndef KERN_ELF_H
#define KERN_ELF_H
#include <stdbool.h>
#include <stdint.h>

struct task;

/* Loads an image (in kernel-readable memory, any contents) into an empty map. NULL on success, else the reason in words; then the
   map may hold a part of it. *stack_executable as PT_GNU_STACK says. Pays: the task's ledger. */
const char *elf_load(struct task *task, const uint8_t *image, uint64_t size, uint64_t *entry, bool *stack_executable);

#endif
