/* SPDX-License-Identifier: BSD-2-Clause */
/* The keeper: starts the first bomber, counts, and gives all back. */
#include "forkbomb.h"
#include <exc_server.h>
#include <inttypes.h>
#include <ledger_user.h>
#include <mach.h>
#include <mach/notify.h>
#include <mach/program.h>
#include <mach/task_special_ports.h>
#include <mach/threads.h>
#include <stdio.h>
#include <stdlib.h>

#define CHILD_SIZE_MAX	(64 * 1024 * 1024)
#define PATIENCE	50	/* times that nothing was heard of children who must come */
#define QUIET_MS	3000	/* bombers that are not heard of for so long are dead or starved */

struct child {
	mach_port_t task, answer;
};

#define PIECE		512
#define PIECES_MAX	4096
static struct child *pieces[PIECES_MAX];

#define CHURN_CHILDREN	5	/* -t tells another number */
#define CHURN_ROUNDS	1000	/* -n tells another number */

static struct bomber bomber;
static task_t first[FLOOD_TASKS_MAX];	/* the bombers that the keeper forks */
static uint64_t first_count;
static uint64_t children_max;	/* of all of them (chain, tree) */
static uint64_t granted;	/* that the forkers may make, or have made (chain, tree) */
static uint64_t children;	/* heard of and kept */
static uint64_t forks;		/* that their forkers told of */
static uint64_t last_heard_us;
static uint64_t forkers;	/* whose `done` is still to come */
static struct flood_end end;
static struct flood_options options;
static uint64_t begin_us;

union message {
	mach_msg_header_t head;
	struct born_message born;
	struct done_message done;
	char room[512];
};
static union message request, reply;

static struct child *place_of(uint64_t index)
{
	return &pieces[index / PIECE][index % PIECE];
}

/* The first denial is the one that counts; a mere end of a flood is none. */
static void remember_end(const struct flood_end *other)
{
	if (!end.denied && other->code != KERN_SUCCESS)
		end = *other;
}

/* A page that was denied to a bomber: the thread knows by whom. It dies of it. */
kern_return_t catch_exception_raise(mach_port_t port, mach_port_t thread, mach_port_t task,
				    integer_t exception, integer_t code, rpc_long_integer_t subcode)
{
	struct flood_end other = { .code = code };

	(void)port, (void)exception, (void)subcode;
	if (code == KERN_RESOURCE_SHORTAGE)
		other.denied = ledger_last_denial(thread, &other.denial) == KERN_SUCCESS;
	else
		printf("forkbomb: a child met exception %d, code %d, at %#" PRIx64 "\n", exception,
		       code, (uint64_t)subcode);
	remember_end(&other);
	give_back_right(thread);
	give_back_right(task);
	return KERN_FAILURE;
}

/* How many children one forker of a chain or a tree makes, when so many may still come. */
static uint64_t grant_of(uint64_t left)
{
	uint64_t most = bomber.shape == SHAPE_TREE ? 2 : 1;

	return most < left ? most : left;
}

/* Lets a child fork: the answer carries the right for its `done`. */
static kern_return_t send_go(mach_port_t answer, uint64_t count)
{
	struct go_message message = {
		.head = {
			.msgh_bits = MACH_MSGH_BITS(MACH_MSG_TYPE_MOVE_SEND_ONCE, 0) |
				     MACH_MSGH_BITS_COMPLEX,
			.msgh_size = sizeof message,
			.msgh_remote_slot = answer,
			.msgh_id = ID_GO,
		},
		.done_type = {
			.msgt_name = MACH_MSG_TYPE_MAKE_SEND_ONCE,
			.msgt_size = 64,
			.msgt_inline = 1,
			.msgt_number = 1,
		},
		.done = bomber.report,
		.count_type = {
			.msgt_name = MACH_MSG_TYPE_INTEGER_64,
			.msgt_size = 64,
			.msgt_inline = 1,
			.msgt_number = 1,
		},
		.count = count,
	};

	return mach_msg(&message.head, MACH_SEND_MSG, sizeof message, 0, MACH_PORT_NULL, 0,
			MACH_PORT_NULL);
}

static bool make_room(uint64_t index)
{
	vm_address_t address = 0;

	if (index % PIECE != 0)
		return true;
	if (index / PIECE == PIECES_MAX ||
	    memory_allocate(&address, PIECE * sizeof(struct child)) != KERN_SUCCESS)
		return false;
	pieces[index / PIECE] = (struct child *)address;
	return true;
}

/* A child that cannot be written down is let go at once. */
static void take_born(const struct born_message *born)
{
	struct child child = { (mach_port_t)born->task, born->head.msgh_remote_port };
	struct flood_end other = { 0 };
	bool forker = bomber.shape == SHAPE_CHAIN || bomber.shape == SHAPE_TREE;
	uint64_t count = forker ? grant_of(children_max - granted) : 0;
	kern_return_t code;

	if (!MACH_PORT_VALID(child.task) || !make_room(children)) {
		flood_stopped(&other, KERN_RESOURCE_SHORTAGE);
		remember_end(&other);
		give_back_task(child.task);
		give_back_right(child.task);
		give_back_right(child.answer);
		return;
	}
	if (count > 0 && MACH_PORT_VALID(child.answer)) {
		flood_pace(&options, children, begin_us);
		code = send_go(child.answer, count);
		if (code == MACH_MSG_SUCCESS) {
			forkers++;
			granted += count;
			child.answer = MACH_PORT_NULL;
		} else {
			flood_stopped(&other, code);
			remember_end(&other);
		}
	}
	*place_of(children++) = child;
}

static void take_message(void)
{
	last_heard_us = clock_uptime_us();
	switch (request.head.msgh_id) {
	case ID_BORN:
		take_born(&request.born);
		break;
	case ID_DONE:
		remember_end(&request.done.end);
		forks += request.done.forks;
		/* fallthrough */
	case MACH_NOTIFY_SEND_ONCE:
		if (forkers > 0)
			forkers--;
		break;
	default:
		mach_msg_answer(exc_server, &request.head, &reply.head);
		break;
	}
}

#define PROBES	128

/*
 * Children that died without a word were denied something, and nobody can tell
 * what. So the keeper, who needs nothing to speak, asks for tasks itself until
 * it is denied too.
 */
static void ask_who_denies(void)
{
	struct flood_end other = { 0 };
	task_t probes[PROBES];
	kern_return_t code = KERN_SUCCESS;
	unsigned count = 0;

	while (count < PROBES && code == KERN_SUCCESS) {
		code = syscall_task_create(mach_task_self(), FALSE, &probes[count]);
		if (code == KERN_SUCCESS)
			count++;
	}
	if (code != KERN_SUCCESS) {
		flood_stopped(&other, code);
		remember_end(&other);
	}
	while (count-- > 0) {
		give_back_task(probes[count]);
		give_back_right(probes[count]);
	}
}

/* What a child has sent could not be received. */
static void denied_to_keeper(mach_msg_return_t code)
{
	struct flood_end other = { 0 };

	if (end.denied)
		return;
	flood_stopped(&other, code);
	remember_end(&other);
}

static bool still_busy(void)
{
	/* Busy children leave each other little time to report. */
	return forkers > 0 || (bomber.shape == SHAPE_SPIN && children < forks);
}

/* Until all forkers are done and the last children have come; those held up by a shortage may never come. */
static void listen(void)
{
	unsigned patience = PATIENCE;

	/* Of many brothers the first that is denied ends the flood: those that die make room for others. */
	while (bomber.shape != SHAPE_WIDE || !end.denied) {
		mach_msg_return_t code;

		code = mach_msg(&request.head, MACH_RCV_MSG | MACH_RCV_TIMEOUT, 0, sizeof request,
				bomber.report, still_busy() ? QUIET_MS : 200, MACH_PORT_NULL);
		if ((code & ~MACH_MSG_MASK) == MACH_RCV_HEADER_ERROR ||
		    (code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
			denied_to_keeper(code);
		/* After a header error there is no body, and who sent it has been told. */
		if (code == MACH_MSG_SUCCESS || (code & ~MACH_MSG_MASK) == MACH_RCV_BODY_ERROR)
			take_message();
		else if ((code & ~MACH_MSG_MASK) == MACH_RCV_HEADER_ERROR)
			last_heard_us = clock_uptime_us();
		else if (code == MACH_RCV_TIMED_OUT) {
			/* Silent children are dead of a denial, or only slow. */
			if (!end.denied && forks > children)
				ask_who_denies();
			if (end.denied || forks <= children || patience-- == 0)
				return;
		}
		else if (code != MACH_RCV_TOO_LARGE) {
			printf("forkbomb: %s\n", mach_error_string(code));
			return;
		}
	}
}

static kern_return_t equip_first(task_t child, void *argument)
{
	mach_port_t report = bomber.report;
	kern_return_t code;

	(void)argument;
	code = mach_port_insert_right(child, REPORT_NAME, report, MACH_MSG_TYPE_MAKE_SEND);
	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(child, DONE_NAME, report,
					      MACH_MSG_TYPE_MAKE_SEND_ONCE);
	if (code == KERN_SUCCESS)
		code = task_set_special_port(child, TASK_EXCEPTION_PORT, report);
	return code;
}

/* Some are enough: the end tells why there are no more. */
static kern_return_t start(void)
{
	uint64_t wanted = options.tasks > 0 ? options.tasks : 1;
	mach_port_t self = mach_task_self();
	kern_return_t code = mach_port_allocate(self, MACH_PORT_RIGHT_RECEIVE, &bomber.report);

	if (code == KERN_SUCCESS)
		code = mach_port_insert_right(self, bomber.report, bomber.report,
					      MACH_MSG_TYPE_MAKE_SEND);
	while (code == KERN_SUCCESS && first_count < wanted) {
		code = program_fork(bomber_first, &bomber, equip_first, &first[first_count]);
		if (code == KERN_SUCCESS)
			first_count++;
	}
	if (code != KERN_SUCCESS)
		flood_stopped(&end, code);
	/* Forking made our pages copy-on-write; from now on none of ours may be denied. */
	if (first_count > 0)
		code = program_touch_static();
	forkers = first_count;
	return code;
}

static void give_all_back(void)
{
	struct flood_order order = flood_order(children, options.seed);

	for (uint64_t i = 0; i < first_count; i++) {
		give_back_task(first[i]);
		give_back_right(first[i]);
	}
	for (uint64_t i = 0; i < children; i++) {
		struct child *child = place_of(flood_order_next(&order));

		give_back_task(child->task);
		give_back_right(child->task);
		give_back_right(child->answer);
	}
	for (uint64_t i = 0; i < PIECES_MAX && pieces[i] != NULL; i++)
		give_back_memory((vm_address_t)pieces[i], PIECE * sizeof(struct child));
	mach_port_mod_refs(mach_task_self(), bomber.report, MACH_PORT_RIGHT_RECEIVE, -1);
}

static void parse_options(int argc, char **argv)
{
	static const char *const shapes[] = {
		"wide", "chain", "tree", "spin", "churn", NULL
	};
	static const struct flood_syntax syntax = {
		"snptrSkz", shapes,
		"forks until denied; spin: busy children; churn: -t children are started and\n"
		"  killed, -n times over",
		"bytes of memory that each child takes", CHILD_SIZE_MAX
	};
	uint64_t firsts;

	flood_parse(argc, argv, &syntax, &options);
	firsts = options.tasks > 0 ? options.tasks : 1;
	bomber.shape = (enum shape)options.shape;
	bomber.options = options;
	bomber.first_count = options.count;
	if (bomber.shape != SHAPE_CHAIN && bomber.shape != SHAPE_TREE)
		return;
	bomber.first_count = grant_of(options.count);
	granted = firsts * bomber.first_count;
	children_max = options.count < UINT64_MAX / firsts ? options.count * firsts : UINT64_MAX;
}

static kern_return_t equip_idle(task_t child, void *argument)
{
	(void)argument;
	return mach_port_insert_right(child, REPORT_NAME, bomber.report, MACH_MSG_TYPE_MAKE_SEND);
}

/* So many children are started and killed again; how many were started. */
static uint64_t churn_round(uint64_t width, kern_return_t *code)
{
	struct flood_order order;
	uint64_t started = 0;

	while (started < width &&
	       (*code = program_fork(bomber_idle, &bomber, equip_idle, &first[started])) ==
		       KERN_SUCCESS)
		started++;
	if (*code != KERN_SUCCESS)
		flood_stopped(&end, *code);
	thread_yield();		/* they take what they take */
	order = flood_order(started, options.seed);
	for (uint64_t i = 0; i < started; i++) {
		task_t task = first[flood_order_next(&order)];

		give_back_task(task);
		give_back_right(task);
	}
	return started;
}

/* Nothing is held between two rounds, so it ends by itself unless one round is too much. */
static int churn(const char *program)
{
	uint64_t width = options.tasks > 0 ? options.tasks : CHURN_CHILDREN;
	uint64_t rounds = options.count < UINT64_MAX ? options.count : CHURN_ROUNDS;
	uint64_t started = 0, done = 0;
	kern_return_t code = mach_port_allocate(mach_task_self(), MACH_PORT_RIGHT_RECEIVE,
						&bomber.report);

	if (code != KERN_SUCCESS)
		flood_stopped(&end, code);
	else
		flood_reserve();
	for (; code == KERN_SUCCESS && done < rounds; done++) {
		started += churn_round(width, &code);
		flood_pace(&options, started, begin_us);
	}
	printf("%s: %" PRIu64 " children in %" PRIu64 " ms (%" PRIu64 " rounds)\n", program,
	       started, (clock_uptime_us() - begin_us) / 1000, done);
	flood_print_end(program, &end);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	uint64_t middle;
	kern_return_t code;

	parse_options(argc, argv);
	begin_us = clock_uptime_us();
	if (bomber.shape == SHAPE_CHURN)
		return churn(argv[0]);
	code = start();
	if (code != KERN_SUCCESS) {
		if (end.code == KERN_SUCCESS)
			flood_stopped(&end, code);
		printf("%s: not even one fork\n", argv[0]);
		flood_print_end(argv[0], &end);
		return EXIT_FAILURE;
	}
	flood_reserve();
	listen();
	if (!end.denied && end.code != KERN_SUCCESS)
		ask_who_denies();
	middle = clock_uptime_us();
	/* Those that died early count. */
	printf("%s: %" PRIu64 " children in %" PRIu64 " ms (%" PRIu64 " reported)\n",
	       argv[0], forks > children ? forks : children, (last_heard_us - begin_us) / 1000,
	       children);
	if (options.keep)
		flood_print_end(argv[0], &end);
	while (options.keep)
		thread_sleep(1000);
	give_all_back();
	printf("%s: gave all back in %" PRIu64 " ms\n", argv[0],
	       (clock_uptime_us() - middle) / 1000);
	flood_print_end(argv[0], &end);
	return EXIT_SUCCESS;
}
