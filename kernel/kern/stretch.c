/* SPDX-License-Identifier: BSD-2-Clause */
/* How long interrupts are off at a stretch. */
#include "kern/stretch.h"
#include "kern/panic.h"
#include "kern/printf.h"
#include "kern/syscall.h"
#include "kern/thread.h"
#include "x86_64/machine.h"

bool stretch_measured;
static uint64_t since;

/* In ticks of the TSC; call: the number of the trap, if it was in one. */
static struct {
	uint64_t ticks;
	const void *site;
	int32_t call;
} longest;

void stretch_begin_measured(void)
{
	since = clock_ticks();
}

void stretch_note_measured(const void *site)
{
	uint64_t ticks = clock_ticks() - since;
	const struct thread *thread = thread_current();

	if (ticks <= longest.ticks)
		return;
	longest.ticks = ticks;
	longest.site = site;
	longest.call = thread != NULL && thread->regs.vector == VECTOR_SYSCALL ? (int32_t)thread->regs.rax : 0;
}

bool stretch_tell(void)
{
	const char *name;
	uint64_t offset = 0;

	if (!STRETCH_DEBUG)
		return false;
	if (longest.ticks != 0) {
		name = ksym_find((uint64_t)(uintptr_t)longest.site, &offset);
		printf("interrupts off: %llu ticks at most, to %s+%llx, call %d\n", (unsigned long long)longest.ticks,
		       name != NULL ? name : "?", (unsigned long long)offset, longest.call);
	}
	longest.ticks = 0;
	stretch_measured = true;
	syscalls_watch();
	/* What was printed is not counted. */
	stretch_begin_measured();
	return true;
}
