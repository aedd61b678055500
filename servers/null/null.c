/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The null server: device_open "null" gives a fresh port each time, whose reads
 * are empty and whose writes vanish. The ports are this task's: its ledger pays
 * for them, and when it is denied the caller is told so.
 *
 * One thread serves all: no routine here ever waits for anybody.
 */
#include <console_user.h>
#include <device/device_types.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/program.h>
#include <null_server.h>
#include <ports.h>
#include <stdio.h>
#include <string.h>

#define MAX_MESSAGE	4096

static struct port_bucket bucket;
static struct port_class master_class = { .name = "master", .size = sizeof(struct port_info) };
static struct port_class open_class = { .name = "open", .size = sizeof(struct port_info) };

static ledger_denial_t last_denial;
static uint64_t denials;

static void remember_denial(void)
{
	if (program_last_denial(&last_denial))
		denials++;
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
	if (denials == 0)
		return KERN_FAILURE;
	*denial = last_denial;
	*count = denials;
	return KERN_SUCCESS;
}

int main(int argc, char **argv)
{
	struct port_info *master;
	mach_port_t right;
	kern_return_t code;

	if (argc > 1) {
		fprintf(stderr, "usage: %s\n", argv[0]);
		return 64;
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
		code = ports_manage_port_operations_one_thread(&bucket, null_server, MAX_MESSAGE);
	fprintf(stderr, "null: %s\n", mach_error_string(code));
	return 1;
}
