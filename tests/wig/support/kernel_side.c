/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's half as the kernel has it: rights are pointers, calls go through the table. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <mach/mig_errors.h>
#include "ipc/krpc.h"
#include "roundtrip.h"
#include "sample_server.h"

#define PORT_AT(name)	((struct port *) (uintptr_t) (0x100000 + (name)))

struct object { int dummy; };
static struct object the_object, other_object;
/* Stubs may look at the port that a request goes to. */
static struct port called = { .kobject_type = KOBJECT_TASK, .kobject = &the_object };
static struct port another = { .kobject_type = KOBJECT_THREAD, .kobject = &other_object };
static bool routine_ran, routine_got_null;
struct krpc krpc_now;
uint8_t krpc_reply_bytes[KRPC_REPLY_MAX];

struct object *convert_port_to_object(struct port *port);
struct object *convert_port_to_object(struct port *port)
{
	if (port == &called)
		return &the_object;
	return port == PORT_AT(8) ? &other_object : NULL;
}

static void to_pointer(mach_msg_type_t *type, uint64_t *slot)
{
	(void) type;
	if (slot && *slot)
		*slot += 0x100000;
}

static void to_name(mach_msg_type_t *type, uint64_t *slot)
{
	(void) type;
	if (slot && *slot)
		*slot -= 0x100000;
}

/* As krpc.c: a request of another size, or complex when it must not be, does not come to the stub. */
static kern_return_t run_fitting(mach_msg_id_t id)
{
	const struct krpc_routine *routine = &sample_subsystem.routines[(uint32_t) id - sample_subsystem.base];

	if (!krpc_fits(routine, krpc_now.in_size, (krpc_now.in->msgh_bits & MACH_MSGH_BITS_COMPLEX) != 0))
		return MIG_BAD_ARGUMENTS;
	return routine->stub();
}

static kern_return_t call_stub(mach_msg_header_t *request)
{
	krpc_now = (struct krpc) { .target = &called, .in = request, .in_size = request->msgh_size,
				   .out_size = sizeof(mig_reply_header_t), .reply_port = PORT_AT(0x507) };
	return run_fitting(request->msgh_id);
}

/* As the kernel will: pointers in, the table's stub, names out. */
bool serve(mach_msg_header_t *request, mach_msg_header_t *reply, uint32_t room)
{
	kern_return_t code;

	(void) room;
	if (request->msgh_bits & MACH_MSGH_BITS_COMPLEX)
		each_right(request, to_pointer);
	code = call_stub(request);
	if (code != MIG_NO_REPLY && krpc_now.out_size >= 48) {
		memcpy(reply, krpc_reply_bytes, krpc_now.out_size);
		((mig_reply_header_t *) reply)->RetCodeType = (mach_msg_type_t) {
			.msgt_name = MACH_MSG_TYPE_INTEGER_32, .msgt_size = 32, .msgt_inline = 1, .msgt_number = 1,
		};
		((mig_reply_header_t *) reply)->RetCode = code;
		((mig_reply_header_t *) reply)->RetCodePadding = 0;
		reply->msgh_bits = MACH_MSGH_BITS(MACH_MSGH_BITS_REMOTE(request->msgh_bits), 0)
			| (krpc_now.out_complex ? MACH_MSGH_BITS_COMPLEX : 0);
		reply->msgh_size = krpc_now.out_size;
		reply->msgh_id = request->msgh_id + 100;
		if (krpc_now.out_complex)
			each_right(reply, to_name);
		if (code != KERN_SUCCESS && (krpc_now.out_size != 48 || krpc_now.out_complex))
			claim(false, "an error reply is a head");
	}
	return code != MIG_NO_REPLY && !sample_subsystem.routines[request->msgh_id - sample_subsystem.base].simple;
}

kern_return_t sample_ints(struct object *object, int a, uint64_t b, short c, char d, int *e,
			  uint64_t *f)
{
	*e += 1;
	*f = b + (uint64_t) (int64_t) a + (uint64_t) (int64_t) c + (uint64_t) d;
	return object == &the_object ? next_code : KERN_INVALID_ARGUMENT;
}

kern_return_t sample_arrays(struct object *object, const int *numbers,
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
	if (*bytesCnt != 10 || object != &the_object)
		return KERN_FAILURE;
	*bytesCnt = numbersCnt + wideCnt;
	memcpy(bytes, "0123456789", *bytesCnt);
	strncpy(word, text, 16);
	*last = tail;
	return next_code;
}

kern_return_t sample_ports(struct object *object, struct port *copied, struct port *made,
			   struct port *moved, struct port *once, struct port *moved_once,
			   struct port *receive, struct port *any, mach_msg_type_name_t anyPoly,
			   struct object *other)
{
	routine_ran = true;
	if (any == NULL && anyPoly == MACH_MSG_TYPE_PORT_SEND)
		return KERN_INVALID_VALUE;
	return object == &the_object && copied == PORT_AT(1) && made == PORT_AT(2)
		&& moved == PORT_AT(3) && once == PORT_AT(4) && moved_once == PORT_AT(5)
		&& receive == PORT_AT(6) && any == PORT_AT(7)
		&& anyPoly == MACH_MSG_TYPE_PORT_RECEIVE && other == &other_object
		? next_code : KERN_FAILURE;
}

kern_return_t sample_out_ports(struct object *object, struct port **send, struct port **copied,
			       struct port **once, struct port **receive, struct port **any,
			       mach_msg_type_name_t *anyPoly)
{
	*send = PORT_AT(11);
	*copied = PORT_AT(12);
	*once = PORT_AT(13);
	*receive = PORT_AT(14);
	*any = PORT_AT(15);
	*anyPoly = MACH_MSG_TYPE_PORT_SEND_ONCE;
	return object == &the_object ? next_code : KERN_FAILURE;
}

kern_return_t sample_out_of_line(struct object *object, struct vm_copy *data,
				 mach_msg_type_number_t dataCnt, struct port_array *ports,
				 mach_msg_type_number_t portsCnt, int after,
				 struct vm_copy **back, mach_msg_type_number_t *backCnt,
				 struct port_array **rights, mach_msg_type_number_t *rightsCnt)
{
	*back = (struct vm_copy *) 0x3000;
	*backCnt = 2 * dataCnt;
	*rights = (struct port_array *) 0x4000;
	*rightsCnt = 2 * portsCnt;
	return object == &the_object && data == (struct vm_copy *) 0x1000
		&& ports == (struct port_array *) 0x2000 && after == 4 ? next_code : KERN_FAILURE;
}

kern_return_t sample_any(struct object *object, const int *list, struct vm_copy *listCopy,
			 mach_msg_type_number_t listCnt, boolean_t listSCopy, int z,
			 struct vm_copy **pairs, mach_msg_type_number_t *pairsCnt)
{
	if (object != &the_object || z != 5 || (listCnt <= 512) != listSCopy
	    || (list != NULL) != listSCopy || (listCopy != NULL) == listSCopy)
		return KERN_FAILURE;
	for (int n = 0; n < (int) listCnt && listSCopy; n++)
		if (list[n] != n && list[n] != 10 * (n + 1))
			return KERN_FAILURE;
	*pairs = (struct vm_copy *) 0x5000;
	*pairsCnt = 2;
	return next_code;
}

kern_return_t sample_fixed(struct object *object, const short *four, pair_t pair, three_t three,
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
	return object == &the_object ? next_code : KERN_FAILURE;
}

kern_return_t sample_note(struct port *note, mach_port_seqno_t seqno, int n)
{
	claim(note == &called && seqno == 77 && n == 9,
	      "msgseqno: the server gets the number");
	return KERN_SUCCESS;
}

kern_return_t sample_reply_port(struct object *object, struct port *reply, int n, int *twice)
{
	*twice = 2 * n;
	return object == &the_object && reply == PORT_AT(0x507) ? next_code : KERN_FAILURE;
}

kern_return_t sample_count(struct object *object, int flavor, int *info,
			   mach_msg_type_number_t *infoCnt)
{
	if (*infoCnt > (mach_msg_type_number_t) flavor)
		*infoCnt = (mach_msg_type_number_t) flavor;
	for (int n = 0; n < (int) *infoCnt; n++)
		info[n] = n;
	return object == &the_object ? next_code : KERN_FAILURE;
}

kern_return_t sample_ask(struct object *object, int n)
{
	return object == &the_object && n == 9 ? KERN_SUCCESS : KERN_FAILURE;
}

kern_return_t sample_wait(struct object *object, struct port *const *list,
			  mach_msg_type_number_t listCnt)
{
	if (listCnt == 0)
		return KERN_INVALID_VALUE;
	for (unsigned n = 0; n < listCnt; n++)
		if (list[n] != PORT_AT(n + 1))
			return KERN_FAILURE;
	return object == &the_object ? next_code : KERN_FAILURE;
}

kern_return_t sample_plain(struct object *object)
{
	routine_got_null = object == NULL;
	return next_code;
}

/* The slots of the eight rights of sample_ports that still hold something. */
static unsigned rights_left(kern_return_t code, kern_return_t expected)
{
	mach_msg_header_t *request = request_of(call_all_ports);
	uint64_t *words = (uint64_t *) request;
	unsigned left = 0, n;

	memset(krpc_reply_bytes, 0x5a, KRPC_REPLY_MAX);
	each_right(request, to_pointer);
	next_code = code;
	if (call_stub(request) != expected)
		left = 0x1000;
	next_code = 0;
	for (n = 0; n < 8; n++)
		if (words[5 + 2 * n])
			left |= 1U << n;
	if (code == KRPC_BLOCKED || code == MIG_NO_REPLY)
		for (n = 0; n < KRPC_REPLY_MAX; n++)
			if (krpc_reply_bytes[n] != 0x5a)
				left |= 0x2000;
	if (krpc_now.out_size != 48 || krpc_now.out_complex)
		left |= 0x4000;
	return left;
}

static unsigned memory_left(kern_return_t code)
{
	mach_msg_header_t *request = request_of(call_out_of_line);
	uint64_t *words = (uint64_t *) request;

	next_code = code;
	call_stub(request);
	next_code = 0;
	return (words[5] != 0) | (words[7] != 0) << 1;
}

static kern_return_t plain_with(mach_msg_id_t id, uint32_t size, unsigned bits,
				struct port *target)
{
	mach_msg_header_t *request = calloc(1, size);
	kern_return_t code;

	request->msgh_bits = bits;
	krpc_now = (struct krpc) { .target = target, .in = request, .in_size = size, .out_size = 48 };
	code = run_fitting(id);
	if (krpc_now.out_size != 48 || krpc_now.out_complex)
		code = 12345;
	free(request);
	return code;
}

/* Damage to valid requests, in blocks of exactly their size. */
static void damage(void (*call)(void), unsigned seed)
{
	mach_msg_header_t *valid = request_of(call);
	uint32_t size = valid->msgh_size;

	srand(seed);
	for (int n = 0; n < 20000; n++) {
		uint32_t cut = n % 4 == 0 ? 32 + (uint32_t) rand() % (size - 31) / 8 * 8 : size;
		mach_msg_header_t *request = malloc(cut);
		
		memcpy(request, valid, cut);
		request->msgh_size = cut;
		for (int k = rand() % 3; k > 0 && cut > 32; k--)
			((uint8_t *) request)[32 + (uint32_t) rand() % (cut - 32)] =
				(uint8_t) (rand() % 3 ? rand() % 8 : rand());
		call_stub(request);
		if (krpc_now.out_size > KRPC_REPLY_MAX || krpc_now.out_size < 48) {
			printf("not ok - damaged request %d of seed %u\n", n, seed);
			exit(1);
		}
		free(request);
		}
	claim(true, "damaged requests are answered in bounds");
}

void own_claims(void)
{
	const struct krpc_subsystem *s = &sample_subsystem;

	claim(s->base == 7000 && s->count == 15 && strcmp(s->name, "sample") == 0
	      && strcmp(s->routines[10].name, "sample_count") == 0 && !s->routines[8].stub,
	      "the table has each routine at its id");
	claim(s->routines[7].simple && !s->routines[0].simple && s->routines[0].request_min == 112
	      && s->routines[0].reply_max == 80, "the table tells sizes and simpleroutines");

	claim(rights_left(KERN_SUCCESS, KERN_SUCCESS) == 0x80,
	      "success: the routine owns the rights, the translated one stays in the request");
	claim(rights_left(KERN_NO_SPACE, KERN_NO_SPACE) == 0xff,
	      "an error: all rights stay in the request");
	claim(rights_left(KRPC_BLOCKED, KRPC_BLOCKED) == 0x80,
	      "a routine that waits owns the rights, and no reply is written");
	claim(rights_left(MIG_NO_REPLY, MIG_NO_REPLY) == 0x80,
	      "so does one that replies later");
	claim(memory_left(KERN_SUCCESS) == 0 && memory_left(KERN_FAILURE) == 3,
	      "out-of-line data and rights belong to the routine on success only");

	claim(s->routines[11].stub && !s->routines[11].routine && s->routines[0].routine == (void (*)(void)) sample_ints,
	      "the table has the routine, NULL for one that the kernel does not define");
	claim(plain_with(7014, 40, 0, &called) == MIG_BAD_ARGUMENTS
	      && plain_with(7000, 112, 0, &called) == MIG_BAD_ARGUMENTS
	      && plain_with(7014, 32, MACH_MSGH_BITS_COMPLEX, &another) == MIG_BAD_ARGUMENTS
	      && plain_with(7002, 160, 0, &another) == MIG_BAD_ARGUMENTS,
	      "wrong sizes, types and complex bits are MIG_BAD_ARGUMENTS");
	routine_got_null = false;
	plain_with(7014, 32, 0, &another);
	claim(routine_got_null, "a right to something else is NULL for the routine");

	damage(call_arrays, 1);
	damage(call_all_ports, 2);
	damage(call_any_small, 3);
	damage(call_out_of_line, 4);
}
