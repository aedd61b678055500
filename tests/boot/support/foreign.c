/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program as a stranger writes it who knows only GNU Mach's interface: no header or library of this project, its own
 * entry, traps and message. It checks what a program finds at its start, prints a line for each claim that fails and
 * "all is well" when none does, and ends the machine by host_reboot. tests/boot/programs.t links it in several ways.
 */
#include <stddef.h>
#include <stdint.h>

#ifndef BSS_BYTES
#define BSS_BYTES 4096
#endif

static unsigned failed;
static char bss[BSS_BYTES];
static int data = 4711;
static int *pointer = &data;		/* a relocation when it is a PIE */
static double third = 3.0;

__asm__(".text\n"
	".globl _start\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rsp, %rdi\n"
	"	andq $-16, %rsp\n"
	"	call begin\n"
	"	hlt\n"
	".globl mach_print\n"
	"mach_print:\n"
	"	movq $-30, %rax\n"
	"	syscall\n"
	"	ret\n"
	".globl mach_msg_trap\n"
	"mach_msg_trap:\n"
	"	movq $-25, %rax\n"
	"	movq %rcx, %r10\n"
	"	syscall\n"
	"	ret\n"
	".globl mach_reply_port\n"
	"mach_reply_port:\n"
	"	movq $-26, %rax\n"
	"	syscall\n"
	"	ret\n"
	".section .note.GNU-stack, \"\", @progbits\n"
	".text\n");
void mach_print(const char *text);
int mach_msg_trap(void *message, int option, unsigned send_size, unsigned receive_size, unsigned name, unsigned timeout,
		  unsigned notify);
unsigned mach_reply_port(void);

#ifdef PIE
/* What a PIE's own start-up does: adds its base to each word that needs it (System V ABI, R_X86_64_RELATIVE). */
struct dynamic { uint64_t tag, value; };
struct rela { uint64_t offset, info; int64_t addend; };
extern struct dynamic _DYNAMIC[] __attribute__((visibility("hidden")));
extern char __ehdr_start[] __attribute__((visibility("hidden")));

static void relocate(void)
{
	uint64_t base = (uint64_t)__ehdr_start, table = 0, size = 0;

	for (struct dynamic *d = _DYNAMIC; d->tag != 0; d++) {
		if (d->tag == 7)
			table = base + d->value;
		else if (d->tag == 8)
			size = d->value;
	}
	for (struct rela *r = (struct rela *)table; (uint64_t)r < table + size; r++)
		if ((r->info & 0xffffffff) == 8)
			*(uint64_t *)(base + r->offset) = base + (uint64_t)r->addend;
}
#else
static void relocate(void) { }
#endif

static void check(int good, const char *claim)
{
	if (good)
		return;
	failed++;
	mach_print("wrong: ");
	mach_print(claim);
	mach_print("\n");
}

static unsigned number(const char *text)
{
	unsigned value = 0;

	while (*text >= '0' && *text <= '9')
		value = value * 10 + (unsigned)(*text++ - '0');
	return *text == '\0' ? value : 0;
}

static int same(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b)
		a++, b++;
	return *a == *b;
}

static void check_sse(void)
{
	volatile double value = 1.0;

	for (int i = 0; i < 10; i++)
		value = value * third;
	check(value == 59049.0, "SSE2 calculates");
}

static void check_avx(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	check((c >> 27 & 1) == 0, "the processor says that AVX is not to be used (OSXSAVE)");
}

/* host_reboot(host, 0) as the interface has it: id 2635, one integer. */
static int reboot(unsigned host)
{
	struct {
		uint32_t bits, size;
		uint64_t remote, local;
		uint32_t seqno, id;
		uint32_t type, count, options, pad;
		uint64_t room[8];
	} message = {
		.bits = 19 | 21 << 8, .size = 48, .remote = host, .local = mach_reply_port(), .id = 2635,
		.type = 2 | 32 << 8 | 1u << 29, .count = 1,
	};

	return mach_msg_trap(&message, 3, 48, sizeof message, (unsigned)message.local, 0, 0);
}

__attribute__((used)) void begin(const uint64_t *stack)
{
	uint64_t argc = stack[0];
	char *const *argv = (char *const *)(stack + 1);
	size_t i;

	relocate();
	check((uint64_t)stack % 16 == 0, "the stack begins aligned to 16");
	check(argc == 5 && argv[5] == NULL && argv[6] == NULL, "argc, argv, NULL, envp, NULL lie on the stack");
	check(argc > 2 && number(argv[1]) != 0 && number(argv[2]) != 0, "the ports are numbers");
	check(argc > 4 && same(argv[3], "two,words") && same(argv[4], "x=value"), "other words and variables come as they are");
	check(data == 4711 && pointer == &data && *pointer == 4711, "data is there");
	for (i = 0; i < sizeof bss; i += 4096)
		check(bss[i] == 0, "what the file does not hold is zero");
	for (i = 0; i < sizeof bss; i += 4096)
		bss[i] = 1;
	check_sse();
	check_avx();
	if (failed == 0)
		mach_print("all is well\n");
	reboot(number(argv[1]));
	mach_print("wrong: host_reboot came back\n");
	for (;;)
		;
}
