/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices: console, time, com1 and RAM disks, and the calls of subsystem device. Theory in
   device.c. */
#ifndef KERN_DEVICE_H
#define KERN_DEVICE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ipc/krpc_later.h"
#include "kern/wait.h"

struct port;
struct vm_map;
struct vm_object;
struct device;

/* Devices that move characters. */
struct device_chars {
	/* Waits until console_step bytes can be written at once. */
	void (*await)(void);
	void (*write)(const char *bytes, uint64_t size);
	/* Input that is there, at most max bytes, left where it is; and its consumption. */
	uint32_t (*peek)(char *to, uint32_t max);
	void (*drop)(uint32_t count);
};

#define DEVICE_RECORD_BYTES 512u		/* of a RAM disk */

struct device {
	char name[16];
	struct port *port;			/* its kernel port; lives as long as the kernel */
	uint64_t open_count;			/* 0: calls on it fail */
	const struct device_chars *chars;	/* NULL: not a character device */
	struct thread_queue readers;		/* blocked in a read */
	struct krpc_later_queue requests;	/* reads whose callers do not wait */
	uint64_t tickets;			/* numbers of the reads that wait, in their order */
	struct vm_object *object;		/* its bytes, held for ever; NULL: it cannot be mapped */
	struct port *pager;			/* memory object port of object */
	uint64_t size_bytes;			/* of a RAM disk; 0: none */
};

static inline bool device_alive(const struct device *device) { return device != NULL && device->open_count > 0; }

/* Makes the master port and the devices, paid by the root ledger. Boot only; ends the machine
   when denied. */
void device_init(void);
/* Makes the bytes [physical, physical + size) the next device rd0, rd1, ...; returns its number.
   Boot only. */
unsigned device_add_ramdisk(uint64_t physical, uint64_t size);
/* Writes the bytes of a user's memory. MACH_SEND_INTERRUPTED: more than one call may; the codes of device_write and of
   copyin (then some may be written). */
kern_return_t device_write_user(struct device *device, struct vm_map *map, uint64_t address, uint64_t size);
/* The port that device_open asks for; no right is made. */
struct port *device_master_port(void);
/* The last send right to the device's port is gone: nobody can close it any more, so it is closed. Any context. */
void device_no_senders(struct device *device);
/* The last close: nobody is left who could read (device_read.c). */
void device_readers_dismiss(struct device *device);
/* Serves requests that input is there for, or wakes the first reader, who then takes it (device_read.c). */
void device_input(struct device *device);
/* From ast_handle and the idle loop: serves reads for which input has come. */
void device_ast(void);

#endif
