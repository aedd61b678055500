/* SPDX-License-Identifier: BSD-2-Clause */
/* Plain messages (msg_plain.c), into a queue and out of it: of what the zone keeps and not, all is the same; what is not at hand.
   SOURCES: mem vm ipc kernel/kern/exception.c */
#include "ipc_msg_fast.h"

#define LARGEST KMSG_SMALL

static struct port *p;		/* the server's */

static struct call plain_send(int id, uint32_t size)
{
	return (struct call){ .bits = MACH_MSGH_BITS(COPY, 0), .remote = to_port, .id = id, .option = MACH_SEND_MSG, .size = size };
}

static struct call plain_take(void)
{
	return (struct call){ .option = MACH_RCV_MSG, .room = ROOM, .name = port };
}

static bool sends(int id, uint32_t size)
{
	struct call c = plain_send(id, size);

	return go(client, &c) == MACH_MSG_SUCCESS;
}

static int64_t takes(uint32_t room)
{
	struct call c = plain_take();

	c.room = room;
	return trap(server, &c);
}

/* The server has this message in its buffer. */
static bool has(int id, uint32_t size, uint32_t sequence)
{
	test_received(server, &m);
	for (uint32_t i = 32; i < size; i++)
		if (((uint8_t *)&m)[i] != body_byte(id, i))
			return false;
	return m.h.msgh_bits == MACH_MSGH_BITS(0, MACH_MSG_TYPE_PORT_SEND) && m.h.msgh_size == size && m.h.msgh_remote_slot == 0 &&
	       m.h.msgh_local_slot == port && m.h.msgh_seqno == sequence && m.h.msgh_id == id;
}

/* The zone has a spare message of the client's ledger from now on: what is freed is in the quarantine first. */
static void keep_spare(void)
{
	for (int i = 0; !zone_has_spare(&kmsg_zone, ledger_a); i++) {
		if (i > 2 * ZONE_QUARANTINE)
			panic("nothing is kept");
		kmsg_free(kmsg_alloc(40, ledger_a));
	}
}

static void sizes(void)
{
	uint32_t refs = p->refs, rights = p->send_rights, sequence;
	uint64_t sent, received;

	claim_begin("a message of each size goes into the queue and comes out of it, whether the zone keeps one or not");
	for (uint32_t size = 32; size <= LARGEST + 8; size += 8) {
		for (unsigned kept = 0; kept < 2; kept++) {
			keep_spare();
			if (!kept)
				ledger_settle();
			sequence = p->sequence;
			sent = client->task->messages_sent;
			received = server->task->messages_received;
			claim(sends(7, size) && p->queued == 1 && p->message_count == 1 && p->refs == refs + 1 && p->send_rights == rights + 1 &&
			      p->messages->size == size && p->messages->payer == ledger_a && p->messages->queued, "%u is sent", size);
			port_bound_set(p, 40000);
			claim(takes(ROOM) == MACH_MSG_SUCCESS && has(7, size, sequence) && p->queued == 0 && p->messages == NULL &&
			      p->message_count == 0 && p->refs == refs && p->send_rights == rights && !p->has_bound && p->sequence == sequence + 1,
			      "%u is received", size);
			claim(client->task->messages_sent == sent + 1 && server->task->messages_received == received + 1, "%u is counted", size);
			port_check(p);
		}
		claim(host_used(ledger_a, LEDGER_MESSAGES) == 0, "%u is not charged any more", size);
	}
	claim_end();
}

static void order(void)
{
	uint32_t sequence;

	keep_spare();
	sequence = p->sequence;
	claim_begin("several are received in their order");
	for (int i = 0; i < 5; i++)
		claim(sends(20 + i, 64), "%d is sent", i);
	claim(p->queued == 5 && host_used(ledger_a, LEDGER_MESSAGES) == 5, "all are there, and charged");
	for (int i = 0; i < 5; i++) {
		claim(takes(ROOM) == MACH_MSG_SUCCESS && has(20 + i, 64, sequence + (uint32_t)i), "%d is received", i);
		port_check(p);
	}
	claim_end();
}

static void not_at_hand(void)
{
	uint64_t beyond = test_buffer(client) + BUFFER_SIZE - 32;
	struct call c = plain_send(3, 64);

	keep_spare();
	p->qlimit = 1;
	sends(4, 40);
	keep_spare();
	ok(go(client, &c) == KERN_BLOCKED && p->queued == 1, "a queue's limit holds");
	ok(takes(ROOM) == MACH_MSG_SUCCESS && p->queued == 1 && test_run(client) == MACH_MSG_SUCCESS, "who waits for room has it then");
	ok(takes(ROOM) == MACH_MSG_SUCCESS && has(3, 64, p->sequence - 1), "and sends");
	p->qlimit = 5;

	keep_spare();
	c.buffer = beyond;
	c.size = 32;
	go(client, &c);
	takes(ROOM);
	keep_spare();
	c.size = 64;
	ok(trap(client, &c) == MACH_SEND_INVALID_DATA && p->queued == 0 && host_used(ledger_a, LEDGER_MESSAGES) == 0,
	   "a body that is not there is not sent");

	keep_spare();
	sends(5, 64);
	ok(takes(40) == MACH_RCV_TOO_LARGE && p->queued == 0, "a buffer too small is told of");
	sends(5, 64);
	c = plain_take();
	c.buffer = 1ull << 40;
	ok(trap(server, &c) == MACH_RCV_INVALID_DATA && p->queued == 0, "so is one that is not there");
	p->has_payload = port_extend(p);
	p->extra->payload = 0x123456789abc;
	sends(6, 64);
	takes(ROOM);
	test_received(server, &m);
	ok(m.h.msgh_protected_payload == 0x123456789abc, "a payload stands for the port");
	p->has_payload = false;

	keep_spare();
	sends(8, 64);
	name_destroy(space_lookup(&client->task->space, to_port));
	is_u64(p->send_rights, 1, "the message has the last send right");
	p->extra->no_senders = right_make_send_once(test_port_of(client, reply), ledger_a);
	ok(takes(ROOM) == MACH_MSG_SUCCESS && has(8, 64, p->sequence - 1) && p->send_rights == 0 && test_port_of(client, reply)->message_count == 1,
	   "whose end is told of");
}

int main(void)
{
	system_begin("ipc_msg_plain_test");
	/* Else nothing that is kept is at hand. */
	mem_fail_enabled = false;
	client = test_thread(ledger_a);
	server = test_thread(ledger_b);
	at = port = test_port(server);
	to_port = test_send_right(client, server, port);
	reply = test_port(client);
	p = test_port_of(server, port);
	sizes();
	order();
	not_at_hand();
	end("plain messages");
	ok(host_audit(), "the audit agrees");
	return tap_done();
}
