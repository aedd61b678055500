/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program loader (lib/mach): an image made here runs; hostile headers, by a list of
 * mutations and at random, are refused with a reason or give a plan that lies inside its bounds.
 * The kernel's own loader, of boot modules, is tested by tests/boot/modules.t.
 * RUN: in root elf_test
 */
#include <string.h>
#include <mach/loader.h>
#include <mach/machine/vm_param.h>
#include <mach/threads.h>
#include "child.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define PAGE		4096u
#define IMAGE_SIZE	(3 * PAGE)
#define CODE_AT		0x400000ul
#define DATA_AT		0x402000ul
#define PROGRAMS	4u
#define STAGING		(4 * PAGE)

/* ELF-64 Object File Format, version 1.5. */
struct header {
	unsigned char ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, program_offset, section_offset;
	uint32_t flags;
	uint16_t size, program_size, program_count, section_size, section_count, section_names;
};

struct program {
	uint32_t type, flags;
	uint64_t offset, address, physical, file_size, memory_size, alignment;
};

static union {
	struct {
		struct header header;
		struct program program[PROGRAMS];
	};
	unsigned char bytes[IMAGE_SIZE];
} image;

static mach_port_t self;

/* Asks for its task's port (trap -28) and terminates it (trap -69). */
static const unsigned char code[] = {
	0xb8, 0xe4, 0xff, 0xff, 0xff, 0x0f, 0x05, 0x89, 0xc7, 0xb8, 0xbb, 0xff, 0xff, 0xff, 0x0f, 0x05, 0xeb, 0xfe,
};

static void make_image(void)
{
	memset(&image, 0, sizeof image);
	image.header = (struct header){
		.ident = "\177ELF\2\1\1", .type = 2, .machine = 62, .version = 1, .entry = CODE_AT + PAGE - 64,
		.program_offset = sizeof image.header, .size = 64, .program_size = 56, .program_count = PROGRAMS,
	};
	image.program[0] = (struct program){ 1, 5, 0, CODE_AT, 0, PAGE, PAGE, PAGE };
	image.program[1] = (struct program){ 1, 6, PAGE, DATA_AT, 0, PAGE, 3 * PAGE, PAGE };
	image.program[2] = (struct program){ 0x6474e551, 6, 0, 0, 0, 0, 0, 16 };
	image.program[3] = (struct program){ 4, 4, 0, 0, 0, 0, 0, 4 };
	memcpy(image.bytes + PAGE - 64, code, sizeof code);
	memset(image.bytes + PAGE, 'd', PAGE);
}

static kern_return_t load(const struct loader_plan *plan, task_t *task, thread_t *thread)
{
	static char word[] = "made", other[] = "here";
	char *const argv[] = { word, other };
	vm_address_t staging = 0;
	kern_return_t result;

	need(child_empty(task, MACH_PORT_NULL), "an empty task");
	need(vm_allocate(self, &staging, STAGING, TRUE), "memory");
	result = loader_load(plan, &image, *task, 2, argv, (void *)staging, STAGING, thread);
	/* Sending parts of it has cut it to pieces; as a whole it goes back. */
	need(vm_deallocate(self, staging, STAGING), "memory");
	return result;
}

static void good_image(void)
{
	struct loader_plan plan;
	mach_port_t end = port_new();
	vm_offset_t data = 0;
	mach_msg_type_number_t size;
	task_t task;
	thread_t thread = MACH_PORT_NULL;
	const char *wrong;

	make_image();
	wrong = loader_read(&image, sizeof image, &plan);
	if (!ok(wrong == NULL, "a small program is accepted"))
		diag("got:      %s", wrong);
	ok(plan.count == 2 && plan.entry == CODE_AT + PAGE - 64, "with its two segments and its entry");
	if (!is_code(load(&plan, &task, &thread), KERN_SUCCESS, "it can be loaded"))
		return;
	need(vm_read(task, DATA_AT, 3 * PAGE, &data, &size), "its data");
	ok(*(char *)data == 'd' && *(char *)(data + PAGE - 1) == 'd' && *(char *)(data + PAGE) == 0,
	   "its data are there, zeros behind them");
	need(vm_deallocate(self, data, size), "what was read");
	is_code(vm_copy(task, DATA_AT, PAGE, CODE_AT), KERN_PROTECTION_FAILURE, "its code is read-only");
	need(mach_request_notification(task, MACH_NOTIFY_DEAD_NAME, 0, end), "a notification");
	need(thread_resume(thread), "thread_resume");
	is((uint64_t)message_await(end, 10000), MACH_NOTIFY_DEAD_NAME, "it runs, and ends itself");
	port_free(task);
	mach_port_destroy(self, thread);
	port_free(end);
}

/* --- one field at a time --- */

struct mutation {
	const char *what;
	uint32_t offset, size;		/* of the field, bytes */
	uint64_t value;
};
#define HEADER(member)		offsetof(struct header, member), sizeof(((struct header *)0)->member)
#define PROGRAM(n, member)	sizeof(struct header) + (n) * sizeof(struct program) + offsetof(struct program, member), \
				sizeof(((struct program *)0)->member)

static const struct mutation mutations[] = {
	{ "another magic", 0, 4, 0x464c4580 },
	{ "32 bits", 4, 1, 1 },
	{ "big-endian", 5, 1, 2 },
	{ "another ELF version", 6, 1, 0 },
	{ "another file version", HEADER(version), 7 },
	{ "another machine", HEADER(machine), 3 },
	{ "an object file", HEADER(type), 1 },
	{ "a shared object", HEADER(type), 3 },
	{ "a core file", HEADER(type), 4 },
	{ "no entry", HEADER(entry), 0 },
	{ "an entry behind the code", HEADER(entry), CODE_AT + PAGE },
	{ "an entry in the data", HEADER(entry), DATA_AT },
	{ "an entry in the kernel", HEADER(entry), 0xffffffff80000000 },
	{ "an entry at the end of all", HEADER(entry), ~0ul },
	{ "no program headers", HEADER(program_count), 0 },
	{ "65,535 program headers", HEADER(program_count), 0xffff },
	{ "65 program headers", HEADER(program_count), 65 },
	{ "program headers of no size", HEADER(program_size), 0 },
	{ "program headers of 55 bytes", HEADER(program_size), 55 },
	{ "program headers of 65,535 bytes", HEADER(program_size), 0xffff },
	{ "program headers behind the file", HEADER(program_offset), IMAGE_SIZE },
	{ "program headers that end behind the file", HEADER(program_offset), IMAGE_SIZE - 100 },
	{ "program headers that wrap around", HEADER(program_offset), ~0ul - 100 },
	{ "program headers at the end of all", HEADER(program_offset), ~0ul },
	{ "an interpreter", PROGRAM(3, type), 3 },
	{ "dynamic linking", PROGRAM(3, type), 2 },
	{ "a segment of which the file lacks a byte", PROGRAM(1, offset), 2 * PAGE + 1 },
	{ "a segment behind the file", PROGRAM(1, offset), IMAGE_SIZE + 1 },
	{ "a segment at the end of all offsets", PROGRAM(1, offset), ~0ul },
	{ "a segment whose end wraps around in the file", PROGRAM(1, offset), ~0ul - PAGE + 1 },
	{ "a segment larger in the file than in memory", PROGRAM(1, memory_size), PAGE - 1 },
	{ "a segment of all the file's sizes", PROGRAM(1, file_size), ~0ul },
	{ "a segment of all sizes", PROGRAM(1, memory_size), ~0ul },
	{ "a segment to the end of the addresses and a byte", PROGRAM(1, memory_size), VM_MAX_ADDRESS - DATA_AT + 1 },
	{ "a segment in the first page", PROGRAM(1, address), 0 },
	{ "a segment that touches the first page", PROGRAM(1, address), PAGE - 1 },
	{ "a segment in the kernel", PROGRAM(1, address), 0xffffffff80000000 },
	{ "a segment at no address of the machine's", PROGRAM(1, address), 0x8000000000000000 },
	{ "a segment behind the user's addresses", PROGRAM(1, address), VM_MAX_ADDRESS },
	{ "a segment that ends behind them", PROGRAM(1, address), VM_MAX_ADDRESS - PAGE },
	{ "a segment that wraps around", PROGRAM(1, address), ~0ul - PAGE },
	{ "two segments in one place", PROGRAM(1, address), CODE_AT },
	{ "two segments in one page", PROGRAM(1, address), CODE_AT + PAGE - 1 },
	{ "a segment writable and executable", PROGRAM(1, flags), 7 },
	{ "code that is not executable", PROGRAM(0, flags), 4 },
	{ "a stack that cannot be written", PROGRAM(2, flags), 4 },
	{ "a stack that cannot be read", PROGRAM(2, flags), 2 },
};

static void mutated_images(void)
{
	struct loader_plan plan;

	for (unsigned i = 0; i < countof(mutations); i++) {
		const struct mutation *m = &mutations[i];
		const char *wrong;

		make_image();
		memcpy(image.bytes + m->offset, &m->value, m->size);
		wrong = loader_read(&image, sizeof image, &plan);
		ok(wrong != NULL && strlen(wrong) > 5, "%s is refused: %s", m->what, wrong != NULL ? wrong : "(accepted)");
	}
	make_image();
	image.program[0].type = image.program[1].type = 0;
	ok(loader_read(&image, sizeof image, &plan) != NULL, "a program without segments is refused");
	make_image();
	image.program[1].memory_size = image.program[1].file_size = 0;
	ok(loader_read(&image, sizeof image, &plan) == NULL && plan.count == 1, "an empty segment is left out");
}

/* Cut off anywhere: refused, and not a byte behind the end is looked at. */
static void truncated_images(void)
{
	struct loader_plan plan;
	vm_address_t at = 0;
	unsigned refused = 0, tried = 0;

	need(vm_allocate(self, &at, 4 * PAGE, TRUE), "memory");
	need(vm_deallocate(self, at + 3 * PAGE, PAGE), "the end of memory");
	make_image();
	for (size_t size = 0; size < 2 * PAGE; size += size < 400 ? 1 : 61) {
		/* The image ends where memory ends. */
		char *copy = (char *)at + IMAGE_SIZE - size;

		memcpy(copy, &image, size);
		refused += loader_read(copy, size, &plan) != NULL;
		tried++;
	}
	is(refused, tried, "an image cut off anywhere is refused, from its bytes alone");
	need(vm_deallocate(self, at, 3 * PAGE), "memory");
}

static bool plan_is_sound(const struct loader_plan *plan)
{
	bool entered = false;

	if (plan->count == 0 || plan->count > LOADER_SEGMENTS_MAX)
		return false;
	for (unsigned i = 0; i < plan->count; i++) {
		const struct loader_segment *s = &plan->segments[i];

		if (s->address % PAGE || s->size % PAGE || s->size == 0 || s->address < PAGE ||
		    s->address > VM_MAX_ADDRESS || s->size > VM_MAX_ADDRESS - s->address ||
		    s->data_offset > IMAGE_SIZE || s->data_size > IMAGE_SIZE - s->data_offset ||
		    (s->data_size > 0 && (s->data_address < s->address ||
					  s->data_address + s->data_size > s->address + s->size)))
			return false;
		entered |= plan->entry - s->address < s->size && (s->protection & VM_PROT_EXECUTE);
		for (unsigned j = 0; j < i; j++)
			if (s->address < plan->segments[j].address + plan->segments[j].size &&
			    plan->segments[j].address < s->address + s->size)
				return false;
	}
	return entered;
}

/* Bytes of the headers changed at random; a plan that is accepted is also carried out. */
static void random_images(void)
{
	enum { ROUNDS = 30000, LOADS_MAX = 60 };
	struct random random = { .state = 4711 };
	struct snapshot before;
	unsigned accepted = 0, sound = 0, loaded = 0, answered = 0;

	diag("seed %lu", (unsigned long)random.state);
	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < ROUNDS; i++) {
		unsigned changes = 1 + (unsigned)random_below(&random, 4);
		struct loader_plan plan;

		make_image();
		while (changes-- > 0) {
			unsigned place = (unsigned)random_below(&random, 64 + PROGRAMS * 56);

			/* Mostly in the program headers, mostly values at some edge. */
			if (random_below(&random, 4) != 0)
				place = 64 + place % (PROGRAMS * 56);
			static const unsigned char edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x10, 0x40 };
			image.bytes[place] = random_below(&random, 2) ? (unsigned char)random_next(&random) :
							edges[random_below(&random, countof(edges))];
		}
		if (loader_read(&image, sizeof image, &plan) != NULL)
			continue;
		accepted++;
		sound += plan_is_sound(&plan);
		if (accepted % 16 == 0 && loaded < LOADS_MAX) {
			task_t task = MACH_PORT_NULL;
			thread_t thread = MACH_PORT_NULL;
			kern_return_t result = load(&plan, &task, &thread);

			answered += result == KERN_SUCCESS || result == KERN_NO_SPACE || result == KERN_RESOURCE_SHORTAGE ||
				    result == KERN_INVALID_ADDRESS;
			loaded++;
			task_terminate(task);
			if (MACH_PORT_VALID(thread))
				mach_port_destroy(self, thread);
			mach_port_destroy(self, task);
		}
	}
	diag("%u of %u accepted, %u loaded", accepted, (unsigned)ROUNDS, loaded);
	ok(accepted > 100 && accepted < ROUNDS, "some random headers are accepted, some refused");
	is(sound, accepted, "every accepted plan lies inside the image and the user's addresses");
	is(answered, loaded, "loading each of them works or tells why not");
	snapshot_settles(&before, SNAPSHOT_THINGS, "and leaves nothing behind");
}

static void long_arguments(void)
{
	static char word[LOADER_ARGUMENTS_MAX], staging[STAGING];
	char *const argv[] = { word };
	struct loader_plan plan;
	thread_t thread;
	task_t task;

	make_image();
	need(loader_read(&image, sizeof image, &plan) == NULL ? KERN_SUCCESS : KERN_FAILURE, "a good image");
	memset(word, 'w', sizeof word - 1);
	need(child_empty(&task, MACH_PORT_NULL), "an empty task");
	is_code(loader_load(&plan, &image, task, 1, argv, staging, sizeof staging, &thread), KERN_INVALID_ARGUMENT,
		"words that do not fit are refused");
	task_terminate(task);
	mach_port_destroy(self, task);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	good_image();
	mutated_images();
	truncated_images();
	random_images();
	long_arguments();
	return done_testing();
}
