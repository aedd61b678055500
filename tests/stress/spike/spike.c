/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A spike: ports, threads, tasks, map entries and messages in turn (or only those
 * that -s tells) until denied (or -n of them all), then given back. Tells the pages of zones and the free
 * pages before, at the peak and after.
 */
#include <inttypes.h>
#include <mach.h>
#include <mach/vm_statistics.h>
#include <mach_debug_user.h>
#include <stdio.h>
#include "engine.h"

enum kind { KIND_PORT, KIND_THREAD, KIND_TASK, KIND_ENTRY, KIND_MESSAGE, KINDS };
/* The first is all of them in turn; the others in the order of the kinds. */
static const char *const shapes[] = {
	"all", "ports", "threads", "tasks", "entries", "messages", NULL
};
static unsigned shape;

#define MESSAGE_DATA_MAX	8192
static struct {
	mach_msg_header_t head;
	mach_msg_type_t type;
	char data[MESSAGE_DATA_MAX];
} message;
static vm_size_t size;		/* -z: of an entry, or of a message's data */

static mach_port_t host;
static mach_port_t unread;	/* takes the messages */
static uint64_t entries;

static kern_return_t make_port(mach_port_t *port)
{
	kern_return_t code = syscall_mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
							port);

	if (code != KERN_SUCCESS)
		*port = MACH_PORT_NULL;
	return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
}

static kern_return_t begin(const struct flood_options *options)
{
	shape = options->shape;
	size = options->size;
	return make_port(&unread);
}

/* No queue limit stops what goes through a send-once right. */
static kern_return_t send(void)
{
	mach_msg_size_t data = (mach_msg_size_t)(size + 7) & ~7u;
	mach_msg_size_t bytes = sizeof message.head + (data > 0 ? sizeof message.type + data : 0);

	message.head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MAKE_SEND_ONCE, 0),
		.msgh_size = bytes,
		.msgh_remote_slot = unread,
		.msgh_id = 7600,
	};
	message.type = (mach_msg_type_t){
		.msgt_name = MACH_MSG_TYPE_BYTE, .msgt_size = 8, .msgt_inline = 1,
		.msgt_number = data,
	};
	return mach_msg(&message.head, MACH_SEND_MSG, bytes, 0, MACH_PORT_NULL, 0, MACH_PORT_NULL);
}

static vm_size_t entry_size(void)
{
	return size > 0 ? round_page(size) : vm_page_size;
}

/* Neighbours of unlike protection are not merged. */
static kern_return_t make_entry(vm_address_t *address)
{
	kern_return_t code = syscall_vm_allocate(mach_task_self(), address, entry_size(), TRUE);

	if (code != KERN_SUCCESS) {
		*address = 0;
		return code == MACH_SEND_INTERRUPTED ? KERN_RESOURCE_SHORTAGE : code;
	}
	if (entries++ % 2 == 0)
		return vm_protect(mach_task_self(), *address, entry_size(), FALSE, VM_PROT_READ);
	return KERN_SUCCESS;
}

static kern_return_t make_task(task_t *task)
{
	kern_return_t code = syscall_task_create(mach_task_self(), FALSE, task);

	if (code == MACH_SEND_INTERRUPTED)
		code = task_create(mach_task_self(), FALSE, task);
	return code;
}

static kern_return_t take(struct flood_record *record, uint64_t index)
{
	kern_return_t code = KERN_SUCCESS;

	record->kind = shape > 0 ? shape - 1 : (unsigned)(index % KINDS);
	switch ((enum kind)record->kind) {
	case KIND_PORT: code = make_port(&record->port); break;
	case KIND_THREAD: code = thread_create(mach_task_self(), &record->port); break;
	case KIND_TASK: code = make_task(&record->port); break;
	case KIND_ENTRY: code = make_entry(&record->address); break;
	default: code = send(); break;
	}
	if (code != KERN_SUCCESS)
		record->port = MACH_PORT_NULL;
	return code;
}

static kern_return_t give_back(struct flood_record *record)
{
	kern_return_t code = KERN_SUCCESS;

	if (record->address != 0)
		return give_back_memory(record->address, entry_size());
	if (record->port == MACH_PORT_NULL)
		return KERN_SUCCESS;
	switch ((enum kind)record->kind) {
	case KIND_PORT:
		return mach_port_mod_refs(mach_task_self(), record->port, MACH_PORT_RIGHT_RECEIVE,
					  -1);
	case KIND_THREAD: code = thread_terminate(record->port); break;
	default: code = give_back_task(record->port); break;
	}
	give_back_right(record->port);
	return code;
}

/* All messages go with their port. */
static void finish(void)
{
	if (unread != MACH_PORT_NULL)
		mach_port_mod_refs(mach_task_self(), unread, MACH_PORT_RIGHT_RECEIVE, -1);
	unread = MACH_PORT_NULL;
}

/* Pages of all zones, and objects in them; false when there was no memory to be told. */
static bool zone_use(uint64_t *pages, uint64_t *objects)
{
	cache_info_array_t info = NULL;
	mach_msg_type_number_t count = 0;

	*pages = *objects = 0;
	if (host_slab_info(host, &info, &count) != KERN_SUCCESS)
		return false;
	for (mach_msg_type_number_t i = 0; i < count; i++) {
		*pages += info[i].nr_slabs * (info[i].slab_size / vm_page_size);
		*objects += info[i].nr_objs;
	}
	if (count > 0)
		give_back_memory((vm_address_t)info, count * sizeof *info);
	return true;
}

static void look(const char *program, const char *when)
{
	vm_statistics_data_t statistics;
	uint64_t pages, objects;

	if (host == MACH_PORT_NULL)
		host = mach_host_self();
	if (!zone_use(&pages, &objects) ||
	    vm_statistics(mach_task_self(), &statistics) != KERN_SUCCESS)
		printf("%s: %s: no memory to be told what is used\n", program, when);
	else
		printf("%s: %s: %" PRIu64 " objects in %" PRIu64 " zone pages, %d pages free\n",
		       program, when, objects, pages, statistics.free_count);
}

int main(int argc, char **argv)
{
	static const struct flood flood = {
		.noun = "things",
		.outlives = true,
		.syntax = { "snptrSkz", shapes, "ports, threads, tasks, map entries and messages",
			    "bytes of an entry and of a message's data", MESSAGE_DATA_MAX },
		.begin = begin,
		.take = take,
		.give_back = give_back,
		.look = look,
		.finish = finish,
	};

	return flood_main(argc, argv, &flood);
}
