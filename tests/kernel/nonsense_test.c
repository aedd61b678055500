/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Nonsense sent to every kind of kernel port: every message id with bodies of random items, rights and
 * memory. Nothing is claimed of the answers, but that there is an end, no panic, and that the books agree.
 * RUN: in root nonsense_test
 * LIMIT: 240
 */
#include <ledger_user.h>
#include <mach.h>
#include <mach_debug_user.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <string.h>
#include "child.h"
#include "snapshot.h"
#include "tap.h"

#define SEED		4711
#define ROUNDS		3
#define MESSAGES	1500

enum kind {
	KIND_TASK, KIND_THREAD, KIND_LEDGER, KIND_LEDGER_NAME, KIND_HOST, KIND_HOST_PRIV, KIND_PROCESSOR,
	KIND_PSET, KIND_PSET_NAME, KIND_MEMORY, KIND_REPLY, KINDS
};
static const char *const kind_names[KINDS] = {
	"a task", "a thread", "a ledger", "a ledger's name", "the host", "the privileged host", "the processor",
	"the processor set", "the processor set's name", "a memory object's name", "a port of its own",
};

struct work {
	uint32_t kind, done, sent, answered;
	uint64_t seed;
};
static struct work *work;

/* The ranges of ids that the kernel serves, with a little beyond. */
static const struct { int first, count; } ranges[] = {
	{ 2000, 101 }, { 2200, 10 }, { 2400, 2 }, { 2600, 50 }, { 2800, 16 }, { 3000, 26 }, { 3200, 25 },
	{ 3800, 11 }, { 4000, 13 }, { 4200, 18 }, { 5000, 18 }, { 5200, 10 }, { 64, 10 }, { 2500, 1 },
};

/* What would end or change the machine for those behind us, or hand out others' tasks to break. */
static bool forbidden(int id)
{
	switch (id) {
	case 2632: case 2633: case 2644: case 2645:	/* the clock */
	case 2635:					/* host_reboot */
	case 2627: case 2628:				/* processor_set_tasks, _threads */
	case 2623:					/* processor_set_max_priority, of all threads */
	case 5011: case 5013: case 5015:		/* the root ledger, other ledgers' control */
	case 5201: case 5205: case 5206: case 5207: case 5208:	/* zones' maxima, weir_debug, halt, tasks */
	case 3223:
		return true;
	default:
		return false;
	}
}

/* What a message is sent to; made anew when the nonsense has ended it. */
struct victims {
	task_t task;
	thread_t thread;
	ledger_t ledger;
	vm_address_t memory;
};

/* A child has one of these rights by this name. */
#define HOST_PRIV_NAME	0x6001

static void renew(struct victims *victims)
{
	give_back_task(victims->task);
	give_back_right(victims->thread);
	give_back_right(victims->task);
	if (MACH_PORT_VALID(victims->ledger)) {
		ledger_terminate(victims->ledger);
		give_back_right(victims->ledger);
	}
	*victims = (struct victims){ 0 };
	task_create(mach_task_self(), FALSE, &victims->task);
	if (!MACH_PORT_VALID(victims->task))
		return;
	thread_create(victims->task, &victims->thread);
	vm_allocate(victims->task, &victims->memory, 16 * vm_page_size, TRUE);
}

static mach_port_t own_ledger_name(void)
{
	mach_port_t name = MACH_PORT_NULL;

	task_get_ledger(mach_task_self(), &name);
	return name;
}

static mach_port_t memory_name(void)
{
	static uint64_t page[512] __attribute__((aligned(4096)));
	vm_address_t address = (vm_address_t)page;
	vm_size_t size;
	vm_prot_t protection, maximum;
	vm_inherit_t inheritance;
	boolean_t shared;
	mach_port_t object = MACH_PORT_NULL;
	vm_offset_t offset;

	page[0] = 1;
	vm_region(mach_task_self(), &address, &size, &protection, &maximum, &inheritance, &shared, &object, &offset);
	return object;
}

/* The target; for kinds that last, made once. */
static mach_port_t target_of(struct victims *victims)
{
	static mach_port_t fixed;
	processor_array_t list;
	mach_msg_type_number_t count = 0;
	mach_port_t name;

	switch (work->kind) {
	case KIND_TASK: return victims->task;
	case KIND_THREAD: return victims->thread;
	case KIND_LEDGER:
		if (!MACH_PORT_VALID(victims->ledger) && MACH_PORT_VALID(name = own_ledger_name())) {
			ledger_create(name, "nonsense", &victims->ledger);
			give_back_right(name);
		}
		return victims->ledger;
	default: break;
	}
	if (fixed != MACH_PORT_NULL)
		return fixed;
	switch (work->kind) {
	case KIND_LEDGER_NAME: fixed = own_ledger_name(); break;
	case KIND_HOST: fixed = mach_host_self(); break;
	case KIND_HOST_PRIV: fixed = HOST_PRIV_NAME; break;
	case KIND_PROCESSOR:
		if (host_processors(HOST_PRIV_NAME, &list, &count) == KERN_SUCCESS && count > 0)
			fixed = list[0];
		break;
	case KIND_PSET:
	case KIND_PSET_NAME:
		processor_set_default(mach_host_self(), &fixed);
		if (work->kind == KIND_PSET)
			host_processor_set_priv(HOST_PRIV_NAME, fixed, &fixed);
		break;
	case KIND_MEMORY: fixed = memory_name(); break;
	case KIND_REPLY: mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE, &fixed); break;
	default: break;
	}
	return fixed;
}

static uint64_t random_word(struct random *random, const struct victims *victims, mach_port_t target)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, 4, 5, 7, 8, 16, 64, 4095, 4096, 4097, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
		0x7fffffffe000, 0x7ffffffff000, 0x800000000000, 0xffff800000000000, 0xffffffff80000000,
		0xfffffffffffff000, ~0ull,
	};

	switch (random_below(random, 8)) {
	case 0: return target;
	case 1: return victims->task;
	case 2: return victims->thread;
	case 3: return victims->memory + random_below(random, 17) * 4096;
	case 4: return random_next(random);
	case 5: return random_below(random, 40);
	default: return values[random_below(random, countof(values))];
	}
}

#define ROOM	1024

/* A body of items that are right more often than not; returns its size. */
static uint32_t random_body(struct random *random, char *body, const struct victims *victims, mach_port_t target)
{
	static const unsigned names[] = { 0, 1, 2, 2, 2, 2, 8, 9, 11, 11, 11, 12, 15, 15, 16, 17, 18, 19, 19, 20, 21, 23, 99 };
	uint32_t size = 0, items = (uint32_t)random_below(random, 8);

	while (items-- > 0 && size < ROOM - 256) {
		unsigned name = names[random_below(random, countof(names))];
		bool port = name >= 16 && name <= 21, wrong = random_below(random, 12) == 0;
		bool in_line = random_below(random, 5) != 0;
		mach_msg_type_t type = {
			.msgt_name = name,
			.msgt_size = (wrong ? (unsigned)random_next(random) : port ? (in_line ? 64u : 32u) :
				      name == 11 ? 64u : name == 8 || name == 9 || name == 12 ? 8u : 32u) & 0xffff,
			.msgt_unused = wrong && random_below(random, 4) == 0 ? 3 : 0,
			.msgt_inline = in_line,
			.msgt_longform = random_next(random) & 1,
			.msgt_deallocate = !in_line && random_below(random, 8) == 0,
			.msgt_number = (uint32_t)(random_below(random, 10) != 0 ? random_below(random, 3) + (!in_line || random_below(random, 4)) :
						  random_below(random, 6) == 0 ? random_next(random) : random_below(random, 40)),
		};
		uint64_t bytes = in_line ? ((uint64_t)type.msgt_size * type.msgt_number + 7) / 8 : 8;

		/* Random memory of the child's own that is taken away would only end it. */
		if (type.msgt_deallocate)
			type.msgt_deallocate = 0;
		memcpy(body + size, &type, sizeof type);
		size += sizeof type;
		bytes = bytes > 200 ? 200 : (bytes + 7) & ~7ull;
		for (uint64_t i = 0; i < bytes; i += 8) {
			uint64_t word = random_word(random, victims, target);

			memcpy(body + size + i, &word, 8);
		}
		size += (uint32_t)bytes;
	}
	return size;
}

static void send_nonsense(struct random *random, struct victims *victims, mach_port_t reply)
{
	static struct {
		mach_msg_header_t head;
		char body[2 * ROOM];
	} message __attribute__((aligned(16)));
	mach_port_t target = target_of(victims);
	unsigned range = (unsigned)random_below(random, countof(ranges));
	int id = ranges[range].first + (int)random_below(random, (uint64_t)ranges[range].count);
	mach_msg_return_t code;
	uint32_t size;

	if (forbidden(id))
		return;
	size = random_body(random, message.body, victims, target);
	message.head = (mach_msg_header_t){
		.msgh_bits = MACH_MSGH_BITS(work->kind == KIND_REPLY ? MACH_MSG_TYPE_MAKE_SEND : MACH_MSG_TYPE_COPY_SEND,
					    random_below(random, 6) != 0 ? MACH_MSG_TYPE_MAKE_SEND_ONCE : 0) |
			     (random_below(random, 5) != 0 ? MACH_MSGH_BITS_COMPLEX : 0),
		.msgh_remote_slot = target, .msgh_id = id,
	};
	if (MACH_MSGH_BITS_LOCAL(message.head.msgh_bits) != 0)
		message.head.msgh_local_slot = reply;
	code = mach_msg(&message.head, MACH_SEND_MSG | MACH_RCV_MSG | MACH_SEND_TIMEOUT | MACH_RCV_TIMEOUT,
			(mach_msg_size_t)sizeof message.head + size, sizeof message,
			work->kind == KIND_REPLY ? target : reply, 0, MACH_PORT_NULL);
	work->sent++;
	if (code == MACH_MSG_SUCCESS) {
		work->answered++;
		mach_msg_destroy(&message.head);
	}
}

static void child_nonsense(void *argument)
{
	struct random random = { work->seed };
	struct victims victims = { 0 };
	mach_port_t reply = mig_get_reply_port();

	(void)argument;
	for (unsigned i = 0; i < MESSAGES; i++) {
		if (i % 8 == 0)
			renew(&victims);
		send_nonsense(&random, &victims, reply);
	}
	word_post(&work->done, 1);
	for (;;)
		thread_yield();
}

static kern_return_t give_host_priv(struct child *child, void *argument)
{
	kern_return_t code = task_set_special_port(child->task, TASK_BOOTSTRAP_PORT, MACH_PORT_NULL);

	(void)argument;
	return code != KERN_SUCCESS ? code :
	       mach_port_insert_right(child->task, HOST_PRIV_NAME, test_host_priv(), MACH_MSG_TYPE_COPY_SEND);
}

static void test_kind(enum kind kind)
{
	struct child_options options = { .before = give_host_priv };
	uint32_t sent = 0, answered = 0;
	struct snapshot before;

	snapshot_take(&before, test_ledger());
	options.ledger = ledger_new(test_ledger(), "nonsense");
	/* Nonsense may ask for much. */
	need(ledger_set_limit(options.ledger, LEDGER_KMEM, 8 << 20), "a limit");
	need(ledger_set_limit(options.ledger, LEDGER_RESIDENT_PAGES, 4096), "a limit");
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct child child;

		*work = (struct work){ .kind = kind, .seed = SEED + kind * 1000 + round };
		need(child_start(&child, child_nonsense, NULL, &options), "a child");
		/* A child that the nonsense has hit itself may stand or be gone: the next goes on. */
		word_await(&work->done, 1, 4000);
		sent += work->sent;
		answered += work->answered;
		child_finish(&child);
	}
	ok(sent > MESSAGES / 4, "%s is sent nonsense (%u messages, %u answered)", kind_names[kind], sent, answered);
	ledger_terminate(options.ledger);
	give_back_right(options.ledger);
	snapshot_settles(&before, SNAPSHOT_THINGS, "%s: all that nonsense has taken comes back", kind_names[kind]);
	if (!ok(books_agree(), "%s: the books agree after it", kind_names[kind]))
		diag("got: %s", books_text());
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 240);
	diag("seed %u", SEED);
	work = shared_alloc(vm_page_size);
	for (unsigned kind = 0; kind < KINDS; kind++)
		test_kind((enum kind)kind);
	shared_free(work, vm_page_size);
	return done_testing();
}
