/* SPDX-License-Identifier: BSD-2-Clause */
/* The bare trap, the cheapest useful one, and the cheapest calls of the kernel by message. */
#include "bench.h"
#include <mach.h>
#include <mach/message.h>

/* Slot 0 of the table is unused: KERN_INVALID_ARGUMENT. By hand, so that nothing is around it. */
void trap(void);
__asm__(".text\ntrap:\n\txorl %eax, %eax\n\tsyscall\n\tret\n");

static mach_port_t self, port;

static void task_self(void)
{
	self = mach_task_self_trap();
}

/* Each call has added a reference to the name. */
static void task_self_again(void)
{
	give_back_right(self);
}

static void port_setup(void)
{
	port = bench_port();
}

static void port_teardown(void)
{
	bench_port_free(port);
}

static void kernel_rpc(void)
{
	mach_port_type_t type;

	need(mach_port_type(mach_task_self(), port, &type), "mach_port_type");
}

static void port_allocate_destroy(void)
{
	mach_port_name_t name;

	need(mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &name), "mach_port_allocate");
	need(mach_port_destroy(mach_task_self(), name), "mach_port_destroy");
}

const struct operation trap_operations[] = {
	{ .name = "trap", .run = trap },
	{ .name = "task_self", .run = task_self, .again = task_self_again, .kind = CROWD_PORTS },
	{ .name = "kernel_rpc", .setup = port_setup, .teardown = port_teardown, .run = kernel_rpc,
	  .kind = CROWD_PORTS },
	{ .name = "port_allocate_destroy", .run = port_allocate_destroy, .kind = CROWD_PORTS },
	{ 0 },
};
