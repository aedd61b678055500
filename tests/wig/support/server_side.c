/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's half as a program has it: sample_server and the routines behind it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "roundtrip.h"
#include "sample_server.h"

#define PORT	0x111
#define REPLY	0x507

bool serve(mach_msg_header_t *request, mach_msg_header_t *reply, uint32_t room)
{
	(void) room;
	return sample_server(request, reply) && ((mig_reply_header_t *) reply)->RetCode
		!= MIG_NO_REPLY;
}

kern_return_t do_sample_ints(mach_port_t object, int a, uint64_t b, short c, char d, int *e,
			     uint64_t *f)
{
	*e += 1;
	*f = b + (uint64_t) (int64_t) a + (uint64_t) (int64_t) c + (uint64_t) d;
	return object == PORT ? next_code : KERN_INVALID_ARGUMENT;
}

kern_return_t do_sample_arrays(mach_port_t object, const int *numbers,
			       mach_msg_type_number_t numbersCnt, int flag, const char *text,
			       const uint64_t *wide, mach_msg_type_number_t wideCnt, uint64_t tail,
			       char *bytes, mach_msg_type_number_t *bytesCnt, int *sum, char *word,
			       uint64_t *last)
{
	*sum = flag + (int) strlen(text);
	for (unsigned n = 0; n < numbersCnt; n++)
		*sum += numbers[n];
	for (unsigned n = 0; n < wideCnt; n++)
		*sum += (int) wide[n];
	if (*bytesCnt != 10 || object != PORT)
		return KERN_FAILURE;
	*bytesCnt = numbersCnt + wideCnt;
	memcpy(bytes, "0123456789", *bytesCnt);
	strncpy(word, text, 16);
	*last = tail;
	return next_code;
}

kern_return_t do_sample_ports(mach_port_t object, mach_port_t copied, mach_port_t made,
			      mach_port_t moved, mach_port_t once, mach_port_t moved_once,
			      mach_port_t receive, mach_port_t any, mach_msg_type_name_t anyPoly,
			      mach_port_t other)
{
	if (any == 0 && anyPoly == MACH_MSG_TYPE_PORT_SEND)
		return KERN_INVALID_VALUE;
	return object == PORT && copied == 1 && made == 2 && moved == 3 && once == 4
		&& moved_once == 5 && receive == 6 && any == 7
		&& anyPoly == MACH_MSG_TYPE_PORT_RECEIVE && other == 8 ? next_code : KERN_FAILURE;
}

kern_return_t do_sample_out_ports(mach_port_t object, mach_port_t *send, mach_port_t *copied,
				  mach_port_t *once, mach_port_t *receive, mach_port_t *any,
				  mach_msg_type_name_t *anyPoly)
{
	*send = 11;
	*copied = 12;
	*once = 13;
	*receive = 14;
	*any = 15;
	*anyPoly = MACH_MSG_TYPE_MAKE_SEND_ONCE;
	return object == PORT ? next_code : KERN_FAILURE;
}

kern_return_t do_sample_out_of_line(mach_port_t object, bytes_t data,
				    mach_msg_type_number_t dataCnt, port_array_t ports,
				    mach_msg_type_number_t portsCnt, int after, bytes_t *back,
				    mach_msg_type_number_t *backCnt, port_array_t *rights,
				    mach_msg_type_number_t *rightsCnt)
{
	*back = (bytes_t) 0x3000;
	*backCnt = 2 * dataCnt;
	*rights = (port_array_t) 0x4000;
	*rightsCnt = 2 * portsCnt;
	return object == PORT && data == (bytes_t) 0x1000 && ports == (port_array_t) 0x2000
		&& after == 4 ? next_code : KERN_FAILURE;
}

kern_return_t do_sample_any(mach_port_t object, any_array_t list, mach_msg_type_number_t listCnt,
			    boolean_t listSCopy, int z, pair_array_t *pairs,
			    mach_msg_type_number_t *pairsCnt)
{
	static pair_t two[2];

	if (object != PORT || z != 5 || (listCnt <= 512) != listSCopy)
		return KERN_FAILURE;
	for (int n = 0; n < (int) listCnt; n++)
		if (listSCopy && list[n] != n && list[n] != 10 * (n + 1))
			return KERN_FAILURE;
	two[1].i = (int) listCnt;
	two[1].w = (uint64_t) listSCopy;
	*pairs = two;
	*pairsCnt = 2;
	return next_code;
}

kern_return_t do_sample_fixed(mach_port_t object, const short *four, pair_t pair, three_t three,
			      const char *name, short *four_out, pair_t *pair_out,
			      three_t *three_out, char *name_out)
{
	for (int n = 0; n < 4; n++)
		four_out[n] = four[3 - n];
	for (int n = 0; n < 3; n++)
		three_out->word[n] = three.word[2 - n];
	pair_out->c = (char) (pair.c + 1);
	pair_out->i = -pair.i;
	pair_out->w = 2 * pair.w;
	memcpy(name_out, name, strlen(name) + 1);
	name_out[0] = (char) (name_out[0] - 32);
	return object == PORT ? next_code : KERN_FAILURE;
}

kern_return_t do_sample_note(mach_port_t note, mach_port_seqno_t seqno, int n)
{
	claim(note == PORT && seqno == 77 && n == 9, "msgseqno: the server gets the number");
	return KERN_SUCCESS;
}

kern_return_t do_sample_reply_port(mach_port_t object, mach_port_t reply,
				   mach_msg_type_name_t replyPoly, int n, int *twice)
{
	*twice = 2 * n;
	return object == PORT && reply == REPLY && replyPoly == MACH_MSG_TYPE_PORT_SEND_ONCE
		? next_code : KERN_FAILURE;
}

kern_return_t do_sample_count(mach_port_t object, int flavor, int *info,
			      mach_msg_type_number_t *infoCnt)
{
	if (*infoCnt > (mach_msg_type_number_t) flavor)
		*infoCnt = (mach_msg_type_number_t) flavor;
	for (int n = 0; n < (int) *infoCnt; n++)
		info[n] = n;
	return object == PORT ? next_code : KERN_FAILURE;
}

kern_return_t do_sample_missing(mach_port_t object)
{
	(void) object;
	return KERN_SUCCESS;
}

kern_return_t do_sample_ask(mach_port_t object, int n)
{
	return object == PORT && n == 9 ? KERN_SUCCESS : KERN_FAILURE;
}

kern_return_t do_sample_wait(mach_port_t object, const mach_port_t *list,
			     mach_msg_type_number_t listCnt)
{
	if (listCnt == 0)
		return KERN_INVALID_VALUE;
	for (unsigned n = 0; n < listCnt; n++)
		if (list[n] != n + 1)
			return KERN_FAILURE;
	return object == PORT ? next_code : KERN_FAILURE;
}

kern_return_t do_sample_plain(mach_port_t object)
{
	return object == PORT ? next_code : KERN_FAILURE;
}

static kern_return_t code_for(mach_msg_id_t id, uint32_t size, unsigned bits)
{
	mach_msg_header_t *request = calloc(1, size);
	mig_reply_header_t *reply = calloc(1, SAMPLE_REPLY_MAX);
	kern_return_t code;

	request->msgh_id = id;
	request->msgh_size = size;
	request->msgh_bits = bits;
	request->msgh_local_port = PORT;
	sample_server(request, &reply->Head);
	code = reply->RetCode;
	free(request);
	free(reply);
	return code;
}

/* Damage to valid requests: every answer is an answer, nothing is read that is not there. */
static void damage(void (*call)(void), unsigned seed)
{
	mach_msg_header_t *valid = request_of(call);
	uint32_t size = valid->msgh_size;

	srand(seed);
	for (int n = 0; n < 20000; n++) {
		uint32_t cut = n % 4 == 0 ? 32 + (uint32_t) rand() % (size - 31) / 8 * 8 : size;
		mach_msg_header_t *request = malloc(cut), *reply = calloc(1, SAMPLE_REPLY_MAX);

		memcpy(request, valid, cut);
		request->msgh_size = cut;
		for (int k = rand() % 3; k > 0 && cut > 32; k--)
			((uint8_t *) request)[32 + (uint32_t) rand() % (cut - 32)] =
				(uint8_t) (rand() % 3 ? rand() % 8 : rand());
		if (!sample_server(request, reply) || reply->msgh_size > SAMPLE_REPLY_MAX) {
			printf("not ok - damaged request %d of seed %u\n", n, seed);
			exit(1);
		}
		free(request);
		free(reply);
	}
	claim(true, "damaged requests are answered in bounds");
}

void own_claims(void)
{
	mach_msg_header_t known = { .msgh_id = 7000 }, unknown = { .msgh_id = 7015 };
	mach_msg_header_t before = { .msgh_id = 6999 }, skipped = { .msgh_id = 7008 };

	claim(sample_server_routine(&known) && !sample_server_routine(&unknown)
	      && !sample_server_routine(&before) && !sample_server_routine(&skipped),
	      "the demux knows its ids and no others");
	claim(code_for(7015, 32, 0) == MIG_BAD_ID, "an unknown id is MIG_BAD_ID");
	claim(code_for(7014, 32, 0) == next_code, "the shortest request is served");
	claim(code_for(7014, 40, 0) == MIG_BAD_ARGUMENTS, "a longer one is MIG_BAD_ARGUMENTS");
	claim(code_for(7014, 32, MACH_MSGH_BITS_COMPLEX) == MIG_BAD_ARGUMENTS,
	      "complex where nothing is complex is MIG_BAD_ARGUMENTS");
	claim(code_for(7000, 112, 0) == MIG_BAD_ARGUMENTS, "items of no type are MIG_BAD_ARGUMENTS");
	claim(code_for(7007, 32, 0) == MIG_BAD_ARGUMENTS,
	      "a simpleroutine with a wrong size is MIG_BAD_ARGUMENTS");
	damage(call_arrays, 1);
	damage(call_all_ports, 2);
	damage(call_any_small, 3);
	damage(call_out_of_line, 4);
}
