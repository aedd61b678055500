/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads that do not wait (device_read_request): the sender goes on, what is kept is paid by its
 * ledger, and ends with the reply port, the device or the client. Devices of clients that died are closed.
 * With the argument "typed" it reads a word from com1 in that way, with "flush", as the only program, it forgets what was
 * typed ahead on the console (tests/boot/typed_read.t).
 * RUN: in root device_request_test
 */
#include <string.h>
#include <device/device.h>
#include <device/device_request.h>
#include <device/device_types.h>
#include <device/tty_status.h>
#include <mach/threads.h>
#include <ledger_user.h>
#include <weir_user.h>
#include "child.h"
#include "denial.h"
#include "master.h"
#include "msg.h"
#include "snapshot.h"
#include "tap.h"

#define READ_REPLY		(2804 + 100)
#define READ_INBAND_REPLY	(2805 + 100)
#define REQUESTS		20
#define PREPAID			2	/* messages charged for one of up to 256 bytes */

static mach_port_t self, master;

static device_t device(const char *name)
{
	device_t got = MACH_PORT_NULL;

	need(device_open(master, D_READ | D_WRITE, name, &got), name);
	return got;
}

/* Closes com1 even for the test's own output, which uses it; then opens it as often again. Nothing can be claimed
   in between. Returns how often it was open. */
static unsigned close_all(device_t com)
{
	unsigned opens = 0;

	while (device_close(com) == KERN_SUCCESS)
		opens++;
	for (unsigned i = 0; i < opens; i++)
		device("com1");
	need(mach_port_mod_refs(self, com, MACH_PORT_RIGHT_SEND, -(int)opens), "rights to com1");
	return opens;
}

static int reply_code(struct msg *m)
{
	return ((mig_reply_header_t *)m->bytes)->RetCode;
}

static void going_on(void)
{
	device_t com = device("com1");
	mach_port_t reply = port_new();
	struct snapshot before;
	struct msg m;

	snapshot_take(&before, test_ledger());
	is_code(device_read_request_inband(com, reply, 0, 0, 10), KERN_SUCCESS, "a read can be requested");
	is_code(device_read_request(com, reply, 0, 0, 10), KERN_SUCCESS, "out of line too");
	ok(msg_none(reply), "without input there is no reply");
	is(used_now(test_ledger(), LEDGER_MESSAGES) - before.used[LEDGER_MESSAGES], 2 * PREPAID,
	   "each request is kept in the memory of a small message, of the client's ledger");
	is_code(device_read_request(com, reply, D_NOWAIT, 0, 10), KERN_SUCCESS, "a read that would not wait can be requested");
	need(msg_receive(&m, reply, 0, 0), "a reply");
	ok(m.head.msgh_id == READ_REPLY && reply_code(&m) == D_WOULD_BLOCK, "and is answered at once: it would block");
	ok(close_all(com) > 0, "the device can be closed");
	need(msg_receive(&m, reply, 0, 0), "a reply");
	ok(m.head.msgh_id == READ_INBAND_REPLY && reply_code(&m) == D_NO_SUCH_DEVICE,
	   "the close answers the first request: no such device");
	need(msg_receive(&m, reply, 0, 0), "a reply");
	ok(m.head.msgh_id == READ_REPLY && reply_code(&m) == D_NO_SUCH_DEVICE && m.head.msgh_size == 48,
	   "and the second");
	port_free(reply);
	device_close(com);
	mach_port_deallocate(self, com);
}

static void ends(void)
{
	device_t com = device("com1");
	mach_port_t reply = port_new(), other = port_new_send();
	struct snapshot before;
	struct msg m;
	unsigned good = 0;

	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < REQUESTS; i++)
		good += device_read_request(com, reply, 0, 0, 512) == KERN_SUCCESS;
	is(good, REQUESTS, "%u reads can be requested to one port", REQUESTS);
	port_free(reply);
	snapshot_settles(&before, SNAPSHOT_THINGS & ~(1u << LEDGER_PORTS | 1u << LEDGER_NAMES | SNAPSHOT_NAMES_HERE),
			 "they go with the reply port");
	ok(used_now(test_ledger(), LEDGER_KPAGES) <= before.used[LEDGER_KPAGES], "and their pages");
	/* By a send right. */
	msg_begin(&m, COPY_SEND, com, COPY_SEND, other, 2805);
	msg_add_data(&m, &(int){ 0 }, 4)->msgt_name = MACH_MSG_TYPE_INTEGER_32;
	((mach_msg_type_t *)(m.bytes + 32))->msgt_size = 32;
	((mach_msg_type_t *)(m.bytes + 32))->msgt_number = 1;
	msg_add_data(&m, &(uint64_t){ 0 }, 8)->msgt_name = MACH_MSG_TYPE_INTEGER_64;
	((mach_msg_type_t *)(m.bytes + 48))->msgt_size = 64;
	((mach_msg_type_t *)(m.bytes + 48))->msgt_number = 1;
	msg_add_data(&m, &(int){ 10 }, 4)->msgt_name = MACH_MSG_TYPE_INTEGER_32;
	((mach_msg_type_t *)(m.bytes + 64))->msgt_size = 32;
	((mach_msg_type_t *)(m.bytes + 64))->msgt_number = 1;
	is_code(msg_send(&m, MACH_SEND_MSG, 0), MACH_MSG_SUCCESS, "a read can be requested with a send right for its reply");
	ok(msg_none(other), "it waits");
	close_all(com);
	need(msg_receive(&m, other, MACH_RCV_TIMEOUT, 5000), "a reply");
	ok(m.head.msgh_id == READ_INBAND_REPLY && reply_code(&m) == D_NO_SUCH_DEVICE, "until the device is closed");
	port_free(other);
	device_close(com);
	mach_port_deallocate(self, com);
}

/* A device is closed when nobody has a right to it: else these opens would still count. */
static void last_right(void)
{
	device_t time = device("time");
	int values[DEV_STATUS_MAX];
	mach_msg_type_number_t count = DEV_STATUS_MAX;

	for (unsigned i = 0; i < 3; i++)
		device("time");
	need(mach_port_mod_refs(self, time, MACH_PORT_RIGHT_SEND, -4), "the rights to the time");
	time = device("time");
	is_code(device_close(time), KERN_SUCCESS, "a device whose clients gave up their rights can be opened and closed");
	is_code(device_get_status(time, DEV_GET_SIZE, values, &count), D_NO_SUCH_DEVICE,
		"and then is closed: what they left open does not count");
	mach_port_deallocate(self, time);
}

/* What a client is given, and what became of it. */
struct client {
	mach_port_t device;
	uint32_t done;
};

/* Requests reads and dies with them. */
static void client_main(void *argument)
{
	struct client *client = argument;
	mach_port_t reply = MACH_PORT_NULL;

	if (mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &reply) != KERN_SUCCESS)
		return;
	for (unsigned i = 0; i < REQUESTS; i++)
		client->done += device_read_request(client->device, reply, 0, 0, 100) == KERN_SUCCESS;
}

static kern_return_t client_give(struct child *child, void *argument)
{
	struct client *client = argument;

	return mach_port_insert_right(child->task, client->device, client->device, MACH_MSG_TYPE_COPY_SEND);
}

static void clients(void)
{
	struct client *client = shared_alloc(4096);
	struct child_options options = { .before = client_give };
	struct snapshot before;
	struct child child;

	client->device = device("com1");
	snapshot_take(&before, test_ledger());
	for (unsigned i = 0; i < 3; i++) {
		need(child_start(&child, client_main, client, &options), "a child");
		child_wait(&child, 10000);
		child_finish(&child);
	}
	is(client->done, 3 * REQUESTS, "clients can request reads and die");
	snapshot_settles(&before, SNAPSHOT_THINGS, "all they had comes back");
	ok(books_agree(), "the books agree: %s", books_text());
	device_close(client->device);
	mach_port_deallocate(self, client->device);
	shared_free(client, 4096);
}

static void denied(void)
{
	device_t com = device("com1");
	mach_port_t reply = port_new();
	unsigned n = 0, denials = 0;
	struct snapshot before;
	struct msg m;

	snapshot_take(&before, test_ledger());
	for (n = 1; n < 50; n++) {
		kern_return_t code;
		bool struck;

		deny_next(n);
		code = device_read_request(com, reply, 0, 0, 10);
		struck = deny_struck(NULL);
		if (!struck)
			break;
		denials += code != KERN_SUCCESS ||
			   (msg_receive(&m, reply, MACH_RCV_TIMEOUT, 0) == MACH_MSG_SUCCESS &&
			    reply_code(&m) == KERN_RESOURCE_SHORTAGE);
	}
	ok(n > 1 && denials == n - 1, "every denial of a requested read is told (%u)", n - 1);
	is(used_now(test_ledger(), LEDGER_MESSAGES) - before.used[LEDGER_MESSAGES], PREPAID, "and only the last is kept");
	port_free(reply);
	device_close(com);
	mach_port_deallocate(self, com);
}

/* The word comes when the requests wait. */
static void typed(void)
{
	device_t com = device("com1");
	mach_port_t reply = port_new();
	char got[8] = "";
	unsigned have = 0, inband = 0, outofline = 0;
	struct msg m;

	for (unsigned i = 0; i < 4; i++)
		need(i % 2 == 0 ? device_read_request_inband(com, reply, 0, 0, 2) :
				  device_read_request(com, reply, 0, 0, 2), "a request");
	diag("type now");
	while (have < 5) {
		mach_msg_type_t *item = (mach_msg_type_t *)(m.bytes + 48);
		const char *data = m.bytes + 56;

		need(msg_receive(&m, reply, MACH_RCV_TIMEOUT, 20000), "a reply");
		need(reply_code(&m), "input");
		if (!item->msgt_inline)
			data = *(const char **)data;
		if (item->msgt_number > sizeof got - have)
			give_up("no more bytes come than were asked for");
		memcpy(got + have, data, item->msgt_number);
		have += item->msgt_number;
		if (item->msgt_inline)
			inband += m.head.msgh_id == READ_INBAND_REPLY;
		else
			outofline += m.head.msgh_id == READ_REPLY;
		if (!item->msgt_inline)
			give_back_memory((vm_address_t)data, item->msgt_number);
		/* However the bytes fell into reads, one is left waiting. */
		need(device_read_request_inband(com, reply, 0, 0, 2), "a request");
	}
	ok(memcmp(got, "typed", 5) == 0, "what is typed comes to requested reads, in order");
	ok(inband > 0 && outofline > 0, "in line and out of line");
	port_free(reply);
	device_close(com);
	mach_port_deallocate(self, com);
}

/* Bytes on the console before the '!', which ends what is typed. */
static unsigned read_to_end(device_t console)
{
	char bytes[IO_INBAND_MAX];
	unsigned got = 0;

	for (;;) {
		mach_msg_type_number_t count = sizeof bytes;

		need(device_read_inband(console, 0, 0, sizeof bytes, bytes, &count), "input");
		if (bytes[count - 1] == '!')
			return got + count - 1;
		got += count;
	}
}

/* Nothing tells when all that was typed has come; a try that was too early finds the rest, and the next waits longer. */
static void flush(void)
{
	device_t console = device("console");
	unsigned left = 1;
	int nothing = 0;

	for (unsigned turn = 1; turn <= 5 && left > 0; turn++) {
		diag("type ahead");
		thread_sleep(200 * turn);
		need(device_set_status(console, TTY_FLUSH, &nothing, 1), "TTY_FLUSH");
		diag("type the end");
		left = read_to_end(console);
	}
	is(left, 0, "TTY_FLUSH forgets all that was typed ahead");
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	self = mach_task_self();
	master = master_port_get();
	if (argc > 1 && (strcmp(argv[1], "typed") == 0 || strcmp(argv[argc - 1], "flush") == 0)) {
		if (strcmp(argv[1], "typed") == 0)
			typed();
		else
			flush();
		master_port_put(master);
		return done_testing();
	}
	going_on();
	ends();
	last_right();
	clients();
	denied();
	master_port_put(master);
	return done_testing();
}
