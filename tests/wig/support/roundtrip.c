/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's half: stubs of sample.defs against a mach_msg that calls the server's half. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mach/mig_errors.h>
#include <mach/mig_support.h>
#include "roundtrip.h"
#include "sample_user.h"

#define PORT	0x111
#define REPLY	0x507

kern_return_t next_code;
unsigned served;

static bool capture_only, print_reply;
static mach_msg_header_t *captured;
static mach_msg_option_t last_option;
static mach_msg_timeout_t last_timeout;
static unsigned destroyed;

void claim(bool true_, const char *text)
{
	printf("%s - %s\n", true_ ? "ok" : "not ok", text);
}

void mach_msg_destroy(mach_msg_header_t *msg)
{
	(void) msg;
	destroyed++;
}

bool each_right(mach_msg_header_t *msg, right_function *f)
{
	uint8_t *at = (uint8_t *) (msg + 1), *end = (uint8_t *) msg + msg->msgh_size;

	while (at < end) {
		mach_msg_type_t *type = (mach_msg_type_t *) at;
		uint64_t bytes = (uint64_t) type->msgt_number * type->msgt_size / 8;

		at += 8;
		if (!type->msgt_inline)
			bytes = 8;
		if (bytes > (uint64_t) (end - at))
			return false;
		if (MACH_MSG_TYPE_PORT_ANY(type->msgt_name)) {
			f(type, NULL);
			for (unsigned n = 0; type->msgt_inline && n < type->msgt_number; n++)
				f(type, (uint64_t *) at + n);
		}
		at += (bytes + 7) & ~7UL;
	}
	return at == end;
}

static unsigned received_type(unsigned type)
{
	switch (type) {
	case MACH_MSG_TYPE_COPY_SEND:
	case MACH_MSG_TYPE_MAKE_SEND:
		return MACH_MSG_TYPE_PORT_SEND;
	case MACH_MSG_TYPE_MAKE_SEND_ONCE:
		return MACH_MSG_TYPE_PORT_SEND_ONCE;
	default:
		return type;
	}
}

static void receive_right(mach_msg_type_t *type, uint64_t *slot)
{
	(void) slot;
	type->msgt_name = received_type(type->msgt_name);
}

/* What the kernel does to a message on its way. */
static void receive(mach_msg_header_t *msg)
{
	uint64_t remote = msg->msgh_remote_slot;
	unsigned bits = msg->msgh_bits;

	msg->msgh_remote_slot = msg->msgh_local_slot;
	msg->msgh_local_slot = remote;
	msg->msgh_bits = MACH_MSGH_BITS_OTHER(bits)
		| MACH_MSGH_BITS(received_type(MACH_MSGH_BITS_LOCAL(bits)),
				 received_type(MACH_MSGH_BITS_REMOTE(bits)));
	if ((bits & MACH_MSGH_BITS_COMPLEX) && !each_right(msg, receive_right)) {
		printf("not ok - message %d is well-formed\n", msg->msgh_id);
		exit(1);
	}
}

mach_msg_return_t mach_msg(mach_msg_header_t *msg, mach_msg_option_t option,
			   mach_msg_size_t send_size, mach_msg_size_t rcv_size,
			   mach_port_name_t rcv_name, mach_msg_timeout_t timeout,
			   mach_port_name_t notify)
{
	mach_msg_header_t *request = malloc(send_size), *reply;
	bool replied;

	(void) rcv_name;
	(void) notify;
	last_option = option;
	last_timeout = timeout;
	memcpy(request, msg, send_size);
	request->msgh_seqno = 77;
	receive(request);
	if (capture_only) {
		free(captured);
		captured = request;
		return MACH_SEND_INVALID_DEST;
	}
	reply = calloc(1, 65536);
	replied = serve(request, reply, 65536);
	served++;
	free(request);
	if (!(option & MACH_RCV_MSG)) {
		free(reply);
		return MACH_MSG_SUCCESS;
	}
	if (!replied) {
		printf("not ok - message %d is answered\n", msg->msgh_id);
		exit(1);
	}
	receive(reply);
	if (print_reply) {
		printf("bytes");
		for (uint32_t at = 24; at < reply->msgh_size; at++)
			printf(" %02x", ((uint8_t *) reply)[at]);
		printf("\n");
	}
	if (reply->msgh_size > rcv_size) {
		free(reply);
		return MACH_RCV_TOO_LARGE;
	}
	memset(msg, 0xee, rcv_size);
	memcpy(msg, reply, reply->msgh_size);
	free(reply);
	return MACH_MSG_SUCCESS;
}

mach_msg_return_t mig_rpc(mach_msg_header_t *msg, mach_msg_option_t option, mach_msg_size_t send_size,
			  mach_msg_size_t rcv_size, mach_msg_timeout_t timeout)
{
	msg->msgh_local_slot = REPLY;
	return mach_msg(msg, option, send_size, rcv_size, REPLY, timeout, MACH_PORT_NULL);
}

mach_msg_return_t mig_rpc_failed(mach_msg_return_t code, mach_msg_header_t *msg, mach_msg_option_t option,
				 mach_msg_size_t send_size, mach_msg_size_t rcv_size, mach_msg_timeout_t timeout)
{
	(void) msg; (void) option; (void) send_size; (void) rcv_size; (void) timeout;
	return code;
}

mach_msg_return_t mig_send_failed(mach_msg_return_t code, mach_msg_header_t *msg)
{
	(void) msg;
	return code;
}

mach_msg_header_t *request_of(void (*call)(void))
{
	capture_only = true;
	call();
	capture_only = false;
	return captured;
}

void call_all_ports(void)
{
	call_sample_ports(PORT, 1, 2, 3, 4, 5, 6, 7, MACH_MSG_TYPE_MOVE_RECEIVE, 8);
}

void call_arrays(void)
{
	int numbers[] = { 1, 2, 3, 4, 5 }, sum;
	uint64_t wide[] = { 6, 7 }, last;
	char bytes[10], word[16];
	mach_msg_type_number_t count;

	call_sample_arrays(PORT, numbers, 5, 1, "some text", wide, 2, 8, bytes, &count, &sum,
			   word, &last);
}

void call_out_of_line(void)
{
	bytes_t back;
	port_array_t rights;
	mach_msg_type_number_t count, more;

	call_sample_out_of_line(PORT, (bytes_t) 0x1000, 10, TRUE, (port_array_t) 0x2000, 3, 4,
				&back, &count, &rights, &more);
}

void call_any_small(void)
{
	int list[] = { 10, 20, 30 };
	pair_array_t pairs = NULL;
	mach_msg_type_number_t count = 0;

	call_sample_any(PORT, list, 3, 5, &pairs, &count);
}

static void scalars(void)
{
	uint64_t f = 0;
	int e = 5;
	kern_return_t code = call_sample_ints(PORT, -1, 1UL << 40, -3, 'd', &e, &f);

	claim(code == 0 && e == 6 && f == (1UL << 40) - 1 - 3 + 'd',
	      "integers of each width arrive and come back, also inout");
	next_code = KERN_INVALID_VALUE;
	code = call_sample_ints(PORT, -1, 1UL << 40, -3, 'd', &e, &f);
	claim(code == KERN_INVALID_VALUE && e == 6, "an error reply changes no out argument");
	next_code = 0;
	claim(call_sample_plain(PORT) == 0, "a routine with only a result succeeds");
	next_code = KERN_NO_SPACE;
	claim(call_sample_plain(PORT) == KERN_NO_SPACE, "a routine with only a result fails");
	next_code = 0;
}

static void arrays(void)
{
	int numbers[6] = { 1, 2, 3, 4, 5, 6 }, sum, failures = 0;
	uint64_t wide[3] = { 100, 200, 300 }, last;
	char bytes[11], word[17];
	mach_msg_type_number_t count;
	static const char *const texts[] = { "", "a", "seven77", "eight888",
					     "nineteen letters 19" };

	for (unsigned n = 0; n <= 6; n++)
		for (unsigned w = 0; w <= 3; w++)
			for (unsigned t = 0; t < 5; t++) {
				int want = 1000 + (int) strlen(texts[t]);
				kern_return_t code;

				for (unsigned i = 0; i < n; i++)
					want += numbers[i];
				for (unsigned i = 0; i < w; i++)
					want += (int) wide[i];
				memset(bytes, 'Z', sizeof(bytes));
				memset(word, 'Z', sizeof(word));
				code = call_sample_arrays(PORT, numbers, n, 1000, texts[t], wide,
							  w, 9, bytes, &count, &sum, word, &last);
				failures += code != 0 || sum != want || count != n + w
					|| last != 9 || memcmp(bytes, "0123456789", count) != 0
					|| bytes[count] != 'Z' || word[16] != 'Z'
					|| strncmp(word, texts[t], 15) != 0
					|| strlen(word) > 15;
			}
	claim(failures == 0, "variable arrays and strings of all lengths, and what follows them");
	claim(call_sample_arrays(PORT, numbers, 7, 0, "", wide, 0, 9, bytes, &count, &sum, word,
				 &last) == MIG_ARRAY_TOO_LARGE, "a longer array is refused");
	claim(call_sample_arrays(PORT, numbers, 0, 0, "a text of far more than twenty letters",
				 wide, 0, 9, bytes, &count, &sum, word, &last) == 0
	      && sum == 19, "a longer string is cut");
}

static void counts(void)
{
	int info[7] = { -1, -1, -1, -1, -1, -1, -1 };
	mach_msg_type_number_t count = 4;

	claim(call_sample_count(PORT, 3, info, &count) == 0 && count == 3 && info[2] == 2
	      && info[3] == -1, "CountInOut: as many as there are");
	count = 2;
	claim(call_sample_count(PORT, 6, info, &count) == 0 && count == 2,
	      "CountInOut: the server is told how many fit");
	count = 1000;
	claim(call_sample_count(PORT, 6, info, &count) == 0 && count == 6 && info[5] == 5
	      && info[6] == -1, "CountInOut: never more than the declared length");
}

static void fixed(void)
{
	short four[4] = { 1, 2, 3, 4 }, four_out[4];
	pair_t pair = { .c = 'x', .i = 5, .w = 6 }, pair_out;
	three_t three = { { 7, 8, 9 } }, three_out;
	char name[12];
	kern_return_t code = call_sample_fixed(PORT, four, pair, three, "a name", four_out,
					       &pair_out, &three_out, name);

	claim(code == 0 && four_out[0] == 4 && four_out[3] == 1, "fixed arrays");
	claim(pair_out.c == 'y' && pair_out.i == -5 && pair_out.w == 12
	      && three_out.word[0] == 9 && three_out.word[2] == 7, "structs");
	claim(strcmp(name, "A name") == 0, "strings in a fixed field");
	code = call_sample_fixed(PORT, four, pair, three, "fifteen letters", four_out, &pair_out,
				 &three_out, name);
	claim(code == 0 && strcmp(name, "Fifteen let") == 0, "a string that is too long is cut");
}

static void ports(void)
{
	mach_port_t send, copied, once, receive_right_, any, list[5] = { 1, 2, 3, 4, 5 };
	mach_msg_type_name_t kind;

	claim(call_sample_ports(PORT, 1, 2, 3, 4, 5, 6, 7, MACH_MSG_TYPE_MOVE_RECEIVE, 8) == 0,
	      "rights of each disposition arrive as what they become");
	claim(call_sample_ports(PORT, 1, 2, 3, 4, 5, 6, 0, MACH_MSG_TYPE_MAKE_SEND, 8)
	      == KERN_INVALID_VALUE, "a right of any kind tells its kind");
	claim(call_sample_out_ports(PORT, &send, &copied, &once, &receive_right_, &any, &kind) == 0
	      && send == 11 && copied == 12 && once == 13 && receive_right_ == 14 && any == 15
	      && kind == MACH_MSG_TYPE_PORT_SEND_ONCE, "rights come back");
	claim(call_sample_wait(PORT, 250, list, 5) == 0 && last_timeout == 250
	      && (last_option & MACH_RCV_TIMEOUT), "arrays of rights in line; waittime");
	claim(call_sample_wait(PORT, 250, list, 0) == KERN_INVALID_VALUE,
	      "an empty array of rights in line");
}

static void out_of_line(void)
{
	bytes_t back = 0;
	port_array_t rights = 0;
	mach_msg_type_number_t count = 0, more = 0;
	int list[600], want = 5;
	pair_t room[3];
	pair_array_t pairs = room;

	claim(call_sample_out_of_line(PORT, (bytes_t) 0x1000, 10, TRUE, (port_array_t) 0x2000, 3,
				      4, &back, &count, &rights, &more) == 0
	      && back == (bytes_t) 0x3000 && count == 20 && rights == (port_array_t) 0x4000
	      && more == 6, "out-of-line data and rights, both ways");
	for (int i = 0; i < 600; i++)
		want += list[i] = i;
	count = 3;
	claim(call_sample_any(PORT, list, 600, 5, &pairs, &count) == 0 && count == 2,
	      "an array of any length that is large, out of line");
	pairs = room;
	count = 3;
	claim(call_sample_any(PORT, list, 512, 5, &pairs, &count) == 0 && count == 2
	      && (pairs != room || (room[1].i == 512 && room[1].w == 1)),
	      "an array of any length that is small, in line");
	claim(call_sample_any(PORT, list, 0, 5, &pairs, &count) == 0,
	      "an array of any length that is empty");
	(void) want;
}

static void one_way(void)
{
	unsigned before = served;
	int twice = 0;

	claim(call_sample_note(PORT, 9) == 0 && served == before + 1
	      && !(last_option & MACH_RCV_MSG), "a simpleroutine waits for nothing");
	claim(call_sample_ask(PORT, 0x444, 9) == 0, "ureplyport: the caller's reply port");
	claim(call_sample_reply_port(PORT, 21, &twice) == 0 && twice == 42,
	      "sreplyport: the server gets the reply port");
}

static void call_fixed(void)
{
	short four[4] = { 1, 2, 3, 4 }, four_out[4];
	pair_t pair = { .c = 'x', .i = 5, .w = 6 }, pair_out;
	three_t three = { { 7, 8, 9 } }, three_out;
	char name[12];

	call_sample_fixed(PORT, four, pair, three, "a name", four_out, &pair_out, &three_out, name);
}

static void call_out_ports(void)
{
	mach_port_t port;
	mach_msg_type_name_t kind;

	call_sample_out_ports(PORT, &port, &port, &port, &port, &port, &kind);
}

/* roundtrip: all claims; roundtrip NAME: what one call gets back, from offset 24 on */
int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*call)(void);
	} calls[] = {
		{ "sample_arrays", call_arrays }, { "sample_out_of_line", call_out_of_line },
		{ "sample_fixed", call_fixed }, { "sample_out_ports", call_out_ports },
	};

	for (unsigned n = 0; argc > 1 && n < sizeof(calls) / sizeof(calls[0]); n++) {
		if (strcmp(calls[n].name, argv[1]) == 0) {
			print_reply = true;
			calls[n].call();
			return 0;
		}
	}
	scalars();
	arrays();
	counts();
	fixed();
	ports();
	out_of_line();
	one_way();
	claim(destroyed == 0, "no reply was found wrong");
	own_claims();
	free(captured);
	return 0;
}
