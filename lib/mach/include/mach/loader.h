/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting a program from an ELF image in memory. */
#ifndef MACH_LOADER_H
#define MACH_LOADER_H

#include <mach/mach_types.h>
#include <stddef.h>

#define LOADER_STACK_SIZE	(128 * 1024)
#define LOADER_SEGMENTS_MAX	16
#define LOADER_ARGUMENTS_MAX	(3 * 4096)	/* bytes of argv with its pointers */

struct loader_segment {
	vm_address_t address;		/* of its first page */
	vm_size_t size;			/* in memory, whole pages */
	vm_address_t data_address;	/* where file bytes go */
	vm_size_t data_size;
	size_t data_offset;		/* in the image */
	vm_prot_t protection;
};

struct loader_plan {
	vm_address_t entry;
	vm_prot_t stack_protection;
	unsigned count;
	struct loader_segment segments[LOADER_SEGMENTS_MAX];
};

/*
 * Reads the headers of a static ELF64 program for x86-64 (System V ABI, AMD64
 * supplement, and the ELF specification 1.2, part 1). NULL: the plan is good and
 * each part of it lies inside the image and the user's addresses; otherwise what
 * is wrong with the image, as a short text. Trusts no byte of it.
 */
const char *loader_read(const void *image, size_t size, struct loader_plan *plan);

/*
 * Fills the (empty) task with the program and makes its first thread, which is
 * left suspended once; *thread is the caller's send right. argc words of argv go on the stack. `staging` is
 * page-aligned memory of staging_size bytes (whole pages, at least
 * LOADER_ARGUMENTS_MAX) to copy through. On an error the task may be half
 * filled: terminate it. KERN_INVALID_ARGUMENT: the words do not fit.
 */
kern_return_t loader_load(const struct loader_plan *plan, const void *image, task_t task,
			  int argc, char *const argv[], void *staging, size_t staging_size,
			  thread_t *thread);

#endif
