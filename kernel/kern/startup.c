/* SPDX-License-Identifier: BSD-2-Clause */
/* From the machine's hand-over to the first user instruction. */
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "ipc/space.h"
#include "kern/bootscript.h"
#include "kern/device.h"
#include "kern/host.h"
#include "kern/ledger_port.h"
#include "kern/ledger_port.h"
#include "kern/options.h"
#include "kern/printf.h"
#include "kern/sched.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "kern/version.h"
#include "mem/page.h"
#include "mem/radix.h"
#include "mem/zone.h"
#include "vm/map.h"
#include "x86_64/machine.h"

/* Below this there is not enough for the first programs; measured, with some room. */
#define RAM_MIN_BYTES (6ull << 20)
#define ZONE_MAP_MIN_BYTES (1ull << 20)
/* RAM that the zone map leaves for user pages, at the least. */
#define ZONE_MAP_SPARE_BYTES (2ull << 20)

static void zone_map_start(void)
{
	uint64_t ram = page_frames_total() * PAGE_SIZE, most = ram - ZONE_MAP_SPARE_BYTES;
	uint64_t size = option_zone_map_bytes;

	if (size == 0)
		size = ram / 2;
	if (size > most) {
		printf("zone_map: %lu KiB do not fit into RAM, %lu KiB are used\n", size / 1024, most / 1024);
		size = most;
	}
	if (size < ZONE_MAP_MIN_BYTES) {
		printf("zone_map: %lu KiB are too few, %lu KiB are used\n", size / 1024,
		       (uint64_t)ZONE_MAP_MIN_BYTES / 1024);
		size = ZONE_MAP_MIN_BYTES;
	}
	zone_map_init(size / PAGE_SIZE);
}

void kernel_main(void)
{
	options_init();
	console_init(option_console);
	printf("Weir " WEIR_VERSION ", %lu MiB of RAM\n", boot_info.memory_bytes >> 20);
	if (page_frames_total() * PAGE_SIZE < RAM_MIN_BYTES) {
		char text[96];

		snprintf(text, sizeof(text), "too little RAM: %lu KiB are free, %lu KiB are needed",
			 page_frames_total() * 4, (uint64_t)RAM_MIN_BYTES / 1024);
		machine_cannot_boot(text);
	}
	zone_map_start();
	ledger_system_init();
	radix_system_init();
	sched_init();
	port_system_init();
	space_system_init();
	kmsg_system_init();
	krpc_system_init();
	vm_init();
	task_init();
	thread_init();
	host_init();
	ledger_server_init();
	device_init();
	bootscript_run();
	clock_await_tick();
	clock_boot_ended();
	sched_switch();
}
