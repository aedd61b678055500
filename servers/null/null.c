/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The null server: device_open "null" gives a fresh port each time, whose reads
 * are empty and whose writes vanish. The ports are this task's: its ledger pays
 * for them, and when it is denied the caller is told so.
 *
 * One thread serves all, as no routine here ever waits for anybody. Options show
 * what a server with more threads does in a flood:
 *   --throttle=none  a thread for every request that finds the others busy
 *   --throttle=cap   the same, at most --threads=N (8)
 *   --throttle=pool  one more only when all are at work, at most 8
 */
#include <console_user.h>
#include <device/device_types.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <null_server.h>
#include <ports.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE	4096
#define MAX_THREADS	8
#define IDLE_MS		300

static struct port_bucket bucket;
static struct port_class master_class = { .name = "master", .size = sizeof(struct port_info) };
static struct port_class open_class = { .name = "open", .size = sizeof(struct port_info) };

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

/* What the call asks for is allowed on ports of this class only. */
static kern_return_t check(mach_port_t handle, const struct port_class *class)
{
	struct port_info *port = ports_lookup(&bucket, handle, class);

	if (port == NULL)
		return D_INVALID_OPERATION;
	ports_port_deref(port);
	return D_SUCCESS;
}

static kern_return_t open_new(mach_port_t *device)
{
	struct port_info *port;
	kern_return_t code = ports_create_port(&open_class, &bucket, &port);

	if (code == KERN_SUCCESS) {
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
	if (check(master, &master_class) != D_SUCCESS)
		return D_INVALID_OPERATION;
	return strcmp(name, "null") == 0 ? open_new(device) : D_NO_SUCH_DEVICE;
}

kern_return_t serve_device_open_new(mach_port_t master, dev_mode_t mode, const char *name,
				    mach_port_t *device)
{
	return serve_device_open(master, mode, name, device);
}

/* The port goes with its last send right, not before. */
kern_return_t serve_device_close(mach_port_t device)
{
	return check(device, &open_class);
}

kern_return_t serve_device_write(mach_port_t device, dev_mode_t mode, recnum_t recnum,
				 io_buf_ptr_t data, mach_msg_type_number_t size, int *written)
{
	kern_return_t code = check(device, &open_class);

	(void)mode, (void)recnum;
	if (code != D_SUCCESS)
		return code;
	if (size > 0)
		give_back_memory((vm_address_t)data, size);
	*written = (int)size;
	return D_SUCCESS;
}

kern_return_t serve_device_write_inband(mach_port_t device, dev_mode_t mode, recnum_t recnum,
					const char *data, mach_msg_type_number_t size, int *written)
{
	(void)mode, (void)recnum, (void)data;
	*written = (int)size;
	return check(device, &open_class);
}

kern_return_t serve_device_read(mach_port_t device, dev_mode_t mode, recnum_t recnum, int wanted,
				io_buf_ptr_t *data, mach_msg_type_number_t *size)
{
	(void)mode, (void)recnum, (void)wanted;
	*data = NULL;
	*size = 0;
	return check(device, &open_class);
}

kern_return_t serve_device_read_inband(mach_port_t device, dev_mode_t mode, recnum_t recnum,
				       int wanted, char *data, mach_msg_type_number_t *size)
{
	(void)mode, (void)recnum, (void)wanted, (void)data;
	*size = 0;
	return check(device, &open_class);
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

/* False: the words make no sense. Without any there is one thread. */
static bool parse(int argc, char **argv, struct ports_manage_options *options)
{
	const char *throttle = NULL, *threads = NULL, *value;
	uint64_t count = MAX_THREADS;

	for (int i = 1; i < argc; i++) {
		if ((value = value_of(argv[i], "--throttle=")) != NULL)
			throttle = value;
		else if ((value = value_of(argv[i], "--threads=")) != NULL)
			threads = value;
		else
			return false;
	}
	if (throttle != NULL && !parse_throttle(throttle, &options->throttle))
		return false;
	if (threads != NULL && (options->throttle != PORTS_THROTTLE_CAP ||
				!parse_number(threads, &count) || count == 0 || count > UINT32_MAX))
		return false;
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

int main(int argc, char **argv)
{
	struct ports_manage_options options = { .max_size = MAX_MESSAGE, .idle_ms = IDLE_MS };
	struct port_info *master;
	mach_port_t right;
	kern_return_t code;

	if (!parse(argc, argv, &options)) {
		fprintf(stderr, "usage: %s [--throttle=none|cap|pool] [--threads=N]   N: of cap\n",
			argv[0]);
		return EXIT_USAGE;
	}
	/* A flood may take everything later: what we write to must be ours now. */
	code = program_touch_static();
	if (code == KERN_SUCCESS)
		code = ports_bucket_init(&bucket);
	if (code == KERN_SUCCESS)
		code = ports_create_port(&master_class, &bucket, &master);
	if (code == KERN_SUCCESS)
		code = ports_get_send_right(master, &right);
	if (code == KERN_SUCCESS)
		code = console_register(program_console(), right);
	if (code == KERN_SUCCESS)
		code = serve_for_ever(&options);
	fprintf(stderr, "null: %s\n", mach_error_string(code));
	return 1;
}
