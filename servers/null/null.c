/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The null server. Devices, each open a fresh port:
 *   null             reads are empty, writes vanish
 *   zero             reads give zeros, writes vanish
 *   full             reads give zeros, writes are refused: D_NO_MEMORY, no space
 *   random, urandom  reads give numbers that look random (random.h: not for secrets)
 * The ports are this task's: its ledger pays for them, and for the memory of a read until it is
 * received; when it is denied the caller is told so. One call moves at most TRANSFER_MAX bytes.
 *
 * One thread serves all, as no routine here ever waits for anybody. Options show
 * what a server with more threads does in a flood:
 *   --throttle=none  a thread for every request that finds the others busy
 *   --throttle=cap   the same, at most --threads=N (8)
 *   --throttle=pool  one more only when requests wait and fewer run than there are processors; at most 8,
 *                    and one that manages them
 *   --seed=N         of the random numbers; else the clock's
 */
#include <console_user.h>
#include <device/device_types.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <mach/threads.h>
#include <mach_host_user.h>
#include <null_server.h>
#include <ports.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "random.h"

#define MAX_MESSAGE	4096
#define TRANSFER_MAX	(64 * 1024)
#define MAX_THREADS	8
#define IDLE_MS		300

enum kind { KIND_NULL, KIND_ZERO, KIND_FULL, KIND_RANDOM };

static const struct {
	const char *name;
	enum kind kind;
} devices[] = {
	{ "null", KIND_NULL },
	{ "zero", KIND_ZERO },
	{ "full", KIND_FULL },
	{ "random", KIND_RANDOM },
	{ "urandom", KIND_RANDOM },
};
#define DEVICES		(sizeof devices / sizeof devices[0])

struct opened {
	struct port_info port;
	enum kind kind;
};

static struct port_bucket bucket;
static struct port_class master_class = { .name = "master", .size = sizeof(struct port_info) };
static struct port_class open_class = { .name = "open", .size = sizeof(struct opened) };

static struct mutex denial_lock = MUTEX_INIT;
static ledger_denial_t last_denial;
static uint64_t denials;

static void remember_denial(void)
{
	ledger_denial_t denial;

	if (!program_last_denial(&denial))
		return;
	mutex_lock(&denial_lock);
	last_denial = denial;
	denials++;
	mutex_unlock(&denial_lock);
}

static bool is_master(mach_port_t handle)
{
	struct port_info *port = ports_lookup(&bucket, handle, &master_class);

	if (port != NULL)
		ports_port_deref(port);
	return port != NULL;
}

/* Which device was opened there? False: none, the call is not allowed. */
static bool find_opened(mach_port_t handle, enum kind *kind)
{
	struct port_info *port = ports_lookup(&bucket, handle, &open_class);

	if (port == NULL)
		return false;
	*kind = ((struct opened *)port)->kind;
	ports_port_deref(port);
	return true;
}

static kern_return_t open_new(enum kind kind, mach_port_t *device)
{
	struct port_info *port;
	kern_return_t code = ports_create_port(&open_class, &bucket, &port);

	if (code == KERN_SUCCESS) {
		((struct opened *)port)->kind = kind;
		code = ports_get_send_right(port, device);
		if (code != KERN_SUCCESS)
			remember_denial();
		/* From here on the holders of the send right keep it. */
		ports_port_deref(port);
	} else {
		remember_denial();
	}
	return code == KERN_SUCCESS ? D_SUCCESS : KERN_RESOURCE_SHORTAGE;
}

kern_return_t serve_device_open(mach_port_t master, dev_mode_t mode, const char *name,
				mach_port_t *device)
{
	(void)mode;
	if (!is_master(master))
		return D_INVALID_OPERATION;
	for (unsigned i = 0; i < DEVICES; i++) {
		if (strcmp(name, devices[i].name) == 0)
			return open_new(devices[i].kind, device);
	}
	return D_NO_SUCH_DEVICE;
}

kern_return_t serve_device_open_new(mach_port_t master, dev_mode_t mode, const char *name,
				    mach_port_t *device)
{
	return serve_device_open(master, mode, name, device);
}

/* The port goes with its last send right, not before. */
kern_return_t serve_device_close(mach_port_t device)
{
	enum kind kind;

	return find_opened(device, &kind) ? D_SUCCESS : D_INVALID_OPERATION;
}

/* What is written is not even looked at. */
static kern_return_t write_to(mach_port_t device, mach_msg_type_number_t size, int *written)
{
	enum kind kind;

	*written = 0;
	if (!find_opened(device, &kind))
		return D_INVALID_OPERATION;
	if (kind == KIND_FULL && size > 0)
		return D_NO_MEMORY;
	*written = (int)size;
	return D_SUCCESS;
}

kern_return_t serve_device_write(mach_port_t device, dev_mode_t mode, recnum_t recnum,
				 io_buf_ptr_t data, mach_msg_type_number_t size, int *written)
{
	kern_return_t code = write_to(device, size, written);

	(void)mode, (void)recnum;
	/* When it is refused the caller of this routine gives it back. */
	if (code == D_SUCCESS && size > 0)
		give_back_memory((vm_address_t)data, size);
	return code;
}

kern_return_t serve_device_write_inband(mach_port_t device, dev_mode_t mode, recnum_t recnum,
					const char *data, mach_msg_type_number_t size, int *written)
{
	(void)mode, (void)recnum, (void)data;
	return write_to(device, size, written);
}

/* How many bytes a read of that device gives; false: the read makes no sense. */
static bool read_size(enum kind kind, int wanted, int most, mach_msg_type_number_t *size)
{
	*size = 0;
	if (wanted < 0)
		return false;
	if (kind != KIND_NULL)
		*size = (mach_msg_type_number_t)(wanted < most ? wanted : most);
	return true;
}

/* Out of line; its memory is ours until the reply takes it, and then of who receives that. */
kern_return_t serve_device_read(mach_port_t device, dev_mode_t mode, recnum_t recnum, int wanted,
				io_buf_ptr_t *data, mach_msg_type_number_t *size)
{
	vm_address_t memory = 0;
	enum kind kind;

	(void)mode, (void)recnum;
	*data = NULL;
	*size = 0;
	if (!find_opened(device, &kind))
		return D_INVALID_OPERATION;
	if (!read_size(kind, wanted, TRANSFER_MAX, size))
		return D_INVALID_SIZE;
	if (*size == 0)
		return D_SUCCESS;
	if (memory_allocate(&memory, *size) != KERN_SUCCESS) {
		remember_denial();
		*size = 0;
		return D_NO_MEMORY;
	}
	if (kind == KIND_RANDOM)
		random_fill((char *)memory, *size);
	*data = (io_buf_ptr_t)memory;
	return D_SUCCESS;
}

kern_return_t serve_device_read_inband(mach_port_t device, dev_mode_t mode, recnum_t recnum,
				       int wanted, char *data, mach_msg_type_number_t *size)
{
	enum kind kind;

	(void)mode, (void)recnum;
	*size = 0;
	if (!find_opened(device, &kind))
		return D_INVALID_OPERATION;
	if (!read_size(kind, wanted, IO_INBAND_MAX, size))
		return D_INVALID_SIZE;
	if (kind == KIND_RANDOM)
		random_fill(data, *size);
	else
		memset(data, 0, *size);
	return D_SUCCESS;
}

kern_return_t serve_device_get_status(mach_port_t device, dev_flavor_t flavor, int *status,
				      mach_msg_type_number_t *count)
{
	enum kind kind;

	if (!find_opened(device, &kind))
		return D_INVALID_OPERATION;
	if ((flavor != DEV_GET_SIZE && flavor != DEV_GET_RECORDS) || *count < DEV_GET_SIZE_COUNT)
		return D_INVALID_OPERATION;
	status[DEV_GET_SIZE_DEVICE_SIZE] = 0;
	status[DEV_GET_SIZE_RECORD_SIZE] = 1;
	*count = DEV_GET_SIZE_COUNT;
	return D_SUCCESS;
}

kern_return_t serve_last_denial(mach_port_t port, ledger_denial_t *denial, uint64_t *count)
{
	(void)port;
	mutex_lock(&denial_lock);
	*denial = last_denial;
	*count = denials;
	mutex_unlock(&denial_lock);
	return *count > 0 ? KERN_SUCCESS : KERN_FAILURE;
}

kern_return_t serve_counters(mach_port_t port, natural_t *threads, natural_t *most_threads,
			     uint64_t *requests, uint64_t *refused)
{
	struct ports_counters counters;

	(void)port;
	ports_get_counters(&bucket, &counters);
	*threads = counters.threads;
	*most_threads = counters.most_threads;
	*requests = counters.requests;
	*refused = counters.refused;
	return KERN_SUCCESS;
}

/* What follows the prefix; NULL: the word is another. */
static const char *value_of(const char *word, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(word, prefix, length) == 0 ? word + length : NULL;
}

static bool parse_throttle(const char *name, enum ports_throttle *throttle)
{
	static const char *const names[] = {
		[PORTS_THROTTLE_POOL] = "pool",
		[PORTS_THROTTLE_NONE] = "none",
		[PORTS_THROTTLE_CAP] = "cap",
	};

	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (strcmp(name, names[i]) == 0) {
			*throttle = (enum ports_throttle)i;
			return true;
		}
	}
	return false;
}

/* With QEMU's -icount the same each time. */
static uint64_t seed_of_clock(void)
{
	time_value_t now = { 0 };

	host_get_time(mach_host_self(), &now);
	return clock_uptime_ns() ^ (uint64_t)now.seconds << 32 ^ (uint64_t)now.microseconds;
}

/* False: the words make no sense. Without any there is one thread. */
static bool parse(int argc, char **argv, struct ports_manage_options *options)
{
	const char *throttle = NULL, *threads = NULL, *seed = NULL, *value;
	uint64_t count = MAX_THREADS, seed_value;

	for (int i = 1; i < argc; i++) {
		if ((value = value_of(argv[i], "--throttle=")) != NULL)
			throttle = value;
		else if ((value = value_of(argv[i], "--threads=")) != NULL)
			threads = value;
		else if ((value = value_of(argv[i], "--seed=")) != NULL)
			seed = value;
		else
			return false;
	}
	if (throttle != NULL && !parse_throttle(throttle, &options->throttle))
		return false;
	if (threads != NULL && (options->throttle != PORTS_THROTTLE_CAP ||
				!parse_number(threads, &count) || count == 0 || count > UINT32_MAX))
		return false;
	if (seed != NULL && !parse_number(seed, &seed_value))
		return false;
	random_seed(seed != NULL ? seed_value : seed_of_clock());
	options->max_workers = throttle != NULL ? (uint32_t)count : 1;
	return true;
}

static kern_return_t serve_for_ever(const struct ports_manage_options *options)
{
	if (options->max_workers == 1)
		return ports_manage_port_operations_one_thread(&bucket, null_server,
							       options->max_size);
	return ports_manage_port_operations_multithread(&bucket, null_server, options);
}

/* By the name of the program, and by that of each device. */
static kern_return_t register_all(mach_port_t right)
{
	kern_return_t code = KERN_SUCCESS;

	for (unsigned i = 0; code == KERN_SUCCESS && i < DEVICES; i++)
		code = console_register_name(program_console(), devices[i].name, right);
	return code == KERN_SUCCESS ? console_register(program_console(), right) : code;
}

int main(int argc, char **argv)
{
	struct ports_manage_options options = { .max_size = MAX_MESSAGE, .idle_ms = IDLE_MS };
	struct port_info *master;
	mach_port_t right;
	kern_return_t code;

	if (!parse(argc, argv, &options)) {
		fprintf(stderr, "usage: %s [--throttle=none|cap|pool] [--threads=N] [--seed=N]   --threads: of cap\n",
			argv[0]);
		return EXIT_USAGE;
	}
	code = ports_begin(&bucket, &master_class, &master, &right);
	if (code == KERN_SUCCESS)
		code = register_all(right);
	if (code == KERN_SUCCESS)
		code = serve_for_ever(&options);
	fprintf(stderr, "null: %s\n", mach_error_string(code));
	return 1;
}
