/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports until denied, then all given back at once.
 *   null  send rights to ports that the null server opens; it makes them, so
 *         the denial may be the server's: then it tells whose
 *   own   receive rights of this task
 */
#include <device_user.h>
#include <mach.h>
#include <mach/program.h>
#include <null_user.h>
#include <stdio.h>
#include <stdlib.h>
#include "engine.h"

#define SIZE_MAX_WRITTEN	(1024 * 1024)

enum { SHAPE_NULL, SHAPE_OWN };
static const char *const shapes[] = { "null", "own", NULL };
static unsigned shape;
static mach_port_t server;
static uint64_t denials;		/* that the server had met before */
static vm_address_t data;		/* what is written to each port */
static vm_size_t size;

static kern_return_t prepare(const struct flood_options *options)
{
	shape = options->shape;
	size = options->size;
	if (shape == SHAPE_OWN && size > 0) {
		fprintf(stderr, "portflood: -z: only ports of the null server are written to\n");
		return KERN_INVALID_ARGUMENT;
	}
	if (shape == SHAPE_OWN)
		return KERN_SUCCESS;
	return program_lookup("null", &server);
}

/* The server's right gets the name that it has here. */
static kern_return_t equip(task_t task)
{
	if (shape == SHAPE_OWN)
		return KERN_SUCCESS;
	return mach_port_insert_right(task, server, server, MACH_MSG_TYPE_COPY_SEND);
}

static kern_return_t begin(const struct flood_options *options)
{
	ledger_denial_t before;

	(void)options;
	if (shape == SHAPE_NULL && null_last_denial(server, &before, &denials) != KERN_SUCCESS)
		denials = 0;
	return size > 0 ? memory_allocate(&data, size) : KERN_SUCCESS;
}

static kern_return_t take_own(mach_port_t *port)
{
	kern_return_t code = syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
							port);

	if (code != KERN_SUCCESS)
		*port = MACH_PORT_NULL;
	return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
}

static kern_return_t take_opened(mach_port_t *port)
{
	kern_return_t code = device_open(server, D_READ | D_WRITE, "null", port);
	int written;

	if (code != KERN_SUCCESS) {
		*port = MACH_PORT_NULL;
		return code;
	}
	return size > 0 ? device_write(*port, 0, 0, (io_buf_ptr_t)data,
				       (mach_msg_type_number_t)size, &written) : KERN_SUCCESS;
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	(void)index;
	return shape == SHAPE_OWN ? take_own(&record->port) : take_opened(&record->port);
}

/* Was it the server that was denied? */
static void stopped(struct flood_end *end)
{
	ledger_denial_t after;
	uint64_t now;

	if (shape == SHAPE_NULL && null_last_denial(server, &after, &now) == KERN_SUCCESS &&
	    now > denials) {
		end->denied = true;
		end->denial = after;
	}
}

static kern_return_t give_back(struct flood_record *record)
{
	if (record->port == MACH_PORT_NULL)
		return KERN_SUCCESS;
	if (shape == SHAPE_OWN)
		return mach_port_mod_refs(mach_task_self(), record->port, MACH_PORT_RIGHT_RECEIVE,
					  -1);
	return give_back_right(record->port);
}

static void finish(void)
{
	if (data != 0)
		give_back_memory(data, size);
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "ports",
		.syntax = { "snptrSkz", shapes, "ports until denied; null: opened at the null server",
			    "bytes written to each port (null)", SIZE_MAX_WRITTEN },
		.prepare = prepare,
		.equip = equip,
		.begin = begin,
		.take = take,
		.stopped = stopped,
		.give_back = give_back,
		.finish = finish,
	};

	return flood_main(argc, argv, &flood);
}
