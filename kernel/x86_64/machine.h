/* SPDX-License-Identifier: BSD-2-Clause */
/* What the portable kernel asks of the machine, and what the machine calls in it. */
#ifndef X86_64_MACHINE_H
#define X86_64_MACHINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "x86_64/regs.h"

struct thread;
struct pmap;

/* Per-CPU state, reached through %gs in the kernel (GCC's manual: Named Address Spaces; entry.S). */
struct cpu {
	struct thread *thread;		/* current; NULL: idle */
	uint64_t stack_top;		/* of the one kernel stack */
	uint64_t scratch;		/* user rsp during system call entry */
	union {
		struct {
			volatile bool ast;	/* look before returning to user: tick, reschedule, reap */
			bool handoff;		/* a thread was woken to run next (sched.c) */
			bool fpu_enabled;	/* CR0.TS is clear */
			bool has_gs_base;	/* the user's gs base is not 0 */
		};
		uint32_t unusual;	/* any of these */
	};
	volatile bool tick;		/* timer interrupt came */
	volatile bool input;		/* the console has some that came since */
	struct thread *fpu_owner;	/* whose FPU state is in the registers, NULL: nobody's */
	uint32_t id;
	volatile uint64_t ticks;
};
typedef __seg_gs struct cpu cpu_local;
static inline cpu_local *cpu_current(void)
{
	return (cpu_local *)0;
}

/* Has this CPU anything unusual? */
static inline bool cpu_is_unusual(void)
{
	bool unusual;

	__asm__("cmpl $0, %%gs:%c1" : "=@ccne"(unusual) : "i"(offsetof(struct cpu, unusual)), "m"(cpu_current()->unusual));
	return unusual;
}

/* Boot hands over once, interrupts off, on the boot CPU's kernel stack, direct map in place. */
struct boot_module { uint64_t start, end; const char *words; };	/* physical bytes [start,end), page aligned start where the loader did so */
struct boot_info {
	const char *command_line;	/* without the image's name; never NULL */
	uint64_t memory_bytes;		/* usable RAM */
	uint32_t module_count;
	struct boot_module modules[32];
};
extern struct boot_info boot_info;
/* kern/startup.c. page_init and page_add_free have been called; modules' frames are not the allocator's yet. */
_Noreturn void kernel_main(void);

/* Direct map of all RAM. */
#define DIRECT_MAP_BASE 0xffff800000000000ull
static inline void *phys_to_virt(uint64_t physical) { return (void *)(DIRECT_MAP_BASE + physical); }
static inline uint64_t virt_to_phys(const void *address) { return (uint64_t)address - DIRECT_MAP_BASE; }

/* A whole page of the direct map. For so much, string instructions are the fastest (they are slow to start only), and
   the shortest where instructions are counted. */
static inline void machine_page_clear(void *page)
{
	uint64_t words = 512;

	__asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0ull) : "memory");
}

static inline void machine_page_copy(void *to, const void *from)
{
	uint64_t words = 512;

	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}
#define USER_ADDRESS_MIN 0x1000ull
#define USER_ADDRESS_MAX 0x00007ffffffff000ull	/* exclusive; one page below the hole: sysret safety */

/* -- called by the machine -- */
/* System calls: see kern/syscall.h. */
/* A trap from user mode, with the vector, error code and (page faults) address. kern/trap.c */
void trap_user(struct thread *thread, unsigned vector, uint64_t error);
/* A page fault from user mode. True: it is resolved, and the thread's registers are as they were. */
bool trap_page_fault(struct thread *thread, uint64_t address, uint64_t error);
/* From an interrupt: per-CPU data only. Sets cpu->tick and cpu->ast. x86_64/clock.c does it
   itself. */
/* After a system call, trap_user or an interrupt from user mode, when cpu->ast is set:
   handles it; may switch away. */
void ast_handle(struct thread *thread);

/* -- offered by the machine -- */
/* Resumes the current thread (cpu->thread) in user mode from its saved registers. Checks ast
   first. */
_Noreturn void user_return(void);
/* The same, quicker, for the current thread when it waited in a system call, whose result is 0: no ast is set, and its registers
   are those of the call (regs.vector). from, which had the CPU, is there to be passed through. */
_Noreturn void syscall_return(struct thread *from, struct thread *thread);
/* Empties the kernel stack and calls fn(argument), which must not return. */
_Noreturn void stack_reset_call(void (*fn)(void *), void *argument);
/* Makes thread the current one: cpu->thread, TSS.rsp0, fs/gs bases, address space, CR0.TS as its FPU state demands. NULL: none is. */
void machine_switch(struct thread *from, struct thread *to, struct pmap *pmap);
/* The same for a thread that goes on in user mode, where it waited in a system call, whose result is 0. */
_Noreturn void machine_pass(struct thread *from, struct thread *to, struct pmap *pmap);
/* The same when `to` has no FPU state and no gs base, and cpu->unusual is 0. */
_Noreturn void machine_pass_plain(struct thread *from, struct thread *to, struct pmap *pmap);
/* Sleeps until an interrupt, which is taken; interrupts are off again on return. */
void machine_idle(void);
/* A preemption point's window: sti; nop; cli. */
void machine_window(void);
/* Ends the machine, announced: status byte of halt (0..255). */
_Noreturn void machine_halt(unsigned status);
_Noreturn void machine_reboot(void);
_Noreturn void machine_cannot_boot(const char *reason);	/* prints "cannot boot: reason" */
_Noreturn void machine_triple_fault(void);		/* debug control only */
/* Sets up a fresh thread's registers: all zero, user segments, rflags with IF; rip and rsp as
   given; fs_base and gs_base are left alone. */
void machine_thread_init(struct regs *regs, uint64_t rip, uint64_t rsp);
/* May a user ask for this rip, fs_base or gs_base? rsp may be anything: a bad one faults at its first use. A bad rip would
   fault inside the return. */
static inline bool machine_address_valid(uint64_t address)
{
	return address < USER_ADDRESS_MAX;
}
/* Sanitises registers that a user asked for, with a valid rip: rflags and segments are made right; vector becomes 0, so that
   the return restores every register. Whatever changes registers other than rax of a thread in a system call must pass
   here, or set regs.vector to 0. */
void machine_regs_changed(struct regs *regs);

/* Time: nanoseconds since boot, monotonic (calibrated TSC). clock_uptime_ns is declared in
   mem/upcalls.h too. */
uint64_t clock_uptime_ns(void);
/* The TSC itself, to measure by; and how long so many ticks take. */
static inline uint64_t clock_ticks(void)
{
	uint64_t low, high;	/* the upper halves become 0 */

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return high << 32 | low;
}
uint64_t clock_ticks_ns(uint64_t ticks);
/* The end of the boot: opens windows until the clock has ticked, which it mostly has by now; a machine whose clock does not
   interrupt cannot boot, as its first program would never be preempted. */
void clock_await_tick(void);
/* The kernel's start ends here, before the first user instruction; how many ticks of the TSC it took since
   the kernel's entry. */
void clock_boot_ended(void);
uint64_t clock_boot_ticks(void);
/* Seconds since 1970 at boot, from the RTC. */
uint64_t clock_boot_time_s(void);
#define CLOCK_TICK_HZ 1000

/* User memory, current address space only. Copies; false: a page was not present or not allowed,
   *fault is its address. */
bool user_copy_in(void *to, uint64_t from, uint64_t size, uint64_t *fault);
bool user_copy_out(uint64_t to, const void *from, uint64_t size, uint64_t *fault);

/* FPU: FXSAVE images (regs.h). */
void fpu_state_init(void *state);
void fpu_save(void *state);
void fpu_restore(const void *state);
void fpu_enable(void);		/* clears CR0.TS */
void fpu_disable(void);		/* sets CR0.TS */
/* Makes an image that a user gave harmless to restore (reserved MXCSR bits). */
void fpu_state_sanitise(void *state);
/* The registers no longer hold thread's state: it died, or its image was changed. */
void fpu_forget(struct thread *thread);

/* Console: serial COM1 and VGA; input from both, kept in a ring by the interrupt handlers. */
void console_init(const char *which);		/* "com", "vga", "both" (NULL: both) */
void console_putc(char c);
/* Busy until all is on its way, with interrupts off. Who writes much writes it in steps, with windows between them: console_step
   bytes at a time, each after console_await, which has windows too, so that they go at once. */
uint32_t console_step(const char *bytes, uint32_t size);
void console_await(void);
void console_write(const char *bytes, uint64_t size);
/* -1: nothing there. Sets cpu->input and cpu->ast when input arrives so that readers are woken from ast_handle. */
int console_getc(void);
/* Copies at most max bytes of input without taking them; and takes count of those. */
uint32_t console_peek(char *to, uint32_t max);
void console_drop(uint32_t count);
/* Second serial port (COM2): raw bytes. */
void com2_await(void);
void com2_write(const char *bytes, uint64_t size);
int com2_getc(void);

#endif
