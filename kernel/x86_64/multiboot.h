/* SPDX-License-Identifier: BSD-2-Clause */
/* What a Multiboot 1 loader leaves behind (Multiboot Specification 0.6.96, 3.3). */
#ifndef X86_64_MULTIBOOT_H
#define X86_64_MULTIBOOT_H
#include <stdint.h>

#define MULTIBOOT_LOADER_MAGIC 0x2badb002u
#define MULTIBOOT_INFO_MEMORY (1u << 0)
#define MULTIBOOT_INFO_COMMAND_LINE (1u << 2)
#define MULTIBOOT_INFO_MODULES (1u << 3)
#define MULTIBOOT_INFO_MAP (1u << 6)
#define MULTIBOOT_INFO_LOADER_NAME (1u << 9)

struct multiboot_info {
	uint32_t flags;
	uint32_t memory_lower_kib, memory_upper_kib;
	uint32_t boot_device;
	uint32_t command_line;
	uint32_t module_count, modules;
	uint32_t symbols[4];
	uint32_t map_bytes, map;
	uint32_t drives[2];
	uint32_t config_table;
	uint32_t loader_name;
};

struct multiboot_module {
	uint32_t start, end, words, reserved;
};

#define MULTIBOOT_MAP_RAM 1
struct multiboot_map_entry {
	uint32_t entry_bytes;		/* of what follows */
	uint64_t start, bytes;
	uint32_t type;
} __attribute__((packed));

/* multiboot.c: reads it all into bootmem and boot_info, with its strings reserved. Ends the
   machine when it makes no sense. Physical memory below 4 GiB is mapped. */
void multiboot_parse(uint32_t magic, uint32_t info);

#endif
