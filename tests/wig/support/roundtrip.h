/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls through generated client stubs to generated server stubs, in one program. */
#ifndef ROUNDTRIP_H
#define ROUNDTRIP_H
#include <stdbool.h>
#include <stdint.h>
#include <mach/message.h>

/*
 * Serves the request (as received, in a heap block of exactly its size) and fills in the
 * reply. False: no reply. On the user's side or the kernel's: server_side.c, kernel_side.c.
 */
bool serve(mach_msg_header_t *request, mach_msg_header_t *reply, uint32_t room);
/* More claims of the side in use. */
void own_claims(void);

/* One claim, as TAP without a number. */
void claim(bool true_, const char *text);
/* A request as the client stub would send it, for a call; the bytes stay until the next. */
mach_msg_header_t *request_of(void (*call)(void));
/* What a server routine returns, until set again. */
extern kern_return_t next_code;
/* Served so far. */
extern unsigned served;

/*
 * Calls f for each item of rights with the slot NULL, then for each of its slots in line;
 * false: the body is malformed.
 */
typedef void right_function(mach_msg_type_t *type, uint64_t *slot);
bool each_right(mach_msg_header_t *msg, right_function *f);

void call_all_ports(void);
void call_arrays(void);
void call_out_of_line(void);
void call_any_small(void);

#endif
