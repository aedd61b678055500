/* SPDX-License-Identifier: BSD-2-Clause */
/* TAP lines to the second serial port, and the watchdog. */
#include "tap.h"
#include <console_user.h>
#include <device_user.h>
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <weir_user.h>
#include "snapshot.h"

#define LINE_MAX	400

static mach_port_t output, host_priv, device_master, own_ledger;
static thread_t main_thread_port;
static const char *program_name;
static unsigned claims, failed, failed_reported, limit;
static char last_claim[LINE_MAX];
static bool alone;
static struct mutex output_lock = MUTEX_INIT;
static struct snapshot beginning;
static struct thread *watchdog;
static uint32_t watching;

static void write_line(const char *text, size_t size)
{
	while (size > 0) {
		mach_msg_type_number_t n = size < IO_INBAND_MAX ? (mach_msg_type_number_t)size : IO_INBAND_MAX;
		int written = 0;

		if (device_write_inband(output, 0, 0, text, n, &written) != KERN_SUCCESS || written <= 0) {
			mach_print("a test's line was lost: ");
			mach_print(text);
			return;
		}
		text += written;
		size -= (size_t)written;
	}
}

static void line(const char *format, ...) PRINTF(1, 2);
static void line(const char *format, ...)
{
	char text[LINE_MAX + 32];
	va_list arguments;
	size_t size;

	va_start(arguments, format);
	vsnprintf(text, sizeof text - 1, format, arguments);
	va_end(arguments);
	/* One line whatever it holds: the reader goes by lines. */
	for (char *at = text; *at != '\0'; at++) {
		if (*at < ' ' || *at > '~')
			*at = '?';
	}
	size = strlen(text);
	text[size++] = '\n';
	text[size] = '\0';
	mutex_lock(&output_lock);
	write_line(text, size);
	mutex_unlock(&output_lock);
}

static bool claim_v(bool passed, const char *claim, va_list arguments)
{
	vsnprintf(last_claim, sizeof last_claim, claim, arguments);
	claims++;
	if (!passed)
		failed++;
	line("%s %u - %s", passed ? "ok" : "not ok", claims, last_claim);
	return passed;
}

bool ok(bool passed, const char *claim, ...)
{
	va_list arguments;

	va_start(arguments, claim);
	claim_v(passed, claim, arguments);
	va_end(arguments);
	return passed;
}

bool is(uint64_t got, uint64_t expected, const char *claim, ...)
{
	va_list arguments;

	va_start(arguments, claim);
	claim_v(got == expected, claim, arguments);
	va_end(arguments);
	if (got != expected) {
		diag("expected: %" PRIu64 " (%#" PRIx64 ")", expected, expected);
		diag("got:      %" PRIu64 " (%#" PRIx64 ")", got, got);
	}
	return got == expected;
}

bool is_code(kern_return_t got, kern_return_t expected, const char *claim, ...)
{
	va_list arguments;

	va_start(arguments, claim);
	claim_v(got == expected, claim, arguments);
	va_end(arguments);
	if (got != expected) {
		diag("expected: %#x (%s)", (unsigned)expected, mach_error_string(expected));
		diag("got:      %#x (%s)", (unsigned)got, mach_error_string(got));
	}
	return got == expected;
}

bool is_text(const char *got, const char *expected, const char *claim, ...)
{
	bool same = strcmp(got, expected) == 0;
	va_list arguments;

	va_start(arguments, claim);
	claim_v(same, claim, arguments);
	va_end(arguments);
	if (!same) {
		diag("expected: %s", expected);
		diag("got:      %s", got);
	}
	return same;
}

bool is_between(uint64_t got, uint64_t low, uint64_t high, const char *claim, ...)
{
	bool within = got >= low && got <= high;
	va_list arguments;

	va_start(arguments, claim);
	claim_v(within, claim, arguments);
	va_end(arguments);
	if (!within) {
		diag("expected: %" PRIu64 " to %" PRIu64, low, high);
		diag("got:      %" PRIu64, got);
	}
	return within;
}

void skip(const char *why, const char *claim, ...)
{
	va_list arguments;

	va_start(arguments, claim);
	vsnprintf(last_claim, sizeof last_claim, claim, arguments);
	va_end(arguments);
	claims++;
	line("ok %u - %s # SKIP %s", claims, last_claim, why);
}

void diag(const char *format, ...)
{
	char text[LINE_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	line("# %s", text);
}

unsigned failures(void)
{
	unsigned since = failed - failed_reported;

	failed_reported = failed;
	return since;
}

_Noreturn static void end(int status)
{
	line("1..%u", claims);
	line("== end %s %d", program_name, status);
	if (alone)
		weir_halt(host_priv, status);
	exit(status);
}

_Noreturn void give_up(const char *claim, ...)
{
	va_list arguments;

	va_start(arguments, claim);
	claim_v(false, claim, arguments);
	va_end(arguments);
	end(1);
}

void need(kern_return_t code, const char *what)
{
	if (code == KERN_SUCCESS)
		return;
	ok(false, "the test gets what it needs: %s", what);
	diag("got:      %#x (%s)", (unsigned)code, mach_error_string(code));
	end(1);
}

static void watch(void *argument)
{
	(void)argument;
	/* Others may raise themselves; best effort. */
	thread_priority(thread_self()->port, 0, FALSE);
	__atomic_store_n(&watching, 1, __ATOMIC_SEQ_CST);
	word_wake(&watching, true);
	for (unsigned second = 0; second < limit; second++)
		thread_sleep(1000);
	claims++;
	line("not ok %u - ends within %u s", claims, limit);
	line("# the claim before was: %s", last_claim);
	end(1);
}

static void fail_unheard(const char *text)
{
	mach_print(text);
	mach_print("\n");
	exit(EXIT_FAILURE);
}

static mach_port_t number_of(const char *text)
{
	uint64_t value = 0;

	parse_number(text, &value);
	return (mach_port_t)value;
}

static void open_output(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "--alone") == 0) {
		alone = true;
		host_priv = number_of(argv[2]);
		device_master = number_of(argv[3]);
		if (device_open(device_master, D_WRITE, "com1", &output) != KERN_SUCCESS)
			fail_unheard("a test cannot open com1");
		return;
	}
	if (console_get_test_output(program_console(), &output) != KERN_SUCCESS ||
	    program_host_priv(&host_priv) != KERN_SUCCESS)
		fail_unheard("tests are to be run with `in root`: no output for them");
}

/* The linker's marks. */
extern char edata[], end_of_data[] __asm__("end");

/* Pages that the test may come to write to are present from the beginning. */
static void warm_up(void)
{
	vm_address_t here = (vm_address_t)__builtin_frame_address(0);

	memory_touch(trunc_page((vm_address_t)edata - 1), (vm_size_t)(end_of_data - edata) + 1);
	memory_touch(here - 64 * 1024, 64 * 1024);
	clock_uptime_ns();
	books_agree();
	snapshot_take(&beginning, own_ledger);
}

void test_begin(int argc, char **argv, unsigned limit_seconds)
{
	const char *slash = strrchr(argv[0], '/');

	program_name = slash != NULL ? slash + 1 : argv[0];
	limit = limit_seconds;
	main_thread_port = thread_self()->port = mach_thread_self();
	open_output(argc, argv);
	line("== %s", program_name);
	need(task_get_ledger(mach_task_self(), &own_ledger), "the ledger of its task");
	need(thread_spawn(watch, NULL, 0, &watchdog), "a thread for the watchdog");
	/* It makes a port of its own, which belongs to the beginning. */
	while (__atomic_load_n(&watching, __ATOMIC_SEQ_CST) == 0)
		word_wait(&watching, 0, 0);
	warm_up();
	snapshot_take_quiet(&beginning, own_ledger);
}

int done_testing(void)
{
	snapshot_settles(&beginning, SNAPSHOT_THINGS, "all that the test took has come back");
	ok(books_agree(), "the kernel's books agree with its objects");
	if (!books_agree())
		diag("got:      %s", books_text());
	end(failed > 0);
}

mach_port_t test_host_priv(void)
{
	return host_priv;
}

mach_port_t test_device_master(void)
{
	return device_master;
}

mach_port_t test_ledger(void)
{
	return own_ledger;
}

thread_t test_thread(void)
{
	return main_thread_port;
}
