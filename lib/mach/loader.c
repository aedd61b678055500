/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Programs from ELF images. The layout of the headers is that of the ELF-64
 * object file format (version 1.5); what a header says is copied out of the
 * image once, checked, and only then used.
 */
#include <mach/loader.h>
#include <mach.h>
#include <mach/machine/thread_status.h>
#include <mach/machine/vm_param.h>
#include <stdbool.h>
#include <string.h>

struct elf_header {
	unsigned char	ident[16];
	uint16_t	type, machine;
	uint32_t	version;
	uint64_t	entry, program_offset, section_offset;
	uint32_t	flags;
	uint16_t	header_size, program_entry_size, program_count;
	uint16_t	section_entry_size, section_count, section_names;
};
_Static_assert(sizeof(struct elf_header) == 64, "ELF-64 header");

struct elf_program {
	uint32_t	type, flags;
	uint64_t	offset, address, physical_address, file_size, memory_size, alignment;
};
_Static_assert(sizeof(struct elf_program) == 56, "ELF-64 program header");

#define ELF_IDENT	"\177ELF\2\1\1"		/* 64 bits, little endian, version 1 */
#define ELF_EXEC	2
#define ELF_DYN		3
#define ELF_X86_64	62
#define PT_LOAD		1
#define PT_DYNAMIC	2
#define PT_INTERP	3
#define PT_GNU_STACK	0x6474e551
#define PF_X		1
#define PF_W		2
#define PF_R		4
#define PROGRAM_HEADERS_MAX	64

static vm_prot_t protection_of(uint32_t flags)
{
	return (flags & PF_R ? VM_PROT_READ : 0) | (flags & PF_W ? VM_PROT_WRITE : 0) |
	       (flags & PF_X ? VM_PROT_EXECUTE : 0);
}

static const char *check_header(const struct elf_header *header, size_t size)
{
	if (memcmp(header->ident, ELF_IDENT, sizeof ELF_IDENT - 1) != 0)
		return "not a 64-bit little-endian ELF file";
	if (header->machine != ELF_X86_64)
		return "not for x86-64";
	if (header->type == ELF_DYN)
		return "position-independent or shared: only static programs start";
	if (header->type != ELF_EXEC)
		return "not a program";
	if (header->version != 1)
		return "unknown ELF version";
	if (header->program_entry_size != sizeof(struct elf_program))
		return "program headers of the wrong size";
	if (header->program_count == 0 || header->program_count > PROGRAM_HEADERS_MAX)
		return "no program headers, or too many";
	if (header->program_offset > size ||
	    size - header->program_offset < header->program_count * sizeof(struct elf_program))
		return "program headers outside the file";
	return NULL;
}

static const char *check_load(const struct elf_program *program, size_t size)
{
	if (program->file_size > program->memory_size)
		return "a segment is larger in the file than in memory";
	if (program->offset > size || size - program->offset < program->file_size)
		return "a segment lies outside the file";
	if (program->address < PAGE_SIZE)
		return "a segment covers the first page";
	if (program->address >= VM_MAX_ADDRESS ||
	    program->memory_size > VM_MAX_ADDRESS - program->address)
		return "a segment lies outside the user's addresses";
	if ((program->flags & (PF_W | PF_X)) == (PF_W | PF_X))
		return "a segment is writable and executable";
	return NULL;
}

static const char *add_segment(struct loader_plan *plan, const struct elf_program *program)
{
	struct loader_segment segment = {
		.address = trunc_page(program->address),
		.size = round_page(program->address + program->memory_size) -
			trunc_page(program->address),
		.data_address = program->address,
		.data_size = program->file_size,
		.data_offset = program->offset,
		.protection = protection_of(program->flags),
	};

	if (plan->count == LOADER_SEGMENTS_MAX)
		return "too many segments";
	for (unsigned i = 0; i < plan->count; i++) {
		const struct loader_segment *other = &plan->segments[i];

		if (segment.address < other->address + other->size &&
		    other->address < segment.address + segment.size)
			return "segments overlap";
	}
	plan->segments[plan->count++] = segment;
	return NULL;
}

static const char *read_program(struct loader_plan *plan, const struct elf_program *program,
				size_t size)
{
	const char *wrong;

	switch (program->type) {
	case PT_LOAD:
		if (program->memory_size == 0)
			return NULL;
		wrong = check_load(program, size);
		return wrong != NULL ? wrong : add_segment(plan, program);
	case PT_INTERP:
	case PT_DYNAMIC:
		return "needs a dynamic linker: only static programs start";
	case PT_GNU_STACK:
		plan->stack_protection = protection_of(program->flags);
		return NULL;
	default:
		return NULL;
	}
}

static bool entry_is_code(const struct loader_plan *plan)
{
	for (unsigned i = 0; i < plan->count; i++) {
		const struct loader_segment *segment = &plan->segments[i];

		if (plan->entry - segment->address < segment->size)
			return (segment->protection & VM_PROT_EXECUTE) != 0;
	}
	return false;
}

const char *loader_read(const void *image, size_t size, struct loader_plan *plan)
{
	struct elf_header header;
	const char *wrong;

	memset(plan, 0, sizeof *plan);
	/* Without PT_GNU_STACK the ABI says executable; here it must be asked for. */
	plan->stack_protection = VM_PROT_READ | VM_PROT_WRITE;
	if (size < sizeof header)
		return "shorter than an ELF header";
	memcpy(&header, image, sizeof header);
	wrong = check_header(&header, size);
	for (unsigned i = 0; wrong == NULL && i < header.program_count; i++) {
		struct elf_program program;

		memcpy(&program, (const char *)image + header.program_offset + i * sizeof program,
		       sizeof program);
		wrong = read_program(plan, &program, size);
	}
	if (wrong != NULL)
		return wrong;
	if (!(plan->stack_protection & VM_PROT_READ) || !(plan->stack_protection & VM_PROT_WRITE))
		return "the stack could not be used";
	plan->entry = header.entry;
	if (plan->count == 0)
		return "nothing to load";
	return entry_is_code(plan) ? NULL : "the entry lies outside the code";
}

/* Copies whole pages into the task; the bytes of the first and last page around the data are zero. */
static kern_return_t write_data(task_t task, const struct loader_segment *segment,
				const char *image, char *staging, size_t staging_size)
{
	vm_address_t at = trunc_page(segment->data_address);
	vm_address_t end = segment->data_address + segment->data_size;

	while (at < end) {
		vm_size_t pages = round_page(end) - at;
		vm_size_t n = pages < staging_size ? pages : staging_size;
		vm_address_t from = at > segment->data_address ? at : segment->data_address;
		vm_address_t to = at + n < end ? at + n : end;
		kern_return_t code;

		memset(staging, 0, n);
		memcpy(staging + (from - at),
		       image + segment->data_offset + (from - segment->data_address), to - from);
		code = vm_write(task, at, (vm_offset_t)staging, (mach_msg_type_number_t)n);
		if (code != KERN_SUCCESS)
			return code;
		at += n;
	}
	return KERN_SUCCESS;
}

static kern_return_t load_segment(task_t task, const struct loader_segment *segment,
				  const char *image, char *staging, size_t staging_size)
{
	vm_address_t address = segment->address;
	kern_return_t code = vm_allocate(task, &address, segment->size, FALSE);

	if (code == KERN_SUCCESS && segment->data_size > 0)
		code = write_data(task, segment, image, staging, staging_size);
	if (code == KERN_SUCCESS && segment->protection != VM_PROT_DEFAULT)
		code = vm_protect(task, segment->address, segment->size, FALSE,
				  segment->protection);
	return code;
}

/*
 * The start of the stack as the System V ABI (AMD64 supplement 3.4.1) has it,
 * in the top pages of the stack: argc, argv, NULL, no environment, NULL, the
 * end of the auxiliary vector, the words. *pointer: where it begins.
 */
static kern_return_t write_arguments(task_t task, vm_address_t stack_end, int argc,
				     char *const argv[], char *staging, size_t staging_size,
				     vm_address_t *pointer)
{
	size_t words = ((size_t)argc + 6) & ~1UL, bytes = words * 8, size;
	size_t text_at = bytes;
	uint64_t *slots;

	for (int i = 0; i < argc; i++)
		bytes += strlen(argv[i]) + 1;
	bytes = (bytes + 15) & ~15UL;
	size = round_page(bytes);
	if (size > staging_size || bytes > LOADER_ARGUMENTS_MAX)
		return KERN_INVALID_ARGUMENT;
	memset(staging, 0, size);
	*pointer = stack_end - bytes;
	slots = (uint64_t *)(void *)(staging + size - bytes);
	slots[0] = (uint64_t)argc;
	for (int i = 0; i < argc; i++) {
		size_t length = strlen(argv[i]) + 1;

		slots[1 + i] = *pointer + text_at;
		memcpy((char *)slots + text_at, argv[i], length);
		text_at += length;
	}
	return vm_write(task, stack_end - size, (vm_offset_t)staging, (mach_msg_type_number_t)size);
}

/* Above all segments or, when they reach up to the end, wherever there is room. */
static kern_return_t make_stack(task_t task, const struct loader_plan *plan, int argc,
				char *const argv[], char *staging, size_t staging_size,
				vm_address_t *pointer)
{
	vm_address_t stack = VM_MAX_ADDRESS - LOADER_STACK_SIZE - PAGE_SIZE;
	kern_return_t code = vm_allocate(task, &stack, LOADER_STACK_SIZE, FALSE);

	if (code == KERN_NO_SPACE)
		code = vm_allocate(task, &stack, LOADER_STACK_SIZE, TRUE);
	if (code == KERN_SUCCESS)
		code = write_arguments(task, stack + LOADER_STACK_SIZE, argc, argv, staging,
				       staging_size, pointer);
	if (code == KERN_SUCCESS && plan->stack_protection != VM_PROT_DEFAULT)
		code = vm_protect(task, stack, LOADER_STACK_SIZE, FALSE, plan->stack_protection);
	return code;
}

kern_return_t loader_load(const struct loader_plan *plan, const void *image, task_t task,
			  int argc, char *const argv[], void *staging, size_t staging_size,
			  thread_t *thread)
{
	struct i386_thread_state state = { .rip = plan->entry };
	kern_return_t code = KERN_SUCCESS;

	for (unsigned i = 0; code == KERN_SUCCESS && i < plan->count; i++)
		code = load_segment(task, &plan->segments[i], image, staging, staging_size);
	if (code == KERN_SUCCESS)
		code = make_stack(task, plan, argc, argv, staging, staging_size, &state.ursp);
	if (code == KERN_SUCCESS)
		code = thread_create(task, thread);
	if (code != KERN_SUCCESS)
		return code;
	code = thread_set_state(*thread, i386_THREAD_STATE, (natural_t *)&state,
				i386_THREAD_STATE_COUNT);
	if (code != KERN_SUCCESS)
		give_back_right(*thread);
	return code;
}
