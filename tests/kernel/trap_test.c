/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge of the kernel: every trap number with every kind of wrong argument, and nonsense sent to
 * every kind of kernel port. The claim is each time that the kernel goes on and its books agree.
 * RUN: in root trap_test
 * LIMIT: 240
 */
#include <device/device_types.h>
#include <device_user.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/exception.h>
#include <mach/machine/exception.h>
#include <mach/syscall_sw.h>
#include <mach/thread_switch.h>
#include <mach/threads.h>
#include <string.h>
#include "catch.h"
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define SEED	20261121

/*
 * One trap with all registers known before and seen after. The layout is known to the assembly.
 */
struct raw {
	uint64_t rax;			/* number before, result after */
	uint64_t argument[6];		/* rdi rsi rdx r10 r8 r9; as they are after */
	uint64_t kept[6];		/* rbx rbp r12 r13 r14 r15; as they are after */
	uint64_t stack[5];		/* the seventh argument and later ones */
};
void raw_trap(struct raw *raw);
__asm__(".text\n"
	".globl raw_trap\n"
	"raw_trap:\n"
	"	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	pushq %rdi\n"			/* struct raw */
	"	movq %rdi, %r11\n"
	"	pushq 136(%r11); pushq 128(%r11); pushq 120(%r11); pushq 112(%r11); pushq 104(%r11)\n"
	"	pushq $0\n"			/* where a stub has its return address */
	"	movq 0(%r11), %rax\n"
	"	movq 56(%r11), %rbx; movq 64(%r11), %rbp; movq 72(%r11), %r12\n"
	"	movq 80(%r11), %r13; movq 88(%r11), %r14; movq 96(%r11), %r15\n"
	"	movq 8(%r11), %rdi; movq 16(%r11), %rsi; movq 24(%r11), %rdx\n"
	"	movq 32(%r11), %r10; movq 40(%r11), %r8; movq 48(%r11), %r9\n"
	"	syscall\n"
	"	addq $48, %rsp\n"
	"	popq %r11\n"
	"	movq %rax, 0(%r11)\n"
	"	movq %rdi, 8(%r11); movq %rsi, 16(%r11); movq %rdx, 24(%r11)\n"
	"	movq %r10, 32(%r11); movq %r8, 40(%r11); movq %r9, 48(%r11)\n"
	"	movq %rbx, 56(%r11); movq %rbp, 64(%r11); movq %r12, 72(%r11)\n"
	"	movq %r13, 80(%r11); movq %r14, 88(%r11); movq %r15, 96(%r11)\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"	ret\n");

static struct raw patterned(int64_t number)
{
	struct raw raw = { .rax = (uint64_t)number };

	for (unsigned i = 0; i < 6; i++) {
		raw.argument[i] = 0x1111111100000000ull * (i + 1) + 0xfffffff0 + i;
		raw.kept[i] = 0x0123456789abcdefull * (2 * i + 3);
	}
	return raw;
}

static bool registers_kept(const struct raw *before, const struct raw *after)
{
	return memcmp(before->argument, after->argument, sizeof before->argument) == 0 &&
	       memcmp(before->kept, after->kept, sizeof before->kept) == 0;
}

#define T(name, number, arguments)	[-(number)] = #name,
static const char *const trap_names[MACH_TRAP_TABLE_SIZE] = { MACH_TRAP_LIST(T) };
#undef T

static bool returns_zero(int number)
{
	return (number <= -10 && number >= -13) || number == -55 || number == -56;
}

static void test_unused_numbers(void)
{
	unsigned wrong = 0, lost = 0, count = 0;

	for (int number = 0; number > -MACH_TRAP_TABLE_SIZE; number--) {
		struct raw before = patterned(number), raw = before;

		/* evc_wait and evc_wait_clear are named, and take no event of ours. */
		if (trap_names[-number] != NULL)
			continue;
		raw_trap(&raw);
		count++;
		if ((kern_return_t)raw.rax != (returns_zero(number) ? 0 : KERN_INVALID_ARGUMENT)) {
			wrong++;
			diag("trap %d returned %#lx", number, raw.rax);
		}
		lost += !registers_kept(&before, &raw);
	}
	is(wrong, 0, "each of %u unused numbers returns KERN_INVALID_ARGUMENT, or 0 where it has to", count);
	is(lost, 0, "each keeps all registers but rax, rcx and r11");
}

static void test_registers_kept(void)
{
	static const int numbers[] = {
		TRAP_mach_reply_port, TRAP_mach_thread_self, TRAP_mach_task_self, TRAP_mach_host_self,
		TRAP_swtch, TRAP_swtch_pri,
	};

	for (unsigned i = 0; i < countof(numbers); i++) {
		struct raw before = patterned(numbers[i]), raw = before;

		raw_trap(&raw);
		ok(registers_kept(&before, &raw), "%s keeps all registers but rax, rcx and r11",
		   trap_names[-numbers[i]]);
		if (numbers[i] == TRAP_mach_reply_port)
			mach_port_destroy(mach_task_self(), (mach_port_t)raw.rax);
		else if (numbers[i] != TRAP_swtch && numbers[i] != TRAP_swtch_pri)
			give_back_right((mach_port_t)raw.rax);
	}
}

/* All registers before and after a write to memory that may fault; rax is its address, and what is written there. */
struct all {
	uint64_t registers[15], flags;
};
void raw_write(struct all *all);
__asm__(".text\n"
	".globl raw_write\n"
	"raw_write:\n"
	"	pushq %rbx; pushq %rbp; pushq %r12; pushq %r13; pushq %r14; pushq %r15\n"
	"	pushq %rdi\n"
	"	pushq 120(%rdi)\n"
	"	movq 0(%rdi), %rax; movq 8(%rdi), %rbx; movq 16(%rdi), %rcx; movq 24(%rdi), %rdx\n"
	"	movq 32(%rdi), %rsi; movq 48(%rdi), %rbp; movq 56(%rdi), %r8; movq 64(%rdi), %r9\n"
	"	movq 72(%rdi), %r10; movq 80(%rdi), %r11; movq 88(%rdi), %r12; movq 96(%rdi), %r13\n"
	"	movq 104(%rdi), %r14; movq 112(%rdi), %r15; movq 40(%rdi), %rdi\n"
	"	popfq\n"
	"	movq %rax, (%rax)\n"
	"	pushfq\n"
	"	pushq %rdi\n"
	"	movq 16(%rsp), %rdi\n"
	"	movq %rax, 0(%rdi); movq %rbx, 8(%rdi); movq %rcx, 16(%rdi); movq %rdx, 24(%rdi)\n"
	"	movq %rsi, 32(%rdi); movq %rbp, 48(%rdi); movq %r8, 56(%rdi); movq %r9, 64(%rdi)\n"
	"	movq %r10, 72(%rdi); movq %r11, 80(%rdi); movq %r12, 88(%rdi); movq %r13, 96(%rdi)\n"
	"	movq %r14, 104(%rdi); movq %r15, 112(%rdi)\n"
	"	popq %rax; movq %rax, 40(%rdi)\n"
	"	popq %rax; movq %rax, 120(%rdi)\n"
	"	addq $8, %rsp\n"
	"	popq %r15; popq %r14; popq %r13; popq %r12; popq %rbp; popq %rbx\n"
	"	ret\n");

#define FLAGS_ODD	0x8c3	/* OF, SF, ZF, CF, and the bit that is always set */
#define FLAGS_EVEN	0x216	/* PF, AF, IF */

static unsigned registers_lost(vm_address_t at, unsigned round)
{
	struct all before = {{at}, (round & 1 ? FLAGS_ODD : FLAGS_EVEN) | 0x200}, after;

	for (unsigned i = 1; i < countof(before.registers); i++)
		before.registers[i] = 0x0123456789abcdefull * (2 * i + 3 + round);
	after = before;
	raw_write(&after);
	return memcmp(&before, &after, sizeof before) != 0 || *(vm_address_t *)at != at;
}

static void test_faults_keep_registers(void)
{
	enum { PAGES = 64 };
	vm_address_t at = 0, copy = 0;
	mach_msg_type_number_t count;
	unsigned lost = 0;

	need(vm_allocate(mach_task_self(), &at, PAGES * vm_page_size, TRUE), "vm_allocate");
	for (unsigned i = 0; i < PAGES; i++)
		lost += registers_lost(at + i * vm_page_size + 8 * i, i);
	is(lost, 0, "a fault that makes a page keeps all registers and flags");
	need(vm_read(mach_task_self(), at, PAGES * vm_page_size, &copy, &count), "vm_read");
	lost = 0;
	for (unsigned i = 0; i < PAGES; i++)
		lost += registers_lost(at + i * vm_page_size + 8, i);
	is(lost, 0, "and so does one that copies it");
	need(vm_protect(mach_task_self(), copy, PAGES * vm_page_size, FALSE, VM_PROT_READ), "vm_protect");
	need(vm_protect(mach_task_self(), copy, PAGES * vm_page_size, FALSE, VM_PROT_READ | VM_PROT_WRITE), "vm_protect");
	lost = 0;
	for (unsigned i = 0; i < PAGES; i++)
		lost += registers_lost(copy + i * vm_page_size, i);
	is(lost, 0, "and one that gives a right");
	need(vm_deallocate(mach_task_self(), at, PAGES * vm_page_size), "vm_deallocate");
	need(vm_deallocate(mach_task_self(), copy, count), "vm_deallocate");
}

/* Only eax counts, sign-extended. */
static void test_number_width(void)
{
	struct raw raw = patterned(0);

	raw.rax = 0x1234567800000000ull | (uint32_t)TRAP_mach_task_self;
	raw_trap(&raw);
	is(raw.rax, mach_task_self(), "only the low 32 bits of the number count");
	give_back_right((mach_port_t)raw.rax);
}

/* --- numbers that are no traps --- */

static int32_t child_number;

static void child_trap(void *argument)
{
	struct raw raw = patterned(child_number);

	raw_trap(&raw);
	*(uint64_t *)argument = raw.rax;
}

static kern_return_t before_caught(struct child *child, void *argument)
{
	return task_set_special_port(child->task, TASK_EXCEPTION_PORT, *(mach_port_t *)argument);
}

static mach_port_t exceptions;

static kern_return_t before_trap(struct child *child, void *argument)
{
	(void)argument;
	return before_caught(child, &exceptions);
}

static void test_no_traps(void)
{
	static const int32_t numbers[] = { 1, 2, 25, 129, 130, 0x7fffffff, -130, -131, -1000, -0x7fffffff - 1 };
	struct child_options options = { .before = before_trap };
	uint64_t *result = shared_alloc(vm_page_size);

	exceptions = catch_port();
	for (unsigned i = 0; i < countof(numbers); i++) {
		struct caught caught;
		struct child child;

		child_number = numbers[i];
		need(child_start(&child, child_trap, result, &options), "a child");
		if (ok(catch_next(exceptions, 5000, &caught), "number %d is an exception", numbers[i])) {
			is((uint64_t)caught.exception, EXC_BAD_INSTRUCTION, "of number %d: EXC_BAD_INSTRUCTION", numbers[i]);
			is((uint64_t)caught.code, EXC_I386_INVOP, "of number %d: code EXC_I386_INVOP", numbers[i]);
			catch_answer(&caught, KERN_SUCCESS);
			ok(child_wait(&child, 5000), "after number %d the thread goes on", numbers[i]);
			is(*result, (uint64_t)(int64_t)numbers[i], "number %d stays in rax", numbers[i]);
			*result = 0;
		}
		child_finish(&child);
	}
	catch_port_destroy(exceptions);
	shared_free(result, vm_page_size);
}

/* An argument on a stack that cannot be read. */
void bad_stack_trap(void);
__asm__(".text\n.globl bad_stack_trap\n"
	"bad_stack_trap: movl $-64, %eax; movq $0x600000000000, %rsp; syscall; ud2\n");

static void child_bad_stack(void *argument)
{
	(void)argument;
	bad_stack_trap();
}

static void test_bad_stack(void)
{
	struct child_options options = { .before = before_trap };
	struct caught caught;
	struct child child;

	exceptions = catch_port();
	need(child_start(&child, child_bad_stack, NULL, &options), "a child");
	if (ok(catch_next(exceptions, 5000, &caught), "arguments on an unreadable stack are an exception")) {
		is((uint64_t)caught.exception, EXC_BAD_ACCESS, "it is EXC_BAD_ACCESS");
		is((uint64_t)caught.code, KERN_INVALID_ADDRESS, "its code is KERN_INVALID_ADDRESS");
		catch_answer(&caught, KERN_FAILURE);
	}
	child_finish(&child);
	catch_port_destroy(exceptions);
}

/* --- wild arguments --- */

struct progress {
	uint32_t calls, alive;
	uint32_t trap;
	uint64_t seed;
	uint32_t lost;			/* calls that did not keep the registers */
};
static struct progress *progress;
static uint64_t readonly_page, last_page;

static uint64_t wild(struct random *random)
{
	static const uint64_t values[] = {
		0, 1, 7, 0xfff, 0x1000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000,
		0x7fffffffe000, 0x7fffffffeff8, 0x7ffffffff000, 0x7ffffffffff8, 0x7fffffffffff,
		0x800000000000, 0x900000000000, 0xffff7fffffffffff, 0xffff800000000000,
		0xffff888000000000, 0xffffffff80000000, 0xffffffff80100000, 0xfffffffffffff000,
		0xfffffffffffffff8, ~0ull, 0x8000000000000000,
	};

	switch (random_below(random, 8)) {
	case 0: return mach_task_self();
	case 1: return random_below(random, 16);
	case 2: return readonly_page + random_below(random, 4096);
	case 3: return last_page + vm_page_size - random_below(random, 64);
	case 4: return random_next(random);
	default: return values[random_below(random, countof(values))];
	}
}

/* What would only make the child wait for ever is told not to. */
static void tame(struct raw *raw, int number, struct random *random)
{
	if (number == TRAP_mach_msg_trap) {
		raw->argument[1] = random_below(random, 4) | MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT |
				   (random_next(random) & 0xee0);
		raw->argument[5] = random_below(random, 2);
		raw->argument[2] = random_below(random, 3) != 0 ? random_below(random, 200) : raw->argument[2];
	}
	if (number == TRAP_thread_switch)
		raw->argument[2] = random_below(random, 2);
	/* Its own end and its own rest come soon enough by chance. */
	if (number == TRAP_syscall_task_suspend && raw->argument[0] == mach_task_self())
		raw->argument[0] = 0;
	if (number == TRAP_mach_print)
		raw->argument[0] &= ~(vm_page_size - 1);	/* zeros or nothing: no noise */
}

static void child_wild(void *argument)
{
	struct random random = { progress->seed };
	int number = -(int)progress->trap;

	(void)argument;
	for (unsigned i = 0; i < 400; i++) {
		struct raw raw = patterned(number), before;

		for (unsigned j = 0; j < 6; j++)
			raw.argument[j] = wild(&random);
		for (unsigned j = 0; j < 5; j++)
			raw.stack[j] = wild(&random);
		tame(&raw, number, &random);
		before = raw;
		raw_trap(&raw);
		progress->calls++;
		progress->lost += !registers_kept(&before, &raw);
	}
	/* It may have given its own task's name away, and could not end itself then. */
	word_post(&progress->alive, 1);
	for (;;)
		thread_yield();
}

static void test_wild_arguments(void)
{
	struct snapshot before;

	progress = shared_alloc(vm_page_size);
	need(vm_allocate(mach_task_self(), &readonly_page, vm_page_size, TRUE), "a page");
	need(vm_protect(mach_task_self(), readonly_page, vm_page_size, FALSE, VM_PROT_READ), "vm_protect");
	need(vm_allocate(mach_task_self(), &last_page, 2 * vm_page_size, TRUE), "two pages");
	need(vm_deallocate(mach_task_self(), last_page + vm_page_size, vm_page_size), "a hole behind one");
	diag("seed %u", SEED);
	for (int trap = 0; trap < MACH_TRAP_TABLE_SIZE; trap++) {
		struct child_options options = { 0 };
		uint32_t calls = 0;

		if (trap_names[trap] == NULL)
			continue;
		snapshot_take(&before, test_ledger());
		/* What the children make dies with their ledger. */
		options.ledger = ledger_new(test_ledger(), "wild");
		/* A child may end itself, or take its own memory away: then the next one goes on. */
		for (unsigned round = 0; round < 4; round++) {
			struct child child;

			*progress = (struct progress){ .trap = (uint32_t)trap,
						       .seed = SEED + (uint64_t)trap * 100 + round };
			need(child_start(&child, child_wild, NULL, &options), "a child");
			if (!ok(word_await(&progress->alive, 1, 300) || child_wait(&child, 20000), "%s: each call with wild arguments comes to an end",
				trap_names[trap]))
				diag("round %u, after %u calls", round, progress->calls);
			calls += progress->calls;
			is(progress->lost, 0, "%s keeps the registers whatever the arguments", trap_names[trap]);
			child_finish(&child);
		}
		ok(calls > 0 || trap == -TRAP_syscall_task_terminate, "%s was called %u times", trap_names[trap], calls);
		ledger_terminate(options.ledger);
		give_back_right(options.ledger);
		snapshot_settles(&before, SNAPSHOT_THINGS, "%s: all comes back with the tasks", trap_names[trap]);
		if (!ok(books_agree(), "%s: the books agree", trap_names[trap]))
			diag("got: %s", books_text());
	}
	give_back_memory(readonly_page, vm_page_size);
	give_back_memory(last_page, vm_page_size);
	shared_free(progress, vm_page_size);
}

/* The traps that act on a name in the caller's own space do what the message of that name does. */
static void test_by_name(void)
{
	static const char line[] = "trap_test: a line by trap\n";
	const struct { uint64_t at, size; } pieces[] = { { (uintptr_t)line, 11 }, { (uintptr_t)line + 11, sizeof line - 12 } };
	mach_port_t self = mach_task_self(), port = MACH_PORT_NULL, other = catch_port(), back = MACH_PORT_NULL, old;
	mach_port_type_t type;
	device_t console = MACH_PORT_NULL;

	need(syscall_mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &port), "a port");
	is_code(syscall_mach_port_insert_right(self, port, port, MACH_MSG_TYPE_MAKE_SEND), KERN_SUCCESS, "a send right can be made");
	need(mach_port_type(self, port, &type), "its type");
	is(type, MACH_PORT_TYPE_SEND_RECEIVE, "beside the receive right");
	is_code(syscall_mach_port_insert_right(self, 0x7abc, port, MACH_MSG_TYPE_MAKE_SEND), KERN_RIGHT_EXISTS,
		"another name for it is refused");
	is_code(syscall_mach_port_insert_right(self, 0x7abc, port, MACH_MSG_TYPE_MAKE_SEND_ONCE), KERN_SUCCESS,
		"but for a send-once right");
	need(mach_port_mod_refs(self, 0x7abc, MACH_PORT_RIGHT_SEND_ONCE, -1), "its end");
	is_code(syscall_mach_port_insert_right(self, 0x7abc, MACH_PORT_NULL, MACH_MSG_TYPE_MOVE_SEND), KERN_INVALID_CAPABILITY,
		"no right is none");
	is_code(syscall_mach_port_insert_right(self, 0x7abc, 0x7abd, MACH_MSG_TYPE_MOVE_SEND), KERN_INVALID_NAME, "nor is no name");
	is_code(syscall_mach_port_insert_right(self, 0x7abc, port, 99), KERN_INVALID_VALUE, "99 is no kind of right");
	is_code(syscall_mach_port_insert_right(port, 0x7abc, port, MACH_MSG_TYPE_MAKE_SEND), MACH_SEND_INTERRUPTED,
		"what is no task is left to the message");

	need(task_get_special_port(self, TASK_BOOTSTRAP_PORT, &old), "the bootstrap port");
	is_code(syscall_task_set_special_port(self, TASK_BOOTSTRAP_PORT, other), KERN_SUCCESS, "a special port can be set");
	need(task_get_special_port(self, TASK_BOOTSTRAP_PORT, &back), "and read");
	is(back, other, "as it was set");
	give_back_right(back);
	is_code(syscall_task_set_special_port(self, 99, other), KERN_INVALID_ARGUMENT, "special port 99 is none");
	is_code(syscall_task_set_special_port(self, TASK_BOOTSTRAP_PORT, 0x7abd), KERN_INVALID_NAME, "no name is no port");
	need(syscall_task_set_special_port(self, TASK_BOOTSTRAP_PORT, old), "the old bootstrap port");
	if (old != MACH_PORT_NULL)
		give_back_right(old);

	if (test_device_master() != MACH_PORT_NULL) {
		need(device_open(test_device_master(), D_WRITE, "console", &console), "the console");
		is_code(syscall_device_write_request(console, MACH_PORT_NULL, 0, 0, (uintptr_t)line, sizeof line - 1), KERN_SUCCESS,
			"a line can be written");
		is_code(syscall_device_writev_request(console, MACH_PORT_NULL, 0, 0, pieces, 2), KERN_SUCCESS,
			"in two pieces as well");
		is_code(syscall_device_write_request(console, MACH_PORT_NULL, 0, 0, 16, 4), KERN_INVALID_ADDRESS,
			"memory that is not there is refused");
		is_code(syscall_device_write_request(console, MACH_PORT_NULL, 0, 0, (uintptr_t)line, 1 << 20), MACH_SEND_INTERRUPTED,
			"a megabyte is left to the message");
		is_code(syscall_device_writev_request(console, MACH_PORT_NULL, 0, 0, pieces, 17), KERN_INVALID_VALUE,
			"17 pieces are too many");
		need(device_close(console), "device_close");
		give_back_right(console);
	}
	is_code(syscall_device_write_request(port, MACH_PORT_NULL, 0, 0, (uintptr_t)line, 1), D_NO_SUCH_DEVICE, "a port is no device");
	need(mach_port_destroy(self, port), "the port's end");
	catch_port_destroy(other);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 240);
	test_unused_numbers();
	test_registers_kept();
	test_faults_keep_registers();
	test_number_width();
	test_no_traps();
	test_bad_stack();
	test_by_name();
	test_wild_arguments();
	return done_testing();
}
