/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls on ledgers (weir/ledger.defs). */
/*
 * A ledger has two kernel ports, charged to its parent like the ledger itself. Whoever holds a right
 * to the control port may set its limits and guarantees, ask to be told, list its children, terminate.
 * The name port is what a task gets of the ledger that pays for it: it may read it, make children
 * below it (nothing is gained by that: they are within its limits) and tasks in it. So no task can
 * raise its own limits, and none but those above can end the ledger.
 *
 * Termination. The ledger is dead at once: it and all below it take no new task, thread or ledger,
 * so that the rest is finite. Then, in pieces and where no handler is under way (the tasks killed
 * are alive), its tree is taken down from the leaves: in a ledger without living children all
 * tasks are killed, then it dies. Children are listed the living first, so the way down to a leaf
 * is at most LEDGER_DEPTH steps. The shells go with the last refund (mem/ledger.c).
 *
 * Marks. One a ledger: a resource, a figure, and a send-once right to tell. Setting another mark
 * replaces it, and the right is given up. The message is sent from reaping too, because the mark
 * is reached in the middle of somebody's charge.
 */
#include "kern/ledger_port.h"
#include <mach/kern_return.h>
#include <stddef.h>
#include "ipc/kmsg.h"
#include "ipc/krpc.h"
#include "ipc/mqueue.h"
#include "ipc/port.h"
#include "kern/denials.h"
#include "kern/sched.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "ledger_server.h"
#include "mem/ledger.h"
#include "mem/page.h"
#include "mem/upcalls.h"
#include "mem/zone.h"
#include "vm/copy.h"
#include "x86_64/machine.h"

#define END_TASKS 8		/* killed in one piece */
#define WEIGHT_MAX 10000
#define CHILDREN_PIECE 64	/* listed before interrupts get a window */
#define DENIALS_PIECE 16	/* the same */

/* -- ports -- */

static void port_drop(struct port **slot)
{
	struct port *port = *slot;

	*slot = NULL;
	if (port != NULL)
		port_destroy_kernel(port);
}

static void detach_ports(struct ledger *ledger)
{
	port_drop(&ledger->name_port);
	port_drop(&ledger->port);
}

bool ledger_attach_ports(struct ledger *ledger)
{
	struct ledger *payer = ledger->parent != NULL ? ledger->parent : ledger;

	ledger->weight = SCHED_WEIGHT_DEFAULT;
	ledger->port = port_make_kernel(KOBJECT_LEDGER, ledger, payer);
	ledger->name_port = ledger->port != NULL ? port_make_kernel(KOBJECT_LEDGER_NAME, ledger, payer) : NULL;
	if (ledger->name_port != NULL)
		return true;
	detach_ports(ledger);
	return false;
}

void ledger_server_init(void)
{
	(void)ledger_attach_ports(&root_ledger);
}

/* A send right to one of the ledger's ports. */
static kern_return_t right_to(struct port *port, struct port **right)
{
	if (port == NULL)
		return KERN_TERMINATED;
	*right = right_make_send(port);
	return KERN_SUCCESS;
}

/* -- marks -- */

/* The message of weir/ledger_notify.defs. */
struct mark_message {
	mach_msg_header_t head;
	mach_msg_type_t ledger_id_type;
	uint32_t ledger_id, ledger_id_pad;
	mach_msg_type_t resource_type;
	int32_t resource;
	uint32_t resource_pad;
	mach_msg_type_t used_type;
	uint64_t used;
};
_Static_assert(sizeof(struct mark_message) == 80 && sizeof(struct mark_message) <= KMSG_INSIDE, "ledger_notify_mark");

static mach_msg_type_t item_type(unsigned name, unsigned bits)
{
	return (mach_msg_type_t){.msgt_name = name, .msgt_size = bits, .msgt_inline = 1, .msgt_number = 1};
}

/* Consumes the send-once right and the message prepaid with it. */
static void mark_send(struct port *once, const struct ledger *ledger)
{
	struct kmsg *kmsg = NULL;
	struct mark_message message = {
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_PORT_SEND_ONCE, 0),
			.msgh_size = sizeof(message), .msgh_id = LEDGER_NOTIFY_MARK,
		},
		.ledger_id_type = item_type(MACH_MSG_TYPE_INTEGER_32, 32), .ledger_id = ledger->id,
		.resource_type = item_type(MACH_MSG_TYPE_INTEGER_32, 32), .resource = ledger->mark.resource,
		.used_type = item_type(MACH_MSG_TYPE_INTEGER_64, 64),
	};

	if (!once->dead && once->kobject_type == KOBJECT_NONE)
		kmsg = port_take_prepaid(once);
	if (kmsg == NULL) {
		right_consume_send_once(once);
		return;
	}
	ledger_settle();
	message.used = ledger->account[ledger->mark.resource].used;
	kmsg->remote = once;
	kmsg->local = NULL;
	kmsg->bits = message.head.msgh_bits;
	kmsg->size = sizeof(message);
	kmsg->id = LEDGER_NOTIFY_MARK;
	kmsg->sequence = 0;
	kmsg->by_send_once = true;
	memcpy(kmsg->small, &message, sizeof(message));
	mqueue_deliver(kmsg);
}

static bool mark_step(struct reap *item)
{
	struct ledger *ledger = (struct ledger *)((char *)item - offsetof(struct ledger, mark_reap));
	struct port *once = ledger->mark_port;

	ledger->mark.pending = false;
	/* Another mark may have been set meanwhile: that one is not reached yet. */
	if (once != NULL && ledger->mark.at == 0) {
		ledger->mark_port = NULL;
		mark_send(once, ledger);
	}
	ledger_unhold(ledger);
	return true;
}

void mem_mark_reached(struct ledger *ledger)
{
	if (ledger->mark.pending || ledger->dead)
		return;
	ledger->mark.pending = true;
	ledger_hold(ledger);
	reap_defer_live(&ledger->mark_reap, mark_step);
}

static void mark_drop(struct ledger *ledger)
{
	struct port *once = ledger->mark_port;

	ledger->mark_port = NULL;
	ledger->mark.at = 0;
	if (once != NULL)
		right_release_send_once(once);
}

kern_return_t ledger_notify_at(struct ledger *ledger, int resource, uint64_t mark, struct port *notify)
{
	if (ledger == NULL || resource < 0 || resource >= LEDGER_RESOURCES)
		return KERN_INVALID_ARGUMENT;
	if (notify == PORT_DEAD || (notify == NULL && mark != 0))
		return KERN_INVALID_CAPABILITY;
	mark_drop(ledger);
	if (mark == 0) {
		if (notify != NULL)
			right_release_send_once(notify);
		return KERN_SUCCESS;
	}
	ledger->mark_port = notify;
	ledger_mark(ledger, (unsigned)resource, mark);
	return KERN_SUCCESS;
}

/* -- making and terminating -- */

static void ledger_uncreate(void *object)
{
	ledger_end(object);
}

kern_return_t ledger_create(struct ledger *parent, const char *name, struct port **child)
{
	struct ledger *ledger;
	int error;

	if (parent == NULL)
		return KERN_INVALID_ARGUMENT;
	ledger = ledger_new(parent, name, &error);
	if (ledger == NULL)
		return error;
	if (!ledger_attach_ports(ledger))
		goto out_ledger;
	if (parent == &root_ledger && !sched_share_create(ledger))
		goto out_ports;
	krpc_created(ledger->port, ledger_uncreate);
	return right_to(ledger->port, child);

out_ports:
	detach_ports(ledger);
out_ledger:
	ledger_kill(ledger);
	return KERN_RESOURCE_SHORTAGE;
}

/* Dead from here on; the caller holds it. */
static void ledger_close(struct ledger *ledger)
{
	mark_drop(ledger);
	ledger_kill(ledger);
	detach_ports(ledger);
}

/* A ledger below, or the top itself, that has no living child. */
static struct ledger *leaf_below(struct ledger *top)
{
	struct ledger *ledger = top, *child;

	while ((child = TAILQ_FIRST(&ledger->children)) != NULL && !child->dead)
		ledger = child;
	return ledger;
}

static bool end_step(struct reap *item)
{
	struct ledger *top = (struct ledger *)((char *)item - offsetof(struct ledger, reap));
	struct ledger *ledger = leaf_below(top);
	struct task *task;

	for (unsigned n = 0; (task = LIST_FIRST(&ledger->tasks)) != NULL; n++) {
		if (n == END_TASKS)
			return false;
		task_kill(task);
	}
	sched_share_retire(ledger);
	if (ledger != top) {
		ledger_hold(ledger);
		ledger_close(ledger);
		ledger_unhold(ledger);
		return false;
	}
	ledger_unhold(top);
	return true;
}

void ledger_end(struct ledger *ledger)
{
	if (ledger->dead)
		return;
	ledger_hold(ledger);
	ledger_close(ledger);
	reap_defer_live(&ledger->reap, end_step);
}

kern_return_t ledger_terminate(struct ledger *ledger)
{
	if (ledger == NULL || ledger == &root_ledger)
		return KERN_INVALID_ARGUMENT;
	ledger_end(ledger);
	return KERN_SUCCESS;
}

/* -- limits -- */

kern_return_t ledger_set_limit(struct ledger *ledger, int resource, uint64_t limit)
{
	if (ledger == NULL || resource < 0)
		return KERN_INVALID_ARGUMENT;
	return ledger_limit(ledger, (unsigned)resource, limit);
}

kern_return_t ledger_set_guarantee(struct ledger *ledger, int resource, uint64_t amount)
{
	if (ledger == NULL || resource < 0)
		return KERN_INVALID_ARGUMENT;
	return ledger_guarantee(ledger, (unsigned)resource, amount);
}

kern_return_t ledger_set_weight(struct ledger *ledger, int weight)
{
	/* Shares are divided between the root's children only. */
	if (ledger == NULL || weight < 1 || weight > WEIGHT_MAX || ledger->parent != &root_ledger)
		return KERN_INVALID_ARGUMENT;
	ledger->weight = (uint16_t)weight;
	sched_share_weight(ledger, (uint32_t)weight);
	return KERN_SUCCESS;
}

/* -- reading -- */

/* The zone map and RAM, in bytes, seen as resources of the root. */
static struct ledger_usage machine_usage(unsigned resource)
{
	struct ledger_usage usage = {.denials = ledger_machine_denials(resource)};
	struct page_counts pages;

	page_count(&pages);
	usage.used = zone_map_used_pages() * PAGE_SIZE;
	usage.limit = zone_map_limit_pages() * PAGE_SIZE;
	if (resource == LEDGER_RAM) {
		usage.used += root_ledger.account[LEDGER_RESIDENT_PAGES].used * PAGE_SIZE;
		usage.limit = (pages.total - pages.reserve) * PAGE_SIZE;
	}
	usage.peak = page_peak(resource) * PAGE_SIZE;
	return usage;
}

/* Another ledger's zone map is the root's; the peak of its memory is not kept. */
static struct ledger_usage memory_usage(const struct ledger *ledger, unsigned resource)
{
	if (resource != LEDGER_RAM)
		return (struct ledger_usage){.limit = LEDGER_UNLIMITED};
	return (struct ledger_usage){
		.used = ledger_ram_used(ledger), .limit = ledger->ram_limit, .denials = ledger->ram_denials,
	};
}

static struct ledger_usage usage_of(const struct ledger *ledger, unsigned resource)
{
	const struct ledger_account *account;

	ledger_settle();
	if (resource >= LEDGER_RESOURCES)
		return ledger == &root_ledger ? machine_usage(resource) : memory_usage(ledger, resource);
	account = &ledger->account[resource];
	return (struct ledger_usage){
		.used = account->used, .peak = account->peak, .limit = account->limit,
		.guarantee = account->guarantee, .denials = ledger->denials[resource],
	};
}

kern_return_t ledger_get_usage(struct ledger *ledger, int resource, ledger_usage_t *usage)
{
	if (ledger == NULL || resource < 0 || resource >= LEDGER_ALL_RESOURCES ||
	    (resource == LEDGER_ZONE_MAP && ledger != &root_ledger))
		return KERN_INVALID_ARGUMENT;
	*usage = usage_of(ledger, (unsigned)resource);
	return KERN_SUCCESS;
}

kern_return_t ledger_get_all_usage(struct ledger *ledger, uint64_t *usage)
{
	struct ledger_usage one;

	if (ledger == NULL)
		return KERN_INVALID_ARGUMENT;
	for (unsigned r = 0; r < LEDGER_ALL_RESOURCES; r++) {
		one = usage_of(ledger, r);
		memcpy((char *)usage + r * sizeof(one), &one, sizeof(one));
	}
	return KERN_SUCCESS;
}

kern_return_t ledger_info(struct ledger *ledger, natural_t *id, natural_t *parent_id, char *name,
			  natural_t *children, natural_t *tasks, natural_t *weight)
{
	if (ledger == NULL)
		return KERN_INVALID_ARGUMENT;
	ledger_settle();
	*id = ledger->id;
	*parent_id = ledger->parent != NULL ? ledger->parent->id : 0;
	strlcpy(name, ledger->name, LEDGER_NAME_MAX);
	*children = ledger->child_count;
	*tasks = (natural_t)ledger->account[LEDGER_TASKS].used;	/* below it too */
	*weight = ledger->weight;
	return KERN_SUCCESS;
}

kern_return_t ledger_children(struct ledger *ledger, struct port_array **children, mach_msg_type_number_t *count)
{
	mach_msg_type_number_t n = 0, max;
	struct ledger *child;

	if (ledger == NULL)
		return KERN_INVALID_ARGUMENT;
	*children = NULL;
	*count = 0;
	max = ledger->child_count < PORT_ARRAY_MAX ? ledger->child_count : PORT_ARRAY_MAX;
	if (max == 0)
		return KERN_SUCCESS;
	*children = port_array_make(max, MACH_MSG_TYPE_PORT_SEND, thread_current()->task->ledger);
	if (*children == NULL)
		return KERN_RESOURCE_SHORTAGE;
	TAILQ_FOREACH(child, &ledger->children, sibling) {
		if (child->dead || n == max)
			break;
		*port_array_slot(*children, n++) = right_make_send(child->port);
		if (n % CHILDREN_PIECE == 0)
			machine_window();
	}
	*count = max;
	return KERN_SUCCESS;
}

kern_return_t ledger_root(struct host *host_priv, struct port **ledger)
{
	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	return right_to(root_ledger.port, ledger);
}

/* -- tasks -- */

kern_return_t task_get_ledger(struct task *task, struct port **ledger)
{
	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	return right_to(task->ledger->name_port, ledger);
}

kern_return_t task_get_ledger_control(struct host *host_priv, struct task *task, struct port **ledger)
{
	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	if (task == NULL)
		return KERN_INVALID_ARGUMENT;
	return right_to(task->ledger->port, ledger);
}

static void task_uncreate(void *object)
{
	task_kill(object);
}

kern_return_t task_create_in_ledger(struct task *parent, struct ledger *ledger, boolean_t inherit_memory,
				    struct port **child)
{
	struct task *task;
	int error;

	if (parent == NULL || ledger == NULL)
		return KERN_INVALID_ARGUMENT;
	task = task_make(parent, ledger, inherit_memory != 0, &error);
	if (task == NULL)
		return error;
	*child = right_make_send(task->self);
	krpc_created(*child, task_uncreate);
	return KERN_SUCCESS;
}

/* -- denials -- */

kern_return_t ledger_last_denial(struct thread *thread, ledger_denial_t *denial)
{
	if (thread == NULL)
		return KERN_INVALID_ARGUMENT;
	denial_of_thread(thread, denial);
	return KERN_SUCCESS;
}

kern_return_t ledger_denials(struct host *host_priv, struct vm_copy **denials, mach_msg_type_number_t *count)
{
	struct ledger_denial denial;
	uint32_t n = denials_kept();
	kern_return_t result;

	if (host_priv == NULL)
		return KERN_INVALID_HOST;
	result = vm_copy_alloc(n * sizeof(struct ledger_denial), thread_current()->task->ledger, denials);
	if (result != KERN_SUCCESS)
		return result;
	for (uint32_t i = 0; i < n; i++) {
		denial_of_machine(i, &denial);
		vm_copy_write(*denials, i * sizeof(denial), &denial, sizeof(denial));
		if (i % DENIALS_PIECE == DENIALS_PIECE - 1)
			machine_window();
	}
	*count = n;
	return KERN_SUCCESS;
}
