/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads static ELF64 programs (System V ABI, ELF-64 Object File Format 1.5). Every field of the image
 * is taken for hostile: nothing is read beyond its size, nothing mapped outside user space.
 * A static PIE (ET_DYN without an interpreter) is put at ELF_PIE_BASE and relocates itself.
 */
#include "kern/elf.h"
#include <elf.h>
#include <mach/kern_return.h>
#include "kern/string.h"
#include "kern/task.h"
#include "mach_server.h"
#include "mem/page.h"
#include "vm/copy.h"
#include "vm/entry.h"
#include "x86_64/machine.h"

#define ELF_SEGMENTS_MAX 64
#define ELF_PIE_BASE 0x400000ull	/* where static executables begin by default */

static const char *header_check(const Elf64_Ehdr *header, uint64_t size)
{
	if (size < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return "it is no ELF file";
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return "it is no x86-64 ELF file";
	if (header->e_type != ET_EXEC && header->e_type != ET_DYN)
		return "it is no static executable";
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0 || header->e_phnum > ELF_SEGMENTS_MAX)
		return "its program headers are malformed";
	if (header->e_phoff > size || size - header->e_phoff < (uint64_t)header->e_phnum * sizeof(Elf64_Phdr))
		return "it is truncated (program headers)";
	return NULL;
}

static const char *segment_check(const Elf64_Phdr *segment, uint64_t size)
{
	if (segment->p_offset > size || size - segment->p_offset < segment->p_filesz)
		return "it is truncated (segment)";
	if (segment->p_memsz < segment->p_filesz)
		return "a segment is larger in the file than in memory";
	if (segment->p_vaddr < USER_ADDRESS_MIN || segment->p_vaddr >= USER_ADDRESS_MAX ||
	    segment->p_memsz > USER_ADDRESS_MAX - PAGE_SIZE - segment->p_vaddr)
		return "a segment lies outside user memory";
	return NULL;
}

/* Copies into the task's memory page by page. */
static kern_return_t task_write(struct task *task, uint64_t to, const uint8_t *from, uint64_t size)
{
	while (size > 0) {
		uint64_t piece = PAGE_SIZE - to % PAGE_SIZE;
		kern_return_t error;

		if (piece > size)
			piece = size;
		error = copyout_prepare(&task->map, to, piece);
		if (error != KERN_SUCCESS)
			return error;
		copyout(&task->map, to, from, piece);
		to += piece;
		from += piece;
		size -= piece;
	}
	return KERN_SUCCESS;
}

static const char *segment_load(struct task *task, const uint8_t *image, const Elf64_Phdr *segment)
{
	uint64_t start = segment->p_vaddr & ~(uint64_t)(PAGE_SIZE - 1);
	uint64_t end = (segment->p_vaddr + segment->p_memsz + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
	vm_prot_t protection = VM_PROT_NONE;

	if (vm_map_allocate(&task->map, &start, end - start, false) != KERN_SUCCESS)
		return "two segments share a page, or there is no memory for it";
	if (task_write(task, segment->p_vaddr, image + segment->p_offset, segment->p_filesz) != KERN_SUCCESS)
		return "it does not fit into memory";
	if (segment->p_flags & PF_R)
		protection |= VM_PROT_READ;
	if (segment->p_flags & PF_W)
		protection |= VM_PROT_READ | VM_PROT_WRITE;
	if (segment->p_flags & PF_X)
		protection |= VM_PROT_READ | VM_PROT_EXECUTE;
	if (vm_map_protect(&task->map, start, end - start, false, protection) != KERN_SUCCESS)
		return "it does not fit into memory";
	return NULL;
}

static bool entry_is_code(struct vm_map *map, uint64_t address)
{
	const struct vm_entry *entry = vm_map_lookup(map, address);

	return entry != NULL && (entry->protection & VM_PROT_EXECUTE) != 0;
}

const char *elf_load(struct task *task, const uint8_t *image, uint64_t size, uint64_t *entry, bool *stack_executable)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	const char *error;
	uint64_t base;
	unsigned i;

	memset(&header, 0, sizeof(header));
	memcpy(&header, image, size < sizeof(header) ? size : sizeof(header));
	error = header_check(&header, size);
	base = header.e_type == ET_DYN ? ELF_PIE_BASE : 0;
	*stack_executable = false;
	for (i = 0; error == NULL && i < header.e_phnum; i++) {
		memcpy(&segment, image + header.e_phoff + i * sizeof(segment), sizeof(segment));
		if (segment.p_type == PT_INTERP)
			return "it is no static executable";
		if (segment.p_type == PT_GNU_STACK)
			*stack_executable = (segment.p_flags & PF_X) != 0;
		if (segment.p_type != PT_LOAD || segment.p_memsz == 0)
			continue;
		if (segment.p_vaddr > USER_ADDRESS_MAX)
			return "a segment lies outside user memory";
		segment.p_vaddr += base;
		error = segment_check(&segment, size);
		if (error == NULL)
			error = segment_load(task, image, &segment);
	}
	*entry = header.e_entry + base;
	if (error == NULL && !entry_is_code(&task->map, *entry))
		error = "its entry point lies outside its code";
	return error;
}
