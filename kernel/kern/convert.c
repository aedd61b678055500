/* SPDX-License-Identifier: BSD-2-Clause */
/* From ports to the kernel objects they stand for: the generated stubs' converters. NULL: of another kind, or dead. */
#include "ipc/krpc.h"
#include "ipc/port.h"
#include "kern/host.h"
#include "kern/task.h"
#include "kern/thread.h"

static void *convert(struct port *port, enum kobject type)
{
	return port_valid(port) && port->kobject_type == type ? port->kobject : NULL;
}

struct task *convert_port_to_task(struct port *port)
{
	return convert(port, KOBJECT_TASK);
}

struct thread *convert_port_to_thread(struct port *port)
{
	struct thread *thread = convert(port, KOBJECT_THREAD);

	/* Of a dead task: a call that allocates may reap it away. */
	return thread != NULL && !thread->task->dead ? thread : NULL;
}

struct space *convert_port_to_space(struct port *port)
{
	struct task *task = convert_port_to_task(port);

	return task != NULL ? &task->space : NULL;
}

struct vm_map *convert_port_to_map(struct port *port)
{
	struct task *task = convert_port_to_task(port);

	return task != NULL ? &task->map : NULL;
}

struct host *convert_port_to_host(struct port *port)
{
	struct host *host = convert(port, KOBJECT_HOST);

	return host != NULL ? host : convert(port, KOBJECT_HOST_PRIV);
}

struct host *convert_port_to_host_priv(struct port *port)
{
	return convert(port, KOBJECT_HOST_PRIV);
}

struct processor *convert_port_to_processor(struct port *port)
{
	return convert(port, KOBJECT_PROCESSOR);
}

struct processor_set *convert_port_to_pset(struct port *port)
{
	return convert(port, KOBJECT_PSET);
}

struct processor_set *convert_port_to_pset_name(struct port *port)
{
	struct processor_set *set = convert(port, KOBJECT_PSET_NAME);

	return set != NULL ? set : convert(port, KOBJECT_PSET);
}

struct device *convert_port_to_device(struct port *port)
{
	return convert(port, KOBJECT_DEVICE);
}

struct ledger *convert_port_to_ledger(struct port *port)
{
	return convert(port, KOBJECT_LEDGER);
}

struct ledger *convert_port_to_ledger_name(struct port *port)
{
	struct ledger *ledger = convert(port, KOBJECT_LEDGER_NAME);

	return ledger != NULL ? ledger : convert_port_to_ledger(port);
}
