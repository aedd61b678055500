/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls to kernel objects.
 *
 * A message to a kernel port is carried out in the caller's context and is never queued. A request of up to REQUEST_MAX bytes
 * lies in a static buffer, for the kernel is never entered twice, and what is left in it is destroyed before anything else can
 * run. A longer one is for no routine: it is read, into a message charged to the caller, destroyed and answered by
 * MIG_BAD_ARGUMENTS.
 *
 * The common caller sends and receives in one call, with a reply port that only it uses (reply_is_direct). Then no
 * send-once right is made: the reply is written straight into the caller's buffer, nothing is charged and nothing can
 * be denied. So a full ledger never keeps its tasks from giving back. Else the reply is a message: the one prepaid with the
 * send-once right, or one charged to the caller before the routine runs.
 *
 * Plain calls, which nearly all are, have a way of their own: krpc_plain.c.
 *
 * A routine that makes the thread wait returns KRPC_BLOCKED; the reply right stays in thread->msg until krpc_reply.
 */
#include "ipc/krpc.h"
#include <mach/mig_errors.h>
#include "ipc/kmsg.h"
#include "ipc/kmsg_copy.h"
#include "ipc/krpc_call.h"
#include "ipc/mach_msg.h"
#include "ipc/mqueue.h"
#include "ipc/msg_fast.h"
#include "ipc/portset.h"
#include "ipc/right.h"
#include "ipc/space.h"
#include "kern/assert.h"
#include "kern/exception.h"
#include "kern/string.h"
#include "kern/task.h"
#include "kern/thread.h"
#include "vm/copy.h"
#include "x86_64/machine.h"

/* Generated; a kernel without one of them links too. */
extern const struct krpc_subsystem mach_subsystem __attribute__((weak));
extern const struct krpc_subsystem mach_port_subsystem __attribute__((weak));
extern const struct krpc_subsystem mach_host_subsystem __attribute__((weak));
extern const struct krpc_subsystem mach_debug_subsystem __attribute__((weak));
extern const struct krpc_subsystem mach4_subsystem __attribute__((weak));
extern const struct krpc_subsystem gnumach_subsystem __attribute__((weak));
extern const struct krpc_subsystem mach_i386_subsystem __attribute__((weak));
extern const struct krpc_subsystem device_subsystem __attribute__((weak));
extern const struct krpc_subsystem ledger_subsystem __attribute__((weak));
extern const struct krpc_subsystem throttle_subsystem __attribute__((weak));
extern const struct krpc_subsystem weir_subsystem __attribute__((weak));

static const struct krpc_subsystem *const subsystems[] = {
	&mach_subsystem, &mach_host_subsystem, &device_subsystem, &mach_debug_subsystem, &mach_port_subsystem, &mach_i386_subsystem,
	&mach4_subsystem, &gnumach_subsystem, &ledger_subsystem, &weir_subsystem, &throttle_subsystem,
};
const struct krpc_routine *krpc_routines[KRPC_IDS];
const struct krpc_routine krpc_no_routine = { .request_min = UINT32_MAX, .plain_size = KRPC_NOT_PLAIN };

/* The longest arrays in line are of 1024 integers (thread_set_state): 4 KiB, and other arguments. */
#define REQUEST_MAX (2 * PAGE_SIZE)
static uint8_t request_bytes[REQUEST_MAX] __attribute__((aligned(16)));
static struct kmsg request_buffer = { .kind = KMSG_STATIC, .pages = KMSG_LINEAR, .linear = request_bytes };
struct krpc krpc_now = { .in = &krpc_plain_request.head };
/* What a message that needed memory, and so outlived its port's object, goes to. */
static struct port no_object = { .kobject_type = KOBJECT_NONE, .kobject = &no_object };
uint8_t krpc_reply_bytes[KRPC_REPLY_MAX] __attribute__((aligned(16)));
static struct kmsg reply_buffer = { .kind = KMSG_STATIC, .pages = KMSG_LINEAR, .linear = krpc_reply_bytes };

void krpc_system_init(void)
{
	for (uint32_t place = 0; place < KRPC_IDS; place++)
		krpc_routines[place] = &krpc_no_routine;
	for (unsigned i = 0; i < sizeof(subsystems) / sizeof(subsystems[0]); i++) {
		const struct krpc_subsystem *subsystem = subsystems[i];

		for (uint32_t n = 0; subsystem != NULL && n < subsystem->count; n++) {
			uint32_t place = subsystem->base + n;

			assert(place < KRPC_IDS && krpc_routines[place] == &krpc_no_routine);
			if (subsystem->routines[n].routine == NULL)
				continue;
			krpc_routines[place] = &subsystem->routines[n];
			assert(krpc_routines[place]->plain_size == KRPC_NOT_PLAIN ||
			       msg_size_is_good((uint32_t)krpc_routines[place]->plain_size, KMSG_SMALL));
		}
	}
}

/* -- replies -- */

/* The port whose receive right the caller holds and receives from in this call, outside any set; else NULL. */
static struct port *reply_direct_port(struct thread *thread)
{
	struct name *entry = space_lookup(&thread->task->space, thread->msg.receive_name);

	if (entry == NULL || (entry->type & MACH_PORT_TYPE_RECEIVE) == 0 || port_set_of(entry->port) != NULL)
		return NULL;
	return entry->port;
}

/* May the reply go straight into the caller's buffer? Not when something waits that it would overtake, or that it would be for. */
static bool reply_is_direct(struct thread *thread, const mach_msg_header_t *header)
{
	struct port *port;

	if ((thread->msg.option & MACH_RCV_MSG) == 0 || header->msgh_local_port != thread->msg.receive_name ||
	    MACH_MSGH_BITS_LOCAL(header->msgh_bits) != MACH_MSG_TYPE_MAKE_SEND_ONCE)
		return false;
	port = reply_direct_port(thread);
	return port != NULL && port->messages == NULL && STACK_EMPTY(&port->receivers);
}

/* Fills in the reply's head; body, if any, is in krpc_reply_bytes already. */
static void reply_fill(struct thread *thread, kern_return_t code, uint32_t size, bool complex)
{
	assert(size >= sizeof(mig_reply_header_t) && size <= KRPC_REPLY_MAX && size % 8 == 0);
	krpc_code_fill((mig_reply_header_t *)krpc_reply_bytes, code);
	reply_buffer.size = size;
	reply_buffer.bits = complex ? MACH_MSGH_BITS_COMPLEX : 0;
	reply_buffer.id = thread->msg.reply_id;
	reply_buffer.remote = reply_buffer.local = NULL;
}

/* A send-once right for a reply that is on its way at once: needs no prepaid message. */
static void reply_once(struct kmsg *kmsg, struct port *port)
{
	port_ref(port);
	port->send_once_rights++;
	kmsg->remote = port;
	kmsg->bits |= MACH_MSG_TYPE_PORT_SEND_ONCE;
}

/* Queues what is in the reply buffer, remote and the remote bits included, in the memory of kmsg (NULL: denied, the reply is
   lost). One that nobody gets is destroyed here at once: krpc_created_settle looks at the rights that are left. */
static void reply_queue(struct kmsg *kmsg)
{
	if (kmsg == NULL || reply_buffer.remote->dead || reply_buffer.remote->kobject_type != KOBJECT_NONE) {
		kmsg_discard(&reply_buffer);
		kmsg_free(kmsg);
		return;
	}
	kmsg->size = reply_buffer.size;
	kmsg->bits = reply_buffer.bits;
	kmsg->id = reply_buffer.id;
	kmsg->remote = reply_buffer.remote;
	kmsg->local = NULL;
	kmsg->receive_rights = (kmsg->bits & MACH_MSGH_BITS_COMPLEX) != 0;
	kmsg_write(kmsg, krpc_reply_bytes, kmsg->size);
	reply_buffer.remote = NULL;
	/* mach_port_extract_right gives receive rights, even the one that the reply goes to. */
	if (kmsg->receive_rights && !msg_transit_begin(kmsg))
		kmsg_discard(kmsg);
	else
		mqueue_deliver(kmsg);
}

/* The direct reply. When the port or the buffer has changed since, it goes the way of other messages. */
static int64_t reply_direct(struct thread *thread, bool may_wait)
{
	struct port *port = reply_direct_port(thread);
	struct name *entry = port == NULL ? space_lookup(&thread->task->space, thread->msg.receive_name) : NULL;
	uint32_t size = reply_buffer.size;
	kern_return_t error = KERN_SUCCESS;

	if (port != NULL) {
		if (size <= thread->msg.receive_size)
			error = copyout_prepare(&thread->task->map, thread->msg.buffer, size);
		else if ((thread->msg.option & MACH_RCV_LARGE) != 0)
			error = KERN_RESOURCE_SHORTAGE;
		if (error != KERN_RESOURCE_SHORTAGE) {
			reply_once(&reply_buffer, port);
			return msg_receive_finish(thread, &reply_buffer, error == KERN_SUCCESS);
		}
	} else if (entry != NULL && (entry->type & MACH_PORT_TYPE_RECEIVE) != 0) {
		port = entry->port;
	}
	if (port == NULL) {
		kmsg_discard(&reply_buffer);
	} else {
		struct kmsg *kmsg;

		reply_once(&reply_buffer, port);
		kmsg = kmsg_alloc(size, thread->task->ledger);
		if (kmsg == NULL) {
			kmsg_discard(&reply_buffer);
			return KERN_RESOURCE_SHORTAGE;
		}
		reply_queue(kmsg);
	}
	return msg_sent(thread, may_wait);
}

/* The reply by a right: that of the request. */
static int64_t reply_by_right(struct thread *thread, bool may_wait)
{
	struct msg_state *msg = &thread->msg;
	struct port *port = msg->reply_port;
	struct kmsg *own = msg->kmsg, *kmsg = own;

	msg->reply_port = NULL;
	msg->kmsg = NULL;
	if (!port_valid(port)) {
		kmsg_discard(&reply_buffer);
	} else {
		reply_buffer.remote = port;
		reply_buffer.bits |= thread->reply_disposition;
		if (thread->reply_disposition == MACH_MSG_TYPE_PORT_SEND_ONCE) {
			struct kmsg *prepaid = reply_buffer.size <= KMSG_SMALL ? port_take_prepaid(port) : NULL;

			if (prepaid != NULL)
				kmsg = prepaid;
			else
				port_unprepay(port);
		}
		if (kmsg == NULL || kmsg_capacity(kmsg) < reply_buffer.size) {
			kmsg_free(kmsg);
			own = NULL;
			kmsg = kmsg_alloc(reply_buffer.size, thread->task->ledger);
		}
		reply_queue(kmsg);
	}
	if (own != kmsg || !port_valid(port))
		kmsg_free(own);
	return msg_sent(thread, may_wait);
}

/* Sends the reply buffer and goes on with the call. */
static int64_t reply_send(struct thread *thread, bool may_wait)
{
	if (!thread->reply_direct)
		return reply_by_right(thread, may_wait);
	thread->reply_direct = false;
	return reply_direct(thread, may_wait);
}

/* No reply comes: the right is given up, and the memory kept for it. */
static int64_t reply_none(struct thread *thread)
{
	struct msg_state *msg = &thread->msg;
	struct port *port = msg->reply_port;

	msg->reply_port = NULL;
	thread->reply_direct = false;
	kmsg_free(msg->kmsg);
	msg->kmsg = NULL;
	if (port_valid(port))
		right_release(port, thread->reply_disposition);
	return msg_sent(thread, true);
}

void krpc_reply_data(struct thread *thread, kern_return_t code, const void *body, uint32_t size, bool complex)
{
	/* A wait that is being cancelled has not ended yet. */
	bool may_wait = thread->state != THREAD_WAITING;
	int64_t result;

	memmove(krpc_reply_bytes, body, size);
	reply_fill(thread, code, size, complex);
	result = reply_send(thread, may_wait);
	if (result != KERN_BLOCKED)
		thread_set_result(thread, result);
}

void krpc_reply(struct thread *thread, kern_return_t code)
{
	krpc_reply_data(thread, code, krpc_reply_bytes, sizeof(mig_reply_header_t), false);
}

/* -- requests -- */

struct call {
	const struct krpc_routine *routine;	/* or krpc_no_routine */
	struct kmsg *request;
	bool answered;				/* there is a reply */
};

/* Memory for a reply that no prepaid message serves, before anything is done. False: denied. */
static bool reply_reserve(struct thread *thread, const struct call *call, const mach_msg_header_t *header)
{
	uint32_t local = MACH_MSGH_BITS_LOCAL(header->msgh_bits);
	uint32_t size = call->routine->reply_max;

	thread->msg.kmsg = NULL;
	if (!call->answered || thread->reply_direct || local == 0)
		return true;
	if (size < sizeof(mig_reply_header_t))
		size = sizeof(mig_reply_header_t);
	if (size > KRPC_REPLY_MAX)
		size = KRPC_REPLY_MAX;
	if (size <= KMSG_SMALL && (local == MACH_MSG_TYPE_MAKE_SEND_ONCE || local == MACH_MSG_TYPE_MOVE_SEND_ONCE))
		return true;
	thread->msg.kmsg = kmsg_alloc(size, thread->task->ledger);
	return thread->msg.kmsg != NULL;
}

static struct kmsg *request_memory(struct thread *thread)
{
	uint32_t size = thread->msg.send_size;

	if (size > REQUEST_MAX)
		return kmsg_alloc(size, thread->task->ledger);
	request_buffer.size = size;
	return &request_buffer;
}

/* Reads the request; then the reply right, if one was taken, is in thread->msg. */
static mach_msg_return_t request_copyin(struct thread *thread, struct call *call, const uint8_t *head, uint32_t have)
{
	const mach_msg_header_t *header = (const mach_msg_header_t *)head;
	struct msg_state *msg = &thread->msg;
	unsigned skip = 0;
	mach_msg_return_t error;

	if (MACH_MSGH_BITS_REMOTE(header->msgh_bits) == MACH_MSG_TYPE_COPY_SEND)
		skip |= KMSG_SKIP_REMOTE;
	if (thread->reply_direct)
		skip |= KMSG_SKIP_LOCAL;
	kmsg_write(call->request, head, have);
	error = kmsg_copyin(call->request, thread->task, msg->buffer, have, skip);
	if (error != MACH_MSG_SUCCESS)
		return error;
	thread->task->messages_sent++;
	msg->reply_port = port_valid(call->request->local) ? call->request->local : NULL;
	thread->reply_disposition = MACH_MSGH_BITS_LOCAL(call->request->bits);
	call->request->local = NULL;
	return MACH_MSG_SUCCESS;
}

static kern_return_t request_run(struct thread *thread, struct call *call, struct port *port)
{
	mach_msg_header_t *in = kmsg_at(call->request, 0);
	kern_return_t code;

	if (call->routine == &krpc_no_routine)
		return MIG_BAD_ID;
	if (kmsg_contiguous(call->request, 0) != call->request->size)
		return MIG_BAD_ARGUMENTS;
	in->msgh_size = call->request->size;
	in->msgh_bits = call->request->bits;
	if (!krpc_fits(call->routine, call->request->size, (call->request->bits & MACH_MSGH_BITS_COMPLEX) != 0))
		return MIG_BAD_ARGUMENTS;
	krpc_fill(port->dead ? &no_object : port, thread->reply_direct ? reply_direct_port(thread) : thread->msg.reply_port);
	krpc_now.in = in;
	krpc_now.in_size = call->request->size;
	code = call->routine->stub();
	krpc_now.in = &krpc_plain_request.head;
	return code;
}

/* The request is over: what the routine left in it is destroyed. */
static void request_done(struct call *call)
{
	struct kmsg *request = call->request;
	struct port *remote = request->remote;

	kmsg_empty(request);
	request->remote = NULL;
	if (port_valid(remote))
		right_release(remote, MACH_MSGH_BITS_REMOTE(request->bits));
	kmsg_free(request);
}

/* Copyin failed and nothing was taken (or all was destroyed). */
static int64_t request_failed(struct thread *thread, struct call *call, mach_msg_return_t error)
{
	if (call->request != NULL)
		request_done(call);
	kmsg_free(thread->msg.kmsg);
	thread->msg.kmsg = NULL;
	thread->reply_direct = false;
	return error;
}

/* Of what the call that is being carried out has made: its port, NULL: it has made nothing. Each call settles it before anything else
   can run, so what was made lives, and has its reference to the port. */
struct port *krpc_created_port;
static void (*created_undo)(void *object);

void krpc_created(struct port *port, void (*undo)(void *object))
{
	assert(krpc_created_port == NULL);
	krpc_created_port = port;
	created_undo = undo;
}

void krpc_created_undo(struct port *port)
{
	created_undo(port->kobject);
}

int64_t krpc_finish(struct thread *thread, bool answered, kern_return_t code)
{
	bool good = code == KERN_SUCCESS;

	/* The stub's rights in a reply that nobody gets are destroyed with it. */
	if (thread->state == THREAD_DEAD) {
		if (good && krpc_now.out_complex) {
			reply_fill(thread, code, krpc_now.out_size, true);
			kmsg_discard(&reply_buffer);
		}
		return KERN_BLOCKED;
	}
	if (code == KRPC_BLOCKED)
		return KERN_BLOCKED;
	if (code == MIG_NO_REPLY || !answered)
		return reply_none(thread);
	reply_fill(thread, code, good ? krpc_now.out_size : sizeof(mig_reply_header_t), good && krpc_now.out_complex);
	return reply_send(thread, true);
}

int64_t krpc_call(struct thread *thread, struct port *port, const uint8_t *head, uint32_t have)
{
	const mach_msg_header_t *header = (const mach_msg_header_t *)head;
	struct call call = { .routine = krpc_routine_find((uint32_t)header->msgh_id) };
	mach_msg_return_t error = MACH_SEND_NO_BUFFER;
	kern_return_t code;
	int64_t result;

	if (port->kobject_type == KOBJECT_THREAD && MACH_MSGH_BITS_REMOTE(header->msgh_bits) == MACH_MSG_TYPE_MOVE_SEND_ONCE)
		return exception_reply_message(thread, port, head, have);
	call.answered = !call.routine->simple;
	thread->msg.reply_port = NULL;
	thread->reply_direct = call.answered && reply_is_direct(thread, header);
	/* The object may die in the call, its port is needed until the end. */
	port_ref(port);
	if (reply_reserve(thread, &call, header) && (call.request = request_memory(thread)) != NULL)
		error = request_copyin(thread, &call, head, have);
	if (error != MACH_MSG_SUCCESS) {
		port_unref(port);
		return request_failed(thread, &call, error);
	}
	thread->msg.reply_id = (uint32_t)header->msgh_id + KRPC_REPLY_ID_OFFSET;
	code = request_run(thread, &call, port);
	request_done(&call);
	port_unref(port);
	result = krpc_finish(thread, call.answered, code);
	krpc_created_settle();
	return result;
}
