/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of all shapes, and what is done with those that come. */
#include "chaos.h"

#define HEAD	sizeof(mach_msg_header_t)
enum { DATA_MARK = 0x5a };

static const uint32_t sizes[] = { 32, 40, 48, 64, 128, 248, 256, 264, 512, 1024, 4096, 4104, 8192, 16384 };

/* -- what is sent -- */

struct message {
	mach_msg_header_t *head;
	uint32_t size;
	bool once_data;		/* to a send-once right, and data only */
};

static void add(struct message *m, const void *bytes, uint32_t size)
{
	if (m->size + size > OUT_ROOM - 64)
		return;
	memcpy((char *)m->head + m->size, bytes, size);
	m->size += size;
}

static void add_type(struct message *m, unsigned name, unsigned bits, bool in_line, bool deallocate, uint32_t number)
{
	mach_msg_type_t type = { .msgt_name = name, .msgt_size = bits & 0xffff, .msgt_inline = in_line,
				 .msgt_deallocate = deallocate, .msgt_number = number };

	add(m, &type, sizeof type);
}

static void add_data(struct worker *worker, struct message *m)
{
	uint32_t size = one_in(worker, 4) ? (uint32_t)below(worker, 5000) : (uint32_t)below(worker, 200);
	static char bytes[5008];

	if (m->size + size > OUT_ROOM - 128)
		return;
	if (bytes[0] == 0)
		memset(bytes, DATA_MARK, sizeof bytes);
	add_type(m, MACH_MSG_TYPE_CHAR, 8, true, false, size);
	add(m, bytes, (size + 7) & ~7u);
}

static unsigned some_disposition(struct worker *worker)
{
	static const uint8_t all[] = { 16, 17, 18, 19, 19, 19, 20, 20, 20, 21, 21 };

	return all[below(worker, sizeof all)];
}

static void add_port(struct worker *worker, struct message *m)
{
	uint32_t n = one_in(worker, 4) ? (uint32_t)below(worker, 12) : 1;

	add_type(m, some_disposition(worker), one_in(worker, 50) ? 32 : 64, true, false, n);
	while (n-- > 0) {
		uint64_t name = some_name(worker);

		add(m, &name, 8);
	}
}

static void add_ports(struct worker *worker, struct message *m)
{
	uint32_t n = one_in(worker, 8) ? (uint32_t)below(worker, 1200) : (uint32_t)below(worker, 10);
	uint64_t address = some_address(worker) & ~3ull;
	uint32_t names[16];

	for (unsigned i = 0; i < 16; i++)
		names[i] = some_name(worker);
	if (one_in(worker, 2)) {
		static char page[WORKERS][4096] __attribute__((aligned(4096)));

		memcpy(page[worker->index], names, sizeof names);
		address = (uint64_t)page[worker->index];
		n %= 17;
	}
	add_type(m, some_disposition(worker), 32, false, one_in(worker, 6) && address >= ARENA, n);
	add(m, &address, 8);
}

static void add_memory(struct worker *worker, struct message *m)
{
	uint64_t address = some_address(worker);
	vm_size_t size = some_size(worker);
	bool deallocate = one_in(worker, 3);

	if (one_in(worker, 3)) {
		unsigned i = (unsigned)below(worker, 8);

		if (worker->regions[i].address != 0) {
			address = worker->regions[i].address;
			size = worker->regions[i].size;
			if (deallocate)
				worker->regions[i].address = 0;
		}
	}
	add_type(m, MACH_MSG_TYPE_CHAR, 8, false, deallocate, (uint32_t)size & 0x7fffffff);
	add(m, &address, 8);
}

/* Never the program's own memory out of line with deallocate: addresses are the arenas' or came in messages. */
static void add_items(struct worker *worker, struct message *m)
{
	unsigned n = (unsigned)below(worker, 5);

	m->head->msgh_bits |= MACH_MSGH_BITS_COMPLEX;
	while (n-- > 0) {
		switch (below(worker, 6)) {
		case 0: add_data(worker, m); break;
		case 1: case 2: add_port(worker, m); break;
		case 3: add_ports(worker, m); break;
		default: add_memory(worker, m); break;
		}
	}
}

/* -- what has come -- */

/* Where the kernel has all of RAM, and itself. */
static bool looks_like_kernel(uint64_t word)
{
	return word >> 40 == 0xffff80 || word >> 24 == 0xffffffff80;
}

static void look_for_leaks(const mach_msg_header_t *head, uint32_t size)
{
	const uint64_t *words = (const uint64_t *)head;

	for (uint32_t i = HEAD / 8; i < size / 8; i++) {
		if (looks_like_kernel(words[i])) {
			common->leak_word = words[i];
			common->leak_id = (uint64_t)head->msgh_id;
			__atomic_add_fetch(&common->leaks, 1, __ATOMIC_RELAXED);
		}
	}
}

static void answer_exception(struct worker *worker, mach_msg_header_t *head)
{
	static const kern_return_t codes[] = { KERN_SUCCESS, KERN_SUCCESS, KERN_SUCCESS, KERN_FAILURE, KERN_INVALID_ARGUMENT };
	const uint64_t *words = (const uint64_t *)head;
	mig_reply_header_t reply = {
		.Head = { .msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0), .msgh_remote_slot = head->msgh_remote_port,
			  .msgh_size = sizeof reply, .msgh_id = head->msgh_id + 100 },
		.RetCodeType = { .msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1 },
		.RetCode = codes[below(worker, sizeof codes / sizeof codes[0])],
	};

	if (head->msgh_size < 96 || one_in(worker, 6))
		return;
	if (!one_in(worker, 8))
		restart_thread((thread_t)words[5]);
	if (one_in(worker, 10))
		thread_terminate((thread_t)words[5]);
	if (mach_msg_trap(&reply.Head, MACH_SEND_MSG | MACH_SEND_TIMEOUT, sizeof reply, 0, 0, 0, 0) == MACH_MSG_SUCCESS)
		head->msgh_remote_slot = 0;
}

/* Rights become names to operate on, or go. */
static void digest(struct worker *worker, mach_msg_header_t *head)
{
	uint32_t at = HEAD, size = head->msgh_size;

	__atomic_add_fetch(&common->received, 1, __ATOMIC_RELAXED);
	look_for_leaks(head, size);
	if (head->msgh_id == 2400)
		answer_exception(worker, head);
	if (MACH_MSGH_BITS_REMOTE(head->msgh_bits) == MACH_MSG_TYPE_PORT_SEND_ONCE && head->msgh_remote_port != 0 &&
	    worker->answer_to == MACH_PORT_NULL) {
		worker->answer_to = head->msgh_remote_port;
		head->msgh_remote_slot = 0;
	}
	if (one_in(worker, 2)) {
		mach_msg_destroy(head);
		return;
	}
	if ((head->msgh_bits & MACH_MSGH_BITS_COMPLEX) == 0)
		return;
	while (at + 8 <= size) {
		const mach_msg_type_t *type = (const mach_msg_type_t *)((char *)head + at);
		uint32_t bytes = type->msgt_inline ? (type->msgt_size * type->msgt_number + 63) / 64 * 8 : 8;
		const uint64_t *words = (const uint64_t *)(type + 1);

		at += 8 + bytes;
		if (at > size)
			return;
		if (MACH_MSG_TYPE_PORT_ANY(type->msgt_name) && type->msgt_inline)
			for (unsigned i = 0; i < type->msgt_number; i++)
				keep_name(worker, (mach_port_name_t)words[i]);
		else if (!type->msgt_inline && words[0] != 0)
			keep_region(worker, words[0], ((uint64_t)type->msgt_size * type->msgt_number + 7) / 8);
	}
}

/* -- calls -- */

struct call {
	mach_msg_option_t option;
	mach_msg_size_t receive_size;
	mach_port_name_t receive, notify;
	mach_msg_timeout_t timeout;
};

static uint32_t some_timeout(struct worker *worker)
{
	static const uint32_t times[] = { 0, 0, 0, 0, 0, 0, 1, 1, 2, 5, ~0u, 1000000 };

	if (worker->messages_mostly && !one_in(worker, 4))
		return 1 + (uint32_t)below(worker, 3);
	return times[below(worker, one_in(worker, 20) ? sizeof times / sizeof times[0] : 9)];
}

static void spoil(struct worker *worker, struct message *m, struct call *call)
{
	switch (below(worker, 10)) {
	case 0: call->option ^= 1 << below(worker, 12); break;
	case 1: call->receive_size = (uint32_t)below(worker, 60); break;
	case 2: call->receive = some_name(worker); break;
	case 3: call->notify = some_name(worker); call->option |= one_in(worker, 2) ? MACH_SEND_NOTIFY : MACH_RCV_NOTIFY; break;
	case 4: m->head->msgh_local_slot = some_name(worker); break;
	case 5: m->head->msgh_remote_slot = some_name(worker); break;
	case 6: m->head->msgh_bits ^= (uint32_t)below(worker, 32) << (one_in(worker, 2) ? 8 : 0); break;
	case 7: m->size += (uint32_t)below(worker, 4) * 8 - 8; break;
	case 8: m->head->msgh_bits |= MACH_MSGH_BITS_COMPLEX; break;
	default: call->option &= ~(MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT); break;
	}
}

/* Where the message lies: mostly in memory of the worker's own, else where others unmap, protect and copy. */
static mach_msg_header_t *place(struct worker *worker, struct message *m)
{
	vm_address_t address;

	if (!one_in(worker, 4) || m->size > 4096)
		return m->head;
	address = some_address(worker) & ~7ull;
	if (one_in(worker, 3))
		address = (address & ~4095ull) + 4096 - (m->size < 4096 ? below(worker, m->size / 8) * 8 : 8);
	/* A page has to be written as a whole. */
	if (m->size <= 4096 && one_in(worker, 2)) {
		if (vm_write(mach_task_self(), address & ~4095ull, (vm_offset_t)m->head & ~4095ull, 4096) == KERN_SUCCESS)
			return (mach_msg_header_t *)((address & ~4095ull) + ((vm_offset_t)m->head & 4095));
	}
	memcpy((void *)address, m->head, m->size);
	return (mach_msg_header_t *)address;
}

static void do_call(struct worker *worker, struct message *m, struct call *call)
{
	mach_msg_header_t *head = m->head;
	mach_msg_return_t code;

	if (one_in(worker, worker->messages_mostly ? 40 : 6))
		spoil(worker, m, call);
	m->once_data &= MACH_MSGH_BITS_REMOTE(m->head->msgh_bits) == MACH_MSG_TYPE_MOVE_SEND_ONCE && m->size <= 256 &&
			(m->head->msgh_bits & MACH_MSGH_BITS_COMPLEX) == 0 && MACH_MSGH_BITS_LOCAL(m->head->msgh_bits) == 0;
	head = place(worker, m);
	code = mach_msg_trap(head, call->option, m->size, call->receive_size, call->receive, call->timeout, call->notify);
	if ((call->option & MACH_SEND_MSG) != 0)
		__atomic_add_fetch(&common->sent, 1, __ATOMIC_RELAXED);
	/* What the design guarantees; with the wrong address, name or size it is not such a message. */
	if (m->once_data && head == m->head && (code == MACH_SEND_NO_BUFFER || code == MACH_SEND_TIMED_OUT)) {
		common->refused_code = (uint64_t)(uint32_t)code;
		__atomic_add_fetch(&common->refused, 1, __ATOMIC_RELAXED);
	}
	if (code == MACH_MSG_SUCCESS && (call->option & MACH_RCV_MSG) != 0)
		digest(worker, head);
	if (code == MACH_RCV_TOO_LARGE && (call->option & MACH_RCV_LARGE) != 0 && one_in(worker, 2)) {
		code = mach_msg_trap(m->head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, OUT_ROOM, call->receive, 0, 0);
		if (code == MACH_MSG_SUCCESS)
			digest(worker, m->head);
	}
}

static void begin(struct worker *worker, struct message *m, unsigned remote_type, mach_port_name_t remote, unsigned local_type,
		  mach_port_name_t local)
{
	m->head = (mach_msg_header_t *)(worker->out + (one_in(worker, 10) ? below(worker, 16) * 8 : 0));
	*m->head = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(remote_type, local_type), .msgh_remote_slot = remote,
					.msgh_local_slot = local, .msgh_id = (int)below(worker, 100) };
	m->size = HEAD;
	m->once_data = false;
}

static void body(struct worker *worker, struct message *m)
{
	if (one_in(worker, 3))
		add_items(worker, m);
	else if (one_in(worker, 2))
		m->size = sizes[below(worker, one_in(worker, 5) ? sizeof sizes / sizeof sizes[0] : 7)];
}

/* A call as a client makes it. */
static void request(struct worker *worker)
{
	struct message m;
	struct call call = { MACH_SEND_MSG | MACH_RCV_MSG | MACH_RCV_TIMEOUT | (one_in(worker, 3) ? MACH_SEND_TIMEOUT : 0),
			     one_in(worker, 3) ? 256 : OUT_ROOM - 256, worker->reply, MACH_PORT_NULL, some_timeout(worker) };

	begin(worker, &m, MACH_MSG_TYPE_COPY_SEND, some_slot(worker, SLOT_COMMON, SLOT_SETS - SLOT_COMMON),
	      MACH_MSG_TYPE_MAKE_SEND_ONCE, worker->reply);
	body(worker, &m);
	if (one_in(worker, 4))
		call.option |= MACH_RCV_LARGE;
	if ((call.option & MACH_SEND_TIMEOUT) == 0 && one_in(worker, 2))
		call.option |= MACH_SEND_TIMEOUT;
	do_call(worker, &m, &call);
}

/* A server's receive, with the answer to the message before. */
static void serve(struct worker *worker)
{
	struct message m;
	struct call call = { MACH_RCV_MSG | MACH_RCV_TIMEOUT, one_in(worker, 4) ? 256 : OUT_ROOM - 256,
			     some_slot(worker, SLOT_PORTS, SLOT_FREE - SLOT_PORTS), MACH_PORT_NULL, some_timeout(worker) };

	begin(worker, &m, MACH_MSG_TYPE_MOVE_SEND_ONCE, worker->answer_to, 0, 0);
	if (worker->answer_to != MACH_PORT_NULL && !one_in(worker, 8)) {
		call.option |= MACH_SEND_MSG;
		worker->answer_to = MACH_PORT_NULL;
		m.once_data = true;
		body(worker, &m);
		m.once_data &= m.size <= 256;
	}
	if (one_in(worker, 5))
		call.option |= MACH_RCV_LARGE;
	do_call(worker, &m, &call);
}

static void send_only(struct worker *worker)
{
	static const uint8_t remotes[] = { 17, 18, 19, 19, 19, 19, 20, 20, 21, 21 };
	static const uint8_t locals[] = { 0, 0, 0, 17, 18, 19, 20, 21 };
	struct message m;
	struct call call = { MACH_SEND_MSG | MACH_SEND_TIMEOUT, 0, MACH_PORT_NULL, MACH_PORT_NULL, some_timeout(worker) };
	unsigned local = locals[below(worker, sizeof locals)];

	begin(worker, &m, remotes[below(worker, sizeof remotes)], some_name(worker), local, local != 0 ? some_name(worker) : 0);
	body(worker, &m);
	if (one_in(worker, 10)) {
		call.option |= MACH_SEND_NOTIFY;
		call.notify = some_slot(worker, SLOT_PORTS, 12);
	}
	do_call(worker, &m, &call);
}

void message_operation(struct worker *worker)
{
	switch (below(worker, 8)) {
	case 0: case 1: case 2: request(worker); break;
	case 3: case 4: case 5: serve(worker); break;
	default: send_only(worker); break;
	}
}

/* Any id to any kernel object, with items that are right more often than not. */
void nonsense_operation(struct worker *worker)
{
	static const struct { int first, count; } ranges[] = {
		{ 2000, 101 }, { 2200, 10 }, { 2400, 2 }, { 2600, 50 }, { 2800, 16 }, { 3000, 26 }, { 3200, 25 },
		{ 3800, 11 }, { 4000, 13 }, { 4200, 18 }, { 5000, 18 }, { 5300, 3 }, { 64, 10 },
	};
	unsigned range = (unsigned)below(worker, sizeof ranges / sizeof ranges[0]);
	struct message m;
	struct call call = { MACH_SEND_MSG | MACH_RCV_MSG | MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT, OUT_ROOM - 256, worker->reply,
			     MACH_PORT_NULL, some_timeout(worker) };

	begin(worker, &m, MACH_MSG_TYPE_COPY_SEND, some_slot(worker, 0, SLOT_COMMON), MACH_MSG_TYPE_MAKE_SEND_ONCE, worker->reply);
	m.head->msgh_id = ranges[range].first + (int)below(worker, (uint64_t)ranges[range].count);
	if (one_in(worker, 2)) {
		add_items(worker, &m);
	} else {
		for (unsigned n = (unsigned)below(worker, 6); n > 0; n--) {
			uint64_t word = some_word(worker);
			bool wide = one_in(worker, 2);

			add_type(&m, wide ? MACH_MSG_TYPE_INTEGER_64 : MACH_MSG_TYPE_INTEGER_32, wide ? 64 : 32, true, false, 1);
			add(&m, &word, 8);
		}
	}
	do_call(worker, &m, &call);
}
