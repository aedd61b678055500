/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages that the kernel writes straight into the buffer of the thread that waits for them (ipc/msg_fast.c): it remembers where that
 * is. Whatever happens to the memory or to the thread meanwhile, the message goes where it should, and nothing else is written to.
 * RUN: in root msg_straight_test
 */
#include <mach.h>
#include <mach/mig_support.h>
#include <mach/threads.h>
#include <string.h>
#include "child.h"
#include "msg.h"
#include "tap.h"

#define PAGE		4096u
#define PAGES		64u
#define PATIENCE_MS	10000
#define SHORT_MS	50
#define CALL		(MACH_SEND_MSG | MACH_RCV_MSG)
#define ROOM		512u

struct small {
	mach_msg_header_t head;
	uint64_t value[2];
};

/* A server in another task, which answers with one more, from the buffer that it receives in. */
struct server {
	uint32_t step;			/* 1: it has begun; 2: it has ended */
	mach_msg_return_t code;
	mach_port_t request;		/* receive right to give */
	vm_address_t area;		/* its buffer */
};

enum { REQUEST = 0x700, ID = 500 };

static struct server *server;
static struct child child;
static mach_port_t to, reply;

static kern_return_t give_port(struct child *of, void *argument)
{
	(void)argument;
	return mach_port_insert_right(of->task, REQUEST, server->request, MOVE_RECEIVE);
}

static void server_main(void *argument)
{
	struct server *s = argument;
	struct small *m = (struct small *)s->area;
	mach_msg_return_t code;

	m->value[1] = 0;
	word_post(&s->step, 1);
	code = mach_msg_trap(&m->head, MACH_RCV_MSG, 0, ROOM, REQUEST, 0, 0);
	while (code == MACH_MSG_SUCCESS) {
		m->head.msgh_bits = MACH_MSGH_BITS(MOVE_ONCE, 0);
		m->head.msgh_local_slot = 0;
		m->head.msgh_id++;
		m->value[0]++;
		code = mach_msg_trap(&m->head, CALL, sizeof *m, ROOM, REQUEST, 0, 0);
	}
	s->code = code;
	word_post(&s->step, 2);
}

/* One call; *answer 0: there is none, or a notification instead. */
static mach_msg_return_t ask(uint64_t value, uint64_t *answer, unsigned timeout)
{
	static struct small m __attribute__((aligned(4096)));
	mach_msg_return_t code;

	m.head = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(COPY_SEND, MAKE_ONCE), .msgh_id = ID };
	m.head.msgh_remote_port = to;
	m.head.msgh_local_port = reply;
	m.value[0] = m.value[1] = value;
	code = mach_msg_trap(&m.head, timeout != 0 ? CALL | MACH_RCV_TIMEOUT : CALL, sizeof m, ROOM, reply, timeout, 0);
	*answer = m.head.msgh_id == ID + 1 && m.value[1] == value ? m.value[0] : 0;
	return code;
}

static bool answers(uint64_t value)
{
	uint64_t answer;

	return ask(value, &answer, PATIENCE_MS) == MACH_MSG_SUCCESS && answer == value + 1;
}

/* A server that has answered some calls, and waits. */
static void begin(void)
{
	vm_address_t area = 0;

	need(vm_allocate(mach_task_self(), &area, PAGES * PAGE, TRUE), "memory");
	memset((void *)area, 0, PAGES * PAGE);
	server = shared_alloc(sizeof *server);
	server->area = area;
	to = server->request = port_new_send();
	reply = mach_reply_port();
	need(child_start(&child, server_main, server, &(struct child_options){ .before = give_port }), "a server");
	need(vm_deallocate(mach_task_self(), area, PAGES * PAGE), "memory given back");
	if (!thread_await_waiting(child.thread, PATIENCE_MS))
		give_up("the server waits");
	for (uint64_t i = 1; i < 6; i++) {
		uint64_t answer;

		if (ask(i, &answer, 0) != MACH_MSG_SUCCESS || answer != i + 1)
			give_up("the server answers");
	}
}

static void end(void)
{
	child_finish(&child);
	port_free(to);
	port_free(reply);
	shared_free(server, sizeof *server);
}

/* Pages of ours, in which whatever is written by mistake shows. */
static uint8_t *pages_marked(void)
{
	vm_address_t pages = 0;

	need(vm_allocate(mach_task_self(), &pages, PAGES * PAGE, TRUE), "memory");
	memset((void *)pages, 0x55, PAGES * PAGE);
	return (uint8_t *)pages;
}

static bool still_marked(uint8_t *pages)
{
	bool good = true;

	for (unsigned i = 0; i < PAGES * PAGE; i++)
		good = good && pages[i] == 0x55;
	need(vm_deallocate(mach_task_self(), (vm_address_t)pages, PAGES * PAGE), "memory given back");
	return good;
}

static void other_page(void)
{
	vm_address_t area;
	uint8_t *pages;

	begin();
	area = server->area;
	need(vm_deallocate(child.task, area, PAGE), "the server's buffer is taken away");
	pages = pages_marked();
	need(vm_allocate(child.task, &area, PAGE, FALSE), "there is new memory in its place");
	ok(answers(100) && answers(101) && answers(102), "a buffer that is new memory by now gets the message");
	ok(still_marked(pages), "and the page that it was does not");
	end();
	begin();
	need(vm_deallocate(child.task, server->area, PAGE), "the server's buffer is taken away");
	pages = pages_marked();
	ok(!answers(200), "a buffer that is gone gets nothing");
	ok(word_await(&server->step, 2, PATIENCE_MS), "the server is told");
	is_code(server->code, MACH_RCV_INVALID_DATA, "that it has none");
	ok(still_marked(pages), "and the page that it was gets nothing either");
	end();
}

static void copied_page(void)
{
	vm_offset_t data = 0;
	mach_msg_type_number_t size = 0;
	struct small *copy, before;

	begin();
	need(vm_read(child.task, server->area, PAGE, &data, &size), "a copy of the server's buffer");
	copy = (struct small *)data;
	before = *copy;
	ok(answers(300) && answers(301), "a buffer that was copied gets the message");
	ok(before.value[1] == 5 && memcmp(copy, &before, sizeof before) == 0, "its copy stays as it was");
	need(vm_deallocate(mach_task_self(), data, size), "the copy");
	end();
}

static void protected_page(void)
{
	begin();
	need(vm_protect(child.task, server->area, PAGE, FALSE, VM_PROT_READ), "the server's buffer may not be written to");
	ok(!answers(400), "a buffer that may not be written to is not");
	ok(word_await(&server->step, 2, PATIENCE_MS), "the server is told");
	is_code(server->code, MACH_RCV_INVALID_DATA, "that it may not");
	end();
	begin();
	need(vm_protect(child.task, server->area, PAGE, FALSE, VM_PROT_READ), "the server's buffer may not be written to");
	need(vm_protect(child.task, server->area, PAGE, FALSE, VM_PROT_READ | VM_PROT_WRITE), "but may again");
	ok(answers(401) && answers(402), "a buffer that may be written to again is");
	end();
}

/* The late answer of a server that did not run when it was asked. */
static bool answered_late(uint64_t value)
{
	struct msg m;

	return msg_receive(&m, reply, 0, 0) == MACH_MSG_SUCCESS && m.head.msgh_id == ID + 1 && m.words[4] == value + 1;
}

static void stopped(void)
{
	uint64_t answer;

	begin();
	need(thread_suspend(child.thread), "the server's thread stops");
	is_code(ask(500, &answer, SHORT_MS), MACH_RCV_TIMED_OUT, "a suspended thread does not answer");
	need(thread_resume(child.thread), "it goes on");
	ok(answered_late(500) && answers(501) && answers(502), "and answers");
	need(task_suspend(child.task), "the server's task stops");
	is_code(ask(503, &answer, SHORT_MS), MACH_RCV_TIMED_OUT, "a thread of a suspended task does not answer");
	need(task_resume(child.task), "it goes on");
	ok(answered_late(503) && answers(504) && answers(505), "and answers");
	need(task_terminate(child.task), "the server's task ends");
	is_code(ask(506, &answer, PATIENCE_MS), MACH_SEND_INVALID_DEST, "nobody is there to answer");
	end();
}

/* The wait ends, and the same buffer is used for something else. */
static void aborted(void)
{
	begin();
	need(thread_abort(child.thread), "the server's wait is aborted");
	ok(word_await(&server->step, 2, PATIENCE_MS), "it ends");
	is_code(server->code, MACH_RCV_INTERRUPTED, "interrupted");
	end();
}

/* -- two threads of a task whose buffers overlap -- */

#define LONG		200u

union long_message {
	mach_msg_header_t head;
	uint64_t word[LONG / 8];
};

struct inside {
	uint64_t *place;		/* where it receives */
	union long_message got;
	mach_msg_return_t code;
};

/* Answers from elsewhere, from the first call on. */
static void inside_main(void *argument)
{
	struct inside *s = argument;
	mach_msg_header_t *head = (mach_msg_header_t *)s->place;
	struct small answer;

	s->code = mach_msg_trap(head, MACH_RCV_MSG, 0, ROOM, to, 0, 0);
	while (s->code == MACH_MSG_SUCCESS && head->msgh_id != ID + 2) {
		memcpy(&s->got, s->place, sizeof s->got);
		answer.head = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(MOVE_ONCE, 0), .msgh_id = ID + 1 };
		answer.head.msgh_remote_port = head->msgh_remote_port;
		s->code = mach_msg_trap(&answer.head, MACH_SEND_MSG, sizeof answer, 0, 0, 0, 0);
		if (s->code == MACH_MSG_SUCCESS)
			s->code = mach_msg_trap(head, MACH_RCV_MSG, 0, ROOM, to, 0, 0);
	}
}

static mach_msg_return_t call_from(uint64_t *place, mach_msg_id_t id, mach_msg_option_t option)
{
	union long_message *m = (union long_message *)place;

	for (unsigned i = 0; i < LONG / 8; i++)
		m->word[i] = 1000 + i;
	m->head = (mach_msg_header_t){ .msgh_bits = MACH_MSGH_BITS(COPY_SEND, option == CALL ? MAKE_ONCE : 0), .msgh_id = id };
	m->head.msgh_remote_port = to;
	m->head.msgh_local_port = option == CALL ? reply : MACH_PORT_NULL;
	return mach_msg_trap(&m->head, option, LONG, ROOM, reply, 0, 0);
}

static bool as_sent(const union long_message *m)
{
	bool good = m->head.msgh_id == ID && m->head.msgh_size == LONG;

	for (unsigned i = sizeof m->head / 8; i < LONG / 8; i++)
		good = good && m->word[i] == 1000 + i;
	return good;
}

static void overlapping(void)
{
	static uint64_t page[PAGE / 8] __attribute__((aligned(4096)));
	struct inside s = { .place = page + 128 };
	struct thread *thread;

	to = port_new_send();
	reply = mach_reply_port();
	need(thread_spawn(inside_main, &s, 0, &thread), "a thread");
	for (unsigned i = 0; i < 4; i++)
		need(call_from(page + 256, ID, CALL), "a call from elsewhere in the page");
	for (int by = -8; by <= 8; by++) {
		if (!thread_await_waiting(thread->port, PATIENCE_MS))
			give_up("it waits");
		need(call_from(s.place + by, ID, CALL), "a call");
		ok(as_sent(&s.got), "a message that lies %d bytes from where it is received is received as it was sent", by * 8);
	}
	need(call_from(page + 256, ID + 2, MACH_SEND_MSG), "the last");
	thread_join(thread);
	port_free(to);
	port_free(reply);
}

int main(int argc, char **argv)
{
	test_begin(argc, argv, 60);
	other_page();
	copied_page();
	protected_page();
	stopped();
	aborted();
	overlapping();
	return done_testing();
}
