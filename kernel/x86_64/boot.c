/* SPDX-License-Identifier: BSD-2-Clause */
/* From the first instruction in C to kernel_main: memory map, the kernel's own page tables, the
   frame table.

   Three maps follow one another. boot.S maps 4 GiB twice, enough to read what the loader left.
   Then the kernel's own tables are built in pages taken from RAM: the direct map of all RAM in
   the largest pages that fit, and the kernel's image in small ones, each part with its own
   protection (its direct-mapped alias too: text and constants are nowhere writable). These stay;
   every task's root shares their upper half. */
#include "kern/printf.h"
#include "kern/string.h"
#include "mem/page.h"
#include "x86_64/bootmem.h"
#include "x86_64/clock.h"
#include "x86_64/cpu.h"
#include "x86_64/io.h"
#include "x86_64/multiboot.h"
#include "x86_64/pmap.h"
#include "x86_64/pte.h"

#define LOW_MEMORY_END 0x100000ull
#define BOOT_MAPPED (1ull << 32)
/* The kernel, its tables and a few pages to work with; and what has to be left of it when boot
   is done. */
#define MINIMUM_RAM_KIB 6144u
#define MINIMUM_FREE_KIB 2048u

extern char boot_segment_start[], boot_segment_end[], kernel_start[], kernel_text_start[], kernel_text_end[],
	kernel_rodata_end[], kernel_end[];
_Noreturn void boot_start(uint32_t magic, uint32_t info, uint64_t entry_tsc);

static uint64_t tables_next, tables_end;
static uint64_t free_bytes;

static _Noreturn void too_little_ram(uint64_t kib, uint64_t needed_kib)
{
	char reason[80];

	snprintf(reason, sizeof(reason), "too little RAM: %lu KiB, %lu needed", kib, needed_kib);
	machine_cannot_boot(reason);
}

/* The table below an entry, made when missing. */
static uint64_t *table_below(uint64_t *entry)
{
	if (!(*entry & PTE_PRESENT)) {
		if (tables_next == tables_end)
			machine_cannot_boot("no room for page tables");
		memset(phys_to_virt(tables_next), 0, PAGE_SIZE);
		*entry = tables_next | PTE_PRESENT | PTE_WRITE;
		tables_next += PAGE_SIZE;
	}
	return phys_to_virt(*entry & PTE_FRAME);
}

/* Maps [address, address + bytes) to physical, in pages as large as alignment and the processor
   allow. */
static void map(uint64_t *root, uint64_t address, uint64_t physical, uint64_t bytes, uint64_t flags)
{
	unsigned top = cpu_has_1g_pages() ? 2 : 1;

	while (bytes > 0) {
		uint64_t *table = root;
		unsigned level = 3, size_level = top;

		while (size_level > 0 && ((address | physical) & (pte_span(size_level) - 1) || bytes < pte_span(size_level)))
			size_level--;
		for (; level > size_level; level--)
			table = table_below(&table[pte_index(address, level)]);
		table[pte_index(address, level)] = physical | flags | (level > 0 ? PTE_LARGE : 0);
		address += pte_span(level);
		physical += pte_span(level);
		bytes -= pte_span(level);
	}
}

/* The direct map's protection changes at the ends of the kernel's constants, so ranges are cut
   there. */
static void map_direct(uint64_t *root, uint64_t start, uint64_t end)
{
	const uint64_t cuts[] = {kernel_image_physical(kernel_text_start), kernel_image_physical(kernel_rodata_end), ~0ull};

	for (unsigned i = 0; i < 3 && start < end; i++) {
		uint64_t stop = end < cuts[i] ? end : cuts[i];
		uint64_t flags = PTE_PRESENT | PTE_GLOBAL | PTE_NX | PTE_ACCESSED | PTE_DIRTY;

		if (start >= stop)
			continue;
		map(root, DIRECT_MAP_BASE + start, start, stop - start, i == 1 ? flags : flags | PTE_WRITE);
		start = stop;
	}
}

static void map_image(uint64_t *root, const char *start, const char *end, uint64_t flags)
{
	map(root, (uint64_t)start, kernel_image_physical(start), end - start,
	    flags | PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY);
}

/* More tables than any layout of these ranges can need. */
static uint64_t tables_bound(const struct range *ranges, unsigned count)
{
	uint64_t pages = 16 + (uint64_t)(kernel_end - kernel_start) / pte_span(1);

	for (unsigned i = 0; i < count; i++) {
		uint64_t bytes = ranges[i].end - ranges[i].start;
		/* Per range: two ends in small pages and in 2 MiB pages; the same at the
		   kernel's cuts. */
		pages += 8 + (cpu_has_1g_pages() ? 0 : bytes / pte_span(2)) + 2 * (bytes / pte_span(3));
	}
	return pages * PAGE_SIZE;
}

static void build_page_tables(void)
{
	const struct range *ranges;
	unsigned count = bootmem_ram(&ranges);
	uint64_t bytes = tables_bound(ranges, count);

	tables_next = bootmem_take(bytes, BOOT_MAPPED);
	if (tables_next == 0)
		too_little_ram(boot_info.memory_bytes / 1024, MINIMUM_RAM_KIB);
	tables_end = tables_next + bytes;

	uint64_t root_physical = tables_next;
	uint64_t *root = phys_to_virt(root_physical);
	memset(root, 0, PAGE_SIZE);
	tables_next += PAGE_SIZE;
	map_direct(root, 0, LOW_MEMORY_END);
	for (unsigned i = 0; i < count; i++)
		map_direct(root, ranges[i].start > LOW_MEMORY_END ? ranges[i].start : LOW_MEMORY_END, ranges[i].end);
	map_image(root, kernel_text_start, kernel_text_end, 0);
	map_image(root, kernel_text_end, kernel_rodata_end, PTE_NX);
	map_image(root, kernel_rodata_end, kernel_stack_guard, PTE_NX | PTE_WRITE);
	map_image(root, kernel_stack, kernel_end, PTE_NX | PTE_WRITE);
	bootmem_untake(tables_next, tables_end);
	kernel_pmap.root = root_physical;
	pmap_activate(&kernel_pmap);
}

static void count_free(uint64_t start, uint64_t end)
{
	free_bytes += end - start;
}

static void add_free(uint64_t start, uint64_t end)
{
	page_add_free(start / PAGE_SIZE, (end - start) / PAGE_SIZE);
}

static void build_frame_table(void)
{
	const struct range *ranges;
	unsigned count = bootmem_ram(&ranges);
	uint64_t frames = ranges[count - 1].end / PAGE_SIZE;
	uint64_t table = bootmem_take(frames * sizeof(struct page), ~0ull);

	if (table == 0)
		too_little_ram(boot_info.memory_bytes / 1024, MINIMUM_RAM_KIB);
	/* The first page tables, header and 32-bit code are done with. */
	bootmem_untake((uint64_t)boot_segment_start, (uint64_t)boot_segment_end);
	bootmem_each_free(count_free);
	if (free_bytes / 1024 < MINIMUM_FREE_KIB)
		too_little_ram(boot_info.memory_bytes / 1024,
			       (boot_info.memory_bytes - free_bytes) / 1024 + MINIMUM_FREE_KIB);
	page_init(phys_to_virt(table), frames);
	bootmem_each_free(add_free);
}

void boot_start(uint32_t magic, uint32_t info, uint64_t entry_tsc)
{
	clock_boot_begun(entry_tsc);
	cpu_init();
	bootmem_reserve(0, LOW_MEMORY_END);
	bootmem_reserve((uint64_t)boot_segment_start, (uint64_t)boot_segment_end);
	bootmem_reserve(kernel_image_physical(kernel_start), kernel_image_physical(kernel_end));
	multiboot_parse(magic, info);
	if (boot_info.memory_bytes / 1024 < MINIMUM_RAM_KIB)
		too_little_ram(boot_info.memory_bytes / 1024, MINIMUM_RAM_KIB);
	build_page_tables();
	build_frame_table();
	pic_init();
	clock_init();
	kernel_main();
}
