/* SPDX-License-Identifier: BSD-2-Clause */
/* What the library keeps for the whole task, and the traps that have message twins. */
#ifndef MACH_MACH_INIT_H
#define MACH_MACH_INIT_H

#include <mach/mach_traps.h>
#include <mach/mach_types.h>
#include <mach/message.h>
#include <mach/vm_param.h>

/* The trap adds a reference to the name at each call; the library asks once. */
mach_port_t mach_task_self_trap(void);
extern mach_port_t mach_task_self_;
#define mach_task_self()	(mach_task_self_)

#define vm_page_size		((vm_size_t) PAGE_SIZE)

/*
 * Traps that take names in the caller's own space. MACH_SEND_INTERRUPTED: the
 * fast path does not apply, use the message.
 */
kern_return_t syscall_vm_map(mach_port_t task, vm_address_t *address, vm_size_t size,
			     vm_address_t mask, boolean_t anywhere, mach_port_t object,
			     vm_offset_t offset, boolean_t copy, vm_prot_t protection,
			     vm_prot_t max_protection, vm_inherit_t inheritance);
kern_return_t syscall_vm_allocate(mach_port_t task, vm_address_t *address, vm_size_t size,
				  boolean_t anywhere);
kern_return_t syscall_vm_deallocate(mach_port_t task, vm_address_t address, vm_size_t size);
kern_return_t syscall_task_create(mach_port_t parent, boolean_t inherit, mach_port_t *child);
kern_return_t syscall_task_terminate(mach_port_t task);
kern_return_t syscall_task_suspend(mach_port_t task);
kern_return_t syscall_task_set_special_port(mach_port_t task, int which, mach_port_t port);
kern_return_t syscall_mach_port_allocate(mach_port_t task, mach_port_right_t right,
					 mach_port_name_t *name);
kern_return_t syscall_mach_port_deallocate(mach_port_t task, mach_port_name_t name);
kern_return_t syscall_mach_port_insert_right(mach_port_t task, mach_port_name_t name,
					     mach_port_t right, mach_msg_type_name_t type);
kern_return_t syscall_mach_port_allocate_name(mach_port_t task, mach_port_right_t right,
					      mach_port_name_t name);
kern_return_t syscall_thread_depress_abort(mach_port_t thread);
/* Up to 1024 bytes; a vector's pieces are { address, size } of 8 bytes each, at most 16 of them. */
kern_return_t syscall_device_write_request(mach_port_t device, mach_port_t reply, unsigned mode, uint64_t record,
					   vm_address_t data, vm_size_t size);
kern_return_t syscall_device_writev_request(mach_port_t device, mach_port_t reply, unsigned mode, uint64_t record,
					    const void *pieces, vm_size_t count);

/*
 * Giving back, by trap first: no message is made, so nothing can be denied.
 * Each falls back to the message for names that the trap does not take.
 */
kern_return_t give_back_memory(vm_address_t address, vm_size_t size);
kern_return_t give_back_right(mach_port_name_t name);
kern_return_t give_back_task(mach_port_name_t task);

/*
 * Makes pages of this task present and writable, so that later use of them
 * cannot be denied; their contents stay. KERN_RESOURCE_SHORTAGE: some are not.
 */
kern_return_t memory_touch(vm_address_t address, vm_size_t size);
/* New zero memory anywhere, touched. Bytes; on an error nothing is held. */
kern_return_t memory_allocate(vm_address_t *address, vm_size_t size);

/*
 * mach_port_request_notification with a send-once right made from the receive
 * right named notify; a right that was registered before is deallocated.
 */
kern_return_t mach_request_notification(mach_port_name_t name, mach_msg_id_t id,
					mach_port_mscount_t sync, mach_port_t notify);

typedef boolean_t (*mach_msg_demux_t)(mach_msg_header_t *request, mach_msg_header_t *reply);
/*
 * Receives requests of at most max_size bytes, answers each with what demux
 * made; never blocks on an answer: a reply that cannot be queued is dropped.
 * Returns only when receiving fails, with its code; KERN_RESOURCE_SHORTAGE
 * when there is no memory for its two buffers.
 */
mach_msg_return_t mach_msg_server(mach_msg_demux_t demux, mach_msg_size_t max_size,
				  mach_port_t port);
/* One turn of it in buffers of the caller's, each of max_size bytes; for use in loops of one's own. */
void mach_msg_answer(mach_msg_demux_t demux, mach_msg_header_t *request,
		     mach_msg_header_t *reply);

#endif
