/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading what the Multiboot loader left: the memory map, modules, command line. */
#include "x86_64/multiboot.h"
#include <stddef.h>
#include "kern/string.h"
#include "x86_64/bootmem.h"
#include "x86_64/machine.h"

#define MODULES_MAX (sizeof(boot_info.modules) / sizeof(boot_info.modules[0]))
#define STRING_MAX 65536u
#define MAPPED (1ull << 32)

struct boot_info boot_info = {.command_line = ""};

/* Everything is at a 32-bit address, so all of it is mapped but what would wrap. */
static const void *physical(uint64_t address, uint64_t bytes)
{
	if (address == 0 || address + bytes > MAPPED)
		machine_cannot_boot("the boot loader's information is damaged");
	return phys_to_virt(address);
}

/* A string where the loader put it, its pages kept from being taken. */
static const char *string_at(uint32_t address)
{
	if (address == 0)
		return "";
	uint64_t max = MAPPED - address < STRING_MAX ? MAPPED - address : STRING_MAX;
	const char *string = physical(address, max);
	uint64_t length = strnlen(string, max);
	if (length == max)
		machine_cannot_boot("a string of the boot loader has no end");
	bootmem_reserve(address, address + length + 1);
	return string;
}

static void read_map(const struct multiboot_info *info)
{
	uint64_t at = info->map, end = at + info->map_bytes;

	physical(info->map, info->map_bytes);
	while (at + sizeof(struct multiboot_map_entry) <= end) {
		struct multiboot_map_entry entry;
		memcpy(&entry, phys_to_virt(at), sizeof(entry));
		if (entry.entry_bytes < sizeof(entry) - 4)
			machine_cannot_boot("the memory map is damaged");
		uint64_t limit = entry.start + entry.bytes;
		if (limit < entry.start)
			limit = ~0ull;
		if (entry.type == MULTIBOOT_MAP_RAM)
			bootmem_add_ram(entry.start, limit);
		else
			bootmem_reserve(entry.start, limit);
		at += entry.entry_bytes + 4;
	}
}

static void read_memory(const struct multiboot_info *info)
{
	if (info->flags & MULTIBOOT_INFO_MAP) {
		read_map(info);
	} else if (info->flags & MULTIBOOT_INFO_MEMORY) {
		bootmem_add_ram(0, info->memory_lower_kib * 1024ull);
		bootmem_add_ram(0x100000, 0x100000 + info->memory_upper_kib * 1024ull);
	} else {
		machine_cannot_boot("the boot loader gives no memory map");
	}
}

static void read_modules(const struct multiboot_info *info)
{
	if (!(info->flags & MULTIBOOT_INFO_MODULES) || info->module_count == 0)
		return;
	if (info->module_count > MODULES_MAX)
		machine_cannot_boot("more than 32 boot modules");
	uint64_t bytes = info->module_count * sizeof(struct multiboot_module);
	const struct multiboot_module *module = physical(info->modules, bytes);
	/* QEMU puts the list behind the modules and does not look whether there is RAM. */
	if (!bootmem_is_ram(info->modules, info->modules + bytes))
		machine_cannot_boot("too little RAM: the boot modules do not fit");
	for (uint32_t i = 0; i < info->module_count; i++) {
		if (module[i].end < module[i].start)
			machine_cannot_boot("a boot module ends before it begins");
		if (!bootmem_is_ram(module[i].start, module[i].end))
			machine_cannot_boot("too little RAM: the boot modules do not fit");
		bootmem_reserve(module[i].start, module[i].end);
		boot_info.modules[i] = (struct boot_module){module[i].start, module[i].end, string_at(module[i].words)};
	}
	boot_info.module_count = info->module_count;
}

/* GRUB 2 passes the words behind the image's name; others, QEMU too, the name first. */
static void read_command_line(const struct multiboot_info *info)
{
	const char *loader = "", *line;

	if (!(info->flags & MULTIBOOT_INFO_COMMAND_LINE))
		return;
	if (info->flags & MULTIBOOT_INFO_LOADER_NAME)
		loader = string_at(info->loader_name);
	line = string_at(info->command_line);
	if (strncmp(loader, "GRUB 2", 6) != 0) {
		while (*line && *line != ' ')
			line++;
	}
	while (*line == ' ')
		line++;
	boot_info.command_line = line;
}

static const char *string_move(char **to, const char *string)
{
	const char *moved = *to;

	*to += strlcpy(*to, string, strlen(string) + 1) + 1;
	return moved;
}

/* Into pages of their own: a loader may use the rest of a module's last page for them. */
static void move_strings(void)
{
	uint64_t bytes = strlen(boot_info.command_line) + 1;

	for (uint32_t i = 0; i < boot_info.module_count; i++)
		bytes += strlen(boot_info.modules[i].words) + 1;
	uint64_t place = bootmem_take(bytes, MAPPED);
	if (place == 0)
		machine_cannot_boot("too little RAM: none is left for the boot loader's strings");
	char *to = phys_to_virt(place);
	boot_info.command_line = string_move(&to, boot_info.command_line);
	for (uint32_t i = 0; i < boot_info.module_count; i++)
		boot_info.modules[i].words = string_move(&to, boot_info.modules[i].words);
}

void multiboot_parse(uint32_t magic, uint32_t address)
{
	if (magic != MULTIBOOT_LOADER_MAGIC)
		machine_cannot_boot("not started by a Multiboot loader");
	const struct multiboot_info *info = physical(address, sizeof(*info));
	read_memory(info);
	boot_info.memory_bytes = bootmem_ram_bytes();
	read_modules(info);
	read_command_line(info);
	move_strings();
}
